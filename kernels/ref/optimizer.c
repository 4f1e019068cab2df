// optimizer.c - clipping, AdamW, Muon and its orthogonalisation.
#include "kernels/ref/ref.h"

#include <math.h>

void ref_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm)
{
    double sum = 0;
    for (int g = 0; g < n; g++)
        for (int64_t i = 0; i < gradients[g].rows * gradients[g].cols; i++)
            sum += row(gradients[g], 0)[i] * row(gradients[g], 0)[i];
    dev->scalars.grad_norm = sqrt(sum);
    dev->scalars.grad_scale = max_norm > 0 ? fmin(1, max_norm / (sqrt(sum) + 1e-6)) : 1;
}

void ref_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a)
{
    const struct step_scalars *s = &dev->scalars;
    double lr = a.lr * s->lr_scale, t = (double)(s->step + 1);
    for (int64_t i = 0; i < p.rows * p.cols; i++) {
        double *pi = row(p, 0) + i, *mi = row(m, 0) + i, *vi = row(v, 0) + i, gi = row(g, 0)[i] * s->grad_scale;
        *pi *= 1 - lr * a.weight_decay;
        *mi = a.beta1 * *mi + (1 - a.beta1) * gi;
        *vi = a.beta2 * *vi + (1 - a.beta2) * gi * gi;
        *pi -= lr / (1 - pow(a.beta1, t)) * *mi / (sqrt(*vi / (1 - pow(a.beta2, t))) + a.eps);
    }
}

// out [n,m] = in [m,n]^T, out [m,m] = a [m,n] * b [m,n]^T, out [m,n] += a [m,m] * b [m,n]
static void transpose(double *out, const double *in, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            out[j * m + i] = in[i * n + j];
}

static void times_transposed(double *out, const double *a, const double *b, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++) {
            out[i * m + j] = 0;
            for (int64_t k = 0; k < n; k++)
                out[i * m + j] += a[i * n + k] * b[j * n + k];
        }
}

static void add_product(double *out, const double *a, const double *b, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < m; k++)
            for (int64_t j = 0; j < n; j++)
                out[i * n + j] += a[i * m + k] * b[k * n + j];
}

static double norm_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

// The iteration on the wide orientation X [m,n], m <= n: X = a X + (b A + c A A) X with A = X X^T. The coefficients of 2025 drive
// singular values towards 0.7 .. 1.2, not to 1: they trade exactness for a steep slope at 0. Under bf16 X, A and the polynomial
// without its a X are rounded where they are made.
void ref_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration)
{
    bool is_tall = x.rows > x.cols;
    int64_t m = is_tall ? x.cols : x.rows, n = is_tall ? x.rows : x.cols;
    double *X = device_workspace(dev, (size_t)(2 * m * n + 2 * m * m) * sizeof *X, "newton_schulz");
    if (!X)
        return;
    double *next = X + m * n, *A = next + m * n, *B = A + m * m;
    double norm = norm_of(row(x, 0), m * n);
    for (int64_t i = 0; i < m * n; i++)
        X[i] = row(x, 0)[i];
    if (is_tall)
        transpose(X, row(x, 0), n, m);
    for (int64_t i = 0; i < m * n; i++)
        X[i] = operand(dev, X[i] / (iteration->stretch * norm + iteration->floor));
    for (int step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
        const double *k = iteration->steps[step];
        times_transposed(A, X, X, m, n);
        for (int64_t i = 0; i < m * m; i++)
            A[i] = operand(dev, A[i]);
        times_transposed(B, A, A, m, m); // A is symmetric: A A^T = A A
        for (int64_t i = 0; i < m * m; i++)
            B[i] = operand(dev, k[1] * A[i] + k[2] * B[i]);
        for (int64_t i = 0; i < m * n; i++)
            next[i] = k[0] * X[i];
        add_product(next, B, X, m, n);
        for (int64_t i = 0; i < m * n; i++)
            next[i] = operand(dev, next[i]);
        double *last = X;
        X = next;
        next = last;
    }
    if (is_tall)
        transpose(row(x, 0), X, m, n);
    else
        for (int64_t i = 0; i < m * n; i++)
            row(x, 0)[i] = X[i];
}

static void even_rows(struct tensor u)
{
    double level = norm_of(row(u, 0), u.rows * u.cols) / sqrt((double)u.rows);
    for (int64_t r = 0; r < u.rows; r++) {
        double factor = level / fmax(norm_of(row(u, r), u.cols), 1e-6);
        for (int64_t c = 0; c < u.cols; c++)
            row(u, r)[c] *= factor;
    }
}

static void fixed_norm(struct tensor u)
{
    double norm = norm_of(row(u, 0), u.rows * u.cols), wanted = sqrt((double)(u.rows < u.cols ? u.rows : u.cols));
    for (int64_t i = 0; i < u.rows * u.cols; i++)
        row(u, 0)[i] *= wanted / fmax(norm, 1e-6);
}

// Lines are rows, or columns of a wide matrix.
static void even_variance(struct tensor u, struct tensor variance, double beta2)
{
    bool by_row = u.rows >= u.cols;
    int64_t n_lines = by_row ? u.rows : u.cols, length = by_row ? u.cols : u.rows;
    int64_t line_step = by_row ? u.cols : 1, step = by_row ? 1 : u.cols;
    double before = norm_of(row(u, 0), u.rows * u.cols);
    for (int64_t l = 0; l < n_lines; l++) {
        double mean = 0, *v = row(variance, 0) + l, *line = row(u, 0) + l * line_step;
        for (int64_t i = 0; i < length; i++)
            mean += line[i * step] * line[i * step] / (double)length;
        *v += (1 - beta2) * (mean - *v);
        for (int64_t i = 0; i < length; i++)
            line[i * step] /= sqrt(fmax(*v, 1e-10));
    }
    double after = norm_of(row(u, 0), u.rows * u.cols);
    for (int64_t i = 0; i < u.rows * u.cols; i++)
        row(u, 0)[i] *= before / fmax(after, 1e-10);
}

void ref_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon)
{
    const struct step_scalars *s = &dev->scalars;
    for (int k = 0; k < n; k++) {
        struct muon_matrix it = matrices[k];
        int64_t size = it.p.rows * it.p.cols;
        double *p = row(it.p, 0), *buf = row(it.momentum, 0), *g = row(it.g, 0);
        for (int64_t i = 0; i < size; i++) {
            g[i] *= s->grad_scale;
            buf[i] += (1 - s->momentum) * (g[i] - buf[i]);
            g[i] += s->momentum * (buf[i] - g[i]);
        }
        if (muon.even_rows)
            even_rows(it.g);
        ref_newton_schulz(dev, it.g, muon.iteration);
        if (muon.fixed_norm)
            fixed_norm(it.g);
        if (muon.beta2 > 0)
            even_variance(it.g, it.variance, muon.beta2);
        double rate = muon.lr * s->lr_scale * sqrt(fmax(1, (double)it.p.rows / (double)it.p.cols));
        double decay = muon.weight_decay * s->decay_scale;
        for (int64_t i = 0; i < size; i++)
            p[i] -= rate * (g[i] + (g[i] * p[i] >= 0 ? decay : 0) * p[i]);
    }
}
