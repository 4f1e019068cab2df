// tasks.c - the tasks that a recipe names: where each is, what a mixture takes of it, which of them an evaluation asks.
//
// 1. A task is read once, however many stages name it, and what is wrong in it is told once, where it is first named.
// 2. Of `epochs` and `rows` the layer nearest to the user decides: -s over recipe. Two of one layer are an error.
#include "runner/recipe/reader.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/recipe/number.h"

static bool ends_in(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n > m && strcmp(s + n - m, ending) == 0;
}

const char *beside_recipe(struct reader *r, const char *folder, const char *name)
{
    const char *path = r->recipe->path, *slash = strrchr(path, '/');
    return reader_have(r, arena_printf(r->arena, "%.*s%s/%s.yaml", slash ? (int)(slash - path) + 1 : 0, path, folder, name));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Adds the names of a folder's NAME.yaml; a folder that is not there has none.
static void add_names(struct reader *r, const char *path, const char **names, int *n, int most)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *folder = slash ? reader_have(r, arena_strndup(r->arena, path, (size_t)(slash - path))) : NULL;
    DIR *dir = folder ? opendir(folder) : NULL;
    if (!dir)
        return;
    for (struct dirent *d; *n < most && (d = readdir(dir));)
        if (ends_in(d->d_name, ".yaml")) {
            char *name = reader_have(r, arena_strndup(r->arena, d->d_name, strlen(d->d_name) - strlen(".yaml")));
            if (name && name_is_good(name))
                names[(*n)++] = name;
        }
    closedir(dir);
}

static void unknown_task(struct asked *a, const struct node *node, const char *name, const char *own, const char *shipped)
{
    enum { MOST = 500 };
    const char *names[MOST + 1];
    int n = 0, kept = 0;
    if (a->graded && a->stage->kind == KIND_EVAL) {
        names[n++] = "bpb";
        add_names(a->r, beside_recipe(a->r, "suites", name), names, &n, MOST);
        add_names(a->r, suite_file_shipped(name, a->r->arena), names, &n, MOST);
    }
    add_names(a->r, own, names, &n, MOST);
    add_names(a->r, shipped, names, &n, MOST);
    qsort(names, (size_t)n, sizeof *names, by_text);
    for (int i = 0; i < n; i++)
        if (!kept || strcmp(names[kept - 1], names[i]))
            names[kept++] = names[i];
    stage_error(a->r, a->stage, unknown_word(node->at, "task", name, names, kept));
}

struct task_file *task_of_tree(struct asked *a, const struct node *node, const char *path, const struct node *root,
                               struct error *found, const char *suite)
{
    struct reader *r = a->r, of_task = *r;
    struct task_file *task = reader_have(r, arena_alloc(r->arena, sizeof *task));
    if (!task) {
        error_free(found);
        return NULL;
    }
    of_task.errors = NULL;
    of_task.errors_end = &of_task.errors;
    of_task.n_errors = of_task.n_told = 0;
    of_task.asking = node;
    of_task.suite = suite;
    reader_error(&of_task, found);
    of_task.n_told = of_task.n_errors;
    if (root)
        task_read(&of_task, path, root, task);
    r->n_files = of_task.n_files;
    r->file_bytes = of_task.file_bytes;
    r->worlds = of_task.worlds;
    r->n_worlds = of_task.n_worlds;
    r->worlds_capacity = of_task.worlds_capacity;
    r->no_data_told = of_task.no_data_told;
    r->data_read = of_task.data_read;
    r->data = of_task.data;
    r->no_memory |= of_task.no_memory;
    bool good = !of_task.errors && root;
    for (struct error *next, *each = of_task.errors; each; each = next) {
        next = each->next;
        each->next = NULL;
        if (each->at.line != node->at.line || strcmp(each->at.file, node->at.file))
            each = error_while(each, node->at, "reading the %s '%s'", suite ? "suite" : "task", node->text);
        stage_error(r, a->stage, each);
    }
    task->shown = task->name;
    task->seed = r->recipe->seed;
    return good ? task : NULL;
}

