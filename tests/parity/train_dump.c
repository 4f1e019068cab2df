// train_dump.c - a training that any other program can do again: weights and tokens by arithmetic, every loss told.
//
//     train_dump YEAR DEPTH VOCAB T ROWS STEPS [DEVICE_BATCH [THREADS]]
//
// YEAR is 2025 or 2026: the model, the optimizer and the schedules. Weight i of parameter number k is mix(k, i) as a uniform number of
// the mean and deviation that the parameter begins with; tokens are those of made_token. In 2026 zeros become numbers up to 0.1, else
// the gradients of lambdas are rounding and nothing else. Printed are "loss STEP VALUE" and, after steps 1, 2, 10 and the last, "rms STEP NAME
// CHANGE": the root of the mean square of what the parameter moved since the beginning. Status 1 on an error.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/train/gradient.h"
#include "core/train/optimizer.h"
#include "core/train/schedule.h"

// The finaliser of SplitMix64 over a stream s and a place i in it.
static uint64_t mix(uint64_t s, uint64_t i)
{
    uint64_t x = (s << 40) + i + 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

struct text {
    int V, T;
};

// Token t of row r: three of four follow from the one before.
static int32_t made_token(const struct text *text, int64_t r, int t)
{
    uint64_t V = (uint64_t)text->V, id = mix(900, (uint64_t)r) % V;
    for (int i = 1; i <= t; i++) {
        uint64_t x = mix(901, (uint64_t)(r * (text->T + 1) + i));
        id = x % 4 ? (5 * id + 3) % V : (x >> 8) % V;
    }
    return (int32_t)id;
}

static struct error *read_rows(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    for (int i = 0; i < n; i++)
        for (int t = 0; t < T; t++) {
            inputs[i * T + t] = made_token(self, first + i, t);
            targets[i * T + t] = made_token(self, first + i, t + 1);
        }
    return NULL;
}

struct training {
    struct arena arena;
    struct device *dev;
    struct shape shape;
    struct model model;
    struct optimizer optimizer;
    struct gradient gradient;
    float **begun; // a parameter: its values at the beginning
};

// u is uniform in [-1,1); element i of n.
static double begin_with(struct init init, double of_zero, double u, int64_t i, int64_t n)
{
    if (init.kind == INIT_LINE && init.a == 0 && init.b == 0)
        return u * of_zero;
    if (init.kind == INIT_NORMAL)
        return init.a + u * sqrt(3) * init.b;
    if (init.kind == INIT_UNIFORM)
        return (init.a + init.b) / 2 + u * (init.b - init.a) / 2;
    return init.a + (init.b - init.a) * (n > 1 ? (double)i / (double)(n - 1) : 0);
}

static struct error *begin_weights(struct training *t, bool is_2026)
{
    t->begun = arena_array(&t->arena, (size_t)t->model.n_params, sizeof *t->begun);
    for (int k = 0; k < t->model.n_params && t->begun; k++) {
        const struct param *p = &t->model.params[k];
        int64_t n = p->rows * p->cols;
        float *w = t->begun[k] = arena_array(&t->arena, (size_t)n, sizeof *w);
        if (!w)
            return error_memory();
        for (int64_t i = 0; i < n; i++)
            w[i] = (float)begin_with(is_2026 ? p->of_2026 : p->of_2025, is_2026 ? 0.1 : 0,
                                     ((double)(mix((uint64_t)k, (uint64_t)i) >> 40) - (1 << 23)) / (1 << 23), i, n);
        device_put(t->dev, p->w.master, 0, n, w);
    }
    model_prepare(&t->model);
    return t->begun ? NULL : error_memory();
}

static struct error *print_changes(struct training *t, int step)
{
    for (int k = 0; k < t->model.n_params; k++) {
        const struct param *p = &t->model.params[k];
        int64_t n = p->rows * p->cols;
        float *now = block_alloc((size_t)n * sizeof *now);
        double sum = 0;
        if (!now)
            return error_memory();
        device_get(t->dev, now, p->w.master, 0, n);
        for (int64_t i = 0; i < n; i++)
            sum += ((double)now[i] - t->begun[k][i]) * ((double)now[i] - t->begun[k][i]);
        block_free(now);
        printf("rms %d %s %.9e\n", step, p->name, sqrt(sum / (double)n));
    }
    return NULL;
}

static struct error *train(struct training *t, const int *args, int device_batch, int threads)
{
    struct text text = {.V = args[2], .T = args[3]};
    int R = args[4], n_steps = args[5];
    bool is_2026 = args[0] == 2026;
    struct rates old = {.matrix_lr = 0.02, .embedding_lr = 0.2, .unembedding_lr = 0.004, .grad_clip = 1};
    struct rates new = {.matrix_lr = 0.02, .embedding_lr = 0.3, .unembedding_lr = 0.008, .scalar_lr = 0.5, .weight_decay = 0.28};
    struct schedule schedule = is_2026 ? schedule_2026(n_steps) : (struct schedule){.n_steps = n_steps, .warmdown = 0.2};
    struct fault fault;
    t->dev = device_open(DEVICE_CPU, threads, &fault);
    struct error *e = !t->dev ? error_from_fault(fault)
                      : is_2026
                          ? shape_from_depth_2026(&t->shape, args[1], SHAPE_ASPECT_2026, SHAPE_HEAD_DIM_2026, text.V, text.T)
                          : shape_from_depth(&t->shape, args[1], text.V, text.T);
    if (e)
        return e;
    struct optimizer_laws laws = is_2026 ? optimizer_laws_2026(&t->shape, &new, 1, 1) : optimizer_laws_2025(&t->shape, &old);
    if ((e = model_open(&t->model, t->dev, &t->shape, &t->arena)) || (e = model_reserve(&t->model, device_batch, text.T, true)) ||
        (e = optimizer_open_with(&t->optimizer, &t->model, &laws)) ||
        (e = gradient_open(&t->gradient, &t->model, R, text.T, device_batch)) || (e = begin_weights(t, is_2026)))
        return e;
    for (int step = 0; step < n_steps && !e; step++) {
        const struct tensor *sum;
        double loss;
        e = gradient_of_rows(&t->gradient, (struct row_source){.self = &text, .read = read_rows}, (int64_t)step * R, &loss, &sum);
        if (e)
            break;
        printf("loss %d %.9f\n", step, loss);
        optimizer_measure(&t->optimizer, sum, step, schedule_lr(&schedule, step), schedule_momentum(&schedule, step),
                          schedule_decay(&schedule, step));
        optimizer_step(&t->optimizer, sum);
        e = error_from_fault(device_fault(t->dev));
        if (!e && (step < 2 || step == 9 || step == n_steps - 1))
            e = print_changes(t, step + 1);
    }
    return e;
}

int main(int argc, char **argv)
{
    int args[8] = {[6] = 2, [7] = 0};
    struct training t = {0};
    for (int i = 1; i < argc && i <= 8; i++)
        args[i - 1] = atoi(argv[i]);
    if (argc < 7 || (args[0] != 2025 && args[0] != 2026)) {
        fprintf(stderr, "usage: train_dump 2025|2026 DEPTH VOCAB T ROWS STEPS [DEVICE_BATCH [THREADS]]\n");
        return 2;
    }
    struct error *e = train(&t, args, args[6], args[7]);
    if (e)
        fprintf(stderr, "%s\n", e->what);
    if (t.dev)
        device_close(t.dev);
    arena_release(&t.arena);
    return e != NULL;
}
