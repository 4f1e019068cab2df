// overlap_probe.c - the questions into an index, then all the text past it, a file a thread.
#include "runner/graph/overlap_probe.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/stop.h"
#include "core/data/task.h"
#include "core/eval/overlap.h"
#include "core/store/atomic.h"
#include "core/text/buffer.h"

enum { FILE_MOST = 64 << 20, HEX_SHOWN = 16 };

// Parts to read: of documents, or of rows of a task.
struct reading_part {
    const struct document_part *part;
    const struct task *task; // NULL: documents
};

struct probing {
    struct overlap_report *report;
    struct overlap index;
    struct arena *arena;
    struct reading_part *parts; // of the text, then those of mixtures
    int n_parts, n_text;
    int64_t *first_item; // of task i the first question; [n_tasks + 1]
    void (*tell)(void *self, int64_t bytes);
    void *self;
};

// ---- what there is to read

static struct error *not_there(const struct graph_part *part, struct place at, const char *how)
{
    return error_new(ERROR_MACHINE, at, part->url ? "`retort data RECIPE` fetches it" : "set where the data is: -s data=FOLDER",
                     "'%s', which is looked %s, is not there", part->url ? part->url : part->part.path, how);
}

static struct error *add_part(struct probing *p, const struct graph_part *part, const struct task *task)
{
    for (int i = 0; i < p->n_parts; i++)
        if (p->parts[i].part == &part->part)
            return NULL;
    if (part->is_missing)
        return not_there(part, NOWHERE, "through");
    struct reading_part *more = arena_grow(p->arena, p->parts, (size_t)p->n_parts, (size_t)p->n_parts + 1, sizeof *more);
    if (!more)
        return error_memory();
    more[p->n_parts++] = (struct reading_part){&part->part, task};
    p->parts = more;
    return NULL;
}

// Training parts of the token nodes in a role of stages of a kind.
static struct error *add_inputs(struct probing *p, const struct graph *graph, const char *role)
{
    struct error *e = NULL;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i]->n_inputs; k++) {
            const struct graph_node *from = graph->nodes[i]->inputs[k].node;
            if (strcmp(graph->nodes[i]->inputs[k].role, role) || from->kind != KIND_TOKENS)
                continue;
            for (int q = 0; q < from->n_parts && !e; q++)
                if (!from->parts[q].validation)
                    e = add_part(p, &from->parts[q], from->task ? &from->task->task : NULL);
        }
    return e;
}

// ---- texts of a row

static struct error *row_texts(const struct record *record, struct overlap_text **texts, int *n, int *capacity)
{
    *n = 0;
    for (int i = 0; i < record->n_fields; i++)
        for (int k = 0; k < record->fields[i].n_values; k++) {
            const struct record_value *v = &record->fields[i].values[k];
            if (!v->text || v->is_integer)
                continue;
            if (*n == *capacity) {
                int bigger = *capacity ? 2 * *capacity : 64;
                struct overlap_text *more = block_resize(*texts, (size_t)*capacity * sizeof *more, (size_t)bigger * sizeof *more);
                if (!more)
                    return error_memory();
                *texts = more;
                *capacity = bigger;
            }
            (*texts)[(*n)++] = (struct overlap_text){v->text, v->n};
        }
    return NULL;
}

// skips: of this reading; they outlive it, and the caller releases them.
static struct error *open_rows(struct records **records, const struct document_part *part, const struct task *task,
                               struct skips *skips, struct arena *arena)
{
    const char *paths[TASK_PATHS];
    int n_paths;
    struct document_part own = *part;
    *skips = (struct skips){.most = part->skip_bad};
    own.skips = skips;
    struct error *e = task_paths(task, arena, paths, &n_paths);
    return e ? e : records_open(records, &own, paths, n_paths);
}

// ---- questions

static struct error *add_question(struct probing *p, const struct record *record, struct overlap_text **texts, int *capacity)
{
    int n;
    int64_t i;
    struct error *e = row_texts(record, texts, &n, capacity);
    return e ? e : overlap_item(&p->index, *texts, n, &i);
}

static struct error *add_questions(struct probing *p, const struct graph_part *part, const struct task *task)
{
    struct records *records = NULL;
    struct overlap_text *texts = NULL;
    struct arena scratch = {0};
    struct skips skips;
    int capacity = 0;
    struct error *e = open_rows(&records, &part->part, task, &skips, &scratch);
    while (!e) {
        const struct record *record;
        e = stop_requested() ? error_stopped() : records_next(records, &record);
        if (e || !record)
            break;
        e = add_question(p, record, &texts, &capacity);
    }
    records_close(records);
    skips_release(&skips);
    block_free(texts);
    arena_release(&scratch);
    return e;
}

