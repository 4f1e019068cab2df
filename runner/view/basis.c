// basis.c - read out of the payloads of keys, which say what went into a result.
#include "runner/view/basis.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/task.h"

enum { MODELS_DEEP = 64 };

static json_t *payload_of(const struct run_stage *stage)
{
    json_error_t problem;
    return stage && stage->payload ? json_loads(stage->payload, 0, &problem) : NULL;
}

// Compact JSON, "" for nothing.
static const char *dump(json_t *value, struct arena *arena)
{
    if (!value)
        return "";
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    const char *copy = text ? arena_strdup(arena, text) : NULL;
    free(text);
    return copy;
}

static const struct run_stage *by_key(const struct run *run, const char *key)
{
    for (int i = 0; i < run->n_stages && key; i++)
        if (run->stages[i].key[0] && !strcmp(run->stages[i].key, key))
            return &run->stages[i];
    return NULL;
}

// The key of the tokenizer that a stage's numbers are in, through the models that it comes from; *key NULL: not known.
static struct error *tokenizer_of(const struct run *run, const struct run_stage *stage, struct arena *arena, const char **key)
{
    *key = NULL;
    for (int deep = 0; stage && deep < MODELS_DEEP && !*key; deep++) {
        json_t *payload = payload_of(stage), *inputs = json_object_get(payload, "inputs");
        const char *tokenizer = json_string_value(json_object_get(inputs, "tokenizer"));
        bool failed = tokenizer && !(*key = arena_strdup(arena, tokenizer));
        stage = by_key(run, json_string_value(json_object_get(inputs, "model")));
        json_decref(payload);
        if (failed)
            return error_memory();
    }
    return NULL;
}

// What a row of a fine-tuning is: "answers", a conversation; else how batch_tokens are packed, "flat" if nothing is said.
static const char *form_of_finetuning(json_t *fields)
{
    const char *packing = json_string_value(json_object_get(fields, "packing"));
    return json_object_get(fields, "rows") ? "answers" : packing && !strcmp(packing, "best_fit") ? "best_fit" : "flat";
}

// How text is cut into rows: seq_len of the stage or of the model that it measures, and whether by a plan of rows; of a fine-tuning
// what a row is and in which order they come. The seq_len of an import stands in its file alone: '-'. *rows NULL: nothing is known.
static struct error *rows_of(const struct run *run, const struct run_stage *stage, struct arena *arena, const char **rows)
{
    bool is_finetune = !strcmp(stage->kind, "finetune"), failed = false;
    const char *form = NULL; // of the stage itself: what it measures is not cut as the rows of a fine-tuned model were
    *rows = NULL;
    for (int deep = 0; stage && deep < MODELS_DEEP && !*rows && !failed; deep++) {
        json_t *payload = payload_of(stage), *fields = json_object_get(payload, "fields");
        json_t *seq_len = json_object_get(fields, "seq_len");
        const char *seed = is_finetune ? dump(json_object_get(fields, "seed"), arena) : "";
        bool planned = json_object_get(json_object_get(payload, "inputs"), "validation_rows");
        if (!form)
            form = is_finetune ? form_of_finetuning(fields) : planned ? "best_fit" : "flat";
        if (seq_len || is_finetune) {
            const char *length = dump(seq_len, arena);
            *rows = length && seed ? arena_printf(arena, "%s %s %s", length, form, seed) : NULL;
            failed = !*rows;
        }
        if (!strcmp(stage->kind, "import") && form && !*rows) {
            *rows = arena_printf(arena, "- %s ", form);
            failed = !*rows;
        }
        stage = by_key(run, json_string_value(json_object_get(json_object_get(payload, "inputs"), "model")));
        json_decref(payload);
    }
    return failed ? error_memory() : NULL;
}

struct error *basis_of_loss(struct basis *b, const struct run *run, const struct run_stage *stage, struct arena *arena)
{
    *b = (struct basis){0};
    json_t *payload = payload_of(stage), *fields = json_object_get(payload, "fields");
    if (payload && !strcmp(stage->kind, "finetune")) {
        const char *form = form_of_finetuning(fields);
        bool flat = !strcmp(form, "flat"); // the other two learn the answers alone, each from rows of its own
        b->count = flat ? "all tokens" : "answers";
        b->rows = flat ? NULL : form;
    }
    json_decref(payload);
    return tokenizer_of(run, stage, arena, &b->tokenizer);
}

struct error *basis_of_bpb(struct basis *b, const struct run *run, const struct run_stage *stage, struct arena *arena)
{
    *b = (struct basis){0};
    if (stage->published) {
        b->text = stage->published->over;
        return NULL;
    }
    json_t *payload = payload_of(stage), *inputs = json_object_get(payload, "inputs");
    const char *validation = dump(json_object_get(inputs, "validation"), arena),
               *test = dump(json_object_get(inputs, "test"), arena);
    const char *tokens = dump(json_object_get(json_object_get(payload, "fields"), "eval_tokens"), arena);
    const char *version = strcmp(stage->kind, "eval") ? "" : dump(json_object_get(payload, "version"), arena);
    json_decref(payload);
    if (!validation || !test || !tokens || !version)
        return error_memory();
    b->text = arena_printf(arena, "%s %s", validation, test);
    b->count = arena_printf(arena, "%s %s", tokens, version);
    if (!b->text || !b->count)
        return error_memory();
    struct error *e = rows_of(run, stage, arena, &b->rows);
    return e ? e : tokenizer_of(run, stage, arena, &b->tokenizer);
}

