// Precision bf16: the rounding itself, every operation that rounds held to ref under the same precision, and the same bits of products
// on every path, with any number of threads, and however a batch is cut.
#include "kernels/bf16.h"

#include "tests/unit/kernels/check.h"

// --- the rounding -------------------------------------------------------------------------------------------------------------

static float of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

// By what the rule says: of the two neighbours with eight digits the nearer one, or the even one.
static double nearest(double x)
{
    if (x != x || fabs(x) < 0x1p-126)
        return x != x ? x : copysign(0, x);
    int exponent;
    double digits = frexp(fabs(x), &exponent) * 256, below = floor(digits), rest = digits - below;
    below += rest > 0.5 || (rest == 0.5 && fmod(below, 2) == 1);
    double y = ldexp(below, exponent - 8);
    return copysign(y >= 0x1p128 ? INFINITY : y, x);
}

static const uint32_t corners[] = {0,          1,          0x007fffff, 0x00800000, 0x00807fff, 0x00808000, 0x00808001,
                                   0x00818000, 0x3f800000, 0x3f808000, 0x3f818000, 0x3f817fff, 0x7f7f7fff, 0x7f7f8000,
                                   0x7f7fffff, 0x7f800000, 0x7f800001, 0x7f80ffff, 0x7fc00000, 0x7fffffff};
enum { SAMPLES = 1 << 16 };

static float sample(int i)
{
    int n = (int)countof(corners);
    if (i < 2 * n)
        return of_bits(corners[i / 2] | (uint32_t)(i % 2) << 31);
    return of_bits((uint32_t)i * 2654435761u);
}

static void test_rounding(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        float x = sample(i), y = bf16_round(x);
        double want = nearest(x), wide = bf16_round_f64(x);
        if (isnan(want) ? !isnan(y) || !isnan(wide) : bits_of(y) != bits_of((float)want) || bits_of((float)wide) != bits_of(y))
            fail_msg("%a becomes %a and %a, and should be %a", x, y, wide, want);
        assert_int_equal(bits_of(y) & 0xffff, 0);
        assert_int_equal(signbit(y) != 0, signbit(x) != 0);
    }
    // Between float32 numbers: a double is not rounded twice.
    assert_true(bf16_round_f64(1 + 0x1p-8 + 0x1p-40) == 1 + 0x1p-7 && bf16_round_f64(1 + 0x1p-8) == 1);
}

// The paths' own rounding, seen where a row of the embedding is read: of 1 to 40 columns, so that every tail is met.
static void test_rounding_of_paths(void **state)
{
    (void)state;
    float *from = calloc(SAMPLES, sizeof *from), *to = calloc(SAMPLES, sizeof *to);
    assert_true(from && to);
    for (int i = 0; i < SAMPLES; i++)
        from[i] = sample(i);
    for (size_t k = 0; k < countof(isas_bf16); k++)
        for (int cols = 1; cols <= 40; cols++) {
            struct device *dev = open_path(isas_bf16[k], 1, PRECISION_BF16);
            if (!dev)
                continue;
            int rows = SAMPLES / 40;
            struct weight table = {.master = device_tensor(dev, rows, cols)};
            struct tensor x = device_tensor(dev, rows, cols), ids = device_ids(dev, rows, 1);
            for (int32_t i = 0; i < rows; i++)
                device_put_ids(dev, ids, i, 1, &i);
            device_put(dev, table.master, 0, (int64_t)rows * cols, from);
            op_embed(dev, x, &table, ids);
            device_get(dev, to, x, 0, (int64_t)rows * cols);
            for (int i = 0; i < rows * cols; i++)
                if (bits_of(to[i]) != bits_of(bf16_round(from[i])))
                    fail_msg("%s makes %a of %a", isas_bf16[k], to[i], from[i]);
            assert_no_fault(dev);
            device_close(dev);
        }
    free(from);
    free(to);
}

// --- held to ref --------------------------------------------------------------------------------------------------------------

