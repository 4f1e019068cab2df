// task_file.c - the tree of a task's file to a task, its files written out split by split.
//
// 1. Everything wrong in a file is reported at once; what a task is (messages, choices or text) decides which keys fit, and is looked
//    at last.
// 2. Nothing but a world's file is opened: whether the others are there is the plan's question.
// 3. `content` says what a row becomes, and nothing else: how it is graded, what the task is called and where its files are changes
//    no key of its tokens.
#include "runner/recipe/task_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/store/metrics.h"
#include "runner/recipe/number.h"
#include "runner/recipe/task_reader.h"

enum { MOST_SPLITS = 100, MOST_ROWS = 100000000 };

static bool split_name_is_good(const char *s)
{
    return *s && strlen(s) <= 60 && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

static void read_rows_of_split(struct task_reader *t, const struct node *map, struct task_split *split)
{
    static const char *const keys[] = {"rows", "held_out"};
    if (map->kind != NODE_MAP) {
        task_report_of(t, map->at, "write {rows: 1000}", "a world's split is not a map", map->key);
        return;
    }
    check_keys(t->r, map, keys, (int)countof(keys));
    const char *rows = task_text(t, map, "rows"), *held_out = task_text(t, map, "held_out");
    if (!node_get(map, "rows"))
        task_report_of(t, map->key_at, "write {rows: 1000}", "the split does not say how many rows there are", map->key);
    struct error *e = rows ? number_int(rows, true, node_get(map, "rows")->at, "rows", &split->rows) : NULL;
    if (!e && rows && (split->rows < 1 || split->rows > MOST_ROWS))
        e = error_new(ERROR_RECIPE, node_get(map, "rows")->at, "rows must be between 1 and 100,000,000", "rows is %s", rows);
    reader_error(t->r, e);
    if (held_out)
        reader_error(t->r, number_bool(held_out, node_get(map, "held_out")->at, "held_out", &split->held_out));
}

static void read_split(struct task_reader *t, const struct node *node, const char *name)
{
    struct task_file *file = t->file;
    struct task_split *split = &file->splits[file->n_splits];
    *split = (struct task_split){.name = name, .rows = -1};
    struct place at = node->key ? node->key_at : node->at;
    if (!split_name_is_good(name))
        task_report_of(t, at, "take letters, digits, '_' and '-'", "not the name of a split", name);
    if (task_split_find(file, name))
        task_report_of(t, at, "name it once", "the same split twice", name);
    file->n_splits++;
    if (t->names) {
        struct files files;
        files_read(t->r, t->names, t->base, name, &files);
        split->files = files.names;
        split->n_files = files.n;
        return;
    }
    if (node->key)
        read_rows_of_split(t, node, split);
    split->files = file->world ? &file->world->path : NULL;
    split->n_files = file->world != NULL;
}

// Files of what is no split of the task.
static void check_splits_of_files(struct task_reader *t, const struct node *splits)
{
    const char *names[MOST_SPLITS];
    int n = 0;
    for (const struct node *c = splits->first; c && n < MOST_SPLITS; c = c->next)
        if (c->key || c->kind == NODE_SCALAR)
            names[n++] = c->key ? c->key : c->text;
    check_words(t->r, t->names, "split", names, n);
}

static void read_splits(struct task_reader *t)
{
    const struct node *splits = node_get(t->root, "splits");
    const char *fix = t->file->form == DOCUMENT_WORLD ? "write splits: {train: {rows: 4000}, test: {rows: 200, held_out: true}}"
                      : t->r->suite                   ? "write splits: [test]"
                                                      : "write splits: [train, test]";
    if (!splits && t->grader_unknown)
        return;
    if (!splits && grader_is_prompted(t->file->task.grader) && t->file->form != DOCUMENT_WORLD) { // there is one thing to ask
        t->file->splits = reader_have(t->r, arena_array(t->r->arena, 1, sizeof *t->file->splits));
        if (t->file->splits)
            read_split(t, t->root, "test");
        return;
    }
    if (!splits || splits->kind == NODE_SCALAR || !splits->n || splits->n > MOST_SPLITS) {
        task_report(t, splits ? splits->at : t->root->at, fix,
                    splits && splits->n > MOST_SPLITS ? "more than 100 splits" : "the task does not say which splits there are");
        return;
    }
    // A recipe's files can stand in for a world's records, whose splits are a map.
    bool world = t->file->form == DOCUMENT_WORLD;
    if (world != (splits->kind == NODE_MAP) && !t->replaced) {
        task_report(t, splits->at, fix, world ? "splits of a world are a map" : "splits of files are a list of names");
        return;
    }
    t->file->splits = reader_have(t->r, arena_array(t->r->arena, (size_t)splits->n, sizeof *t->file->splits));
    if (t->names && splits->n > 1 && !files_have_split(t->names))
        task_report(t, t->names->at, "write {split} where the names differ", "all splits of the task have the same files");
    for (const struct node *c = splits->first; c && t->file->splits && !reader_full(t->r); c = c->next) {
        const char *name = c->key ? c->key : scalar_text(t->r, c, "a split");
        bool has_files = !t->names || t->names->kind != NODE_MAP || (name && node_get(t->names, name));
        if (name && has_files)
            read_split(t, c, name);
    }
    if (t->names && t->names->kind == NODE_MAP)
        check_splits_of_files(t, splits);
}

// Whether the records of the list have a field that is an alternative of the path.
static bool records_have(const struct world_record_template *records, const char *path)
{
    for (const char *s = path; s;) {
        const char *bar = strstr(s, " | ");
        size_t n = bar ? (size_t)(bar - s) : strlen(s);
        for (int i = 0; i < records->n_fields; i++)
            if (strlen(records->fields[i].name) == n && memcmp(records->fields[i].name, s, n) == 0)
                return true;
        s = bar ? bar + 3 : NULL;
    }
    return false;
}

// Whether they have all that a field of the task is read by.
static bool records_fit(struct task_reader *t, const struct world_record_template *records, const struct node *field)
{
    const char *paths[TASK_PATHS];
    int n = task_paths_of(t, field->key, field->text, paths);
    for (int i = 0; i < n; i++)
        if (!records_have(records, paths[i]))
            return false;
    return true;
}

static void check_records(struct task_reader *t, const struct node *node)
{
    const struct world *world = t->file->world;
    const struct world_record_template *found = NULL;
    const struct node *map = node_get(t->root, "fields");
    const char *lists[64], *names[64];
    int n_lists = 0, n_names = 0;
    for (int i = 0; i < world->n_records; i++) {
        if (!found && strcmp(world->records[i].list, t->file->records) == 0)
            found = &world->records[i];
        if (n_lists < (int)countof(lists) && (i == 0 || strcmp(world->records[i - 1].list, world->records[i].list)))
            lists[n_lists++] = world->records[i].list;
    }
    if (!found) {
        reader_error(t->r, unknown_word(node->at, "list of records", t->file->records, lists, n_lists));
        return;
    }
    for (int i = 0; i < found->n_fields && n_names < (int)countof(names); i++)
        names[n_names++] = found->fields[i].name;
    for (const struct node *c = map && map->kind == NODE_MAP ? map->first : NULL; c; c = c->next)
        if (c->kind == NODE_SCALAR && !records_fit(t, found, c))
            reader_error(t->r, unknown_word(c->at, "field of the records", c->text, names, n_names));
}

static void read_world(struct task_reader *t, const struct node *source, const struct node *node)
{
    struct task_file *file = t->file;
    const struct node *records = node_get(source, "records");
    const char *name = file_name(t->r, node, "world"), *path = name ? node_file(t->r, node, name) : NULL;
    file->form = DOCUMENT_WORLD;
    file->records = records ? scalar_text(t->r, records, "records") : NULL;
    if (!records)
        task_report(t, source->at, "write {world: FILE, records: LIST}",
                    "the task does not say which records of the world its rows are");
    file->world = path ? world_read(t->r, node, path, "task", file->name) : NULL;
    if (file->world && file->records)
        check_records(t, records);
}

// The folder that the recipe names in data:, once, and only where a task needs it.
static void read_data(struct reader *r)
{
    const struct node *node = r->data_read ? NULL : node_get(r->root, "data");
    bool told = node && (is_unresolved(node) || node->kind != NODE_SCALAR || !*node->text);
    r->data_read = true;
    r->no_data_told |= node != NULL; // what is wrong with it is told here, or was
    const char *name = node && !told ? data_name(r, node, "data") : NULL;
    if (name)
        r->data = node_file(r, node, name);
}

static bool has_relative(const struct node *names)
{
    const char *text = names->text;
    bool relative = names->kind == NODE_SCALAR && *text && *text != '/' && strncmp(text, "file:/", 6) && !strstr(text, "://");
    for (const struct node *c = names->kind == NODE_SCALAR ? NULL : names->first; c && !relative; c = c->next)
        relative = has_relative(c);
    return relative;
}

// The folder of the task's files, for those that are relative.
static void find_base(struct task_reader *t)
{
    struct reader *r = t->r;
    bool relative = has_relative(t->names);
    if (relative)
        read_data(r);
    t->base = r->data ? r->data : "";
    if (!relative || r->data || r->no_data_told)
        return;
    r->no_data_told = true; // one hint is enough for all the tasks of a recipe
    task_report_of(t, r->asking ? r->asking->at : t->names->at, "set data: FOLDER in the recipe, or -s data=FOLDER",
                   "nothing says where the data lies of task", t->file->name);
}

// The source of the recipe with the task's name, in whose place it is.
static bool find_replacement(struct task_reader *t)
{
    const struct node *sources = t->r->root && t->r->recipe ? node_get(t->r->root, "sources") : NULL;
    const struct node *source = sources && sources->kind == NODE_MAP ? node_get(sources, t->file->name) : NULL;
    static const char *const forms[] = {"parquet", "jsonl"};
    if (!source)
        return false;
    t->file->at = source->key_at;
    t->replaced = true;
    for (int i = 0; i < 2 && source->kind == NODE_MAP; i++) {
        const struct node *names = node_get(source, forms[i]);
        if (!names || !files_have_split(names))
            continue;
        t->names = names;
        t->file->skip_bad = skip_bad_read(t->r, source);
        t->file->form = i ? DOCUMENT_JSONL : DOCUMENT_PARQUET;
        return true;
    }
    task_report_of(t, source->key_at, "write {split} for the split in its files, or rename it",
                   "no {split} in a source that takes the place of the files of task", source->key);
    return true;
}

static void read_source(struct task_reader *t)
{
    static const char *const keys[] = {"parquet", "jsonl", "world", "records", "skip_bad"};
    const struct node *source = node_get(t->root, "source");
    const char *fix = "write source: {parquet: \"x/{split}.parquet\"}";
    if (!source || source->kind != NODE_MAP) {
        task_report(t, source ? source->at : t->root->at, fix, "the task does not say where its rows are");
        return;
    }
    t->file->at = source->key_at;
    check_keys(t->r, source, keys, (int)countof(keys));
    const struct node *parquet = node_get(source, "parquet"), *jsonl = node_get(source, "jsonl"),
                      *world = node_get(source, "world");
    if (!parquet + !jsonl + !world != 2) {
        task_report(t, source->at, fix, "the source of a task is one of parquet, jsonl, world");
        return;
    }
    if (find_replacement(t))
        return;
    if (world) {
        task_refuse(t, source, "skip_bad", "a world");
        read_world(t, source, world);
        return;
    }
    task_refuse(t, source, "records", "files");
    t->file->skip_bad = skip_bad_read(t->r, source);
    t->file->form = parquet ? DOCUMENT_PARQUET : DOCUMENT_JSONL;
    t->names = parquet ? parquet : jsonl;
    find_base(t);
}

static void json_text_of(struct json *j, const char *key, const char *text)
{
    if (!text)
        return;
    json_key(j, key);
    json_str(j, text);
}

// Keys in sorted order.
static const char *content_of(const struct task *task, struct arena *arena)
{
    struct json j = {0};
    json_open(&j, '{');
    bool is_prompted = grader_is_prompted(task->grader);
    json_text_of(&j, "answer", task->answer);
    json_text_of(&j, "answer_text", task->answer_text);
    if (is_prompted)
        json_key(&j, "baseline"), json_f64(&j, task->baseline);
    json_text_of(&j, "call_begin", task->call_begin);
    json_text_of(&j, "call_end", task->call_end);
    json_text_of(&j, "call_middle", task->call_middle);
    json_text_of(&j, "choice_line", task->choice_line);
    json_text_of(&j, "choices", task->choices);
    json_text_of(&j, "delimiter", task->delimiter);
    json_text_of(&j, "entry_point", task->entry_point);
    if (task->examples)
        json_key(&j, "examples"), json_i64(&j, task->examples);
    if (is_prompted)
        json_key(&j, "grader"), json_str(&j, grader_name(task->grader));
    json_text_of(&j, "labels", task->labels);
    if (task->n_letters) {
        json_key(&j, "letters"), json_open(&j, '[');
        for (int i = 0; i < task->n_letters; i++)
            json_str(&j, task->letters[i]);
        json_close(&j, ']');
    }
    json_text_of(&j, "messages", task->messages);
    json_text_of(&j, "prompt", task->prompt);
    json_text_of(&j, "question", task->question);
    json_text_of(&j, "right", task->right);
    if (is_prompted)
        json_key(&j, "shots"), json_i64(&j, task->shots);
    if (task->shuffled_labels)
        json_key(&j, "shuffled_labels"), json_bool(&j, true);
    json_text_of(&j, "tests", task->tests);
    json_key(&j, "version"), json_i64(&j, TASK_VERSION);
    json_text_of(&j, "wrong", task->wrong);
    json_close(&j, '}');
    const char *text = json_text(&j) ? arena_strdup(arena, j.text) : NULL;
    json_release(&j);
    return text;
}

static void read_name(struct task_reader *t)
{
    const struct node *node = node_get(t->root, "task");
    const char *name = node ? scalar_text(t->r, node, "task") : NULL;
    t->file->name = name ? name : "";
    if (!node)
        task_report(t, t->root->at, "begin with task: NAME", "the task has no name");
    else if (name && !name_is_good(name))
        task_report_of(t, node->at, "names are lower case letters, digits and _, beginning with a letter",
                       "not the name of a task", name);
    if (name && t->r->suite && strlen(t->r->suite) + 1 + strlen(name) >= SCORE_NAME)
        task_report_of(t, node->at, "take a shorter one", "too long for a table of scores is the name", name);
    if (name && t->r->suite)
        t->file->name = reader_have(t->r, arena_printf(t->r->arena, "%s/%s", t->r->suite, name));
    t->file->name = t->file->name ? t->file->name : "";
}

// Values of the recipe have no place in a file that many recipes share.
static void refuse_variables(struct reader *r, const struct node *node)
{
    if (is_unresolved(node))
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write the text itself; files are relative to the recipe's data folder",
                                  "'${' in the file of a task"));
    for (const struct node *c = node->first; c && !reader_full(r); c = c->next)
        refuse_variables(r, c);
}

