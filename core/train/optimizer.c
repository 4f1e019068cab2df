// optimizer.c - matrices of one shape go to the device together, so that it can batch their orthogonalisation.
#include "core/train/optimizer.h"

#include <math.h>

struct error *optimizer_open(struct optimizer *o, struct model *model, const struct rates *rates)
{
    *o = (struct optimizer){.model = model, .rates = *rates};
    size_t n = (size_t)model->n_params;
    o->first = arena_array(model->arena, n, sizeof *o->first);
    o->second = arena_array(model->arena, n, sizeof *o->second);
    o->matrices = arena_array(model->arena, n, sizeof *o->matrices);
    if (!o->first || !o->second || !o->matrices)
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        const struct param *p = &model->params[i];
        o->first[i] = device_tensor(model->dev, p->rows, p->cols);
        if (p->group != PARAM_MATRIX)
            o->second[i] = device_tensor(model->dev, p->rows, p->cols);
    }
    return error_from_fault(device_fault(model->dev));
}

void optimizer_measure(struct optimizer *o, const struct tensor *gradients, int64_t step, double lr_scale, double momentum)
{
    device_set_step(o->model->dev, step, lr_scale, momentum);
    op_clip(o->model->dev, gradients, o->model->n_params, o->rates.grad_clip);
}

void optimizer_step(struct optimizer *o, const struct tensor *gradients)
{
    struct model *m = o->model;
    double width = pow(m->shape.n_embd / 768.0, -0.5);
    for (int i = 0; i < m->n_params; i++) {
        struct param *p = &m->params[i];
        if (p->group == PARAM_MATRIX)
            continue;
        double lr = p->group == PARAM_EMBEDDING ? o->rates.embedding_lr : o->rates.unembedding_lr;
        op_adamw(
            m->dev, p->w.master, o->first[i], o->second[i], gradients[i],
            (struct adamw){.lr = lr * width, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10, .weight_decay = o->rates.weight_decay});
    }
    for (int i = 0; i < m->n_params; i++) {
        int64_t rows = m->params[i].rows, cols = m->params[i].cols;
        bool is_first = m->params[i].group == PARAM_MATRIX;
        for (int j = 0; j < i && is_first; j++)
            is_first = m->params[j].group != PARAM_MATRIX || m->params[j].rows != rows || m->params[j].cols != cols;
        int n = 0;
        for (int j = i; j < m->n_params && is_first; j++)
            if (m->params[j].group == PARAM_MATRIX && m->params[j].rows == rows && m->params[j].cols == cols)
                o->matrices[n++] = (struct muon_matrix){m->params[j].w.master, o->first[j], gradients[j]};
        if (n)
            op_muon(m->dev, o->matrices, n, (struct muon){.lr = o->rates.matrix_lr, .iteration = &newton_schulz_2025});
    }
    model_prepare(m);
}
