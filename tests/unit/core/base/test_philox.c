// test_philox.c - the published vectors, and numbers that do not depend on how they are asked for.
// Source: known answers of philox4x32-10 in Random123 1.14, tests/kat_vectors
#include "tests/unit/folder.h"

#include <math.h>

#include "core/base/arena.h"
#include "core/base/philox.h"

static void published_vectors(void **state)
{
    (void)state;
    const uint32_t f = UINT32_MAX;
    const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{f, f, f, f}, {f, f}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < countof(known); i++) {
        uint32_t out[4];
        philox_4x32(known[i].key, known[i].counter, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

static void seeds_and_purposes_are_apart(void **state)
{
    (void)state;
    struct philox all[] = {philox_for(1, PHILOX_INIT), philox_for(1, PHILOX_WORLD), philox_for(2, PHILOX_INIT),
                           philox_for(UINT64_C(1) << 32, PHILOX_INIT), philox_for(0, PHILOX_INIT)};
    for (size_t i = 0; i < countof(all); i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(&all[i], &all[k], sizeof all[i]);
    uint32_t a[4], b[4], c[4];
    philox_words(all[0], 0, UINT64_C(1) << 32, a); // the halves of stream and counter do not meet
    philox_words(all[0], 1, 0, b);
    philox_words(all[0], 0, 1, c);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
}

static void uniform_numbers(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct philox p = philox_for(5, PHILOX_SAMPLE);
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        double u = philox_uniform(p, 3, (uint64_t)i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    assert_true(fabs(sum / N - 0.5) < 0.004);
    assert_true(fabs(squares / N - 1.0 / 3) < 0.004);
}

static void normal_numbers(void **state)
{
    (void)state;
    enum { N = 100000 };
    static float all[N], some[64];
    struct philox p = philox_for(5, PHILOX_INIT);
    philox_normals(p, 9, 0, N, all);
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        assert_true(isfinite(all[i]));
        sum += all[i];
        squares += all[i] * (double)all[i];
        fourth += pow(all[i], 4);
    }
    assert_true(fabs(sum / N) < 0.015);
    assert_true(fabs(squares / N - 1) < 0.02);
    assert_true(fabs(fourth / N - 3) < 0.15);
    for (int first = 0; first < 20; first++)
        for (int n = 0; n <= 20; n++) {
            philox_normals(p, 9, first, n, some);
            assert_memory_equal(some, all + first, (size_t)n * sizeof *some);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_vectors), cmocka_unit_test(seeds_and_purposes_are_apart),
                                       cmocka_unit_test(uniform_numbers), cmocka_unit_test(normal_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
