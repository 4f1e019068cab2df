// compare.c - the tables of all runs are loaded, made into values, and released again: a comparison holds numbers and names only.
#include "runner/view/compare.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/view/card.h"
#include "runner/view/compare_seeds.h"
#include "runner/view/worth.h"

enum { MEASURES_A_STAGE = 40, PASS_MOST = 20 };

// The tables and scores of all runs.
struct loaded_runs {
    const struct run *runs;
    int n;
    struct run_tables *tables[COMPARE_RUNS]; // one a stage
    int n_loaded[COMPARE_RUNS];
    struct scores scores[COMPARE_RUNS];
    struct arena *arena;
};

double compare_mcnemar(int64_t only_first, int64_t only_second)
{
    int64_t n = only_first + only_second, least = only_first < only_second ? only_first : only_second;
    if (n <= 0)
        return 1;
    double total = (double)n, k = (double)least;
    double term = exp(lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1) - total * log(2)), sum = 0;
    for (int64_t i = least; i >= 0 && term > sum * 1e-17; i--) { // C(n,i-1) = C(n,i) i / (n-i+1)
        sum += term;
        term *= (double)i / (double)(n - i + 1);
    }
    return 2 * sum < 1 ? 2 * sum : 1;
}

double compare_proportions(double right_a, int64_t n_a, double right_b, int64_t n_b)
{
    if (n_a <= 0 || n_b <= 0)
        return NAN;
    double a = (double)n_a, b = (double)n_b, all = (right_a + right_b) / (a + b);
    double deviation = sqrt(all * (1 - all) * (1 / a + 1 / b));
    return deviation > 0 ? erfc(fabs(right_b / b - right_a / a) / deviation / sqrt(2)) : 1;
}

static struct error *load_tables(struct loaded_runs *l, int r)
{
    const struct run *run = &l->runs[r];
    l->tables[r] = arena_array(l->arena, (size_t)run->n_stages + 1, sizeof *l->tables[r]);
    if (!l->tables[r])
        return error_memory();
    for (int i = 0; i < run->n_stages; i++) {
        struct error *e = run_stage_tables(&l->tables[r][i], run, &run->stages[i]);
        if (e)
            return error_while(e, NOWHERE, "reading the run '%s'", run->path);
        l->n_loaded[r]++;
    }
    return scores_collect(&l->scores[r], run, l->tables[r], l->arena);
}

static int stage_index(const struct run *run, const char *name)
{
    for (int i = 0; i < run->n_stages; i++)
        if (!strcmp(run->stages[i].name, name))
            return i;
    return -1;
}

static double last_reward(const struct run_tables *t)
{
    return t->rewards.n ? ((const struct metric_rollouts *)t->rewards.rows)[t->rewards.n - 1].reward : NAN;
}

// Share at the last step it was measured; NaN: never for that k.
static double last_pass(const struct run_tables *t, int64_t k)
{
    const struct metric_pass *rows = t->pass.rows;
    for (int64_t i = t->pass.n - 1; i >= 0; i--)
        if (rows[i].k == k)
            return rows[i].pass;
    return NAN;
}

static double count_of(int64_t count)
{
    return count >= 0 ? (double)count : NAN;
}

// Keeps a measure that differs, as far as published runs tell.
static void keep(struct comparison *c, const struct compare_measure *m)
{
    bool same = true;
    int first = -1;
    for (int r = 0; r < c->n_runs; r++) {
        if (isnan(m->value[r]) && c->runs[r].source)
            continue;
        first = first < 0 ? r : first;
        same = same && (m->value[r] == m->value[first] || (isnan(m->value[r]) && isnan(m->value[first])));
    }
    if (!same)
        c->measures[c->n_measures++] = *m;
}

