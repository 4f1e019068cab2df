// Every backward operation of the reference against central differences of its forward operation.
//
// The objective is sum_i c[i] * y[i] with fixed random c, which is then the dy that goes into the backward operation.
#include "tests/unit/kernels/check.h"

static const double step = 1e-5, tolerance = 1e-6; // relative to the gradient's largest element

struct problem {
    struct device *dev;
    struct tensor x[4], y, saved, c; // inputs that may move, output, what forward saves, weights of the objective
    struct tensor cosine, sine, ids, targets, weights, absent;
    struct attention a;
    int n_head, T;
    float cap, sign;
};

typedef void (*forward)(struct problem *p);

static double objective(struct problem *p, forward run)
{
    run(p);
    double *y = values_of(p->dev, p->y), *c = values_of(p->dev, p->c), sum = 0;
    for (int64_t i = 0; i < p->y.rows * p->y.cols; i++)
        sum += c[i] * y[i];
    free(y);
    free(c);
    return sum;
}

// `seeded` is what dx held before the backward operation: nonzero where that one accumulates.
static void check_gradient(const char *name, struct problem *p, forward run, struct tensor x, struct tensor dx, double seeded)
{
    double *got = values_of(p->dev, dx), *want = values_of(p->dev, dx);
    for (int64_t i = 0; i < x.rows * x.cols; i++) {
        double at, moved;
        device_get_f64(p->dev, &at, tensor_rows(x, 0, x.rows), i, 1);
        moved = at + step;
        device_put_f64(p->dev, x, i, 1, &moved);
        double up = objective(p, run);
        moved = at - step;
        device_put_f64(p->dev, x, i, 1, &moved);
        want[i] = (up - objective(p, run)) / (2 * step);
        device_put_f64(p->dev, x, i, 1, &at);
        got[i] -= seeded;
    }
    assert_no_fault(p->dev);
    double most = largest_of(want, x.rows * x.cols);
    assert_true(most > 1e-3);
    for (int64_t i = 0; i < x.rows * x.cols; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * most))
            fail_msg("%s: element %d of the gradient is %.12g, by differences %.12g", name, (int)i, got[i], want[i]);
    free(got);
    free(want);
}

static struct tensor constant(struct device *dev, int64_t rows, int64_t cols, double value)
{
    struct tensor t = device_tensor(dev, rows, cols);
    for (int64_t i = 0; i < rows * cols; i++)
        device_put_f64(dev, t, i, 1, &value);
    return t;
}

static void run_norm(struct problem *p)
{
    op_norm(p->dev, p->y, p->saved, p->x[0], 1e-3f);
}

static void test_norm(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, 3, 7, 1, 1)},
                        .y = device_tensor(dev, 3, 7),
                        .saved = device_tensor(dev, 3, 1),
                        .c = filled(dev, 3, 7, 2, 1)};
    struct tensor dx = constant(dev, 3, 7, 0.5);
    run_norm(&p);
    op_norm_back(dev, dx, p.c, p.y, p.saved);
    check_gradient("norm", &p, run_norm, p.x[0], dx, 0.5);
    device_close(dev);
}

static void run_rotary_norm(struct problem *p)
{
    op_rotary_norm(p->dev, p->y, p->saved, p->x[0], p->cosine, p->sine, p->ids, p->n_head, 1e-3f, 1.25f);
}

static void test_rotary_norm(void **state)
{
    (void)state;
    enum { N = 3, H = 2, D = 6, POSITIONS = 5 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, H * D, 1, 1)},
                        .y = device_tensor(dev, N, H * D),
                        .saved = device_tensor(dev, N, H),
                        .c = filled(dev, N, H * D, 2, 1),
                        .n_head = H,
                        .cosine = device_tensor(dev, POSITIONS, D / 2),
                        .sine = device_tensor(dev, POSITIONS, D / 2),
                        .ids = filled_ids(dev, N, 3, POSITIONS)};
    for (int i = 0; i < POSITIONS * D / 2; i++) {
        double angle = 3 * number(4, (uint64_t)i), cs = cos(angle), sn = sin(angle);
        device_put_f64(dev, p.cosine, i, 1, &cs);
        device_put_f64(dev, p.sine, i, 1, &sn);
    }
    struct tensor dx = device_tensor(dev, N, H * D);
    run_rotary_norm(&p);
    op_copy(dev, dx, p.c);
    op_rotary_norm_back(dev, dx, dx, p.y, p.saved, p.cosine, p.sine, p.ids, H, 1.25f);
    check_gradient("rotary_norm", &p, run_rotary_norm, p.x[0], dx, 0);
    device_close(dev);
}

