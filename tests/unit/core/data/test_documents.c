// Documents: the four forms, and what is wrong in them, by line or row.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/data/documents.h"

static char path[64];

static int make_file(void **state)
{
    (void)state;
    strcpy(path, "/tmp/retort_documents_XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void fail_with(struct error *e)
{
    if (e)
        fail_msg("%s", e->what);
}

// Reads all documents; *error is what ended it.
static int count(struct document_part part, const char *const *expected, struct error **error)
{
    struct documents *d;
    const char *text;
    size_t n_bytes;
    int n = 0;
    fail_with(documents_open(&d, &part));
    while (!(*error = documents_next(d, &text, &n_bytes)) && text) {
        if (expected) {
            assert_int_equal(n_bytes, strlen(expected[n]));
            assert_memory_equal(text, expected[n], n_bytes);
        }
        n++;
    }
    documents_close(d);
    return n;
}

static void lines(void **state)
{
    (void)state;
    static const char file[] = "\xEF\xBB\xBF{\"text\": \"one\", \"a\": {\"b\": \"x\"}}\r\n\n  \n"
                               "{\"a\": {\"b\": \"y\"}, \"text\": \"\"}\n"
                               "{\"text\": null, \"a\": {\"b\": null}}\n{\"text\": \"t\\u00e9\\n\", \"a\": {\"b\": \"z\"}}";
    static const char *const texts[] = {"one", "t\xC3\xA9\n"}, *const inner[] = {"x", "y", "z"};
    write_file(file, sizeof file - 1);
    struct error *e;
    assert_int_equal(count((struct document_part){DOCUMENT_JSONL, .path = path, .column = "text"}, texts, &e), 2);
    fail_with(e);
    assert_int_equal(count((struct document_part){DOCUMENT_JSONL, .path = path, .column = "a.b"}, inner, &e), 3);
    fail_with(e);
}

static void long_lines(void **state)
{
    (void)state;
    size_t n = 5 << 20;
    char *file = test_malloc(n + 100);
    size_t at = (size_t)sprintf(file, "{\"text\": \"short\"}\n{\"text\": \"");
    memset(file + at, 'x', n);
    memcpy(file + at + n, "\"}\n{\"text\": \"end\"}\n", 20);
    write_file(file, at + n + 19);
    struct documents *d;
    const char *text;
    size_t n_bytes;
    fail_with(documents_open(&d, &(struct document_part){DOCUMENT_JSONL, .path = path, .column = "text"}));
    static const size_t lengths[] = {5, 5 << 20, 3};
    for (int i = 0; i < 3; i++) {
        fail_with(documents_next(d, &text, &n_bytes));
        assert_int_equal(n_bytes, lengths[i]);
    }
    fail_with(documents_next(d, &text, &n_bytes));
    assert_null(text);
    documents_close(d);
    test_free(file);
}

static void expect_line_error(const char *file, int line, const char *expected)
{
    write_file(file, strlen(file));
    struct error *e;
    count((struct document_part){DOCUMENT_JSONL, .path = path, .column = "a.b"}, NULL, &e);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    assert_int_equal(e->at.line, line);
    assert_string_equal(e->at.file, path);
    if (!strstr(e->what, expected))
        fail_msg("'%s' does not say '%s'", e->what, expected);
    error_free(e);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    expect_line_error("{\"a\": {\"b\": \"x\"}}\n{\"a\"\n", 2, "no JSON");
    expect_line_error("{\"a\": {\"b\": \"x\"}}\n\n{\"a\": {}}\n", 3, "the field 'b' is missing");
    expect_line_error("{\"a\": {\"b\": 3}}\n", 1, "not a text");
    expect_line_error("[1]\n", 1, "no object");
    expect_line_error("{\"a\": 1}", 1, "no object where the field 'b'");
    expect_line_error("{\"a\": {\"b\": \"\xff\"}}", 1, "no JSON");
}

static void bad_lines_are_skipped(void **state)
{
    (void)state;
    static const char file[] =
        "{\"text\": \"one\"}\n{\"text\"\n{\"text\": 3}\n[]\n{\"text\": \"two\"}\n{}\n{\"text\": \"three\"}\n";
    static const char *const texts[] = {"one", "two", "three"};
    struct skips skips = {.most = 4};
    struct document_part part = {DOCUMENT_JSONL, .path = path, .column = "text", .skips = &skips};
    struct error *e;
    write_file(file, sizeof file - 1);
    assert_int_equal(count(part, texts, &e), 3);
    fail_with(e);
    assert_int_equal(skips.n, 4);
    assert_int_equal(skips.first->at.line, 2);
    skips_release(&skips);

    skips.most = 3; // one too few: the error is that of the fourth
    assert_int_equal(count(part, texts, &e), 2);
    assert_non_null(e);
    assert_int_equal(e->at.line, 6);
    assert_non_null(strstr(e->what, "the field 'text' is missing"));
    assert_non_null(strstr(e->while_->what, "skip_bad is 3"));
    error_free(e);
    skips_release(&skips);

    skips.most = 0;
    assert_int_equal(count(part, texts, &e), 1);
    assert_int_equal(e->at.line, 2);
    error_free(e);
    assert_int_equal(skips.n, 0);
}

static void a_line_too_long_is_never_skipped(void **state)
{
    (void)state;
    struct skips skips = {.most = 10};
    struct document_part part = {DOCUMENT_JSONL, .path = path, .column = "text", .skips = &skips};
    struct error *e;
    size_t n = (64 << 20) + 100;
    char *file = test_malloc(n);
    memset(file, 'x', n);
    write_file(file, n);
    test_free(file);
    assert_int_equal(count(part, NULL, &e), 0);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "a line of more than 67108864 bytes"));
    assert_int_equal(skips.n, 0);
    error_free(e);
}

