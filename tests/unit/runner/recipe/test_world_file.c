// World files: the town that ships, layout errors and their places.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/recipe/world_file.h"

#define TOWN RETORT_SOURCE "/recipes/worlds/town.yaml"

static void fail_with(struct error *e)
{
    if (e)
        fail_msg("%s:%d: %s", e->at.file ? e->at.file : "", e->at.line, e->what);
}

static char *document(const struct world *world, uint64_t seed, int64_t i, bool held_out)
{
    char *text;
    size_t n;
    fail_with(world_write(world, seed, i, held_out, &text, &n));
    return text;
}

// Documents that begin with what somebody owns: training tells of the same people always, held-out text of the others.
static void town_is_well_made(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world town;
    fail_with(world_file_read(TOWN, &arena, &town));
    static int used[1000];
    static const char owns[] = "{p:person} has {t:owns.of(p)|a}.";
    char names[2][64][20] = {0};
    int n_names[2] = {0};
    size_t n_bytes = 0;
    for (int i = 0; i < 6000; i++) {
        bool held_out = i % 2;
        char *text = document(&town, 42, i, held_out), name[20];
        int t = world_template_of(&town, 42, i, held_out);
        used[t]++;
        n_bytes += strlen(text);
        assert_in_range(strlen(text), 80, 1500);
        assert_null(strpbrk(text, "{}@|"));
        if (strncmp(town.templates[t].text, owns, sizeof owns - 1) == 0) {
            assert_int_equal(sscanf(text, "%19s", name), 1);
            int k = 0;
            while (k < n_names[held_out] && strcmp(names[held_out][k], name) != 0)
                k++;
            if (k == n_names[held_out])
                strcpy(names[held_out][n_names[held_out]++], name);
        }
        block_free(text);
    }
    for (int t = 0; t < town.n_templates; t++)
        assert_true(town.templates[t].name || used[t] > 0);
    assert_in_range(n_bytes / 6000, 250, 500);
    assert_in_range(n_names[1], 3, 12);
    assert_int_equal(n_names[0] + n_names[1], 32); // every person, on one side
    for (int a = 0; a < n_names[0]; a++)
        for (int b = 0; b < n_names[1]; b++)
            assert_string_not_equal(names[0][a], names[1][b]);
    arena_release(&arena);
}

static void expect_error(const char *text, int line, const char *expected)
{
    struct arena arena = {0};
    struct world world;
    struct error *e = world_file_parse("w.yaml", text, strlen(text), &arena, &world);
    if (!e)
        fail_msg("no error: %s", text);
    bool found = false;
    for (const struct error *each = e; each; each = each->next)
        found |= each->at.line == line && strstr(each->what, expected) && each->kind == ERROR_RECIPE;
    if (!found)
        fail_msg("'%s' at line %d is not '%s' at line %d", e->what, e->at.line, expected, line);
    error_free(e);
    arena_release(&arena);
}

