// The whole backward pass against finite differences of the whole forward pass, in double.
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/philox.h"
#include "core/model/model.h"

enum { B = 2, T = 5, V = 11, N = B * T };

static void fill(struct model *m)
{
    struct philox p = philox_for(3, PHILOX_INIT);
    for (int i = 0; i < m->n_params; i++)
        for (int64_t j = 0; j < m->params[i].rows * m->params[i].cols; j++) {
            double value = philox_uniform(p, (uint64_t)i, (uint64_t)j) - 0.5;
            device_put_f64(m->dev, m->params[i].w.master, j, 1, &value);
        }
    model_prepare(m);
}

static double weighted_loss(struct model *m, struct batch batch)
{
    double losses[N], sum = 0;
    model_loss(m, batch, NULL);
    model_losses(m, batch, losses);
    for (int n = 0; n < N; n++)
        sum += batch.weights[n] * losses[n];
    return sum;
}

static void backward_is_the_derivative(void **state)
{
    (void)state;
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_REF, 1, &fault);
    assert_non_null(dev);
    struct shape shape = {.n_layer = 2,
                          .n_embd = 12,
                          .n_head = 4,
                          .n_kv_head = 2,
                          .head_dim = 6,
                          .n_mlp = 20,
                          .n_vocab = V,
                          .n_vocab_padded = 16,
                          .seq_len = T,
                          .norm_eps = 0x1p-23,
                          .rope_base = 10000,
                          .softcap = 15};
    struct model m;
    struct tensor *g;
    assert_null(model_open(&m, dev, &shape, &arena));
    fill(&m);
    assert_null(model_reserve(&m, B, T, true));
    assert_null(model_gradients(&m, &g));
    const int32_t inputs[N] = {1, 7, 7, 0, 10, 3, 2, 9, 4, 1}, targets[N] = {7, 7, -1, 10, 5, 2, 9, 4, 1, -1};
    const float weights[N] = {0.5f, 1, 0, -0.25f, 0.125f, 1, 0.75f, 0.5f, 2, 1};
    struct batch batch = {B, T, inputs, targets, weights};
    model_loss(&m, batch, g);
    int checked = 0;
    for (int i = 0; i < m.n_params; i++) {
        int64_t n = m.params[i].rows * m.params[i].cols;
        for (int64_t j = i % 3; j < n; j += 1 + n / 24) {
            const double h = 1e-4;
            double value, slope = 0, got;
            device_get_f64(dev, &value, m.params[i].w.master, j, 1);
            // Two central differences, extrapolated: error of order h^4.
            static const double factor[2] = {4.0 / 3, -1.0 / 3};
            for (int k = 0; k < 2; k++) {
                double up = value + h * (k + 1), down = value - h * (k + 1);
                device_put_f64(dev, m.params[i].w.master, j, 1, &up);
                double above = weighted_loss(&m, batch);
                device_put_f64(dev, m.params[i].w.master, j, 1, &down);
                slope += factor[k] * (above - weighted_loss(&m, batch)) / (2 * h * (k + 1));
            }
            device_put_f64(dev, m.params[i].w.master, j, 1, &value);
            device_get_f64(dev, &got, g[i], j, 1);
            if (fabs(got - slope) > 1e-6 * fmax(fabs(slope), 1e-2))
                fail_msg("%s[%lld]: %.12g, finite differences give %.12g", m.params[i].name, (long long)j, got, slope);
            checked++;
        }
    }
    assert_true(checked > 200);
    assert_int_equal(device_fault(dev).kind, FAULT_NONE);
    device_close(dev);
    arena_release(&arena);
}

// At the initial weights all logits are 0: the loss is ln V and only lm_head has a gradient.
static void initial_loss(void **state)
{
    (void)state;
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_CPU, 2, &fault);
    device_set_alone(dev, 0);
    struct shape shape;
    struct model m;
    struct tensor *g;
    assert_null(shape_from_depth(&shape, 2, 65, 16));
    assert_null(model_open(&m, dev, &shape, &arena));
    model_init_weights(&m, 42);
    assert_null(model_reserve(&m, 1, 16, true));
    assert_null(model_gradients(&m, &g));
    int32_t ids[16];
    float weights[16];
    double losses[16];
    for (int i = 0; i < 16; i++) {
        ids[i] = i * 4;
        weights[i] = 1;
    }
    struct batch batch = {1, 16, ids, ids, weights};
    model_loss(&m, batch, g);
    model_losses(&m, batch, losses);
    for (int i = 0; i < 16; i++)
        assert_true(fabs(losses[i] - log(65)) < 1e-6);
    for (int i = 0; i < m.n_params; i++) {
        int64_t n = g[i].rows * g[i].cols;
        float *v = block_alloc((size_t)n * sizeof *v);
        double sum = 0;
        device_get(dev, v, g[i], 0, n);
        for (int64_t j = 0; j < n; j++)
            sum += fabs(v[j]);
        block_free(v);
        assert_true(i == m.lm_head ? sum > 0 : sum == 0);
    }
    // The distribution of the weights: mean 0 and the stated deviation.
    struct param *fc = &m.params[m.layers[0].fc];
    int64_t n = fc->rows * fc->cols;
    float *v = block_alloc((size_t)n * sizeof *v);
    double sum = 0, squares = 0;
    device_get(dev, v, fc->w.master, 0, n);
    for (int64_t j = 0; j < n; j++) {
        sum += v[j];
        squares += (double)v[j] * v[j];
    }
    block_free(v);
    double std = 1 / sqrt(128);
    assert_true(fabs(sum / (double)n) < 4 * std / sqrt((double)n));
    assert_true(fabs(squares / (double)n / (std * std) - 1) < 4 * sqrt(2.0 / (double)n));
    device_close(dev);
    arena_release(&arena);
}