// Rows of x and w have norms of about 1: float32's bound, for products of rounded numbers are exact and sums are float32's.
static void products(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0], I = size[1], O = size[2], T = size[3];
    double by_i = sqrt(3.0 / I), by_o = sqrt(3.0 / O), by_n = sqrt(3.0 / (N + 1)), limit = 1e-6;
    struct tensor x = filled(dev, N, I, 1, by_i), y = device_tensor(dev, N, O), more = filled(dev, N, O, 5, 1);
    struct weight w = filled_weight(dev, O, I, 2, by_i), w_back = filled_weight(dev, O, I, 2, by_o);
    struct tensor a = device_tensor(dev, N, O), r = device_tensor(dev, N, O), logits = device_tensor(dev, N, O);
    struct tensor dy = filled(dev, N, O, 3, by_o), dx = device_tensor(dev, N, I), dx_more = filled(dev, N, I, 6, 1);
    struct tensor dy_n = filled(dev, N, O, 7, by_n), x_n = filled(dev, N, I, 8, by_n), dw = filled(dev, O, I, 9, 1);
    op_matmul(dev, y, x, &w, false);
    op_matmul(dev, more, x, &w, true);
    op_matmul_relu2(dev, a, r, x, &w);
    op_matmul_dx(dev, dx, dy, &w_back, false);
    op_matmul_dx(dev, dx_more, dy, &w_back, true);
    op_matmul_dw(dev, dw, dy_n, x_n, T);
    op_logits(dev, logits, x, &w, O, 15);
    keep(out, dev, "y", y, BOUND_ABSOLUTE, limit);
    keep(out, dev, "y +=", more, BOUND_ABSOLUTE, limit);
    keep(out, dev, "a", a, BOUND_ABSOLUTE, 1e-2); // rounded: a step of 2^-8 where ref comes to lie on the other side of a tie
    keep(out, dev, "r", r, BOUND_ABSOLUTE, 5e-3);
    keep(out, dev, "dx", dx, BOUND_ABSOLUTE, limit);
    keep(out, dev, "dx +=", dx_more, BOUND_ABSOLUTE, limit);
    keep(out, dev, "dw", dw, BOUND_ABSOLUTE, limit);
    keep(out, dev, "logits", logits, BOUND_ABSOLUTE, 2e-6);
}

static void test_products(void **state)
{
    (void)state;
    hold_bf16(products, {0, 16, 16, 4});
    hold_bf16(products, {1, 1, 1, 1});
    hold_bf16(products, {1, 64, 64, 1});
    hold_bf16(products, {2, 17, 5, 1});
    hold_bf16(products, {9, 33, 65, 3});
    hold_bf16(products, {13, 257, 31, 13});
    hold_bf16(products, {7, 100, 300, 7});
    hold_bf16(products, {98, 129, 33, 49});
    hold_bf16(products, {193, 40, 70, 193});
    hold_bf16(products, {33, 1030, 50, 11});
    hold_bf16(products, {5, 8, 4200, 5});
    hold_bf16(products, {3, 5120, 20, 3});
    hold_bf16(products, {600, 18, 40, 300});
}

// What is rounded on the way can come to lie on the other side of a tie than ref's: a step of 2^-8 of a number among many.
static void attention(struct device *dev, const int *size, struct outputs *out)
{
    struct attention a = {
        .B = size[0], .T = size[1], .n_head = size[2], .n_kv_head = size[3], .head_dim = size[4], .window = size[5]};
    int64_t N = (int64_t)a.B * a.T, C = (int64_t)a.n_head * a.head_dim, K = (int64_t)a.n_kv_head * a.head_dim;
    struct tensor q = filled(dev, N, C, 1, 1.7), k = filled(dev, N, K, 2, 1.7), v = filled(dev, N, K, 3, 1);
    struct tensor dout = filled(dev, N, C, 4, 1), o = device_tensor(dev, N, C), lse = device_tensor(dev, N, a.n_head);
    struct tensor dq = filled(dev, N, C, 5, 1), dk = filled(dev, N, K, 6, 1), dv = device_tensor(dev, N, K);
    op_attention(dev, o, lse, q, k, v, a);
    op_attention_back(dev, dq, dk, dv, dout, q, k, v, o, lse, a);
    keep(out, dev, "o", o, BOUND_ABSOLUTE, 5e-3);
    keep(out, dev, "lse", lse, BOUND_ABSOLUTE, 1e-5);
    keep(out, dev, "dq", dq, BOUND_TENSOR, 1.5e-3);
    keep(out, dev, "dk", dk, BOUND_TENSOR, 1.5e-3);
    keep(out, dev, "dv", dv, BOUND_TENSOR, 2e-4);
}

