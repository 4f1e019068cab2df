// suites.c - `suites` of an evaluation: bits per byte, files of suites, tasks.
//
//     suite:                                   # recipes/suites/NAME.yaml
//       - {task: copa, source: {jsonl: "..."}, fields: {...}, grader: loss, ...}     # a task, as in a file of its own
//       - town_quiz                            # or the name of one, or its file
//     title: CORE
//
// 1. A file of suites is read once, however many stages name it. A task that is written in it is called SUITE/TASK, so that no other can
//    have its name.
// 2. Two tasks of one evaluation never have one name: their rows in the tables could not be told apart.
#include "runner/recipe/reader.h"

#include <string.h>
#include <unistd.h>

#include "core/store/metrics.h"

enum { MOST_TASKS = 200 };

// --- a file of suites -------------------------------------------------------------------------------------------------------------

// The file of suites that a name stands for, beside the recipe or shipped; NULL: there is none.
static const char *suite_path(struct reader *r, const char *name)
{
    if (!*name || strpbrk(name, "./"))
        return NULL;
    const char *own = beside_recipe(r, "suites", name), *shipped = reader_have(r, (void *)suite_file_shipped(name, r->arena));
    if (own && access(own, F_OK) == 0)
        return own;
    return shipped && access(shipped, F_OK) == 0 ? shipped : NULL;
}

static bool is_task(struct reader *r, const char *name)
{
    const char *own = beside_recipe(r, "tasks", name), *shipped = reader_have(r, (void *)task_file_shipped(name, r->arena));
    return (own && access(own, F_OK) == 0) || (shipped && access(shipped, F_OK) == 0);
}

// One that is written out in the suite.
static const struct task_file *written_task(struct asked *a, const struct node *node, const struct node *entry,
                                            const struct suite_file *suite)
{
    const struct task_file *task = task_of_tree(a, node, suite->path, entry, NULL, suite->name);
    if (!task || task->task.grader != GRADER_NONE)
        return task;
    stage_error(a->r, a->stage,
                error_new(ERROR_RECIPE, entry->at, "write grader: loss, exact_greedy, choice, number, exact or python_tests",
                          "task '%s' has no grader: its answers cannot be told right from wrong", task->name));
    return NULL;
}

static const struct task_file *entry_task(struct asked *a, const struct node *node, const struct node *entry,
                                          const struct suite_file *suite)
{
    if (entry->kind == NODE_MAP)
        return written_task(a, node, entry, suite);
    const char *name = entry->kind == NODE_SCALAR ? scalar_text(a->r, entry, "a task") : NULL;
    if (name && suite_path(a->r, name) && !is_task(a->r, name)) {
        stage_error(a->r, a->stage,
                    error_new(ERROR_RECIPE, entry->at, "name tasks here, and further suites in `suites:` of the evaluation",
                              "'%s' is a suite, and a suite is made of tasks", name));
        return NULL;
    }
    if (entry->kind != NODE_SCALAR)
        stage_error(
            a->r, a->stage,
            error_new(ERROR_RECIPE, entry->at, "write a task out, or name one", "a list where a task of a suite should be"));
    return name ? task_named(a, entry, name) : NULL;
}

static bool is_title(const char *title)
{
    for (const char *s = title; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == '|')
            return false;
    return strlen(title) < SCORE_NAME;
}

static void read_title(struct asked *a, const struct node *root, struct suite_file *suite)
{
    const struct node *node = node_get(root, "title");
    const char *title = node ? scalar_text(a->r, node, "title") : NULL;
    suite->title = title ? title : suite->name;
    if (title && !is_title(title))
        stage_error(
            a->r, a->stage,
            error_new(ERROR_RECIPE, node->at, "take a few words", "a title is short, without control characters and '|'"));
}

// Whether all that is in it is good.
static bool read_entries(struct asked *a, const struct node *node, const struct node *list, struct suite_file *suite)
{
    struct reader *r = a->r;
    bool good = true;
    suite->tasks = reader_have(r, arena_array(r->arena, (size_t)list->n, sizeof *suite->tasks));
    suite->splits = reader_have(r, arena_array(r->arena, (size_t)list->n, sizeof *suite->splits));
    for (const struct node *c = list->first; c && suite->tasks && suite->splits && !reader_full(r); c = c->next) {
        const struct task_file *task = entry_task(a, node, c, suite);
        const struct task_split *split = task ? split_named(a, task, a->split, c->at) : NULL;
        bool twice = false;
        for (int i = 0; i < suite->n_tasks && split; i++)
            twice |= !strcmp(suite->tasks[i]->name, task->name);
        if (twice)
            stage_error(r, a->stage, error_new(ERROR_RECIPE, c->at, "name it once", "the suite has '%s' twice", task->name));
        good &= split && !twice;
        if (!split || twice)
            continue;
        suite->tasks[suite->n_tasks] = task;
        suite->splits[suite->n_tasks++] = split;
    }
    return good;
}

static bool read_tree(struct asked *a, const struct node *node, const struct node *root, struct suite_file *suite)
{
    static const char *const keys[] = {"suite", "title"};
    const struct node *list = root->kind == NODE_MAP ? node_get(root, "suite") : NULL;
    if (!list || list->kind != NODE_LIST || !list->n || list->n > MOST_TASKS) {
        stage_error(
            a->r, a->stage,
            error_while(error_new(ERROR_RECIPE, list ? list->at : root->at, "write suite: [{task: NAME, source: ...}, NAME]",
                                  list && list->n > MOST_TASKS ? "a suite of more than 200 tasks"
                                                               : "the file has no list of tasks `suite:`"),
                        node->at, "reading the suite '%s'", node->text));
        return false;
    }
    check_keys(a->r, root, keys, (int)countof(keys));
    read_title(a, root, suite);
    return read_entries(a, node, list, suite);
}

