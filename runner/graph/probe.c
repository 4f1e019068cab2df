// probe.c - sizes are those of small models, for which this machine is used; values do not matter to the time, so long as they are
// ordinary numbers.
#include "runner/graph/probe.h"

#include <math.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/train/gradient.h"
#include "core/train/optimizer.h"
#include "runner/graph/cost.h"

enum { TRIES = 5, PEAK_TRIES_MS = 400, STEPS = 3 };

struct probing {
    struct machine *m;
    struct device *dev;
    struct arena *arena;
    void (*told)(void *self, const struct probe_figure *figure);
    void *self;
};

static void tell(const struct probing *p, const char *name, const char *unit, double value, bool is_flops)
{
    struct probe_figure figure = {.name = name, .unit = unit, .value = value, .share = is_flops ? value / p->m->peak : NAN};
    if (p->told)
        p->told(p->self, &figure);
}

// The shortest of some tries of work(), which is done `times` times a try.
static struct error *shortest(const struct probing *p, void (*work)(void *), void *self, int times, double *seconds)
{
    *seconds = INFINITY;
    for (int i = 0; i <= TRIES; i++) { // the first is for workspace and caches
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

static struct error *measure_operations(struct probing *p)
{
    struct machine *m = p->m;
    struct device *dev = p->dev;
    double seconds;
    size_t mark = device_mark(dev);
    m->peak = device_peak_flops(dev, PEAK_TRIES_MS / 1000.0);
    tell(p, "peak", "FLOP/s", m->peak, false);

    struct operands o = {.dev = dev, .y = device_tensor(dev, 1024, 768), .x = device_tensor(dev, 1024, 768)};
    o.w.master = device_tensor(dev, 768, 768);
    fill(dev, o.x), fill(dev, o.w.master);
    op_weight_prepare(dev, &o.w);
    struct error *e = shortest(p, multiply, &o, 4, &seconds);
    if (e)
        return e;
    m->products = 2.0 * 1024 * 768 * 768 / seconds;
    tell(p, "products", "FLOP/s", m->products, true);
    device_reset(dev, mark);

    enum { B = 2, T = 512, H = 6, D = 64, N = B * T, C = H * D };
    o = (struct operands){.dev = dev, .a = {.B = B, .T = T, .n_head = H, .n_kv_head = H, .head_dim = D}};
    struct tensor *all[] = {&o.q, &o.k, &o.v, &o.o, &o.x, &o.dq, &o.dk, &o.dv};
    for (size_t i = 0; i < countof(all); i++) {
        *all[i] = device_tensor(dev, N, C);
        fill(dev, *all[i]);
    }
    o.lse = device_tensor(dev, N, H);
    if ((e = shortest(p, attend, &o, 2, &seconds)))
        return e;
    m->attention = B * H * (T * (T + 1.0) / 2) * 14 * D / seconds;
    tell(p, "attention", "FLOP/s", m->attention, true);
    device_reset(dev, mark);

    o = (struct operands){.dev = dev, .y = device_tensor(dev, 1 << 12, 1 << 12), .x = device_tensor(dev, 1 << 12, 1 << 12)};
    if ((e = shortest(p, copy, &o, 1, &seconds)))
        return e;
    m->bandwidth = 2.0 * (1 << 26) / seconds;
    tell(p, "copying", "bytes/s", m->bandwidth, false);
    device_reset(dev, mark);

    o = (struct operands){
        .dev = dev, .y = device_tensor(dev, 64, 16), .x = device_tensor(dev, 64, 16), .r = device_tensor(dev, 64, 1)};
    if ((e = shortest(p, normalise, &o, 1000, &seconds)))
        return e;
    m->start_s = seconds;
    tell(p, "an operation on next to nothing", "s", m->start_s, false);
    device_reset(dev, mark);
    return NULL;
}

static struct error *read_rows(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    int V = *(const int *)self;
    for (int64_t i = 0; i < (int64_t)n * T; i++) {
        inputs[i] = (int32_t)((first * T + i) * 7919 % V);
        targets[i] = (int32_t)((first * T + i + 1) * 7919 % V);
    }
    return NULL;
}

// The shortest of some updates of a model, and the counted cost of one.
static struct error *measure_steps(struct probing *p, const struct shape *shape, int batch, int64_t rows, double *seconds,
                                   struct cost *cost)
{
    struct rates rates = {.matrix_lr = 0.02, .embedding_lr = 0.2, .unembedding_lr = 0.004};
    struct model model;
    struct optimizer optimizer;
    struct gradient gradient;
    size_t mark = device_mark(p->dev);
    struct arena_mark own = arena_mark(p->arena);
    int V = shape->n_vocab;
    struct error *e = model_open(&model, p->dev, shape, p->arena);
    if (!e)
        e = model_reserve(&model, batch, shape->seq_len, true);
    if (!e)
        e = optimizer_open(&optimizer, &model, &rates);
    if (!e)
        e = gradient_open(&gradient, &model, rows, shape->seq_len, batch);
    if (!e)
        model_init_weights(&model, 1);
    *seconds = INFINITY;
    for (int step = 0; step <= STEPS && !e; step++) {
        const struct tensor *sum;
        double loss, begin = clock_seconds();
        e = gradient_of_rows(&gradient, (struct row_source){.self = &V, .read = read_rows}, step * rows, &loss, &sum);
        if (e)
            break;
        optimizer_measure(&optimizer, sum, step, 1, 0.9);
        optimizer_step(&optimizer, sum);
        e = error_from_fault(device_fault(p->dev));
        double took = clock_seconds() - begin;
        *seconds = step && took < *seconds ? took : *seconds;
    }
    device_reset(p->dev, mark);
    struct costs costs = {.arena = p->arena, .rates = machine_rates(p->m), .threads = (int)p->m->threads};
    struct cost_setup setup = {
        .shape = *shape, .batch = batch, .T = shape->seq_len, .trains = true, .rows = rows, .width = shape->seq_len};
    if (!e)
        e = cost_of(&costs, &setup, cost);
    arena_reset(p->arena, own);
    return e;
}

static struct error *measure_models(struct probing *p)
{
    struct machine *m = p->m;
    struct shape small, large;
    struct cost cost;
    struct error *e = shape_from_depth(&small, 2, 512, 128);
    if (!e)
        e = shape_from_depth(&large, 6, 4096, 256);
    if (e)
        return e;
    small.n_embd = SMALL_WIDTH, small.n_mlp = 4 * SMALL_WIDTH, small.n_head = small.n_kv_head = 2, small.head_dim = 32;
    large.n_layer = 2;
    if ((e = measure_steps(p, &small, 4, 32, &m->small_s, &cost)))
        return e;
    m->small_flops = cost.update.flops;
    m->small = m->small_s / cost.update.seconds;
    tell(p, "training a model of width 64", "FLOP/s", m->small_flops / m->small_s, true);
    if ((e = measure_steps(p, &large, 2, 16, &m->large_s, &cost)))
        return e;
    m->large_flops = cost.update.flops;
    m->large = m->large_s / cost.update.seconds;
    tell(p, "training a model of width 384", "FLOP/s", m->large_flops / m->large_s, true);
    return NULL;
}

struct error *probe_measure(struct machine *measured, const struct machine *here,
                            void (*told)(void *self, const struct probe_figure *figure), void *self, struct arena *arena)
{
    struct fault fault;
    *measured = *here;
    struct probing p = {.m = measured, .arena = arena, .told = told, .self = self};
    p.dev = device_open(DEVICE_CPU, (int)here->threads, &fault);
    if (!p.dev)
        return error_from_fault(fault);
    struct error *e = measure_operations(&p);
    if (!e)
        e = measure_models(&p);
    device_close(p.dev);
    clock_text(clock_unix(), measured->measured);
    return e;
}
