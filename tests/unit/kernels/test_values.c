// The reference held to numbers computed elsewhere: constants of the reference, steps done by hand, attention written naively.
#include "tests/unit/kernels/check.h"

static struct tensor put(struct device *dev, int64_t rows, int64_t cols, const double *v)
{
    struct tensor t = device_tensor(dev, rows, cols);
    device_put_f64(dev, t, 0, rows * cols, v);
    return t;
}

static double at(struct device *dev, struct tensor t, int64_t i)
{
    double v;
    device_get_f64(dev, &v, t, i, 1);
    return v;
}

static void assert_near(double got, double want, double limit)
{
    if (!(fabs(got - want) <= limit))
        fail_msg("%.12g, not %.12g", got, want);
}

static void test_newton_schulz(void **state)
{
    (void)state;
    static const double want[] = {-0.568290, 0.057742, 0.683774, 0.563355, 0.405613, 0.247871};
    struct device *dev = open_device(DEVICE_REF, 1);
    struct tensor wide = put(dev, 2, 3, (double[]){1, 2, 3, 4, 5, 6}), tall = put(dev, 3, 2, (double[]){1, 4, 2, 5, 3, 6});
    op_newton_schulz(dev, wide, &newton_schulz_2025);
    op_newton_schulz(dev, tall, &newton_schulz_2025);
    for (int i = 0; i < 6; i++) {
        assert_near(at(dev, wide, i), want[i], 5.1e-7);
        assert_near(at(dev, tall, i % 3 * 2 + i / 3), want[i], 5.1e-7);
    }
    assert_no_fault(dev);
    device_close(dev);
}

// Of diag(s, rest) with s^2 + rest^2 = 1 the norm is 1, so s goes through the scalar map, but for the 1e-7 beside the norm.
static void test_singular_values(void **state)
{
    (void)state;
    static const double map[][2] = {{1, 0.696436}, {0.1, 0.712120}, {0.01, 0.698917}, {0.001, 0.470544}};
    struct device *dev = open_device(DEVICE_REF, 1);
    for (size_t i = 0; i < countof(map); i++) {
        struct tensor x = put(dev, 2, 2, (double[]){map[i][0], 0, 0, sqrt(1 - map[i][0] * map[i][0])});
        op_newton_schulz(dev, x, &newton_schulz_2025);
        assert_near(at(dev, x, 0), map[i][1], 1e-6);
        assert_near(at(dev, x, 1), 0, 1e-12);
    }
    device_close(dev);
}

// The same of the polar express, which first stretches: the scalar map is its five polynomials, one after the other.
static void test_polar_express(void **state)
{
    (void)state;
    static const double values[] = {1, 0.5, 0.1, 0.01};
    struct device *dev = open_device(DEVICE_REF, 1);
    for (size_t i = 0; i < countof(values); i++) {
        double s = values[i] / (1.01 + 1e-6);
        for (int k = 0; k < NEWTON_SCHULZ_STEPS; k++) {
            const double *c = polar_express.steps[k];
            s = c[0] * s + c[1] * s * s * s + c[2] * s * s * s * s * s;
        }
        struct tensor x = put(dev, 2, 2, (double[]){values[i], 0, 0, sqrt(1 - values[i] * values[i])});
        op_newton_schulz(dev, x, &polar_express);
        assert_near(at(dev, x, 0), s, 1e-12);
        assert_near(s, 1, 0.15); // what it is for
    }
    device_close(dev);
}

// A rotation by minus the angle: (1, 0) at angle theta goes to (cos, -sin). The norm makes of (3, 4) (3, 4) / sqrt(12.5).
static void test_rotary(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_REF, 1);
    double inv_freq = pow(10000, -2.0 / 128), angle = inv_freq;
    assert_near(inv_freq, 0.8659644, 1e-7);
    struct tensor cosine = put(dev, 2, 1, (double[]){1, cos(angle)}), sine = put(dev, 2, 1, (double[]){0, sin(angle)});
    struct tensor ids = device_ids(dev, 3, 1), y = device_tensor(dev, 3, 2), r = device_tensor(dev, 3, 1);
    device_put_ids(dev, ids, 0, 3, (const int32_t[]){0, 1, 1});
    op_rotary_norm(dev, y, r, put(dev, 3, 2, (double[]){3, 4, 1, 0, 0, 1}), cosine, sine, ids, 1, 0, 1);
    double root = sqrt(2); // the norm of a unit vector of two: each element times sqrt(2)
    const double want[] = {3 / sqrt(12.5),     4 / sqrt(12.5),    root * cos(angle),
                           -root * sin(angle), root * sin(angle), root * cos(angle)};
    for (int i = 0; i < 6; i++)
        assert_near(at(dev, y, i), want[i], 1e-12);
    device_close(dev);
}

static void test_soft_cap(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_REF, 1);
    struct weight w = {.master = put(dev, 3, 1, (double[]){3, 10, 20})};
    struct tensor x = put(dev, 1, 1, (double[]){1}), l = device_tensor(dev, 1, 3);
    op_logits(dev, l, x, &w, 3, 15);
    assert_near(at(dev, l, 0), 2.960630, 5.1e-7);
    assert_near(at(dev, l, 1), 8.741744, 5.1e-7);
    assert_near(at(dev, l, 2), 13.050925, 5.1e-7);
    device_close(dev);
}

