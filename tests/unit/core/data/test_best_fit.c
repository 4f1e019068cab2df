// test_best_fit.c - plans against the reference's published rows and against a packing that searches a plain list.
#include <math.h>

#include "tests/unit/folder.h"

#include "core/data/best_fit.h"

enum { BUFFER = 1000, SLICE = 128 };

static uint64_t mix(uint64_t s, uint64_t i)
{
    uint64_t x = (s << 40) + i + 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static void assert_row(const struct best_fit *plan, int64_t r, const int64_t (*expected)[2], int n)
{
    assert_int_equal(plan->first[r + 1] - plan->first[r], n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(plan->documents[plan->first[r] + i], expected[i][0]);
        assert_int_equal(plan->tokens[plan->first[r] + i], expected[i][1]);
    }
}

// Lengths and rows that the reference's own code gave (nanochat 2026-07-03, T = 2048, one rank, batches of one row).
static void rows_are_the_reference_s(void **state)
{
    (void)state;
    enum { N = 20000 };
    static int64_t lengths[N];
    for (uint64_t i = 0; i < N; i++) {
        double u = (double)(mix(500, i) >> 40) / (1 << 24);
        lengths[i] = 2 + (int64_t)floor(6000 * u * u * u);
    }
    static const int64_t row0[][2] = {{186, 2028}, {812, 21}}, row1[][2] = {{85, 2009}, {345, 39}, {4, 1}},
                         row2[][2] = {{346, 2009}, {706, 39}, {18, 1}}, row1000[][2] = {{4096, 2049}},
                         row2999[][2] = {{8359, 1422}, {8369, 392}, {8351, 221}, {8375, 14}};
    struct best_fit plan;
    assert_good(best_fit_make(&plan, lengths, N, 2048, 3000));
    assert_true(plan.n_read < N);
    assert_row(&plan, 0, row0, 2);
    assert_row(&plan, 1, row1, 3);
    assert_row(&plan, 2, row2, 3);
    assert_row(&plan, 1000, row1000, 1);
    assert_row(&plan, 2999, row2999, 4);
    best_fit_release(&plan);
}

// The same by looking through the whole buffer for every placement.
static int64_t plain_packing(const int64_t *lengths, int64_t n_documents, int64_t T, int64_t n_rows, int64_t (*out)[2],
                             int64_t most)
{
    static int64_t buffer[BUFFER + SLICE];
    int64_t n = 0, next = 0, n_out = 0;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t room = T + 1; room > 0;) {
            while (n < BUFFER)
                for (int i = 0; i < SLICE; i++, next++)
                    if (lengths[next % n_documents] > 0)
                        buffer[n++] = next % n_documents;
            int64_t best = -1, least = 0;
            for (int64_t i = 0; i < n; i++) {
                int64_t length = lengths[buffer[i]];
                if (length <= room && (best < 0 || length > lengths[buffer[best]]))
                    best = i;
                if (length < lengths[buffer[least]])
                    least = i;
            }
            int64_t at = best >= 0 ? best : least, document = buffer[at], taken = best >= 0 ? lengths[document] : room;
            memmove(&buffer[at], &buffer[at + 1], (size_t)(--n - at) * sizeof *buffer);
            room -= taken;
            assert_true(n_out < most);
            out[n_out][0] = document;
            out[n_out++][1] = taken;
        }
    return n_out;
}

