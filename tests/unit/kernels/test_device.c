// The device itself: tensors, marks, numbers in and out, faults that stay and say what is wrong, and what count counts.
#include "tests/unit/kernels/check.h"

#include <unistd.h>

static const enum device_kind kinds[] = {DEVICE_CPU, DEVICE_REF, DEVICE_COUNT};

static void test_open(void **state)
{
    (void)state;
    struct fault fault;
    assert_null(device_open(DEVICE_KIND_COUNT, 1, &fault));
    assert_int_equal(fault.kind, FAULT_NOT_BUILT);
    setenv("RETORT_ISA", "mmx", 1);
    assert_null(device_open(DEVICE_CPU, 1, &fault));
    assert_int_equal(fault.kind, FAULT_DEVICE);
    assert_non_null(strstr(fault.what, "portable, avx2, avx512 or avx512bf16"));
    setenv("RETORT_ISA", "portable", 1);
    struct device *dev = open_device(DEVICE_CPU, 3);
    assert_string_equal(device_isa(dev), "portable");
    assert_int_equal(device_threads(dev), 3);
    assert_int_equal(device_dtype(dev), DTYPE_F32);
    device_close(dev);
    unsetenv("RETORT_ISA");
    dev = open_device(DEVICE_CPU, 0);
    assert_true(device_threads(dev) >= 1);
    device_close(dev);
    dev = open_device(DEVICE_REF, 5);
    assert_string_equal(device_isa(dev), "double");
    assert_int_equal(device_threads(dev), 1);
    assert_int_equal(device_dtype(dev), DTYPE_F64);
    device_close(dev);
    dev = open_device(DEVICE_COUNT, 1);
    assert_string_equal(device_isa(dev), "count");
    assert_int_equal(device_dtype(dev), DTYPE_F32);
    device_close(dev);
    device_close(NULL);
}

static void test_tensors(void **state)
{
    (void)state;
    for (size_t k = 0; k < countof(kinds); k++) {
        struct device *dev = open_device(kinds[k], 1);
        // Small ones, one larger than a block, small again: zeroed and aligned, also in memory that was used before.
        for (int round = 0; round < 3; round++) {
            size_t mark = device_mark(dev);
            for (int i = 0; i < 40; i++) {
                int64_t rows = i == 20 ? 3000000 : i * 700, cols = i == 20 ? 1 : 3;
                struct tensor t = i % 3 ? device_tensor(dev, rows, cols) : device_ids(dev, rows, cols);
                assert_int_equal(t.rows, rows);
                assert_int_equal(t.cols, cols);
                assert_int_equal(t.dtype, i % 3 ? device_dtype(dev) : DTYPE_I32);
                if (kinds[k] == DEVICE_COUNT) {
                    assert_null(t.data);
                    continue;
                }
                assert_non_null(t.data);
                assert_int_equal((uintptr_t)t.data % 64, 0);
                size_t bytes = (size_t)(rows * cols) * (t.dtype == DTYPE_F64 ? 8 : 4);
                const unsigned char *byte = t.data;
                for (size_t b = 0; b < bytes; b += 97)
                    assert_int_equal(byte[b], 0);
                memset(t.data, 0xff, bytes);
            }
            device_reset(dev, mark);
            assert_int_equal(device_mark(dev), mark);
            device_tensor(dev, 10 + round, 1); // so that every round begins elsewhere
        }
        assert_no_fault(dev);
        device_close(dev);
    }
}

// What lies before a mark survives the reset, wherever blocks begin and end.
static void test_mark(void **state)
{
    (void)state;
    struct device *dev = open_device(DEVICE_CPU, 1);
    struct tensor kept = filled(dev, 100, 100, 1, 1);
    double *before = values_of(dev, kept);
    size_t mark = device_mark(dev);
    for (int i = 0; i < 5; i++) {
        filled(dev, 700, 700, 2, 1);
        size_t inner = device_mark(dev);
        filled(dev, 300, 700, 2, 1);
        device_reset(dev, inner);
        filled(dev, 100, 700, 2, 1);
        device_reset(dev, mark);
    }
    double *after = values_of(dev, kept);
    assert_memory_equal(before, after, 100 * 100 * sizeof *before);
    free(before);
    free(after);
    assert_int_equal(device_counts(dev).memory_bytes, (int64_t)mark + (700 + 300) * 700 * 4 + 0);
    device_reset(dev, mark + 64);
    assert_non_null(strstr(device_fault(dev).what, "ahead"));
    device_close(dev);
}

