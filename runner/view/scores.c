// scores.c - an evaluation's model is the stage of the run whose key stands in its payload: names may have changed, keys have not.
#include "runner/view/scores.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// The stage that an evaluation measured; -1: unknown.
static int model_of(const struct run *run, const struct run_stage *stage)
{
    json_error_t problem;
    json_t *payload = stage->payload ? json_loads(stage->payload, 0, &problem) : NULL;
    const char *key = json_string_value(json_object_get(json_object_get(payload, "inputs"), "model"));
    int found = -1;
    for (int i = 0; i < run->n_stages && key; i++)
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

static struct score_row *row_of(struct scores *s, const char *label, bool is_accuracy, bool less_is_better, struct arena *arena)
{
    for (int i = 0; i < s->n_rows; i++)
        if (!strcmp(s->rows[i].label, label))
            return &s->rows[i];
    struct score_row *row = &s->rows[s->n_rows];
    *row = (struct score_row){.label = arena_strdup(arena, label),
                              .is_accuracy = is_accuracy,
                              .less_is_better = less_is_better,
                              .value = arena_array(arena, (size_t)s->n_models, sizeof *row->value),
                              .deviation = arena_array(arena, (size_t)s->n_models, sizeof *row->deviation)};
    if (!row->label || !row->value || !row->deviation)
        return NULL;
    for (int i = 0; i < s->n_models; i++)
        row->value[i] = row->deviation[i] = NAN;
    s->n_rows++;
    return row;
}

static struct error *put(struct scores *s, const char *label, bool is_accuracy, bool less_is_better, int column, double value,
                         int64_t n, struct arena *arena)
{
    struct score_row *row = row_of(s, label, is_accuracy, less_is_better, arena);
    if (!row)
        return error_memory();
    row->value[column] = value;
    row->deviation[column] = is_accuracy && n > 0 ? sqrt(value * (1 - value) / (double)n) : NAN;
    return NULL;
}

static struct error *put_tasks(struct scores *s, const struct run_tables *t, int column, struct arena *arena)
{
    const struct task_score *tasks = t->tasks.rows;
    for (int64_t i = 0; i < t->tasks.n; i++) {
        char label[SCORE_NAME + 64];
        if (tasks[i].n < tasks[i].n_all)
            snprintf(label, sizeof label, "%s (%" PRId64 " of %" PRId64 ")", tasks[i].task, tasks[i].n, tasks[i].n_all);
        else
            snprintf(label, sizeof label, "%s", tasks[i].task);
        struct error *e = put(s, label, true, false, column, tasks[i].accuracy, tasks[i].n, arena);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *put_centered(struct scores *s, const struct run_tables *t, int column, struct arena *arena)
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
    return put(s, label, false, false, column, sum / (double)t->tasks.n, 0, arena);
}

struct error *scores_collect(struct scores *s, const struct run *run, const struct run_tables *tables, struct arena *arena)
{
    size_t n = (size_t)run->n_stages, n_rows = 1;
    *s = (struct scores){.models = arena_array(arena, n + 1, sizeof *s->models)};
    int *model = arena_array(arena, n + 1, sizeof *model);
    if (!s->models || !model)
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        model[i] = tables[i].scores.n || tables[i].tasks.n ? model_of(run, &run->stages[i]) : -1;
        n_rows += (size_t)tables[i].tasks.n + 2;
    }
    for (size_t m = 0; m < n; m++) // in the order of the run
        for (size_t i = 0; i < n; i++)
            if (model[i] == (int)m && model_column(s, run->stages[m].name) < 0)
                s->models[s->n_models++] = run->stages[m].name;
    s->rows = arena_array(arena, n_rows, sizeof *s->rows);
    if (!s->rows)
        return error_memory();
    struct error *e = NULL;
    for (size_t i = 0; i < n && !e; i++)
        if (model[i] >= 0 && tables[i].scores.n)
            e = put(s, "bpb", false, true, model_column(s, run->stages[model[i]].name),
                    ((const struct metric_val *)tables[i].scores.rows)[tables[i].scores.n - 1].bpb, 0, arena);
    for (size_t i = 0; i < n && !e; i++)
        if (model[i] >= 0)
            e = put_tasks(s, &tables[i], model_column(s, run->stages[model[i]].name), arena);
    for (size_t i = 0; i < n && !e; i++)
        if (model[i] >= 0)
            e = put_centered(s, &tables[i], model_column(s, run->stages[model[i]].name), arena);
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