static void plain_text(void **state)
{
    (void)state;
    static const char *const whole[] = {"a file\nof two lines\n"};
    struct error *e;
    write_file(whole[0], strlen(whole[0]));
    assert_int_equal(count((struct document_part){DOCUMENT_TEXT, .path = path}, whole, &e), 1);
    fail_with(e);
    write_file("", 0);
    assert_int_equal(count((struct document_part){DOCUMENT_TEXT, .path = path}, NULL, &e), 0);
    fail_with(e);
    struct documents *d;
    e = documents_open(&d, &(struct document_part){DOCUMENT_TEXT, .path = "/nowhere/at/all"});
    assert_non_null(e);
    assert_non_null(strstr(e->what, "cannot open '/nowhere/at/all'"));
    error_free(e);
}

// What is read as text or lines and is neither is named, and never skipped; what only looks a little like it is text.
static void files_of_another_kind(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *is; // NULL: text
    } files[] = {{"\x1F\x8B\x08\0\0", 5, "packed by gzip"},
                 {"\x28\xB5\x2F\xFD\0", 5, "packed by zstd"},
                 {"BZh91AY&SY\0", 11, "packed by bzip2"},
                 {"BZh for short", 13, NULL},
                 {"PAR1\x15\x04", 6, "a parquet file"},
                 {"PAR1 is a word", 14, NULL},
                 {"\xFF\xFEh\0i\0", 6, "UTF-16"},
                 {"\xFE\xFF\0h\0i", 6, "UTF-16"},
                 {"\xFF\xFE\x3F\x04\x40\x04", 6, "UTF-16"},
                 {"\xFE\xFF\x4E\x2D\x65\x87", 6, "UTF-16"},
                 {"\xFF\xFF bad", 6, NULL},
                 {"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", 57, "a pointer of Git LFS"},
                 {"version https://git-lfs.github.com/ speaks", 42, NULL},
                 {"ARROW1\0\0\xFF", 9, "an Arrow file"},
                 {"\xFF\xFF\xFF\xFF\x80\1", 6, "an Arrow file"},
                 {"SQLite format 3\0\x10", 17, "an SQLite data base"},
                 {"\x04\x22\x4D\x18\x64", 5, "packed by lz4"},
                 {"%PDF-1.7\n", 9, "a PDF"},
                 {"%PDF-1x is a word", 17, NULL},
                 {"\x1F", 1, NULL},
                 {"\xEF\xBB\xBFtext", 7, NULL}};
    struct skips skips = {.most = 1000};
    struct document_part text = {DOCUMENT_TEXT, .path = path};
    struct document_part lines_part = {DOCUMENT_JSONL, .path = path, .column = "text", .skips = &skips};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct documents *d;
        write_file(files[i].bytes, files[i].n);
        struct error *e = documents_open(&d, &text);
        assert_int_equal(e != NULL, files[i].is != NULL);
        if (!e) {
            documents_close(d);
            continue;
        }
        assert_int_equal(e->kind, ERROR_DATA);
        assert_non_null(strstr(e->what, files[i].is));
        error_free(e);
        assert_int_equal(count(lines_part, NULL, &e), 0);
        assert_non_null(e);
        assert_non_null(strstr(e->what, files[i].is));
        assert_non_null(strstr(e->what, "not JSON lines"));
        error_free(e);
    }
    assert_int_equal(skips.n, 0);
    struct document_part parquet = {DOCUMENT_PARQUET, .path = path, .column = "text"};
    struct documents *none;
    write_file(files[0].bytes, files[0].n);
    struct error *e = documents_open(&none, &parquet);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "is packed by gzip, not parquet"));
    error_free(e);
    static const char pretty[] = "[\r\n  {\"text\": \"one\"}\r\n]\r\n", cut[] = "{\"text\":\n{\"text\": \"two\"}\n";
    write_file(pretty, sizeof pretty - 1);
    assert_int_equal(count(lines_part, NULL, &e), 0);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "JSON over several lines"));
    assert_non_null(strstr(e->fix, "jq -c '.[]'"));
    error_free(e);
    write_file(cut, sizeof cut - 1);
    assert_int_equal(count(lines_part, (const char *const[]){"two"}, &e), 1);
    fail_with(e);
    assert_int_equal(skips.n, 1);
    skips_release(&skips);
}

