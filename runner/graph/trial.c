// trial.c - values do not matter to the time, so long as they are ordinary numbers: tokens are spread over the vocabulary, weights
// begin as those of a training.
#include "runner/graph/trial.h"

#include "core/base/clock.h"

static struct error *read_rows(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    int V = *(const int *)self;
    for (int64_t i = 0; i < (int64_t)n * T; i++) {
        inputs[i] = (int32_t)((first * T + i) * 7919 % V);
        targets[i] = (int32_t)((first * T + i + 1) * 7919 % V);
    }
    return NULL;
}

struct error *trial_open(struct trial *t, struct device *dev, const struct cost_setup *setup, struct arena *arena)
{
    const struct shape *shape = &setup->shape;
    struct rates rates = {
        .matrix_lr = 0.02, .embedding_lr = 0.2, .unembedding_lr = 0.004, .scalar_lr = 0.5, .weight_decay = 0.01, .grad_clip = 1};
    struct optimizer_laws laws =
        setup->optimizer_2026 ? optimizer_laws_2026(shape, &rates, 1, 1) : optimizer_laws_2025(shape, &rates);
    *t = (struct trial){.rows = setup->rows, .n_vocab = setup->shape.n_vocab};
    struct error *e = model_open(&t->model, dev, &setup->shape, arena);
    if (!e)
        e = model_reserve(&t->model, (int)setup->batch, (int)setup->T, true);
    if (!e)
        e = optimizer_open_with(&t->optimizer, &t->model, &laws);
    if (!e)
        e = gradient_open(&t->gradient, &t->model, setup->rows, (int)setup->T, (int)setup->batch);
    if (!e && shape->residual_lambdas)
        model_init_weights_2026(&t->model, 1);
    else if (!e)
        model_init_weights(&t->model, 1);
    return e;
}

struct error *trial_step(struct trial *t, double *seconds)
{
    const struct tensor *sum;
    double loss, begin = clock_seconds();
    struct row_source rows = {.self = &t->n_vocab, .read = read_rows};
    struct error *e = gradient_of_rows(&t->gradient, rows, t->step * t->rows, &loss, &sum);
    if (e)
        return e;
    optimizer_measure(&t->optimizer, sum, t->step++, 1, 0.9, 1);
    optimizer_step(&t->optimizer, sum);
    e = error_from_fault(device_fault(t->model.dev));
    *seconds = clock_seconds() - begin;
    return e;
}
