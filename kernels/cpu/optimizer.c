// optimizer.c - clipping, AdamW, Muon.
//
// Elementwise work is cut into blocks of FLAT_BLOCK elements; sums of squares are taken a block at a time in double and the
// blocks' sums added in order, so nothing depends on threads. Newton-Schulz works on the shorter side of a matrix, without
// transposing it: with cols < rows, A = X^T X and X = X (aI + bA + cA^2). Under bf16 X, A and bA + cA^2 are rounded as they are made, and
// aX, which the reference never multiplies out, is added in float32.
#include "kernels/bf16.h"
#include "kernels/cpu/cpu.h"

#include <omp.h>

static int64_t elements(struct tensor t)
{
    return t.rows * t.cols;
}

static int64_t blocks(int64_t n)
{
    return (n + FLAT_BLOCK - 1) / FLAT_BLOCK;
}

double cpu_square_sum(const float *x, int64_t n)
{
    double lane[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            lane[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; i < n; i++, j++)
        lane[j] += (double)x[i] * (double)x[i];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static void block_sums(struct device *dev, double *sums, const float *x, int64_t n)
{
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, n * WORK_ELEMENT))
    for (int64_t b = 0; b < blocks(n); b++)
        sums[b] = cpu_square_sum(x + b * FLAT_BLOCK, min_i64(FLAT_BLOCK, n - b * FLAT_BLOCK));
}

static double in_order(const double *sums, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += sums[i];
    return total;
}

void cpu_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm)
{
    int64_t most = 1;
    for (int i = 0; i < n; i++)
        if (blocks(elements(gradients[i])) > most)
            most = blocks(elements(gradients[i]));
    double *sums = device_workspace(dev, (size_t)most * sizeof *sums, "clip"), total = 0;
    if (!sums)
        return;
    for (int i = 0; i < n; i++) {
        block_sums(dev, sums, gradients[i].data, elements(gradients[i]));
        total += in_order(sums, blocks(elements(gradients[i])));
    }
    double norm = __builtin_sqrt(total);
    dev->scalars.grad_norm = norm;
    double scale = max_norm > 0 ? max_norm / (norm + 1e-6) : 1;
    dev->scalars.grad_scale = scale < 1 ? scale : 1;
}

static double power(double base, int64_t n)
{
    double result = 1;
    for (; n; n >>= 1, base *= base)
        if (n & 1)
            result *= base;
    return result;
}

void cpu_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a)
{
    const struct step_scalars *s = &dev->scalars;
    double lr = a.lr * s->lr_scale;
    float beta1 = (float)a.beta1, beta2 = (float)a.beta2, rest1 = (float)(1 - a.beta1), rest2 = (float)(1 - a.beta2);
    float keep = (float)(1 - lr * a.weight_decay), rate = (float)(lr / (1 - power(a.beta1, s->step + 1)));
    float unbias2 = (float)(1 / (1 - power(a.beta2, s->step + 1))), g_scale = (float)s->grad_scale;
    float eps = a.eps > 1e-30 ? (float)a.eps : 1e-30f; // 0 / 0 must not happen where nothing ever came
    float *p_ = p.data, *m_ = m.data, *v_ = v.data;
    const float *g_ = g.data;
    int64_t N = elements(p);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * WORK_ELEMENT))
    for (int64_t b = 0; b < N; b += FLAT_BLOCK) {
        int64_t end = min_i64(b + FLAT_BLOCK, N);
        for (int64_t i = b; i < end; i++) {
            float gi = g_[i] * g_scale;
            float mi = beta1 * m_[i] + rest1 * gi;
            float vi = beta2 * v_[i] + rest2 * (gi * gi);
            m_[i] = mi;
            v_[i] = vi;
            p_[i] = keep * p_[i] - rate * mi / (__builtin_sqrtf(vi * unbias2) + eps);
        }
    }
}

// --- Newton-Schulz -------------------------------------------------------------------------------------------------------------

struct orthogonal {
    float *x, *other;     // [rows, cols] each; the result is in x after orthogonalise
    float *square, *poly; // [short, short]
    double *sums;         // as many as there are blocks, rows or columns, whatever is most
    void *product_workspace;
};

static struct product gram(int64_t rows, int64_t cols, struct orthogonal o)
{
    bool wide = rows <= cols;
    int64_t side = wide ? rows : cols;
    return (struct product){
        .M = side,
        .N = side,
        .K = wide ? cols : rows,
        .a = {o.x, false},
        .a_m = wide ? cols : 1,
        .a_k = wide ? 1 : cols,
        .b = {o.x, false},
        .b_k = wide ? 1 : cols,
        .b_n = wide ? cols : 1,
        .c = o.square,
        .c_m = side,
        .symmetric = true,
    };
}

