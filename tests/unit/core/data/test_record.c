// test_record.c - rows as fields: parquet by short and by full paths (tests/fixtures/parquet/make.py has the rules of the rows),
// JSON lines with what is wrong in them, records of worlds, and the shared data sets.
#include "tests/unit/folder.h"

#include "core/data/record.h"

#define FIXTURES RETORT_SOURCE "/tests/fixtures/parquet/"

static const char *const words[] = {"north", "east", "south", "west"};

static const struct record *next(struct records *r)
{
    const struct record *record;
    assert_good(records_next(r, &record));
    return record;
}

static void expect_text(const struct record_value *v, const char *expected)
{
    if (!expected) {
        assert_null(v->text);
        return;
    }
    assert_non_null(v->text);
    assert_string_equal(v->text, expected);
    assert_int_equal(v->n, strlen(expected));
}

// The one value of a field.
static void expect_one(const struct record *record, int f, const char *expected)
{
    assert_false(record->fields[f].is_list);
    assert_int_equal(record->fields[f].n_values, 1);
    expect_text(record->fields[f].values, expected);
}

// Texts of a list, NULL behind the last.
static void expect_list(const struct record *record, int f, const char *const *expected)
{
    assert_true(record->fields[f].is_list);
    for (int i = 0; i < record->fields[f].n_values; i++)
        expect_text(&record->fields[f].values[i], expected[i]);
    assert_null(expected[record->fields[f].n_values]);
}

static void expect_missing(const struct record *record, int f)
{
    assert_int_equal(record->fields[f].n_values, 0);
    assert_false(record->fields[f].is_list);
}

// The text of row i of the fixtures, NULL for a null.
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

static void reads_columns_side_by_side(void **state)
{
    (void)state;
    static const char *const files[] = {"lists", "lists_pages", "lists_v2"};
    static const char *const paths[] = {"messages.role",    "small", "messages.list.element.content",
                                        "nothing | double", "flag",  "id"};
    for (size_t k = 0; k < countof(files); k++) {
        char path[300], expected[80];
        snprintf(path, sizeof path, FIXTURES "%s.parquet", files[k]);
        struct document_part part = {DOCUMENT_PARQUET, .path = path};
        struct records *r;
        int64_t n_rows;
        assert_good(records_count(&part, &n_rows));
        assert_int_equal(n_rows, 40);
        assert_good(records_open(&r, &part, paths, countof(paths)));
        for (int64_t i = 0; i < n_rows; i++) {
            const struct record *record = next(r);
            assert_non_null(record);
            assert_int_equal(record->row, i);
            assert_int_equal(record->n_fields, countof(paths));
            int64_t n = i % 6 == 5 ? 0 : i % 4;
            assert_true(record->fields[0].is_list && record->fields[2].is_list);
            assert_int_equal(record->fields[0].n_values, n);
            assert_int_equal(record->fields[2].n_values, n);
            for (int64_t m = 0; m < n; m++) {
                expect_text(&record->fields[0].values[m], words[m]);
                expect_text(&record->fields[2].values[m], row_text(i + m, expected));
            }
            snprintf(expected, sizeof expected, "%lld", (long long)i * -1000003);
            expect_one(record, 1, i % 4 == 2 ? NULL : expected);
            assert_true(record->fields[1].values->is_integer == (i % 4 != 2));
            assert_int_equal(record->fields[1].values->integer, i % 4 == 2 ? 0 : i * -1000003);
            assert_true(i % 4 == 2 || strtod(record->fields[3].values->text, NULL) == (double)i * -0.1);
            expect_one(record, 4, i % 4 == 2 ? NULL : i % 3 == 0 ? "true" : "false");
            assert_int_equal(record->fields[5].values->integer, i);
        }
        assert_null(next(r));
        assert_null(next(r)); // and stays there
        records_close(r);
    }
}

static void numbers_without_a_sign(void **state)
{
    (void)state;
    static const char *const paths[] = {"byte", "middle", "large", "signed"};
    static const char *const first[] = {"255", "4294967295", "18446744073709551615", "-3"};
    const struct document_part part = {DOCUMENT_PARQUET, .path = FIXTURES "logical.parquet"};
    struct records *r;
    assert_good(records_open(&r, &part, paths, countof(paths)));
    const struct record *record = next(r);
    for (int f = 0; f < (int)countof(paths); f++) {
        expect_one(record, f, first[f]);
        assert_true(record->fields[f].values->is_integer == (f != 2)); // which is none of 64 bits
    }
    records_close(r);
}

