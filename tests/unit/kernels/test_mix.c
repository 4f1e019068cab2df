// Mixed residual streams, smear and value embeddings: cpu held to ref, rows that do not depend on each other, batches that can be cut.
#include "tests/unit/kernels/check.h"

static void mix(struct device *dev, const int *size, struct outputs *out)
{
    int N = size[0], C = size[1], T = size[2];
    bool has_a = size[3];
    float sign = has_a ? 1 : -1;
    struct tensor x = filled(dev, N, C, 1, 1), z = filled(dev, N, C, 2, 1), y = device_tensor(dev, N, C),
                  absent = {.dtype = x.dtype};
    struct tensor a = has_a ? filled(dev, 1, 1, 3, 1) : absent, b = filled(dev, 1, 1, 4, 1), same = filled(dev, N, C, 1, 1);
    struct tensor dy = filled(dev, N, C, 5, 1), dx = device_tensor(dev, N, C), dz = filled(dev, N, C, 6, 1);
    struct tensor da = has_a ? filled(dev, 1, 1, 7, 1) : absent, db = filled(dev, 1, 1, 8, 1);
    op_mix(dev, y, x, z, a, b, sign);
    op_mix(dev, same, same, z, a, b, sign);
    op_mix_back(dev, dx, dz, da, db, dy, x, z, a, b, sign, T);
    keep(out, dev, "y", y, BOUND_ABSOLUTE, 1e-6);
    keep(out, dev, "y in place", same, BOUND_ABSOLUTE, 1e-6);
    keep(out, dev, "dx", dx, BOUND_ABSOLUTE, 1e-6);
    keep(out, dev, "dz", dz, BOUND_ABSOLUTE, 1e-6);
    double root = 1 + N * C / 3.0; // |dy||x|, about
    if (has_a)
        keep(out, dev, "da", da, BOUND_ABSOLUTE, 1e-6 * root);
    keep(out, dev, "db", db, BOUND_ABSOLUTE, 1e-6 * root);
    if (!has_a)
        assert_same_bits("dx without a factor", device_isa(dev), dx, dy);
    op_mix_back(dev, dy, dz, da, db, dy, x, z, a, b, sign, T); // in place
    assert_same_bits("dx in place", device_isa(dev), dx, dy);
}

static void test_mix(void **state)
{
    (void)state;
    hold(mix, {1, 1, 1, 1});
    hold(mix, {0, 8, 1, 1});
    hold(mix, {6, 17, 3, 0});
    hold(mix, {40, 70, 8, 1});
    hold(mix, {33, 129, 11, 0});
}

static void smear(struct device *dev, const int *size, struct outputs *out)
{
    int B = size[0], T = size[1], C = size[2], K = size[3], N = B * T;
    struct tensor e = filled(dev, N, C, 1, 2), x = device_tensor(dev, N, C), s = device_tensor(dev, N, 1);
    struct weight gate = filled_weight(dev, 1, K, 2, 0.5);
    struct tensor lambda = filled(dev, 1, 1, 3, 1), dx = filled(dev, N, C, 4, 1), de = filled(dev, N, C, 5, 1);
    struct tensor dgate = filled(dev, 1, K, 6, 1), dlambda = filled(dev, 1, 1, 7, 1);
    op_smear(dev, x, s, e, &gate, lambda, T);
    op_smear_back(dev, de, dgate, dlambda, dx, e, s, &gate, lambda, T);
    keep(out, dev, "x", x, BOUND_ROW, 2e-6);
    keep(out, dev, "s", s, BOUND_ABSOLUTE, 2e-6);
    keep(out, dev, "de", de, BOUND_ONE_MORE, 2e-6 * sqrt(C));
    keep(out, dev, "dgate", dgate, BOUND_TENSOR, 1e-5);
    keep(out, dev, "dlambda", dlambda, BOUND_TENSOR, 1e-5);
}

static void test_smear(void **state)
{
    (void)state;
    hold(smear, {1, 1, 1, 1});
    hold(smear, {0, 4, 8, 3});
    hold(smear, {3, 1, 9, 9}); // nothing stands before a first position
    hold(smear, {2, 7, 33, 24});
    hold(smear, {5, 16, 64, 24});
    hold(smear, {1, 130, 40, 3});
}

static void value_embed(struct device *dev, const int *size, struct outputs *out)
{
    int B = size[0], T = size[1], H = size[2], D = size[3], C = size[4], K = size[5], N = B * T, V = 7;
    float gain = 3;
    struct tensor x = filled(dev, N, C, 1, 2), v = filled(dev, N, H * D, 2, 1), s = device_tensor(dev, N, H);
    struct weight table = filled_weight(dev, V, H * D, 3, 1), gate = filled_weight(dev, H, K, 4, 0.5);
    struct tensor ids = filled_ids(dev, N, 5, V), dv = filled(dev, N, H * D, 6, 1), dx = filled(dev, N, C, 7, 1);
    struct tensor dtable = filled(dev, V, H * D, 8, 1), dgate = filled(dev, H, K, 9, 1);
    op_value_embed(dev, v, s, x, &table, ids, &gate, gain);
    op_value_embed_back(dev, dx, dtable, dgate, dv, s, x, &table, ids, &gate, gain, T);
    keep(out, dev, "v", v, BOUND_ROW, 2e-6);
    keep(out, dev, "s", s, BOUND_ABSOLUTE, 2e-6);
    keep(out, dev, "dx", dx, BOUND_ONE_MORE, 2e-6 * sqrt(D) * H);
    keep(out, dev, "dtable", dtable, BOUND_TENSOR, 2e-6 * sqrt(1 + N));
    keep(out, dev, "dgate", dgate, BOUND_TENSOR, 1e-5);
}