// Keeps a row for each basis that the numbers have.
static struct error *keep_comparable(struct comparison *c, const struct compare_measure *all, const struct basis *bases,
                                     struct arena *arena)
{
    bool done[COMPARE_RUNS] = {false};
    int first = -1;
    for (int r = 0; r < c->n_runs; r++) {
        struct compare_measure m = *all;
        if (done[r] || isnan(all->value[r]))
            continue;
        first = first < 0 ? r : first;
        for (int k = 0; k < c->n_runs; k++) {
            bool same = k == r || (!done[k] && !isnan(all->value[k]) && !basis_differs(&bases[r], &bases[k]));
            m.value[k] = same ? all->value[k] : NAN;
            done[k] |= same;
        }
        m.why = r == first ? NULL : basis_differs(&bases[first], &bases[r]);
        m.name = m.why ? arena_printf(arena, "%s, %s", all->name, m.why) : all->name;
        if (!m.name)
            return error_memory();
        keep(c, &m);
    }
    return NULL;
}

static struct error *add_measures(struct comparison *c, const struct loaded_runs *l, const char *name)
{
    static const struct {
        const char *name;
        enum compare_unit unit;
    } kinds[] = {{"loss", COMPARE_REAL}, {"bpb", COMPARE_REAL},     {"reward", COMPARE_REAL}, {"time", COMPARE_SECONDS},
                 {"cost", COMPARE_USD},  {"tokens", COMPARE_COUNT}, {"params", COMPARE_COUNT}};
    struct compare_measure m[countof(kinds)], pass;
    const struct run_tables *tables[COMPARE_RUNS];
    struct basis losses[COMPARE_RUNS] = {{0}}, bpbs[COMPARE_RUNS] = {{0}};
    struct error *e = NULL;
    for (size_t i = 0; i < countof(kinds); i++)
        m[i] = (struct compare_measure){.stage = name, .name = kinds[i].name, .unit = kinds[i].unit};
    for (int r = 0; r < c->n_runs; r++) {
        int at = stage_index(&l->runs[r], name);
        const struct run_stage *s = at >= 0 ? &l->runs[r].stages[at] : NULL;
        tables[r] = s ? &l->tables[r][at] : NULL;
        if (s &&
            ((e = basis_of_loss(&losses[r], &l->runs[r], s, l->arena)) || (e = basis_of_bpb(&bpbs[r], &l->runs[r], s, l->arena))))
            return e;
        m[0].value[r] = s ? card_loss(tables[r]) : NAN;
        m[1].value[r] = s && !s->published ? card_bpb(tables[r]) : NAN; // a published one is a score
        m[2].value[r] = s ? last_reward(tables[r]) : NAN;
        m[3].value[r] = s ? s->seconds : NAN;
        m[4].value[r] = s ? s->usd : NAN;
        m[5].value[r] = s ? count_of(card_tokens(s)) : NAN;
        m[6].value[r] = s ? count_of(s->params) : NAN;
    }
    for (size_t i = 0; i < countof(kinds); i++) {
        if (i < 2)
            e = keep_comparable(c, &m[i], i ? bpbs : losses, l->arena);
        else
            keep(c, &m[i]);
        if (e)
            return e;
        for (int64_t k = 1; i == 2 && k <= PASS_MOST; k++) { // beside the reward
            pass = (struct compare_measure){.stage = name, .name = arena_printf(l->arena, "pass@%d", (int)k)};
            if (!pass.name)
                return error_memory();
            for (int r = 0; r < c->n_runs; r++)
                pass.value[r] = tables[r] ? last_pass(tables[r], k) : NAN;
            keep(c, &pass);
        }
    }
    return NULL;
}

