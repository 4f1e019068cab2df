// matmul.c - the products of kernels.h and logits, as strides of the one product. Masters are used as they lie, but where weights are
// prepared (bfloat16 where the processor multiplies it, and copies for decoding): as panels of x w^T, all of K in one panel, panel
// after panel.
#include "kernels/cpu/cpu.h"

// False after a fault.
static bool run(struct device *dev, struct product p, const char *op)
{
    void *workspace = device_workspace(dev, cpu_product_bytes(dev, &p), op);
    if (workspace)
        cpu_product(dev, &p, workspace);
    return workspace != NULL;
}

void cpu_weight_prepare(struct device *dev, struct weight *w)
{
    bool bf16 = dev->precision == PRECISION_BF16;
    float *to = w->prepared.data;
    const float *from = w->master.data;
    int64_t O = w->master.rows, I = w->master.cols, panel = TILE_COLS * panel_depth(bf16, I);
    if (!to)
        return;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, O * I * WORK_ELEMENT / 4))
    for (int64_t o = 0; o < O; o += TILE_COLS)
        pack_cols(bf16, to + o / TILE_COLS * panel, (struct numbers){from + o * I, false}, I, 1, min_i64(TILE_COLS, O - o), I);
}

// y [N,O] = x [N,I] * w[O,I]^T, or of its first rows where y has fewer columns
static struct product forward(struct tensor y, struct tensor x, const struct weight *w)
{
    return (struct product){
        .M = y.rows,
        .N = y.cols,
        .K = x.cols,
        .a = numbers_of(x),
        .a_m = x.cols,
        .a_k = 1,
        .b = numbers_of(w->master),
        .b_k = 1,
        .b_n = x.cols,
        .panels = w->prepared.data,
        .c = y.data,
        .c_m = y.cols,
    };
}

void cpu_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add)
{
    struct product p = forward(y, x, w);
    p.add = add;
    run(dev, p, "matmul");
}

// Some rows at a time, so that the sums stay in the cache.
static void relu2_stored(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w)
{
    int64_t rows = min_i64(RELU2_ROWS, r.rows);
    struct tensor some = {.rows = rows, .cols = r.cols};
    struct product p = forward(some, x, w);
    int64_t n_sums = round_up(rows * r.cols, 16);
    float *sums = device_workspace(dev, (size_t)n_sums * sizeof *sums + cpu_product_bytes(dev, &p), "matmul_relu2");
    if (!sums)
        return;
    p.c = sums;
    for (int64_t n = 0; n < r.rows; n += rows) {
        p.M = min_i64(rows, r.rows - n);
        p.a = from_number(numbers_of(x), n * x.cols);
        p.positive16 = (uint16_t *)r.data + n * r.cols;
        p.squares16 = (uint16_t *)a.data + n * r.cols;
        cpu_product(dev, &p, sums + n_sums);
    }
}

void cpu_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w)
{
    if (r.dtype == DTYPE_BF16) {
        relu2_stored(dev, a, r, x, w);
        return;
    }
    struct product p = forward(r, x, w);
    p.squares = a.data;
    run(dev, p, "matmul_relu2");
}

void cpu_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add)
{
    run(dev,
        (struct product){
            .M = dx.rows,
            .N = dx.cols,
            .K = dy.cols,
            .a = numbers_of(dy),
            .a_m = dy.cols,
            .a_k = 1,
            .b = numbers_of(w->master),
            .b_k = dx.cols,
            .b_n = 1,
            .c = dx.data,
            .c_m = dx.cols,
            .add = add,
        },
        "matmul_dx");
}

void cpu_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T)
{
    run(dev,
        (struct product){
            .M = dw.rows,
            .N = dw.cols,
            .K = x.rows,
            .segment = T,
            .a = numbers_of(dy),
            .a_m = 1,
            .a_k = dy.cols,
            .b = numbers_of(x),
            .b_k = x.cols,
            .b_n = 1,
            .c = dw.data,
            .c_m = dw.cols,
            .add = true,
        },
        "matmul_dw");
}

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

void cpu_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap)
{
    if (!run(dev, forward(logits, x, w), "logits") || !(cap > 0))
        return;
    float *z = logits.data;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, x.rows * n_vocab * WORK_EXP))
    for (int64_t n = 0; n < x.rows; n++)
        soft_cap(z + n * n_vocab, n_vocab, cap);
}