void task_read(struct reader *r, const char *path, const struct node *root, struct task_file *file)
{
    static const char *const keys[] = {"task",  "source", "splits", "fields",   "prompt", "choices",   "answer",
                                       "calls", "grader", "labels", "baseline", "shots",  "delimiter", "examples"};
    struct task_reader t = {.r = r, .root = root, .file = file};
    *file = (struct task_file){.path = path, .name = ""};
    if (root->kind != NODE_MAP) {
        task_report(&t, root->at, "begin with task: NAME", "the file of a task is not a map");
        return;
    }
    if (node_get(root, "suite") && !node_get(root, "task")) {
        task_report(&t, node_get(root, "suite")->key_at,
                    "put it into suites/ beside the recipe, and name it in `suites:` without folder and ending",
                    "the file is one of suites, and no task");
        return;
    }
    check_keys(r, root, keys, (int)countof(keys));
    refuse_variables(r, root);
    read_name(&t);
    task_form_read(&t);
    read_source(&t);
    read_splits(&t);
    file->content = content_of(&file->task, r->arena);
    r->no_memory |= !file->content;
}

struct error *task_file_read(const char *path, const char *data, struct arena *arena, struct task_file *task)
{
    struct reader r = {.arena = arena, .data_read = true, .data = data};
    struct node *root;
    r.errors_end = &r.errors;
    const char *copy = arena_strdup(arena, path);
    if (!copy)
        return error_memory();
    reader_error(&r, yaml_read(copy, arena, &root));
    r.n_told = r.n_errors;
    if (root)
        task_read(&r, copy, root, task);
    if (!r.no_memory)
        return r.errors;
    error_free(r.errors);
    return error_memory();
}

