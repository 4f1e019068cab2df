// loss.c - logits, and the soft-capped cross entropy with its gradient.
//
// Rows go by in tiles: the tile's logits are one product, are turned in place into d loss / d logits, and two more products take
// them on to dx and dw. A tile is BLOCK_K rows cut from the start of each sequence, or, of short sequences, as many whole ones as
// fit: so dw is summed over the same blocks of rows in the same order however many sequences come in one call.
// With a cap up to EXACT_CAP no maximum is sought: exp(z - cap) is at least e^-2cap, far from underflow.
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/logarithm.h"

static const float EXACT_CAP = 40;

struct row_loss {
    int64_t n_vocab;
    float cap;
    bool gradient;
};

// z = cap * tanh(z / cap) over one row
static void soft_cap(float *z, int64_t n, float cap)
{
    const float inverse = 1 / cap;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(z + i, vec_tanh(load(z + i) * inverse) * cap);
    if (i < n)
        store_part(z + i, vec_tanh(load_part(z + i, n - i, 0) * inverse) * cap, n - i);
}

static float largest(const float *z, int64_t n)
{
    const float lowest = -__builtin_inff();
    vec most = splat(lowest);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        most = vec_max(most, load(z + i));
    if (i < n)
        most = vec_max(most, load_part(z + i, n - i, lowest));
    return vec_largest(most);
}

// First pass with a cap: z becomes t = tanh(z / cap); the sum of exp(cap * t - most).
static float cap_and_sum(float *z, int64_t n, float cap, float most)
{
    const float inverse = 1 / cap;
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec t = vec_tanh(load(z + i) * inverse);
        store(z + i, t);
        sum += vec_exp(t * cap - most);
    }
    if (i < n) {
        vec t = vec_tanh(load_part(z + i, n - i, 0) * inverse);
        store_part(z + i, t, n - i);
        float last[LANES];
        store(last, vec_exp(t * cap - most));
        sum += load_part(last, n - i, 0);
    }
    return vec_sum(sum);
}

static float exp_sum(const float *z, int64_t n, float most)
{
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum += vec_exp(load(z + i) - most);
    if (i < n)
        sum += vec_exp(load_part(z + i, n - i, -__builtin_inff()) - most);
    return vec_sum(sum);
}

// Second pass: from t (or z, without a cap) to weight * softmax * d logit / d z; the target is left to the caller.
static inline vec gradient_of(vec t, float cap, float log_sum, float weight)
{
    if (cap > 0)
        return vec_exp(t * cap - log_sum) * weight * (1.0f - t * t);
    return vec_exp(t - log_sum) * weight;
}

static void to_gradient(float *z, int64_t n, float cap, float log_sum, float weight)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(z + i, gradient_of(load(z + i), cap, log_sum, weight));
    if (i < n)
        store_part(z + i, gradient_of(load_part(z + i, n - i, 0), cap, log_sum, weight), n - i);
}

// The loss of one row of products z; with a gradient z becomes d (weight * loss) / d z.
static float row_loss(float *z, int32_t target, float weight, struct row_loss r)
{
    if (target < 0) {
        if (r.gradient)
            memset(z, 0, (size_t)r.n_vocab * sizeof *z);
        return 0;
    }
    float most = r.cap, sum;
    if (!(r.cap > 0))
        most = largest(z, r.n_vocab);
    else if (r.cap > EXACT_CAP)
        most = r.cap * vec_tanh(splat(largest(z, r.n_vocab) / r.cap))[0];
    sum = r.cap > 0 ? cap_and_sum(z, r.n_vocab, r.cap, most) : exp_sum(z, r.n_vocab, most);
    double log_sum = (double)most + natural_log(sum);
    float t = z[target];
    double logit = r.cap > 0 ? (double)r.cap * (double)t : (double)t;
    if (r.gradient) {
        to_gradient(z, r.n_vocab, r.cap, (float)log_sum, weight);
        z[target] -= weight * (r.cap > 0 ? 1.0f - t * t : 1.0f);
    }
    return (float)(log_sum - logit);
}

// The three products of a tile whose rows are x; z [rows, z_stride] holds its logits and then their gradients.
struct tile_products {
    struct product logits, dx, dw;
};