bool tree_of_file(struct asked *a, const struct node *node, const char *path, struct node **root, struct error **found)
{
    *root = NULL;
    *found = yaml_read(path, a->r->arena, root);
    for (struct error *each = *found; each && each != error_memory(); each = each->next)
        if (!each->at.file) { // the file cannot be read: that is an error of this line
            stage_error(a->r, a->stage, error_new(ERROR_RECIPE, node->at, each->fix, "%s", each->what));
            error_free(*found);
            return false;
        }
    return true;
}

// Reads a file that no stage named before. NULL: reported.
static struct task_file *read_task(struct asked *a, const struct node *node, const char *path)
{
    struct reader *r = a->r;
    if (ends_in(path, ".jsonl")) {
        struct task_file *task = reader_have(r, arena_alloc(r->arena, sizeof *task));
        struct error *e = task ? task_file_of_jsonl(path, r->arena, task) : NULL;
        reader_error(r, e);
        return e ? NULL : task;
    }
    struct node *root;
    struct error *found;
    return tree_of_file(a, node, path, &root, &found) ? task_of_tree(a, node, path, root, found, NULL) : NULL;
}

static void add_task(struct asked *a, const struct node *node, const char *path, struct task_file *task)
{
    struct reader *r = a->r;
    struct recipe *recipe = r->recipe;
    for (int i = 0; task && i < recipe->n_tasks; i++)
        if (strcmp(recipe->tasks[i]->name, task->name) == 0) {
            stage_error(r, a->stage,
                        error_new(ERROR_RECIPE, node->at, "rename one of them", "two tasks are called '%s': '%s' and '%s'",
                                  task->name, recipe->tasks[i]->path, path));
            task = NULL;
        }
    if (r->n_tasks == r->tasks_capacity) {
        int capacity = r->tasks_capacity ? 2 * r->tasks_capacity : 16;
        r->tasks = reader_have(r, arena_grow(r->arena, r->tasks, (size_t)r->n_tasks, (size_t)capacity, sizeof *r->tasks));
        recipe->tasks =
            reader_have(r, arena_grow(r->arena, recipe->tasks, (size_t)recipe->n_tasks, (size_t)capacity, sizeof *recipe->tasks));
        if (r->no_memory)
            return;
        r->tasks_capacity = capacity;
    }
    if (task) {
        task->shown = task->name;
        task->seed = recipe->seed;
    }
    r->tasks[r->n_tasks++] = (struct task_slot){.path = path, .task = task};
    if (task)
        recipe->tasks[recipe->n_tasks++] = task;
}

// Where the task of that name is. NULL: reported.
static const char *path_of(struct asked *a, const struct node *node, const char *name)
{
    struct reader *r = a->r;
    if (strpbrk(name, "./")) {
        const char *file = file_name(r, node, "task");
        if (!file)
            return NULL;
        if (strpbrk(file, "{}"))
            stage_error(r, a->stage, error_new(ERROR_RECIPE, node->at, "name one file", "a task is one file, not a pattern"));
        else if (!ends_in(file, ".jsonl") && !ends_in(file, ".yaml"))
            stage_error(r, a->stage,
                        error_new(ERROR_RECIPE, node->at, "name a .yaml that describes a task, or a .jsonl of conversations",
                                  "'%.80s' is no file of a task", name));
        else
            return node_file(r, node, file);
        return NULL;
    }
    if (!name_is_good(name)) {
        stage_error(r, a->stage,
                    error_new(ERROR_RECIPE, node->at, "name a task, or a file with '/' or '.' in its name",
                              "'%.80s' is not the name of a task", name));
        return NULL;
    }
    const char *own = beside_recipe(r, "tasks", name), *shipped = task_file_shipped(name, r->arena);
    r->no_memory |= !shipped;
    if (!own || !shipped || access(own, F_OK) == 0)
        return own && shipped ? own : NULL;
    if (access(shipped, F_OK) == 0)
        return shipped;
    unknown_task(a, node, name, own, shipped);
    return NULL;
}

