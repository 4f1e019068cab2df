// Parquet: files written by pyarrow (tests/fixtures/parquet/make.py has the rules of their rows), damage, the real shards.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/data/parquet.h"

#define FIXTURES RETORT_SOURCE "/tests/fixtures/parquet/"

static void fail_with(struct error *e)
{
    if (e)
        fail_msg("%s", e->what);
}

// The text of row i, NULL for a null.
static const char *row_text(int64_t i, bool nullable, char text[80])
{
    if (nullable && i % 5 == 3)
        return NULL;
    int n = i % 11 == 4 ? 0 : snprintf(text, 80, "row %d: ", (int)i);
    for (int k = 0; n && k < i * 7 % 23; k++)
        n += snprintf(text + n, (size_t)(80 - n), "ab");
    text[n] = '\0';
    return text;
}

static const char *row_word(int64_t i)
{
    static const char *const words[] = {"north", "east", "south", "west", "up", "down", ""};
    return words[i % 7];
}

static void check_value(const struct parquet_text *t, const char *expected)
{
    if (!expected) {
        assert_null(t->text);
        return;
    }
    assert_non_null(t->text);
    assert_int_equal(t->n_bytes, strlen(expected));
    assert_memory_equal(t->text, expected, t->n_bytes);
}

static void check_file(const char *path, int64_t n_rows, int n_groups, bool nullable)
{
    struct parquet *p;
    fail_with(parquet_open(&p, path));
    assert_int_equal(parquet_n_rows(p), n_rows);
    assert_int_equal(parquet_n_row_groups(p), n_groups);
    for (int word = 0; word < 2; word++) {
        int column;
        fail_with(parquet_column(p, word ? "word" : "text", &column));
        int64_t i = 0;
        for (int g = 0; g < n_groups; g++) {
            fail_with(parquet_begin(p, g, column));
            struct parquet_text t;
            int64_t row = 0;
            for (;;) {
                fail_with(parquet_next(p, &t));
                if (t.row < 0)
                    break;
                assert_int_equal(t.row, row++);
                char text[80];
                check_value(&t, word ? row_word(i) : row_text(i, nullable, text));
                i++;
            }
            assert_int_equal(row, parquet_group_rows(p, g));
        }
        assert_int_equal(i, n_rows);
    }
    parquet_close(p);
}

static void reads_what_pyarrow_writes(void **state)
{
    (void)state;
    check_file(FIXTURES "snappy_dictionary.parquet", 60, 3, true);
    check_file(FIXTURES "zstd_plain.parquet", 60, 3, true);
    check_file(FIXTURES "gzip_v2.parquet", 60, 2, true);
    check_file(FIXTURES "zstd_v2_plain.parquet", 60, 1, true);
    check_file(FIXTURES "none_required.parquet", 40, 1, false);
    check_file(FIXTURES "none_pages.parquet", 60, 1, true);
    check_file(FIXTURES "lz4.parquet", 10, 1, true);
    check_file(FIXTURES "lz4_frames.parquet", 10, 1, true);
    check_file(FIXTURES "delta.parquet", 30, 1, true);
}

static void reads_empty_nulls_and_nested(void **state)
{
    (void)state;
    struct parquet *p;
    int column;
    struct parquet_text t;
    fail_with(parquet_open(&p, FIXTURES "empty.parquet"));
    assert_int_equal(parquet_n_rows(p), 0);
    fail_with(parquet_column(p, "text", &column));
    parquet_close(p);

    fail_with(parquet_open(&p, FIXTURES "nulls.parquet"));
    fail_with(parquet_column(p, "text", &column));
    fail_with(parquet_begin(p, 0, column));
    for (int i = 0; i < 30; i++) {
        fail_with(parquet_next(p, &t));
        assert_null(t.text);
        assert_int_equal(t.row, i);
    }
    fail_with(parquet_next(p, &t));
    assert_int_equal(t.row, -1);
    parquet_close(p);

    fail_with(parquet_open(&p, FIXTURES "nested.parquet"));
    fail_with(parquet_column(p, "a.text", &column));
    fail_with(parquet_begin(p, 0, column));
    for (int i = 0; i < 20; i++) {
        char text[80];
        fail_with(parquet_next(p, &t));
        check_value(&t, i % 2 ? row_text(i, true, text) : NULL);
    }
    parquet_close(p);
}

// An error of begin or of the first value, whose text holds `expected`.
static void expect_refused(const char *path, const char *column_path, const char *expected)
{
    struct parquet *p = NULL;
    int column;
    struct parquet_text t;
    struct error *e = parquet_open(&p, path);
    if (!e)
        e = parquet_column(p, column_path, &column);
    if (!e)
        e = parquet_begin(p, 0, column);
    if (!e)
        e = parquet_next(p, &t);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    if (!strstr(e->what, expected))
        fail_msg("'%s' does not say '%s'", e->what, expected);
    assert_non_null(strstr(e->what, path));
    error_free(e);
    parquet_close(p);
}

