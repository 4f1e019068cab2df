// check.h - what the tests of kernels share: numbers to feed, and holding one device's outputs to another's.
//
// An operation under test is a function that makes its inputs on whatever device it is given and keeps its outputs:
//
//     static void norm(struct device *dev, const int *size, struct outputs *out)
//     {
//         struct tensor x = filled(dev, size[0], size[1], 1, 1.0), y = ..., r = ...;
//         op_norm(dev, y, r, x, 1e-6f);
//         keep(out, dev, "y", y, BOUND_ROW, 2e-6);
//     }
//     hold(norm, (int[]){7, 33});   // runs it on ref and, for every instruction set, on cpu with 1, 2 and 3 threads
//     hold_bf16(norm, (int[]){7, 33});                                    // the same in precision bf16
//
// Inputs are float32 values, so ref and cpu start from the same numbers.
#ifndef TESTS_KERNELS_CHECK_H
#define TESTS_KERNELS_CHECK_H

#include "kernels/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))

// --- numbers ----------------------------------------------------------------------------------------------------------------

// SplitMix64's finaliser: number i of stream `seed`, uniform in [-1, 1), exact in float32.
static inline double number(uint64_t seed, uint64_t i)
{
    uint64_t z = (seed << 40) + i + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return ((double)(z >> 40) - 8388608.0) / 8388608.0;
}

// Elements of the same row and column have the same value whatever the number of rows.
static inline void fill(struct device *dev, struct tensor t, uint64_t seed, double scale)
{
    int64_t n = t.rows * t.cols;
    float *v = calloc((size_t)n + 1, sizeof *v);
    for (int64_t i = 0; v && i < n; i++)
        v[i] = (float)(number(seed, (uint64_t)i) * scale);
    assert_non_null(v);
    device_put(dev, t, 0, n, v);
    free(v);
}

static inline struct tensor filled(struct device *dev, int64_t rows, int64_t cols, uint64_t seed, double scale)
{
    struct tensor t = device_tensor(dev, rows, cols);
    fill(dev, t, seed, scale);
    return t;
}

// n ids from 0 .. limit-1
static inline struct tensor filled_ids(struct device *dev, int64_t n, uint64_t seed, int limit)
{
    struct tensor t = device_ids(dev, n, 1);
    for (int64_t i = 0; i < n; i++) {
        int32_t id = (int32_t)((number(seed, (uint64_t)i) + 1) / 2 * limit);
        device_put_ids(dev, t, i, 1, &id);
    }
    return t;
}

static inline struct weight filled_weight(struct device *dev, int64_t rows, int64_t cols, uint64_t seed, double scale)
{
    struct weight w = device_weight(dev, rows, cols);
    fill(dev, w.master, seed, scale);
    op_weight_prepare(dev, &w);
    return w;
}

static inline double *values_of(struct device *dev, struct tensor t)
{
    double *v = calloc((size_t)(t.rows * t.cols) + 1, sizeof *v);
    assert_non_null(v);
    device_get_f64(dev, v, t, 0, t.rows * t.cols);
    return v;
}

// --- devices ----------------------------------------------------------------------------------------------------------------

static inline struct device *open_device(enum device_kind kind, int threads)
{
    struct fault fault;
    struct device *dev = device_open(kind, threads, &fault);
    if (!dev)
        fail_msg("%s: %s", fault.op, fault.what);
    device_set_alone(dev, 0); // small tensors are divided among threads too
    return dev;
}

static const char *const isas[] = {"portable", "avx2", "avx512"};
static const char *const isas_bf16[] = {"portable", "avx2", "avx512", "avx512bf16"};

// A cpu device on that path, or NULL where the processor lacks it.
static inline struct device *open_path(const char *isa, int threads, enum precision precision)
{
    setenv("RETORT_ISA", isa, 1);
    struct device *dev = open_device(DEVICE_CPU, threads);
    device_set_precision(dev, precision);
    unsetenv("RETORT_ISA");
    if (strcmp(device_isa(dev), isa) == 0)
        return dev;
    device_close(dev);
    return NULL;
}

static inline void assert_no_fault(struct device *dev)
{
    struct fault fault = device_fault(dev);
    if (fault.kind != FAULT_NONE)
        fail_msg("%s: %s", fault.op, fault.what);
}

static inline struct device *open_isa(const char *isa, int threads)
{
    return open_path(isa, threads, PRECISION_F32);
}

// --- holding cpu to ref -----------------------------------------------------------------------------------------------------

// What a bound is relative to: nothing, the expected element, one more than it, the largest of its row, or of the tensor (there
// at least 0.1: a gradient that is zero but for rounding has no size of its own).
enum bound { BOUND_ABSOLUTE, BOUND_ELEMENT, BOUND_ONE_MORE, BOUND_ROW, BOUND_TENSOR };

