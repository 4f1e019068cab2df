// optimizer.c - matrices of one shape go to the device together, so that it can batch their orthogonalisation.
#include "core/train/optimizer.h"

#include <math.h>

static double width_scale(const struct shape *s)
{
    return pow(s->n_embd / 768.0, -0.5);
}

struct optimizer_laws optimizer_laws_2025(const struct shape *s, const struct rates *r)
{
    struct optimizer_laws laws = {.muon = {.lr = r->matrix_lr, .iteration = &newton_schulz_2025}, .grad_clip = r->grad_clip};
    for (int g = 0; g < PARAM_GROUPS; g++) {
        double lr = g == PARAM_EMBEDDING ? r->embedding_lr : r->unembedding_lr;
        laws.adamw[g] =
            (struct adamw){.lr = lr * width_scale(s), .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10, .weight_decay = r->weight_decay};
    }
    return laws;
}

struct optimizer_laws optimizer_laws_2026(const struct shape *s, const struct rates *r, double lr_scale, double decay_scale)
{
    const double numbers_lr = r->scalar_lr, wide = lr_scale * width_scale(s);
    return (struct optimizer_laws){
        .adamw =
            {
                [PARAM_EMBEDDING] = {r->embedding_lr * wide, 0.8, 0.995, 1e-10, 0.001},
                [PARAM_UNEMBEDDING] = {r->unembedding_lr * wide, 0.8, 0.96, 1e-10, 0.01},
                [PARAM_VALUE_EMBEDDING] = {r->embedding_lr * 0.5 * wide, 0.8, 0.995, 1e-10, 0.01},
                [PARAM_RESIDUAL_LAMBDAS] = {numbers_lr * 0.01 * lr_scale, 0.8, 0.95, 1e-10, 0.05},
                [PARAM_X0_LAMBDAS] = {numbers_lr * lr_scale, 0.96, 0.95, 1e-10, 0},
                [PARAM_SCALARS] = {0.2, 0.8, 0.95, 1e-10, 0},
            },
        .muon = {.lr = r->matrix_lr * lr_scale,
                 .weight_decay = r->weight_decay * decay_scale,
                 .iteration = &polar_express,
                 .even_rows = true,
                 .fixed_norm = true,
                 .beta2 = 0.9},
        .grad_clip = r->grad_clip,
    };
}

struct error *optimizer_open_with(struct optimizer *o, struct model *model, const struct optimizer_laws *laws)
{
    *o = (struct optimizer){.model = model, .laws = *laws};
    size_t n = (size_t)model->n_params;
    o->first = arena_array(model->arena, n, sizeof *o->first);
    o->second = arena_array(model->arena, n, sizeof *o->second);
    o->matrices = arena_array(model->arena, n, sizeof *o->matrices);
    if (!o->first || !o->second || !o->matrices)
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        const struct param *p = &model->params[i];
        bool is_tall = p->rows >= p->cols;
        o->first[i] = device_tensor(model->dev, p->rows, p->cols);
        if (p->group != PARAM_MATRIX)
            o->second[i] = device_tensor(model->dev, p->rows, p->cols);
        else if (laws->muon.beta2 > 0)
            o->second[i] = device_tensor(model->dev, is_tall ? p->rows : 1, is_tall ? 1 : p->cols);
    }
    return error_from_fault(device_fault(model->dev));
}

struct error *optimizer_open(struct optimizer *o, struct model *model, const struct rates *rates)
{
    struct optimizer_laws laws = optimizer_laws_2025(&model->shape, rates);
    return optimizer_open_with(o, model, &laws);
}

void optimizer_measure(struct optimizer *o, const struct tensor *gradients, int64_t step, double lr_scale, double momentum,
                       double decay_scale)
{
    device_set_step(o->model->dev, o->n_before + step, lr_scale, momentum);
    device_set_decay(o->model->dev, decay_scale);
    op_clip(o->model->dev, gradients, o->model->n_params, o->laws.grad_clip);
}

static bool is_like(const struct param *p, const struct param *q)
{
    return p->group == PARAM_MATRIX && q->group == PARAM_MATRIX && p->rows == q->rows && p->cols == q->cols;
}

void optimizer_step(struct optimizer *o, const struct tensor *gradients)
{
    struct model *m = o->model;
    for (int i = 0; i < m->n_params; i++) {
        struct param *p = &m->params[i];
        if (p->group != PARAM_MATRIX)
            op_adamw(m->dev, p->w.master, o->first[i], o->second[i], gradients[i], o->laws.adamw[p->group]);
    }
    for (int i = 0; i < m->n_params; i++) {
        bool is_first = m->params[i].group == PARAM_MATRIX;
        for (int j = 0; j < i && is_first; j++)
            is_first = !is_like(&m->params[i], &m->params[j]);
        int n = 0;
        for (int j = i; j < m->n_params && is_first; j++)
            if (is_like(&m->params[i], &m->params[j]))
                o->matrices[n++] = (struct muon_matrix){m->params[j].w.master, o->first[j], gradients[j], o->second[j]};
        if (n)
            op_muon(m->dev, o->matrices, n, o->laws.muon);
    }
    model_prepare(m);
}