static struct error *collect_measures(struct comparison *c, const struct loaded_runs *l)
{
    size_t n = 1;
    for (int r = 0; r < c->n_runs; r++)
        n += (size_t)l->runs[r].n_stages * MEASURES_A_STAGE;
    c->measures = arena_array(l->arena, n, sizeof *c->measures);
    if (!c->measures)
        return error_memory();
    for (int r = 0; r < c->n_runs; r++)
        for (int i = 0; i < l->runs[r].n_stages; i++) {
            const struct run_stage *s = &l->runs[r].stages[i];
            bool seen = false;
            for (int k = 0; k < r; k++)
                seen |= stage_index(&l->runs[k], s->name) >= 0;
            struct error *e = seen || !card_trains(s) ? NULL : add_measures(c, l, s->name);
            if (e)
                return e;
        }
    return NULL;
}

static struct compare_score *score_row(struct comparison *c, const char *model, const struct score_row *row, struct arena *arena)
{
    const char *why = NULL; // it cannot share the first row of that measure
    for (int i = 0; i < c->n_scores; i++) {
        struct compare_score *s = &c->scores[i];
        if (strcmp(s->model, model) || strcmp(s->name, row->name))
            continue;
        const char *differs = basis_differs(&s->basis, &row->basis);
        if (!differs)
            return s;
        why = why ? why : differs;
    }
    struct compare_score *s = &c->scores[c->n_scores];
    *s = (struct compare_score){.model = model,
                                .label = why ? arena_printf(arena, "%s, %s", row->name, why) : row->name,
                                .name = row->name,
                                .why = why,
                                .basis = row->basis,
                                .is_accuracy = row->is_accuracy,
                                .less_is_better = row->less_is_better,
                                .difference = NAN,
                                .p = NAN};
    for (int r = 0; r < COMPARE_RUNS; r++)
        s->value[r] = s->deviation[r] = s->low[r] = s->high[r] = NAN;
    c->n_scores += s->label != NULL;
    return s->label ? s : NULL;
}

static int by_row(const void *a, const void *b)
{
    const struct example_score *x = *(const struct example_score *const *)a, *y = *(const struct example_score *const *)b;
    return (x->row > y->row) - (x->row < y->row);
}

// The examples of a task, sorted by row; *n < 0: memory ran out.
static const struct example_score **examples_of(const struct table *all, const char *task, struct arena *arena, int64_t *n)
{
    const struct example_score *rows = all->rows, **found = arena_array(arena, (size_t)all->n + 1, sizeof *found);
    *n = found ? 0 : -1;
    for (int64_t i = 0; i < all->n && found; i++)
        if (!strcmp(rows[i].task, task))
            found[(*n)++] = &rows[i];
    if (found)
        qsort(found, (size_t)*n, sizeof *found, by_row);
    return found;
}

// "mmlu (100 of 14042)" is of task "mmlu".
static const char *task_of(const char *label, struct arena *arena)
{
    const char *capped = strstr(label, " (");
    return capped ? arena_strndup(arena, label, (size_t)(capped - label)) : label;
}

// Pairs the examples of two evaluations; s->pairs stays 0 where they are not the same.
static struct error *pair_examples(struct compare_score *s, const struct table *first, const struct table *second,
                                   struct arena *arena)
{
    const char *task = task_of(s->name, arena);
    int64_t n, m, only[2] = {0};
    if (!task)
        return error_memory();
    const struct example_score **a = examples_of(first, task, arena, &n), **b = examples_of(second, task, arena, &m);
    if (n < 0 || m < 0)
        return error_memory();
    if (n != m || n != s->n[0] || m != s->n[1])
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        if (a[i]->row != b[i]->row || strcmp(a[i]->expected, b[i]->expected))
            return NULL;
        only[0] += a[i]->right && !b[i]->right;
        only[1] += b[i]->right && !a[i]->right;
    }
    s->pairs = n;
    s->only_first = only[0];
    s->only_second = only[1];
    return NULL;
}

