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
#include "runner/recipe/number.h"
#include "runner/recipe/reader.h"

enum { MOST_SPLITS = 100, MOST_LETTER_BYTES = 16, MOST_ROWS = 100000000 };

static const char *const grader_names[GRADER_COUNT] = {"none", "choice", "number", "exact"};

struct task_reader {
    struct reader *r;
    const struct node *root;
    struct task_file *file;
    const struct node *names; // FILES, of the task or of the recipe's source that takes their place; NULL: a world
    const char *base;         // the folder of the task's own files; NULL: that of the node
    bool replaced;
};

static void report_of(struct task_reader *t, struct place at, const char *fix, const char *what, const char *name)
{
    reader_error(t->r, error_new(ERROR_RECIPE, at, fix, "%s '%.80s'", what, name));
}

static void report(struct task_reader *t, struct place at, const char *fix, const char *what)
{
    reader_error(t->r, error_new(ERROR_RECIPE, at, fix, "%s", what));
}

static const char *text_of(struct task_reader *t, const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    return node ? scalar_text(t->r, node, key) : NULL;
}

static bool is_map(struct task_reader *t, const struct node *node, const char *fix)
{
    if (node->kind != NODE_MAP)
        reader_error(t->r, error_new(ERROR_RECIPE, node->at, fix, "%s is not a map", node->key));
    return node->kind == NODE_MAP;
}

// The paths that a field of the task is read by: messages by one for roles and one for contents. How many; 0: no memory.
static int paths_of(struct task_reader *t, const char *key, const char *text, const char *paths[TASK_PATHS])
{
    struct task talk = {.name = "", .messages = text};
    int n = 1;
    paths[0] = text;
    if (!strcmp(key, "messages"))
        reader_error(t->r, task_paths(&talk, t->r->arena, paths, &n));
    return t->r->no_memory ? 0 : n;
}

// What no data can have is an error of the line that asks for it.
static bool check_path(struct task_reader *t, struct place at, const char *path)
{
    struct error *e = record_path_check(path);
    if (!e || e == error_memory()) {
        reader_error(t->r, e);
        return !e;
    }
    reader_error(t->r, error_new(ERROR_RECIPE, at, e->fix ? e->fix : "write a shorter one", "%s", e->what));
    error_free(e);
    return false;
}

// "question | train.question"
static const char *read_path(struct task_reader *t, const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    const char *text = node ? scalar_text(t->r, node, key) : NULL, *paths[TASK_PATHS];
    if (text && check_path(t, node->at, text) && paths_of(t, key, text, paths))
        check_path(t, node->at, paths[0]);
    return text;
}

static void read_fields(struct task_reader *t, struct task *task)
{
    static const char *const keys[] = {"messages", "question", "answer", "choices", "labels", "right", "wrong"};
    const char **to[] = {&task->messages, &task->question, &task->answer, &task->choices,
                         &task->labels,   &task->right,    &task->wrong};
    const struct node *map = node_get(t->root, "fields");
    if (!map)
        report(t, t->root->at, "write fields: {question: question, answer: answer}",
               "the task does not say which fields its rows have");
    if (!map || !is_map(t, map, "write fields: {question: question, answer: answer}"))
        return;
    check_keys(t->r, map, keys, (int)countof(keys));
    for (size_t i = 0; i < countof(keys); i++)
        *to[i] = read_path(t, map, keys[i]);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, part)); s += strlen(part))
        n++;
    return n;
}

// "<<{call}={output}>>" into what stands before, between and after.
static void read_calls(struct task_reader *t, struct task *task)
{
    const struct node *node = node_get(t->root, "calls");
    const char *text = node ? scalar_text(t->r, node, "calls") : NULL;
    if (!text)
        return;
    const char *call = strstr(text, "{call}"), *output = call ? strstr(call, "{output}") : NULL;
    const char *middle = call ? call + strlen("{call}") : NULL, *end = output ? output + strlen("{output}") : NULL;
    if (!end || call == text || middle == output || !*end || count(text, "{call}") != 1 || count(text, "{output}") != 1) {
        report(t, node->at, "write what stands before, between and after: \"<<{call}={output}>>\"",
               "calls does not say how calls are marked");
        return;
    }
    task->call_begin = reader_have(t->r, arena_strndup(t->r->arena, text, (size_t)(call - text)));
    task->call_middle = reader_have(t->r, arena_strndup(t->r->arena, middle, (size_t)(output - middle)));
    task->call_end = end;
}

