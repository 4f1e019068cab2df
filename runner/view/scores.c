// scores.c - an evaluation's model is the stage of the run whose key stands in its payload: names may have changed, keys have not.
#include "runner/view/scores.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runner/view/basis.h"

// The stage that an evaluation measured; -1: unknown.
static int model_of(const struct run *run, const struct run_stage *stage)
{
    json_error_t problem;
    json_t *payload = stage->payload ? json_loads(stage->payload, 0, &problem) : NULL;
    const char *key = json_string_value(json_object_get(json_object_get(payload, "inputs"), "model"));
    int found = -1;
    for (int i = 0; i < run->n_stages && key && found < 0; i++) // the first: another recipe's stage can be the same
        if (!strcmp(run->stages[i].key, key))
            found = i;
    json_decref(payload);
    return found;
}

static int model_column(struct scores *s, const char *name)
{
    for (int i = 0; i < s->n_models; i++)
        if (!strcmp(s->models[i], name))
            return i;
    return -1;
}

static struct score_row *new_row(struct scores *s, const char *label, bool is_accuracy, bool less_is_better, struct arena *arena)
{
    struct score_row *row = &s->rows[s->n_rows];
    *row = (struct score_row){.label = arena_strdup(arena, label),
                              .is_accuracy = is_accuracy,
                              .less_is_better = less_is_better,
                              .value = arena_array(arena, (size_t)s->n_models, sizeof *row->value),
                              .deviation = arena_array(arena, (size_t)s->n_models, sizeof *row->deviation),
                              .n = arena_array(arena, (size_t)s->n_models, sizeof *row->n),
                              .stage = arena_array(arena, (size_t)s->n_models, sizeof *row->stage)};
    if (!row->label || !row->value || !row->deviation || !row->n || !row->stage)
        return NULL;
    for (int i = 0; i < s->n_models; i++) {
        row->value[i] = row->deviation[i] = NAN;
        row->stage[i] = -1;
    }
    s->n_rows++;
    return row;
}

static struct score_row *row_of(struct scores *s, const char *label, bool is_accuracy, bool less_is_better, struct arena *arena)
{
    for (int i = 0; i < s->n_rows; i++)
        if (!strcmp(s->rows[i].label, label))
            return &s->rows[i];
    return new_row(s, label, is_accuracy, less_is_better, arena);
}

// Where a value goes, and where it comes from.
struct putting {
    struct scores *scores;
    const struct run *run;
    struct arena *arena;
    int column, stage;
    struct basis *bpb; // of the first scores->n_rows rows, which are of bits per byte while those are put
};

static struct error *put(const struct putting *to, const char *label, bool is_accuracy, bool less_is_better, double value,
                         int64_t n)
{
    struct score_row *row = row_of(to->scores, label, is_accuracy, less_is_better, to->arena);
    if (!row)
        return error_memory();
    row->value[to->column] = value;
    row->deviation[to->column] = is_accuracy && n > 0 ? sqrt(value * (1 - value) / (double)n) : NAN;
    row->n[to->column] = n;
    row->stage[to->column] = to->stage;
    return NULL;
}

// Bits per byte over another text, or more of it, stand in a row of their own.
static struct error *put_bpb(const struct putting *to, const struct run_tables *t)
{
    struct scores *s = to->scores;
    struct basis basis;
    struct error *e = basis_of_bpb(&basis, to->run, &to->run->stages[to->stage], to->arena);
    const char *differs = NULL, *first = NULL;
    int i = 0;
    if (e)
        return e;
    for (; i < s->n_rows && (differs = basis_differs(&to->bpb[i], &basis)); i++)
        first = first ? first : differs;
    if (i == s->n_rows) {
        const char *label = first ? arena_printf(to->arena, "bpb, %s", first) : "bpb";
        if (!label || !new_row(s, label, false, true, to->arena))
            return error_memory();
        to->bpb[i] = basis;
    }
    s->rows[i].value[to->column] = ((const struct metric_val *)t->scores.rows)[t->scores.n - 1].bpb;
    s->rows[i].stage[to->column] = to->stage;
    return NULL;
}