static void layout_errors_have_places(void **state)
{
    (void)state;
    expect_error("world: 2\ndocuments: [x]\n", 1, "no world of version 1");
    expect_error("documents: [x]\n", 1, "no world of version 1");
    expect_error("world: 1\n", 1, "no documents");
    expect_error("world: 1\ndocuments: []\n", 2, "is empty");
    expect_error("world: 1\nset: {a: [b]}\ndocuments: [x]\n", 2, "unknown key 'set'");
    expect_error("world: 1\nsets: {a: [b]}\nsets: {c: [d]}\ndocuments: [x]\n", 3, "sets");
    expect_error("world: 1\nsets: [a]\ndocuments: [x]\n", 2, "sets is a list, not a map");
    expect_error("world: 1\nsets: {a: b}\ndocuments: [x]\n", 2, "a set is a single value");
    expect_error("world: 1\nsets: {a: [b]}\nfacts:\n  f: {of: a}\ndocuments: [x]\n", 4, "lacks 'is'");
    expect_error("world: 1\nsets: {a: [b]}\nfacts:\n  f: {of: a, is: a, hold: 1}\ndocuments: [x]\n", 4, "unknown key 'hold'");
    expect_error("world: 1\nsets: {a: [b, c]}\nfacts:\n  f: {of: a, is: a, hold_out: x}\ndocuments: [x]\n", 4, "hold_out");
    expect_error("world: 1\nfacts:\n  f: {of: a, is: b, pairs: {}}\ndocuments: [x]\n", 3, "is empty");
    expect_error("world: 1\nsums: {x: 20}\ndocuments: [x]\n", 2, "no range");
    expect_error("world: 1\nsums: {x: 1..b}\ndocuments: [x]\n", 2, "x");
    expect_error("world: 1\ndocuments:\n  - {weight: 1}\n", 3, "lacks 'text'");
    expect_error("world: 1\ndocuments:\n  - {weight: 0, text: x}\n", 3, "weight");
    expect_error("world: 1\ndocuments:\n  - x\n  - \"{p:persn}\"\n", 4, "no set or range 'persn'");
    expect_error("world: 1\ndocuments: [x]\nparts: {a: x}\n", 3, "a part is a single value");
    expect_error("world: 1\ndocuments: [x]\nparts: {a: []}\n", 3, "a is empty");
    expect_error("[a]\n", 1, "not a map");
    expect_error("a\n", 1, "not a map");
}

static void a_small_world_reads(void **state)
{
    (void)state;
    static const char file[] = "world: 1\n"
                               "facts: {capital: {of: country, is: city, pairs: {France: Paris}}}\n"
                               "sums: {five: 5..5}\n"
                               "documents:\n"
                               "  - {weight: 2, text: \"{@intro} of {c:country} is {capital.of(c)}, {five} times {@end}\"}\n"
                               "parts:\n"
                               "  intro: [\"The capital\"]\n"
                               "  end: [\"so in {c}.\"]\n";
    struct arena arena = {0};
    struct world world;
    fail_with(world_file_parse("w.yaml", file, sizeof file - 1, &arena, &world));
    char *text = document(&world, 1, 0, false);
    assert_string_equal(text, "The capital of France is Paris, 5 times so in France.");
    block_free(text);
    arena_release(&arena);
}

enum { ROWS = 3000, TEXTS = 8 };

// The texts of a row; *n of them.
static struct world_record row_of(const struct world *world, const char *list, int64_t i, bool held_out, const char *texts[TEXTS],
                                  int *n)
{
    struct world_record record;
    fail_with(world_record(world, list, 42, i, held_out, &record));
    *n = 0;
    for (const char *s = record.text; s < record.text + record.n_bytes; s += strlen(s) + 1) {
        assert_in_range(*n, 0, TEXTS - 1);
        assert_in_range(strlen(s), 1, 250);
        assert_null(strpbrk(s, "{}@|"));
        texts[(*n)++] = s;
    }
    return record;
}

static void the_town_talks(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world town;
    fail_with(world_file_read(TOWN, &arena, &town));
    for (int i = 0; i < 2 * ROWS; i++) {
        const char *texts[TEXTS];
        int n;
        struct world_record record = row_of(&town, "talk", i, i % 2, texts, &n);
        const struct world_field *fields = record.template->fields;
        assert_string_equal(fields[0].name, "role");
        assert_string_equal(fields[1].name, "content");
        assert_int_equal(fields[0].n_texts, fields[1].n_texts);
        assert_true(n == 4 || n == 8);
        for (int k = 0; k < n / 2; k++)
            assert_string_equal(texts[k], k % 2 ? "assistant" : "user");
        assert_in_range(record.n_bytes, 1, 200);
        block_free(record.text);
    }
    arena_release(&arena);
}