static void shapes(void **state)
{
    (void)state;
    static const struct {
        int depth;
        int64_t params;
        double flops;
    } known[] = {{4, 36700160, 1.447e8},        {8, 92274688, 4.530e8},       {12, 185597952, 1.038e9},
                 {16, 335544320, 2.013e9},      {20, 560988160, 3.491758e9},  {26, 1081999360, 6.900941e9},
                 {30, 1578762240, 1.013318e10}, {32, 1879048192, 1.207960e10}};
    struct shape s;
    for (size_t i = 0; i < countof(known); i++) {
        assert_null(shape_from_depth(&s, known[i].depth, 65536, 2048));
        assert_true(shape_params(&s) == known[i].params);
        assert_true(fabs(shape_flops_per_token(&s) / known[i].flops - 1) < 5e-4);
    }
    static const int odd_that_work[] = {1, 3, 7, 15, 31, 63}, odd_that_fail[] = {5, 9, 11};
    for (size_t i = 0; i < countof(odd_that_work); i++)
        assert_null(shape_from_depth(&s, odd_that_work[i], 65536, 2048));
    for (size_t i = 0; i < countof(odd_that_fail); i++) {
        struct error *e = shape_from_depth(&s, odd_that_fail[i], 65536, 2048);
        assert_non_null(e);
        error_free(e);
    }
}

static void assert_refused(const struct shape *s, const char *what)
{
    struct error *e = shape_check(s);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    assert_non_null(strstr(e->what, what));
    assert_non_null(e->fix);
    error_free(e);
}

// Every size for itself within its bounds, and more in all than can be counted; or any number at all.
static void extreme_shapes(struct shape s)
{
    static const int depths[] = {0, -1, INT_MIN, INT_MAX, SHAPE_DEPTH_MAX + 1};
    struct shape unused;
    for (size_t i = 0; i < countof(depths); i++) {
        struct error *e = shape_from_depth(&unused, depths[i], 512, 1024);
        assert_non_null(e);
        assert_non_null(strstr(e->what, "outside 1 to 1000"));
        error_free(e);
    }
    s.n_head = s.n_kv_head = 1 << 16;
    s.head_dim = 1 << 16;
    assert_refused(&s, "65536 heads of 65536 are 4294967296 wide");
    s.head_dim = 64;
    s.n_layer = SHAPE_DEPTH_MAX;
    s.n_embd = 1 << 20;
    s.n_mlp = SHAPE_WIDTH_MAX;
    s.n_vocab = 1 << 24;
    s.n_vocab_padded = 1 << 25;
    assert_refused(&s, "more than 10^15 parameters");
    s.n_layer = 20;
    s.n_vocab_padded = s.n_vocab;
    assert_null(shape_check(&s));
    assert_true(shape_params(&s) == 2 * ((int64_t)1 << 44) + 20 * (4 * ((int64_t)1 << 42) + 2 * ((int64_t)1 << 42)));
    s.n_layer = s.n_embd = s.n_head = s.n_kv_head = s.head_dim = s.n_mlp = s.n_vocab = s.n_vocab_padded = INT_MAX;
    assert_true(shape_params(&s) == INT64_MAX);
    assert_true(isfinite(shape_flops_per_token(&s)));
}

// A file can say what it likes: what is beyond bounds or memory is an error before any work is done on it.
static void shapes_beyond_the_machine(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct fault fault;
    struct shape s;
    struct model m;
    assert_null(shape_from_depth(&s, 2, 512, SHAPE_SEQ_LEN_MAX + 1));
    struct error *e = shape_check(&s);
    assert_int_equal(e->kind, ERROR_DATA);
    assert_non_null(strstr(e->what, "seq_len of the model is 1048577"));
    error_free(e);
    s.seq_len = SHAPE_SEQ_LEN_MAX;
    extreme_shapes(s);
    s.n_head = s.n_kv_head = 1;
    s.head_dim = 1 << 16;
    struct device *dev = device_open(DEVICE_CPU, 1, &fault);
    assert_non_null(dev);
    e = model_open(&m, dev, &s, &arena);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_MACHINE);
    error_free(e);
    device_close(dev);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(backward_is_the_derivative), cmocka_unit_test(initial_loss),
                                       cmocka_unit_test(shapes), cmocka_unit_test(shapes_beyond_the_machine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