static struct error *test_score(struct compare_score *s, const struct table *const examples[2], struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    s->difference = s->value[1] - s->value[0];
    if (!s->is_accuracy || isnan(s->difference))
        return NULL;
    struct error *e = pair_examples(s, examples[0], examples[1], arena);
    arena_reset(arena, mark);
    if (e)
        return e;
    s->test = s->pairs ? COMPARE_MCNEMAR : COMPARE_PROPORTIONS;
    s->p = s->pairs ? compare_mcnemar(s->only_first, s->only_second)
                    : compare_proportions(s->value[0] * (double)s->n[0], s->n[0], s->value[1] * (double)s->n[1], s->n[1]);
    return NULL;
}

static void mark_best(struct compare_score *s, int n_runs)
{
    double best = NAN;
    bool equal = true;
    for (int r = 0; r < n_runs; r++) {
        if (isnan(s->value[r]))
            continue;
        equal = equal && (isnan(best) || s->value[r] == best);
        if (isnan(best) || (s->less_is_better ? s->value[r] < best : s->value[r] > best))
            best = s->value[r];
    }
    for (int r = 0; r < n_runs && !equal; r++)
        s->best[r] = s->value[r] == best;
}

static int model_column(const struct scores *s, const char *model)
{
    for (int m = 0; m < s->n_models; m++)
        if (!strcmp(s->models[m], model))
            return m;
    return -1;
}

// Those of one model of run r: its bits per byte, or all others.
static struct error *add_scores(struct comparison *c, const struct loaded_runs *l, int r, const char *model, bool bpb,
                                const struct table *(*examples)[COMPARE_RUNS])
{
    int m = model_column(&l->scores[r], model);
    for (int i = 0; i < l->scores[r].n_rows && m >= 0; i++) {
        const struct score_row *row = &l->scores[r].rows[i];
        if (row->stage[m] < 0 || row->less_is_better != bpb)
            continue;
        struct compare_score *s = score_row(c, model, row, l->arena);
        if (!s)
            return error_memory();
        s->value[r] = row->value[m];
        s->deviation[r] = row->deviation[m];
        s->low[r] = row->low[m];
        s->high[r] = row->high[m];
        s->n[r] = row->n[m];
        examples[s - c->scores][r] = &l->tables[r][row->stage[m]].examples;
    }
    return NULL;
}

static struct error *collect_scores(struct comparison *c, const struct loaded_runs *l)
{
    size_t n = 1;
    for (int r = 0; r < c->n_runs; r++)
        n += (size_t)l->scores[r].n_rows * (size_t)l->scores[r].n_models;
    c->scores = arena_array(l->arena, n, sizeof *c->scores);
    const struct table *(*examples)[COMPARE_RUNS] = arena_array(l->arena, n, sizeof *examples); // that a score is the share of
    if (!c->scores || !examples)
        return error_memory();
    for (int r = 0; r < c->n_runs; r++)
        for (int m = 0; m < l->scores[r].n_models; m++) {
            const char *model = l->scores[r].models[m];
            bool seen = false;
            for (int k = 0; k < r; k++)
                seen |= model_column(&l->scores[k], model) >= 0;
            for (int k = r; k < 2 * c->n_runs && !seen; k++) { // bits per byte of all, then the others
                struct error *e = k % c->n_runs >= r ? add_scores(c, l, k % c->n_runs, model, k < c->n_runs, examples) : NULL;
                if (e)
                    return e;
            }
        }
    for (int i = 0; i < c->n_scores; i++) {
        struct error *e = c->n_runs == 2 ? test_score(&c->scores[i], examples[i], l->arena) : NULL;
        if (e)
            return e;
        mark_best(&c->scores[i], c->n_runs);
    }
    return NULL;
}

// Whether a score is what a model is bought for: a mean over tasks, or an accuracy of a model that has no such.
static bool is_bought(const struct comparison *c, const struct compare_score *s)
{
    for (int i = 0; i < c->n_scores && s->is_accuracy; i++)
        if (!strcmp(c->scores[i].model, s->model) && !c->scores[i].is_accuracy && !c->scores[i].less_is_better)
            return false;
    return !s->less_is_better;
}