static void refuses_the_rest_by_name(void **state)
{
    (void)state;
    expect_refused(FIXTURES "brotli.parquet", "text", "packed by brotli");
    expect_refused(FIXTURES "int96.parquet", "text", "INT96");
    expect_refused(FIXTURES "index.parquet", "text", "in another file");
    expect_refused(FIXTURES "nested.parquet", "list.list.element", "a list");
    expect_refused(FIXTURES "zstd_plain.parquet", "id", "INT64");
    expect_refused(FIXTURES "zstd_plain.parquet", "texts", "it has: id, text, word");
    expect_refused(FIXTURES "make.py", "text", "no parquet file");
    expect_refused(FIXTURES "no_such_file.parquet", "text", "cannot open");
}

static size_t load(const char *path, unsigned char *bytes, size_t most)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, most, f);
    fclose(f);
    return n;
}

// Reads all text columns of a file; any outcome is fine but a crash.
static bool survive(const char *path)
{
    struct parquet *p;
    struct error *e = parquet_open(&p, path);
    if (e) {
        assert_true(e->kind == ERROR_DATA || e == error_memory());
        error_free(e);
        return false;
    }
    bool fine = true;
    static const char *const columns[] = {"text", "word", "a.text"};
    for (size_t c = 0; c < countof(columns); c++) {
        int column;
        if ((e = parquet_column(p, columns[c], &column))) {
            error_free(e);
            continue;
        }
        for (int g = 0; g < parquet_n_row_groups(p); g++) {
            struct parquet_text t = {0};
            volatile char last;
            e = parquet_begin(p, g, column);
            for (int64_t n = 0; !e && t.row >= 0 && n < 100000; n++)
                if (!(e = parquet_next(p, &t)) && t.n_bytes > 0)
                    last = t.text[t.n_bytes - 1];
            (void)last;
            fine &= !e;
            error_free(e);
        }
    }
    parquet_close(p);
    return fine;
}

static void damage_is_survived(void **state)
{
    (void)state;
    static const char *const files[] = {"snappy_dictionary", "zstd_plain", "gzip_v2", "zstd_v2_plain", "none_required",
                                        "none_pages",        "nulls",      "nested",  "lz4",           "delta",
                                        "lz4_frames"};
    static unsigned char good[8192], bad[8192];
    char path[64] = "/tmp/retort_parquet_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    srand(7);
    int n_errors = 0, n_runs = 0;
    for (size_t i = 0; i < countof(files); i++) {
        char name[300];
        snprintf(name, sizeof name, FIXTURES "%s.parquet", files[i]);
        size_t n = load(name, good, sizeof good);
        for (int run = 0; run < 200; run++) {
            memcpy(bad, good, n);
            size_t length = n;
            if (run % 8 == 0) {
                length = (size_t)rand() % n; // cut off
            } else {
                for (int k = 1 + rand() % 3; k > 0; k--) {
                    // Half of the damage to the footer, where the structure is.
                    size_t at = rand() % 2 ? n - 1 - (size_t)rand() % (n / 3) : (size_t)rand() % n;
                    bad[at] = rand() % 3 ? (unsigned char)rand() : (unsigned char)(bad[at] ^ 1 << rand() % 8);
                }
            }
            assert_int_equal(ftruncate(fd, 0), 0);
            assert_int_equal(pwrite(fd, bad, length, 0), (ssize_t)length);
            n_runs++;
            n_errors += !survive(path);
        }
    }
    assert_true(n_errors > n_runs / 4);
    close(fd);
    unlink(path);
}

static void reads_the_shards(void **state)
{
    (void)state;
    int64_t n_rows = 0, n_bytes = 0;
    for (int i = 0; i < 6; i++) {
        char path[600];
        snprintf(path, sizeof path, RETORT_SHARED "/data/pretrain/shard_%05d.parquet", i);
        if (access(path, R_OK) != 0) {
            print_message("skipped: no %s\n", path);
            skip();
        }
        struct parquet *p;
        int column;
        fail_with(parquet_open(&p, path));
        fail_with(parquet_column(p, "text", &column));
        for (int g = 0; g < parquet_n_row_groups(p); g++) {
            struct parquet_text t;
            fail_with(parquet_begin(p, g, column));
            for (;;) {
                fail_with(parquet_next(p, &t));
                if (t.row < 0)
                    break;
                n_rows++;
                n_bytes += (int64_t)t.n_bytes;
            }
        }
        parquet_close(p);
    }
    assert_int_equal(n_rows, 10711);
    assert_int_equal(n_bytes, 82163574);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_pyarrow_writes), cmocka_unit_test(reads_empty_nulls_and_nested),
        cmocka_unit_test(refuses_the_rest_by_name),  cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(reads_the_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