static void read_letters(struct task_reader *t, const struct node *list, struct task *task)
{
    if (list->kind != NODE_LIST || list->n < 2 || list->n > TASK_LETTERS) {
        report(t, list->at, "write [A, B, C, D]", "letters takes a list of 2 to 26");
        return;
    }
    for (const struct node *c = list->first; c; c = c->next) {
        const char *letter = scalar_text(t->r, c, "a letter");
        if (!letter)
            continue;
        if (strlen(letter) > MOST_LETTER_BYTES)
            report(t, c->at, "take single letters", "a letter of more than 16 bytes");
        for (int i = 0; i < task->n_letters; i++)
            if (strcmp(task->letters[i], letter) == 0) {
                report_of(t, c->at, "take different letters", "the same letter twice", letter);
                break;
            }
        task->letters[task->n_letters++] = letter;
    }
}

static void read_choices(struct task_reader *t, struct task *task)
{
    static const char *const keys[] = {"line", "letters"};
    const struct node *map = node_get(t->root, "choices");
    if (!map || !is_map(t, map, "write choices: {line: \"- {choice}={letter}\\n\", letters: [A, B, C, D]}"))
        return;
    check_keys(t->r, map, keys, (int)countof(keys));
    const struct node *letters = node_get(map, "letters");
    task->choice_line = text_of(t, map, "line");
    if (task->choice_line && (count(task->choice_line, "{choice}") != 1 || count(task->choice_line, "{letter}") != 1))
        report(t, node_get(map, "line")->at, "write \"- {choice}={letter}\\n\"",
               "the line of a choice has {choice} and {letter} once each");
    if (letters)
        read_letters(t, letters, task);
}

static void read_grader(struct task_reader *t, struct task *task)
{
    const struct node *node = node_get(t->root, "grader"), *baseline = node_get(t->root, "baseline"),
                      *labels = node_get(t->root, "labels");
    const char *name = node ? scalar_text(t->r, node, "grader") : NULL;
    const char *guess = baseline ? scalar_text(t->r, baseline, "baseline") : NULL;
    const char *dealt = labels ? scalar_text(t->r, labels, "labels") : NULL;
    if (name && strcmp(name, "python_tests") == 0) { // as good as none until it is built; who scores by it is told
        t->file->unbuilt_grader = node->at;
        name = NULL;
    }
    for (int i = 0; name && i < GRADER_COUNT; i++)
        if (strcmp(grader_names[i], name) == 0) {
            task->grader = (enum task_grader)i;
            name = NULL;
        }
    if (name)
        reader_error(t->r, unknown_word(node->at, "grader", name, grader_names, GRADER_COUNT));
    struct error *e = guess ? number_real(guess, false, baseline->at, "baseline", &task->baseline) : NULL;
    if (!e && guess && !(task->baseline >= 0 && task->baseline < 1))
        e = error_new(ERROR_RECIPE, baseline->at, "write the share that guessing gets right: 0.25 of four choices",
                      "baseline is %s", guess);
    reader_error(t->r, e);
    task->shuffled_labels = dealt && strcmp(dealt, "shuffled") == 0;
    if (dealt && !task->shuffled_labels)
        report_of(t, labels->at, "write labels: shuffled, a control that nothing can learn, or leave it out", "labels is", dealt);
}

// A key that stands in the way of what the task is.
static void refuse(struct task_reader *t, const struct node *map, const char *key, const char *why)
{
    const struct node *node = node_get(map, key);
    if (node)
        reader_error(t->r, error_new(ERROR_RECIPE, node->key_at, "leave it out", "'%s' of %s", key, why));
}

static void refuse_all(struct task_reader *t, const struct node *map, const char *const *keys, size_t n, const char *why)
{
    for (size_t i = 0; i < n; i++)
        refuse(t, map, keys[i], why);
}

static void check_prompt(struct task_reader *t, const struct task *task, bool choices)
{
    const struct node *node = node_get(t->root, "prompt");
    if (!task->prompt)
        return;
    if (count(task->prompt, "{question}") != 1)
        report(t, node->at, "write \"{question}\", and what stands around it", "the prompt has not one {question}");
    if (count(task->prompt, "{choices}") != choices)
        report(t, node->at, choices ? "write \"{question}\\n{choices}\"" : "leave {choices} out",
               choices ? "the prompt has not one {choices}" : "the prompt has {choices}, and the task has none");
}

