// test_row_mix.c - each row of each text comes once and in order, shares are kept at every row, and long runs do not overflow.
#include "tests/unit/folder.h"

#include <math.h>

#include "core/base/arena.h"
#include "core/data/row_mix.h"

static const double three[] = {0.7, 0.25, 0.05};

static struct row_mix make_mix(const double *shares, int n, struct arena *arena)
{
    struct row_mix mix;
    struct rows *rows = arena_array(arena, (size_t)n, sizeof *rows);
    for (int i = 0; i < n; i++)
        rows[i].T = 8;
    assert_good(row_mix_open(&mix, rows, shares, n, arena));
    return mix;
}

static void each_row_once_and_in_order(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct row_mix mix = make_mix(three, 3, &arena);
    int64_t next[3] = {0}, row;
    for (int64_t r = 0; r < 100000; r++) {
        for (int text = 0; text < 3; text++) {
            assert_int_equal(row_mix_count(&mix, text, r), next[text]);
            assert_true(fabs((double)next[text] - three[text] * (double)r) <= 1);
        }
        int text = row_mix_place(&mix, r, &row);
        assert_true(text >= 0 && text < 3);
        assert_int_equal(row, next[text]++);
    }
    assert_int_equal(next[0], 70000);
    assert_int_equal(next[1], 25000);
    assert_int_equal(next[2], 5000);
    arena_release(&arena);
}

// Results depend on these: 0.7 and 0.3 alternate like this, which is what the document says of 0.7 m rounded.
static void places_are_pinned(void **state)
{
    (void)state;
    static const int expected[] = {0, 1, 0, 0, 0, 1, 0, 0, 1, 0};
    struct arena arena = {0};
    struct row_mix mix = make_mix((const double[]){0.7, 0.3}, 2, &arena);
    for (int64_t r = 0; r < 40; r++) {
        int64_t row;
        assert_int_equal(row_mix_place(&mix, r, &row), expected[r % 10]);
    }
    arena_release(&arena);
}

static void many_texts_keep_their_shares(void **state)
{
    (void)state;
    enum { N = 200 };
    double shares[N], sum = 0;
    struct arena arena = {0};
    for (int i = 0; i < N; i++)
        sum += shares[i] = 1 + i * 7919 % 101; // only ratios count
    struct row_mix mix = make_mix(shares, N, &arena);
    for (int64_t r = 1; r < 30000; r += 97)
        for (int i = 0; i < N; i++)
            assert_true(fabs((double)row_mix_count(&mix, i, r) - shares[i] / sum * (double)r) <= 3);
    arena_release(&arena);
}

static void far_rows(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct row_mix mix = make_mix(three, 3, &arena);
    int64_t row, far = INT64_C(1) << 61;
    for (int64_t r = far; r < far + 1000; r++) {
        int text = row_mix_place(&mix, r, &row);
        assert_true(fabs((double)row / (double)r - three[text]) < 1e-9);
        assert_int_equal(row_mix_count(&mix, text, r), row);
        assert_int_equal(row_mix_count(&mix, text, r + 1), row + 1);
    }
    arena_release(&arena);
}

static void what_is_no_mix(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct row_mix mix;
    struct rows rows[2] = {{.T = 8}, {.T = 9}};
    const double good[] = {1, 1}, none[] = {1, 0}, nan[] = {NAN, 1};
    assert_error(row_mix_open(&mix, rows, good, 2, &arena), ERROR_FAILED, "rows of 9 tokens");
    rows[1].T = 8;
    assert_error(row_mix_open(&mix, rows, none, 2, &arena), ERROR_FAILED, "share 0");
    assert_error(row_mix_open(&mix, rows, nan, 2, &arena), ERROR_FAILED, "share");
    assert_error(row_mix_open(&mix, rows, good, 0, &arena), ERROR_FAILED, "nothing");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_row_once_and_in_order), cmocka_unit_test(places_are_pinned),
                                       cmocka_unit_test(many_texts_keep_their_shares), cmocka_unit_test(far_rows),
                                       cmocka_unit_test(what_is_no_mix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