static void run_mix(struct problem *p)
{
    op_mix(p->dev, p->y, p->x[0], p->x[1], p->x[2], p->x[3], p->sign);
}

static void mix_with(bool has_a, float sign)
{
    enum { N = 6, C = 5, T = 3 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct tensor absent = {.dtype = DTYPE_F64};
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, C, 1, 1), filled(dev, N, C, 2, 1), has_a ? filled(dev, 1, 1, 3, 1) : absent,
                              filled(dev, 1, 1, 4, 1)},
                        .y = device_tensor(dev, N, C),
                        .c = filled(dev, N, C, 5, 1),
                        .sign = sign};
    struct tensor dx = constant(dev, N, C, 0.5), dz = constant(dev, N, C, 0.5), db = constant(dev, 1, 1, 0.5);
    struct tensor da = has_a ? constant(dev, 1, 1, 0.5) : absent;
    op_mix_back(dev, dx, dz, da, db, p.c, p.x[0], p.x[1], p.x[2], p.x[3], sign, T);
    check_gradient("mix dx", &p, run_mix, p.x[0], dx, 0);
    check_gradient("mix dz", &p, run_mix, p.x[1], dz, 0.5);
    if (has_a)
        check_gradient("mix da", &p, run_mix, p.x[2], da, 0.5);
    check_gradient("mix db", &p, run_mix, p.x[3], db, 0.5);
    device_close(dev);
}

static void test_mix(void **state)
{
    (void)state;
    mix_with(true, 1);
    mix_with(false, -1);
}

static void run_smear(struct problem *p)
{
    struct weight gate = {.master = p->x[1]};
    op_smear(p->dev, p->y, p->saved, p->x[0], &gate, p->x[2], p->T);
}

static void test_smear(void **state)
{
    (void)state;
    enum { N = 8, C = 5, K = 3, T = 4 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, C, 1, 1), filled(dev, 1, K, 2, 2), filled(dev, 1, 1, 3, 1)},
                        .y = device_tensor(dev, N, C),
                        .saved = device_tensor(dev, N, 1),
                        .c = filled(dev, N, C, 4, 1),
                        .T = T};
    struct weight gate = {.master = p.x[1]};
    struct tensor de = constant(dev, N, C, 0.5), dgate = constant(dev, 1, K, 0.5), dlambda = constant(dev, 1, 1, 0.5);
    run_smear(&p);
    op_smear_back(dev, de, dgate, dlambda, p.c, p.x[0], p.saved, &gate, p.x[2], T);
    check_gradient("smear de", &p, run_smear, p.x[0], de, 0);
    check_gradient("smear dgate", &p, run_smear, p.x[1], dgate, 0.5);
    check_gradient("smear dlambda", &p, run_smear, p.x[2], dlambda, 0.5);
    device_close(dev);
}

static void run_value_embed(struct problem *p)
{
    struct weight table = {.master = p->x[1]}, gate = {.master = p->x[2]};
    op_value_embed(p->dev, p->y, p->saved, p->x[0], &table, p->ids, &gate, 3);
}

