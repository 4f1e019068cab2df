// forward.c - the forward pass and its mirror. Each line of a forward function has its line in the backward function, in reverse.
#include "core/model/model.h"

#include <assert.h>

// The first rows of a tensor that was made for a larger batch.
static struct tensor top(struct tensor t, int64_t rows)
{
    t.rows = rows;
    return t;
}

static struct saved_layer layer_top(const struct saved_layer *s, int64_t N)
{
    return (struct saved_layer){top(s->n1, N),     top(s->rstd1, N),  top(s->q, N), top(s->k, N),   top(s->v, N),
                                top(s->rstd_q, N), top(s->rstd_k, N), top(s->o, N), top(s->lse, N), top(s->n2, N),
                                top(s->rstd2, N),  top(s->r, N),      top(s->a, N), top(s->x, N),   top(s->gates, N)};
}

static struct attention attention_of(const struct shape *s, int l, int B, int T)
{
    return (struct attention){
        .B = B, .T = T, .n_head = s->n_head, .n_kv_head = s->n_kv_head, .head_dim = s->head_dim, .window = shape_window(s, l)};
}

// What the residual stream begins with, and all layers may mix in again.
static struct tensor first_x(const struct model *m, int64_t N)
{
    return top(m->shape.smear_channels ? m->saved.smeared : m->saved.embedded, N);
}

// Where sums go that come to be `kept`: there, or, if that is bfloat16, first into a tensor that can hold them.
static struct tensor sums_of(struct tensor kept, struct tensor scratch)
{
    return kept.dtype == DTYPE_BF16 ? top(scratch, kept.rows) : kept;
}

static void block_forward(struct model *m, int l, int B, int T, const struct model_caches *caches)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    int64_t N = (int64_t)B * T;
    const struct layer *w = &m->layers[l];
    struct param *p = m->params;
    struct saved_layer a = layer_top(&m->saved.layers[l], N);
    struct tensor x = a.x, positions = top(m->saved.positions, N), x0 = first_x(m, N);
    struct tensor q = sums_of(a.q, m->saved.dq), k = sums_of(a.k, m->saved.dk), v = sums_of(a.v, m->saved.dv);
    float eps = (float)s->norm_eps, scale = shape_qk_scale(s);

    if (s->residual_lambdas)
        op_mix(dev, x, l ? top(m->saved.layers[l - 1].x, N) : x0, x0, tensor_rows(p[m->resid_lambdas].w.master, l, 1),
               tensor_rows(p[m->x0_lambdas].w.master, l, 1), 1);

    op_norm(dev, a.n1, a.rstd1, x, eps);
    op_matmul(dev, q, a.n1, &p[w->q].w, false);
    op_matmul(dev, k, a.n1, &p[w->k].w, false);
    if (w->values >= 0)
        op_value_embed(dev, v, a.gates, a.n1, &p[w->values].w, top(m->saved.ids, N), &p[w->gate].w, (float)s->value_embeds);
    op_matmul(dev, v, a.n1, &p[w->v].w, w->values >= 0);
    if (a.v.dtype == DTYPE_BF16)
        op_copy(dev, a.v, v);
    op_rotary_norm(dev, a.q, a.rstd_q, q, m->cosine, m->sine, positions, s->n_head, eps, scale);
    op_rotary_norm(dev, a.k, a.rstd_k, k, m->cosine, m->sine, positions, s->n_kv_head, eps, scale);
    if (caches) {
        op_cache_put(dev, caches->k[l], a.k, caches->slots, positions, caches->capacity);
        op_cache_put(dev, caches->v[l], a.v, caches->slots, positions, caches->capacity);
    }
    op_attention(dev, a.o, a.lse, a.q, a.k, a.v, attention_of(s, l, B, T));
    op_matmul(dev, x, a.o, &p[w->o].w, true);

    op_norm(dev, a.n2, a.rstd2, x, eps);
    op_matmul_relu2(dev, a.a, a.r, a.n2, &p[w->fc].w);
    op_matmul(dev, x, a.a, &p[w->proj].w, true);
}

