// norm.c - the norm of rows and of rotated heads. Sums run over LANES partial sums of a row, then over the lanes, then over
// what is left of the row: an order fixed by its length.
#include "kernels/cpu/cpu.h"

#include <omp.h>

static inline float inverse_rms(const float *x, int64_t n, float eps)
{
    return 1.0f / __builtin_sqrtf(cpu_dot(x, x, n) / (float)n + eps);
}

void cpu_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps)
{
    const float *x_ = x.data;
    float *kept = rstd.data, *scratch;
    int64_t C = x.cols;
    if (!rows_of_scratch(dev, y, C, &scratch, "norm"))
        return;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, x.rows * x.cols * WORK_ELEMENT))
    for (int64_t n = 0; n < x.rows; n++) {
        const float *from = x_ + n * C;
        float *to = row_to_write(y, n, row_of_scratch(scratch, C, omp_get_thread_num())), r = inverse_rms(from, C, eps);
        kept[n] = r;
        for (int64_t c = 0; c < C; c++)
            to[c] = from[c] * r;
        write_row(dev, y, n, to);
    }
}

void cpu_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd)
{
    float *to = dx.data, *scratch;
    const float *dy_ = dy.data, *kept = rstd.data;
    int64_t C = dx.cols;
    if (!rows_of_scratch(dev, y, C, &scratch, "norm_back"))
        return;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, dx.rows * dx.cols * WORK_ELEMENT))
    for (int64_t n = 0; n < dx.rows; n++) {
        float *own = row_of_scratch(scratch, C, omp_get_thread_num());
        const float *g = dy_ + n * C, *out = read_numbers(from_number(numbers_of(y), n * C), C, own);
        float mean = cpu_dot(g, out, C) / (float)C, r = kept[n];
        for (int64_t c = 0; c < C; c++)
            to[n * C + c] += r * (g[c] - out[c] * mean);
    }
}

void cpu_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                     struct tensor sine, struct tensor positions, int n_head, float eps, float scale)
{
    const float *from = x.data, *cos_ = cosine.data, *sin_ = sine.data;
    const int32_t *position = positions.data;
    float *kept = rstd.data, *scratch;
    int64_t D = x.cols / n_head, half = D / 2;
    if (!rows_of_scratch(dev, y, x.cols, &scratch, "rotary_norm"))
        return;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, x.rows * x.cols * WORK_ELEMENT))
    for (int64_t n = 0; n < x.rows; n++) {
        float *to = row_to_write(y, n, row_of_scratch(scratch, x.cols, omp_get_thread_num()));
        for (int h = 0; h < n_head; h++) {
            const float *in = from + n * x.cols + h * D, *c = cos_ + position[n] * half, *s = sin_ + position[n] * half;
            float *out = to + h * D;
            for (int64_t i = 0; i < half; i++) {
                float a = in[i], b = in[half + i];
                out[i] = a * c[i] + b * s[i];
                out[half + i] = b * c[i] - a * s[i];
            }
            float r = inverse_rms(out, D, eps), factor = r * scale;
            kept[n * n_head + h] = r;
            for (int64_t i = 0; i < D; i++)
                out[i] *= factor;
        }
        write_row(dev, y, n, to);
    }
}

// y = scale * z with z = norm(rotated): d rotated = rstd * (g - z * mean(g * z)), g = scale * dy; then the rotation backwards.
void cpu_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                          struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale)
{
    const float *dy_ = dy.data, *kept = rstd.data, *cos_ = cosine.data, *sin_ = sine.data;
    const int32_t *position = positions.data;
    float *to = dx.data, *scratch;
    int64_t D = dx.cols / n_head, half = D / 2;
    if (!rows_of_scratch(dev, y, dx.cols, &scratch, "rotary_norm_back"))
        return;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, dx.rows * dx.cols * WORK_ELEMENT))
    for (int64_t n = 0; n < dx.rows; n++) {
        float *own = row_of_scratch(scratch, dx.cols, omp_get_thread_num());
        const float *y_ = read_numbers(from_number(numbers_of(y), n * dx.cols), dx.cols, own);
        for (int h = 0; h < n_head; h++) {
            int64_t at = n * dx.cols + h * D;
            const float *g = dy_ + at, *out = y_ + h * D, *c = cos_ + position[n] * half, *s = sin_ + position[n] * half;
            float r = kept[n * n_head + h], g_factor = r * scale;
            float y_factor = r * (cpu_dot(g, out, D) / (float)D) / scale;
            for (int64_t i = 0; i < half; i++) {
                float a = g[i] * g_factor - out[i] * y_factor;
                float b = g[half + i] * g_factor - out[half + i] * y_factor;
                to[at + i] = a * c[i] - b * s[i];
                to[at + half + i] = a * s[i] + b * c[i];
            }
        }
    }
}