static void test_value_embed(void **state)
{
    (void)state;
    hold(value_embed, {1, 1, 1, 1, 1, 1});
    hold(value_embed, {0, 3, 2, 4, 8, 5});
    hold(value_embed, {2, 5, 3, 7, 19, 12});
    hold(value_embed, {3, 20, 2, 32, 64, 12});
    hold(value_embed, {1, 130, 1, 16, 30, 30});
}

struct result {
    struct tensor x, s, de, v, gates, dx, y, dz;          // rows
    struct tensor dgate, dlambda, dvgate, dtable, da, db; // sums
};

// Sequences first .. first + B - 1 of a batch whose numbers do not depend on where it is cut.
static void run_part(struct device *dev, struct result *r, int first, int B, int T, bool whole)
{
    enum { C = 37, K = 12, H = 2, D = 9, V = 5, ALL = 6 };
    int from = first * T, N = B * T;
    struct tensor e = tensor_rows(filled(dev, ALL * T, C, 1, 1), from, N),
                  dx = tensor_rows(filled(dev, ALL * T, C, 2, 1), from, N);
    struct tensor ids = tensor_rows(filled_ids(dev, ALL * T, 3, V), from, N),
                  dv = tensor_rows(filled(dev, ALL * T, H * D, 4, 1), from, N);
    struct weight gate = filled_weight(dev, 1, K, 5, 1), vgate = filled_weight(dev, H, K, 6, 1),
                  table = filled_weight(dev, V, H * D, 7, 1);
    struct tensor lambda = filled(dev, 1, 1, 8, 1), b = filled(dev, 1, 1, 9, 1);
    r->x = device_tensor(dev, N, C), r->s = device_tensor(dev, N, 1), r->de = device_tensor(dev, N, C);
    r->v = device_tensor(dev, N, H * D), r->gates = device_tensor(dev, N, H), r->dx = device_tensor(dev, N, C);
    r->y = device_tensor(dev, N, C), r->dz = device_tensor(dev, N, C);
    if (whole) {
        r->dgate = filled(dev, 1, K, 10, 1), r->dlambda = filled(dev, 1, 1, 11, 1), r->dvgate = filled(dev, H, K, 12, 1);
        r->dtable = filled(dev, V, H * D, 13, 1), r->da = filled(dev, 1, 1, 14, 1), r->db = filled(dev, 1, 1, 15, 1);
    }
    op_smear(dev, r->x, r->s, e, &gate, lambda, T);
    op_smear_back(dev, r->de, r->dgate, r->dlambda, dx, e, r->s, &gate, lambda, T);
    op_value_embed(dev, r->v, r->gates, e, &table, ids, &vgate, 3);
    op_value_embed_back(dev, r->dx, r->dtable, r->dvgate, dv, r->gates, e, &table, ids, &vgate, 3, T);
    op_mix(dev, r->y, e, dx, lambda, b, 1);
    struct tensor dy = device_tensor(dev, N, C);
    op_mix_back(dev, dy, r->dz, r->da, r->db, dx, e, r->x, lambda, b, 1, T);
}

// A batch of six sequences in one call, and in calls of one to three: the same bits of rows and of sums.
static void test_cut(void **state)
{
    (void)state;
    static const int cuts[][3] = {{0, 1, 3}, {1, 3, 5}}; // where the second and third part begin
    enum { T = 11, ALL = 6 };
    for (size_t i = 0; i < countof(isas); i++)
        for (size_t c = 0; c < countof(cuts); c++) {
            struct device *dev = open_isa(isas[i], 2);
            if (!dev)
                continue;
            struct result whole = {0}, part = {0};
            run_part(dev, &whole, 0, ALL, T, true);
            for (int k = 0; k < 4; k++) {
                int first = k ? cuts[c][k - 1] : 0, end = k < 3 ? cuts[c][k] : ALL;
                run_part(dev, &part, first, end - first, T, k == 0);
                struct tensor of_whole[] = {whole.x, whole.s, whole.de, whole.v, whole.gates, whole.dx, whole.y, whole.dz};
                struct tensor of_part[] = {part.x, part.s, part.de, part.v, part.gates, part.dx, part.y, part.dz};
                for (size_t j = 0; j < countof(of_part) && end > first; j++)
                    assert_same_bits("rows of a part", isas[i], tensor_rows(of_whole[j], first * T, (end - first) * T),
                                     of_part[j]);
            }
            struct tensor of_whole[] = {whole.dgate, whole.dlambda, whole.dvgate, whole.dtable, whole.da, whole.db};
            struct tensor of_part[] = {part.dgate, part.dlambda, part.dvgate, part.dtable, part.da, part.db};
            for (size_t j = 0; j < countof(of_part); j++)
                assert_same_bits("sums over parts", isas[i], of_whole[j], of_part[j]);
            assert_no_fault(dev);
            device_close(dev);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mix), cmocka_unit_test(test_smear),
                                       cmocka_unit_test(test_value_embed), cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