// n parts, which are a split of a task; one that an earlier evaluation asks is there already.
static struct error *add_task(struct probing *p, const struct task_file *task, const struct task_split *split,
                              const struct graph_part *parts, int n)
{
    struct overlap_report *r = p->report;
    const char *name = arena_printf(p->arena, "%s %s", task->shown, split->name);
    struct error *e = name ? NULL : error_memory();
    for (int i = 0; i < r->n_tasks && !e; i++)
        if (!strcmp(r->tasks[i].name, name))
            return NULL;
    if (e)
        return e;
    r->tasks[r->n_tasks] = (struct overlap_task){.name = name};
    p->first_item[r->n_tasks] = p->index.n_items;
    for (int k = 0; k < n && !e; k++)
        e = parts[k].left_out     ? NULL
            : parts[k].is_missing ? not_there(&parts[k], task->at, "for")
                                  : add_questions(p, &parts[k], &task->task);
    r->tasks[r->n_tasks].n = p->index.n_items - p->first_item[r->n_tasks];
    r->n_tasks += r->tasks[r->n_tasks].n > 0;
    p->first_item[r->n_tasks] = p->index.n_items;
    return e;
}

// Tasks that are asked as text are parts of the evaluation itself.
static struct error *add_prompted(struct probing *p, const struct graph_node *node)
{
    struct error *e = NULL;
    for (int i = 0, n; i < node->n_parts && !e; i += n) {
        const struct mixture_use *use = node->parts[i].use;
        for (n = 1; i + n < node->n_parts && node->parts[i + n].use == use;)
            n++;
        if (use)
            e = add_task(p, use->task, use->split, &node->parts[i], n);
    }
    return e;
}

static struct error *add_tasks(struct probing *p, const struct graph *graph)
{
    size_t most = 1;
    struct error *e = NULL;
    for (int i = 0; i < graph->n_nodes; i++)
        most += (size_t)graph->nodes[i]->n_inputs + (size_t)graph->nodes[i]->n_parts;
    p->report->tasks = arena_array(p->arena, most, sizeof *p->report->tasks);
    p->first_item = arena_array(p->arena, most + 1, sizeof *p->first_item);
    if (!p->report->tasks || !p->first_item)
        return error_memory();
    for (int i = 0; i < graph->n_nodes && !e; i++) {
        const struct graph_node *node = graph->nodes[i];
        for (int k = 0; k < node->n_inputs && !e; k++) {
            const struct graph_node *from = node->inputs[k].node;
            if (!strcmp(node->inputs[k].role, "suite") && from->task)
                e = add_task(p, from->task, from->split, from->parts, from->n_parts);
        }
        if (!e && node->kind == KIND_EVAL)
            e = add_prompted(p, node);
    }
    return e;
}

// ---- the text

static struct error *read_documents(struct probing *p, const struct document_part *part, int64_t *n, int64_t *bytes)
{
    struct documents *documents = NULL;
    struct document_part own = *part;
    struct skips skips = {.most = part->skip_bad};
    own.skips = &skips;
    struct error *e = documents_open(&documents, &own);
    while (!e) {
        const char *text;
        size_t length;
        e = stop_requested() ? error_stopped() : documents_next(documents, &text, &length);
        if (e || !text)
            break;
        e = overlap_read(&p->index, text, length);
        ++*n;
        *bytes += (int64_t)length;
        if (omp_get_thread_num() == 0 && p->tell)
            p->tell(p->self, *bytes);
    }
    documents_close(documents);
    skips_release(&skips);
    return e;
}

// A row of a mixture is a document, its texts one after the other.
static struct error *read_rows(struct probing *p, const struct reading_part *part, int64_t *n, int64_t *bytes)
{
    struct records *records = NULL;
    struct overlap_text *texts = NULL;
    struct arena scratch = {0};
    struct skips skips;
    struct bytes row = {0};
    int capacity = 0, n_texts;
    struct error *e = open_rows(&records, part->part, part->task, &skips, &scratch);
    while (!e) {
        const struct record *record;
        e = stop_requested() ? error_stopped() : records_next(records, &record);
        if (e || !record || (e = row_texts(record, &texts, &n_texts, &capacity)))
            break;
        row.n = 0;
        for (int i = 0; i < n_texts && !e; i++)
            if (!(e = bytes_append(&row, texts[i].text, texts[i].n)))
                e = bytes_append(&row, "\n", 1);
        if (!e)
            e = overlap_read(&p->index, (const char *)row.byte, row.n);
        ++*n;
        *bytes += (int64_t)row.n;
    }
    records_close(records);
    skips_release(&skips);
    block_free(texts);
    bytes_release(&row);
    arena_release(&scratch);
    return e;
}

