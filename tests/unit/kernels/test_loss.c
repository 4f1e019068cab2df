// Logits and loss: cpu held to ref, and a batch in pieces.
#include "tests/unit/kernels/check.h"

// size: sequences, T, C, n_vocab, rows of w, cap. Every fifth target is -1, some weights are 0.
struct inputs {
    struct tensor x, targets, weights;
    struct weight w;
};

static struct inputs inputs_of(struct device *dev, const int *size)
{
    int N = size[0] * size[1], C = size[2];
    struct inputs in = {.x = filled(dev, N, C, 1, 1.7),
                        .weights = filled(dev, N, 1, 3, 1),
                        .targets = filled_ids(dev, N, 4, size[3]),
                        .w = filled_weight(dev, size[4], C, 2, 8 / sqrt(C))};
    for (int n = 0; n < N; n += 5)
        device_put_ids(dev, in.targets, n, 1, &(int32_t){-1});
    for (int n = 3; n < N; n += 7)
        device_put(dev, in.weights, n, 1, &(float){0});
    return in;
}

static void loss(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0] * size[1], C = size[2];
    struct inputs in = inputs_of(dev, size);
    struct tensor losses = filled(dev, N, 1, 8, 1), only = device_tensor(dev, N, 1), absent = {.dtype = device_dtype(dev)};
    struct tensor dx = filled(dev, N, C, 5, 1), dw = filled(dev, size[4], C, 6, 0.01), logits = device_tensor(dev, N, size[3]);
    op_loss(dev, losses, dx, dw, in.x, &in.w, in.targets, in.weights, size[3], (float)size[5], size[1]);
    op_loss(dev, only, absent, absent, in.x, &in.w, in.targets, in.weights, size[3], (float)size[5], size[1]);
    op_logits(dev, logits, in.x, &in.w, size[3], (float)size[5]);
    double *a = values_of(dev, losses), *b = values_of(dev, only);
    assert_memory_equal(a, b, (size_t)N * sizeof *a);
    free(a);
    free(b);
    keep(out, dev, "losses", losses, BOUND_ONE_MORE, 2e-6);
    keep(out, dev, "dx", dx, BOUND_TENSOR, 1e-5);
    keep(out, dev, "dw", dw, BOUND_TENSOR, 1e-5);
    keep(out, dev, "logits", logits, BOUND_TENSOR, 2e-6);
}

static void test_loss(void **state)
{
    (void)state;
    hold(loss, {0, 4, 16, 300, 304, 15});
    hold(loss, {1, 1, 1, 1, 1, 15});
    hold(loss, {1, 2, 3, 2, 2, 15});
    hold(loss, {2, 7, 17, 300, 304, 15});
    hold(loss, {1, 65, 40, 300, 320, 15});
    hold(loss, {3, 33, 64, 257, 257, 15});
    hold(loss, {1, 270, 20, 77, 80, 15});
    hold(loss, {2, 300, 10, 50, 64, 15});
    hold(loss, {2, 5, 24, 4100, 4160, 15});
    hold(loss, {11, 38, 256, 600, 600, 15}); // 228 rows and then 190, whose panels take more room
    hold(loss, {2, 7, 17, 300, 304, 100}); // a cap so large that exp(-2 cap) underflows
    hold(loss, {2, 7, 17, 300, 304, 0});   // none
}

// The gradients add up over calls: the batch cut anywhere between sequences has the bits of the whole.
static void pieces(const int *size)
{
    int T = size[1], N = size[0] * T, C = size[2];
    for (size_t i = 0; i < countof(isas); i++)
        for (int cut = 1; cut < size[0]; cut++) {
            struct device *dev = open_isa(isas[i], 2);
            if (!dev)
                continue;
            struct inputs in = inputs_of(dev, size);
            struct tensor losses = device_tensor(dev, N, 1), dx = device_tensor(dev, N, C), dw = filled(dev, size[4], C, 6, 1);
            struct tensor losses2 = device_tensor(dev, N, 1), dx2 = device_tensor(dev, N, C), dw2 = filled(dev, size[4], C, 6, 1);
            op_loss(dev, losses, dx, dw, in.x, &in.w, in.targets, in.weights, size[3], (float)size[5], T);
            for (int part = 0; part < 2; part++) {
                int from = part ? cut * T : 0, n = part ? N - cut * T : cut * T;
                op_loss(dev, tensor_rows(losses2, from, n), tensor_rows(dx2, from, n), dw2, tensor_rows(in.x, from, n), &in.w,
                        tensor_rows(in.targets, from, n), tensor_rows(in.weights, from, n), size[3], (float)size[5], T);
            }
            assert_same_bits("losses", isas[i], losses, losses2);
            assert_same_bits("dx", isas[i], dx, dx2);
            assert_same_bits("dw", isas[i], dw, dw2);
            assert_no_fault(dev);
            device_close(dev);
        }
}

static void test_pieces(void **state)
{
    (void)state;
    pieces((const int[]){5, 1, 16, 40, 40, 15});
    pieces((const int[]){4, 13, 33, 300, 304, 15});
    pieces((const int[]){3, 128, 20, 100, 100, 15});
    pieces((const int[]){3, 300, 10, 50, 64, 15});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loss), cmocka_unit_test(test_pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