static void the_town_asks(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world town;
    fail_with(world_file_read(TOWN, &arena, &town));
    int n_told = 0;
    for (int i = 0; i < 2 * ROWS; i++) {
        const char *texts[TEXTS]; // question, right, three wrong ones
        int n;
        struct world_record record = row_of(&town, "quiz", i, i % 2, texts, &n);
        assert_int_equal(n, 5);
        for (int a = 1; a < n; a++)
            for (int b = a + 1; b < n; b++)
                assert_string_not_equal(texts[a], texts[b]);
        n_told += strstr(texts[0], texts[1]) != NULL;
        int x, y;
        const char *number = strpbrk(texts[0], "0123456789");
        if (number && sscanf(number, "%d plus %d", &x, &y) == 2)
            assert_int_equal(atoi(texts[1]), x + y);
        if (number && sscanf(number, "%d minus %d", &x, &y) == 2)
            assert_int_equal(atoi(texts[1]), x - y);
        assert_in_range(record.n_bytes, 1, 150);
        block_free(record.text);
    }
    assert_in_range(n_told, ROWS * 2 * 4 / 10, ROWS * 2 * 6 / 10); // about half is told in the question
    arena_release(&arena);
}

// Every mark is a right calculation whose result is said behind it, and the last line is the last result.
static void the_town_calculates(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world town;
    fail_with(world_file_read(TOWN, &arena, &town));
    int n_two = 0;
    for (int i = 0; i < 2 * ROWS; i++) {
        const char *texts[TEXTS];
        int n, n_marks = 0, last = -1;
        struct world_record record = row_of(&town, "sums", i, i % 2, texts, &n);
        assert_int_equal(n, 2);
        for (const char *s = strstr(texts[1], "<<"); s; s = strstr(s + 2, "<<"), n_marks++) {
            int x, y, result, again;
            char sign;
            assert_int_equal(sscanf(s, "<<%d%c%d=%d>>%d", &x, &sign, &y, &result, &again), 5);
            assert_true(strchr("+-*", sign) && result >= 0);
            assert_int_equal(result, sign == '+' ? x + y : sign == '-' ? x - y : x * y);
            assert_int_equal(result, again);
            last = result;
        }
        assert_in_range(n_marks, 1, 2);
        n_two += n_marks == 2;
        char line[32];
        snprintf(line, sizeof line, "\n#### %d", last);
        assert_string_equal(strstr(texts[1], "\n####"), line);
        block_free(record.text);
    }
    assert_in_range(n_two, ROWS * 2 / 10, ROWS * 2 / 2);
    arena_release(&arena);
}

#define RECORDS "world: 1\ndocuments: [x]\nsets: {a: [b, c]}\nrecords:\n"

static void record_errors_have_places(void **state)
{
    (void)state;
    expect_error("world: 1\ndocuments: [x]\nrecords: [a]\n", 3, "records is a list, not a map");
    expect_error(RECORDS "  quiz: a\n", 5, "a list of records is a single value");
    expect_error(RECORDS "  quiz: []\n", 5, "'quiz' is empty");
    expect_error(RECORDS "  quiz: [a]\n", 5, "a template of records is a single value");
    expect_error(RECORDS "  quiz:\n    - {q: {x: y}}\n", 6, "the field 'q' is a map");
    expect_error(RECORDS "  quiz:\n    - {q: [[x]]}\n", 6, "an item is a list");
    expect_error(RECORDS "  quiz:\n    - {q: []}\n", 6, "'q' has 0 texts");
    expect_error(RECORDS "  quiz:\n    - {weight: 2}\n", 6, "has 0 fields");
    expect_error(RECORDS "  quiz:\n    - {weight: x, q: a}\n", 6, "weight");
    expect_error(RECORDS "  quiz:\n    - {weight: 0, q: a}\n", 6, "the weight of a template is 0");
    expect_error(RECORDS "  quiz:\n    - {hold_out: 0.2, q: a}\n", 6, "hold_out without by");
    expect_error(RECORDS "  quiz:\n    - {by: x, hold_out: 1, q: a}\n", 6, "hold_out is 1");
    expect_error(RECORDS "  quiz:\n    - {by: [x], q: a}\n", 6, "by is a list");
    expect_error(RECORDS "  quiz:\n    - {by: \"{x}\", q: a}\n", 6, "nothing is called 'x'");
    expect_error(RECORDS "  quiz:\n    - q: a\n      r: \"{x}\"\n", 7, "nothing is called 'x'");
    expect_error(RECORDS "  quiz:\n    - {q: a}\n    - {r: a}\n", 7, "field 1 of 'quiz' is 'r' here and 'q' at line 6");
    expect_error(RECORDS "  quiz:\n    - {q: a}\n    - {q: [a]}\n", 7, "'q' is a list here and a text at line 6");
    expect_error(RECORDS "  quiz:\n    - {q: a, r: a}\n    - {q: a}\n", 7, "has 1 fields, the one at line 6 has 2");
    expect_error(RECORDS "  Quiz:\n    - {q: a}\n", 6, "'Quiz' cannot be the name of records");
    expect_error(RECORDS "  quiz:\n    - {Q: a}\n", 6, "'Q' cannot be the name of a field");
    expect_error(RECORDS "  quiz:\n    - {q: \"a\\x01b\"}\n", 6, "control byte 01");
}