static void finds_columns_by_what_they_mean(void **state)
{
    (void)state;
    struct document_part part = {DOCUMENT_PARQUET, .path = FIXTURES "nested.parquet"};
    static const char *const paths[] = {"list", "a.text", "list.list.element", "..x | . | a.text"};
    static const char *const rows[][3] = {{NULL}, {"x", NULL}, {"x", "x", NULL}};
    struct records *r;
    char text[80];
    assert_good(records_open(&r, &part, paths, countof(paths)));
    for (int64_t i = 0; i < 20; i++) {
        const struct record *record = next(r);
        expect_list(record, 0, rows[i % 3]);
        expect_list(record, 2, rows[i % 3]);
        expect_one(record, 1, i % 2 ? row_text(i, text) : NULL);
        expect_one(record, 3, i % 2 ? row_text(i, text) : NULL);
    }
    assert_null(next(r));
    records_close(r);
    static const char *const wrong[] = {"element", "a", "a.list.text", "list.x", ".", "lis", "list.list.list.element"};
    for (size_t i = 0; i < countof(wrong); i++)
        assert_error(records_open(&r, &part, &wrong[i], 1), ERROR_DATA, "has no column");
    part.path = FIXTURES "lists.parquet";
    assert_error(records_open(&r, &part, (const char *[]){"x | y"}, 1), ERROR_DATA,
                 "has no column 'x | y'; it has: messages.list");
    assert_error(records_open(&r, &part, (const char *[]){"deep"}, 1), ERROR_DATA,
                 "'deep.list.element.list.element' is a list of lists");
    part.path = FIXTURES "empty.parquet";
    assert_good(records_open(&r, &part, (const char *[]){"text"}, 1));
    assert_null(next(r));
    records_close(r);
}

static void refuses_paths_and_parts(void **state)
{
    (void)state;
    struct document_part part = {DOCUMENT_JSONL, .path = "none.jsonl"};
    struct records *r;
    char deep[100] = "a", *many[RECORD_PATHS + 1];
    for (size_t i = 1; i < 80; i++)
        deep[i] = i % 2 ? '.' : 'a';
    deep[79] = '\0';
    for (size_t i = 0; i < countof(many); i++)
        many[i] = deep;
    assert_error(records_open(&r, &part, (const char *[]){"a"}, 1), ERROR_DATA, "cannot open 'none.jsonl'");
    assert_error(records_open(&r, &part, (const char *[]){deep}, 1), ERROR_DATA, "too many names");
    assert_error(records_open(&r, &part, (const char *[]){"a..b"}, 1), ERROR_DATA, "a name of no letters");
    assert_error(records_open(&r, &part, (const char *[]){".a"}, 1), ERROR_DATA, "a name of no letters");
    assert_error(records_open(&r, &part, (const char *[]){".."}, 1), ERROR_DATA, "a name of no letters");
    assert_error(records_open(&r, &part, (const char *[]){"a | "}, 1), ERROR_DATA, "a name of no letters");
    assert_error(records_open(&r, &part, (const char *[]){"a|b"}, 1), ERROR_DATA, "'a|b' has a '|'");
    assert_error(records_open(&r, &part, (const char *[]){"a |  b"}, 1), ERROR_DATA, "' b' has a '|' or a blank");
    assert_good(record_path_check("a.b | ..c | ."));
    assert_error(record_path_check("a..b"), ERROR_DATA, "'a..b' has a name of no letters");
    assert_error(records_open(&r, &part, (const char *const *)many, countof(many)), ERROR_DATA, "17 paths");
    assert_error(records_open(&r, &part, NULL, 0), ERROR_DATA, "0 paths");
    part.form = DOCUMENT_TEXT;
    assert_error(records_open(&r, &part, (const char *[]){"a"}, 1), ERROR_DATA, "plain text");
}