static void block_backward(struct model *m, int l, int B, int T, const struct tensor *g)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    int64_t N = (int64_t)B * T;
    const struct layer *w = &m->layers[l];
    struct param *p = m->params;
    struct saved_layer a = layer_top(&m->saved.layers[l], N);
    struct tensor dx = top(m->saved.dx, N), dn = top(m->saved.dn, N), dh = top(m->saved.dh, N);
    struct tensor dq = top(m->saved.dq, N), dk = top(m->saved.dk, N), dv = top(m->saved.dv, N);
    struct tensor dout = top(m->saved.dout, N), positions = top(m->saved.positions, N), x0 = first_x(m, N);
    float scale = shape_qk_scale(s);

    op_matmul_dx(dev, dh, dx, &p[w->proj].w, false);
    op_matmul_dw(dev, g[w->proj], dx, a.a, T);
    op_relu2_back(dev, dh, dh, a.r);
    op_matmul_dx(dev, dn, dh, &p[w->fc].w, false);
    op_matmul_dw(dev, g[w->fc], dh, a.n2, T);
    op_norm_back(dev, dx, dn, a.n2, a.rstd2);

    op_matmul_dx(dev, dout, dx, &p[w->o].w, false);
    op_matmul_dw(dev, g[w->o], dx, a.o, T);
    op_attention_back(dev, dq, dk, dv, dout, a.q, a.k, a.v, a.o, a.lse, attention_of(s, l, B, T));
    op_rotary_norm_back(dev, dk, dk, a.k, a.rstd_k, m->cosine, m->sine, positions, s->n_kv_head, scale);
    op_rotary_norm_back(dev, dq, dq, a.q, a.rstd_q, m->cosine, m->sine, positions, s->n_head, scale);
    op_matmul_dx(dev, dn, dv, &p[w->v].w, false);
    op_matmul_dw(dev, g[w->v], dv, a.n1, T);
    if (w->values >= 0)
        op_value_embed_back(dev, dn, g[w->values], g[w->gate], dv, a.gates, a.n1, &p[w->values].w, top(m->saved.ids, N),
                            &p[w->gate].w, (float)s->value_embeds, T);
    op_matmul_dx(dev, dn, dk, &p[w->k].w, true);
    op_matmul_dw(dev, g[w->k], dk, a.n1, T);
    op_matmul_dx(dev, dn, dq, &p[w->q].w, true);
    op_matmul_dw(dev, g[w->q], dq, a.n1, T);
    op_norm_back(dev, dx, dn, a.n1, a.rstd1);

    if (s->residual_lambdas)
        op_mix_back(dev, dx, top(m->saved.dx0, N), tensor_rows(g[m->resid_lambdas], l, 1), tensor_rows(g[m->x0_lambdas], l, 1),
                    dx, l ? top(m->saved.layers[l - 1].x, N) : x0, x0, tensor_rows(p[m->resid_lambdas].w.master, l, 1),
                    tensor_rows(p[m->x0_lambdas].w.master, l, 1), 1, T);
}