// What the task is: a conversation, a question with choices, or a question with a text for an answer.
static void check_form(struct task_reader *t, struct task *task)
{
    static const char *const of_questions[] = {"question", "answer", "choices", "labels", "right", "wrong"};
    static const char *const around_questions[] = {"prompt", "choices", "calls", "labels"};
    static const char *const of_choices[] = {"choices", "labels"}, *const of_text[] = {"labels", "choices"};
    const struct node *map = node_get(t->root, "fields"), *grader = node_get(t->root, "grader");
    if (!map || map->kind != NODE_MAP)
        return;
    bool choices = node_get(map, "choices"), pair = node_get(map, "right") || node_get(map, "wrong");
    struct place at = grader ? grader->at : map->key_at;
    if (node_get(map, "messages")) {
        refuse_all(t, map, of_questions, countof(of_questions), "a task of messages");
        refuse_all(t, t->root, around_questions, countof(around_questions), "a task of messages");
        if (task->grader != GRADER_NONE)
            report(t, at, "leave it out", "messages cannot be graded");
        return;
    }
    if (!node_get(map, "question"))
        report(t, map->key_at, "map question, or messages", "the task has neither messages nor a question");
    if (pair) {
        refuse(t, map, "answer", "a task with right and wrong choices");
        refuse_all(t, map, of_choices, countof(of_choices), "a task with right and wrong choices");
        if (!node_get(map, "right") || !node_get(map, "wrong"))
            report(t, map->key_at, "map both", "right and wrong choices need each other");
    } else if (!node_get(map, "answer")) {
        report(t, map->key_at, "map answer, or right and wrong", "the task has no answer");
    }
    choices |= pair;
    if (choices) {
        refuse(t, t->root, "calls", "a task with choices");
        if (task->labels && task->n_letters)
            report(t, node_get(t->root, "choices")->at, "leave the letters out", "the rows have labels of their own");
        if (task->grader != GRADER_NONE && task->grader != GRADER_CHOICE)
            report_of(t, at, "write grader: choice", "choices are not graded by", grader_names[task->grader]);
    } else {
        refuse_all(t, t->root, of_text, countof(of_text), "a task without choices");
        refuse(t, map, "labels", "a task without choices");
        if (task->grader == GRADER_CHOICE)
            report(t, at, "map choices, or write grader: number or exact", "there are no choices to grade");
    }
    check_prompt(t, task, choices);
    if (choices && !task->labels && !task->n_letters) {
        static const char *const letters[] = {"A", "B", "C", "D"};
        memcpy(task->letters, letters, sizeof letters);
        task->n_letters = (int)countof(letters);
    }
}

