// Attention: cpu held to ref, decoding equal to the forward pass, and sequences that do not depend on each other.
#include "tests/unit/kernels/check.h"

// size: B, T, n_head, n_kv_head, head_dim, window
static struct attention attention_of(const int *size)
{
    return (struct attention){
        .B = size[0], .T = size[1], .n_head = size[2], .n_kv_head = size[3], .head_dim = size[4], .window = size[5]};
}

struct inputs {
    struct tensor q, k, v, dout;
};

static struct inputs inputs_of(struct device *dev, struct attention a, double scale)
{
    int64_t N = (int64_t)a.B * a.T, C = (int64_t)a.n_head * a.head_dim, K = (int64_t)a.n_kv_head * a.head_dim;
    return (struct inputs){.q = filled(dev, N, C, 1, scale),
                           .k = filled(dev, N, K, 2, scale),
                           .v = filled(dev, N, K, 3, 1),
                           .dout = filled(dev, N, C, 4, 1)};
}

static struct tensor like(struct device *dev, struct tensor t)
{
    return device_tensor(dev, t.rows, t.cols);
}

static void attention(struct device *dev, const int *size, struct outputs *out)
{
    struct attention a = attention_of(size);
    struct inputs in = inputs_of(dev, a, 1.7); // as after the norm: elements of size 1
    struct tensor o = like(dev, in.q), lse = device_tensor(dev, in.q.rows, a.n_head);
    op_attention(dev, o, lse, in.q, in.k, in.v, a);
    struct tensor dq = filled(dev, in.q.rows, in.q.cols, 5, 1), dk = filled(dev, in.k.rows, in.k.cols, 6, 1);
    struct tensor dv = like(dev, in.v);
    op_attention_back(dev, dq, dk, dv, in.dout, in.q, in.k, in.v, o, lse, a);
    keep(out, dev, "o", o, BOUND_ABSOLUTE, 1e-5);
    keep(out, dev, "lse", lse, BOUND_ABSOLUTE, 1e-5);
    keep(out, dev, "dq", dq, BOUND_TENSOR, 1e-5);
    keep(out, dev, "dk", dk, BOUND_TENSOR, 1e-5);
    keep(out, dev, "dv", dv, BOUND_TENSOR, 1e-5);
}

static void test_attention(void **state)
{
    (void)state;
    hold(attention, {0, 4, 2, 2, 32, 0});
    hold(attention, {1, 1, 1, 1, 32, 0});
    hold(attention, {3, 1, 2, 1, 64, 0});
    hold(attention, {2, 7, 2, 2, 32, 0});
    hold(attention, {2, 65, 2, 2, 64, 0});
    hold(attention, {1, 129, 4, 2, 32, 0});
    hold(attention, {1, 70, 2, 1, 120, 0});
    hold(attention, {1, 97, 2, 2, 128, 0});
    hold(attention, {2, 33, 3, 1, 10, 0});
    hold(attention, {1, 40, 1, 1, 1, 0});
}

static void test_window(void **state)
{
    (void)state;
    hold(attention, {1, 20, 1, 1, 32, 1});
    hold(attention, {2, 67, 4, 2, 32, 5});
    hold(attention, {1, 200, 2, 2, 64, 64});
    hold(attention, {1, 260, 2, 1, 32, 127});
    hold(attention, {1, 50, 2, 2, 32, 49});
    hold(attention, {1, 50, 2, 2, 32, 1000});
}

// Large scores: the softmax must not overflow, nor a far key underflow into NaN.
static void sharp_attention(struct device *dev, const int *size, struct outputs *out)
{
    struct attention a = attention_of(size);
    struct inputs in = inputs_of(dev, a, 12);
    struct tensor o = like(dev, in.q), lse = device_tensor(dev, in.q.rows, a.n_head);
    op_attention(dev, o, lse, in.q, in.k, in.v, a);
    keep(out, dev, "o", o, BOUND_ABSOLUTE, 1e-3); // scores of several hundred: their rounding is all there is to see
    keep(out, dev, "lse", lse, BOUND_ELEMENT, 1e-5);
}

static void test_sharp_attention(void **state)
{
    (void)state;
    hold(sharp_attention, {1, 150, 2, 2, 64, 0});
    hold(sharp_attention, {1, 150, 2, 2, 64, 9});
}

