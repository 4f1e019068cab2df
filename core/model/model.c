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

static struct init normal(double std)
{
    return (struct init){INIT_NORMAL, 0, std};
}

static struct init uniform(double from, double to)
{
    return (struct init){INIT_UNIFORM, from, to};
}

static struct init line(double first, double last)
{
    return (struct init){INIT_LINE, first, last};
}

// Whether products read it, and a copy of it helps.
static bool is_multiplied(enum param_group group)
{
    return group == PARAM_MATRIX || group == PARAM_UNEMBEDDING;
}

static int add_param(struct model *m, const char *name, enum param_group group, int64_t rows, int64_t cols, struct init of_2025,
                     struct init of_2026)
{
    m->params[m->n_params] =
        (struct param){.name = name, .group = group, .rows = rows, .cols = cols, .of_2025 = of_2025, .of_2026 = of_2026};
    struct weight *w = &m->params[m->n_params].w;
    if (is_multiplied(group))
        *w = device_weight(m->dev, rows, cols);
    else
        w->master = device_tensor(m->dev, rows, cols);
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

static struct error *add_layer(struct model *m, int l)
{
    const struct shape *s = &m->shape;
    int64_t C = s->n_embd, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    struct layer *w = &m->layers[l];
    double bound = sqrt(3.0 / (double)C); // of the uniform distribution with deviation C^-1/2
    const struct init wide = uniform(-bound, bound), zero = line(0, 0), gate = uniform(0, 0.02);
    const struct {
        const char *name;
        int *index;
        int64_t rows, cols;
        struct init of_2025, of_2026;
    } parts[] = {{"attn.c_q", &w->q, heads, C, normal(matrix_std(heads, C)), wide},
                 {"attn.c_k", &w->k, kv, C, normal(matrix_std(kv, C)), wide},
                 {"attn.c_v", &w->v, kv, C, normal(matrix_std(kv, C)), wide},
                 {"attn.c_proj", &w->o, C, heads, zero, zero},
                 {"attn.ve_gate", &w->gate, shape_has_values(s, l) ? s->n_kv_head : 0, s->value_gate_channels, gate, gate},
                 {"mlp.c_fc", &w->fc, s->n_mlp, C, normal(matrix_std(s->n_mlp, C)), uniform(-0.4 * bound, 0.4 * bound)},
                 {"mlp.c_proj", &w->proj, C, s->n_mlp, zero, zero}};
    for (size_t i = 0; i < countof(parts); i++) {
        const char *name = arena_printf(m->arena, "transformer.h.%d.%s", l, parts[i].name);
        if (!name)
            return error_memory();
        *parts[i].index = parts[i].rows
                              ? add_param(m, name, PARAM_MATRIX, parts[i].rows, parts[i].cols, parts[i].of_2025, parts[i].of_2026)
                              : -1;
    }
    return NULL;
}

// What the shape has switched on beside the blocks. Lambdas that are numbers of layers are columns.
static struct error *add_switched(struct model *m)
{
    const struct shape *s = &m->shape;
    int64_t kv = (int64_t)s->n_kv_head * s->head_dim;
    double bound = sqrt(3.0 / s->n_embd);
    for (int l = 0; l < s->n_layer; l++) {
        const char *name = shape_has_values(s, l) ? arena_printf(m->arena, "value_embeds.%d", l) : "";
        if (!name)
            return error_memory();
        struct init wide = uniform(-bound, bound);
        m->layers[l].values = *name ? add_param(m, name, PARAM_VALUE_EMBEDDING, s->n_vocab_padded, kv, wide, wide) : -1;
    }
    const struct {
        const char *name;
        int *index;
        enum param_group group;
        int64_t rows, cols;
        struct init init;
    } parts[] = {
        {"resid_lambdas", &m->resid_lambdas, PARAM_RESIDUAL_LAMBDAS, s->residual_lambdas ? s->n_layer : 0, 1, line(1.15, 1.05)},
        {"x0_lambdas", &m->x0_lambdas, PARAM_X0_LAMBDAS, s->residual_lambdas ? s->n_layer : 0, 1, line(0.20, 0.05)},
        {"smear_gate", &m->smear_gate, PARAM_SCALARS, s->smear_channels ? 1 : 0, s->smear_channels, uniform(0, 0.02)},
        {"smear_lambda", &m->smear_lambda, PARAM_SCALARS, s->smear_channels ? 1 : 0, 1, line(0, 0)},
        {"backout_lambda", &m->backout_lambda, PARAM_SCALARS, s->backout ? 1 : 0, 1, line(0.2, 0.2)}};
    for (size_t i = 0; i < countof(parts); i++)
        *parts[i].index = parts[i].rows ? add_param(m, parts[i].name, parts[i].group, parts[i].rows, parts[i].cols, parts[i].init,
                                                    parts[i].init)
                                        : -1;
    return NULL;
}

struct error *model_open(struct model *m, struct device *dev, const struct shape *shape, struct arena *arena)
{
    struct error *e = shape_check(shape);
    if (e)
        return e;
    *m = (struct model){.shape = *shape, .dev = dev, .arena = arena};
    const struct shape *s = &m->shape;
    m->params = arena_array(arena, 8 * (size_t)s->n_layer + 7, sizeof *m->params);
    m->layers = arena_array(arena, (size_t)s->n_layer, sizeof *m->layers);
    if (!m->params || !m->layers)
        return error_memory();
    const struct init spread = normal(1), zero = line(0, 0);
    m->wte = add_param(m, "transformer.wte", PARAM_EMBEDDING, s->n_vocab_padded, s->n_embd, spread, normal(0.8));
    for (int l = 0; l < s->n_layer; l++)
        if ((e = add_layer(m, l)))
            return e;
    m->lm_head = add_param(m, "lm_head", PARAM_UNEMBEDDING, s->n_vocab_padded, s->n_embd, zero, normal(0.001));
    if ((e = add_switched(m)))
        return e;
    m->n_positions = POSITIONS_PER_SEQ_LEN * s->seq_len;
    m->cosine = device_tensor(dev, m->n_positions, s->head_dim / 2);
    m->sine = device_tensor(dev, m->n_positions, s->head_dim / 2);
    e = error_from_fault(device_fault(dev)); // before work on what there is no memory for
    if (!e && device_computes(dev))
        e = fill_rotary(m);
    return error_first(e, error_from_fault(device_fault(dev)));
}

// Elements first .. first+n-1 of the n_all of stream `stream`.
static void draw(struct philox p, uint64_t stream, struct init init, int64_t n_all, int64_t first, int64_t n, float *out)
{
    if (init.kind == INIT_NORMAL)
        philox_normals(p, stream, first, n, out);
    for (int64_t j = 0; j < n; j++) {
        double share = n_all > 1 ? (double)(first + j) / (double)(n_all - 1) : 0;
        if (init.kind == INIT_UNIFORM)
            share = philox_uniform(p, stream, (uint64_t)(first + j));
        out[j] = init.kind == INIT_NORMAL ? (float)(out[j] * init.b) : (float)(init.a + (init.b - init.a) * share);
    }
}

static void init_weights(struct model *m, uint64_t seed, bool is_2026)
{
    struct philox p = philox_for(seed, PHILOX_INIT);
    float piece[PIECE];
    for (int i = 0; i < m->n_params; i++) {
        struct param *param = &m->params[i];
        int64_t n_all = param->rows * param->cols;
        for (int64_t first = 0; first < n_all; first += PIECE) {
            int64_t n = n_all - first < PIECE ? n_all - first : PIECE;
            draw(p, (uint64_t)i, is_2026 ? param->of_2026 : param->of_2025, n_all, first, n, piece);
            device_put(m->dev, param->w.master, first, n, piece);
        }
    }
    model_prepare(m);
}

void model_init_weights(struct model *m, uint64_t seed)
{
    init_weights(m, seed, false);
}

void model_init_weights_2026(struct model *m, uint64_t seed)
{
    init_weights(m, seed, true);
}

void model_prepare(struct model *m)
{
    for (int i = 0; i < m->n_params; i++)
        op_weight_prepare(m->dev, &m->params[i].w);
}

struct error *model_copy_weights(struct model *m)
{
    for (int i = 0; i < m->n_params; i++) {
        struct param *p = &m->params[i];
        if (is_multiplied(p->group))
            device_weight_copy(m->dev, &p->w);
    }
    model_prepare(m);
    return error_from_fault(device_fault(m->dev));
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

static struct saved_layer reserve_layer(struct model *m, int64_t N, int l)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    int64_t C = s->n_embd, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    struct saved_layer a = {.n1 = device_kept(dev, N, C),
                            .rstd1 = device_tensor(dev, N, 1),
                            .q = device_kept(dev, N, heads),
                            .k = device_kept(dev, N, kv),
                            .v = device_kept(dev, N, kv),
                            .rstd_q = device_tensor(dev, N, s->n_head),
                            .rstd_k = device_tensor(dev, N, s->n_kv_head),
                            .o = device_kept(dev, N, heads),
                            .lse = device_tensor(dev, N, s->n_head),
                            .n2 = device_kept(dev, N, C),
                            .rstd2 = device_tensor(dev, N, 1),
                            .r = device_kept(dev, N, s->n_mlp),
                            .a = device_kept(dev, N, s->n_mlp)};
    if (s->value_embeds)
        a.gates = device_tensor(dev, N, s->n_kv_head);
    a.x = !l || s->residual_lambdas ? device_tensor(dev, N, C) : m->saved.layers[0].x;
    return a;
}

struct error *model_reserve(struct model *m, int B, int T, bool backward)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    if (T > m->n_positions)
        return error_plain(ERROR_FAILED, "%d positions are beyond the model's %d", T, m->n_positions);
    int64_t N = (int64_t)B * T, C = s->n_embd, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    struct saved *a = &m->saved;
    *a = (struct saved){.layers = arena_array(m->arena, (size_t)s->n_layer, sizeof *a->layers)};
    if (!a->layers)
        return error_memory();
    a->ids = device_ids(dev, N, 1);
    a->positions = device_ids(dev, N, 1);
    a->targets = device_ids(dev, N, 1);
    a->weights = device_tensor(dev, N, 1);
    a->losses = device_tensor(dev, N, 1);
    a->embedded = device_tensor(dev, N, C);
    a->rstd_embedded = device_tensor(dev, N, 1);
    if (s->smear_channels) {
        a->smeared = device_tensor(dev, N, C);
        a->smear_gates = device_tensor(dev, N, 1);
    }
    for (int l = 0; l < s->n_layer; l++) // without a backward pass all layers share the tensors of the first
        a->layers[l] = l && !backward ? a->layers[0] : reserve_layer(m, N, l);
    if (s->backout)
        a->kept = device_tensor(dev, N, C);
    a->last = device_kept(dev, N, C);
    a->rstd_last = device_tensor(dev, N, 1);
    if (backward || a->last.dtype == DTYPE_BF16) { // forwards they hold sums of products that are kept as bfloat16
        a->dq = device_tensor(dev, N, heads);
        a->dk = device_tensor(dev, N, kv);
        a->dv = device_tensor(dev, N, kv);
    }
    if (backward) {
        a->dx = device_tensor(dev, N, C);
        a->dn = device_tensor(dev, N, C);
        a->dout = device_tensor(dev, N, heads);
        a->dh = device_tensor(dev, N, s->n_mlp);
        if (s->residual_lambdas)
            a->dx0 = device_tensor(dev, N, C);
        if (s->backout)
            a->dkept = device_tensor(dev, N, C);
    }
    m->reserved_rows = B;
    m->reserved_T = T;
    return error_from_fault(device_fault(dev));
}
