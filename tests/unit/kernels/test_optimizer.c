// Clipping, AdamW, Muon and Newton-Schulz: cpu held to ref over a few steps.
#include "tests/unit/kernels/check.h"

static void adamw(struct device *dev, const int *size, struct outputs *out)
{
    int R = size[0], C = size[1];
    struct tensor p = filled(dev, R, C, 1, 1), m = device_tensor(dev, R, C), v = device_tensor(dev, R, C);
    struct tensor g = device_tensor(dev, R, C);
    struct adamw a = {.lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10, .weight_decay = 0.1};
    for (int step = 0; step < 4; step++) {
        fill(dev, g, 10 + (uint64_t)step, 0.1);
        device_set_step(dev, step, 1 - 0.1 * step, 0.9);
        op_clip(dev, &g, 1, 1.0);
        op_adamw(dev, p, m, v, g, a);
    }
    keep(out, dev, "p", p, BOUND_TENSOR, 1e-6);
    keep(out, dev, "m", m, BOUND_TENSOR, 1e-6);
    keep(out, dev, "v", v, BOUND_ELEMENT, 1e-5);
}

static void test_adamw(void **state)
{
    (void)state;
    hold(adamw, {0, 5});
    hold(adamw, {1, 1});
    hold(adamw, {3, 17});
    hold(adamw, {300, 64});
}

static void clip(struct device *dev, const int *size, struct outputs *out)
{
    struct tensor g[3] = {filled(dev, size[0], size[1], 1, 0.5), filled(dev, 0, 3, 2, 1), filled(dev, 7, 9, 3, 2)};
    device_set_step(dev, 0, 1, 0.9);
    op_clip(dev, g, 3, 0.25);
    double norm = device_grad_norm(dev);
    struct tensor measured = device_tensor(dev, 1, 2);
    device_put_f64(dev, measured, 0, 1, &norm);
    op_clip(dev, g, 0, 1.0);
    assert_true(device_grad_norm(dev) == 0);
    keep(out, dev, "norm", measured, BOUND_ELEMENT, 1e-6);
}

static void test_clip(void **state)
{
    (void)state;
    hold(clip, {1, 1});
    hold(clip, {33, 65});
    hold(clip, {300, 300});
}

static const struct muon muon_2025 = {.lr = 0.02, .iteration = &newton_schulz_2025};
static const struct muon muon_2026 = {
    .lr = 0.02, .weight_decay = 0.28, .iteration = &polar_express, .even_rows = true, .fixed_norm = true, .beta2 = 0.9};

static void newton_schulz(struct device *dev, const int *size, struct outputs *out)
{
    struct tensor x = filled(dev, size[0], size[1], 1, 0.01), polar = filled(dev, size[0], size[1], 1, 0.01);
    op_newton_schulz(dev, x, &newton_schulz_2025);
    op_newton_schulz(dev, polar, &polar_express);
    keep(out, dev, "x", x, BOUND_TENSOR, 2e-5);
    keep(out, dev, "polar", polar, BOUND_TENSOR, 2e-5);
}

// Of x = U S V^T the singular values of float32 noise would be blown up: full rank is what the inputs here have.
static void test_newton_schulz(void **state)
{
    (void)state;
    hold(newton_schulz, {1, 1});
    hold(newton_schulz, {1, 40});
    hold(newton_schulz, {40, 1});
    hold(newton_schulz, {17, 64});
    hold(newton_schulz, {64, 17});
    hold(newton_schulz, {128, 300});
}

static void muon_of(struct device *dev, const int *size, struct muon muon, struct outputs *out)
{
    int R = size[0], C = size[1];
    struct muon_matrix m[3];
    for (int i = 0; i < 3; i++)
        m[i] = (struct muon_matrix){.p = filled(dev, R, C, 1 + (uint64_t)i, 1),
                                    .momentum = device_tensor(dev, R, C),
                                    .g = device_tensor(dev, R, C),
                                    .variance = device_tensor(dev, R >= C ? R : 1, R >= C ? 1 : C)};
    for (int step = 0; step < 2; step++) {
        struct tensor g[3] = {m[0].g, m[1].g, m[2].g};
        for (int i = 0; i < 3; i++)
            fill(dev, g[i], 10 * (uint64_t)(step + 1) + (uint64_t)i, 1);
        device_set_step(dev, step, 0.5, 0.85);
        device_set_decay(dev, 0.75);
        op_clip(dev, g, 3, 1.0);
        op_muon(dev, m, 3, muon);
    }
    keep(out, dev, "p 0", m[0].p, BOUND_TENSOR, 1e-6);
    keep(out, dev, "p 2", m[2].p, BOUND_TENSOR, 1e-6);
    keep(out, dev, "momentum", m[1].momentum, BOUND_TENSOR, 1e-6);
    if (muon.beta2 > 0)
        keep(out, dev, "variance", m[1].variance, BOUND_TENSOR, 2e-5);
}

static void muon(struct device *dev, const int *size, struct outputs *out)
{
    muon_of(dev, size, muon_2025, out);
}

static void muon_with_all(struct device *dev, const int *size, struct outputs *out)
{
    muon_of(dev, size, muon_2026, out);
}

static void test_muon(void **state)
{
    (void)state;
    hold(muon, {1, 1});
    hold(muon, {20, 70});
    hold(muon, {70, 20});
    hold(muon, {96, 24});
    hold(muon_with_all, {1, 1});
    hold(muon_with_all, {2, 12});
    hold(muon_with_all, {20, 70});
    hold(muon_with_all, {70, 20});
    hold(muon_with_all, {64, 64});
    hold(muon_with_all, {130, 200});
}

// A zero gradient is a zero update, not a NaN; and without decay the weights keep their bits.
static void test_zero_gradient(void **state)
{
    (void)state;
    for (int i = -1; i < (int)countof(isas); i++) {
        struct device *dev = i < 0 ? open_device(DEVICE_REF, 1) : open_isa(isas[i], 2);
        if (!dev)
            continue;
        const char *name = device_isa(dev);
        struct tensor zero = device_tensor(dev, 33, 20), m = device_tensor(dev, 33, 20), v = device_tensor(dev, 33, 20);
        struct tensor p = filled(dev, 33, 20, 1, 1), before = filled(dev, 33, 20, 1, 1);
        device_set_step(dev, 0, 1, 0.95);
        op_clip(dev, &zero, 1, 1.0);
        assert_true(device_grad_norm(dev) == 0);
        op_adamw(dev, p, m, v, zero, (struct adamw){.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10});
        assert_same_bits("AdamW's weights after a zero gradient", name, p, before);
        struct muon without_decay = muon_2026;
        without_decay.weight_decay = 0;
        struct muon_matrix matrix = {.p = p, .momentum = m, .g = zero, .variance = device_tensor(dev, 33, 1)};
        op_muon(dev, &matrix, 1, muon_2025);
        op_muon(dev, &matrix, 1, without_decay);
        assert_same_bits("Muon's weights after a zero gradient", name, p, before);
        assert_no_fault(dev);
        device_close(dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adamw), cmocka_unit_test(test_clip),          cmocka_unit_test(test_newton_schulz),
        cmocka_unit_test(test_muon),  cmocka_unit_test(test_zero_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