// All logits 0: the loss is ln V, the gradient of row v is softmax minus one-hot, times x.
static void test_uniform_loss(void **state)
{
    (void)state;
    enum { V = 300, C = 2 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct weight w = {.master = device_tensor(dev, V, C)};
    struct tensor x = put(dev, 1, C, (double[]){2, -1}), dx = device_tensor(dev, 1, C), dw = device_tensor(dev, V, C);
    struct tensor losses = device_tensor(dev, 1, 1), target = device_ids(dev, 1, 1);
    device_put_ids(dev, target, 0, 1, &(int32_t){7});
    op_loss(dev, losses, dx, dw, x, &w, target, put(dev, 1, 1, (double[]){0.5}), V, 15, 1);
    assert_near(at(dev, losses, 0), log(V), 1e-12);
    assert_near(at(dev, dw, 0), 0.5 * 2 / V, 1e-12);
    assert_near(at(dev, dw, 7 * C), 0.5 * 2 * (1.0 / V - 1), 1e-12);
    assert_near(at(dev, dw, 7 * C + 1), -0.5 * (1.0 / V - 1), 1e-12);
    assert_near(at(dev, dx, 0), 0, 1e-12);
    device_close(dev);
}

// The first step from zero moments: m / (1 - b1) = g and v / (1 - b2) = g^2, so p moves by lr * g / (|g| + eps).
static void test_adamw(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_REF, 1);
    struct tensor p = put(dev, 1, 2, (double[]){1, -2}), m = device_tensor(dev, 1, 2), v = device_tensor(dev, 1, 2);
    struct tensor g = put(dev, 1, 2, (double[]){0.25, -4});
    struct adamw a = {.lr = 0.2, .beta1 = 0.8, .beta2 = 0.95, .eps = 0.5, .weight_decay = 0.1};
    device_set_step(dev, 0, 0.5, 0.9);
    op_adamw(dev, p, m, v, g, a);
    assert_near(at(dev, p, 0), 1 * (1 - 0.1 * 0.1) - 0.1 * 0.25 / (0.25 + 0.5), 1e-12);
    assert_near(at(dev, p, 1), -2 * (1 - 0.1 * 0.1) + 0.1 * 4 / (4 + 0.5), 1e-12);
    // The second step, by the formula, with a gradient of the same size.
    device_set_step(dev, 1, 1, 0.9);
    double before = at(dev, p, 0), m2 = 0.8 * 0.05 + 0.2 * 0.25, v2 = 0.95 * 0.003125 + 0.05 * 0.0625;
    op_adamw(dev, p, m, v, g, a);
    assert_near(at(dev, m, 0), m2, 1e-15);
    assert_near(at(dev, v, 0), v2, 1e-15);
    assert_near(at(dev, p, 0), before * (1 - 0.02) - 0.2 / 0.36 * m2 / (sqrt(v2 / 0.0975) + 0.5), 1e-12);
    device_close(dev);
}

// One element: u = lerp(g, buf, mu) has NS5(u) = the map of 1, and rows / cols = 1.
static void test_muon(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_REF, 1);
    struct tensor p = put(dev, 1, 1, (double[]){3}), buf = put(dev, 1, 1, (double[]){2}), g = put(dev, 1, 1, (double[]){-40});
    device_set_step(dev, 0, 0.5, 0.9);
    op_muon(dev, &(struct muon_matrix){.p = p, .momentum = buf, .g = g}, 1,
            (struct muon){.lr = 0.02, .iteration = &newton_schulz_2025});
    assert_near(at(dev, buf, 0), 0.9 * 2 + 0.1 * -40, 1e-12);
    assert_near(at(dev, p, 0), 3 + 0.02 * 0.5 * 0.696436, 2e-8); // u = 0.9 * -2.2 + 0.1 * -40 is negative
    // A tall matrix steps sqrt(rows / cols) further.
    struct tensor tall = device_tensor(dev, 4, 1), tall_buf = device_tensor(dev, 4, 1);
    struct tensor tall_g = put(dev, 4, 1, (double[]){1, 0, 0, 0});
    op_muon(dev, &(struct muon_matrix){.p = tall, .momentum = tall_buf, .g = tall_g}, 1,
            (struct muon){.lr = 0.02, .iteration = &newton_schulz_2025});
    assert_near(at(dev, tall, 0), -0.02 * 0.5 * 2 * 0.696436, 2e-8);
    device_close(dev);
}

