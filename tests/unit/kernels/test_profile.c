// test_profile.c - timing changes nothing, counts every call, and goes away.
#include "check.h"

#include "kernels/profile.h"

enum { ROWS = 64, INNER = 48, OUTER = 80, CALLS = 3 };

struct result {
    float y[ROWS * OUTER], loss[ROWS];
};

static void run(struct device *dev, struct result *result)
{
    struct tensor none = {.dtype = device_dtype(dev)}, x = filled(dev, ROWS, INNER, 1, 1);
    struct tensor y = device_tensor(dev, ROWS, OUTER), losses = device_tensor(dev, ROWS, 1), weights = filled(dev, ROWS, 1, 3, 1);
    struct weight w = {.master = filled(dev, OUTER, INNER, 2, 1)};
    struct tensor ids = device_ids(dev, ROWS, 1);
    op_weight_prepare(dev, &w);
    for (int i = 0; i < CALLS; i++)
        op_matmul(dev, y, x, &w, i > 0);
    op_loss(dev, losses, none, none, x, &w, ids, weights, OUTER, 15, ROWS);
    device_get(dev, result->y, y, 0, ROWS * OUTER);
    device_get(dev, result->loss, losses, 0, ROWS);
}

static const struct op_timing *find(const struct op_timing *timings, int n, const char *op)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(timings[i].op, op))
            return &timings[i];
    return NULL;
}

static void times_and_changes_nothing(void **state)
{
    static struct result plain, timed, again;
    struct op_timing timings[PROFILE_OPS];
    struct fault fault;
    struct device *dev = device_open(DEVICE_CPU, 2, &fault);
    assert_non_null(dev);
    const char *isa = device_isa(dev);
    run(dev, &plain);
    assert_int_equal(device_timings(dev, timings, PROFILE_OPS), 0);

    device_profile(dev, true);
    assert_string_equal(device_isa(dev), isa);
    run(dev, &timed);
    assert_memory_equal(&plain, &timed, sizeof plain);
    int n = device_timings(dev, timings, PROFILE_OPS);
    const struct op_timing *matmul = find(timings, n, "matmul"), *loss = find(timings, n, "loss");
    assert_non_null(matmul);
    assert_non_null(loss);
    assert_int_equal(matmul->calls, CALLS);
    assert_int_equal(loss->calls, 1);
    assert_true(matmul->seconds > 0 && matmul->products_s > 0 && matmul->products_s <= matmul->seconds);
    assert_true(loss->products_s > 0 && loss->products_s < loss->seconds);
    assert_int_equal(device_timings(dev, timings, 1), 1);

    device_profile(dev, true); // from zero
    assert_int_equal(device_timings(dev, timings, PROFILE_OPS), 0);
    device_profile(dev, false);
    run(dev, &again);
    assert_memory_equal(&plain, &again, sizeof plain);
    assert_int_equal(device_timings(dev, timings, PROFILE_OPS), 0);
    assert_int_equal(device_fault(dev).kind, FAULT_NONE);
    device_close(dev);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(times_and_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
