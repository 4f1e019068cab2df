// test_parquet_value.c - lists, numbers and booleans that pyarrow wrote (tests/fixtures/parquet/make.py has the rules of their
// rows), damage to them, and the columns of the shared data sets, whose sums pyarrow gave.
#include "tests/unit/folder.h"

#include "core/data/parquet.h"

#define FIXTURES RETORT_SOURCE "/tests/fixtures/parquet/"

static const char *const words[] = {"north", "east", "south", "west", "up", "down", ""};
static const char *const files[] = {"lists", "lists_pages", "lists_v2"};
static const char *const damaged[] = {"lists", "lists_pages", "lists_v2", "encodings", "encodings_v2", "deep"};
static const char *const columns[] = {
    "messages.list.element.content", "messages.list.element.role", "small", "large", "single", "double", "flag", "id",
    "deep.list.element.list.element"};

enum { N_ROWS = 40, CONTENT = 0, ROLE, SMALL, LARGE, SINGLE, DOUBLE, FLAG, ID, DEEP };

// The text of row i, NULL for a null.
static const char *row_text(int64_t i, char text[80])
{
    if (i % 5 == 3)
        return NULL;
    int n = i % 11 == 4 ? 0 : snprintf(text, 80, "row %d: ", (int)i);
    for (int k = 0; n && k < i * 7 % 23; k++)
        n += snprintf(text + n, (size_t)(80 - n), "ab");
    text[n] = '\0';
    return text;
}

static void check_text(const struct parquet_value *v, const char *expected)
{
    assert_int_equal(v->kind, expected ? PARQUET_IS_TEXT : PARQUET_IS_NULL);
    if (expected) {
        assert_int_equal(v->n_bytes, strlen(expected));
        assert_memory_equal(v->text, expected, v->n_bytes);
    }
}

static void check_number(const struct parquet_value *v, int column, int64_t i)
{
    if (column != ID && i % 4 == 2) {
        assert_int_equal(v->kind, PARQUET_IS_NULL);
        return;
    }
    static const enum parquet_kind kinds[] = {
        [SMALL] = PARQUET_IS_INTEGER, [LARGE] = PARQUET_IS_INTEGER, [SINGLE] = PARQUET_IS_REAL,
        [DOUBLE] = PARQUET_IS_REAL,   [FLAG] = PARQUET_IS_BOOLEAN,  [ID] = PARQUET_IS_INTEGER};
    const int64_t integers[] = {[SMALL] = i * -1000003, [LARGE] = (i - 3) * 1000000000000000, [FLAG] = i % 3 == 0, [ID] = i};
    assert_int_equal(v->kind, kinds[column]);
    if (v->kind == PARQUET_IS_REAL)
        assert_true(v->real == (column == SINGLE ? (double)i * 0.25 : (double)i * -0.1));
    else
        assert_int_equal(v->integer, integers[column]);
}

static struct parquet *open_column(const char *path, const char *name, int *column)
{
    struct parquet *p;
    assert_good(parquet_open(&p, path));
    assert_good(parquet_column(p, name, column));
    return p;
}

static void next(struct parquet *p, int64_t row, bool begins_row, struct parquet_value *v)
{
    assert_good(parquet_next_value(p, v));
    assert_int_equal(v->row, row);
    if (row >= 0)
        assert_int_equal(v->begins_row, begins_row);
}

// The values of row i, the row-th of its group.
static void check_row(struct parquet *p, int column, int64_t i, int64_t row)
{
    struct parquet_value v;
    int64_t n = i % 6 == 5 ? 0 : i % 4;
    if (column > ROLE) {
        next(p, row, true, &v);
        check_number(&v, column, i);
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        char text[80];
        next(p, row, k == 0, &v);
        check_text(&v, column == ROLE ? words[k] : row_text(i + k, text));
    }
    if (n == 0) {
        next(p, row, true, &v);
        assert_int_equal(v.kind, PARQUET_IS_EMPTY);
        assert_null(v.text);
    }
}

static void reads_what_pyarrow_writes(void **state)
{
    (void)state;
    for (size_t f = 0; f < countof(files); f++)
        for (int c = CONTENT; c < DEEP; c++) {
            char path[300];
            int column;
            snprintf(path, sizeof path, FIXTURES "%s.parquet", files[f]);
            struct parquet *p = open_column(path, columns[c], &column);
            int64_t i = 0;
            for (int g = 0; g < parquet_n_row_groups(p); g++) {
                struct parquet_value v;
                assert_good(parquet_begin_values(p, g, column));
                for (int64_t row = 0; row < parquet_group_rows(p, g); row++, i++)
                    check_row(p, c, i, row);
                next(p, -1, false, &v);
                next(p, -1, false, &v); // and stays there
            }
            assert_int_equal(i, N_ROWS);
            parquet_close(p);
        }
}

