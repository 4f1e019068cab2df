// Counting: any number of threads, counts that are kept in a file, texts with more pieces than there is memory.
#include "tests/unit/folder.h"

#include "core/base/philox.h"
#include "core/base/stop.h"
#include "core/text/bpe_file.h"

enum { DOCUMENTS = 6000, MERGES = 500 };

// Words of all lengths, some of more than 16 bytes, some seen once.
static size_t document(uint64_t number, uint8_t *text, size_t size)
{
    struct philox random = philox_for(5, PHILOX_SAMPLE);
    size_t n = 0;
    for (uint64_t i = 0; n + 40 < size; i++) {
        uint32_t w[4];
        philox_words(random, number, i, w);
        size_t length = 1 + w[0] % (w[1] % 16 ? 6 : 30);
        text[n++] = ' ';
        for (size_t k = 0; k < length; k++)
            text[n++] = (uint8_t)("etaoinshrdlu"[(w[2] >> k % 24) % 12]);
    }
    return n;
}

static struct bpe_trainer *new_trainer(int threads, int64_t memory_bytes)
{
    struct bpe_trainer *t;
    assert_good(bpe_trainer_new(&t, 100000, INT64_MAX));
    assert_good(bpe_trainer_use(t, threads, memory_bytes));
    return t;
}

static struct error *add_all(struct bpe_trainer *t)
{
    static uint8_t text[1200];
    struct error *e = NULL;
    for (uint64_t i = 0; i < DOCUMENTS && !e; i++)
        e = bpe_trainer_add(t, text, document(i, text, sizeof text), NULL);
    return e ? e : bpe_trainer_count(t);
}

static struct token_table merge(struct bpe_trainer *t, struct arena *arena)
{
    struct token_table table;
    assert_good(bpe_trainer_merge(t, MERGES, NULL, NULL, arena, &table));
    return table;
}

static void assert_same(const struct token_table *a, const struct token_table *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->offsets, b->offsets, ((size_t)a->n + 1) * sizeof *a->offsets);
    assert_memory_equal(a->bytes, b->bytes, a->n_bytes);
}

static void threads_do_not_matter(void **state)
{
    static const int threads[] = {1, 2, 5};
    struct token_table tables[countof(threads)];
    struct bpe_totals totals[countof(threads)];
    struct arena arena = {0};
    (void)state;
    for (size_t i = 0; i < countof(threads); i++) {
        struct bpe_trainer *t = new_trainer(threads[i], 0);
        assert_good(add_all(t));
        totals[i] = bpe_trainer_totals(t);
        tables[i] = merge(t, &arena);
        bpe_trainer_free(t);
        assert_same(&tables[0], &tables[i]);
        assert_memory_equal(&totals[0], &totals[i], sizeof totals[0]);
    }
    assert_true(totals[0].bytes > 6 << 20); // more than a batch a thread
    assert_true(totals[0].pieces > totals[0].distinct);
    arena_release(&arena);
}

static void kept_counts_merge_alike(void **state)
{
    struct arena arena = {0};
    struct store_file *file;
    const struct store_set *sets;
    int n_sets;
    (void)state;
    struct bpe_trainer *t = new_trainer(2, 0), *again = new_trainer(1, 0);
    assert_good(add_all(t));
    assert_good(bpe_counts_sets(t, &arena, &sets, &n_sets));
    assert_good(store_save("counts.h5", NULL, 0, sets, n_sets));
    assert_good(store_open(&file, "counts.h5"));
    assert_good(bpe_counts_load(again, file));
    store_close(file);
    struct bpe_totals counted = bpe_trainer_totals(t), loaded = bpe_trainer_totals(again);
    assert_memory_equal(&counted, &loaded, sizeof counted);
    struct token_table a = merge(t, &arena), b = merge(again, &arena);
    assert_same(&a, &b);
    bpe_trainer_free(t);
    bpe_trainer_free(again);
    arena_release(&arena);
}

static void impossible_counts_are_refused(void **state)
{
    static const struct {
        uint32_t lengths[2];
        int64_t counts[2], n_lengths;
    } wrong[] = {{{2, 4}, {1, 1}, 2}, {{3, 0}, {1, 1}, 2},  {{1, 1}, {1, 1}, 2},
                 {{1, 2}, {1, 0}, 2}, {{1, 2}, {-5, 1}, 2}, {{3, 0}, {1, 1}, 1}};
    static const int64_t totals[4] = {1, 3, 3, 2};
    (void)state;
    for (size_t i = 0; i < countof(wrong); i++) {
        const struct store_set sets[] = {
            {.path = "/counts/bytes", .type = STORE_U8, .n_dims = 1, .dims = {3}, .data = "abc"},
            {.path = "/counts/lengths", .type = STORE_U32, .n_dims = 1, .dims = {wrong[i].n_lengths}, .data = wrong[i].lengths},
            {.path = "/counts/counts", .type = STORE_I64, .n_dims = 1, .dims = {2}, .data = wrong[i].counts},
            {.path = "/counts/totals", .type = STORE_I64, .n_dims = 1, .dims = {4}, .data = totals}};
        struct store_file *file;
        struct bpe_trainer *t = new_trainer(1, 0);
        assert_good(store_save("wrong.h5", NULL, 0, sets, countof(sets)));
        assert_good(store_open(&file, "wrong.h5"));
        assert_error(bpe_counts_load(t, file), ERROR_DATA, "not possible");
        store_close(file);
        bpe_trainer_free(t);
    }
}

static void memory_has_an_end(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        struct bpe_trainer *t = new_trainer(threads, 1 << 20);
        assert_error(add_all(t), ERROR_MACHINE, "too many different pieces");
        bpe_trainer_free(t);
    }
}

static void given_up_in_the_middle(void **state)
{
    static uint8_t text[1200];
    (void)state;
    struct bpe_trainer *t = new_trainer(3, 0);
    for (uint64_t i = 0; i < DOCUMENTS; i++)
        assert_good(bpe_trainer_add(t, text, document(i, text, sizeof text), NULL));
    bpe_trainer_free(t); // threads are still counting
    stop_request();
    t = new_trainer(3, 0);
    assert_error(add_all(t), ERROR_STOPPED, "");
    bpe_trainer_free(t);
    stop_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_do_not_matter), cmocka_unit_test(kept_counts_merge_alike),
                                       cmocka_unit_test(impossible_counts_are_refused), cmocka_unit_test(memory_has_an_end),
                                       cmocka_unit_test(given_up_in_the_middle)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