static void write_lines(const char *text, size_t n)
{
    FILE *f = fopen("lines.jsonl", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static const struct document_part lines_part = {DOCUMENT_JSONL, .path = "lines.jsonl"};

static struct records *open_lines(const char *text, const char *const *paths, int n_paths)
{
    struct records *r;
    int64_t n;
    write_lines(text, strlen(text));
    assert_good(records_count(&lines_part, &n));
    assert_int_equal(n, *text ? -1 : 0);
    assert_good(records_open(&r, &lines_part, paths, n_paths));
    return r;
}

static void json_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {"q | train.q", "c.text", "m.role | ..role", ".", "n"};
    struct records *r = open_lines("\n[{\"role\":\"a\"},{},{\"role\":null},{\"role\":\"b\"}]\n", paths, 3);
    const struct record *record = next(r);
    expect_missing(record, 0);
    expect_missing(record, 1);
    assert_int_equal(record->fields[2].n_values, 4);
    expect_text(&record->fields[2].values[0], "a");
    expect_text(&record->fields[2].values[1], NULL);
    expect_text(&record->fields[2].values[2], NULL);
    expect_text(&record->fields[2].values[3], "b");
    assert_null(next(r));
    records_close(r);

    r = open_lines("{\"m\":[{\"role\":[{\"a\":\"\\u0000\\u00e9\"},{}]},{\"role\":[]},{\"role\":\"[]\"}]}\n", paths, 3);
    record = next(r);
    expect_list(record, 2, (const char *[]){"[{\"a\":\"\\u0000\\u00e9\"},{}]", "[]", "[]", NULL});
    assert_true(record->fields[2].values[0].is_json && record->fields[2].values[1].is_json &&
                !record->fields[2].values[2].is_json);
    records_close(r);

    r = open_lines("{\"q\":\"one\",\"train\":{\"q\":\"two\"},\"c\":{\"text\":[\"x\",\"y\"]},\"m\":[]}\n"
                   "{\"train\":{\"q\":\"two\"},\"c\":[{\"text\":1},{\"text\":2.5}],\"m\":[{\"role\":true}]}\n"
                   "{\"q\":null,\"c\":5,\"m\":[1,2]}\n"
                   "[]\n7\n[]",
                   paths, 3);
    record = next(r);
    expect_one(record, 0, "one");
    expect_list(record, 1, (const char *[]){"x", "y", NULL});
    expect_list(record, 2, (const char *[]){NULL});
    record = next(r);
    assert_int_equal(record->row, 1);
    expect_one(record, 0, "two");
    expect_list(record, 1, (const char *[]){"1", "2.5", NULL});
    assert_true(record->fields[1].values[0].is_integer && !record->fields[1].values[1].is_integer);
    expect_list(record, 2, (const char *[]){"true", NULL});
    record = next(r);
    expect_one(record, 0, NULL);
    expect_missing(record, 1);
    expect_missing(record, 2); // nothing in the list has a role
    record = next(r);
    expect_list(record, 2, (const char *[]){NULL});
    record = next(r);
    for (int f = 0; f < 3; f++)
        expect_missing(record, f);
    assert_int_equal(next(r)->row, 5);
    assert_null(next(r));
    records_close(r);

    r = open_lines("\"whole\"\n[1,\"b\"]\n-9223372036854775808\n0.1\n18446744073709551615\n-99999999999999999999999\n", paths + 3,
                   1);
    expect_one(next(r), 0, "whole");
    expect_list(next(r), 0, (const char *[]){"1", "b", NULL});
    record = next(r);
    expect_one(record, 0, "-9223372036854775808");
    assert_true(record->fields[0].values->integer == INT64_MIN);
    expect_one(next(r), 0, "0.1");
    record = next(r);
    expect_one(record, 0, "18446744073709551615"); // all its digits, but no integer
    assert_false(record->fields[0].values->is_integer);
    expect_one(next(r), 0, "-99999999999999999999999");
    records_close(r);
}

static void zero_bytes_stay(void **state)
{
    (void)state;
    struct records *r = open_lines("{\"n\":\"a\\u0000b\"}\n", (const char *[]){"n"}, 1);
    const struct record *record = next(r);
    assert_int_equal(record->fields[0].values->n, 3);
    assert_memory_equal(record->fields[0].values->text, "a\0b", 4);
    records_close(r);
}

static void expect_line_error(const char *text, const char *path, int line, const char *what)
{
    struct records *r = open_lines(text, &path, 1);
    const struct record *record;
    struct error *e;
    while (!(e = records_next(r, &record)) && record)
        continue;
    assert_non_null(e);
    assert_int_equal(e->at.line, line);
    assert_string_equal(e->at.file, "lines.jsonl");
    assert_error(e, ERROR_DATA, what);
    records_close(r);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    expect_line_error("{\"a\":1}\n\n{\"a\":", "a", 3, "no JSON");
    expect_line_error("{\"a\":1}\n{\"a\":{}}\n", "a", 2, "'a': an object where");
    expect_line_error("{\"a\":[[1]]}\n", "a", 1, "'a': a list of lists");
    expect_line_error("{\"a\":[[{\"b\":1}]]}\n", "a.b", 1, "a list of lists");
    expect_line_error("{\"a\":[{\"b\":[1]}]}\n", "a.b", 1, "a list of lists");
    expect_line_error("{\"a\":99999999999999999999, \"b\":NaN}\n", "a", 1, "no JSON: invalid token near 'NaN'");
    expect_line_error("{\"a\":1e999}\n", "a", 1, "no JSON: real number overflow");
    expect_line_error("{\"a\":\"\xff\"}\n", "a", 1, "no JSON");
    static char deep[200001];
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 100000);
    expect_line_error(deep, "a", 1, "no JSON");
}