static void test_impossible_tensors(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{-1, 3}, {3, -1}, {INT64_MAX, 2}, {INT64_MAX / 8, 8}, {INT64_MAX / 64, 1}};
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < countof(shapes); i++) {
            struct device *dev = open_device(kinds[k], 1);
            struct tensor t = device_tensor(dev, shapes[i][0], shapes[i][1]);
            assert_null(t.data);
            assert_int_equal(device_fault(dev).kind, FAULT_MEMORY);
            device_close(dev);
        }
}

// More than the machine has is refused before it is touched.
static void test_more_than_there_is(void **state)
{
    (void)state;
    int64_t all = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    char line[128];
    unsigned long long kib;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "SwapTotal: %llu", &kib) == 1)
            all += (int64_t)kib * 1024;
    if (!f || all >= (int64_t)1 << 39)
        skip();
    fclose(f);
    struct device *dev = open_device(DEVICE_CPU, 1);
    assert_null(device_tensor(dev, all / 4, 1).data);
    assert_int_equal(device_fault(dev).kind, FAULT_MEMORY);
    assert_non_null(strstr(device_fault(dev).what, "are left to this process"));
    device_close(dev);
}

static void test_transfers(void **state)
{
    (void)state;
    for (size_t k = 0; k < countof(kinds); k++) {
        struct device *dev = open_device(kinds[k], 1);
        bool is_real = kinds[k] != DEVICE_COUNT;
        struct tensor t = device_tensor(dev, 2, 3), ids = device_ids(dev, 4, 1);
        device_put(dev, t, 1, 3, (const float[]){1.5f, 2.5f, 3.5f});
        device_put_f64(dev, t, 4, 2, (const double[]){1e-3, -7});
        float got[6];
        double wide[6];
        device_get(dev, got, t, 0, 6);
        device_get_f64(dev, wide, t, 0, 6);
        const double want[6] = {0, 1.5, 2.5, 3.5, 1e-3, -7};
        for (int i = 0; i < 6; i++) {
            double value = is_real ? want[i] : 0;
            assert_true(got[i] == (float)value);
            assert_true(wide[i] == (kinds[k] == DEVICE_REF ? value : (double)(float)value));
        }
        device_put_ids(dev, ids, 1, 2, (const int32_t[]){5, -1});
        if (is_real)
            assert_memory_equal(ids.data, ((const int32_t[]){0, 5, -1, 0}), 16);
        device_get(dev, got, t, 6, 0);
        assert_no_fault(dev);
        device_close(dev);
    }
}

// Each makes one mistake on a fresh device; the fault names the operation and says `what`.
static void put_outside(struct device *dev)
{
    device_put(dev, device_tensor(dev, 2, 3), 4, 3, (const float[3]){0});
}

static void get_before(struct device *dev)
{
    float x;
    device_get(dev, &x, device_tensor(dev, 2, 3), -1, 1);
    assert_true(x == 0);
}

static void put_into_ids(struct device *dev)
{
    device_put(dev, device_ids(dev, 2, 3), 0, 1, (const float[1]){0});
}

static void ids_into_floats(struct device *dev)
{
    device_put_ids(dev, device_tensor(dev, 2, 3), 0, 1, (const int32_t[1]){0});
}

static void matmul_shape(struct device *dev)
{
    struct weight w = {.master = device_tensor(dev, 5, 4)};
    op_matmul(dev, device_tensor(dev, 3, 5), device_tensor(dev, 3, 7), &w, false);
}

