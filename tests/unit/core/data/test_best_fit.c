// test_best_fit.c - plans against the reference's published rows and against a packing that searches a plain list.
#include <math.h>
#include <unistd.h>

#include "tests/unit/folder.h"

#include "core/data/rows.h"

enum { BUFFER = 1000, SLICE = 128 };

static uint64_t mix(uint64_t s, uint64_t i)
{
    uint64_t x = (s << 40) + i + 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

// A text of documents of these lengths, without tokens: what a plan is made from.
struct lengths {
    struct token_file file;
    struct token_list list;
    int64_t starts[];
};

static struct lengths *text_of(const int64_t *lengths, int64_t n)
{
    struct lengths *t = test_malloc(sizeof *t + ((size_t)n + 1) * sizeof *t->starts);
    t->starts[0] = 0;
    for (int64_t i = 0; i < n; i++)
        t->starts[i + 1] = t->starts[i] + lengths[i];
    t->file = (struct token_file){.documents = t->starts, .n_documents = n, .n = t->starts[n]};
    t->list = (struct token_list){.files = &t->file, .n_files = 1, .n = t->starts[n], .n_documents = n};
    return t;
}

// The document that a token is of, which must be its first.
static int64_t document_at(const struct lengths *t, int64_t start)
{
    int64_t low = 0, high = t->file.n_documents;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (t->starts[middle] <= start)
            low = middle;
        else
            high = middle;
    }
    assert_int_equal(t->starts[low], start);
    return low;
}

// Makes, saves and opens again.
static void plan_of(struct best_fit *plan, const struct lengths *t, int64_t T)
{
    struct best_fit made;
    assert_good(best_fit_make(&made, &t->list, T, "rows.h5", NULL, NULL));
    assert_good(best_fit_save(&made, "rows.h5", NULL, 0));
    assert_good(best_fit_open(plan, "rows.h5", &t->list, T));
    assert_int_equal(plan->n_rows, made.n_rows);
    assert_int_equal(plan->n_segments, made.n_segments);
    best_fit_release(&made);
}

static void assert_row(const struct best_fit *plan, const struct lengths *t, int64_t r, const int64_t (*expected)[2], int n)
{
    assert_int_equal(plan->first[r + 1] - plan->first[r], n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(document_at(t, plan->starts[plan->first[r] + i]), expected[i][0]);
        assert_int_equal(plan->tokens[plan->first[r] + i], expected[i][1]);
    }
}

// Lengths and rows that the reference's own code gave (nanochat 2026-07-03, T = 2048, one rank, batches of one row), through the file.
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
    struct lengths *t = text_of(lengths, N);
    struct best_fit plan;
    plan_of(&plan, t, 2048);
    assert_true(plan.n_rows > 3000);
    assert_row(&plan, t, 0, row0, 2);
    assert_row(&plan, t, 1, row1, 3);
    assert_row(&plan, t, 2, row2, 3);
    assert_row(&plan, t, 1000, row1000, 1);
    assert_row(&plan, t, 2999, row2999, 4);
    best_fit_release(&plan);
    test_free(t);
}

// The same by looking through the whole buffer for every placement; whole rows.
static int64_t plain_packing(const int64_t *lengths, int64_t n_documents, int64_t T, int64_t (*out)[2], int64_t most)
{
    static int64_t buffer[BUFFER + SLICE];
    int64_t n = 0, next = 0, n_out = 0, whole = 0;
    for (int64_t room = T + 1;;) {
        while (n < BUFFER && next < n_documents)
            for (int i = 0; i < SLICE && next < n_documents; i++, next++)
                if (lengths[next] > 0)
                    buffer[n++] = next;
        if (!n)
            return whole;
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
        assert_true(n_out < most);
        out[n_out][0] = document;
        out[n_out++][1] = taken;
        room -= taken;
        if (!room) {
            room = T + 1;
            whole = n_out;
        }
    }
}

