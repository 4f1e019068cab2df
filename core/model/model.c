// model.c - parameters, their initial values, the rotary tables.
#include "core/model/model.h"

#include <math.h>

#include "core/base/philox.h"
#include "kernels/bf16.h"

enum { PIECE = 1 << 12 };

// Std of the initial normal distribution of a matrix [out, in].  Source: nanochat 2025-10-13, after Yang et al. 2023 (spectral)
static double matrix_std(int64_t out, int64_t in)
{
    return fmin(1, sqrt((double)out / (double)in)) / sqrt((double)in);
}

static int add_param(struct model *m, const char *name, enum param_group group, int64_t rows, int64_t cols, double std)
{
    m->params[m->n_params] = (struct param){.name = name, .group = group, .rows = rows, .cols = cols, .init_std = std};
    m->params[m->n_params].w.master = device_tensor(m->dev, rows, cols);
    return m->n_params++;
}

// float32 devices get the reference's float32 angles, ref its own double ones; under bf16 cosines and sines are rounded.
static struct error *fill_rotary(struct model *m)
{
    int half = m->shape.head_dim / 2;
    bool is_f32 = device_dtype(m->dev) == DTYPE_F32;
    double *row = arena_array(m->arena, 2 * (size_t)half, sizeof *row);
    if (!row)
        return error_memory();
    for (int t = 0; t < m->n_positions; t++) {
        for (int i = 0; i < half; i++) {
            double exponent = 2.0 * i / m->shape.head_dim, angle;
            if (is_f32) {
                float frequency = 1.0f / (float)pow(m->shape.rope_base, (float)exponent);
                angle = (float)t * frequency;
            } else {
                angle = t / pow(m->shape.rope_base, exponent);
            }
            row[i] = cos(angle);
            row[half + i] = sin(angle);
            if (device_precision(m->dev) == PRECISION_BF16) {
                row[i] = bf16_round_f64(row[i]);
                row[half + i] = bf16_round_f64(row[half + i]);
            }
        }
        device_put_f64(m->dev, m->cosine, (int64_t)t * half, half, row);
        device_put_f64(m->dev, m->sine, (int64_t)t * half, half, row + half);
    }
    return NULL;
}

struct error *model_open(struct model *m, struct device *dev, const struct shape *shape, struct arena *arena)
{
    struct error *e = shape_check(shape);
    if (e)
        return e;
    *m = (struct model){.shape = *shape, .dev = dev, .arena = arena};
    const struct shape *s = &m->shape;
    m->params = arena_array(arena, 6 * (size_t)s->n_layer + 2, sizeof *m->params);
    m->layers = arena_array(arena, (size_t)s->n_layer, sizeof *m->layers);
    if (!m->params || !m->layers)
        return error_memory();
    int64_t C = s->n_embd, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    m->wte = add_param(m, "transformer.wte", PARAM_EMBEDDING, s->n_vocab_padded, C, 1);
    for (int l = 0; l < s->n_layer; l++) {
        const struct {
            const char *name;
            int *index;
            int64_t rows, cols;
            bool zero;
        } parts[] = {{"attn.c_q", &m->layers[l].q, heads, C, false},     {"attn.c_k", &m->layers[l].k, kv, C, false},
                     {"attn.c_v", &m->layers[l].v, kv, C, false},        {"attn.c_proj", &m->layers[l].o, C, heads, true},
                     {"mlp.c_fc", &m->layers[l].fc, s->n_mlp, C, false}, {"mlp.c_proj", &m->layers[l].proj, C, s->n_mlp, true}};
        for (size_t i = 0; i < countof(parts); i++) {
            const char *name = arena_printf(arena, "transformer.h.%d.%s", l, parts[i].name);
            if (!name)
                return error_memory();
            *parts[i].index = add_param(m, name, PARAM_MATRIX, parts[i].rows, parts[i].cols,
                                        parts[i].zero ? 0 : matrix_std(parts[i].rows, parts[i].cols));
        }
    }
    m->lm_head = add_param(m, "lm_head", PARAM_UNEMBEDDING, s->n_vocab_padded, C, 0);
    m->n_positions = POSITIONS_PER_SEQ_LEN * s->seq_len;
    m->cosine = device_tensor(dev, m->n_positions, s->head_dim / 2);
    m->sine = device_tensor(dev, m->n_positions, s->head_dim / 2);
    e = error_from_fault(device_fault(dev)); // before work on what there is no memory for
    if (!e && device_computes(dev))
        e = fill_rotary(m);
    return error_first(e, error_from_fault(device_fault(dev)));
}