static void norm_type(struct device *dev)
{
    struct tensor x = device_ids(dev, 3, 4);
    op_norm(dev, x, device_tensor(dev, 3, 1), x, 0);
}

static void add_absent(struct device *dev)
{
    struct tensor x = device_tensor(dev, 2, 2), y = x;
    y.data = NULL;
    op_add(dev, y, x);
}

static void norm_back_alias(struct device *dev)
{
    struct tensor x = device_tensor(dev, 2, 2);
    op_norm_back(dev, x, x, device_tensor(dev, 2, 2), device_tensor(dev, 2, 1));
}

static void embed_range(struct device *dev)
{
    struct weight table = {.master = device_tensor(dev, 5, 4)};
    struct tensor ids = device_ids(dev, 3, 1);
    device_put_ids(dev, ids, 2, 1, &(int32_t){5});
    op_embed(dev, device_tensor(dev, 3, 4), &table, ids);
}

static void rotary_odd(struct device *dev)
{
    struct tensor x = device_tensor(dev, 2, 6), table = device_tensor(dev, 9, 1);
    op_rotary_norm(dev, x, device_tensor(dev, 2, 2), x, table, table, device_ids(dev, 2, 1), 2, 0, 1);
}

static void dw_sequences(struct device *dev)
{
    op_matmul_dw(dev, device_tensor(dev, 4, 4), device_tensor(dev, 7, 4), device_tensor(dev, 7, 4), 3);
}

static void attention_groups(struct device *dev)
{
    struct tensor x = device_tensor(dev, 2, 6);
    op_attention(dev, x, x, x, x, x, (struct attention){.B = 1, .T = 2, .n_head = 3, .n_kv_head = 2, .head_dim = 2});
}

static void decode_position(struct device *dev)
{
    struct tensor q = device_tensor(dev, 1, 2), cache = device_tensor(dev, 4, 2), at = device_ids(dev, 1, 1);
    device_put_ids(dev, at, 0, 1, &(int32_t){4});
    op_attention_decode(dev, q, q, cache, cache, device_ids(dev, 1, 1), at,
                        (struct attention){.B = 1, .T = 4, .n_head = 1, .n_kv_head = 1, .head_dim = 2});
}

static void decode_slot(struct device *dev)
{
    struct tensor q = device_tensor(dev, 1, 2), cache = device_tensor(dev, 8, 2), slots = device_ids(dev, 1, 1);
    device_put_ids(dev, slots, 0, 1, &(int32_t){2});
    op_attention_decode(dev, q, q, cache, cache, slots, device_ids(dev, 1, 1),
                        (struct attention){.B = 1, .T = 4, .n_head = 1, .n_kv_head = 1, .head_dim = 2});
}

static void put_slot(struct device *dev)
{
    struct tensor x = device_tensor(dev, 1, 2), cache = device_tensor(dev, 8, 2), slots = device_ids(dev, 1, 1);
    device_put_ids(dev, slots, 0, 1, &(int32_t){-1});
    op_cache_put(dev, cache, x, slots, device_ids(dev, 1, 1), 4);
}

static void cache_in_parts(struct device *dev)
{
    struct tensor x = device_tensor(dev, 1, 2), ids = device_ids(dev, 1, 1);
    op_cache_put(dev, device_tensor(dev, 7, 2), x, ids, ids, 4);
}

static void loss_target(struct device *dev)
{
    struct weight w = {.master = device_tensor(dev, 8, 2)};
    struct tensor ids = device_ids(dev, 1, 1), one = device_tensor(dev, 1, 1), absent = {.dtype = device_dtype(dev)};
    device_put_ids(dev, ids, 0, 1, &(int32_t){7});
    op_loss(dev, one, absent, absent, device_tensor(dev, 1, 2), &w, ids, one, 7, 15, 1);
}

static void loss_vocabulary(struct device *dev)
{
    struct weight w = {.master = device_tensor(dev, 8, 2)};
    op_logits(dev, device_tensor(dev, 1, 9), device_tensor(dev, 1, 2), &w, 9, 15);
}