static struct error *put_tasks(const struct putting *to, const struct run_tables *t)
{
    const struct task_score *tasks = t->tasks.rows;
    for (int64_t i = 0; i < t->tasks.n; i++) {
        char label[SCORE_NAME + 64];
        if (tasks[i].n < tasks[i].n_all)
            snprintf(label, sizeof label, "%s (%" PRId64 " of %" PRId64 ")", tasks[i].task, tasks[i].n, tasks[i].n_all);
        else
            snprintf(label, sizeof label, "%s", tasks[i].task);
        struct error *e = put(to, label, true, false, tasks[i].accuracy, tasks[i].n);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *put_centered(const struct putting *to, const struct run_tables *t)
{
    const struct task_score *tasks = t->tasks.rows;
    double sum = 0;
    bool capped = false;
    char label[64];
    if (t->tasks.n < 2)
        return NULL;
    for (int64_t i = 0; i < t->tasks.n; i++) {
        sum += tasks[i].centered;
        capped |= tasks[i].n < tasks[i].n_all;
    }
    snprintf(label, sizeof label, "ChatCORE (%" PRId64 " tasks%s)", t->tasks.n, capped ? ", capped" : "");
    return put(to, label, false, false, sum / (double)t->tasks.n, 0);
}

// What stands for several tasks: CORE where it was published, and ChatCORE.
static struct error *put_means(const struct putting *to, const struct run_published *published, const struct run_tables *t)
{
    struct error *e = NULL;
    if (published && !isnan(published->core) && !(e = put(to, "CORE", false, false, published->core, 0)))
        row_of(to->scores, "CORE", false, false, to->arena)->deviation[to->column] = published->core_deviation;
    return e ? e : put_centered(to, t);
}

struct error *scores_collect(struct scores *s, const struct run *run, const struct run_tables *tables, struct arena *arena)
{
    size_t n = (size_t)run->n_stages, n_rows = 1;
    *s = (struct scores){.models = arena_array(arena, n + 1, sizeof *s->models)};
    int *model = arena_array(arena, n + 1, sizeof *model);
    if (!s->models || !model)
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        const struct run_published *p = run->stages[i].published;
        bool scored = tables[i].scores.n || tables[i].tasks.n || (p && !isnan(p->core));
        model[i] = !scored ? -1 : p ? (int)i : model_of(run, &run->stages[i]);
        n_rows += (size_t)tables[i].tasks.n + 3;
    }
    for (size_t m = 0; m < n; m++) // in the order of the run
        for (size_t i = 0; i < n; i++)
            if (model[i] == (int)m && model_column(s, run->stages[m].name) < 0)
                s->models[s->n_models++] = run->stages[m].name;
    s->rows = arena_array(arena, n_rows, sizeof *s->rows);
    struct basis *bpb = arena_array(arena, n_rows, sizeof *bpb);
    if (!s->rows || !bpb)
        return error_memory();
    struct error *e = NULL;
    for (int pass = 0; pass < 3; pass++) // bits per byte of all, then tasks of all, then the means
        for (size_t i = 0; i < n && !e; i++) {
            const struct run_tables *t = &tables[i];
            if (model[i] < 0)
                continue;
            struct putting to = {s, run, arena, model_column(s, run->stages[model[i]].name), (int)i, bpb};
            if (pass == 1)
                e = put_tasks(&to, t);
            else if (pass == 2)
                e = put_means(&to, run->stages[i].published, t);
            else if (t->scores.n)
                e = put_bpb(&to, t);
        }
    return e;
}

const char *score_text(char *text, size_t size, const struct score_row *row, double value)
{
    if (isnan(value))
        snprintf(text, size, "-");
    else if (row->is_accuracy)
        snprintf(text, size, "%.1f %%", 100 * value);
    else
        snprintf(text, size, "%.4f", value);
    return text;
}