static void reads_flat_texts_too(void **state)
{
    (void)state;
    int column;
    struct parquet *p = open_column(FIXTURES "zstd_plain.parquet", "text", &column);
    assert_good(parquet_begin_values(p, 1, column)); // rows 20 to 39
    for (int64_t row = 0; row < 20; row++) {
        struct parquet_value v;
        char text[80];
        next(p, row, true, &v);
        check_text(&v, row_text(20 + row, text));
    }
    parquet_close(p);
}

// Column c of row i; behind the numbers of columns[] come fixed, text and word.
static void check_encoded(const struct parquet_value *v, int c, int64_t i)
{
    char text[80];
    if (c <= FLAG) {
        check_number(v, c, i);
        return;
    }
    snprintf(text, sizeof text, "%04d", (int)i);
    check_text(v, c == FLAG + 1 ? text : c == FLAG + 2 ? row_text(i, text) : words[i % 7]);
}

static void reads_all_encodings(void **state)
{
    (void)state;
    static const char *const names[] = {[SMALL] = "small", [LARGE] = "large",    [SINGLE] = "single", [DOUBLE] = "double",
                                        [FLAG] = "flag",   [FLAG + 1] = "fixed", [FLAG + 2] = "text", [FLAG + 3] = "word"};
    for (int f = 0; f < 2; f++)
        for (int c = SMALL; c < (int)countof(names); c++) {
            int column;
            struct parquet *p =
                open_column(f ? FIXTURES "encodings_v2.parquet" : FIXTURES "encodings.parquet", names[c], &column);
            int64_t i = 0;
            for (int g = 0; g < parquet_n_row_groups(p); g++) {
                struct parquet_value v;
                assert_good(parquet_begin_values(p, g, column));
                for (int64_t row = 0; row < parquet_group_rows(p, g); row++, i++) {
                    next(p, row, true, &v);
                    check_encoded(&v, c, i);
                }
                next(p, -1, false, &v);
            }
            assert_int_equal(i, 60);
            parquet_close(p);
        }
}

// Numbers without a sign are what they are; what stands for something else than its bytes is refused by name.
static void says_what_types_mean(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t first;
        bool is_unsigned;
    } read[] = {
        {"byte", UINT8_MAX, true}, {"middle", UINT32_MAX, true}, {"large", UINT64_MAX, true}, {"signed", (uint64_t)-3, false}};
    static const char *const refused[][2] = {
        {"price", "decimals"}, {"coins", "decimals"}, {"half", "numbers of 16 bits"}, {"uuid", "UUIDs"}};
    struct parquet_value v;
    int column;
    struct parquet *p;
    for (size_t i = 0; i < countof(read); i++) {
        p = open_column(FIXTURES "logical.parquet", read[i].name, &column);
        assert_good(parquet_begin_values(p, 0, column));
        for (int64_t row = 0; row < 6; row++) {
            next(p, row, true, &v);
            assert_int_equal(v.integer,
                             (int64_t)(read[i].is_unsigned ? read[i].first - (uint64_t)row : read[i].first + (uint64_t)row));
            assert_int_equal(v.is_unsigned, read[i].is_unsigned);
        }
        parquet_close(p);
    }
    for (size_t i = 0; i < countof(refused); i++) {
        p = open_column(FIXTURES "logical.parquet", refused[i][0], &column);
        assert_error(parquet_begin_values(p, 0, column), ERROR_DATA, refused[i][1]);
        parquet_close(p);
    }
}

// A value of a list of lists: what it goes on with, and its number; -1: an inner list that is empty, -2: the outer one is.
static void next_deep(struct parquet *p, int64_t row, int repeat, int64_t number)
{
    struct parquet_value v;
    next(p, row, repeat == 0, &v);
    assert_int_equal(v.repeat, repeat);
    assert_int_equal(v.kind, number < 0 ? PARQUET_IS_EMPTY : PARQUET_IS_INTEGER);
    assert_int_equal(v.level, number == -2 ? 1 : number == -1 ? 3 : 5);
    assert_int_equal(v.integer, number < 0 ? 0 : number);
}

static void reads_lists_of_lists(void **state)
{
    (void)state;
    int column;
    struct parquet *p = open_column(FIXTURES "deep.parquet", "lists.list.element.list.element", &column);
    assert_int_equal(parquet_n_lists(p, column), 2);
    assert_int_equal(parquet_value_level(p, column), 5);
    assert_error(parquet_begin(p, 0, column), ERROR_DATA, "a list, not a text");
    int64_t i = 0;
    for (int g = 0; g < parquet_n_row_groups(p); g++) {
        assert_good(parquet_begin_values(p, g, column));
        for (int64_t row = 0; row < parquet_group_rows(p, g); row++, i++) {
            next_deep(p, row, 0, i % 3 ? -1 : -2); // list 0 has no numbers
            if (i % 3 == 2)
                next_deep(p, row, 1, i);
        }
        next(p, -1, false, &(struct parquet_value){0});
    }
    assert_int_equal(i, 30);
    parquet_close(p);
}

