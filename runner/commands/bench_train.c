// bench_train.c - `retort bench train [RECIPE [STAGE]]`: whole training steps on made-up tokens, as tokens a second and as a share of
// what the machine was measured to do in the same moment.
//
// Steps of a shape are repeated until ENOUGH_S have gone, at least one after the first, which is for memory. The best is told, for
// others who use the machine make a step slower and never faster, and the median, which shows how much they did.
#include "runner/commands/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/stop.h"
#include "kernels/profile.h"
#include "runner/commands/load.h"
#include "runner/graph/estimate.h"
#include "runner/graph/trial.h"
#include "runner/stages/hyperparameters.h"
#include "runner/view/format.h"

enum { STEPS_MOST = 32, SHAPES_MOST = 8, PEAK_MS = 200 };
static const double ENOUGH_S = 20;

struct measured {
    const char *name;
    struct cost_setup setup;
    double seconds[STEPS_MOST]; // of each step, the first left out; sorted
    int n_steps;
    double peak;                 // FLOP/s of the machine, the better of before and after
    double flops, flops_counted; // of a step: the reference's formula, and what its operations do
    struct op_timing ops[PROFILE_OPS];
    int n_ops;
};

// --- what to measure --------------------------------------------------------------------------------------------------------------

static struct error *standard_shapes(struct measured *shapes, int *n, struct arena *arena)
{
    static const struct {
        int depth, vocab;
    } each[] = {{4, 8192}, {4, 65536}, {8, 8192}, {8, 65536}};
    for (*n = 0; *n < (int)countof(each); ++*n) {
        struct measured *m = &shapes[*n];
        *m = (struct measured){.setup = {.batch = 16, .T = 512, .width = 512, .trains = true, .rows = 16}};
        m->name = arena_printf(arena, "depth %d, vocab %d", each[*n].depth, each[*n].vocab);
        struct error *e = shape_from_depth(&m->setup.shape, each[*n].depth, each[*n].vocab, 512);
        if (e || !m->name)
            return e ? e : error_memory();
    }
    return NULL;
}

static bool is_training(const struct graph_node *node)
{
    return node->kind == KIND_PRETRAIN || node->kind == KIND_FINETUNE;
}

// The stage of that name, or the first training of the recipe.
static struct error *find_stage(const struct graph *graph, const char *recipe, const char *name, const struct graph_node **found,
                                struct arena *arena)
{
    const char **names = arena_array(arena, (size_t)graph->n_nodes, sizeof *names);
    int n = 0;
    *found = NULL;
    for (int i = 0; i < graph->n_nodes && names; i++) {
        const struct graph_node *node = graph->nodes[i];
        if (!is_training(node))
            continue;
        names[n++] = node->name;
        if (!*found && (!name || !strcmp(name, node->name)))
            *found = node;
    }
    if (!names)
        return error_memory();
    if (*found)
        return NULL;
    if (!name)
        return error_new(ERROR_USAGE, NOWHERE, "give a recipe that trains", "'%s' has no stage of kind pretrain or finetune",
                         recipe);
    const struct graph_node *other = graph_find(graph, name);
    if (other)
        return error_new(ERROR_USAGE, NOWHERE, load_names(names, n, arena), "'%s' is no training with steps of a fixed shape",
                         name);
    return load_no_stage(recipe, name, names, n, "retort plan", arena);
}

static struct error *recipe_shape(const struct call *call, struct measured *m)
{
    struct loaded l;
    const struct graph_node *node;
    bool known;
    const char *stage = call->n_args > 2 ? call->args[2] : NULL;
    struct error *e = load_recipe(&l, call, call->args[1]);
    if (!e)
        e = find_stage(&l.graph, call->args[1], stage, &node, call->arena);
    *m = (struct measured){0};
    if (!e)
        e = estimate_shape(node, &m->setup.shape, &known);
    if (e)
        return e;
    if (!known)
        return error_plain(ERROR_NOT_BUILT,
                           "the vocabulary of '%s' is known from an import only, which is not built in this version", node->name);
    const struct pretrain_options *p = node->options;
    const struct finetune_options *f = node->options;
    bool pretrains = node->kind == KIND_PRETRAIN;
    struct scaling_law law = {0};
    if (pretrains && (e = law_of(&law, p, &m->setup.shape)))
        return e;
    int64_t T = m->setup.shape.seq_len, batch_tokens = pretrains ? law.batch_tokens : f->batch_tokens;
    int64_t batch = pretrains ? p->device_batch : f->device_batch;
    m->name = node->name;
    m->setup.rows = batch_tokens != FIELD_UNSET_INT ? batch_tokens / T : f->rows;
    m->setup.batch = batch < m->setup.rows ? batch : m->setup.rows;
    m->setup.T = m->setup.width = T;
    m->setup.trains = true;
    m->setup.optimizer_2026 = is_2026(pretrains ? p->optimizer : f->optimizer);
    m->setup.precision = precision_of(pretrains ? p->precision : f->precision);
    return NULL;
}