static void decoded(struct device *dev, const int *size, struct outputs *out)
{
    struct attention a = {
        .B = size[0], .T = size[1], .n_head = size[2], .n_kv_head = size[3], .head_dim = size[4], .window = size[5]};
    int64_t C = (int64_t)a.n_head * a.head_dim, K = (int64_t)a.n_kv_head * a.head_dim, rows = (int64_t)a.B * a.T;
    struct tensor caches[2] = {device_tensor(dev, rows, K), device_tensor(dev, rows, K)};
    struct tensor q = filled(dev, a.B, C, 1, 1.7), o = device_tensor(dev, a.B, C);
    struct tensor slots = device_ids(dev, rows, 1), positions = device_ids(dev, rows, 1), last = filled_ids(dev, a.B, 9, a.T);
    for (int32_t i = 0; i < rows; i++) {
        device_put_ids(dev, slots, i, 1, &(int32_t){i / a.T});
        device_put_ids(dev, positions, i, 1, &(int32_t){i % a.T});
    }
    op_cache_put(dev, caches[0], filled(dev, rows, K, 2, 1.7), slots, positions, a.T);
    op_cache_put(dev, caches[1], filled(dev, rows, K, 3, 1), slots, positions, a.T);
    struct tensor firsts = device_ids(dev, a.B, 1);
    for (int32_t i = 0; i < a.B; i++)
        device_put_ids(dev, firsts, i, 1, &i);
    op_attention_decode(dev, o, q, caches[0], caches[1], firsts, last, a);
    keep(out, dev, "keys", caches[0], BOUND_ABSOLUTE, 1e-30);
    keep(out, dev, "o", o, BOUND_ABSOLUTE, 1e-3);
}

static void test_attention(void **state)
{
    (void)state;
    hold_bf16(attention, {0, 4, 2, 2, 32, 0});
    hold_bf16(attention, {1, 1, 1, 1, 32, 0});
    hold_bf16(attention, {2, 7, 2, 2, 32, 0});
    hold_bf16(attention, {2, 65, 2, 2, 64, 0});
    hold_bf16(attention, {1, 129, 4, 2, 32, 0});
    hold_bf16(attention, {1, 97, 2, 2, 128, 0});
    hold_bf16(attention, {2, 33, 3, 1, 10, 0});
    hold_bf16(attention, {1, 41, 1, 1, 1, 0});
    hold_bf16(attention, {2, 67, 4, 2, 33, 5});
    hold_bf16(attention, {1, 260, 2, 1, 32, 127});
    hold_bf16(decoded, {1, 1, 1, 1, 8, 0});
    hold_bf16(decoded, {3, 70, 4, 2, 33, 0});
    hold_bf16(decoded, {2, 150, 2, 1, 64, 40});
}

static void norms(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0], H = size[1], D = size[2], C = H * D;
    struct tensor x = filled(dev, N, C, 1, 1), y = device_tensor(dev, N, C), r = device_tensor(dev, N, 1);
    struct tensor dx = filled(dev, N, C, 2, 1), dy = filled(dev, N, C, 3, 1), rh = device_tensor(dev, N, H);
    struct tensor q = device_tensor(dev, N, C), dq = device_tensor(dev, N, C);
    struct tensor cosine = filled(dev, 9, D / 2, 4, 1), sine = filled(dev, 9, D / 2, 5, 1), at = filled_ids(dev, N, 6, 9);
    op_norm(dev, y, r, x, 1e-6f);
    op_norm_back(dev, dx, dy, y, r);
    op_rotary_norm(dev, q, rh, x, cosine, sine, at, H, 1e-6f, 1.2f);
    op_rotary_norm_back(dev, dq, dy, q, rh, cosine, sine, at, H, 1.2f);
    keep(out, dev, "y", y, BOUND_ELEMENT, 8e-3);
    keep(out, dev, "dx", dx, BOUND_TENSOR, 1e-2);
    keep(out, dev, "q", q, BOUND_ELEMENT, 8e-3);
    keep(out, dev, "dq", dq, BOUND_TENSOR, 1e-2);
}