static struct product square(int64_t side, struct orthogonal o)
{
    return (struct product){
        .M = side,
        .N = side,
        .K = side,
        .a = {o.square, false},
        .a_m = side,
        .a_k = 1,
        .b = {o.square, false},
        .b_k = side,
        .b_n = 1,
        .c = o.poly,
        .c_m = side,
        .symmetric = true,
    };
}

static struct product apply(int64_t rows, int64_t cols, struct orthogonal o)
{
    bool wide = rows <= cols;
    int64_t side = wide ? rows : cols;
    return (struct product){
        .M = rows,
        .N = cols,
        .K = side,
        .a = {wide ? o.poly : o.x, false},
        .a_m = side,
        .a_k = 1,
        .b = {wide ? o.x : o.poly, false},
        .b_k = cols,
        .b_n = 1,
        .c = o.other,
        .c_m = cols,
    };
}

// Cuts one block of workspace; with base NULL only measures.
static size_t lay_out(const struct device *dev, int64_t rows, int64_t cols, char *base, struct orthogonal *o)
{
    int64_t side = rows < cols ? rows : cols;
    size_t x_bytes = (size_t)round_up(rows * cols, 16) * sizeof(float);
    size_t s_bytes = (size_t)round_up(side * side, 16) * sizeof(float);
    int64_t n_sums = blocks(rows * cols);
    n_sums = n_sums > rows ? n_sums : rows;
    n_sums = n_sums > cols ? n_sums : cols;
    size_t sums_bytes = (size_t)round_up(n_sums, 8) * sizeof(double), product_bytes = 0;
    struct product parts[3] = {gram(rows, cols, *o), square(side, *o), apply(rows, cols, *o)};
    for (int i = 0; i < 3; i++)
        if (cpu_product_bytes(dev, &parts[i]) > product_bytes)
            product_bytes = cpu_product_bytes(dev, &parts[i]);
    if (base) {
        o->other = (float *)base;
        o->square = (float *)(base + x_bytes);
        o->poly = (float *)(base + x_bytes + s_bytes);
        o->sums = (double *)(base + x_bytes + 2 * s_bytes);
        o->product_workspace = base + x_bytes + 2 * s_bytes + sums_bytes;
    }
    return x_bytes + 2 * s_bytes + sums_bytes + product_bytes;
}

// x *= factor
static void scale(struct device *dev, float *x, float factor, int64_t N)
{
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * WORK_ELEMENT))
    for (int64_t i = 0; i < N; i++)
        x[i] *= factor;
}

static void swap(struct orthogonal *o)
{
    float *x = o->x;
    o->x = o->other;
    o->other = x;
}

// x = the nearest bfloat16; times = a * x where that is wanted.
static void round_all(struct device *dev, float *x, int64_t N, float *times, float a)
{
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * WORK_ELEMENT))
    for (int64_t b = 0; b < N; b += FLAT_BLOCK) {
        int64_t end = min_i64(b + FLAT_BLOCK, N);
        cpu_round(x + b, end - b);
        for (int64_t i = b; times && i < end; i++)
            times[i] = a * x[i];
    }
}

// poly, which holds A^2, becomes bA + cA^2, with A rounded first.
static void round_polynomial(struct device *dev, float *poly, const float *sq, int64_t side, float b, float c)
{
    int64_t N = side * side;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * WORK_ELEMENT))
    for (int64_t from = 0; from < N; from += FLAT_BLOCK) {
        int64_t end = min_i64(from + FLAT_BLOCK, N);
        for (int64_t i = from; i < end; i++)
            poly[i] = b * bf16_round(sq[i]) + c * poly[i];
        cpu_round(poly + from, end - from);
    }
}

static void step_bf16(struct device *dev, int64_t rows, int64_t cols, struct orthogonal *o, const double coefficients[3])
{
    int64_t side = rows < cols ? rows : cols;
    round_all(dev, o->x, rows * cols, o->other, (float)coefficients[0]);
    struct product p = gram(rows, cols, *o);
    cpu_product(dev, &p, o->product_workspace);
    p = square(side, *o);
    cpu_product(dev, &p, o->product_workspace);
    round_polynomial(dev, o->poly, o->square, side, (float)coefficients[1], (float)coefficients[2]);
    p = apply(rows, cols, *o);
    p.add = true;
    cpu_product(dev, &p, o->product_workspace);
    swap(o);
}