// --- measuring --------------------------------------------------------------------------------------------------------------------

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct error *take_steps(struct measured *m, struct device *dev, bool profile, struct arena *arena)
{
    struct trial trial;
    double all = 0, seconds;
    struct error *e = trial_open(&trial, dev, &m->setup, arena);
    if (!e)
        e = trial_step(&trial, &seconds);
    device_profile(dev, profile);
    while (!e && m->n_steps < STEPS_MOST && (m->n_steps == 0 || all + all / m->n_steps < ENOUGH_S)) {
        if (stop_requested())
            e = error_stopped();
        if (!e)
            e = trial_step(&trial, &seconds);
        if (e)
            break;
        m->seconds[m->n_steps++] = seconds;
        all += seconds;
    }
    m->n_ops = device_timings(dev, m->ops, PROFILE_OPS);
    device_profile(dev, false);
    qsort(m->seconds, (size_t)m->n_steps, sizeof *m->seconds, by_size);
    return e;
}

static struct error *measure(struct measured *m, bool profile)
{
    struct fault fault;
    struct arena arena = {0};
    struct costs costs = {.arena = &arena};
    struct cost cost;
    struct device *dev = device_open(DEVICE_CPU, 0, &fault);
    if (!dev)
        return error_from_fault(fault);
    device_set_precision(dev, m->setup.precision);
    struct error *e = cost_of(&costs, &m->setup, &cost);
    if (!e) {
        m->flops = shape_flops_per_token(&m->setup.shape) * (double)m->setup.rows * (double)m->setup.T;
        m->flops_counted = cost.update.flops;
        m->peak = device_peak_flops(dev, PEAK_MS / 1000.0);
        e = take_steps(m, dev, profile, &arena);
        m->peak = fmax(m->peak, device_peak_flops(dev, PEAK_MS / 1000.0));
    }
    device_close(dev);
    arena_release(&arena);
    return e;
}

static double median(const struct measured *m)
{
    int half = m->n_steps / 2;
    return m->n_steps % 2 ? m->seconds[half] : (m->seconds[half - 1] + m->seconds[half]) / 2;
}

// --- telling ----------------------------------------------------------------------------------------------------------------------

static double tokens_of(const struct measured *m)
{
    return (double)m->setup.rows * (double)m->setup.T;
}

static void print_line(const struct measured *m)
{
    double best = m->seconds[0];
    char name[64];
    snprintf(name, sizeof name, "%.40s%s", m->name, m->setup.precision == PRECISION_BF16 ? ", bf16" : "");
    printf("%-22s %7.0f %7.0f %8.3f %8.1f %5.1f%% %8.1f %5.1f%%\n", name, tokens_of(m) / best, tokens_of(m) / median(m), best,
           m->flops / best / 1e9, 100 * m->flops / best / m->peak, m->flops_counted / best / 1e9,
           100 * m->flops_counted / best / m->peak);
    fflush(stdout);
}

static int by_time(const void *a, const void *b)
{
    double x = ((const struct op_timing *)a)->seconds, y = ((const struct op_timing *)b)->seconds;
    return (x < y) - (x > y);
}

static double all_steps(const struct measured *m)
{
    double all = 0;
    for (int i = 0; i < m->n_steps; i++)
        all += m->seconds[i];
    return all;
}