static bool split_name_is_good(const char *s)
{
    return *s && strlen(s) <= 60 && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

static void read_rows_of_split(struct task_reader *t, const struct node *map, struct task_split *split)
{
    static const char *const keys[] = {"rows", "held_out"};
    if (map->kind != NODE_MAP) {
        report_of(t, map->at, "write {rows: 1000}", "a world's split is not a map", map->key);
        return;
    }
    check_keys(t->r, map, keys, (int)countof(keys));
    const char *rows = text_of(t, map, "rows"), *held_out = text_of(t, map, "held_out");
    if (!node_get(map, "rows"))
        report_of(t, map->key_at, "write {rows: 1000}", "the split does not say how many rows there are", map->key);
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
        report_of(t, at, "take letters, digits, '_' and '-'", "not the name of a split", name);
    if (task_split_find(file, name))
        report_of(t, at, "name it once", "the same split twice", name);
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

static void read_splits(struct task_reader *t)
{
    const struct node *splits = node_get(t->root, "splits");
    const char *fix = t->file->form == DOCUMENT_WORLD ? "write splits: {train: {rows: 4000}, test: {rows: 200, held_out: true}}"
                                                      : "write splits: [train, test]";
    if (!splits || splits->kind == NODE_SCALAR || !splits->n || splits->n > MOST_SPLITS) {
        report(t, splits ? splits->at : t->root->at, fix,
               splits && splits->n > MOST_SPLITS ? "more than 100 splits" : "the task does not say which splits there are");
        return;
    }
    // A recipe's files can stand in for a world's records, whose splits are a map.
    bool world = t->file->form == DOCUMENT_WORLD;
    if (world != (splits->kind == NODE_MAP) && !t->replaced) {
        report(t, splits->at, fix, world ? "splits of a world are a map" : "splits of files are a list of names");
        return;
    }
    t->file->splits = reader_have(t->r, arena_array(t->r->arena, (size_t)splits->n, sizeof *t->file->splits));
    if (t->names && splits->n > 1 && !files_have_split(t->names))
        report(t, t->names->at, "write {split} where the names differ", "all splits of the task have the same files");
    for (const struct node *c = splits->first; c && t->file->splits && !reader_full(t->r); c = c->next) {
        const char *name = c->key ? c->key : scalar_text(t->r, c, "a split");
        if (name)
            read_split(t, c, name);
    }
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
    int n = paths_of(t, field->key, field->text, paths);
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
        report(t, source->at, "write {world: FILE, records: LIST}",
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

// The folder of the task's files, for those that are relative.
static void find_base(struct task_reader *t)
{
    struct reader *r = t->r;
    bool relative = false;
    for (const struct node *c = t->names->kind == NODE_LIST ? t->names->first : t->names; c; c = t->names == c ? NULL : c->next)
        relative |=
            c->kind == NODE_SCALAR && *c->text && *c->text != '/' && strncmp(c->text, "file:/", 6) && !strstr(c->text, "://");
    if (relative)
        read_data(r);
    t->base = r->data ? r->data : "";
    if (!relative || r->data || r->no_data_told)
        return;
    r->no_data_told = true; // one hint is enough for all the tasks of a recipe
    report_of(t, r->asking ? r->asking->at : t->names->at, "set data: FOLDER in the recipe, or -s data=FOLDER",
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
    report_of(t, source->key_at, "write {split} for the split in its files, or rename it",
              "no {split} in a source that takes the place of the files of task", source->key);
    return true;
}

static void read_source(struct task_reader *t)
{
    static const char *const keys[] = {"parquet", "jsonl", "world", "records", "skip_bad"};
    const struct node *source = node_get(t->root, "source");
    const char *fix = "write source: {parquet: \"x/{split}.parquet\"}";
    if (!source || source->kind != NODE_MAP) {
        report(t, source ? source->at : t->root->at, fix, "the task does not say where its rows are");
        return;
    }
    t->file->at = source->key_at;
    check_keys(t->r, source, keys, (int)countof(keys));
    const struct node *parquet = node_get(source, "parquet"), *jsonl = node_get(source, "jsonl"),
                      *world = node_get(source, "world");
    if (!parquet + !jsonl + !world != 2) {
        report(t, source->at, fix, "the source of a task is one of parquet, jsonl, world");
        return;
    }
    if (find_replacement(t))
        return;
    if (world) {
        refuse(t, source, "skip_bad", "a world");
        read_world(t, source, world);
        return;
    }
    refuse(t, source, "records", "files");
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
    json_text_of(&j, "answer", task->answer);
    json_text_of(&j, "call_begin", task->call_begin);
    json_text_of(&j, "call_end", task->call_end);
    json_text_of(&j, "call_middle", task->call_middle);
    json_text_of(&j, "choice_line", task->choice_line);
    json_text_of(&j, "choices", task->choices);
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
    if (task->shuffled_labels)
        json_key(&j, "shuffled_labels"), json_bool(&j, true);
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
        report(t, t->root->at, "begin with task: NAME", "the task has no name");
    else if (name && !name_is_good(name))
        report_of(t, node->at, "names are lower case letters, digits and _, beginning with a letter", "not the name of a task",
                  name);
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
    static const char *const keys[] = {"task",   "source", "splits",   "fields", "prompt",    "choices", "calls",
                                       "grader", "labels", "baseline", "shots",  "delimiter", "examples"};
    enum { BUILT = 10 };
    struct task_reader t = {.r = r, .root = root, .file = file};
    *file = (struct task_file){.path = path, .name = ""};
    if (root->kind != NODE_MAP) {
        report(&t, root->at, "begin with task: NAME", "the file of a task is not a map");
        return;
    }
    check_keys(r, root, keys, (int)countof(keys));
    refuse_variables(r, root);
    for (int i = BUILT; i < (int)countof(keys); i++)
        if (node_get(root, keys[i]))
            reader_error(r, error_new(ERROR_NOT_BUILT, node_get(root, keys[i])->key_at, "take it out",
                                      "'%s' of a task is not built in this version", keys[i]));
    read_name(&t);
    read_fields(&t, &file->task);
    file->task.name = file->name;
    file->task.prompt = text_of(&t, root, "prompt");
    read_calls(&t, &file->task);
    read_choices(&t, &file->task);
    read_grader(&t, &file->task);
    check_form(&t, &file->task);
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