static void reads_maps(void **state)
{
    (void)state;
    for (int part = 0; part < 2; part++) {
        int column;
        struct parquet *p = open_column(FIXTURES "deep.parquet", part ? "map.key_value.value" : "map.key_value.key", &column);
        assert_good(parquet_begin_values(p, 0, column));
        for (int64_t row = 0; row < 20; row++) {
            struct parquet_value v;
            for (int64_t k = 0; k < row % 4; k++) {
                next(p, row, k == 0, &v);
                check_text(&v, words[k]);
            }
            if (row % 4 == 0) {
                next(p, row, true, &v);
                assert_int_equal(v.kind, PARQUET_IS_EMPTY);
            }
        }
        parquet_close(p);
    }
}

// Reads all columns; any outcome is fine but a crash or rows that the group does not have.
static bool survive(const char *path)
{
    struct parquet *p;
    struct error *e = parquet_open(&p, path);
    bool fine = !e;
    error_free(e);
    if (!fine)
        return false;
    for (int column = 0; column < parquet_n_columns(p); column++) {
        for (int g = 0; g < parquet_n_row_groups(p); g++) {
            struct parquet_value v = {0};
            volatile char last;
            int64_t row = -1;
            e = parquet_begin_values(p, g, column);
            for (int64_t n = 0; !e && v.row >= 0 && n < 2000; n++) {
                if ((e = parquet_next_value(p, &v)))
                    break;
                if (v.n_bytes > 0)
                    last = v.text[v.n_bytes - 1];
                assert_true(v.row == -1 || v.row == row + v.begins_row);
                assert_true(v.row < parquet_group_rows(p, g));
                assert_true(v.row >= 0 || row + 1 == parquet_group_rows(p, g));
                row = v.row;
            }
            (void)last;
            fine &= !e;
            error_free(e);
        }
    }
    parquet_close(p);
    return fine;
}

static size_t load(const char *name, unsigned char *bytes, size_t most)
{
    char path[300];
    snprintf(path, sizeof path, FIXTURES "%s.parquet", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, most, f);
    fclose(f);
    return n;
}