struct output {
    const char *name;
    int64_t rows, cols;
    double *values, limit;
    enum bound bound;
};

struct outputs {
    int n;
    struct output list[12];
};

static inline void keep(struct outputs *out, struct device *dev, const char *name, struct tensor t, enum bound bound,
                        double limit)
{
    assert_true(out->n < (int)countof(out->list));
    out->list[out->n++] = (struct output){
        .name = name, .rows = t.rows, .cols = t.cols, .values = values_of(dev, t), .limit = limit, .bound = bound};
}

static inline void drop(struct outputs *out)
{
    for (int i = 0; i < out->n; i++)
        free(out->list[i].values);
    out->n = 0;
}

static inline double largest_of(const double *v, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(v[i]));
    return most;
}

// The largest error as a share of its bound; a NaN counts as infinite.
static inline double error_share(const struct output *got, const struct output *want)
{
    double worst = 0, tensor_most = largest_of(want->values, want->rows * want->cols);
    for (int64_t r = 0; r < want->rows; r++) {
        double row_most = largest_of(want->values + r * want->cols, want->cols);
        for (int64_t c = 0; c < want->cols; c++) {
            double w = want->values[r * want->cols + c], error = fabs(got->values[r * want->cols + c] - w), unit = 1;
            if (want->bound == BOUND_ELEMENT)
                unit = fmax(fabs(w), 1e-3);
            else if (want->bound == BOUND_ONE_MORE)
                unit = 1 + fabs(w);
            else if (want->bound == BOUND_ROW)
                unit = row_most;
            else if (want->bound == BOUND_TENSOR)
                unit = fmax(tensor_most, 0.1);
            double share = error == 0 ? 0 : error / (unit * want->limit);
            worst = share <= worst ? worst : isnan(share) ? INFINITY : share;
        }
    }
    return worst;
}

typedef void (*operation)(struct device *dev, const int *size, struct outputs *out);

static inline void hold_(const char *name, operation run, const int *size, const char *size_text, enum precision precision)
{
    struct outputs want = {0};
    struct device *ref = open_device(DEVICE_REF, 1);
    bool bf16 = precision == PRECISION_BF16;
    const char *const *paths = bf16 ? isas_bf16 : isas;
    device_set_precision(ref, precision);
    run(ref, size, &want);
    assert_no_fault(ref);
    device_close(ref);
    for (size_t i = 0; i < (bf16 ? countof(isas_bf16) : countof(isas)); i++) {
        struct outputs first = {0};
        for (int threads = 1; threads <= 3; threads++) {
            struct device *dev = open_path(paths[i], threads, precision);
            if (!dev)
                break;
            struct outputs got = {0};
            run(dev, size, &got);
            assert_no_fault(dev);
            device_close(dev);
            for (int k = 0; k < want.n; k++) {
                double share = error_share(&got.list[k], &want.list[k]);
                if (getenv("KERNELS_SHOW") && threads == 1)
                    print_message("%-24s %-10s %-9s %.3f of %g %s\n", name, got.list[k].name, paths[i], share, want.list[k].limit,
                                  size_text);
                if (!(share <= 1))
                    fail_msg("%s %s on %s, %d threads: '%s' is off by %.3g times its bound %g", name, size_text, paths[i],
                             threads, got.list[k].name, share, want.list[k].limit);
                size_t bytes = (size_t)(got.list[k].rows * got.list[k].cols) * sizeof(double);
                if (threads > 1 && memcmp(got.list[k].values, first.list[k].values, bytes))
                    fail_msg("%s %s on %s: the bits of '%s' depend on the number of threads", name, size_text, paths[i],
                             got.list[k].name);
            }
            if (threads == 1)
                first = got;
            else
                drop(&got);
        }
        drop(&first);
    }
    drop(&want);
}

#define hold(run, ...) hold_(#run, run, (const int[])__VA_ARGS__, #__VA_ARGS__, PRECISION_F32)
#define hold_bf16(run, ...) hold_(#run, run, (const int[])__VA_ARGS__, #__VA_ARGS__, PRECISION_BF16)

static inline void assert_same_bits(const char *what, const char *isa, struct tensor a, struct tensor b)
{
    size_t item = a.dtype == DTYPE_F64 ? 8 : a.dtype == DTYPE_BF16 ? 2 : 4;
    assert_int_equal(a.dtype, b.dtype);
    assert_int_equal(a.rows, b.rows);
    assert_int_equal(a.cols, b.cols);
    if (memcmp(a.data, b.data, (size_t)(a.rows * a.cols) * item))
        fail_msg("the bits of %s differ on %s", what, isa);
}

#endif