static void test_norms(void **state)
{
    (void)state;
    hold_bf16(norms, {0, 2, 8});
    hold_bf16(norms, {1, 1, 2});
    hold_bf16(norms, {7, 3, 10});
    hold_bf16(norms, {40, 2, 64});
}

static void loss(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0] * size[1], C = size[2];
    struct tensor x = filled(dev, N, C, 1, 1.7), weights = filled(dev, N, 1, 3, 1), targets = filled_ids(dev, N, 4, size[3]);
    struct weight w = filled_weight(dev, size[3], C, 2, 8 / sqrt(C));
    struct tensor losses = device_tensor(dev, N, 1), dx = device_tensor(dev, N, C), dw = filled(dev, size[3], C, 6, 0.01);
    op_loss(dev, losses, dx, dw, x, &w, targets, weights, size[3], 15, size[1]);
    keep(out, dev, "losses", losses, BOUND_ONE_MORE, 2e-6);
    keep(out, dev, "dx", dx, BOUND_TENSOR, 5e-5);
    keep(out, dev, "dw", dw, BOUND_TENSOR, 5e-5);
}

static void test_loss(void **state)
{
    (void)state;
    hold_bf16(loss, {1, 1, 1, 1});
    hold_bf16(loss, {2, 7, 17, 300});
    hold_bf16(loss, {3, 33, 64, 257});
    hold_bf16(loss, {1, 270, 20, 77});
    hold_bf16(loss, {2, 5, 24, 4100});
}

// Five steps stretch what a tie made of a small singular value, up to 3.4 times each.
static void newton_schulz(struct device *dev, const int *size, struct outputs *out)
{
    struct tensor x = filled(dev, size[0], size[1], 1, 0.01);
    op_newton_schulz(dev, x, &newton_schulz_2025);
    keep(out, dev, "x", x, BOUND_TENSOR, 5e-2);
}

static void test_newton_schulz(void **state)
{
    (void)state;
    hold_bf16(newton_schulz, {1, 1});
    hold_bf16(newton_schulz, {2, 3});
    hold_bf16(newton_schulz, {17, 40});
    hold_bf16(newton_schulz, {40, 17});
    hold_bf16(newton_schulz, {64, 256});
    hold_bf16(newton_schulz, {130, 70});
}

// --- bits ---------------------------------------------------------------------------------------------------------------------

enum { N = 78, T = 39, I = 301, O = 70 };

struct results {
    struct tensor y, dx, dw, q;
};

static struct results results_of(struct device *dev, double scale)
{
    struct tensor x = filled(dev, N, I, 1, scale), dy = filled(dev, N, O, 3, scale);
    struct weight w = filled_weight(dev, O, I, 2, scale);
    struct results r = {device_tensor(dev, N, O), device_tensor(dev, N, I), device_tensor(dev, O, I), filled(dev, O, 50, 4, 0.1)};
    op_matmul(dev, r.y, x, &w, false);
    op_matmul_dx(dev, r.dx, dy, &w, false);
    op_matmul_dw(dev, r.dw, dy, x, T);
    assert_no_fault(dev);
    return r;
}

// Numbers of size 1, and of 2^-62: their products have sums below 2^-126, which count as zeros.
static void test_bits_of_paths(void **state)
{
    (void)state;
    static const double scales[] = {1, 0x1p-62, 0x1p-66};
    for (size_t s = 0; s < countof(scales); s++) {
        struct device *first = NULL;
        struct results want = {0};
        for (size_t i = 0; i < countof(isas_bf16); i++) {
            struct device *dev = open_path(isas_bf16[i], 1 + (int)i, PRECISION_BF16);
            // What the portable path rounds twice is below 2^-126 only with the small ones.
            if (!dev || (scales[s] < 1 && i == 0)) {
                device_close(dev);
                continue;
            }
            struct results r = results_of(dev, scales[s]);
            if (first) {
                assert_same_bits("x w^T", isas_bf16[i], want.y, r.y);
                assert_same_bits("dy w", isas_bf16[i], want.dx, r.dx);
                assert_same_bits("dy^T x", isas_bf16[i], want.dw, r.dw);
                device_close(dev);
            } else {
                first = dev;
                want = r;
                double *v = values_of(dev, r.y);
                assert_true((largest_of(v, N * O) > 0) == (scales[s] > 0x1p-64));
                free(v);
            }
        }
        device_close(first);
    }
}

