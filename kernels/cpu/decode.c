// decode.c - attention of one new query a row over its cache. A task is a row and a head; keys go by in blocks of BLOCK from the
// cache's start, with running maximum and sum as in attention.c. Several keys, or several columns of the values, are in work at a time:
// sums of their own, each in the order of columns or of keys. Under bf16 caches hold rounded numbers (op_cache_put), stored in 16 bits or
// in 32; the query and the weights of a block are rounded here, and the sums are float32's.
#include "kernels/bf16.h"
#include "kernels/cpu/cpu.h"

#include <omp.h>

enum { BLOCK = 64, KEYS = 4, VECS = 8 };

static inline __attribute__((always_inline)) vec load_number(const void *from, int64_t i, const bool kept)
{
    return kept ? load_bf16((const uint16_t *)from + i) : load((const float *)from + i);
}

static inline __attribute__((always_inline)) float one_number(const void *from, int64_t i, const bool kept)
{
    return kept ? bf16_value(((const uint16_t *)from)[i]) : ((const float *)from)[i];
}

// x[j] = q . keys[j], N of them, the first at number `at`.
static inline __attribute__((always_inline)) void dots(float *x, const float *q, const void *keys, int64_t at, int64_t stride,
                                                       int64_t D, const int N, const bool kept)
{
    vec sum[KEYS];
    int64_t i = 0;
    UNROLL
    for (int j = 0; j < N; j++)
        sum[j] = (vec){0};
    for (; i + LANES <= D; i += LANES) {
        vec a = load(q + i);
        UNROLL
        for (int j = 0; j < N; j++)
            sum[j] += a * load_number(keys, at + j * stride + i, kept);
    }
    if (i < D) {
        vec a = load_part(q + i, D - i, 0);
        UNROLL
        for (int j = 0; j < N; j++) {
            float rest[LANES] = {0};
            for (int64_t d = i; d < D; d++)
                rest[d - i] = one_number(keys, at + j * stride + d, kept);
            sum[j] += a * load(rest);
        }
    }
    UNROLL
    for (int j = 0; j < N; j++)
        x[j] = vec_sum(sum[j]);
}

// o += sum over n keys of weight * value, N vectors of columns; the first at number `at`.
static inline __attribute__((always_inline)) void add_values(float *o, const float *weight, const void *values, int64_t at,
                                                             int64_t stride, int64_t n, const int N, const bool kept)
{
    vec sum[VECS];
    UNROLL
    for (int j = 0; j < N; j++)
        sum[j] = load(o + j * LANES);
    for (int64_t k = 0; k < n; k++) {
        vec w = splat(weight[k]);
        UNROLL
        for (int j = 0; j < N; j++)
            sum[j] += w * load_number(values, at + k * stride + j * LANES, kept);
    }
    UNROLL
    for (int j = 0; j < N; j++)
        store(o + j * LANES, sum[j]);
}

// Keys and values at position 0; o [D] is written.
static inline __attribute__((always_inline)) void one_query(float *o, const float *q, const void *keys, const void *values,
                                                            int64_t stride, int64_t D, int64_t first, int64_t last, float scale,
                                                            bool bf16, const bool kept)
{
    float most = -1e30f, sum = 0, weight[BLOCK];
    memset(o, 0, (size_t)D * sizeof *o);
    for (int64_t k0 = first / BLOCK * BLOCK; k0 <= last; k0 += BLOCK) {
        int64_t from = first > k0 ? first : k0, to = min_i64(k0 + BLOCK, last + 1);
        float before = most;
        for (int i = 0; i < BLOCK; i++)
            weight[i] = -__builtin_inff();
        int64_t k = from, d;
        for (; k + KEYS <= to; k += KEYS)
            dots(weight + (k - k0), q, keys, k * stride, stride, D, KEYS, kept);
        for (; k < to; k++)
            dots(weight + (k - k0), q, keys, k * stride, stride, D, 1, kept);
        for (k = from; k < to; k++) {
            float x = weight[k - k0] * scale;
            weight[k - k0] = x;
            most = x > most ? x : most;
        }
        vec total = {0};
        for (int i = 0; i < BLOCK; i += LANES) {
            vec e = vec_exp(load(weight + i) - splat(most));
            store(weight + i, e);
            total += e;
        }
        float keep = vec_exp(splat(before - most))[0];
        sum = sum * keep + vec_sum(total);
        if (bf16)
            cpu_round(weight, BLOCK);
        for (d = 0; d < D; d++)
            o[d] *= keep;
        const float *w = weight + (from - k0);
        for (d = 0; d + VECS * LANES <= D; d += VECS * LANES)
            add_values(o + d, w, values, from * stride + d, stride, to - from, VECS, kept);
        for (; d + LANES <= D; d += LANES)
            add_values(o + d, w, values, from * stride + d, stride, to - from, 1, kept);
        for (; d < D; d++)
            for (k = 0; k < to - from; k++)
                o[d] += w[k] * one_number(values, (from + k) * stride + d, kept);
    }
    float inverse = 1.0f / sum;
    for (int64_t d = 0; d < D; d++)
        o[d] *= inverse;
}

void cpu_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                          struct tensor slots, struct tensor positions, struct attention a)
{
    int64_t D = a.head_dim, stride = D * a.n_kv_head, group = a.n_head / a.n_kv_head, n_tasks = (int64_t)a.B * a.n_head;
    float *o_ = o.data, scale = (float)(1 / __builtin_sqrt((double)D));
    const float *q_ = q.data;
    const int32_t *slot = slots.data, *position = positions.data;
    bool bf16 = dev->precision == PRECISION_BF16;
    if (bf16) {
        float *rounded = device_workspace(dev, (size_t)(n_tasks * D) * sizeof *rounded, "attention_decode");
        if (!rounded)
            return;
        memcpy(rounded, q_, (size_t)(n_tasks * D) * sizeof *rounded);
        cpu_round(rounded, n_tasks * D);
        q_ = rounded;
    }
    int64_t n_keys = 0;
    for (int64_t r = 0; r < a.B; r++)
        n_keys += position[r] + 1;
#pragma omp parallel for num_threads(dev->n_threads)                                                                             \
    schedule(dynamic, 1) if (worth_threads(dev, n_keys * a.n_head * D * WORK_ELEMENT / 4))
    for (int64_t i = 0; i < n_tasks; i++) {
        int64_t r = i / a.n_head, h = i % a.n_head, last = position[r];
        int64_t first = a.window && last > a.window ? last - a.window : 0, cache = slot[r] * a.T * stride + h / group * D;
        const void *keys = from_number(numbers_of(k_cache), cache).data, *values = from_number(numbers_of(v_cache), cache).data;
        if (k_cache.dtype == DTYPE_BF16)
            one_query(o_ + i * D, q_ + i * D, keys, values, stride, D, first, last, scale, bf16, true);
        else
            one_query(o_ + i * D, q_ + i * D, keys, values, stride, D, first, last, scale, bf16, false);
    }
}
