// test_tokenize.c - documents to tokens: on any number of threads the same file, byte for byte, and the ids of every document alone.
#include "tests/unit/folder.h"

#include "core/base/philox.h"
#include "core/base/stop.h"
#include "core/data/tokenize.h"
#include "core/text/bpe_train.h"

#define PAGE_LENGTHS RETORT_SOURCE "/tests/fixtures/parquet/page_lengths.parquet"

static struct arena arena;
static struct tokenizer *tokenizer;

static struct bytes read_file(const char *path)
{
    struct bytes b = {0};
    uint8_t chunk[1 << 16];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        assert_good(bytes_append(&b, chunk, n));
    fclose(f);
    return b;
}

// Words, lines, numbers and characters of several bytes; without_borders has no space behind a letter.
static void random_text(uint64_t stream, size_t n, bool without_borders, struct bytes *out)
{
    static const char *const words[] = {"the ",
                                        "quick brown ",
                                        "it's",
                                        "\n\n",
                                        "12345 ",
                                        "    ",
                                        "!? ",
                                        "\xC3\xA9t\xC3\xA9 ",
                                        "\xE4\xBD\xA0\xE5\xA5\xBD",
                                        "fox jumps over ",
                                        "x"};
    struct philox random = philox_for(13, PHILOX_SAMPLE);
    size_t end = out->n + n;
    for (uint64_t i = 0; out->n < end; i++) {
        uint32_t w[4];
        philox_words(random, stream, i, w);
        const char *word = words[w[0] % countof(words)];
        if (without_borders)
            word = w[0] % 2 ? "7 " : "\n x!";
        assert_good(bytes_append(out, word, strlen(word)));
    }
}

static int setup(void **state)
{
    struct bpe_trainer *t;
    struct token_table table;
    struct bytes text = {0};
    random_text(0, 50000, false, &text);
    if (folder_enter(state))
        return -1;
    assert_good(bpe_trainer_new(&t, 1 << 20, 1 << 20));
    assert_good(bpe_trainer_add(t, text.byte, text.n, NULL));
    assert_good(bpe_trainer_merge(t, 100, NULL, NULL, &arena, &table));
    bpe_trainer_free(t);
    bytes_release(&text);
    assert_good(token_table_add_specials(&table, &arena, token_specials, TOKEN_SPECIALS));
    assert_good(tokenizer_new(&tokenizer, &arena, &table));
    return 0;
}

static int teardown(void **state)
{
    arena_release(&arena);
    return folder_leave(state);
}

static void remember(void *self, int64_t documents)
{
    assert_true(documents >= *(int64_t *)self);
    *(int64_t *)self = documents;
}

static struct error *run(const struct document_part *part, int threads, int64_t *shown, struct token_writer *w)
{
    struct tokenize *t;
    assert_good(tokenize_open(&t, tokenizer, threads));
    struct error *e = tokenize_documents(t, part, shown ? remember : NULL, shown, w);
    tokenize_close(t);
    return e;
}

// The file of one thread is that of any number, and says what an encoder says of every document by itself.
static void check(struct document_part part, int64_t n_documents)
{
    struct bytes one = {0};
    for (int threads = 1; threads <= 5; threads++) {
        struct token_writer w = {.n_vocab = tokenizer->n_vocab};
        int64_t shown = 0;
        assert_good(run(&part, threads, &shown, &w));
        assert_int_equal(shown, n_documents);
        assert_good(token_writer_save(&w, "tokens.h5", NULL, 0));
        token_writer_release(&w);
        struct bytes file = read_file("tokens.h5");
        if (threads == 1)
            one = file;
        assert_int_equal(file.n, one.n);
        assert_memory_equal(file.byte, one.byte, one.n);
        if (threads > 1)
            bytes_release(&file);
    }
    bytes_release(&one);
    struct encoder enc;
    struct documents *d;
    struct token_list list;
    struct arena files = {0};
    struct ids expected = {0}, ids = {0};
    const char *path = "tokens.h5", *text;
    size_t n;
    assert_good(encoder_init(&enc, tokenizer));
    assert_good(documents_open(&d, &part));
    assert_good(token_list_open(&list, &path, 1, &files));
    assert_int_equal(list.n_documents, n_documents);
    for (int64_t i = 0; i < n_documents; i++) {
        const int64_t *ends = list.files[0].documents + i;
        assert_good(documents_next(d, &text, &n));
        assert_non_null(text);
        expected.n = ids.n = 0;
        assert_good(ids_push(&expected, tokenizer_special(tokenizer, "<|bos|>")));
        assert_good(encoder_encode(&enc, (const uint8_t *)text, n, &expected));
        assert_int_equal(ends[1] - ends[0], expected.n);
        assert_good(ids_reserve(&ids, expected.n));
        assert_good(token_list_read(&list, ends[0], ends[1] - ends[0], ids.id));
        assert_memory_equal(ids.id, expected.id, expected.n * sizeof *ids.id);
    }
    ids_release(&expected);
    ids_release(&ids);
    token_list_close(&list);
    documents_close(d);
    encoder_release(&enc);
    arena_release(&files);
}