const struct task_file *task_named(struct asked *a, const struct node *node, const char *name)
{
    struct reader *r = a->r;
    const char *path = path_of(a, node, name);
    if (!path)
        return NULL;
    int i = 0;
    while (i < r->n_tasks && strcmp(r->tasks[i].path, path))
        i++;
    if (i == r->n_tasks) {
        struct task_file *task = read_task(a, node, path);
        if (task && !strpbrk(name, "./") && strcmp(task->name, name)) {
            stage_error(r, a->stage,
                        error_new(ERROR_RECIPE, node->at, "let file and task have one name", "'%s' calls its task '%s'", path,
                                  task->name));
            task = NULL;
        }
        add_task(a, node, path, task);
    }
    const struct task_file *task = i < r->n_tasks ? r->tasks[i].task : NULL;
    if (task && !a->prompted && grader_is_prompted(task->task.grader)) {
        stage_error(r, a->stage,
                    error_new(ERROR_RECIPE, node->at, "name a task that is asked in a chat",
                              "task '%s' is asked as text, in evaluations only: no chat can be made of it", task->name));
        return NULL;
    }
    if (task && a->graded && task->task.grader == GRADER_NONE) {
        stage_error(r, a->stage,
                    error_new(ERROR_RECIPE, node->at, "name a task whose file has a grader",
                              "task '%s' has no grader: its answers cannot be told right from wrong", task->name));
        return NULL;
    }
    return task;
}

const struct task_split *split_named(struct asked *a, const struct task_file *task, const char *name, struct place at)
{
    const struct task_split *split = task_split_find(task, name);
    const char *names[100];
    int n = 0;
    while (!split && n < task->n_splits && n < (int)countof(names)) {
        names[n] = task->splits[n].name;
        n++;
    }
    if (split)
        return split;
    struct error *e = unknown_word(at, "split", name, names, n);
    if (!nearest_name(name, names, n) && e != error_memory()) { // say the key too: perhaps none was written
        error_free(e);
        char fix[400];
        int k = snprintf(fix, sizeof fix, "write split: %s", n ? names[0] : "");
        for (int i = 1; i < n && k < (int)sizeof fix - 70; i++)
            k += snprintf(fix + k, sizeof fix - (size_t)k, "%s%s", i == n - 1 ? " or " : ", ", names[i]);
        e = error_new(ERROR_RECIPE, at, fix, "task '%s' has no split '%.80s'", task->name, name);
    }
    stage_error(a->r, a->stage, e);
    return NULL;
}

static struct error *read_epochs(const struct node *node, const char *text, const char *task, double *epochs)
{
    struct error *e = number_real(text, false, node->at, "epochs", epochs);
    if (!e && !(*epochs > 0))
        e = error_new(ERROR_RECIPE, node->at, "set it above 0, or delete the task", "epochs of '%s' is %s", task, text);
    if (!e && *epochs > 1e6)
        e = error_new(ERROR_RECIPE, node->at, "set it to 1,000,000 at most", "epochs of '%s' is %s", task, text);
    return e;
}

static struct error *read_rows(const struct node *node, const char *text, const struct mixture_use *use, int64_t *rows)
{
    struct error *e = number_int(text, true, node->at, "rows", rows);
    if (!e && *rows < 1)
        e = error_new(ERROR_RECIPE, node->at, "set it above 0, or delete the task", "rows of '%s' is %s", use->task->name, text);
    if (!e && use->split->rows >= 0 && *rows > use->split->rows)
        e = error_new(ERROR_RECIPE, node->at, "take fewer, or write epochs: 2 to go through it twice",
                      "rows of '%s' is %s, and split '%s' has %lld", use->task->name, text, use->split->name,
                      (long long)use->split->rows);
    return e;
}