static const char *name_of(struct reader *r, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return reader_have(r, arena_strndup(r->arena, name, strlen(name) - strlen(".yaml")));
}

// Reads a file that no stage named before. NULL: reported.
static const struct suite_file *read_suite(struct asked *a, const struct node *node, const char *path)
{
    struct reader *r = a->r;
    struct suite_file *suite = reader_have(r, arena_alloc(r->arena, sizeof *suite));
    const char *name = name_of(r, path);
    struct node *root;
    struct error *found;
    int before = r->n_errors;
    if (!suite || !name || !tree_of_file(a, node, path, &root, &found))
        return NULL;
    *suite = (struct suite_file){.name = name, .title = name, .path = path};
    if (found || !root) {
        stage_error(r, a->stage, error_while(found, node->at, "reading the suite '%s'", node->text));
        return NULL;
    }
    return read_tree(a, node, root, suite) && r->n_errors == before ? suite : NULL;
}

static void keep_suite(struct reader *r, const struct suite_file *suite)
{
    struct recipe *recipe = r->recipe;
    const struct suite_file **suites = reader_have(
        r, arena_grow(r->arena, recipe->suites, (size_t)recipe->n_suites, (size_t)recipe->n_suites + 1, sizeof *suites));
    if (!suites)
        return;
    recipe->suites = suites;
    suites[recipe->n_suites++] = suite;
}

static const struct suite_file *get_suite(struct asked *a, const struct node *node, const char *path)
{
    struct reader *r = a->r;
    for (const struct suite_slot *s = r->suites; s; s = s->next)
        if (!strcmp(s->path, path))
            return s->suite;
    struct suite_slot *slot = reader_have(r, arena_alloc(r->arena, sizeof *slot));
    if (!slot)
        return NULL;
    *slot = (struct suite_slot){.path = path, .suite = read_suite(a, node, path), .next = r->suites};
    r->suites = slot;
    if (slot->suite)
        keep_suite(r, slot->suite);
    return slot->suite;
}

// --- suites of an evaluation ------------------------------------------------------------------------------------------------------

struct uses {
    struct mixture_use *use;
    int n, capacity;
};

static void add_use(struct asked *a, struct uses *uses, const struct node *item, const struct task_file *task,
                    const struct task_split *split, const struct suite_file *suite)
{
    struct reader *r = a->r;
    for (int i = 0; i < uses->n; i++)
        if (!strcmp(uses->use[i].task->name, task->name)) {
            stage_error(r, a->stage,
                        error_new(ERROR_RECIPE, item->at, "leave it out once", "suites asks '%s' twice", task->name));
            return;
        }
    if (uses->n == uses->capacity) {
        int more = uses->capacity ? 2 * uses->capacity : 32;
        struct mixture_use *grown = reader_have(r, arena_grow(r->arena, uses->use, (size_t)uses->n, (size_t)more, sizeof *grown));
        if (!grown)
            return;
        uses->use = grown;
        uses->capacity = more;
    }
    uses->use[uses->n++] = (struct mixture_use){.task = task,
                                                .split = split,
                                                .suite = suite,
                                                .epochs = 1,
                                                .rows = FIELD_UNSET_INT,
                                                .at = item->at,
                                                .epochs_at = item->at};
}

// A task that shows worked examples draws them from those that are asked.
static void check_examples(struct asked *a, const struct mixture_use *use)
{
    const struct eval_options *o = a->stage->options;
    const struct setting *setting = stage_setting(a->stage, "examples");
    if (!grader_is_prompted(use->task->task.grader) || o->examples == FIELD_UNSET_INT || o->examples > use->task->task.shots)
        return;
    stage_error(a->r, a->stage,
                error_while(error_new(ERROR_RECIPE, setting->at, "ask more",
                                      "examples is %lld, and task '%s' shows %lld of them before each question",
                                      (long long)o->examples, use->task->name, (long long)use->task->task.shots),
                            use->at, "looking at its suites"));
}

void suites_read(struct reader *r, struct recipe_stage *stage, const struct node *suites)
{
    struct eval_options *o = stage->options;
    struct asked a = {.r = r, .stage = stage, .split = "test", .graded = true, .prompted = true};
    struct uses uses = {0};
    const struct node *item = suites->kind == NODE_LIST ? suites->first : suites;
    for (int i = 0; i < o->suites.n && item && !reader_full(r); i++, item = item->next) {
        const char *name = o->suites.names[i], *path = NULL;
        bool twice = false;
        for (int before = 0; before < i; before++)
            twice |= strcmp(o->suites.names[before], name) == 0;
        if (twice) {
            stage_error(r, stage, error_new(ERROR_RECIPE, item->at, "name it once", "suites names '%s' twice", name));
        } else if (strcmp(name, "bpb") == 0) {
            continue;
        } else if ((path = suite_path(r, name))) {
            const struct suite_file *suite = get_suite(&a, item, path);
            for (int k = 0; suite && k < suite->n_tasks; k++)
                add_use(&a, &uses, item, suite->tasks[k], suite->splits[k], suite);
        } else {
            const struct task_file *task = task_named(&a, item, name);
            const struct task_split *split = task ? split_named(&a, task, a.split, item->at) : NULL;
            if (split)
                add_use(&a, &uses, item, task, split, NULL);
        }
    }
    o->tasks = (struct mixture_uses){.n = uses.n, .uses = uses.use};
    for (int i = 0; i < uses.n && !reader_full(r); i++)
        check_examples(&a, &uses.use[i]);
}