static void save(const unsigned char *bytes, size_t n)
{
    FILE *f = fopen("bad.parquet", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void damage_is_survived(void **state)
{
    (void)state;
    static unsigned char good[8192], bad[8192];
    int n_errors = 0, n_runs = 0;
    srand(11);
    for (size_t i = 0; i < countof(damaged); i++) {
        size_t n = load(damaged[i], good, sizeof good);
        for (int run = 0; run < 600; run++, n_runs++) {
            memcpy(bad, good, n);
            for (int k = 1 + rand() % 3; k > 0; k--) {
                size_t at = (size_t)rand() % n;
                bad[at] = rand() % 3 ? (unsigned char)rand() : (unsigned char)(bad[at] ^ 1 << rand() % 8);
            }
            save(bad, run % 8 ? n : (size_t)rand() % n); // one in eight is cut off
            n_errors += !survive("bad.parquet");
        }
    }
    assert_true(n_errors > n_runs / 4);
}

static void single_bits_may_be_wrong(void **state)
{
    (void)state;
    static unsigned char bytes[8192];
    for (size_t i = 0; i < countof(damaged); i++) {
        size_t n = load(damaged[i], bytes, sizeof bytes);
        for (size_t at = i; at < n; at += 2) {
            bytes[at] ^= (unsigned char)(1 << at % 8);
            save(bytes, n);
            survive("bad.parquet");
            bytes[at] ^= (unsigned char)(1 << at % 8);
        }
    }
}

static void every_cut_is_an_error(void **state)
{
    (void)state;
    static unsigned char bytes[8192];
    size_t n = load("encodings", bytes, sizeof bytes);
    for (size_t length = 0; length < n; length++) {
        struct parquet *p;
        save(bytes, length);
        assert_error(parquet_open(&p, "bad.parquet"), ERROR_DATA, "'bad.parquet'");
    }
}

static void errors_name_the_page(void **state)
{
    (void)state;
    static unsigned char bytes[8192];
    size_t n = load("none_pages", bytes, sizeof bytes); // with checksums; more pages than one
    struct parquet *p;
    struct parquet_text t = {0};
    struct error *e = NULL;
    int column;
    unsigned char *row = memmem(bytes, n, "row 31: ", 8);
    assert_non_null(row);
    row[1] ^= 1;
    save(bytes, n);
    p = open_column("bad.parquet", "text", &column);
    assert_good(parquet_begin(p, 0, column));
    while (!(e = parquet_next(p, &t)) && t.row >= 0)
        ;
    assert_int_equal(t.row < 31, true);
    assert_error(e, ERROR_DATA, "'bad.parquet', row group 0, column 'text', page 2: a page is damaged: its checksum differs");
    parquet_close(p);
}

static void a_file_cut_while_it_is_read(void **state)
{
    (void)state;
    static unsigned char bytes[8192];
    size_t n = load("none_pages", bytes, sizeof bytes);
    struct parquet_text t = {0};
    struct error *e = NULL;
    int column;
    save(bytes, n);
    struct parquet *p = open_column("bad.parquet", "text", &column);
    assert_good(parquet_begin(p, 0, column));
    assert_good(parquet_next(p, &t));
    assert_int_equal(truncate("bad.parquet", (off_t)n - 100), 0);
    while (!(e = parquet_next(p, &t)) && t.row >= 0)
        ;
    assert_non_null(e);
    assert_non_null(e->while_);
    assert_string_equal(e->while_->what, "reading row group 0, column 'text', page 1");
    assert_error(e, ERROR_DATA, "'bad.parquet' was cut short while it was read");
    parquet_close(p);
}

struct sums {
    int64_t n_rows, n_values, n_bytes, weighted; // weighted: the sum over values of (1 + row) * (integer, or 1 for a text)
};

static struct sums sum_column(const char *path, const char *name)
{
    struct sums s = {0};
    int column;
    struct parquet *p = open_column(path, name, &column);
    for (int g = 0; g < parquet_n_row_groups(p); g++) {
        struct parquet_value v;
        assert_good(parquet_begin_values(p, g, column));
        for (;;) {
            assert_good(parquet_next_value(p, &v));
            if (v.row < 0)
                break;
            s.n_rows += v.begins_row;
            s.n_values++;
            s.n_bytes += (int64_t)v.n_bytes;
            s.weighted += (1 + v.row) * (v.kind == PARQUET_IS_TEXT ? 1 : v.integer);
        }
    }
    parquet_close(p);
    return s;
}

static void check_sums(struct sums s, int64_t n_rows, int64_t n_values, int64_t n_bytes, int64_t weighted)
{
    assert_int_equal(s.n_rows, n_rows);
    assert_int_equal(s.n_values, n_values);
    assert_int_equal(s.n_bytes, n_bytes);
    if (weighted >= 0)
        assert_int_equal(s.weighted, weighted);
}

static void reads_the_data_sets(void **state)
{
    (void)state;
    static const char smoltalk[] = RETORT_SHARED "/data/smoltalk/train-00000-of-00001.parquet";
    static const char mmlu[] = RETORT_SHARED "/data/mmlu/test-00000-of-00001.parquet";
    static const char arc[] = RETORT_SHARED "/data/arc_easy/train-00000-of-00001.parquet";
    if (access(smoltalk, R_OK) != 0 || access(mmlu, R_OK) != 0 || access(arc, R_OK) != 0) {
        print_message("skipped: no smoltalk, mmlu and arc_easy in " RETORT_SHARED "/data\n");
        skip();
    }
    check_sums(sum_column(smoltalk, "messages.list.element.content"), 4090, 12511, 3130795, 25592931);
    check_sums(sum_column(smoltalk, "messages.list.element.role"), 4090, 12511, 6135 * 4 + 241 * 6 + (12511 - 6135 - 241) * 9,
               25592931);
    check_sums(sum_column(mmlu, "choices.list.element"), 14042, 56168, 2357506, -1);
    check_sums(sum_column(mmlu, "answer"), 14042, 14042, 0, 152157224);
    check_sums(sum_column(arc, "choices.text.list.element"), 1425, 5700, 131062, 4064100);
    check_sums(sum_column(arc, "choices.label.list.element"), 1425, 5700, 5700, 4064100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_pyarrow_writes),
        cmocka_unit_test(reads_flat_texts_too),
        cmocka_unit_test(reads_all_encodings),
        cmocka_unit_test(says_what_types_mean),
        cmocka_unit_test(reads_lists_of_lists),
        cmocka_unit_test(reads_maps),
        cmocka_unit_test_setup_teardown(damage_is_survived, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(single_bits_may_be_wrong, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(every_cut_is_an_error, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(errors_name_the_page, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(a_file_cut_while_it_is_read, folder_enter, folder_leave),
        cmocka_unit_test(reads_the_data_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