static struct error *add_worth(struct comparison *c, const struct worth *worth, const struct compare_score *s, bool first,
                               struct arena *arena)
{
    struct compare_measure flops = {.stage = s->model, .name = "FLOPs in all", .unit = COMPARE_BIG};
    struct compare_measure usd = {.stage = s->model, .name = "cost in all", .unit = COMPARE_USD};
    struct compare_measure a_dollar = {
        .stage = s->model, .name = arena_printf(arena, "%s a dollar", s->label), .unit = COMPARE_RATIO};
    struct compare_measure a_flop = {
        .stage = s->model, .name = arena_printf(arena, "%s an exaFLOP", s->label), .unit = COMPARE_RATIO};
    if (!a_dollar.name || !a_flop.name)
        return error_memory();
    for (int r = 0; r < c->n_runs; r++) {
        double value =
            s->value[r] > 0 ? s->value[r] * (s->is_accuracy ? 100 : 1) : NAN; // nothing, or less than chance, has no price
        flops.value[r] = worth[r].flops > 0 ? worth[r].flops : NAN;
        usd.value[r] = worth[r].usd > 0 ? worth[r].usd : NAN;
        a_dollar.value[r] = value / usd.value[r];
        a_flop.value[r] = value / (flops.value[r] / 1e18);
    }
    if (first)
        keep(c, &flops), keep(c, &usd);
    keep(c, &a_flop);
    keep(c, &a_dollar);
    return NULL;
}

// What each scored model took, and what its scores come to for it.
static struct error *collect_worth(struct comparison *c, const struct loaded_runs *l)
{
    struct compare_measure *more = arena_grow(l->arena, c->measures, (size_t)c->n_measures,
                                              (size_t)c->n_measures + 4 * (size_t)c->n_scores + 1, sizeof *more);
    if (!more)
        return error_memory();
    c->measures = more;
    for (int i = 0; i < c->n_scores; i++) {
        const struct compare_score *s = &c->scores[i];
        struct worth worth[COMPARE_RUNS];
        bool first = true;
        if (!is_bought(c, s) || s->why)
            continue;
        for (int k = 0; k < i; k++)
            first = first && (strcmp(c->scores[k].model, s->model) || !is_bought(c, &c->scores[k]) || c->scores[k].why);
        for (int r = 0; r < c->n_runs; r++) {
            int at = stage_index(&l->runs[r], s->model);
            worth[r] = (struct worth){NAN, NAN};
            struct error *e = at >= 0 ? worth_of(&worth[r], &l->runs[r], at, l->arena) : NULL;
            if (e)
                return e;
        }
        struct error *e = add_worth(c, worth, s, first, l->arena);
        if (e)
            return e;
    }
    return NULL;
}

struct error *compare_runs(struct comparison *c, const struct run *runs, int n_runs, struct arena *arena)
{
    *c = (struct comparison){.runs = runs, .n_runs = n_runs};
    struct loaded_runs l = {.runs = runs, .n = n_runs, .arena = arena};
    struct error *e = differences_collect(&c->differences, runs, n_runs, arena);
    for (int r = 0; r < n_runs && !e; r++)
        e = load_tables(&l, r);
    if (!e)
        e = collect_measures(c, &l);
    if (!e)
        e = collect_scores(c, &l);
    if (!e)
        e = collect_worth(c, &l);
    if (!e)
        e = compare_seeds(c, arena);
    for (int r = 0; r < n_runs; r++)
        for (int i = 0; i < l.n_loaded[r]; i++)
            run_tables_release(&l.tables[r][i]);
    return e;
}

static void reals(struct json *j, const char *key, const double *values, int n)
{
    json_key(j, key);
    json_open(j, '[');
    for (int r = 0; r < n; r++)
        json_f64(j, values[r]);
    json_close(j, ']');
}

