// probe.c - sizes are those of small models, for which this machine is used; values do not matter to the time, so long as they are
// ordinary numbers.
#include "runner/graph/probe.h"

#include <math.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "runner/graph/cost.h"
#include "runner/graph/trial.h"

enum { ROUNDS = 3, TRIES = 3, PEAK_MS = 150, PART_MS = 200, STEPS = 1 };
enum { PRODUCT_M = 1024, PRODUCT_C = 768, ATTENTION_B = 2, ATTENTION_T = 512, ATTENTION_H = 6, ATTENTION_D = 64, COPIED = 4096 };

struct probing {
    struct machine *m;
    struct device *dev, *dev_bf16;
    struct arena *arena;
    double product_s, attention_s, copy_s; // the shortest so far, as those of machine
    void (*told)(void *self, const struct probe_figure *figure);
    void *self;
};

static void tell(const struct probing *p, const char *name, const char *unit, double value, bool is_flops)
{
    struct probe_figure figure = {.name = name, .unit = unit, .value = value, .share = is_flops ? value / p->m->peak : NAN};
    if (p->told)
        p->told(p->self, &figure);
}

// *seconds gets down to the shortest of some tries of work(), which is done `times` times a try.
static struct error *try_some(const struct probing *p, void (*work)(void *), void *self, int times, double *seconds)
{
    double from = clock_seconds();
    for (int i = 0; i <= TRIES && (i < 2 || clock_seconds() - from < PART_MS / 1000.0);
         i++) { // the first is for workspace and caches
        if (stop_requested())
            return error_stopped();
        double begin = clock_seconds();
        for (int k = 0; k < times; k++)
            work(self);
        double took = (clock_seconds() - begin) / times;
        if (i && took < *seconds)
            *seconds = took;
    }
    return error_from_fault(device_fault(p->dev));
}

static void fill(struct device *dev, struct tensor t)
{
    float piece[1024];
    for (int i = 0; i < 1024; i++)
        piece[i] = (float)((i * 7919) % 1000) / 1000 - 0.5f;
    for (int64_t first = 0, n = t.rows * t.cols; first < n; first += 1024)
        device_put(dev, t, first, n - first < 1024 ? n - first : 1024, piece);
}

struct operands {
    struct device *dev;
    struct tensor y, x, r, q, k, v, o, lse, dq, dk, dv;
    struct weight w;
    struct attention a;
};

static void multiply(void *self)
{
    struct operands *o = self;
    op_matmul(o->dev, o->y, o->x, &o->w, false);
}

static void attend(void *self)
{
    struct operands *o = self;
    op_attention(o->dev, o->o, o->lse, o->q, o->k, o->v, o->a);
    op_attention_back(o->dev, o->dq, o->dk, o->dv, o->x, o->q, o->k, o->v, o->o, o->lse, o->a);
}

static void copy(void *self)
{
    struct operands *o = self;
    op_copy(o->dev, o->y, o->x);
}

static void normalise(void *self)
{
    struct operands *o = self;
    op_norm(o->dev, o->y, o->r, o->x, 1e-6f);
}

static void measure_peak(struct probing *p)
{
    double begin = clock_seconds(), used = (double)clock() / CLOCKS_PER_SEC;
    p->m->peak = fmax(p->m->peak, device_peak_flops(p->dev, PEAK_MS / 1000.0));
    p->m->peak_bf16 = fmax(p->m->peak_bf16, device_peak_flops(p->dev_bf16, PEAK_MS / 1000.0));
    used = ((double)clock() / CLOCKS_PER_SEC - used) / ((clock_seconds() - begin) * (double)p->m->threads);
    p->m->had = fmin(p->m->had, used);
}

static struct error *measure_products(struct probing *p)
{
    struct operands o = {
        .dev = p->dev, .y = device_tensor(p->dev, PRODUCT_M, PRODUCT_C), .x = device_tensor(p->dev, PRODUCT_M, PRODUCT_C)};
    o.w.master = device_tensor(p->dev, PRODUCT_C, PRODUCT_C);
    fill(p->dev, o.x), fill(p->dev, o.w.master);
    op_weight_prepare(p->dev, &o.w);
    return try_some(p, multiply, &o, 4, &p->product_s);
}

static struct error *measure_attention(struct probing *p)
{
    enum { N = ATTENTION_B * ATTENTION_T, C = ATTENTION_H * ATTENTION_D };
    struct operands o = {.dev = p->dev, .a = {ATTENTION_B, ATTENTION_T, ATTENTION_H, ATTENTION_H, ATTENTION_D, 0}};
    struct tensor *all[] = {&o.q, &o.k, &o.v, &o.o, &o.x, &o.dq, &o.dk, &o.dv};
    for (size_t i = 0; i < countof(all); i++) {
        *all[i] = device_tensor(p->dev, N, C);
        fill(p->dev, *all[i]);
    }
    o.lse = device_tensor(p->dev, N, ATTENTION_H);
    return try_some(p, attend, &o, 2, &p->attention_s);
}

static struct error *measure_copying(struct probing *p)
{
    struct operands o = {.dev = p->dev, .y = device_tensor(p->dev, COPIED, COPIED), .x = device_tensor(p->dev, COPIED, COPIED)};
    return try_some(p, copy, &o, 1, &p->copy_s);
}