// Attention with and without the instruction, all else being the same: also what is rounded on the way falls on the same side.
static void test_bits_of_attention(void **state)
{
    (void)state;
    enum { B = 2, A = 131, H = 2, D = 40 };
    struct attention a = {.B = B, .T = A, .n_head = H, .n_kv_head = 1, .head_dim = D};
    struct tensor made[2][4];
    struct device *devs[2] = {open_path("avx512", 1, PRECISION_BF16), open_path("avx512bf16", 2, PRECISION_BF16)};
    for (int i = 0; i < 2 && devs[0] && devs[1]; i++) {
        struct device *dev = devs[i];
        struct tensor q = filled(dev, B * A, H * D, 1, 1.7), k = filled(dev, B * A, D, 2, 1.7), v = filled(dev, B * A, D, 3, 1);
        struct tensor dout = filled(dev, B * A, H * D, 4, 1), lse = device_tensor(dev, B * A, H);
        made[i][0] = device_tensor(dev, B * A, H * D);
        made[i][1] = device_tensor(dev, B * A, H * D);
        made[i][2] = device_tensor(dev, B * A, D);
        made[i][3] = device_tensor(dev, B * A, D);
        op_attention(dev, made[i][0], lse, q, k, v, a);
        op_attention_back(dev, made[i][1], made[i][2], made[i][3], dout, q, k, v, made[i][0], lse, a);
        assert_no_fault(dev);
    }
    static const char *const names[4] = {"o", "dq", "dk", "dv"};
    for (int i = 0; i < 4 && devs[0] && devs[1]; i++)
        assert_same_bits(names[i], "avx512bf16", made[0][i], made[1][i]);
    device_close(devs[0]);
    device_close(devs[1]);
}

static void test_bits_of_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(isas_bf16); i++) {
        struct device *dev = open_path(isas_bf16[i], 2, PRECISION_BF16);
        if (!dev)
            continue;
        struct results whole = results_of(dev, 1);
        struct tensor x = filled(dev, N, I, 1, 1), dy = filled(dev, N, O, 3, 1), dw = device_tensor(dev, O, I);
        struct weight w = filled_weight(dev, O, I, 2, 1);
        for (int from = 0, n = 1; from < N; from += n, n = n == 1 ? 38 : 39) {
            struct tensor y = device_tensor(dev, n, O), dx = device_tensor(dev, n, I);
            op_matmul(dev, y, tensor_rows(x, from, n), &w, false);
            op_matmul_dx(dev, dx, tensor_rows(dy, from, n), &w, false);
            assert_same_bits("x w^T", isas_bf16[i], tensor_rows(whole.y, from, n), y);
            assert_same_bits("dy w", isas_bf16[i], tensor_rows(whole.dx, from, n), dx);
        }
        for (int from = 0; from < N; from += T)
            op_matmul_dw(dev, dw, tensor_rows(dy, from, T), tensor_rows(x, from, T), T);
        assert_same_bits("dy^T x", isas_bf16[i], whole.dw, dw);
        assert_no_fault(dev);
        device_close(dev);
    }
}

// --- what is stored -----------------------------------------------------------------------------------------------------------