// What a task asked as text: the evaluation's own payload says it. *content NULL: it does not.
static struct error *prompted_content(const struct run_stage *stage, const char *task, struct arena *arena, const char **content)
{
    json_t *payload = payload_of(stage), *data = json_object_get(payload, "data"), *entry;
    size_t i, first = 0;
    struct error *e = NULL;
    json_array_foreach(json_object_get(payload, "suites"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        size_t n = (size_t)json_integer_value(json_object_get(entry, "files"));
        if (name && !strcmp(name, task) && json_object_get(entry, "task")) {
            *content = dump(json_object_get(entry, "task"), arena);
            for (size_t k = first; k < first + n && *content; k++)
                *content = arena_printf(arena, "%s %s", *content, dump(json_array_get(data, k), arena));
            e = *content ? NULL : error_memory();
            break;
        }
        first += n;
    }
    json_decref(payload);
    return e;
}

// What a task asked: its file and its data, which the token stage of its test split has, or the evaluation. *content NULL: not known.
static struct error *content_of(const struct run *run, const struct run_stage *stage, const char *task, struct arena *arena,
                                const char **content)
{
    static const char split[] = ".test.tokens";
    size_t n = strlen(task), m = strlen(split);
    *content = NULL;
    struct error *e = prompted_content(stage, task, arena, content);
    if (e)
        return e;
    for (int i = 0; i < run->n_stages && !*content; i++) {
        const char *name = run->stages[i].name;
        if (strncmp(name, task, n) || strncmp(name + n, split, m) || (name[n + m] && name[n + m] != '@'))
            continue;
        json_t *payload = payload_of(&run->stages[i]);
        const char *file = dump(json_object_get(payload, "task"), arena), *data = dump(json_object_get(payload, "data"), arena);
        bool known = json_object_get(payload, "data") != NULL;
        json_decref(payload);
        if (!file || !data || (known && !(*content = arena_printf(arena, "%s %s", file, data))))
            return error_memory();
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct task_score *x = *(const struct task_score *const *)a, *y = *(const struct task_score *const *)b;
    return strcmp(x->task, y->task);
}

bool basis_is_chat(const struct task_score *score)
{
    return !score->suite[0] && strcmp(score->grader, grader_name(GRADER_LOSS)) &&
           strcmp(score->grader, grader_name(GRADER_EXACT_GREEDY));
}

static bool is_in(const struct task_score *row, const char *task, const char *suite)
{
    return task ? !strcmp(row->task, task) : *suite ? !strcmp(row->suite, suite) : basis_is_chat(row);
}

struct error *basis_of_tasks(struct basis *b, const struct run *run, const struct run_stage *stage, const struct table *scores,
                             const char *task, const char *suite, struct arena *arena)
{
    const struct task_score *rows = scores->rows, **sorted = arena_array(arena, (size_t)scores->n + 1, sizeof *sorted);
    size_t n = 0;
    *b = (struct basis){.questions = "", .n_questions = ""};
    if (!sorted)
        return error_memory();
    for (int64_t i = 0; i < scores->n; i++)
        if (is_in(&rows[i], task, suite))
            sorted[n++] = &rows[i];
    if (n)
        qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n; i++) {
        const char *content;
        struct error *e = content_of(run, stage, sorted[i]->task, arena, &content);
        if (e)
            return e;
        bool capped = !task && sorted[i]->n < sorted[i]->n_all; // else the row says it
        b->n_questions = arena_printf(arena, "%s %s of %" PRId64, b->n_questions, sorted[i]->task, sorted[i]->n_all);
        if (b->n_questions && capped)
            b->n_questions = arena_printf(arena, "%s, %" PRId64, b->n_questions, sorted[i]->n);
        const char *more = b->questions && content ? arena_printf(arena, "%s %s", b->questions, content) : NULL;
        if (!b->n_questions || (b->questions && content && !more))
            return error_memory();
        b->questions = more;
    }
    return NULL;
}

static bool differ(const char *a, const char *b)
{
    return a && b && strcmp(a, b);
}

static bool has_length(const char *rows)
{
    return rows[0] != '-';
}

// Of rows whose length is not known the rest counts.
static bool rows_differ(const char *a, const char *b)
{
    if (a && b && !(has_length(a) && has_length(b)))
        return differ(strchr(a, ' '), strchr(b, ' '));
    return differ(a, b);
}

void basis_join(struct basis *b, const struct basis *other)
{
    if (other->rows && has_length(other->rows) && (!b->rows || !has_length(b->rows)))
        b->rows = other->rows;
}

const char *basis_differs(const struct basis *a, const struct basis *b)
{
    if (differ(a->tokenizer, b->tokenizer))
        return "other tokenizer";
    if (differ(a->text, b->text))
        return "other text";
    if (differ(a->questions, b->questions) || differ(a->n_questions, b->n_questions))
        return "other questions";
    if (rows_differ(a->rows, b->rows))
        return "other rows";
    return differ(a->count, b->count) ? "other count" : NULL;
}