static void adamw_before_step(struct device *dev)
{
    struct tensor p = device_tensor(dev, 2, 2);
    op_adamw(dev, p, p, p, p, (struct adamw){.lr = 1});
}

static void muon_shapes(struct device *dev)
{
    struct tensor a = device_tensor(dev, 2, 3), b = device_tensor(dev, 3, 2);
    device_set_step(dev, 12, 1, 0.9);
    op_muon(dev, (const struct muon_matrix[]){{.p = a, .momentum = a, .g = a}, {.p = b, .momentum = b, .g = b}}, 2,
            (struct muon){.lr = 1, .iteration = &newton_schulz_2025});
}

static void muon_variance(struct device *dev)
{
    struct tensor a = device_tensor(dev, 2, 3), variance = device_tensor(dev, 2, 1);
    device_set_step(dev, 0, 1, 0.9);
    op_muon(dev, &(struct muon_matrix){.p = a, .momentum = a, .g = a, .variance = variance}, 1,
            (struct muon){.lr = 1, .iteration = &polar_express, .beta2 = 0.9});
}

static void mix_half(struct device *dev)
{
    struct tensor x = device_tensor(dev, 2, 3), y = device_tensor(dev, 2, 3), one = device_tensor(dev, 1, 1);
    op_mix_back(dev, x, y, (struct tensor){.dtype = x.dtype}, one, x, x, x, one, one, 1, 1);
}

static void smear_in_place(struct device *dev)
{
    struct tensor x = device_tensor(dev, 2, 3), s = device_tensor(dev, 2, 1);
    struct weight gate = {.master = device_tensor(dev, 1, 2)};
    op_smear(dev, x, s, x, &gate, device_tensor(dev, 1, 1), 2);
}

static void value_gate_too_wide(struct device *dev)
{
    struct weight gate = {.master = device_tensor(dev, 2, 4)}, table = {.master = device_tensor(dev, 5, 6)};
    op_value_embed(dev, device_tensor(dev, 2, 6), device_tensor(dev, 2, 2), device_tensor(dev, 2, 3), &table,
                   device_ids(dev, 2, 1), &gate, 3);
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        void (*mistake)(struct device *dev);
        const char *op, *what;
        bool needs_data;
    } cases[] = {
        {put_outside, "device_put", "elements 4 and 3 more lie outside of [2,3]", false},
        {get_before, "device_get", "elements -1 and 1 more lie outside of [2,3]", false},
        {put_into_ids, "device_put", "the tensor holds ids", false},
        {ids_into_floats, "device_put_ids", "the tensor does not hold ids", false},
        {matmul_shape, "matmul", "x is [3,7] %s, needed is [3,4] %s", false},
        {norm_type, "norm", "x is [3,4] i32, needed is [3,4] %s", false},
        {add_absent, "add", "y has no data", true},
        {norm_back_alias, "norm_back", "dx aliases dy", true},
        {embed_range, "embed", "ids[2] is 5, outside of 0 .. 4", true},
        {rotary_odd, "rotary_norm", "a head's size must be even", false},
        {dw_sequences, "matmul_dw", "the rows are not whole sequences of T", false},
        {attention_groups, "attention", "n_kv_head does not divide n_head", false},
        {decode_position, "attention_decode", "positions[0] is 4, outside of 0 .. 3", true},
        {decode_slot, "attention_decode", "slots[0] is 2, outside of 0 .. 1", true},
        {put_slot, "cache_put", "slots[0] is -1, outside of 0 .. 1", true},
        {cache_in_parts, "cache_put", "the rows of a cache are not whole slots of its capacity", false},
        {loss_target, "loss", "targets[0] is 7, outside of -1 .. 6", true},
        {loss_vocabulary, "logits", "n_vocab must be 1 .. the rows of w", false},
        {adamw_before_step, "adamw", "device_set_step was not called", false},
        {muon_shapes, "muon", "p is [3,2] %s, needed is [2,3] %s", false},
        {muon_variance, "muon", "variance is [2,1] %s, needed is [1,3] %s", false},
        {mix_half, "mix_back", "a and da are there both or not at all", false},
        {smear_in_place, "smear", "x aliases e", true},
        {value_gate_too_wide, "value_embed", "the gate reads more channels than there are", false},
    };
    for (size_t k = 0; k < countof(kinds); k++)
        for (size_t i = 0; i < countof(cases); i++) {
            struct device *dev = open_device(kinds[k], 1);
            const char *type = device_dtype(dev) == DTYPE_F32 ? "f32" : "f64";
            char want[200];
            snprintf(want, sizeof want, cases[i].what, type, type);
            cases[i].mistake(dev);
            struct fault fault = device_fault(dev);
            if (cases[i].needs_data && kinds[k] == DEVICE_COUNT) {
                assert_int_equal(fault.kind, FAULT_NONE);
            } else {
                assert_int_equal(fault.kind, FAULT_DEVICE);
                assert_string_equal(fault.op, cases[i].op);
                assert_string_equal(fault.what, want);
                assert_int_equal(fault.step, cases[i].mistake == muon_shapes ? 12 : cases[i].mistake == muon_variance ? 0 : -1);
            }
            device_close(dev);
        }
}