static void test_value_embed(void **state)
{
    (void)state;
    enum { N = 6, C = 5, K = 4, H = 2, D = 3, V = 4, T = 3 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, C, 1, 1), filled(dev, V, H * D, 2, 1), filled(dev, H, K, 3, 1)},
                        .y = device_tensor(dev, N, H * D),
                        .saved = device_tensor(dev, N, H),
                        .c = filled(dev, N, H * D, 4, 1),
                        .ids = device_ids(dev, N, 1)};
    device_put_ids(dev, p.ids, 0, N, (const int32_t[]){2, 0, 2, 3, 2, 0});
    struct weight table = {.master = p.x[1]}, gate = {.master = p.x[2]};
    struct tensor dx = constant(dev, N, C, 0.5), dtable = constant(dev, V, H * D, 0.5), dgate = constant(dev, H, K, 0.5);
    run_value_embed(&p);
    op_value_embed_back(dev, dx, dtable, dgate, p.c, p.saved, p.x[0], &table, p.ids, &gate, 3, T);
    check_gradient("value_embed dx", &p, run_value_embed, p.x[0], dx, 0.5);
    check_gradient("value_embed dtable", &p, run_value_embed, p.x[1], dtable, 0.5);
    check_gradient("value_embed dgate", &p, run_value_embed, p.x[2], dgate, 0.5);
    device_close(dev);
}

static void run_matmul(struct problem *p)
{
    struct weight w = {.master = p->x[1]};
    op_matmul(p->dev, p->y, p->x[0], &w, false);
}

static void test_matmul(void **state)
{
    (void)state;
    enum { N = 6, I = 5, O = 4, T = 3 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, I, 1, 1), filled(dev, O, I, 2, 1)},
                        .y = device_tensor(dev, N, O),
                        .c = filled(dev, N, O, 3, 1)};
    struct weight w = {.master = p.x[1]};
    struct tensor dx = constant(dev, N, I, 0.5), dw = constant(dev, O, I, 0.5);
    op_matmul_dx(dev, dx, p.c, &w, true);
    op_matmul_dw(dev, dw, p.c, p.x[0], T);
    check_gradient("matmul_dx +=", &p, run_matmul, p.x[0], dx, 0.5);
    check_gradient("matmul_dw", &p, run_matmul, p.x[1], dw, 0.5);
    op_matmul_dx(dev, dx, p.c, &w, false);
    check_gradient("matmul_dx =", &p, run_matmul, p.x[0], dx, 0);
    device_close(dev);
}

static void run_relu2(struct problem *p)
{
    struct weight w = {.master = p->x[1]};
    op_matmul_relu2(p->dev, p->y, p->saved, p->x[0], &w);
}

static void test_relu2(void **state)
{
    (void)state;
    enum { N = 4, I = 5, O = 7 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, I, 1, 1), filled(dev, O, I, 2, 1)},
                        .y = device_tensor(dev, N, O),
                        .saved = device_tensor(dev, N, O),
                        .c = filled(dev, N, O, 3, 1)};
    struct weight w = {.master = p.x[1]};
    struct tensor dh = device_tensor(dev, N, O), dx = device_tensor(dev, N, I), dw = device_tensor(dev, O, I);
    run_relu2(&p);
    op_copy(dev, dh, p.c);
    op_relu2_back(dev, dh, dh, p.saved);
    op_matmul_dx(dev, dx, dh, &w, false);
    op_matmul_dw(dev, dw, dh, p.x[0], N);
    check_gradient("relu2 dx", &p, run_relu2, p.x[0], dx, 0);
    check_gradient("relu2 dw", &p, run_relu2, p.x[1], dw, 0);
    device_close(dev);
}

static void run_attention(struct problem *p)
{
    op_attention(p->dev, p->y, p->saved, p->x[0], p->x[1], p->x[2], p->a);
}

