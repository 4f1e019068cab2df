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
            if (i == m->resid_lambdas)
                value += 1; // else the stream is small, and the norm behind it steep
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

static struct shape plain_shape(void)
{
    return (struct shape){.n_layer = 2,
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
}

// Holds so many elements of each gradient to differences of the loss.
static void check_shape(struct shape shape, const char *name)
{
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_REF, 1, &fault);
    assert_non_null(dev);
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
        for (int64_t j = n > 3 ? i % 3 : 0; j < n; j += 1 + n / 24) {
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
                fail_msg("%s: %s[%lld]: %.12g, finite differences give %.12g", name, m.params[i].name, (long long)j, got, slope);
            checked++;
        }
    }
    assert_true(checked > 100);
    assert_int_equal(device_fault(dev).kind, FAULT_NONE);
    device_close(dev);
    arena_release(&arena);
}

static void backward_is_the_derivative(void **state)
{
    (void)state;
    check_shape(plain_shape(), "2025");
}

static void switch_qk_scale(struct shape *s)
{
    s->qk_scale = 1.2;
}

static void switch_windows(struct shape *s)
{
    s->window_short = 2;
    s->window_pattern = 3; // every layer is short, but the last is not
}

static void switch_values(struct shape *s)
{
    s->value_embeds = 3;
    s->value_gate_channels = 5;
}

static void switch_lambdas(struct shape *s)
{
    s->residual_lambdas = 1;
}

static void switch_smear(struct shape *s)
{
    s->smear_channels = 7;
}

static void switch_backout(struct shape *s)
{
    s->backout = 1;
}

static void switch_backout_at_the_end(struct shape *s)
{
    s->backout = s->n_layer;
}

// Each switch of 2026 alone and all at once, with one, two and three layers.
static void backward_with_switches(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*on)(struct shape *s);
    } switches[] = {{"qk_scale", switch_qk_scale},
                    {"windows", switch_windows},
                    {"value_embeds", switch_values},
                    {"lambdas", switch_lambdas},
                    {"smear", switch_smear},
                    {"backout", switch_backout},
                    {"late backout", switch_backout_at_the_end}};
    for (size_t i = 0; i < countof(switches); i++) {
        struct shape s = plain_shape();
        switches[i].on(&s);
        check_shape(s, switches[i].name);
    }
    for (int n_layer = 1; n_layer <= 3; n_layer++) {
        struct shape s = plain_shape();
        s.n_layer = n_layer;
        for (size_t i = 0; i + 1 < countof(switches); i++)
            switches[i].on(&s);
        check_shape(s, "all switches");
    }
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