static void packs_as_a_plain_search_does(void **state)
{
    (void)state;
    enum { N = 3000, ROWS = 400, MOST = 100000 };
    static int64_t lengths[N], expected[MOST][2];
    const int64_t Ts[] = {1, 2, 63, 64, 127, 500};
    for (size_t k = 0; k < 2 * countof(Ts); k++) {
        int64_t T = Ts[k / 2], n_documents = k % 2 ? N : 37; // a few documents: many epochs
        for (int64_t i = 0; i < n_documents; i++)
            lengths[i] =
                (int64_t)(mix(k, (uint64_t)i) % (uint64_t)(3 * T + 2)); // empty ones and far too long ones are among them
        int64_t n = plain_packing(lengths, n_documents, T, ROWS, expected, MOST), dropped = 0;
        struct best_fit plan;
        assert_good(best_fit_make(&plan, lengths, n_documents, T, ROWS));
        assert_int_equal(plan.n_segments, n);
        for (int64_t i = 0; i < n; i++) {
            assert_int_equal(plan.documents[i], expected[i][0]);
            assert_int_equal(plan.tokens[i], expected[i][1]);
            dropped += lengths[expected[i][0]] - expected[i][1];
        }
        assert_int_equal(plan.n_dropped, dropped);
        assert_int_equal(plan.n_taken, n);
        best_fit_release(&plan);
    }
}

static void nothing_to_pack_is_an_error(void **state)
{
    (void)state;
    const int64_t lengths[3] = {0};
    struct best_fit plan;
    assert_error(best_fit_make(&plan, lengths, 3, 8, 1), ERROR_DATA, "no document has a token");
    assert_error(best_fit_make(&plan, lengths, 0, 8, 1), ERROR_DATA, "no document has a token");
}

// Documents of tokens that say where they stand: 100 * document + position.
static void rows_are_read_as_planned(void **state)
{
    (void)state;
    enum { DOCUMENTS = 60, T = 20, ROWS = 50 };
    const char *const paths[] = {"first.h5", "second.h5"};
    struct token_writer w = {.n_vocab = 100 * DOCUMENTS};
    int64_t lengths[DOCUMENTS];
    for (int d = 0; d < DOCUMENTS; d++) {
        int32_t ids[100];
        lengths[d] = 1 + (int64_t)(mix(9, (uint64_t)d) % 45);
        for (int t = 0; t < lengths[d]; t++)
            ids[t] = 100 * d + t;
        assert_good(token_writer_add(&w, ids, lengths[d]));
        if (d == 22 || d == DOCUMENTS - 1) {
            assert_good(token_writer_save(&w, paths[d == DOCUMENTS - 1], NULL, 0));
            token_writer_release(&w);
        }
    }
    struct arena arena = {0};
    struct token_list list;
    struct best_fit plan;
    assert_good(token_list_open(&list, paths, 2, &arena));
    assert_good(best_fit_make(&plan, lengths, DOCUMENTS, T, ROWS));
    static int32_t inputs[(ROWS + 5) * T], targets[(ROWS + 5) * T], one[T], next[T];
    assert_good(best_fit_read(&plan, &list, 0, ROWS + 5, inputs, targets)); // goes on from the start behind the last
    for (int64_t r = 0; r < ROWS + 5; r++) {
        int32_t row[T + 1];
        int at = 0;
        for (int64_t s = plan.first[r % ROWS]; s < plan.first[r % ROWS + 1]; s++)
            for (int t = 0; t < plan.tokens[s]; t++)
                row[at++] = (int32_t)(100 * plan.documents[s] + t);
        assert_int_equal(at, T + 1);
        assert_memory_equal(inputs + r * T, row, sizeof one);
        assert_memory_equal(targets + r * T, row + 1, sizeof one);
        assert_good(best_fit_read(&plan, &list, r, 1, one, next)); // any cut gives the same
        assert_memory_equal(one, row, sizeof one);
        assert_memory_equal(next, row + 1, sizeof one);
    }
    plan.documents[0] = DOCUMENTS;
    assert_error(best_fit_read(&plan, &list, 0, 1, one, next), ERROR_DATA, "does not belong");
    best_fit_release(&plan);
    token_list_close(&list);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_the_reference_s), cmocka_unit_test(packs_as_a_plain_search_does),
                                       cmocka_unit_test(nothing_to_pack_is_an_error), cmocka_unit_test(rows_are_read_as_planned)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