static void write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void long_texts(void **state)
{
    (void)state;
    for (int without_borders = 0; without_borders < 2; without_borders++) {
        struct bytes text = {0};
        random_text(1, without_borders ? 400000 : 5 << 20, without_borders, &text); // two batches and more
        write_file("long.txt", text.byte, text.n);
        bytes_release(&text);
        check((struct document_part){.form = DOCUMENT_TEXT, .path = "long.txt"}, 1);
    }
    write_file("empty.txt", "", 0);
    check((struct document_part){.form = DOCUMENT_TEXT, .path = "empty.txt"}, 0);
}

static void many_lines(void **state)
{
    (void)state;
    struct bytes file = {0};
    int64_t n_documents = 0;
    for (uint64_t i = 0; i < 3000; i++) { // short ones, and now and then one of several parts
        struct bytes text = {0};
        random_text(2 + i, i % 500 == 7 ? 300000 : i % 97, false, &text);
        assert_good(bytes_append(&file, "{\"text\": \"", 10));
        for (size_t k = 0; k < text.n; k++)
            assert_good(text.byte[k] == '\n' ? bytes_append(&file, "\\n", 2) : bytes_append(&file, text.byte + k, 1));
        assert_good(bytes_append(&file, "\"}\n", 3));
        n_documents += text.n > 0;
        bytes_release(&text);
    }
    write_file("many.jsonl", file.byte, file.n);
    bytes_release(&file);
    check((struct document_part){.form = DOCUMENT_JSONL, .path = "many.jsonl", .column = "text"}, n_documents);
}

// Texts that are read where their page lies, while the next pages are read, and texts of short pages, which are copied.
static void page_lengths(void **state)
{
    (void)state;
    check((struct document_part){.form = DOCUMENT_PARQUET, .path = PAGE_LENGTHS, .column = "text"}, 779);
}

// What is wrong behind the first batch is said, whoever reads it.
static void a_bad_line(void **state)
{
    (void)state;
    FILE *f = fopen("bad.jsonl", "wb");
    assert_non_null(f);
    for (int i = 0; i < 5000; i++)
        fputs(i == 4000 ? "{\"text\": 5}\n" : "{\"text\": \"some words\"}\n", f);
    fclose(f);
    struct token_writer w = {.n_vocab = tokenizer->n_vocab};
    struct document_part part = {.form = DOCUMENT_JSONL, .path = "bad.jsonl", .column = "text"};
    for (int threads = 1; threads <= 3; threads++) {
        struct error *e = run(&part, threads, NULL, &w);
        assert_non_null(e);
        assert_int_equal(e->at.line, 4001);
        assert_error(e, ERROR_DATA, "is not a text");
    }
    token_writer_release(&w);
}

static void stops(void **state)
{
    (void)state;
    struct token_writer w = {.n_vocab = tokenizer->n_vocab};
    struct document_part part = {.form = DOCUMENT_JSONL, .path = "many.jsonl", .column = "text"};
    stop_request();
    struct error *e = run(&part, 2, NULL, &w);
    stop_clear();
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_STOPPED);
    error_free(e);
    token_writer_release(&w);
}

// One after the other in the same memory, longer and shorter ones, and behind an error: each file is that of its part alone.
static void parts_in_turn(void **state)
{
    (void)state;
    const struct document_part parts[] = {{.form = DOCUMENT_TEXT, .path = "long.txt"},
                                          {.form = DOCUMENT_JSONL, .path = "bad.jsonl", .column = "text"},
                                          {.form = DOCUMENT_PARQUET, .path = PAGE_LENGTHS, .column = "text"},
                                          {.form = DOCUMENT_TEXT, .path = "empty.txt"},
                                          {.form = DOCUMENT_JSONL, .path = "many.jsonl", .column = "text"},
                                          {.form = DOCUMENT_PARQUET, .path = PAGE_LENGTHS, .column = "text"},
                                          {.form = DOCUMENT_PARQUET, .path = PAGE_LENGTHS, .column = "text"},
                                          {.form = DOCUMENT_TEXT, .path = "long.txt"}};
    struct tokenize *t;
    struct token_writer w = {.n_vocab = tokenizer->n_vocab};
    assert_good(tokenize_open(&t, tokenizer, 3));
    for (size_t i = 0; i < countof(parts); i++) {
        token_writer_clear(&w);
        struct error *e = tokenize_documents(t, &parts[i], NULL, NULL, &w);
        if (i == 1) {
            assert_error(e, ERROR_DATA, "is not a text");
            continue;
        }
        assert_good(e);
        assert_good(token_writer_save(&w, "turn.h5", NULL, 0));
        struct token_writer alone = {.n_vocab = tokenizer->n_vocab};
        assert_good(run(&parts[i], 1, NULL, &alone));
        assert_good(token_writer_save(&alone, "alone.h5", NULL, 0));
        token_writer_release(&alone);
        struct bytes turn = read_file("turn.h5"), other = read_file("alone.h5");
        assert_int_equal(turn.n, other.n);
        assert_memory_equal(turn.byte, other.byte, turn.n);
        bytes_release(&turn);
        bytes_release(&other);
    }
    token_writer_release(&w);
    tokenize_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_texts),
        cmocka_unit_test(many_lines),
        cmocka_unit_test(page_lengths),
        cmocka_unit_test(a_bad_line),
        cmocka_unit_test(stops),
        cmocka_unit_test(parts_in_turn),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