// A matrix that is orthogonal already, up to its size, with everything on: u is its sign pattern and stays so, each line has the same
// norm, and only the parameter that the update shrinks decays.
static void test_muon_with_all(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_REF, 1);
    struct tensor p = put(dev, 2, 2, (double[]){3, -1, 0.5, 2}), buf = device_tensor(dev, 2, 2),
                  variance = device_tensor(dev, 2, 1);
    struct tensor g = put(dev, 2, 2, (double[]){1, 1, 1, -1});
    struct muon muon = {
        .lr = 0.02, .weight_decay = 0.4, .iteration = &polar_express, .even_rows = true, .fixed_norm = true, .beta2 = 0.9};
    device_set_step(dev, 0, 0.5, 0.9);
    device_set_decay(dev, 0.25);
    op_muon(dev, &(struct muon_matrix){.p = p, .momentum = buf, .g = g, .variance = variance}, 1, muon);
    double u = sqrt(0.5), rate = 0.01; // |u| = sqrt(2)
    assert_near(at(dev, p, 0), 3 - rate * (u + 0.1 * 3), 1e-12);
    assert_near(at(dev, p, 1), -1 - rate * u, 1e-12);
    assert_near(at(dev, p, 2), 0.5 - rate * (u + 0.1 * 0.5), 1e-12);
    assert_near(at(dev, p, 3), 2 + rate * u, 1e-12);
    assert_near(at(dev, variance, 0), 0.1 * 0.5, 1e-12);
    device_close(dev);
}

static void test_clip(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_REF, 1);
    struct tensor g[2] = {put(dev, 1, 2, (double[]){3, 0}), put(dev, 2, 1, (double[]){0, 4})};
    struct tensor p = device_tensor(dev, 1, 2), m = device_tensor(dev, 1, 2), v = device_tensor(dev, 1, 2);
    struct adamw a = {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.5, .eps = 1e-10};
    device_set_step(dev, 0, 1, 0);
    op_clip(dev, g, 2, 0);
    assert_near(device_grad_norm(dev), 5, 1e-12);
    op_adamw(dev, p, m, v, g[0], a);
    assert_near(at(dev, m, 0), 1.5, 1e-12); // measured only
    op_clip(dev, g, 2, 1);
    op_adamw(dev, p, m, v, g[0], a);
    assert_near(at(dev, m, 0), 0.75 + 0.5 * 3 / (5 + 1e-6), 1e-12);
    op_clip(dev, g, 2, 100);
    op_adamw(dev, p, m, v, g[0], a);
    assert_near(at(dev, m, 0), (0.75 + 0.5 * 3 / (5 + 1e-6)) / 2 + 1.5, 1e-12); // small enough: untouched
    device_set_step(dev, 0, 1, 0);
    assert_true(device_grad_norm(dev) == 0);
    device_close(dev);
}

// Attention with a matrix of weights, masked and normalised as the formula says.
static void naive_attention(struct attention a)
{
    struct device *dev = open_device(DEVICE_REF, 1);
    int D = a.head_dim, C = a.n_head * D, K = a.n_kv_head * D, T = a.T, N = a.B * T;
    struct tensor q = filled(dev, N, C, 1, 1), k = filled(dev, N, K, 2, 1), v = filled(dev, N, K, 3, 1);
    struct tensor o = device_tensor(dev, N, C), lse = device_tensor(dev, N, a.n_head);
    op_attention(dev, o, lse, q, k, v, a);
    assert_no_fault(dev);
    double *qs = values_of(dev, q), *ks = values_of(dev, k), *vs = values_of(dev, v);
    for (int b = 0; b < a.B; b++)
        for (int h = 0; h < a.n_head; h++)
            for (int t = 0; t < T; t++) {
                double weight[64], sum = 0;
                int kv = h / (a.n_head / a.n_kv_head);
                for (int u = 0; u < T; u++) {
                    double score = 0;
                    for (int i = 0; i < D; i++)
                        score += qs[(b * T + t) * C + h * D + i] * ks[(b * T + u) * K + kv * D + i];
                    bool is_visible = u <= t && (!a.window || u >= t - a.window);
                    sum += weight[u] = is_visible ? exp(score / sqrt(D)) : 0;
                }
                assert_near(at(dev, lse, (b * T + t) * a.n_head + h), log(sum), 1e-12);
                for (int i = 0; i < D; i++) {
                    double mean = 0;
                    for (int u = 0; u < T; u++)
                        mean += weight[u] / sum * vs[(b * T + u) * K + kv * D + i];
                    assert_near(at(dev, o, (b * T + t) * C + h * D + i), mean, 1e-12);
                }
            }
    free(qs);
    free(ks);
    free(vs);
    device_close(dev);
}

static void test_attention(void **state)
{
    (void)state;
    naive_attention((struct attention){.B = 2, .T = 9, .n_head = 2, .n_kv_head = 2, .head_dim = 4});
    naive_attention((struct attention){.B = 2, .T = 11, .n_head = 6, .n_kv_head = 2, .head_dim = 3, .window = 3});
    naive_attention((struct attention){.B = 1, .T = 1, .n_head = 1, .n_kv_head = 1, .head_dim = 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newton_schulz), cmocka_unit_test(test_singular_values),
        cmocka_unit_test(test_polar_express), cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_soft_cap),      cmocka_unit_test(test_uniform_loss),
        cmocka_unit_test(test_adamw),         cmocka_unit_test(test_muon),
        cmocka_unit_test(test_muon_with_all), cmocka_unit_test(test_clip),
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