static void print_profile(const struct measured *m)
{
    double all = all_steps(m), rest = all, products = 0;
    printf("\n    %-18s %8s %10s %7s %9s\n", "operation", "calls", "ms a step", "share", "products");
    for (int i = 0; i < m->n_ops; i++) {
        const struct op_timing *t = &m->ops[i];
        printf("    %-18s %8.0f %10.2f %6.1f%%", t->op, (double)t->calls / m->n_steps, 1000 * t->seconds / m->n_steps,
               100 * t->seconds / all);
        if (t->products_s > 0)
            printf(" %8.1f%%", 100 * t->products_s / all);
        putchar('\n');
        rest -= t->seconds;
        products += t->products_s;
    }
    printf("    %-18s %8s %10.2f %6.1f%%\n", "between them", "", 1000 * rest / m->n_steps, 100 * rest / all);
    printf("    %-18s %8s %10.2f %6.1f%% %8.1f%%\n\n", "all", "", 1000 * all / m->n_steps, 100.0, 100 * products / all);
}

static void put_real(struct json *j, const char *key, double value)
{
    json_key(j, key), json_f64(j, value);
}

static void put_profile(struct json *j, const struct measured *m)
{
    double all = all_steps(m);
    json_key(j, "operations");
    json_open(j, '[');
    for (int i = 0; i < m->n_ops; i++) {
        json_open(j, '{');
        json_key(j, "op"), json_str(j, m->ops[i].op);
        put_real(j, "calls", (double)m->ops[i].calls / m->n_steps);
        put_real(j, "seconds", m->ops[i].seconds / m->n_steps);
        put_real(j, "share", m->ops[i].seconds / all);
        put_real(j, "products_share", m->ops[i].products_s / all);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_measured(struct json *j, const struct measured *m, bool profile)
{
    double best = m->seconds[0];
    json_open(j, '{');
    json_key(j, "name"), json_str(j, m->name);
    json_key(j, "precision"), json_str(j, m->setup.precision == PRECISION_BF16 ? "bf16" : "f32");
    json_key(j, "params"), json_i64(j, shape_params(&m->setup.shape));
    json_key(j, "seq_len"), json_i64(j, m->setup.T);
    json_key(j, "rows"), json_i64(j, m->setup.rows);
    json_key(j, "device_batch"), json_i64(j, m->setup.batch);
    json_key(j, "steps"), json_i64(j, m->n_steps);
    put_real(j, "tok_s", tokens_of(m) / best);
    put_real(j, "tok_s_median", tokens_of(m) / median(m));
    put_real(j, "seconds", best);
    put_real(j, "seconds_median", median(m));
    put_real(j, "flops", m->flops);
    put_real(j, "flops_counted", m->flops_counted);
    put_real(j, "peak_flops", m->peak);
    put_real(j, "mfu", m->flops / best / m->peak);
    put_real(j, "share_counted", m->flops_counted / best / m->peak);
    if (profile)
        put_profile(j, m);
    json_close(j, '}');
}

struct error *bench_train(struct call *call)
{
    struct measured shapes[SHAPES_MOST];
    struct json j;
    int n = 1;
    if (call->n_args < 2 && call->n_settings)
        return error_new(ERROR_USAGE, NOWHERE, "`retort bench train RECIPE -s ...`", "-s changes a recipe, and none is named");
    struct error *e = call->n_args > 1 ? recipe_shape(call, shapes) : standard_shapes(shapes, &n, call->arena);
    if (!e)
        e = bench_open(call, &j);
    if (e)
        return e;
    if (call->json) {
        json_key(&j, "trainings");
        json_open(&j, '[');
    } else {
        printf("%-22s %7s %7s %8s %15s %15s\n", "", "tok/s", "median", "s a step", "by formula", "counted");
    }
    for (int i = 0; i < n && !e; i++) {
        e = error_while(measure(&shapes[i], call->profile), NOWHERE, "training %s", shapes[i].name);
        if (e)
            break;
        qsort(shapes[i].ops, (size_t)shapes[i].n_ops, sizeof *shapes[i].ops, by_time);
        if (call->json)
            put_measured(&j, &shapes[i], call->profile);
        else
            print_line(&shapes[i]);
        if (!call->json && call->profile)
            print_profile(&shapes[i]);
    }
    if (!call->json && !e)
        printf("\nby formula (the reference's, 6 a parameter and attention) and counted: GFLOP/s,\n"
               "and their share of the peak of multiply-adds measured beside, %.1f GFLOP/s\n",
               shapes[n - 1].peak / 1e9);
    if (!call->json)
        return e;
    json_close(&j, ']');
    if (!e)
        return answer_print(&j);
    json_release(&j);
    return e;
}