static void a_small_list_reads(void **state)
{
    (void)state;
    static const char file[] = RECORDS "  pairs:\n"
                                       "    - one: \"{x:a}{{\\t\"\n"
                                       "      two: [\"{y:a}\", \"\", end]\n"
                                       "      by: \"{x}\"\n"
                                       "      hold_out: 0.5\n";
    struct arena arena = {0};
    struct world world;
    fail_with(world_file_parse("w.yaml", file, sizeof file - 1, &arena, &world));
    assert_true(world_has_records(&world, "pairs"));
    assert_false(world_has_records(&world, "pair"));
    struct world_record record;
    struct error *e = world_record(&world, "pairs", 1, 0, false, &record);
    if (e) { // both or none of two may be held out: then it says so
        assert_int_equal(e->at.line, 6);
        error_free(e);
        fail_with(world_record(&world, "pairs", 1, 0, true, &record));
    }
    assert_int_equal(record.n_bytes, 4 + 2 + 1 + 4);
    assert_memory_equal(record.text, record.text[0] == 'b' ? "b{\t\0c\0\0end" : "c{\t\0b\0\0end", record.n_bytes);
    assert_int_equal(record.template->n_fields, 2);
    assert_int_equal(record.template->fields[1].n_texts, 3);
    assert_true(record.template->fields[1].is_list && !record.template->fields[0].is_list);
    block_free(record.text);
    arena_release(&arena);
}

// Lists that somebody's keyboard changed: read or refused; what is read is written.
static void noise_is_survived(void **state)
{
    (void)state;
    static const char file[] =
        RECORDS "  quiz:\n"
                "    - {weight: 2, by: \"{p} {q}\", hold_out: 0.5, q: \"{p:a} {q:a|s}\", w: [\"{p}\", x]}\n"
                "    - {by: \"{p}\", q: \"{p:a}\", w: [\"{p|a}\"]}\n";
    static const char alphabet[] = "{}[]:\"\\,|=^@- \npqwx01.\001\377";
    srand(1);
    int n_read = 0;
    for (int i = 0; i < 4000; i++) {
        char text[sizeof file];
        memcpy(text, file, sizeof file);
        for (int edits = 1 + rand() % 3; edits; edits--)
            text[rand() % (int)(sizeof file - 1)] = alphabet[rand() % (int)(sizeof alphabet - 1)];
        struct arena arena = {0};
        struct world world;
        struct error *e = world_file_parse("w.yaml", text, sizeof file - 1, &arena, &world);
        if (!e) {
            struct world_record record;
            n_read++;
            if (world_has_records(&world, "quiz") && !(e = world_record(&world, "quiz", 1, i, i % 2, &record)))
                block_free(record.text);
        }
        error_free(e);
        arena_release(&arena);
    }
    assert_true(n_read > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(town_is_well_made),
        cmocka_unit_test(layout_errors_have_places),
        cmocka_unit_test(a_small_world_reads),
        cmocka_unit_test(the_town_talks),
        cmocka_unit_test(the_town_asks),
        cmocka_unit_test(the_town_calculates),
        cmocka_unit_test(record_errors_have_places),
        cmocka_unit_test(a_small_list_reads),
        cmocka_unit_test(noise_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
