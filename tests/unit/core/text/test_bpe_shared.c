// The merges of real text, held against rustbpe's by their hashes: at three sizes, counted by three numbers of threads.
//
// The hashes come from tests/parity/merge_hashes.py: SHA-256 over a line of hexadecimal digits for each merge, of the first 10,000
// characters of every document. Skipped (77) without the text.
#include "tests/unit/folder.h"

#include "core/base/hash.h"
#include "core/data/documents.h"
#include "core/text/bpe_train.h"
#include "core/text/buffer.h"

enum { FILES = 6, DOC_CAP = 10000 };

static const struct {
    int vocab, threads;
    const char *sha256;
} rustbpe[] = {
    {512, 1, "856854a5ef400832429bfbf8ce6c55f5b3d941f78a1a2d589ff0eb7d0adc67dc"},
    {4096, 2, "0f6a04bb5e765b40268c8e9902906ffdcbcaa12ab09cc55ac17c210563a9186a"},
    {32768, 5, "f537d0e27306ea1ef97d0c6f41512cbfb9a21bc71dc1ff1036e49131aecbcbc9"},
};

static void add_file(struct bpe_trainer *t, int i)
{
    char path[4096];
    struct documents *documents;
    const char *text;
    size_t n;
    snprintf(path, sizeof path, RETORT_SHARED "/data/pretrain/shard_%05d.parquet", i);
    assert_good(documents_open(&documents, &(struct document_part){.form = DOCUMENT_PARQUET, .path = path, .column = "text"}));
    for (;;) {
        assert_good(documents_next(documents, &text, &n));
        if (!text)
            break;
        assert_good(bpe_trainer_add(t, (const uint8_t *)text, n, NULL));
    }
    documents_close(documents);
}

static void hash_merges(const struct token_table *table, char hex[SHA256_HEX])
{
    struct bytes lines = {0};
    for (int32_t id = 256; id < table->n; id++) {
        size_t n;
        const uint8_t *bytes = token_table_bytes(table, id, &n);
        for (size_t i = 0; i < n; i++)
            assert_good(bytes_append(&lines, (char[]){"0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15]}, 2));
        assert_good(bytes_append(&lines, "\n", 1));
    }
    assert_good(sha256_bytes(lines.byte, lines.n, hex));
    bytes_release(&lines);
}

static void merges_as_by_rustbpe(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rustbpe); i++) {
        struct bpe_trainer *t;
        struct token_table table;
        struct arena arena = {0};
        char hex[SHA256_HEX];
        assert_good(bpe_trainer_new(&t, DOC_CAP, INT64_MAX));
        assert_good(bpe_trainer_use(t, rustbpe[i].threads, 0));
        for (int file = 0; file < FILES; file++)
            add_file(t, file);
        assert_good(bpe_trainer_merge(t, rustbpe[i].vocab - 256, NULL, NULL, &arena, &table));
        hash_merges(&table, hex);
        assert_string_equal(hex, rustbpe[i].sha256);
        bpe_trainer_free(t);
        arena_release(&arena);
    }
}

int main(void)
{
    if (access(RETORT_SHARED "/data/pretrain", R_OK)) {
        printf("skipped: no text in " RETORT_SHARED "/data/pretrain\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(merges_as_by_rustbpe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