static void parquet_rows(void **state)
{
    (void)state;
    struct error *e;
    struct document_part part = {DOCUMENT_PARQUET, .path = RETORT_SOURCE "/tests/fixtures/parquet/zstd_plain.parquet",
                                 .column = "text"};
    assert_int_equal(count(part, NULL, &e), 43); // of 60 rows 12 are null, 5 more empty
    fail_with(e);
    part.path = RETORT_SOURCE "/tests/fixtures/parquet/empty.parquet";
    assert_int_equal(count(part, NULL, &e), 0);
    fail_with(e);
}

static void world_range(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct world_range range = {"number", 1, 1000, NOWHERE};
    const struct world_template t = {1, "{number} {number}", NULL, NOWHERE};
    struct world world = {.path = "w", .ranges = &range, .n_ranges = 1, .templates = &t, .n_templates = 1};
    fail_with(world_compile(&world, &arena));
    char *all[20];
    size_t n;
    for (int i = 0; i < 20; i++)
        fail_with(world_write(&world, 3, i, false, &all[i], &n));
    struct error *e;
    struct document_part part = {DOCUMENT_WORLD, .path = "w", .world = &world, .seed = 3, .first = 5, .n = 10};
    assert_int_equal(count(part, (const char *const *)all + 5, &e), 10);
    fail_with(e);
    for (int i = 0; i < 20; i++)
        block_free(all[i]);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(bad_lines_are_skipped),
        cmocka_unit_test(a_line_too_long_is_never_skipped),
        cmocka_unit_test(plain_text),
        cmocka_unit_test(files_of_another_kind),
        cmocka_unit_test(parquet_rows),
        cmocka_unit_test(world_range),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