// Every operation that takes kept tensors, in a row: those are of device_kept, or of the device's type.
static void on_stored(struct device *dev, bool kept, struct outputs *out)
{
    enum {
        B = 3,
        LENGTH = 37,
        H = 2,
        KV = 1,
        D = 18,
        C = H * D,
        M = 50,
        V = 301,
        ROWS = B * LENGTH,
        R = 5,
        K = 7,
        CAPACITY = 40
    };
    struct tensor (*made)(struct device *, int64_t, int64_t) = kept ? device_kept : device_tensor;
    struct attention a = {.B = B, .T = LENGTH, .n_head = H, .n_kv_head = KV, .head_dim = D, .window = 20}, one = a;
    struct weight wq = filled_weight(dev, C, C, 1, 0.3), up = filled_weight(dev, M, C, 2, 0.3),
                  head = filled_weight(dev, V, C, 3, 0.3);
    struct weight values = filled_weight(dev, V, KV * D, 4, 1), gate = filled_weight(dev, KV, K, 5, 0.5);
    struct tensor x = filled(dev, ROWS, C, 6, 1), r1 = device_tensor(dev, ROWS, 1), n1 = made(dev, ROWS, C),
                  sums = device_tensor(dev, ROWS, C);
    struct tensor q = made(dev, ROWS, C), k = made(dev, ROWS, KV * D), v = made(dev, ROWS, KV * D), o = made(dev, ROWS, C);
    struct tensor rq = device_tensor(dev, ROWS, H), lse = device_tensor(dev, ROWS, H), act = made(dev, ROWS, M),
                  r = made(dev, ROWS, M);
    struct tensor cosine = filled(dev, LENGTH, D / 2, 7, 1), sine = filled(dev, LENGTH, D / 2, 8, 1),
                  at = filled_ids(dev, ROWS, 9, LENGTH);
    struct tensor ids = filled_ids(dev, ROWS, 10, V), targets = filled_ids(dev, ROWS, 11, V),
                  weights = filled(dev, ROWS, 1, 12, 1);
    op_norm(dev, n1, r1, x, 1e-6f);
    op_matmul(dev, sums, n1, &wq, false);
    op_rotary_norm(dev, q, rq, sums, cosine, sine, at, H, 1e-6f, 1.2f);
    struct tensor v_sums = device_tensor(dev, ROWS, KV * D), s = device_tensor(dev, ROWS, KV);
    op_value_embed(dev, v_sums, s, n1, &values, ids, &gate, 3);
    op_copy(dev, v, v_sums);
    op_copy(dev, k, filled(dev, ROWS, KV * D, 13, 1.7));
    op_attention(dev, o, lse, q, k, v, a);
    op_matmul_relu2(dev, act, r, n1, &up);
    struct tensor losses = device_tensor(dev, ROWS, 1), dx = device_tensor(dev, ROWS, C), dhead = filled(dev, V, C, 14, 0.01);
    op_loss(dev, losses, dx, dhead, o, &head, targets, weights, V, 15, LENGTH);
    struct tensor da = filled(dev, ROWS, M, 15, 1), dup = device_tensor(dev, M, C), dn = device_tensor(dev, ROWS, C);
    op_relu2_back(dev, da, da, r);
    op_matmul_dw(dev, dup, da, n1, LENGTH);
    op_norm_back(dev, dn, dx, n1, r1);
    struct tensor dq = device_tensor(dev, ROWS, C), dk = device_tensor(dev, ROWS, KV * D), dv = device_tensor(dev, ROWS, KV * D);
    op_attention_back(dev, dq, dk, dv, dx, q, k, v, o, lse, a);
    op_rotary_norm_back(dev, dq, dq, q, rq, cosine, sine, at, H, 1.2f);
    struct tensor dvalues = device_tensor(dev, V, KV * D), dgate = device_tensor(dev, KV, K);
    op_value_embed_back(dev, dn, dvalues, dgate, dv, s, n1, &values, ids, &gate, 3, LENGTH);
    keep(out, dev, "n1", n1, BOUND_ABSOLUTE, 1);
    keep(out, dev, "o", o, BOUND_ABSOLUTE, 1);
    keep(out, dev, "act", act, BOUND_ABSOLUTE, 1);
    keep(out, dev, "losses", losses, BOUND_ABSOLUTE, 1);
    keep(out, dev, "dhead", dhead, BOUND_ABSOLUTE, 1);
    keep(out, dev, "dup", dup, BOUND_ABSOLUTE, 1);
    keep(out, dev, "dn", dn, BOUND_ABSOLUTE, 1);
    keep(out, dev, "dq", dq, BOUND_ABSOLUTE, 1);
    keep(out, dev, "dgate", dgate, BOUND_ABSOLUTE, 1);

    struct tensor caches[2] = {made(dev, R * CAPACITY, KV * D), made(dev, R * CAPACITY, KV * D)}, few = tensor_rows(n1, 2, R);
    struct tensor slots = device_ids(dev, LENGTH, 1), last = device_ids(dev, R, 1), rows = made(dev, R, C),
                  in_order = device_ids(dev, LENGTH, 1);
    one.B = R, one.T = CAPACITY;
    for (int32_t t = 0; t < LENGTH; t++)
        device_put_ids(dev, in_order, t, 1, &t);
    for (int32_t slot = 0; slot < R; slot++) {
        for (int32_t t = 0; t < LENGTH; t++)
            device_put_ids(dev, slots, t, 1, &slot);
        op_cache_put(dev, caches[0], tensor_rows(k, slot % B * LENGTH, LENGTH), slots, in_order, CAPACITY);
        op_cache_put(dev, caches[1], tensor_rows(v, slot % B * LENGTH, LENGTH), slots, in_order, CAPACITY);
        device_put_ids(dev, last, slot, 1, &(int32_t){7 * slot + 2});
    }
    for (int32_t slot = 0; slot < R; slot++)
        device_put_ids(dev, slots, slot, 1, &slot);
    struct tensor o_few = device_tensor(dev, R, C), logits = device_tensor(dev, R, V);
    op_attention_decode(dev, o_few, tensor_rows(sums, 0, R), caches[0], caches[1], tensor_rows(slots, 0, R), last, one);
    op_embed(dev, rows, &(struct weight){.master = few}, tensor_rows(slots, 0, R));
    op_logits(dev, logits, rows, &head, V, 15);
    keep(out, dev, "decoded", o_few, BOUND_ABSOLUTE, 1);
    keep(out, dev, "logits", logits, BOUND_ABSOLUTE, 1);
}