// Fills caches token by token and compares each row with the forward pass over the whole sequence.
static void decode(struct device *dev, const int *size, struct outputs *out)
{
    struct attention a = attention_of(size);
    struct inputs in = inputs_of(dev, a, 1.7);
    struct tensor o = like(dev, in.q), k_cache = like(dev, in.k), v_cache = like(dev, in.v), all = like(dev, in.q);
    struct tensor lse = device_tensor(dev, in.q.rows, a.n_head), at = device_ids(dev, a.B, 1);
    struct tensor row_q = device_tensor(dev, a.B, in.q.cols), row_o = device_tensor(dev, a.B, in.q.cols);
    struct tensor row_k = device_tensor(dev, a.B, in.k.cols), row_v = device_tensor(dev, a.B, in.k.cols);
    struct tensor slots = device_ids(dev, a.B, 1);
    for (int32_t r = 0; r < a.B; r++)
        device_put_ids(dev, slots, r, 1, &r);
    op_attention(dev, all, lse, in.q, in.k, in.v, a);
    for (int32_t t = 0; t < a.T; t++) {
        for (int r = 0; r < a.B; r++) {
            device_put_ids(dev, at, r, 1, &t);
            op_copy(dev, tensor_rows(row_q, r, 1), tensor_rows(in.q, (int64_t)r * a.T + t, 1));
            op_copy(dev, tensor_rows(row_k, r, 1), tensor_rows(in.k, (int64_t)r * a.T + t, 1));
            op_copy(dev, tensor_rows(row_v, r, 1), tensor_rows(in.v, (int64_t)r * a.T + t, 1));
        }
        op_cache_put(dev, k_cache, row_k, slots, at, a.T);
        op_cache_put(dev, v_cache, row_v, slots, at, a.T);
        op_attention_decode(dev, row_o, row_q, k_cache, v_cache, slots, at, a);
        for (int r = 0; r < a.B; r++)
            op_copy(dev, tensor_rows(o, (int64_t)r * a.T + t, 1), tensor_rows(row_o, r, 1));
    }
    double *one = values_of(dev, o), *whole = values_of(dev, all);
    for (int64_t i = 0; i < o.rows * o.cols; i++)
        if (!(fabs(one[i] - whole[i]) <= 1e-5))
            fail_msg("element %d is %g decoding and %g in the forward pass", (int)i, one[i], whole[i]);
    free(one);
    free(whole);
    keep(out, dev, "o", o, BOUND_ABSOLUTE, 1e-5);
    keep(out, dev, "k_cache", k_cache, BOUND_ABSOLUTE, 0);
    keep(out, dev, "v_cache", v_cache, BOUND_ABSOLUTE, 0);
}

static void test_decode(void **state)
{
    (void)state;
    hold(decode, {1, 1, 1, 1, 32, 0});
    hold(decode, {2, 37, 4, 2, 32, 0});
    hold(decode, {3, 20, 2, 1, 64, 4});
    hold(decode, {1, 70, 2, 2, 120, 0});
    hold(decode, {1, 20, 2, 2, 128, 25});
    hold(decode, {2, 9, 3, 1, 10, 0});
}

// Few rows, in any slots of a larger cache: what they write and read lies there, and other slots stay as they are. Then a slot is
// copied to another one, from the cache to itself, and answers the same.
static void scattered(struct device *dev, const int *size, struct outputs *out)
{
    enum { SLOTS = 6, R = 3 };
    static const int32_t slots_of[R] = {4, 0, 2}, copies_of[R] = {5, 1, 3};
    struct attention a = attention_of(size);
    int64_t Ckv = (int64_t)a.n_kv_head * a.head_dim, C = (int64_t)a.n_head * a.head_dim;
    struct tensor k_cache = filled(dev, SLOTS * (int64_t)a.T, Ckv, 1, 1), v_cache = filled(dev, SLOTS * (int64_t)a.T, Ckv, 2, 1);
    struct tensor q = filled(dev, R, C, 3, 1), k = filled(dev, R, Ckv, 4, 1), v = filled(dev, R, Ckv, 5, 1);
    struct tensor o = device_tensor(dev, R, C), copy = device_tensor(dev, R, C), at = device_ids(dev, R, 1);
    struct tensor slots = device_ids(dev, R, 1), copies = device_ids(dev, R, 1);
    struct tensor to = device_ids(dev, a.T, 1), all = device_ids(dev, a.T, 1);
    assert_int_equal(a.B, R);
    device_put_ids(dev, slots, 0, R, slots_of);
    device_put_ids(dev, copies, 0, R, copies_of);
    for (int32_t r = 0; r < R; r++)
        device_put_ids(dev, at, r, 1, &(int32_t){(r + 1) * a.T / (R + 1)});
    op_cache_put(dev, k_cache, k, slots, at, a.T);
    op_cache_put(dev, v_cache, v, slots, at, a.T);
    op_attention_decode(dev, o, q, k_cache, v_cache, slots, at, a);
    for (int32_t t = 0; t < a.T; t++)
        device_put_ids(dev, all, t, 1, &t);
    for (int r = 0; r < R; r++) {
        for (int32_t t = 0; t < a.T; t++)
            device_put_ids(dev, to, t, 1, &copies_of[r]);
        op_cache_put(dev, k_cache, tensor_rows(k_cache, (int64_t)slots_of[r] * a.T, a.T), to, all, a.T);
        op_cache_put(dev, v_cache, tensor_rows(v_cache, (int64_t)slots_of[r] * a.T, a.T), to, all, a.T);
    }
    op_attention_decode(dev, copy, q, k_cache, v_cache, copies, at, a);
    assert_same_bits("a copied slot", device_isa(dev), o, copy);
    keep(out, dev, "o", o, BOUND_ABSOLUTE, 1e-5);
    keep(out, dev, "k_cache", k_cache, BOUND_ABSOLUTE, 0);
    keep(out, dev, "v_cache", v_cache, BOUND_ABSOLUTE, 0);
}