static void packs_as_a_plain_search_does(void **state)
{
    (void)state;
    enum { N = 3000, MOST = 100000 };
    static int64_t lengths[N], expected[MOST][2];
    const int64_t Ts[] = {1, 2, 63, 64, 127, 500};
    for (size_t k = 0; k < 2 * countof(Ts); k++) {
        int64_t T = Ts[k / 2], n_documents = k % 2 ? N : 37; // fewer than the buffer holds, and more
        for (int64_t i = 0; i < n_documents; i++)
            lengths[i] =
                (int64_t)(mix(k, (uint64_t)i) % (uint64_t)(3 * T + 2)); // empty ones and far too long ones are among them
        int64_t n = plain_packing(lengths, n_documents, T, expected, MOST), kept = 0;
        struct lengths *t = text_of(lengths, n_documents);
        struct best_fit plan;
        plan_of(&plan, t, T);
        assert_int_equal(plan.n_segments, n);
        for (int64_t i = 0; i < n; i++) {
            assert_int_equal(plan.starts[i], t->starts[expected[i][0]]);
            assert_int_equal(plan.tokens[i], expected[i][1]);
            kept += plan.tokens[i];
        }
        assert_int_equal(kept, plan.n_rows * (T + 1));
        best_fit_release(&plan);
        test_free(t);
    }
}

static void nothing_to_pack_is_an_error(void **state)
{
    (void)state;
    const int64_t lengths[3] = {0, 0, 8};
    struct best_fit plan;
    for (int64_t n = 0; n <= 3; n++) {
        struct lengths *t = text_of(lengths, n);
        assert_error(best_fit_make(&plan, &t->list, 8, "none.h5", NULL, NULL), ERROR_DATA, "do not fill one row of 8");
        test_free(t);
    }
    assert_int_not_equal(access("none.h5", F_OK), 0);
    struct lengths *t = text_of(lengths, 3);
    assert_error(best_fit_make(&plan, &t->list, 8, "nowhere/none.h5", NULL, NULL), ERROR_MACHINE, "nowhere/");
    assert_good(best_fit_make(&plan, &t->list, 7, "none.h5", NULL, NULL)); // a row to the token
    assert_int_equal(plan.n_rows, 1);
    best_fit_release(&plan);
    test_free(t);
}

enum { DOCUMENTS = 60, T = 20 };

// Documents of tokens that say where they stand, 100 * document + position, in two files.
static void write_texts(struct token_list *list, struct arena *arena)
{
    static const char *const paths[] = {"first.h5", "second.h5"};
    struct token_writer w = {.n_vocab = 100 * DOCUMENTS};
    for (int d = 0; d < DOCUMENTS; d++) {
        int32_t ids[100];
        int length = 1 + (int)(mix(9, (uint64_t)d) % 45);
        for (int t = 0; t < length; t++)
            ids[t] = 100 * d + t;
        assert_good(token_writer_add(&w, ids, length));
        if (d == 22 || d == DOCUMENTS - 1) {
            assert_good(token_writer_save(&w, paths[d == DOCUMENTS - 1], NULL, 0));
            token_writer_release(&w);
        }
    }
    assert_good(token_list_open(list, paths, 2, arena));
}