static void score_to_json(struct json *j, const struct compare_score *s, int n_runs)
{
    static const char *const tests[] = {
        [COMPARE_UNTESTED] = NULL, [COMPARE_MCNEMAR] = "mcnemar", [COMPARE_PROPORTIONS] = "proportions"};
    bool paired = s->test == COMPARE_MCNEMAR;
    json_open(j, '{');
    json_key(j, "model"), json_str(j, s->model);
    json_key(j, "score"), json_str(j, s->label);
    json_key(j, "why"), json_str(j, s->why);
    reals(j, "values", s->value, n_runs);
    reals(j, "deviations", s->deviation, n_runs);
    reals(j, "lows", s->low, n_runs);
    reals(j, "highs", s->high, n_runs);
    json_key(j, "n");
    json_open(j, '[');
    for (int r = 0; r < n_runs; r++)
        json_count(j, s->n[r] > 0 ? s->n[r] : -1);
    json_close(j, ']');
    json_key(j, "best");
    json_open(j, '[');
    for (int r = 0; r < n_runs; r++)
        if (s->best[r])
            json_i64(j, r);
    json_close(j, ']');
    json_key(j, "difference"), json_f64(j, s->difference);
    json_key(j, "p"), json_f64(j, s->p);
    json_key(j, "test"), json_str(j, tests[s->test]);
    json_key(j, "pairs"), json_count(j, paired ? s->pairs : -1);
    json_key(j, "only_first"), json_count(j, paired ? s->only_first : -1);
    json_key(j, "only_second"), json_count(j, paired ? s->only_second : -1);
    json_close(j, '}');
}

static void run_to_json(struct json *j, const struct run *run)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, run->name);
    json_key(j, "number"), json_count(j, run->source ? -1 : run->number);
    json_key(j, "source"), json_str(j, run->source);
    json_key(j, "path"), json_str(j, run->path);
    json_key(j, "state"), json_str(j, run->state);
    json_key(j, "started"), json_str(j, run->started);
    json_key(j, "seconds"), json_f64(j, run->seconds);
    json_key(j, "usd"), json_f64(j, run->usd);
    json_key(j, "recipe"), json_str(j, run->recipe_path);
    json_key(j, "machine"), json_str(j, run->machine);
    json_key(j, "build"), json_str(j, run->build);
    json_close(j, '}');
}

static void difference_to_json(struct json *j, const struct difference *d, int n_runs)
{
    json_open(j, '{');
    json_key(j, "stage"), json_str(j, d->stage);
    json_key(j, "field"), json_str(j, d->field);
    json_key(j, "values");
    json_open(j, '[');
    for (int r = 0; r < n_runs; r++)
        d->json[r] ? json_raw(j, d->json[r]) : json_nil(j);
    json_close(j, ']');
    json_key(j, "of"), json_i64(j, d->of);
    json_close(j, '}');
}

void compare_json(const struct comparison *c, struct json *j)
{
    json_key(j, "runs");
    json_open(j, '[');
    for (int r = 0; r < c->n_runs; r++)
        run_to_json(j, &c->runs[r]);
    json_close(j, ']');
    json_key(j, "fields");
    json_open(j, '[');
    for (int i = 0; i < c->differences.n_rows; i++)
        difference_to_json(j, &c->differences.rows[i], c->n_runs);
    json_close(j, ']');
    json_key(j, "fields_left_out"), json_i64(j, c->differences.n_left_out);
    json_key(j, "stages");
    json_open(j, '[');
    for (int i = 0; i < c->n_measures; i++) {
        json_open(j, '{');
        json_key(j, "stage"), json_str(j, c->measures[i].stage);
        json_key(j, "measure"), json_str(j, c->measures[i].name);
        json_key(j, "why"), json_str(j, c->measures[i].why);
        reals(j, "values", c->measures[i].value, c->n_runs);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_key(j, "scores");
    json_open(j, '[');
    for (int i = 0; i < c->n_scores; i++)
        score_to_json(j, &c->scores[i], c->n_runs);
    json_close(j, ']');
    compare_seeds_json(c, j);
}