// epochs or rows of an entry.
static void read_amount(struct asked *a, const struct node *entry, struct mixture_use *use)
{
    const struct node *epochs = node_get(entry, "epochs"), *rows = node_get(entry, "rows");
    use->epochs = epochs || rows ? NAN : 1;
    use->rows = FIELD_UNSET_INT;
    use->epochs_at = use->at;
    bool epochs_set = epochs && node_layer(epochs) == BY_SETTING, rows_set = rows && node_layer(rows) == BY_SETTING;
    if (epochs && rows && epochs_set == rows_set) {
        bool epochs_first =
            epochs->at.line < rows->at.line || (epochs->at.line == rows->at.line && epochs->at.column < rows->at.column);
        const struct node *second = epochs_first ? rows : epochs;
        stage_error(a->r, a->stage,
                    error_new(ERROR_RECIPE, second->key_at, "keep one of them", "'epochs' and 'rows' exclude each other"));
        return;
    }
    const struct node *node = rows && !epochs_set ? rows : epochs;
    const char *text = node ? scalar_text(a->r, node, node->key) : NULL;
    if (!text)
        return;
    use->epochs_at = node->at;
    stage_error(a->r, a->stage,
                node == rows ? read_rows(node, text, use, &use->rows) : read_epochs(node, text, use->task->name, &use->epochs));
}

// Whether the entry is good enough to stand in the mixture.
static bool read_use(struct asked *a, const struct node *entry, struct mixture_use *use)
{
    static const char *const keys[] = {"task", "split", "epochs", "rows"};
    struct reader *r = a->r;
    *use = (struct mixture_use){.at = entry->at};
    if (entry->kind != NODE_MAP) {
        char fix[120] = "write {task: NAME}";
        if (entry->kind == NODE_SCALAR)
            snprintf(fix, sizeof fix, "write {task: %.80s}", entry->text);
        stage_error(r, a->stage, error_new(ERROR_RECIPE, entry->at, fix, "an entry of a mixture is a map"));
        return false;
    }
    check_keys(r, entry, keys, (int)countof(keys));
    const struct node *task = node_get(entry, "task"), *split = node_get(entry, "split");
    if (!task)
        stage_error(r, a->stage, error_new(ERROR_RECIPE, entry->at, "write {task: NAME}", "an entry of a mixture names no task"));
    const char *name = task ? scalar_text(r, task, "task") : NULL;
    const char *split_name = split ? scalar_text(r, split, "split") : a->split;
    use->task = name ? task_named(a, task, name) : NULL;
    if (!use->task || !split_name)
        return false;
    use->split = split_named(a, use->task, split_name, split ? split->at : task->at);
    if (!use->split)
        return false;
    read_amount(a, entry, use);
    return true;
}

void mixture_read(struct reader *r, struct recipe_stage *stage, const struct field *field, const struct node *node)
{
    struct mixture_uses *mixture = (struct mixture_uses *)(void *)((char *)stage->options + field->offset);
    struct asked a = {.r = r, .stage = stage, .split = "train", .graded = stage->kind == KIND_GRPO};
    if (node->kind != NODE_LIST || node->n == 0 || node->n > MOST_USES) {
        stage_error(r, stage,
                    error_new(ERROR_RECIPE, node->at, "write a list: [{task: NAME}, {task: NAME, epochs: 2}]",
                              node->kind != NODE_LIST ? "mixture is not a list of tasks"
                              : node->n               ? "a mixture of more than 1,000 entries"
                                                      : "an empty mixture"));
        return;
    }
    struct mixture_use *uses = reader_have(r, arena_array(r->arena, (size_t)node->n, sizeof *uses));
    int n = 0;
    for (const struct node *c = node->first; c && uses && !reader_full(r); c = c->next)
        n += read_use(&a, c, &uses[n]);
    *mixture = (struct mixture_uses){.n = n, .uses = uses};
}