// What the initial weights of 2026 are: each tensor's least and largest value and its deviation.
static void initial_weights_2026(void **state)
{
    (void)state;
    enum { DEPTH = 3, WIDTH = 192, VOCAB = 500 };
    static const double bound = 0.125; // sqrt(3 / WIDTH)
    static const struct {
        const char *name;
        double low, high, std; // low == high: all are that; std 0: of a uniform distribution
    } known[] = {{"transformer.wte", -8, 8, 0.8},
                 {"lm_head", -0.01, 0.01, 0.001},
                 {"transformer.h.1.attn.c_q", -bound, bound, 0},
                 {"transformer.h.1.attn.c_k", -bound, bound, 0},
                 {"transformer.h.1.attn.c_v", -bound, bound, 0},
                 {"transformer.h.1.attn.c_proj", 0, 0, 0},
                 {"transformer.h.1.mlp.c_fc", -0.4 * bound, 0.4 * bound, 0},
                 {"transformer.h.1.mlp.c_proj", 0, 0, 0},
                 {"transformer.h.2.attn.ve_gate", 0, 0.02, 0},
                 {"value_embeds.0", -bound, bound, 0},
                 {"value_embeds.2", -bound, bound, 0},
                 {"smear_gate", 0, 0.02, 0},
                 {"smear_lambda", 0, 0, 0},
                 {"backout_lambda", 0.2, 0.2, 0}};
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_CPU, 2, &fault);
    struct shape shape;
    struct model m;
    assert_null(shape_from_depth_2026(&shape, DEPTH, SHAPE_ASPECT_2026, 32, VOCAB, 64));
    assert_int_equal(shape.n_embd, WIDTH);
    assert_null(model_open(&m, dev, &shape, &arena));
    model_init_weights_2026(&m, 42);
    int n_known = 0;
    for (int i = 0; i < m.n_params; i++) {
        int64_t n = m.params[i].rows * m.params[i].cols;
        float *v = block_alloc((size_t)n * sizeof *v);
        device_get(dev, v, m.params[i].w.master, 0, n);
        for (size_t k = 0; k < countof(known); k++) {
            if (strcmp(known[k].name, m.params[i].name) != 0)
                continue;
            n_known++;
            double sum = 0, squares = 0, width = known[k].high - known[k].low;
            for (int64_t j = 0; j < n; j++) {
                assert_true((double)v[j] >= known[k].low - 1e-8 && (double)v[j] <= known[k].high + 1e-8);
                double from = (double)v[j] - (known[k].low + known[k].high) / 2;
                sum += from;
                squares += from * from;
            }
            if (n < 100 || width == 0)
                continue;
            double std = known[k].std > 0 ? known[k].std : width / sqrt(12);
            assert_true(fabs(sum / (double)n) < 4 * std / sqrt((double)n));
            assert_true(fabs(squares / (double)n / (std * std) - 1) < 4 * sqrt(2.0 / (double)n));
        }
        static const double resid[] = {1.15, 1.10, 1.05}, x0[] = {0.20, 0.125, 0.05};
        for (int l = 0; l < DEPTH && (i == m.resid_lambdas || i == m.x0_lambdas); l++)
            assert_true(fabs((double)v[l] - (i == m.x0_lambdas ? x0 : resid)[l]) < 1e-7);
        block_free(v);
    }
    assert_int_equal(n_known, countof(known));
    device_close(dev);
    arena_release(&arena);
}

// Switches of a file that do not fit the model, or each other.
static void impossible_switches(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        int value;
        const char *what;
    } cases[] = {
        {offsetof(struct shape, window_short), -1, "window_short of the model is -1"},
        {offsetof(struct shape, window_short), 128, "window_pattern of the model is 0, outside 2 to"},
        {offsetof(struct shape, window_pattern), 3, "window_pattern of the model is 3, outside 0 to 0"},
        {offsetof(struct shape, value_embeds), 3, "value_gate_channels of the model is 0, outside 1 to 12"},
        {offsetof(struct shape, value_gate_channels), 3, "value_gate_channels of the model is 3, outside 0 to 0"},
        {offsetof(struct shape, residual_lambdas), 2, "residual_lambdas of the model is 2"},
        {offsetof(struct shape, smear_channels), 13, "smear_channels of the model is 13, outside 0 to 12"},
        {offsetof(struct shape, backout), 3, "backout of the model is 3, outside 0 to 2"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct shape s = plain_shape();
        *(int *)((char *)&s + cases[i].offset) = cases[i].value;
        struct error *e = shape_check(&s);
        assert_non_null(e);
        assert_int_equal(e->kind, ERROR_DATA);
        if (!strstr(e->what, cases[i].what))
            fail_msg("'%s' does not say '%s'", e->what, cases[i].what);
        error_free(e);
    }
    static const double scales[] = {-1, NAN, INFINITY};
    for (size_t i = 0; i < countof(scales); i++) {
        struct shape s = plain_shape();
        s.qk_scale = scales[i];
        struct error *e = shape_check(&s);
        assert_non_null(strstr(e->what, "qk_scale of the model is"));
        error_free(e);
    }
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backward_is_the_derivative), cmocka_unit_test(backward_with_switches), cmocka_unit_test(initial_loss),
        cmocka_unit_test(initial_weights_2026),       cmocka_unit_test(impossible_switches),    cmocka_unit_test(shapes),
        cmocka_unit_test(shapes_beyond_the_machine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