static struct error *read_parts(struct probing *p, int first, int n)
{
    struct error *all = NULL;
    int64_t documents = 0, bytes = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : documents, bytes)
    for (int i = first; i < first + n; i++) {
        int64_t n_documents = 0, n_bytes = 0;
        const struct reading_part *part = &p->parts[i];
        struct error *e =
            part->task ? read_rows(p, part, &n_documents, &n_bytes) : read_documents(p, part->part, &n_documents, &n_bytes);
        documents += n_documents;
        bytes += n_bytes;
        if (e) {
#pragma omp critical
            all = error_first(all, e);
        }
    }
    p->report->n_documents += documents;
    p->report->n_bytes += bytes;
    return all;
}

static void count(struct probing *p, bool mixtures)
{
    for (int i = 0; i < p->report->n_tasks; i++) {
        struct overlap_task *task = &p->report->tasks[i];
        for (int64_t k = p->first_item[i]; k < p->first_item[i + 1]; k++) {
            int64_t row = k - p->first_item[i]; // of all files, as in /examples of an evaluation
            bool found = overlap_found(&p->index, k), listed = false;
            *(mixtures ? &task->in_mixtures : &task->in_text) += found;
            task->n_short += !mixtures && overlap_words(&p->index, k) < OVERLAP_WORDS;
            for (int64_t r = 0; r < task->n_rows && mixtures; r++) // one that is in both is listed once
                listed |= task->rows[r] == row;
            if (found && !listed && task->n_rows < OVERLAP_ROWS)
                task->rows[task->n_rows++] = row;
        }
    }
}

static struct error *probe(struct probing *p, const struct graph *graph)
{
    static const char *const text_roles[] = {"tokens", "mix"};
    struct error *e = add_tasks(p, graph);
    for (size_t i = 0; i < countof(text_roles) && !e; i++)
        e = add_inputs(p, graph, text_roles[i]);
    p->n_text = p->n_parts;
    if (!e)
        e = add_inputs(p, graph, "mixture");
    if (!e && !p->index.n_items)
        return error_new(ERROR_USAGE, NOWHERE, "give an evaluation tasks: suites: [arc_easy, mmlu]",
                         "no evaluation of the recipe asks questions");
    if (!e)
        e = overlap_index(&p->index);
    double begun = clock_seconds();
    if (!e)
        e = read_parts(p, 0, p->n_text);
    if (e)
        return e;
    count(p, false);
    overlap_forget(&p->index);
    e = read_parts(p, p->n_text, p->n_parts - p->n_text);
    p->report->seconds = clock_seconds() - begun;
    if (!e)
        count(p, true);
    return e;
}

struct error *overlap_probe(struct overlap_report *report, const struct graph *graph, void (*tell)(void *self, int64_t bytes),
                            void *self, struct arena *arena)
{
    struct probing p = {.report = report, .arena = arena, .tell = tell, .self = self};
    *report = (struct overlap_report){0};
    overlap_init(&p.index, arena);
    struct error *e = probe(&p, graph);
    overlap_release(&p.index);
    return e;
}

// ---- kept

static bool counts(const char *kind)
{
    return !strcmp(kind, "pretrain") || !strcmp(kind, "finetune") || !strcmp(kind, "grpo") || !strcmp(kind, "eval");
}

// "results/overlap/HEX.json"; keys: "kind key\n" each.
static struct error *path_of(const char *results, const char *keys, struct arena *arena, const char **path)
{
    char hex[SHA256_HEX];
    struct error *e = keys ? sha256_bytes(keys, strlen(keys), hex) : error_memory();
    *path = e ? NULL : arena_printf(arena, "%s/overlap/%.*s.json", results, HEX_SHOWN, hex);
    return e || *path ? e : error_memory();
}