static void orthogonalise(struct device *dev, int64_t rows, int64_t cols, const struct newton_schulz *iteration,
                          struct orthogonal *o)
{
    int64_t N = rows * cols, side = rows < cols ? rows : cols;
    block_sums(dev, o->sums, o->x, N);
    double norm = __builtin_sqrt(in_order(o->sums, blocks(N)));
    bool bf16 = dev->precision == PRECISION_BF16;
    scale(dev, o->x, (float)(1 / (iteration->stretch * norm + iteration->floor)), N);
    for (int step = 0; step < NEWTON_SCHULZ_STEPS && bf16; step++)
        step_bf16(dev, rows, cols, o, iteration->steps[step]);
    if (bf16)
        round_all(dev, o->x, N, NULL, 0);
    for (int step = 0; step < NEWTON_SCHULZ_STEPS && !bf16; step++) {
        float a = (float)iteration->steps[step][0], b = (float)iteration->steps[step][1], c = (float)iteration->steps[step][2];
        struct product p = gram(rows, cols, *o);
        cpu_product(dev, &p, o->product_workspace);
        p = square(side, *o);
        cpu_product(dev, &p, o->product_workspace);
        float *poly = o->poly;
        const float *sq = o->square;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, side * side * WORK_ELEMENT))
        for (int64_t i = 0; i < side; i++) {
            for (int64_t j = 0; j < side; j++)
                poly[i * side + j] = b * sq[i * side + j] + c * poly[i * side + j];
            poly[i * side + i] += a;
        }
        p = apply(rows, cols, *o);
        cpu_product(dev, &p, o->product_workspace);
        swap(o);
    }
}

// b = b + (1 - mu)(g - b);  g = g + mu (b - g), with g scaled first
static void momentum(struct device *dev, struct muon_matrix m, float g_scale, float mu)
{
    float *buffer = m.momentum.data, *g = m.g.data, rest = 1 - mu;
    int64_t N = elements(m.g);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * WORK_ELEMENT))
    for (int64_t b = 0; b < N; b += FLAT_BLOCK) {
        int64_t end = min_i64(b + FLAT_BLOCK, N);
        for (int64_t i = b; i < end; i++) {
            float gi = g[i] * g_scale;
            float bi = buffer[i] + rest * (gi - buffer[i]);
            buffer[i] = bi;
            g[i] = gi + mu * (bi - gi);
        }
    }
}

// --- what 2026 does before and after -------------------------------------------------------------------------------------------

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void row_sums(struct device *dev, double *sums, const float *x, int64_t rows, int64_t cols)
{
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, rows * cols * WORK_ELEMENT))
    for (int64_t r = 0; r < rows; r++)
        sums[r] = cpu_square_sum(x + r * cols, cols);
}

// Of each column, in order of rows.
static void column_sums(struct device *dev, double *sums, const float *x, int64_t rows, int64_t cols)
{
    enum { COLUMNS = 64 };
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, rows * cols * WORK_ELEMENT))
    for (int64_t c0 = 0; c0 < cols; c0 += COLUMNS) {
        int64_t end = min_i64(c0 + COLUMNS, cols);
        for (int64_t c = c0; c < end; c++)
            sums[c] = 0;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = c0; c < end; c++)
                sums[c] += (double)x[r * cols + c] * (double)x[r * cols + c];
    }
}

static void even_rows(struct device *dev, float *x, int64_t rows, int64_t cols, double *sums)
{
    row_sums(dev, sums, x, rows, cols);
    double level = __builtin_sqrt(in_order(sums, rows) / (double)rows);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, rows * cols * WORK_ELEMENT))
    for (int64_t r = 0; r < rows; r++) {
        float factor = (float)(level / larger(__builtin_sqrt(sums[r]), 1e-6));
        for (int64_t i = r * cols; i < (r + 1) * cols; i++)
            x[i] *= factor;
    }
}

static void fixed_norm(struct device *dev, float *x, int64_t rows, int64_t cols, double *sums)
{
    int64_t N = rows * cols;
    block_sums(dev, sums, x, N);
    double norm = __builtin_sqrt(in_order(sums, blocks(N))), wanted = __builtin_sqrt((double)min_i64(rows, cols));
    scale(dev, x, (float)(wanted / larger(norm, 1e-6)), N);
}