// The same numbers wherever they are kept.
static void test_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(isas_bf16); i++) {
        struct device *devs[2] = {open_path(isas_bf16[i], 1, PRECISION_BF16), open_path(isas_bf16[i], 3, PRECISION_BF16)};
        struct outputs made[2] = {0};
        for (int kept = 0; kept < 2 && devs[0]; kept++) {
            on_stored(devs[kept], kept, &made[kept]);
            assert_no_fault(devs[kept]);
        }
        for (int k = 0; k < made[0].n; k++) {
            size_t bytes = (size_t)(made[0].list[k].rows * made[0].list[k].cols) * sizeof(double);
            if (memcmp(made[0].list[k].values, made[1].list[k].values, bytes))
                fail_msg("%s: '%s' depends on how it is stored", isas_bf16[i], made[0].list[k].name);
        }
        assert_true(!devs[0] || device_kept(devs[1], 1, 1).dtype == DTYPE_BF16);
        drop(&made[0]);
        drop(&made[1]);
        device_close(devs[0]);
        device_close(devs[1]);
    }
    struct device *dev = open_device(DEVICE_CPU, 1);
    assert_int_equal(device_kept(dev, 1, 1).dtype, DTYPE_F32);
    struct weight w = device_weight(dev, 3, 2);
    assert_int_equal(w.prepared.rows, 0);
    device_weight_copy(dev, &w);
    assert_true(w.prepared.rows >= 3 && w.prepared.dtype == DTYPE_F32);
    device_close(dev);
}

// Weights that are prepared, and the same that are not: of few rows and many, of one block of K and several, of odd sizes.
static void check_prepared(const char *isa, enum precision precision)
{
    static const int sizes[][3] = {{1, 16, 32}, {1, 1030, 70}, {5, 301, 33}, {33, 512, 100}, {70, 257, 200}, {300, 64, 4300}};
    for (size_t i = 0; i < countof(sizes); i++) {
        struct device *dev = open_path(isa, 2, precision);
        if (!dev)
            return;
        int rows = sizes[i][0], I_ = sizes[i][1], O_ = sizes[i][2];
        struct weight prepared = filled_weight(dev, O_, I_, 1, 1), plain = {.master = prepared.master};
        device_weight_copy(dev, &prepared);
        op_weight_prepare(dev, &prepared);
        bool halves = precision == PRECISION_BF16 && !device_emulates(dev);
        assert_true(prepared.prepared.data && prepared.prepared.dtype == (halves ? DTYPE_BF16 : DTYPE_F32));
        struct tensor x = device_kept(dev, rows, I_), made[2][4];
        fill(dev, x, 2, 1);
        for (int k = 0; k < 2; k++) {
            for (int j = 0; j < 4; j++)
                made[k][j] = j == 1 || j == 2 ? device_kept(dev, rows, O_) : device_tensor(dev, rows, O_);
            const struct weight *w = k ? &plain : &prepared;
            op_matmul(dev, made[k][0], x, w, false);
            op_matmul_relu2(dev, made[k][1], made[k][2], x, w);
            op_logits(dev, made[k][3], x, w, O_, 15);
        }
        for (int j = 0; j < 4; j++)
            assert_same_bits("a product", isa, made[0][j], made[1][j]);
        assert_no_fault(dev);
        device_close(dev);
    }
}

