// test_tokens.c - what is written as documents is read as one stream, across files, in both widths; odd files are refused.
#include "tests/unit/folder.h"

#include "core/data/tokens.h"

static int32_t id_at(int64_t i, int64_t n_vocab)
{
    return (int32_t)((uint64_t)(i + 1) * 2654435761u % (uint64_t)n_vocab);
}

// Tokens first .. first+n-1 of the made-up stream, in documents of 0, 1, 2, ... tokens.
static void write_tokens(const char *path, int64_t first, int64_t n, int64_t n_vocab)
{
    struct token_writer w = {.n_vocab = n_vocab};
    int32_t ids[512];
    for (int64_t at = 0, length = 0; at < n; length = (length + 1) % 500) {
        int64_t here = length < n - at ? length : n - at;
        for (int64_t i = 0; i < here; i++)
            ids[i] = id_at(first + at + i, n_vocab);
        assert_good(token_writer_add(&w, ids, here));
        at += here;
    }
    struct store_attribute attribute = store_text("/", "form", "jsonl");
    assert_good(token_writer_save(&w, path, &attribute, 1));
    token_writer_release(&w);
}

static void streams_of(int64_t n_vocab)
{
    const int64_t lengths[] = {100000, 0, 1, 7, 0, 70000};
    const char *const paths[] = {"a.h5", "b.h5", "c.h5", "d.h5", "e.h5", "f.h5"};
    int64_t n = 0;
    for (int i = 0; i < 6; i++) {
        write_tokens(paths[i], n, lengths[i], n_vocab);
        n += lengths[i];
    }
    struct arena arena = {0};
    struct token_list list;
    assert_good(token_list_open(&list, paths, 6, &arena));
    assert_int_equal(list.n, n);
    assert_int_equal(list.n_vocab, n_vocab);
    int32_t *all = test_malloc((size_t)n * sizeof *all), some[40];
    assert_good(token_list_read(&list, 0, n, all));
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(all[i], id_at(i, n_vocab));
    for (int64_t first = 99980; first < 100020; first++)
        for (int64_t k = 0; k < 40; k += 13) {
            assert_good(token_list_read(&list, first, k, some));
            assert_memory_equal(some, all + first, (size_t)k * sizeof *all);
        }
    assert_good(token_list_read(&list, n, 0, some));
    assert_error(token_list_read(&list, n - 1, 2, some), ERROR_FAILED, "are asked for");
    assert_error(token_list_read(&list, -1, 2, some), ERROR_FAILED, "are asked for");
    const struct token_file *f = &list.files[5];
    assert_int_equal(f->documents[3], 3);
    assert_int_equal(f->documents[f->n_documents], 70000);
    token_list_close(&list);
    arena_release(&arena);
    test_free(all);
}

static void narrow_streams(void **state)
{
    (void)state;
    streams_of(65536);
    struct store_file *file;
    assert_good(store_open(&file, "a.h5"));
    assert_true(store_has(file, "/tokens"));
    struct store_set set;
    int64_t offset, bytes;
    assert_good(store_describe(file, "/tokens", &set, &offset, &bytes));
    assert_int_equal(set.type, STORE_U16);
    store_close(file);
}

static void wide_streams(void **state)
{
    (void)state;
    streams_of(65537);
    struct store_file *file;
    struct store_set set;
    int64_t offset, bytes;
    assert_good(store_open(&file, "a.h5"));
    assert_good(store_describe(file, "/tokens", &set, &offset, &bytes));
    assert_int_equal(set.type, STORE_U32);
    store_close(file);
}

static void many_files_need_no_descriptors(void **state)
{
    (void)state;
    enum { N = 3000 };
    write_tokens("one.h5", 0, 10, 100);
    const char *paths[N];
    for (int i = 0; i < N; i++)
        paths[i] = "one.h5";
    struct arena arena = {0};
    struct token_list list;
    assert_good(token_list_open(&list, paths, N, &arena));
    assert_int_equal(list.n, 10 * N);
    int32_t ids[25];
    assert_good(token_list_read(&list, 10 * N - 25, 25, ids));
    assert_int_equal(ids[24], id_at(9, 100));
    token_list_close(&list);
    arena_release(&arena);
}

static void save_raw(const uint16_t *ids, int64_t n, const int64_t *documents, int64_t d, int64_t said_n, int64_t n_vocab)
{
    struct store_set sets[] = {{.path = "/tokens", .type = STORE_U16, .n_dims = 1, .dims = {n}, .data = ids},
                               {.path = "/documents", .type = STORE_I64, .n_dims = 1, .dims = {d + 1}, .data = documents}};
    struct store_attribute attributes[] = {store_i64("/", "n", said_n), store_i64("/", "d", d),
                                           store_i64("/", "n_vocab", n_vocab)};
    assert_good(store_save("odd.h5", attributes, 3, sets, 2));
}

static void odd_files_are_refused(void **state)
{
    (void)state;
    const char *const odd[] = {"odd.h5", "other.h5"};
    struct arena arena = {0};
    struct token_list list;
    const uint16_t ids[4] = {0, 1, 50, 3};
    int32_t out[4];
    save_raw(ids, 4, (int64_t[]){0, 3, 4}, 2, 5, 100);
    assert_error(token_list_open(&list, odd, 1, &arena), ERROR_DATA, "4 tokens in 2 documents, but says 5 in 2");
    save_raw(ids, 4, (int64_t[]){0, 5, 4}, 2, 4, 100);
    assert_error(token_list_open(&list, odd, 1, &arena), ERROR_DATA, "out of order");
    save_raw(ids, 4, (int64_t[]){0, 3, 3}, 2, 4, 100);
    assert_error(token_list_open(&list, odd, 1, &arena), ERROR_DATA, "out of order");
    save_raw(ids, 4, (int64_t[]){0, 3, 4}, 2, 4, 65537);
    assert_error(token_list_open(&list, odd, 1, &arena), ERROR_DATA, "'/tokens' of 'odd.h5' is u16 where u32 is needed");
    save_raw(ids, 4, (int64_t[]){0, 3, 4}, 2, 4, -1);
    assert_error(token_list_open(&list, odd, 1, &arena), ERROR_DATA, "impossible vocabulary");
    save_raw(ids, 4, (int64_t[]){0, 3, 4}, 2, 4, 50);
    assert_good(token_list_open(&list, odd, 1, &arena));
    assert_good(token_list_read(&list, 0, 2, out));
    assert_error(token_list_read(&list, 0, 4, out), ERROR_DATA, "token 50 among tokens 0 to 3, where the vocabulary is 50");
    token_list_close(&list);
    write_tokens("other.h5", 0, 4, 51);
    assert_error(token_list_open(&list, odd, 2, &arena), ERROR_DATA, "vocabulary of 51");
    struct token_writer w = {.n_vocab = 10};
    assert_error(token_writer_add(&w, (int32_t[]){3, 10}, 2), ERROR_FAILED, "token 10");
    assert_error(token_writer_add(&w, (int32_t[]){3, -1}, 2), ERROR_FAILED, "token -1");
    token_writer_release(&w);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(narrow_streams), cmocka_unit_test(wide_streams),
                                       cmocka_unit_test(many_files_need_no_descriptors), cmocka_unit_test(odd_files_are_refused)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