static struct tile_products products_of(int64_t rows, int64_t segment, const float *x, float *z, int64_t z_stride, const float *w,
                                        float *dx, float *dw, int64_t C, int64_t n_vocab)
{
    struct tile_products t = {
        .logits =
            {.M = rows, .N = n_vocab, .K = C, .a = x, .a_m = C, .a_k = 1, .b = w, .b_k = 1, .b_n = C, .c = z, .c_m = z_stride},
        .dx = {.M = rows, .N = C, .K = n_vocab, .a = z, .a_m = z_stride, .a_k = 1, .b = w, .b_k = C, .b_n = 1, .c = dx, .c_m = C},
        .dw = {.M = n_vocab,
               .N = C,
               .K = rows,
               .segment = segment,
               .a = z,
               .a_m = 1,
               .a_k = z_stride,
               .b = x,
               .b_k = C,
               .b_n = 1,
               .c = dw,
               .c_m = C,
               .add = true},
    };
    return t;
}

static size_t most_bytes(const struct device *dev, const struct tile_products *t)
{
    size_t a = cpu_product_bytes(dev, &t->logits), b = cpu_product_bytes(dev, &t->dx), c = cpu_product_bytes(dev, &t->dw);
    size_t most = a > b ? a : b;
    return most > c ? most : c;
}

void cpu_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap)
{
    struct product p = {
        .M = x.rows,
        .N = n_vocab,
        .K = x.cols,
        .a = x.data,
        .a_m = x.cols,
        .a_k = 1,
        .b = w->master.data,
        .b_k = 1,
        .b_n = x.cols,
        .c = logits.data,
        .c_m = n_vocab,
    };
    void *workspace = device_workspace(dev, cpu_product_bytes(dev, &p), "logits");
    if (!workspace)
        return;
    cpu_product(dev, &p, workspace);
    if (!(cap > 0))
        return;
    float *z = logits.data;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, x.rows * n_vocab * WORK_EXP))
    for (int64_t n = 0; n < x.rows; n++)
        soft_cap(z + n * n_vocab, n_vocab, cap);
}

void cpu_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
              const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T)
{
    int64_t N = x.rows, C = x.cols, z_stride = round_up(n_vocab, 16);
    bool gradient = dx.data && dw.data, short_sequences = T <= BLOCK_K;
    int64_t tile = short_sequences ? BLOCK_K / T * T : BLOCK_K;
    struct row_loss r = {.n_vocab = n_vocab, .cap = cap, .gradient = gradient};
    const float *x_ = x.data, *w_ = w->master.data, *weight = weights.data;
    const int32_t *target = targets.data;
    float *loss = losses.data, *dx_ = dx.data, *dw_ = dw.data;

    struct tile_products widest = products_of(min_i64(tile, N), T, NULL, NULL, z_stride, NULL, NULL, NULL, C, n_vocab);
    size_t z_bytes = (size_t)(min_i64(tile, N) * z_stride) * sizeof(float);
    char *base = device_workspace(dev, z_bytes + most_bytes(dev, &widest), "loss");
    if (!base)
        return;
    float *z = (float *)base;
    for (int64_t n0 = 0, rows; n0 < N; n0 += rows) {
        rows = min_i64(tile, N - n0);
        if (!short_sequences)
            rows = min_i64(rows, T - n0 % T);
        struct tile_products t = products_of(rows, short_sequences ? T : 0, x_ + n0 * C, z, z_stride, w_,
                                             gradient ? dx_ + n0 * C : NULL, dw_, C, n_vocab);
        cpu_product(dev, &t.logits, base + z_bytes);
#pragma omp parallel for num_threads(dev->n_threads) schedule(dynamic, 4) if (worth_threads(dev, rows * n_vocab * WORK_EXP))
        for (int64_t n = 0; n < rows; n++)
            loss[n0 + n] = row_loss(z + n * z_stride, target[n0 + n], weight[n0 + n], r);
        if (gradient) {
            cpu_product(dev, &t.dx, base + z_bytes);
            cpu_product(dev, &t.dw, base + z_bytes);
        }
    }
}