struct error *task_file_of_jsonl(const char *path, struct arena *arena, struct task_file *task)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name), ending = strlen(".jsonl");
    *task = (struct task_file){.path = arena_strdup(arena, path),
                               .name = arena_strndup(arena, name, n > ending ? n - ending : n),
                               .task = {.messages = "messages | ."},
                               .form = DOCUMENT_JSONL,
                               .splits = arena_array(arena, 1, sizeof *task->splits),
                               .n_splits = 1};
    const char **files = arena_array(arena, 1, sizeof *files);
    task->task.name = task->name;
    task->content = content_of(&task->task, arena);
    if (!task->path || !task->name || !task->splits || !files || !task->content)
        return error_memory();
    files[0] = task->path;
    task->splits[0] = (struct task_split){.name = "train", .files = files, .n_files = 1, .rows = -1};
    return NULL;
}

static const char *shipped(const char *folder, const char *name, struct arena *arena)
{
    static const char *const beside[] = {"recipes",
                                         "share/retort/recipes"}; // of a build folder in the sources; of an installation
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    for (int up = 0; up < 2; up++) { // the folder above the program's
        char *slash = strrchr(program, '/');
        if (slash)
            *slash = 0;
    }
    for (size_t i = 0; i < countof(beside); i++) {
        const char *path = arena_printf(arena, "%s/%s/%s/%s.yaml", program, beside[i], folder, name);
        if (!path || (n > 0 && access(path, R_OK) == 0))
            return path;
    }
    return arena_printf(arena, "%s/%s/%s.yaml", RETORT_RECIPES, folder, name);
}

const char *task_file_shipped(const char *name, struct arena *arena)
{
    return shipped("tasks", name, arena);
}

const char *suite_file_shipped(const char *name, struct arena *arena)
{
    return shipped("suites", name, arena);
}

const char *world_file_shipped(const char *name, struct arena *arena)
{
    return shipped("worlds", name, arena);
}

const struct task_split *task_split_find(const struct task_file *task, const char *name)
{
    for (int i = 0; i < task->n_splits; i++)
        if (strcmp(task->splits[i].name, name) == 0)
            return &task->splits[i];
    return NULL;
}