static struct error *measure_start(struct probing *p)
{
    struct operands o = {
        .dev = p->dev, .y = device_tensor(p->dev, 64, 16), .x = device_tensor(p->dev, 64, 16), .r = device_tensor(p->dev, 64, 1)};
    return try_some(p, normalise, &o, 300, &p->m->start_s);
}

// The shortest of some updates of a model.
static struct error *measure_steps(struct probing *p, const struct cost_setup *setup, double *seconds)
{
    struct trial trial;
    double took = INFINITY;
    struct error *e = trial_open(&trial, p->dev, setup, p->arena);
    for (int step = 0; step <= STEPS && !e; step++) {
        e = trial_step(&trial, &took);
        *seconds = step && !e ? fmin(*seconds, took) : *seconds;
    }
    return e;
}

static struct error *set_up_models(struct cost_setup *small, struct cost_setup *large)
{
    *small = (struct cost_setup){.batch = 4, .T = 128, .width = 128, .trains = true, .rows = 32};
    *large = (struct cost_setup){.batch = 2, .T = 256, .width = 256, .trains = true, .rows = 16};
    struct error *e = shape_from_depth(&small->shape, 2, 512, 128);
    if (!e)
        e = shape_from_depth(&large->shape, 6, 2048, 256);
    small->shape.n_embd = SMALL_WIDTH;
    small->shape.n_mlp = 4 * SMALL_WIDTH;
    small->shape.n_head = small->shape.n_kv_head = 2;
    small->shape.head_dim = SMALL_WIDTH / 2;
    large->shape.n_layer = 2;
    return e;
}

// Everything once; figures only get better by it. Tensors and host buffers of a part go with it.
static struct error *measure_round(struct probing *p, const struct cost_setup *small, const struct cost_setup *large)
{
    struct error *(*const parts[])(struct probing *) = {measure_products, measure_attention, measure_copying, measure_start};
    struct arena_mark own = arena_mark(p->arena);
    size_t mark = device_mark(p->dev);
    struct error *e = NULL;
    measure_peak(p);
    for (size_t i = 0; i < countof(parts) && !e; i++) {
        e = parts[i](p);
        device_reset(p->dev, mark);
    }
    if (!e)
        e = measure_steps(p, small, &p->m->small_s);
    device_reset(p->dev, mark);
    if (!e)
        e = measure_steps(p, large, &p->m->large_s);
    device_reset(p->dev, mark);
    arena_reset(p->arena, own);
    return e;
}

static void tell_all(const struct probing *p)
{
    const struct machine *m = p->m;
    tell(p, "peak", "FLOP/s", m->peak, false);
    tell(p, "peak of bfloat16", "FLOP/s", m->peak_bf16, false);
    tell(p, "products", "FLOP/s", m->products, true);
    tell(p, "attention", "FLOP/s", m->attention, true);
    tell(p, "training a model of width 64", "FLOP/s", m->small_flops / m->small_s, true);
    tell(p, "training a model of width 384", "FLOP/s", m->large_flops / m->large_s, true);
    tell(p, "copying", "B/s", m->bandwidth, false);
    tell(p, "an operation on next to nothing", "s", m->start_s, false);
}

// What the figures come to: rates, and what real steps take over what their operations do.
static struct error *conclude(struct probing *p, const struct cost_setup *small, const struct cost_setup *large)
{
    struct machine *m = p->m;
    struct cost cost;
    double pairs = ATTENTION_B * ATTENTION_H * (ATTENTION_T * (ATTENTION_T + 1.0) / 2);
    m->products = 2.0 * PRODUCT_M * PRODUCT_C * PRODUCT_C / p->product_s;
    m->attention = pairs * 14 * ATTENTION_D / p->attention_s;
    m->bandwidth = 2.0 * sizeof(float) * COPIED * COPIED / p->copy_s;
    struct costs costs = {.arena = p->arena, .rates = machine_rates(m), .threads = (int)m->threads};
    struct error *e = cost_of(&costs, small, &cost);
    if (e)
        return e;
    m->small_flops = cost.update.flops;
    m->small = m->small_s / cost.update.seconds;
    if ((e = cost_of(&costs, large, &cost)))
        return e;
    m->large_flops = cost.update.flops;
    m->large = m->large_s / cost.update.seconds;
    return NULL;
}

struct error *probe_measure(struct machine *measured, const struct machine *here,
                            void (*told)(void *self, const struct probe_figure *figure), void *self, struct arena *arena)
{
    struct fault fault;
    struct cost_setup small, large;
    *measured = *here;
    measured->start_s = measured->small_s = measured->large_s = INFINITY;
    measured->had = 1;
    struct probing p = {.m = measured, .arena = arena, .told = told, .self = self};
    p.product_s = p.attention_s = p.copy_s = INFINITY;
    p.dev = device_open(DEVICE_CPU, (int)here->threads, &fault);
    p.dev_bf16 = p.dev ? device_open(DEVICE_CPU, (int)here->threads, &fault) : NULL;
    if (!p.dev_bf16) {
        device_close(p.dev);
        return error_from_fault(fault);
    }
    device_set_precision(p.dev_bf16, PRECISION_BF16);
    struct error *e = set_up_models(&small, &large);
    for (int round = 0; round < ROUNDS && !e; round++)
        e = measure_round(&p, &small, &large);
    device_close(p.dev);
    device_close(p.dev_bf16);
    if (!e)
        e = conclude(&p, &small, &large);
    clock_text(clock_unix(), measured->measured);
    if (!e)
        tell_all(&p);
    return e;
}