// A line {"a":[ITEM,ITEM,...]} of n items.
static void expect_giant(const char *item, size_t n, const char *what)
{
    size_t length = strlen(item), at = 6;
    char *text = malloc(n * (length + 1) + 16);
    assert_non_null(text);
    memcpy(text, "{\"a\":[", 6);
    for (size_t i = 0; i < n; i++, at += length + 1) {
        memcpy(text + at, item, length);
        text[at + length] = ',';
    }
    memcpy(text + at - 1, "]}\n", 4);
    if (what) {
        expect_line_error(text, "a", 1, what);
    } else {
        struct records *r = open_lines(text, (const char *[]){"a"}, 1);
        assert_int_equal(next(r)->fields[0].n_values, n);
        records_close(r);
    }
    free(text);
}

static void giants_are_refused(void **state)
{
    (void)state;
    expect_giant("0", RECORD_VALUES, NULL);
    expect_giant("0", RECORD_VALUES + 1, "more than 65536 values");
    expect_giant("0", 3 << 20, "a line of more than 1048576 values");
    expect_giant("{}", 2 << 20, "a line of more than 1048576 values");
    static char text[(1 << 20) + 3];
    memset(text, ',', sizeof text - 1);
    text[0] = text[sizeof text - 2] = '"';
    expect_giant(text, 20, NULL); // signs within texts are none
    expect_giant(text, 66, "a line of more than 67108864 bytes");
    struct records *r = open_lines("", (const char *[]){"a"}, 1); // the same text by many paths is many times its bytes
    records_close(r);
    static const char *const paths[] = {"a", "a", "a", "a"};
    FILE *f = fopen("lines.jsonl", "wb");
    assert_non_null(f);
    fputs("{\"a\":[", f);
    for (int i = 0; i < 20; i++)
        fprintf(f, "%s%s", i ? "," : "", text);
    fputs("]}\n", f);
    fclose(f);
    const struct record *record;
    assert_good(records_open(&r, &lines_part, paths, 3));
    assert_non_null(next(r));
    records_close(r);
    assert_good(records_open(&r, &lines_part, paths, 4));
    assert_error(records_next(r, &record), ERROR_DATA, "a row of more than 67108864 bytes");
    records_close(r);
}