void model_trunk(struct model *m, struct batch b, const struct model_caches *caches)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    struct saved *a = &m->saved;
    struct param *p = m->params;
    int64_t N = (int64_t)b.B * b.T;
    float eps = (float)s->norm_eps;
    assert(N <= (int64_t)m->reserved_rows * m->reserved_T);

    int32_t positions[256];
    for (int64_t n = 0; n < N && device_computes(dev);) {
        int count = 0;
        for (; count < (int)countof(positions) && n + count < N; count++)
            positions[count] = (int32_t)((n + count) % b.T);
        device_put_ids(dev, a->positions, n, count, positions);
        n += count;
    }
    device_put_ids(dev, a->ids, 0, N, b.inputs);

    struct tensor embedded = top(a->embedded, N), x = top(a->layers[s->n_layer - 1].x, N), kept = top(a->kept, N);
    op_embed(dev, embedded, &p[m->wte].w, top(a->ids, N));
    op_norm(dev, embedded, top(a->rstd_embedded, N), embedded, eps);
    if (s->smear_channels)
        op_smear(dev, top(a->smeared, N), top(a->smear_gates, N), embedded, &p[m->smear_gate].w, p[m->smear_lambda].w.master,
                 b.T);
    if (!s->residual_lambdas)
        op_copy(dev, x, first_x(m, N));
    for (int l = 0; l < s->n_layer; l++) {
        block_forward(m, l, b.B, b.T, caches);
        if (l + 1 == s->backout)
            op_copy(dev, kept, top(a->layers[l].x, N));
    }
    if (s->backout)
        op_mix(dev, x, x, kept, (struct tensor){.dtype = x.dtype}, p[m->backout_lambda].w.master, -1);
    op_norm(dev, top(a->last, N), top(a->rstd_last, N), x, eps);
}

static void trunk_backward(struct model *m, struct batch b, const struct tensor *g)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    struct saved *a = &m->saved;
    struct param *p = m->params;
    int64_t N = (int64_t)b.B * b.T;
    struct tensor dx = top(a->dx, N), dn = top(a->dn, N), dx0 = top(a->dx0, N), dkept = top(a->dkept, N), kept = top(a->kept, N);
    struct tensor embedded = top(a->embedded, N), absent = {.dtype = dx.dtype};

    op_zero(dev, dx);
    op_norm_back(dev, dx, dn, top(a->last, N), top(a->rstd_last, N));
    if (s->backout) {
        op_zero(dev, dkept);
        op_mix_back(dev, dx, dkept, absent, g[m->backout_lambda], dx, kept, kept, absent, p[m->backout_lambda].w.master, -1, b.T);
    }
    if (s->residual_lambdas)
        op_zero(dev, dx0);
    for (int l = s->n_layer - 1; l >= 0; l--) {
        if (l + 1 == s->backout)
            op_add(dev, dx, dkept);
        block_backward(m, l, b.B, b.T, g);
    }
    if (s->residual_lambdas)
        op_add(dev, dx, dx0);
    if (s->smear_channels) {
        op_smear_back(dev, dn, g[m->smear_gate], g[m->smear_lambda], dx, embedded, top(a->smear_gates, N), &p[m->smear_gate].w,
                      p[m->smear_lambda].w.master, b.T);
        op_copy(dev, dx, dn);
    }
    op_zero(dev, dn);
    op_norm_back(dev, dn, dx, embedded, top(a->rstd_embedded, N));
    op_embed_back(dev, g[m->wte], dn, top(a->ids, N));
}

void model_loss(struct model *m, struct batch b, const struct tensor *g)
{
    struct saved *a = &m->saved;
    int64_t N = (int64_t)b.B * b.T;
    struct tensor none = {.dtype = device_dtype(m->dev)};
    model_trunk(m, b, NULL);
    device_put_ids(m->dev, a->targets, 0, N, b.targets);
    if (b.weights)
        device_put(m->dev, a->weights, 0, N, b.weights);
    op_loss(m->dev, top(a->losses, N), g ? top(a->dn, N) : none, g ? g[m->lm_head] : none, top(a->last, N),
            &m->params[m->lm_head].w, top(a->targets, N), top(a->weights, N), m->shape.n_vocab, (float)m->shape.softcap, b.T);
    if (g)
        trunk_backward(m, b, g);
}

void model_losses(struct model *m, struct batch b, double *losses)
{
    device_get_f64(m->dev, losses, m->saved.losses, 0, (int64_t)b.B * b.T);
}

void model_logits(struct model *m, struct batch b, struct tensor out)
{
    model_trunk(m, b, NULL);
    op_logits(m->dev, out, top(m->saved.last, (int64_t)b.B * b.T), &m->params[m->lm_head].w, m->shape.n_vocab,
              (float)m->shape.softcap);
}