static void test_fault_stays(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct device *dev = open_device(kinds[k], 1);
        struct tensor x = filled(dev, 2, 2, 1, 1), y = device_tensor(dev, 2, 2);
        op_copy(dev, y, device_tensor(dev, 3, 2));
        op_zero(dev, device_ids(dev, 1, 1));
        assert_string_equal(device_fault(dev).op, "copy"); // the first one
        op_copy(dev, y, x);
        device_put(dev, y, 0, 1, &(float){3});
        assert_true(device_dtype(dev) == DTYPE_F32 ? *(float *)y.data == 0 : *(double *)y.data == 0); // nothing happens any more
        float got[4] = {1, 2, 3, 4};
        device_get(dev, got, x, 0, 4);
        assert_true(got[0] == 0 && got[3] == 0);
        device_close(dev);
    }
}

static void test_counts(void **state)
{
    (void)state;
    enum { N = 6, I = 10, O = 20, T = 3 };
    struct device *dev = open_device(DEVICE_COUNT, 1);
    struct tensor x = device_tensor(dev, N, I), y = device_tensor(dev, N, O);
    struct weight w = {.master = device_tensor(dev, O, I)};
    int64_t tensors = 256 + 512 + 832; // 240, 480 and 800 bytes, in steps of 64
    assert_int_equal(device_counts(dev).memory_bytes, tensors);
    op_weight_prepare(dev, &w);
    op_matmul(dev, y, x, &w, false);
    struct device_counts c = device_counts(dev);
    assert_true(c.flops == 2.0 * N * I * O);
    assert_true(c.bytes == 4.0 * (N * I + N * O + O * I));
    assert_true(c.memory_bytes > tensors); // workspace
    op_matmul_dx(dev, x, y, &w, true);
    op_matmul_dw(dev, w.master, y, x, T);
    assert_true(device_counts(dev).flops == 3 * 2.0 * N * I * O);
    assert_true(device_counts(dev).bytes == c.bytes + 4.0 * (2 * N * I + N * O + O * I) + 4.0 * (N * I + N * O + 2 * O * I));
    assert_no_fault(dev);

    // Time: a start, the arithmetic by its class, the bytes.
    assert_true(c.seconds == 0 && !device_computes(dev));
    device_set_rates(dev, (struct device_rates){.flops_of = {[COUNT_PRODUCTS] = 1000}, .bytes = 100, .start_s = 7});
    c = device_counts(dev);
    op_matmul(dev, y, x, &w, false);
    op_add(dev, y, y);
    struct device_counts d = device_counts(dev);
    assert_true(d.flops_of[COUNT_PRODUCTS] - c.flops_of[COUNT_PRODUCTS] == 2.0 * N * I * O);
    assert_true(d.flops_of[COUNT_OTHER] - c.flops_of[COUNT_OTHER] == N * O);
    assert_true(d.flops_of[COUNT_ATTENTION] == 0);
    assert_true(fabs(d.seconds - (2 * 7 + 2.0 * N * I * O / 1000 + (d.bytes - c.bytes) / 100)) < 1e-9);
    assert_true(device_peak_flops(dev, 0.01) == 0);
    device_close(dev);
    dev = open_device(DEVICE_CPU, 1);
    assert_true(device_computes(dev));
    assert_true(device_peak_flops(dev, 0.01) > 1e6);
    device_close(dev);
}

