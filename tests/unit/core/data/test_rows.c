// test_rows.c - rows, epochs, permutations and groups; the permutation's values are pinned, since results depend on them.
#include "tests/unit/folder.h"

#include "core/data/rows.h"

static void permutations_are_permutations(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 100, 1000, 4097, 20000};
    static uint8_t seen[20000];
    for (size_t s = 0; s < countof(sizes); s++)
        for (int64_t epoch = 0; epoch < 4; epoch++) {
            memset(seen, 0, sizeof seen);
            for (int64_t i = 0; i < sizes[s]; i++) {
                int64_t at = order_place(42, epoch, i, sizes[s]);
                assert_true(at >= 0 && at < sizes[s]);
                assert_false(seen[at]);
                seen[at] = 1;
                if (epoch == 0)
                    assert_int_equal(at, i);
            }
        }
    for (int64_t i = 0; i < 100; i++) { // sizes that no table could hold
        int64_t N = INT64_C(1) << 60, at = order_place(7, 1, N - 1 - i, N);
        assert_true(at >= 0 && at < N);
    }
}

// Mean distance between neighbours of a random permutation is N/3; and epochs and seeds differ.
static void permutations_look_random(void **state)
{
    (void)state;
    enum { N = 10000 };
    double distance = 0;
    int same_epoch = 0, same_seed = 0, fixed = 0;
    for (int64_t i = 0; i < N; i++) {
        int64_t at = order_place(1, 1, i, N);
        distance += (double)llabs(at - order_place(1, 1, (i + 1) % N, N)) / N;
        same_epoch += at == order_place(1, 2, i, N);
        same_seed += at == order_place(2, 1, i, N);
        fixed += at == i;
    }
    assert_true(distance > 0.32 * N && distance < 0.346 * N);
    assert_true(same_epoch < 10 && same_seed < 10 && fixed < 10);
}

// An independent computation of the document in rows.h (Python, Philox written anew) gave these.
static void permutations_are_pinned(void **state)
{
    (void)state;
    const int64_t expected[] = {0, 4, 1, 9, 6, 8, 7, 3, 2, 5};
    for (int64_t i = 0; i < (int64_t)countof(expected); i++)
        assert_int_equal(order_place(42, 1, i, 10), expected[i]);
    assert_int_equal(order_place(UINT64_C(0x123456789ABCDEF0), 3, 999999, 1000003), 899523);
}

static void rows_of_a_stream(void **state)
{
    (void)state;
    struct token_writer w = {.n_vocab = 1000};
    int32_t ids[100];
    for (int i = 0; i < 100; i++)
        ids[i] = i;
    const char *const paths[] = {"a.h5", "b.h5"};
    assert_good(token_writer_add(&w, ids, 33));
    assert_good(token_writer_save(&w, paths[0], NULL, 0));
    token_writer_release(&w);
    assert_good(token_writer_add(&w, ids + 33, 67));
    assert_good(token_writer_save(&w, paths[1], NULL, 0));
    token_writer_release(&w);
    struct arena arena = {0};
    struct token_list list;
    struct rows rows;
    assert_good(token_list_open(&list, paths, 2, &arena));
    assert_good(rows_open(&rows, &list, 9, 5));
    assert_int_equal(rows.N, 11);
    assert_good(rows_open(&rows, &list, 8, 5));
    assert_int_equal(rows.N, 12); // 99 / 8
    int32_t inputs[40 * 8], targets[40 * 8], one[8], next[8];
    assert_good(rows_read(&rows, 0, 40, inputs, targets));
    for (int64_t r = 0; r < 40; r++) {
        int64_t place = rows_place(&rows, r);
        assert_int_equal(place, order_place(5, r / 12, r % 12, 12));
        for (int t = 0; t < 8; t++) {
            assert_int_equal(inputs[r * 8 + t], place * 8 + t);
            assert_int_equal(targets[r * 8 + t], place * 8 + t + 1);
        }
        assert_good(rows_read(&rows, r, 1, one, next)); // any cut gives the same
        assert_memory_equal(one, inputs + r * 8, sizeof one);
        assert_memory_equal(next, targets + r * 8, sizeof next);
    }
    assert_good(rows_open(&rows, &list, 99, 5));
    assert_int_equal(rows.N, 1);
    assert_error(rows_open(&rows, &list, 100, 5), ERROR_DATA, "100 tokens do not make one row");
    token_list_close(&list);
    arena_release(&arena);
}

static void groups_cover_the_batch(void **state)
{
    (void)state;
    for (int64_t R = 0; R < 50; R++) {
        int64_t at = 0, first, end;
        for (int g = 0; g < ROW_GROUPS; g++) {
            group_bounds(R, g, &first, &end);
            assert_int_equal(first, at);
            assert_true(end - first == R / 8 || end - first == R / 8 + 1);
            at = end;
        }
        assert_int_equal(at, R);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(permutations_are_permutations),
                                       cmocka_unit_test(permutations_look_random), cmocka_unit_test(permutations_are_pinned),
                                       cmocka_unit_test(rows_of_a_stream), cmocka_unit_test(groups_cover_the_batch)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
