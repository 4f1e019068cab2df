// Products: cpu held to ref, rows that do not depend on their neighbours, and weight gradients of a batch in pieces.
#include "tests/unit/kernels/check.h"

// Rows of x and w have norms of about 1, so an absolute bound is the bound of kernels.h.
static void products(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0], I = size[1], O = size[2];
    double by_i = sqrt(3.0 / I), by_o = sqrt(3.0 / O), limit = 1e-6;
    struct tensor x = filled(dev, N, I, 1, by_i), y = device_tensor(dev, N, O), more = filled(dev, N, O, 5, 1);
    struct weight w = filled_weight(dev, O, I, 2, by_i), w_back = filled_weight(dev, O, I, 2, by_o);
    struct tensor a = device_tensor(dev, N, O), r = device_tensor(dev, N, O);
    struct tensor dy = filled(dev, N, O, 3, by_o), dx = device_tensor(dev, N, I), dx_more = filled(dev, N, I, 6, 1);
    op_matmul(dev, y, x, &w, false);
    op_matmul(dev, more, x, &w, true);
    op_matmul_relu2(dev, a, r, x, &w);
    op_matmul_dx(dev, dx, dy, &w_back, false);
    op_matmul_dx(dev, dx_more, dy, &w_back, true);
    keep(out, dev, "y", y, BOUND_ABSOLUTE, limit);
    keep(out, dev, "y +=", more, BOUND_ABSOLUTE, limit);
    keep(out, dev, "a", a, BOUND_ABSOLUTE, limit);
    keep(out, dev, "r", r, BOUND_ABSOLUTE, limit);
    keep(out, dev, "dx", dx, BOUND_ABSOLUTE, limit);
    keep(out, dev, "dx +=", dx_more, BOUND_ABSOLUTE, limit);
    op_relu2_back(dev, dy, dy, r);
    keep(out, dev, "dh", dy, BOUND_ABSOLUTE, limit);
}

static void test_products(void **state)
{
    (void)state;
    hold(products, {0, 16, 16});
    hold(products, {1, 1, 1});
    hold(products, {1, 64, 64});
    hold(products, {2, 17, 5});
    hold(products, {9, 33, 65});
    hold(products, {13, 257, 31});
    hold(products, {7, 100, 300});
    hold(products, {97, 129, 33});
    hold(products, {193, 40, 70});
    hold(products, {33, 1030, 50});
    hold(products, {5, 8, 4200});
    hold(products, {3, 5120, 20});
}

static void weight_gradient(struct device *dev, const int *size, struct outputs *out)
{
    int B = size[0], T = size[1], O = size[2], I = size[3], N = B * T;
    double by_n = sqrt(3.0 / (N + 1));
    struct tensor dy = filled(dev, N, O, 1, by_n), x = filled(dev, N, I, 2, by_n), dw = filled(dev, O, I, 3, 1);
    op_matmul_dw(dev, dw, dy, x, T);
    keep(out, dev, "dw", dw, BOUND_ABSOLUTE, 1e-6);
}

static void test_weight_gradient(void **state)
{
    (void)state;
    hold(weight_gradient, {0, 4, 8, 8});
    hold(weight_gradient, {1, 1, 1, 1});
    hold(weight_gradient, {3, 1, 17, 9});
    hold(weight_gradient, {2, 65, 33, 20});
    hold(weight_gradient, {5, 7, 300, 18});
    hold(weight_gradient, {2, 300, 40, 31});
}

static void test_row_bits(void **state)
{
    (void)state;
    enum { N = 45, I = 300, O = 70 };
    static const int cuts[][2] = {{0, 1}, {44, 1}, {7, 13}, {20, 25}};
    for (size_t i = 0; i < countof(isas); i++) {
        struct device *dev = open_isa(isas[i], 3);
        if (!dev)
            continue;
        struct tensor x = filled(dev, N, I, 1, 1), dy = filled(dev, N, O, 3, 1);
        struct weight w = filled_weight(dev, O, I, 2, 1);
        struct tensor y = device_tensor(dev, N, O), a = device_tensor(dev, N, O), r = device_tensor(dev, N, O);
        struct tensor dx = device_tensor(dev, N, I);
        op_matmul(dev, y, x, &w, false);
        op_matmul_relu2(dev, a, r, x, &w);
        op_matmul_dx(dev, dx, dy, &w, false);
        for (size_t c = 0; c < countof(cuts); c++) {
            int from = cuts[c][0], n = cuts[c][1];
            struct tensor y2 = device_tensor(dev, n, O), a2 = device_tensor(dev, n, O), r2 = device_tensor(dev, n, O);
            struct tensor dx2 = device_tensor(dev, n, I);
            op_matmul(dev, y2, tensor_rows(x, from, n), &w, false);
            op_matmul_relu2(dev, a2, r2, tensor_rows(x, from, n), &w);
            op_matmul_dx(dev, dx2, tensor_rows(dy, from, n), &w, false);
            assert_same_bits("matmul", isas[i], tensor_rows(y, from, n), y2);
            assert_same_bits("matmul_relu2", isas[i], tensor_rows(a, from, n), a2);
            assert_same_bits("matmul_dx", isas[i], tensor_rows(dx, from, n), dx2);
        }
        assert_no_fault(dev);
        device_close(dev);
    }
}

// B sequences at once, and the same in two calls, cut after each.
static void weight_gradient_in_pieces(int B, int T, int O, int I)
{
    int N = B * T;
    for (size_t i = 0; i < countof(isas); i++)
        for (int cut = 1; cut < B; cut++) {
            struct device *dev = open_isa(isas[i], cut);
            if (!dev)
                continue;
            struct tensor dy = filled(dev, N, O, 1, 1), x = filled(dev, N, I, 2, 1);
            struct tensor whole = filled(dev, O, I, 3, 1), parts = filled(dev, O, I, 3, 1);
            op_matmul_dw(dev, whole, dy, x, T);
            op_matmul_dw(dev, parts, tensor_rows(dy, 0, cut * T), tensor_rows(x, 0, cut * T), T);
            op_matmul_dw(dev, parts, tensor_rows(dy, cut * T, N - cut * T), tensor_rows(x, cut * T, N - cut * T), T);
            assert_same_bits("matmul_dw in two pieces", isas[i], whole, parts);
            assert_no_fault(dev);
            device_close(dev);
        }
}

static void test_weight_gradient_in_pieces(void **state)
{
    (void)state;
    weight_gradient_in_pieces(3, 1, 9, 40);
    weight_gradient_in_pieces(4, 13, 35, 18);
    weight_gradient_in_pieces(3, 130, 40, 50);
    weight_gradient_in_pieces(3, 257, 20, 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_weight_gradient),
        cmocka_unit_test(test_row_bits),
        cmocka_unit_test(test_weight_gradient_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