// Lines are rows, or columns of a wide matrix; `sums` [lines] are of squares first, then the factors of lines. The norm that the
// matrix would have with factors f is the root of sum f^2 * sums, so that x is read once for its sums and scaled once.
static void even_variance(struct device *dev, float *x, int64_t rows, int64_t cols, float *variance, double beta2, double *sums)
{
    bool by_row = rows >= cols;
    int64_t n_lines = by_row ? rows : cols, length = by_row ? cols : rows;
    double before = 0, after = 0;
    if (by_row)
        row_sums(dev, sums, x, rows, cols);
    else
        column_sums(dev, sums, x, rows, cols);
    for (int64_t l = 0; l < n_lines; l++) {
        double v = (double)variance[l];
        variance[l] = (float)(v + (1 - beta2) * (sums[l] / (double)length - v));
        double factor = 1 / __builtin_sqrt(larger((double)variance[l], 1e-10));
        before += sums[l];
        after += sums[l] * factor * factor;
        sums[l] = factor;
    }
    double keep = __builtin_sqrt(before) / larger(__builtin_sqrt(after), 1e-10);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, rows * cols * WORK_ELEMENT))
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            x[r * cols + c] *= (float)(sums[by_row ? r : c] * keep);
}

// p -= rate * (o + decay * p), with decay only where o does not go against the sign of p.
static void descend(struct device *dev, float *p, const float *o, float rate, float decay, int64_t N)
{
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * WORK_ELEMENT))
    for (int64_t b = 0; b < N; b += FLAT_BLOCK) {
        int64_t end = min_i64(b + FLAT_BLOCK, N);
        for (int64_t i = b; i < end; i++) {
            float step = o[i] + (o[i] * p[i] >= 0 ? decay : 0) * p[i];
            p[i] -= rate * step;
        }
    }
}

// One matrix, from its gradient to its update.
static void move_matrix(struct device *dev, struct muon_matrix m, const struct muon *muon, char *base)
{
    int64_t rows = m.p.rows, cols = m.p.cols;
    double stretch = rows > cols ? __builtin_sqrt((double)rows / (double)cols) : 1;
    float rate = (float)(muon->lr * dev->scalars.lr_scale * stretch),
          decay = (float)(muon->weight_decay * dev->scalars.decay_scale);
    struct orthogonal o = {0};
    momentum(dev, m, (float)dev->scalars.grad_scale, (float)dev->scalars.momentum);
    o.x = m.g.data;
    lay_out(dev, rows, cols, base, &o);
    if (muon->even_rows)
        even_rows(dev, o.x, rows, cols, o.sums);
    orthogonalise(dev, rows, cols, muon->iteration, &o);
    if (muon->fixed_norm)
        fixed_norm(dev, o.x, rows, cols, o.sums);
    if (muon->beta2 > 0)
        even_variance(dev, o.x, rows, cols, m.variance.data, muon->beta2, o.sums);
    descend(dev, m.p.data, o.x, rate, decay, rows * cols);
}

// As many matrices as there are threads, a thread each, again and again; n of them, a multiple of the threads.
static void move_matrices_apart(struct device *dev, const struct muon_matrix *matrices, int n, const struct muon *muon,
                                char *base, size_t bytes)
{
    double longest = 0;
#pragma omp parallel num_threads(dev->n_threads) reduction(max : longest)
    {
        struct device alone = *dev;
        alone.n_threads = 1;
        alone.profile.products_s = 0;
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < n; i++)
            move_matrix(&alone, matrices[i], muon, base + (size_t)omp_get_thread_num() * bytes);
        longest = alone.profile.products_s;
    }
    dev->profile.products_s += longest;
}

// Small matrices leave too little between two barriers, and one thread's caches hold all of one: there every thread has its own.
void cpu_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon)
{
    if (n < 1)
        return;
    struct orthogonal measure = {0};
    struct device alone = {.n_threads = 1, .precision = dev->precision};
    int64_t rows = matrices[0].p.rows, cols = matrices[0].p.cols;
    int n_apart = muon_apart(n, rows * cols, dev->n_threads);
    size_t own = (size_t)round_up((int64_t)lay_out(&alone, rows, cols, NULL, &measure), 64),
           all = lay_out(dev, rows, cols, NULL, &measure);
    size_t apart = n_apart ? own * (size_t)dev->n_threads : 0;
    char *base = device_workspace(dev, apart > all ? apart : all, "muon");
    if (!base)
        return;
    if (n_apart)
        move_matrices_apart(dev, matrices, n_apart, &muon, base, own);
    for (int i = n_apart; i < n; i++)
        move_matrix(dev, matrices[i], &muon, base);
}

void cpu_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration)
{
    struct orthogonal o = {.x = x.data};
    char *base = device_workspace(dev, lay_out(dev, x.rows, x.cols, NULL, &o), "newton_schulz");
    if (!base)
        return;
    lay_out(dev, x.rows, x.cols, base, &o);
    orthogonalise(dev, x.rows, x.cols, iteration, &o);
    if (o.x != x.data)
        memcpy(x.data, o.x, (size_t)elements(x) * sizeof(float));
}
