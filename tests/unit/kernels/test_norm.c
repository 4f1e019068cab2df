// Norm, rotary norm, and operations on rows and elements: cpu held to ref, and rows that do not depend on each other.
#include "tests/unit/kernels/check.h"

static void norm(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0], C = size[1];
    struct tensor x = filled(dev, N, C, 1, 3), y = device_tensor(dev, N, C), r = device_tensor(dev, N, 1);
    struct tensor dy = filled(dev, N, C, 2, 1), dx = filled(dev, N, C, 3, 1), same = filled(dev, N, C, 1, 3);
    op_norm(dev, y, r, x, 1.1920929e-7f);
    op_norm(dev, same, r, same, 1.1920929e-7f);
    op_norm_back(dev, dx, dy, y, r);
    keep(out, dev, "y", y, BOUND_ROW, 2e-6);
    keep(out, dev, "y in place", same, BOUND_ROW, 2e-6);
    keep(out, dev, "rstd", r, BOUND_ELEMENT, 2e-6);
    keep(out, dev, "dx", dx, BOUND_ROW, 2e-6);
}

static void test_norm(void **state)
{
    (void)state;
    hold(norm, {1, 1});
    hold(norm, {0, 16});
    hold(norm, {3, 17});
    hold(norm, {1, 300});
    hold(norm, {65, 64});
    hold(norm, {9, 1279});
}

// A row of zeros has no direction: it stays zero and its rstd is eps^-1/2.
static void zero_row(struct device *dev, const int *size, struct outputs *out)
{
    struct tensor x = device_tensor(dev, 2, size[0]), y = device_tensor(dev, 2, size[0]), r = device_tensor(dev, 2, 1);
    op_norm(dev, y, r, x, 1e-6f);
    double *v = values_of(dev, y);
    assert_true(largest_of(v, 2 * size[0]) == 0);
    free(v);
    keep(out, dev, "rstd", r, BOUND_ELEMENT, 2e-6);
}

static void test_zero_row(void **state)
{
    (void)state;
    hold(zero_row, {40});
}

static void rotary_norm(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0], H = size[1], D = size[2], positions = 100;
    float eps = 1.1920929e-7f, scale = size[3] ? 1.2f : 1.0f;
    struct tensor x = filled(dev, N, H * D, 1, 2), y = device_tensor(dev, N, H * D), r = device_tensor(dev, N, H);
    struct tensor cosine = device_tensor(dev, positions, D / 2), sine = device_tensor(dev, positions, D / 2);
    for (int i = 0; i < positions * D / 2; i++) {
        float angle = (float)(i / (D / 2)) * powf(10000, -2.0f * (float)(i % (D / 2)) / (float)D);
        device_put(dev, cosine, i, 1, &(float){cosf(angle)});
        device_put(dev, sine, i, 1, &(float){sinf(angle)});
    }
    struct tensor at = filled_ids(dev, N, 2, positions), dy = filled(dev, N, H * D, 3, 1), dx = device_tensor(dev, N, H * D);
    struct tensor same = filled(dev, N, H * D, 1, 2);
    op_rotary_norm(dev, y, r, x, cosine, sine, at, H, eps, scale);
    op_rotary_norm(dev, same, r, same, cosine, sine, at, H, eps, scale);
    op_rotary_norm_back(dev, dx, dy, y, r, cosine, sine, at, H, scale);
    op_rotary_norm_back(dev, dy, dy, y, r, cosine, sine, at, H, scale);
    keep(out, dev, "y", y, BOUND_ROW, 4e-6);
    keep(out, dev, "y in place", same, BOUND_ROW, 4e-6);
    keep(out, dev, "rstd", r, BOUND_ELEMENT, 4e-6);
    keep(out, dev, "dx", dx, BOUND_ROW, 4e-6);
    keep(out, dev, "dx in place", dy, BOUND_ROW, 4e-6);
}

static void test_rotary_norm(void **state)
{
    (void)state;
    hold(rotary_norm, {1, 1, 2, 0});
    hold(rotary_norm, {0, 2, 32, 0});
    hold(rotary_norm, {5, 3, 6, 1});
    hold(rotary_norm, {17, 2, 32, 0});
    hold(rotary_norm, {33, 4, 64, 1});
    hold(rotary_norm, {8, 2, 120, 0});
    hold(rotary_norm, {9, 2, 128, 1});
}

static void rows_and_elements(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0], C = size[1], V = 7;
    struct weight table = filled_weight(dev, V, C, 1, 1);
    struct tensor ids = filled_ids(dev, N, 2, V), x = device_tensor(dev, N, C), dx = filled(dev, N, C, 3, 1);
    struct tensor dtable = filled(dev, V, C, 4, 1), y = filled(dev, N, C, 5, 1), z = filled(dev, N, C, 6, 1);
    op_embed(dev, x, &table, ids);
    op_embed_back(dev, dtable, dx, ids);
    op_add(dev, y, dx);
    keep(out, dev, "embed", x, BOUND_ABSOLUTE, 0);
    keep(out, dev, "embed_back", dtable, BOUND_ABSOLUTE, 2e-7 * (N + 1) * 2);
    keep(out, dev, "add", y, BOUND_ABSOLUTE, 2e-7);
    op_copy(dev, z, dx);
    keep(out, dev, "copy", z, BOUND_ABSOLUTE, 0);
    op_zero(dev, z);
    keep(out, dev, "zero", z, BOUND_ABSOLUTE, 0);
}

static void test_rows_and_elements(void **state)
{
    (void)state;
    hold(rows_and_elements, {0, 8});
    hold(rows_and_elements, {1, 1});
    hold(rows_and_elements, {19, 33});
    hold(rows_and_elements, {130, 70});
}

static void test_row_bits(void **state)
{
    (void)state;
    enum { N = 37, H = 3, D = 20, C = H * D, CUT = 5 };
    for (size_t i = 0; i < countof(isas); i++) {
        struct device *dev = open_isa(isas[i], 2);
        if (!dev)
            continue;
        struct tensor x = filled(dev, N, C, 1, 1), y = device_tensor(dev, N, C), r = device_tensor(dev, N, 1);
        struct tensor some = device_tensor(dev, CUT, C), some_r = device_tensor(dev, CUT, 1);
        op_norm(dev, y, r, x, 1e-6f);
        op_norm(dev, some, some_r, tensor_rows(x, 11, CUT), 1e-6f);
        assert_same_bits("norm", isas[i], tensor_rows(y, 11, CUT), some);
        struct tensor cosine = filled(dev, 4, D / 2, 2, 1), sine = filled(dev, 4, D / 2, 3, 1), at = filled_ids(dev, N, 4, 4);
        struct tensor rh = device_tensor(dev, N, H), some_rh = device_tensor(dev, CUT, H);
        op_rotary_norm(dev, y, rh, x, cosine, sine, at, H, 1e-6f, 1);
        op_rotary_norm(dev, some, some_rh, tensor_rows(x, 11, CUT), cosine, sine, tensor_rows(at, 11, CUT), H, 1e-6f, 1);
        assert_same_bits("rotary_norm", isas[i], tensor_rows(y, 11, CUT), some);
        assert_same_bits("rotary_norm's rstd", isas[i], tensor_rows(rh, 11, CUT), some_rh);
        assert_no_fault(dev);
        device_close(dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),        cmocka_unit_test(test_zero_row),
        cmocka_unit_test(test_rotary_norm), cmocka_unit_test(test_rows_and_elements),
        cmocka_unit_test(test_row_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