static void test_prepared(void **state)
{
    (void)state;
    static const char *const paths[] = {"portable", "avx2", "avx512", "avx512bf16"};
    for (size_t i = 0; i < countof(paths); i++) {
        check_prepared(paths[i], PRECISION_BF16);
        if (strcmp(paths[i], "avx512bf16") != 0)
            check_prepared(paths[i], PRECISION_F32);
    }
}

// --- the device ---------------------------------------------------------------------------------------------------------------

static void test_device(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_CPU, 1);
    assert_int_equal(device_precision(dev), PRECISION_F32);
    assert_false(device_emulates(dev));
    device_set_precision(dev, PRECISION_BF16);
    assert_int_equal(device_precision(dev), PRECISION_BF16);
    assert_int_equal(device_emulates(dev), strcmp(device_isa(dev), "avx512bf16") != 0);
    device_set_precision(dev, PRECISION_F32);
    assert_string_not_equal(device_isa(dev), "avx512bf16");
    device_tensor(dev, 1, 1);
    device_set_precision(dev, PRECISION_BF16);
    assert_int_equal(device_fault(dev).kind, FAULT_DEVICE);
    assert_int_equal(device_precision(dev), PRECISION_F32);
    device_close(dev);
    dev = open_path("avx2", 1, PRECISION_BF16); // a path without the instruction
    assert_true(!dev || device_emulates(dev));
    device_close(dev);
}

// What is held of weights is foreseen by count to the byte, where bfloat16 is multiplied as such and where it is not: bytes of a master
// and its copy, as they are made and once there are copies for decoding.
static void test_foreseen(void **state)
{
    (void)state;
    enum { ROWS = 64, COLS = 30, NUMBERS = ROWS * COLS };
    static const char *const paths[] = {"portable", "avx2", "avx512", "avx512bf16"};
    for (size_t i = 0; i < countof(paths); i++)
        for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
            enum precision precision = is_bf16 ? PRECISION_BF16 : PRECISION_F32;
            struct device *devs[2] = {open_path(paths[i], 1, precision)};
            if (!devs[0])
                continue;
            setenv("RETORT_ISA", paths[i], 1);
            devs[1] = open_device(DEVICE_COUNT, 1);
            device_set_precision(devs[1], precision);
            unsetenv("RETORT_ISA");
            size_t made[2], copied[2], halves = is_bf16 && !device_emulates(devs[0]);
            for (int k = 0; k < 2; k++) {
                struct weight w = device_weight(devs[k], ROWS, COLS);
                made[k] = device_mark(devs[k]);
                device_weight_copy(devs[k], &w);
                copied[k] = device_mark(devs[k]);
                assert_no_fault(devs[k]);
                device_close(devs[k]);
            }
            assert_int_equal(made[0], NUMBERS * (halves ? 6 : 4));
            assert_int_equal(copied[0], NUMBERS * (halves ? 6 : 8));
            assert_int_equal(made[1], made[0]);
            assert_int_equal(copied[1], copied[0]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding),      cmocka_unit_test(test_rounding_of_paths),
        cmocka_unit_test(test_products),      cmocka_unit_test(test_attention),
        cmocka_unit_test(test_loss),          cmocka_unit_test(test_newton_schulz),
        cmocka_unit_test(test_norms),         cmocka_unit_test(test_stored),
        cmocka_unit_test(test_prepared),      cmocka_unit_test(test_bits_of_attention),
        cmocka_unit_test(test_bits_of_paths), cmocka_unit_test(test_bits_of_pieces),
        cmocka_unit_test(test_device),        cmocka_unit_test(test_foreseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