static void damage_is_an_error_or_other_rows(void **state)
{
    (void)state;
    static uint8_t bytes[8192];
    FILE *f = fopen(FIXTURES "lists.parquet", "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    static const char *const paths[] = {"messages.role", "small", "messages.content"};
    for (size_t i = 4; i + 4 < n; i += 3) {
        uint8_t kept = bytes[i];
        bytes[i] ^= (uint8_t)(1u << i % 8);
        write_lines((const char *)bytes, n);
        bytes[i] = kept;
        struct records *r;
        const struct record *record;
        struct document_part part = {DOCUMENT_PARQUET, .path = "lines.jsonl"};
        struct error *e = records_open(&r, &part, paths, countof(paths));
        if (!e) {
            for (int64_t k = 0; !(e = records_next(r, &record)) && record; k++)
                assert_int_equal(record->row, k);
            records_close(r);
        }
        error_free(e);
    }
}

static void worlds(void **state)
{
    (void)state;
    static const char *const animals[] = {"cat", "dog", "cow", "hen"};
    static const struct world_set set = {"animal", animals, countof(animals), {"w.yaml", 2, 1, 0}};
    static const char *const question[] = {"What is {a:animal}?"}, *const right[] = {"a {a}"},
                             *const wrong[] = {"{b:animal}", "", "{c:animal}"}, *const none[] = {"-"};
    static const struct world_field first[] = {{"question", question, 1, false, {"w.yaml", 4, 1, 0}},
                                               {"wrong", wrong, 3, true, {"w.yaml", 5, 1, 0}},
                                               {"right", right, 1, false, {"w.yaml", 6, 1, 0}}},
                                    second[] = {{"other", none, 1, false, {"w.yaml", 7, 1, 0}}};
    static const struct world_record_template templates[] = {{"talk", 1, second, 1, NULL, 0, {"w.yaml", 7, 1, 0}},
                                                             {"quiz", 1, first, 3, NULL, 0, {"w.yaml", 4, 1, 0}}};
    static const struct world_template document = {1, "-", NULL, {"w.yaml", 3, 1, 0}};
    struct arena arena = {0};
    struct world world = {.path = "w.yaml",
                          .templates = &document,
                          .n_templates = 1,
                          .sets = &set,
                          .n_sets = 1,
                          .records = templates,
                          .n_records = 2};
    assert_good(world_compile(&world, &arena));
    struct document_part part = {DOCUMENT_WORLD, .path = "w.yaml", .world = &world,  .seed = 3,
                                 .first = 10,    .n = 50,          .records = "quiz"};
    static const char *const paths[] = {"right", "x | wrong", "question"};
    struct records *r;
    int64_t n;
    assert_good(records_count(&part, &n));
    assert_int_equal(n, 50);
    assert_good(records_open(&r, &part, paths, 3));
    for (int64_t i = 0; i < n; i++) {
        const struct record *record = next(r);
        struct world_record same;
        assert_int_equal(record->row, i);
        assert_good(world_record(&world, "quiz", 3, 10 + i, false, &same));
        expect_one(record, 2, same.text);
        const char *text = same.text + strlen(same.text) + 1;
        assert_true(record->fields[1].is_list);
        assert_int_equal(record->fields[1].n_values, 3);
        for (int k = 0; k < 3; k++, text += strlen(text) + 1)
            expect_text(&record->fields[1].values[k], text);
        expect_one(record, 0, text);
        block_free(same.text);
    }
    assert_null(next(r));
    records_close(r);
    assert_error(records_open(&r, &part, (const char *[]){"other"}, 1), ERROR_DATA, "'quiz' has a field 'other'");
    part.records = "tests";
    assert_error(records_open(&r, &part, paths, 1), ERROR_DATA, "has no records 'tests'");
    arena_release(&arena);
}

static void shared_data(void **state)
{
    (void)state;
    static const struct {
        const char *file, *paths[4];
        int n_paths;
        int64_t n_rows;
    } sets[] = {{"smoltalk/train", {"messages.role", "messages.content"}, 2, 4090},
                {"smoltalk/test", {"messages.role", "messages.content"}, 2, 215},
                {"mmlu/test", {"question | train.question", "subject", "choices", "answer"}, 4, 14042},
                {"mmlu/dev", {"question | train.question", "subject", "choices", "answer"}, 4, 285},
                {"arc_easy/test", {"question", "choices.text", "choices.label", "answerKey"}, 4, -1},
                {"arc_challenge/test", {"question", "choices.text", "choices.label", "answerKey"}, 4, -1},
                {"gsm8k/train", {"question", "answer"}, 2, 7473},
                {"gsm8k/test", {"question", "answer"}, 2, 1319},
                {"humaneval/test", {"prompt", "canonical_solution", "test", "entry_point"}, 4, 164}};
    for (size_t i = 0; i < countof(sets); i++) {
        char path[400];
        snprintf(path, sizeof path, RETORT_SHARED "/data/%s-00000-of-00001.parquet", sets[i].file);
        if (access(path, R_OK) != 0) {
            print_message("no '%s'\n", path);
            skip();
        }
        struct document_part part = {DOCUMENT_PARQUET, .path = path};
        struct records *r;
        const struct record *record;
        int64_t n_rows, n = 0;
        assert_good(records_count(&part, &n_rows));
        assert_true(sets[i].n_rows < 0 || n_rows == sets[i].n_rows);
        assert_good(records_open(&r, &part, sets[i].paths, sets[i].n_paths));
        for (; (record = next(r)); n++)
            for (int f = 0; f < sets[i].n_paths; f++) {
                assert_true(record->fields[f].n_values > 0);
                for (int k = 0; k < record->fields[f].n_values; k++)
                    assert_non_null(record->fields[f].values[k].text);
                assert_int_equal(record->fields[f].is_list,
                                 !strncmp(sets[i].paths[f], "messages", 8) || !strncmp(sets[i].paths[f], "choices", 7));
            }
        assert_int_equal(n, n_rows);
        records_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_columns_side_by_side),
        cmocka_unit_test(numbers_without_a_sign),
        cmocka_unit_test(finds_columns_by_what_they_mean),
        cmocka_unit_test(refuses_paths_and_parts),
        cmocka_unit_test(json_paths),
        cmocka_unit_test(zero_bytes_stay),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(giants_are_refused),
        cmocka_unit_test(damage_is_an_error_or_other_rows),
        cmocka_unit_test(worlds),
        cmocka_unit_test(shared_data),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