static double attention_flops(struct attention a, bool backward)
{
    struct device *dev = open_device(DEVICE_COUNT, 1);
    struct tensor q = device_tensor(dev, (int64_t)a.B * a.T, (int64_t)a.n_head * a.head_dim);
    struct tensor k = device_tensor(dev, (int64_t)a.B * a.T, (int64_t)a.n_kv_head * a.head_dim);
    struct tensor lse = device_tensor(dev, (int64_t)a.B * a.T, a.n_head);
    if (backward)
        op_attention_back(dev, q, k, k, q, q, k, k, q, lse, a);
    else
        op_attention(dev, q, lse, q, k, k, a);
    assert_no_fault(dev);
    double flops = device_counts(dev).flops;
    device_close(dev);
    return flops;
}

static void test_attention_counts(void **state)
{
    (void)state;
    for (int window = 0; window < 14; window++) {
        struct attention a = {.B = 2, .T = 11, .n_head = 4, .n_kv_head = 2, .head_dim = 8, .window = window};
        double pairs = 0, outputs = 2 * 11 * 4 * 8;
        for (int t = 0; t < 11; t++)
            for (int u = 0; u <= t; u++)
                pairs += !window || u >= t - window;
        pairs *= 2 * 4;
        assert_true(attention_flops(a, false) == pairs * (4 * 8 + 4) + outputs);
        assert_true(attention_flops(a, true) == pairs * (10 * 8 + 5) + 2 * outputs);
    }
}