static void test_slots(void **state)
{
    (void)state;
    hold(scattered, {3, 1, 1, 1, 32, 0});
    hold(scattered, {3, 37, 4, 2, 32, 0});
    hold(scattered, {3, 130, 2, 1, 64, 4});
    hold(scattered, {3, 9, 3, 1, 10, 0});
}

// Rows of a decoded batch stand at positions and in slots of their own and may be alone or together.
static void test_decode_bits(void **state)
{
    (void)state;
    enum { R = 5, CAPACITY = 80, H = 4, KV = 2, D = 40 };
    static const int32_t positions[R] = {0, 79, 33, 64, 7}, slots_of[R] = {3, 1, 4, 0, 2};
    for (size_t i = 0; i < countof(isas); i++) {
        struct device *dev = open_isa(isas[i], 2);
        if (!dev)
            continue;
        struct attention a = {.B = R, .T = CAPACITY, .n_head = H, .n_kv_head = KV, .head_dim = D};
        struct tensor k = filled(dev, R * CAPACITY, KV * D, 1, 1), v = filled(dev, R * CAPACITY, KV * D, 2, 1);
        struct tensor q = filled(dev, R, H * D, 3, 1), o = device_tensor(dev, R, H * D), alone = device_tensor(dev, 1, H * D);
        struct tensor at = device_ids(dev, R, 1), slots = device_ids(dev, R, 1), first = device_ids(dev, 1, 1);
        device_put_ids(dev, at, 0, R, positions);
        device_put_ids(dev, slots, 0, R, slots_of);
        op_attention_decode(dev, o, q, k, v, slots, at, a);
        a.B = 1;
        for (int r = 0; r < R; r++) {
            op_attention_decode(dev, alone, tensor_rows(q, r, 1), tensor_rows(k, slots_of[r] * CAPACITY, CAPACITY),
                                tensor_rows(v, slots_of[r] * CAPACITY, CAPACITY), first, tensor_rows(at, r, 1), a);
            assert_same_bits("attention_decode", isas[i], tensor_rows(o, r, 1), alone);
        }
        assert_no_fault(dev);
        device_close(dev);
    }
}

// A sequence alone, and a query whose later neighbours are missing, give the bits of the batch.
static void test_sequence_bits(void **state)
{
    (void)state;
    static const int sizes[][6] = {{3, 70, 4, 2, 32, 0}, {3, 45, 2, 2, 64, 10}};
    for (size_t s = 0; s < countof(sizes); s++)
        for (size_t i = 0; i < countof(isas); i++) {
            struct device *dev = open_isa(isas[i], 2);
            if (!dev)
                continue;
            struct attention a = attention_of(sizes[s]);
            int64_t T = a.T;
            struct inputs in = inputs_of(dev, a, 1.7);
            struct tensor o = like(dev, in.q), lse = device_tensor(dev, in.q.rows, a.n_head);
            struct tensor dq = like(dev, in.q), dk = like(dev, in.k), dv = like(dev, in.v);
            op_attention(dev, o, lse, in.q, in.k, in.v, a);
            op_attention_back(dev, dq, dk, dv, in.dout, in.q, in.k, in.v, o, lse, a);
            a.B = 1;
            for (int b = 0; b < 3; b++) {
                struct tensor q = tensor_rows(in.q, b * T, T), k = tensor_rows(in.k, b * T, T), v = tensor_rows(in.v, b * T, T);
                struct tensor o1 = like(dev, q), lse1 = device_tensor(dev, T, a.n_head);
                struct tensor dq1 = like(dev, q), dk1 = like(dev, k), dv1 = like(dev, v);
                op_attention(dev, o1, lse1, q, k, v, a);
                op_attention_back(dev, dq1, dk1, dv1, tensor_rows(in.dout, b * T, T), q, k, v, o1, lse1, a);
                assert_same_bits("attention", isas[i], tensor_rows(o, b * T, T), o1);
                assert_same_bits("attention's lse", isas[i], tensor_rows(lse, b * T, T), lse1);
                assert_same_bits("dq", isas[i], tensor_rows(dq, b * T, T), dq1);
                assert_same_bits("dk", isas[i], tensor_rows(dk, b * T, T), dk1);
                assert_same_bits("dv", isas[i], tensor_rows(dv, b * T, T), dv1);
            }
            a.T = 31;
            struct tensor start = device_tensor(dev, 31, in.q.cols), start_lse = device_tensor(dev, 31, a.n_head);
            op_attention(dev, start, start_lse, tensor_rows(in.q, 0, 31), tensor_rows(in.k, 0, 31), tensor_rows(in.v, 0, 31), a);
            assert_same_bits("the start of a sequence", isas[i], tensor_rows(o, 0, 31), start);
            assert_no_fault(dev);
            device_close(dev);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),     cmocka_unit_test(test_window), cmocka_unit_test(test_sharp_attention),
        cmocka_unit_test(test_decode),        cmocka_unit_test(test_slots),  cmocka_unit_test(test_decode_bits),
        cmocka_unit_test(test_sequence_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