static void attention_of(struct attention a)
{
    struct device *dev = open_device(DEVICE_REF, 1);
    int64_t N = (int64_t)a.B * a.T, C = (int64_t)a.n_head * a.head_dim, K = (int64_t)a.n_kv_head * a.head_dim;
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, C, 1, 2), filled(dev, N, K, 2, 2), filled(dev, N, K, 3, 1)},
                        .a = a,
                        .y = device_tensor(dev, N, C),
                        .saved = device_tensor(dev, N, a.n_head),
                        .c = filled(dev, N, C, 4, 1)};
    struct tensor dq = constant(dev, N, C, 0.5), dk = constant(dev, N, K, 0.5), dv = constant(dev, N, K, 0.5);
    run_attention(&p);
    op_attention_back(dev, dq, dk, dv, p.c, p.x[0], p.x[1], p.x[2], p.y, p.saved, a);
    check_gradient("attention dq", &p, run_attention, p.x[0], dq, 0);
    check_gradient("attention dk", &p, run_attention, p.x[1], dk, 0);
    check_gradient("attention dv", &p, run_attention, p.x[2], dv, 0);
    device_close(dev);
}

static void test_attention(void **state)
{
    (void)state;
    attention_of((struct attention){.B = 1, .T = 5, .n_head = 1, .n_kv_head = 1, .head_dim = 4});
    attention_of((struct attention){.B = 2, .T = 6, .n_head = 4, .n_kv_head = 2, .head_dim = 3, .window = 2});
    attention_of((struct attention){.B = 1, .T = 4, .n_head = 3, .n_kv_head = 1, .head_dim = 2, .window = 9});
}

static void run_loss(struct problem *p)
{
    struct weight w = {.master = p->x[1]};
    op_loss(p->dev, p->y, p->absent, p->absent, p->x[0], &w, p->targets, p->weights, 9, p->cap, 3);
}

// The objective's weights are the loss's own: sum_n weights[n] * losses[n].
static void loss_with(float cap)
{
    enum { N = 6, C = 5, V = 9, ROWS = 11, T = 3 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, N, C, 1, 2), filled(dev, ROWS, C, 2, 2)},
                        .y = device_tensor(dev, N, 1),
                        .c = filled(dev, N, 1, 3, 1),
                        .targets = device_ids(dev, N, 1),
                        .cap = cap,
                        .absent = {.dtype = DTYPE_F64}};
    p.weights = p.c;
    device_put_ids(dev, p.targets, 0, N, (const int32_t[]){4, -1, 0, 8, 8, -1});
    struct weight w = {.master = p.x[1]};
    struct tensor dx = constant(dev, N, C, 0.5), dw = constant(dev, ROWS, C, 0.5);
    op_loss(dev, p.y, dx, dw, p.x[0], &w, p.targets, p.weights, V, cap, T);
    check_gradient("loss dx", &p, run_loss, p.x[0], dx, 0);
    check_gradient("loss dw", &p, run_loss, p.x[1], dw, 0.5);
    double *losses = values_of(dev, p.y);
    assert_true(losses[1] == 0 && losses[5] == 0 && losses[0] > 0);
    free(losses);
    device_close(dev);
}

static void test_loss(void **state)
{
    (void)state;
    loss_with(15);
    loss_with(2);
    loss_with(0);
}

static void run_embed(struct problem *p)
{
    struct weight table = {.master = p->x[0]};
    op_embed(p->dev, p->y, &table, p->ids);
}

static void test_embed(void **state)
{
    (void)state;
    enum { N = 6, C = 3, V = 4 };
    struct device *dev = open_device(DEVICE_REF, 1);
    struct problem p = {.dev = dev,
                        .x = {filled(dev, V, C, 1, 1)},
                        .y = device_tensor(dev, N, C),
                        .c = filled(dev, N, C, 2, 1),
                        .ids = device_ids(dev, N, 1)};
    device_put_ids(dev, p.ids, 0, N, (const int32_t[]){2, 0, 2, 3, 2, 0});
    struct tensor dtable = constant(dev, V, C, 0.5);
    op_embed_back(dev, dtable, p.c, p.ids);
    check_gradient("embed", &p, run_embed, p.x[0], dtable, 0.5);
    device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),  cmocka_unit_test(test_rotary_norm), cmocka_unit_test(test_mix),
        cmocka_unit_test(test_smear), cmocka_unit_test(test_value_embed), cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_relu2), cmocka_unit_test(test_attention),   cmocka_unit_test(test_loss),
        cmocka_unit_test(test_embed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