void model_init_weights(struct model *m, uint64_t seed)
{
    struct philox p = philox_for(seed, PHILOX_INIT);
    float piece[PIECE];
    for (int i = 0; i < m->n_params; i++) {
        struct param *param = &m->params[i];
        int64_t n_all = param->rows * param->cols;
        for (int64_t first = 0; first < n_all; first += PIECE) {
            int64_t n = n_all - first < PIECE ? n_all - first : PIECE;
            if (param->init_std > 0)
                philox_normals(p, (uint64_t)i, first, n, piece);
            for (int64_t j = 0; j < n; j++)
                piece[j] = param->init_std > 0 ? (float)(piece[j] * param->init_std) : 0;
            device_put(m->dev, param->w.master, first, n, piece);
        }
    }
    model_prepare(m);
}

void model_prepare(struct model *m)
{
    for (int i = 0; i < m->n_params; i++)
        op_weight_prepare(m->dev, &m->params[i].w);
}

struct error *model_gradients(struct model *m, struct tensor **gradients)
{
    struct tensor *g = arena_array(m->arena, (size_t)m->n_params, sizeof *g);
    if (!g)
        return error_memory();
    for (int i = 0; i < m->n_params; i++)
        g[i] = device_tensor(m->dev, m->params[i].rows, m->params[i].cols);
    *gradients = g;
    return error_from_fault(device_fault(m->dev));
}

struct error *model_reserve(struct model *m, int B, int T, bool backward)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    if (T > m->n_positions)
        return error_plain(ERROR_FAILED, "%d positions are beyond the model's %d", T, m->n_positions);
    int64_t N = (int64_t)B * T, C = s->n_embd, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    struct saved *a = &m->saved;
    a->layers = arena_array(m->arena, (size_t)s->n_layer, sizeof *a->layers);
    if (!a->layers)
        return error_memory();
    a->ids = device_ids(dev, N, 1);
    a->positions = device_ids(dev, N, 1);
    a->targets = device_ids(dev, N, 1);
    a->weights = device_tensor(dev, N, 1);
    a->losses = device_tensor(dev, N, 1);
    a->embedded = device_tensor(dev, N, C);
    a->rstd_embedded = device_tensor(dev, N, 1);
    for (int l = 0; l < s->n_layer; l++) {
        // Without a backward pass all layers share the tensors of the first.
        if (l && !backward) {
            a->layers[l] = a->layers[0];
            continue;
        }
        a->layers[l] = (struct saved_layer){.n1 = device_tensor(dev, N, C),
                                            .rstd1 = device_tensor(dev, N, 1),
                                            .q = device_tensor(dev, N, heads),
                                            .k = device_tensor(dev, N, kv),
                                            .v = device_tensor(dev, N, kv),
                                            .rstd_q = device_tensor(dev, N, s->n_head),
                                            .rstd_k = device_tensor(dev, N, s->n_kv_head),
                                            .o = device_tensor(dev, N, heads),
                                            .lse = device_tensor(dev, N, s->n_head),
                                            .n2 = device_tensor(dev, N, C),
                                            .rstd2 = device_tensor(dev, N, 1),
                                            .r = device_tensor(dev, N, s->n_mlp),
                                            .a = device_tensor(dev, N, s->n_mlp)};
    }
    a->x = device_tensor(dev, N, C);
    a->last = device_tensor(dev, N, C);
    a->rstd_last = device_tensor(dev, N, 1);
    if (backward) {
        a->dx = device_tensor(dev, N, C);
        a->dn = device_tensor(dev, N, C);
        a->dq = device_tensor(dev, N, heads);
        a->dk = device_tensor(dev, N, kv);
        a->dv = device_tensor(dev, N, kv);
        a->dout = device_tensor(dev, N, heads);
        a->dh = device_tensor(dev, N, s->n_mlp);
    }
    m->reserved_rows = B;
    m->reserved_T = T;
    return error_from_fault(device_fault(dev));
}