// Every operation at once on sizes of a small model. The memory that count foresees is that of the cpu.
static void every_operation(struct device *dev)
{
    enum { B = 4, T = 96, H = 4, KV = 2, D = 32, C = H * D, N = B * T, V = 1000, R = 8 };
    struct attention a = {.B = B, .T = T, .n_head = H, .n_kv_head = KV, .head_dim = D}, one = a;
    struct tensor x = device_tensor(dev, N, C), y = device_tensor(dev, N, C), r = device_tensor(dev, N, 1);
    struct tensor k = device_tensor(dev, N, KV * D), v = device_tensor(dev, N, KV * D), rh = device_tensor(dev, N, H);
    struct tensor h = device_tensor(dev, N, 4 * C), act = device_tensor(dev, N, 4 * C), ids = device_ids(dev, N, 1);
    struct tensor dx = device_tensor(dev, N, C), dk = device_tensor(dev, N, KV * D), dv = device_tensor(dev, N, KV * D);
    struct weight table = {.master = device_tensor(dev, V, C)}, up = {.master = device_tensor(dev, 4 * C, C)};
    struct tensor dtable = device_tensor(dev, V, C), dup = device_tensor(dev, 4 * C, C), logits = device_tensor(dev, R, V);
    struct tensor m1 = device_tensor(dev, V, C), m2 = device_tensor(dev, V, C), buf = device_tensor(dev, 4 * C, C);
    struct tensor cosine = device_tensor(dev, T, D / 2), at = device_ids(dev, N, 1), losses = device_tensor(dev, N, 1);
    struct tensor grads[2] = {dtable, dup};
    op_embed(dev, x, &table, ids);
    op_norm(dev, y, r, x, 1e-6f);
    op_rotary_norm(dev, y, rh, x, cosine, cosine, at, H, 1e-6f, 1);
    op_attention(dev, x, rh, y, k, v, a);
    op_weight_prepare(dev, &up);
    op_matmul(dev, h, x, &up, false);
    op_matmul_relu2(dev, act, h, x, &up);
    op_loss(dev, losses, dx, dtable, x, &table, ids, r, V, 15, T);
    op_logits(dev, logits, (struct tensor){x.data, R, C, x.dtype}, &table, V, 15);
    op_relu2_back(dev, act, act, h);
    op_matmul_dw(dev, dup, act, x, T);
    op_matmul_dx(dev, dx, act, &up, true);
    op_attention_back(dev, dx, dk, dv, y, x, k, v, y, rh, a);
    op_rotary_norm_back(dev, dx, dx, y, rh, cosine, cosine, at, H, 1);
    op_norm_back(dev, dx, x, y, r);
    op_embed_back(dev, dtable, dx, ids);
    one.B = R;
    struct tensor cache = device_tensor(dev, R * T, KV * D);
    struct tensor row_at = {at.data, R, 1, DTYPE_I32}, slots = device_ids(dev, R, 1);
    for (int32_t slot = 0; slot < R; slot++)
        device_put_ids(dev, slots, slot, 1, &slot);
    op_cache_put(dev, cache, (struct tensor){k.data, R, KV * D, k.dtype}, slots, row_at, T);
    op_attention_decode(dev, (struct tensor){y.data, R, C, y.dtype}, (struct tensor){x.data, R, C, x.dtype}, cache, cache, slots,
                        row_at, one);
    struct weight gate = {.master = device_tensor(dev, 1, 24)}, gates = {.master = device_tensor(dev, KV, 12)};
    struct weight values = {.master = device_tensor(dev, V, KV * D)};
    struct tensor dvalues = device_tensor(dev, V, KV * D), one_number = device_tensor(dev, 1, 1), s = device_tensor(dev, N, KV);
    op_smear(dev, x, r, y, &gate, one_number, T);
    op_smear_back(dev, dx, gate.master, one_number, x, y, r, &gate, one_number, T);
    op_value_embed(dev, v, s, x, &values, ids, &gates, 3);
    op_value_embed_back(dev, dx, dvalues, gates.master, dv, s, x, &values, ids, &gates, 3, T);
    op_mix(dev, x, x, y, one_number, one_number, 1);
    op_mix_back(dev, x, dx, one_number, one_number, x, y, y, one_number, one_number, 1, T);
    op_add(dev, x, y);
    op_copy(dev, x, y);
    op_zero(dev, x);
    device_set_step(dev, 0, 1, 0.9);
    op_clip(dev, grads, 2, 1);
    op_adamw(dev, table.master, m1, m2, dtable, (struct adamw){.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10});
    op_muon(dev, &(struct muon_matrix){.p = up.master, .momentum = buf, .g = dup}, 1,
            (struct muon){.lr = 0.02, .iteration = &newton_schulz_2025});
    op_newton_schulz(dev, dup, &newton_schulz_2025);
}

static void test_memory_foreseen(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads += 3) {
        struct device *cpu = open_device(DEVICE_CPU, threads), *count = open_device(DEVICE_COUNT, threads);
        every_operation(cpu);
        every_operation(count);
        assert_no_fault(cpu);
        assert_no_fault(count);
        double real = (double)device_counts(cpu).memory_bytes, foreseen = (double)device_counts(count).memory_bytes;
        if (!(foreseen >= 0.95 * real && foreseen <= 1.1 * real))
            fail_msg("%g bytes were foreseen and %g taken on %s", foreseen, real, device_isa(cpu));
        assert_true(device_counts(count).flops > 0 && device_counts(count).bytes > 0);
        int64_t once = device_counts(cpu).memory_bytes;
        size_t mark = device_mark(cpu);
        device_reset(cpu, 0);
        every_operation(cpu); // a second step takes no more
        assert_int_equal(device_counts(cpu).memory_bytes, once);
        assert_int_equal(device_mark(cpu), mark);
        device_close(cpu);
        device_close(count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_impossible_tensors),
        cmocka_unit_test(test_more_than_there_is),
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_fault_stays),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_attention_counts),
        cmocka_unit_test(test_memory_foreseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