static void rows_are_read_as_planned(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct token_list list;
    struct best_fit plan;
    struct rows rows;
    bool seen[DOCUMENTS] = {0};
    write_texts(&list, &arena);
    assert_good(best_fit_make(&plan, &list, T, "read.h5", NULL, NULL));
    assert_good(rows_open_packed(&rows, &list, &plan, 5));
    assert_int_equal(rows.N, plan.n_rows);
    int32_t row[T + 1], inputs[3 * T], targets[3 * T];
    for (int64_t r = 0; r < 3 * plan.n_rows; r++) { // three epochs
        int64_t place = rows_place(&rows, r);
        assert_int_equal(place, order_place(5, r / plan.n_rows, r % plan.n_rows, plan.n_rows));
        assert_good(rows_read(&rows, r, 3, inputs, targets)); // any cut gives the same
        assert_good(best_fit_row(&plan, &list, place, row, row + 1));
        assert_memory_equal(inputs, row, sizeof row - sizeof *row);
        assert_memory_equal(targets, row + 1, sizeof row - sizeof *row);
        int at = 0;
        for (int64_t s = plan.first[place]; s < plan.first[place + 1]; s++) {
            int document = row[at] / 100;
            assert_int_equal(row[at] % 100, 0);                 // a document's first token
            assert_int_equal(seen[document], r >= plan.n_rows); // each but once an epoch
            seen[document] = true;
            for (int t = 0; t < plan.tokens[s]; t++)
                assert_int_equal(row[at++], 100 * document + t);
        }
        assert_int_equal(at, T + 1);
    }
    assert_error(best_fit_row(&plan, &list, plan.n_rows, inputs, targets), ERROR_FAILED, "is asked for");
    best_fit_release(&plan);
    token_list_close(&list);
    arena_release(&arena);
}

// Changes one byte of the file.
static void damage(const char *path, long at)
{
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte ^ 1, f), EOF);
    fclose(f);
}

static void a_damaged_plan_is_named(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct token_list list;
    struct best_fit plan, other;
    struct store_file *file;
    struct store_set set;
    int64_t offset, bytes;
    write_texts(&list, &arena);
    assert_good(best_fit_make(&plan, &list, T, "bad.h5", NULL, NULL));
    assert_good(best_fit_save(&plan, "bad.h5", NULL, 0));
    assert_error(best_fit_open(&other, "bad.h5", &list, T + 1), ERROR_DATA, "'bad.h5', the plan of rows, is of another text");
    int64_t n = list.n--;
    assert_error(best_fit_open(&other, "bad.h5", &list, T), ERROR_DATA, "is of another text");
    list.n = n;
    assert_error(best_fit_open(&other, "first.h5", &list, T), ERROR_DATA, "first.h5");
    static const char *const sets[] = {"/first", "/starts", "/tokens"};
    for (size_t i = 0; i < countof(sets); i++) {
        assert_good(store_open(&file, "bad.h5"));
        assert_good(store_describe(file, sets[i], &set, &offset, &bytes));
        store_close(file);
        damage("bad.h5", offset + bytes / 2);
        assert_error(best_fit_open(&other, "bad.h5", &list, T), ERROR_DATA, "'bad.h5' is damaged");
        damage("bad.h5", offset + bytes / 2);
        assert_good(best_fit_open(&other, "bad.h5", &list, T));
        best_fit_release(&other);
    }
    // Well-formed, but not of this text: what a row says is held against it.
    int32_t inputs[T], targets[T];
    struct best_fit wrong = plan;
    int64_t starts[] = {list.n - 3, -1}, first[] = {0, 1};
    const int32_t tokens[] = {T + 1, T, T + 2, 0};
    wrong.first = first;
    wrong.starts = starts;
    wrong.tokens = tokens;
    assert_error(best_fit_row(&wrong, &list, 0, inputs, targets), ERROR_DATA, "has a row that the text has not");
    for (int i = 1; i < 4; i++) {
        starts[0] = 0;
        wrong.tokens = tokens + i;
        assert_error(best_fit_row(&wrong, &list, 0, inputs, targets), ERROR_DATA, i == 1 ? "not full" : "the text has not");
    }
    wrong.tokens = tokens;
    wrong.starts = starts + 1;
    assert_error(best_fit_row(&wrong, &list, 0, inputs, targets), ERROR_DATA, "the text has not");
    best_fit_release(&plan);
    token_list_close(&list);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_the_reference_s), cmocka_unit_test(packs_as_a_plain_search_does),
                                       cmocka_unit_test(nothing_to_pack_is_an_error), cmocka_unit_test(rows_are_read_as_planned),
                                       cmocka_unit_test(a_damaged_plan_is_named)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
