// scores.c - an evaluation's model is the stage of the run whose key stands in its payload: names may have changed, keys have not.
#include "runner/view/scores.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/eval/scores.h"
#include "runner/view/format.h"

// The stage that an evaluation measured, and the step that it measured of it, -1 for its end; -1: unknown.
static int model_of(const struct run *run, const struct run_stage *stage, int64_t *step)
{
    json_error_t problem;
    json_t *payload = stage->payload ? json_loads(stage->payload, 0, &problem) : NULL;
    const char *key = json_string_value(json_object_get(json_object_get(payload, "inputs"), "model"));
    int found = -1;
    for (int i = 0; i < run->n_stages && key && found < 0; i++) // the first: another recipe's stage can be the same
        if (!strcmp(run->stages[i].key, key))
            found = i;
    const json_t *steps = json_object_get(json_object_get(payload, "steps"), "model");
    *step = json_is_integer(steps) ? json_integer_value(steps) : -1;
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

// The row of a measure over the same basis; a new one says why it is not the first of that name.
static struct score_row *row_of(struct scores *s, const struct score_row *measure, struct arena *arena)
{
    const char *why = NULL;
    for (int i = 0; i < s->n_rows; i++) {
        if (strcmp(s->rows[i].name, measure->name))
            continue;
        const char *differs = basis_differs(&s->rows[i].basis, &measure->basis);
        if (!differs) {
            basis_join(&s->rows[i].basis, &measure->basis);
            return &s->rows[i];
        }
        why = why ? why : differs;
    }
    struct score_row *row = &s->rows[s->n_rows];
    *row = *measure;
    row->name = arena_strdup(arena, measure->name);
    row->suite = measure->suite ? arena_strdup(arena, measure->suite) : NULL;
    row->missing = measure->missing ? arena_strdup(arena, measure->missing) : NULL;
    row->label = why ? arena_printf(arena, "%s, %s", measure->name, why) : row->name;
    row->value = arena_array(arena, (size_t)s->n_models, sizeof *row->value);
    row->deviation = arena_array(arena, (size_t)s->n_models, sizeof *row->deviation);
    row->low = arena_array(arena, (size_t)s->n_models, sizeof *row->low);
    row->high = arena_array(arena, (size_t)s->n_models, sizeof *row->high);
    row->n = arena_array(arena, (size_t)s->n_models, sizeof *row->n);
    row->stage = arena_array(arena, (size_t)s->n_models, sizeof *row->stage);
    if (!row->suite != !measure->suite || !row->missing != !measure->missing || !row->name || !row->label || !row->value ||
        !row->deviation || !row->low || !row->high || !row->n || !row->stage)
        return NULL;
    for (int i = 0; i < s->n_models; i++) {
        row->value[i] = row->deviation[i] = row->low[i] = row->high[i] = NAN;
        row->stage[i] = -1;
    }
    s->n_rows++;
    return row;
}

// Where a value goes, and where it comes from.
struct putting {
    struct scores *scores;
    const struct run *run;
    struct arena *arena;
    int column, stage;
};

// A value with its standard error and 95 % confidence interval, and of how many examples.
struct put_value {
    double value, deviation, low, high;
    int64_t n;
};

static struct error *put(const struct putting *to, const struct score_row *measure, struct put_value v)
{
    struct score_row *row = row_of(to->scores, measure, to->arena);
    if (!row)
        return error_memory();
    row->value[to->column] = v.value;
    row->deviation[to->column] = v.deviation;
    row->low[to->column] = v.low;
    row->high[to->column] = v.high;
    row->n[to->column] = v.n;
    row->stage[to->column] = to->stage;
    return NULL;
}

static struct put_value bare(double value)
{
    return (struct put_value){value, NAN, NAN, NAN, 0};
}

static struct error *put_bpb(const struct putting *to, const struct run_tables *t)
{
    struct score_row bpb = {.name = "bpb", .less_is_better = true};
    if (!t->scores.n)
        return NULL;
    struct error *e = basis_of_bpb(&bpb.basis, to->run, &to->run->stages[to->stage], to->arena);
    return e ? e : put(to, &bpb, bare(((const struct metric_val *)t->scores.rows)[t->scores.n - 1].bpb));
}

static struct error *put_tasks(const struct putting *to, const struct run_tables *t)
{
    const struct task_score *tasks = t->tasks.rows;
    for (int64_t i = 0; i < t->tasks.n; i++) {
        char name[SCORE_NAME + 64];
        struct score_row measure = {.name = name, .is_accuracy = true};
        double p = tasks[i].accuracy, n = (double)tasks[i].n;
        if (tasks[i].n < tasks[i].n_all)
            snprintf(name, sizeof name, "%s (%" PRId64 " of %" PRId64 ")", tasks[i].task, tasks[i].n, tasks[i].n_all);
        else
            snprintf(name, sizeof name, "%s", tasks[i].task);
        struct put_value v = {
            .value = p, .deviation = n > 0 ? sqrt(p * (1 - p) / n) : NAN, .low = NAN, .high = NAN, .n = tasks[i].n};
        if (n > 0)
            score_interval(tasks[i].right, tasks[i].n, &v.low, &v.high);
        struct error *e =
            basis_of_tasks(&measure.basis, to->run, &to->run->stages[to->stage], &t->tasks, tasks[i].task, "", to->arena);
        if (!e)
            e = put(to, &measure, v);
        if (e)
            return e;
    }
    return NULL;
}

// ChatCORE, of two tasks and more.
static struct error *put_chatcore(const struct putting *to, const struct run_tables *t)
{
    const struct task_score *tasks = t->tasks.rows;
    double sum = 0;
    int64_t n = 0;
    bool capped = false;
    char name[64];
    struct score_row mean = {.name = name};
    for (int64_t i = 0; i < t->tasks.n; i++) {
        if (!basis_is_chat(&tasks[i]))
            continue;
        n++;
        sum += tasks[i].centered;
        capped |= tasks[i].n < tasks[i].n_all;
    }
    if (n < 2)
        return NULL;
    snprintf(name, sizeof name, "ChatCORE (%" PRId64 " tasks%s)", n, capped ? ", capped" : "");
    struct error *e = basis_of_tasks(&mean.basis, to->run, &to->run->stages[to->stage], &t->tasks, NULL, "", to->arena);
    return e ? e : put(to, &mean, bare(sum / (double)n));
}

// The means over suites. One of which all was asked has the plain title, as published ones have.
static struct error *put_suites(const struct putting *to, const struct run_tables *t)
{
    const struct suite_score *suites = t->suites.rows;
    struct error *e = NULL;
    for (int64_t i = 0; i < t->suites.n && !e; i++) {
        const struct suite_score *s = &suites[i];
        const char *capped = s->capped ? "capped" : "";
        struct score_row mean = {.suite = s->suite, .missing = s->missing[0] ? s->missing : NULL};
        mean.name = s->n < s->n_all ? arena_printf(to->arena, "%s (%" PRId64 " of %" PRId64 " tasks%s%s)", s->title, s->n,
                                                   s->n_all, s->capped ? ", " : "", capped)
                    : s->capped     ? arena_printf(to->arena, "%s (capped)", s->title)
                                    : s->title;
        if (!mean.name)
            return error_memory();
        e = basis_of_tasks(&mean.basis, to->run, &to->run->stages[to->stage], &t->tasks, NULL, s->suite, to->arena);
        if (!e)
            e = put(to, &mean, (struct put_value){s->value, s->deviation, s->low, s->high, 0});
    }
    return e;
}

// What stands for several tasks: suites, CORE where it was published, and ChatCORE.
static struct error *put_means(const struct putting *to, const struct run_published *published, const struct run_tables *t)
{
    struct error *e = put_suites(to, t);
    if (!e && published && !isnan(published->core)) {
        struct put_value v = bare(published->core);
        v.deviation = published->core_deviation;
        e = put(to, &(struct score_row){.name = "CORE"}, v);
    }
    return e ? e : put_chatcore(to, t);
}

struct error *scores_collect(struct scores *s, const struct run *run, const struct run_tables *tables, struct arena *arena)
{
    size_t n = (size_t)run->n_stages, n_rows = 1;
    *s = (struct scores){.models = arena_array(arena, n + 1, sizeof *s->models)};
    int *model = arena_array(arena, n + 1, sizeof *model);
    const char **names = arena_array(arena, n + 1, sizeof *names); // of its model, as a recipe would: "base@500"
    if (!s->models || !model || !names)
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        const struct run_published *p = run->stages[i].published;
        bool scored = tables[i].scores.n || tables[i].tasks.n || (p && !isnan(p->core));
        int64_t step = -1;
        model[i] = !scored ? -1 : p ? (int)i : model_of(run, &run->stages[i], &step);
        if (model[i] >= 0)
            names[i] = step < 0 ? run->stages[model[i]].name
                                : arena_printf(arena, "%s@%lld", run->stages[model[i]].name, (long long)step);
        if (model[i] >= 0 && !names[i])
            return error_memory();
        n_rows += (size_t)tables[i].tasks.n + (size_t)tables[i].suites.n + 3;
    }
    for (size_t m = 0; m < n; m++) // in the order of the run
        for (size_t i = 0; i < n; i++)
            if (model[i] == (int)m && model_column(s, names[i]) < 0)
                s->models[s->n_models++] = names[i];
    s->rows = arena_array(arena, n_rows, sizeof *s->rows);
    if (!s->rows)
        return error_memory();
    struct error *e = NULL;
    for (int pass = 0; pass < 3; pass++) // bits per byte of all, then tasks of all, then the means
        for (size_t i = 0; i < n && !e; i++) {
            const struct run_tables *t = &tables[i];
            if (model[i] < 0)
                continue;
            struct putting to = {s, run, arena, model_column(s, names[i]), (int)i};
            if (pass == 0)
                e = put_bpb(&to, t);
            else
                e = pass == 1 ? put_tasks(&to, t) : put_means(&to, run->stages[i].published, t);
        }
    return e;
}

const char *score_text(char *text, size_t size, const struct score_row *row, double value)
{
    char number[FORMAT_TEXT];
    if (isnan(value))
        snprintf(text, size, "-");
    else if (row->is_accuracy)
        snprintf(text, size, "%.1f %%", 100 * value);
    else
        snprintf(text, size, "%s", format_real(number, value, 4));
    return text;
}