void overlap_to_json(struct json *j, const struct overlap_report *r)
{
    json_key(j, "overlap");
    json_open(j, '{');
    json_key(j, "words"), json_i64(j, OVERLAP_WORDS);
    json_key(j, "documents"), json_i64(j, r->n_documents);
    json_key(j, "bytes"), json_i64(j, r->n_bytes);
    json_key(j, "seconds"), json_f64(j, r->seconds);
    json_key(j, "tasks");
    json_open(j, '[');
    for (int i = 0; i < r->n_tasks; i++) {
        const struct overlap_task *t = &r->tasks[i];
        json_open(j, '{');
        json_key(j, "task"), json_str(j, t->name);
        json_key(j, "n"), json_i64(j, t->n);
        json_key(j, "short"), json_i64(j, t->n_short);
        json_key(j, "in_text"), json_i64(j, t->in_text);
        json_key(j, "in_mixtures"), json_i64(j, t->in_mixtures);
        json_key(j, "rows");
        json_open(j, '[');
        for (int64_t k = 0; k < t->n_rows; k++)
            json_i64(j, t->rows[k]);
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

struct error *overlap_save(const struct overlap_report *report, const struct graph *graph, const char *results,
                           struct arena *arena)
{
    const char *keys = "", *path, *folder = arena_printf(arena, "%s/overlap", results);
    struct json j = {0};
    for (int i = 0; i < graph->n_nodes && keys; i++)
        if (counts(kind_name(graph->nodes[i]->kind)))
            keys = arena_printf(arena, "%s%s %s\n", keys, kind_name(graph->nodes[i]->kind),
                                graph->nodes[i]->key ? graph->nodes[i]->key : "");
    struct error *e = path_of(results, keys, arena, &path);
    if (!e)
        e = folder ? folder_make(folder) : error_memory();
    json_open(&j, '{');
    overlap_to_json(&j, report);
    json_close(&j, '}');
    const char *text = json_text(&j);
    if (!e)
        e = text ? atomic_write(path, text, strlen(text)) : error_memory();
    json_release(&j);
    return e;
}

static struct error *take(struct overlap_report *r, const json_t *root, struct arena *arena)
{
    const json_t *tasks = json_object_get(root, "tasks");
    size_t n = json_array_size(tasks);
    if (!(r->tasks = arena_array(arena, n + 1, sizeof *r->tasks)))
        return error_memory();
    r->n_documents = json_integer_value(json_object_get(root, "documents"));
    r->n_bytes = json_integer_value(json_object_get(root, "bytes"));
    r->seconds = json_number_value(json_object_get(root, "seconds"));
    for (size_t i = 0; i < n; i++) {
        const json_t *each = json_array_get(tasks, i);
        const char *name = json_string_value(json_object_get(each, "task"));
        if (!name)
            continue;
        struct overlap_task *t = &r->tasks[r->n_tasks++];
        *t = (struct overlap_task){.name = arena_strdup(arena, name),
                                   .n = json_integer_value(json_object_get(each, "n")),
                                   .n_short = json_integer_value(json_object_get(each, "short")),
                                   .in_text = json_integer_value(json_object_get(each, "in_text")),
                                   .in_mixtures = json_integer_value(json_object_get(each, "in_mixtures"))};
        if (!t->name)
            return error_memory();
    }
    return NULL;
}

struct error *overlap_load(struct overlap_report *report, const struct run *run, struct arena *arena)
{
    const char *keys = "", *path, *end = run->path;
    char *text;
    size_t n;
    *report = (struct overlap_report){0};
    size_t length = strlen(run->path);
    for (int up = 0; up < 3 && end; up++) { // RESULTS/runs/NAME/NNNN.h5
        end = memrchr(run->path, '/', length);
        length = end ? (size_t)(end - run->path) : 0;
    }
    const char *results = end ? arena_strndup(arena, run->path, (size_t)(end - run->path)) : ".";
    for (int i = 0; i < run->n_stages && keys; i++)
        if (counts(run->stages[i].kind))
            keys = arena_printf(arena, "%s%s %s\n", keys, run->stages[i].kind, run->stages[i].key);
    struct error *e = results ? path_of(results, keys, arena, &path) : error_memory();
    if (e || !file_exists(path))
        return e;
    e = file_read(path, FILE_MOST, arena, &text, &n);
    json_t *root = e ? NULL : json_loadb(text, n, 0, NULL);
    error_free(e); // what cannot be read says nothing
    e = root ? take(report, json_object_get(root, "overlap"), arena) : NULL;
    json_decref(root);
    return e;
}
