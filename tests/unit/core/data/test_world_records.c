// Records of worlds: rows as pure functions, combinations held out, errors and their places.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/world.h"

static const char *const people[] = {"Ada",  "Ben",  "Clara", "David", "Emma", "Frank", "Grace", "Henry",
                                     "Iris", "Jack", "Kate",  "Leo",   "Mary", "Noah",  "Olga",  "Paul"};
static const char *const things[] = {"kite", "box", "umbrella", "berry", "key", "dish", "drum", "lamp", "map", "pen"};

static const struct world_set sets[] = {{"person", people, countof(people), {"w.yaml", 3, 1, 0}},
                                        {"thing", things, countof(things), {"w.yaml", 4, 1, 0}}};
static const struct world_fact facts[] = {
    {.name = "owns", .of = "person", .is = "thing", .hold_out = 0.3, .at = {"w.yaml", 6, 1, 0}}};
static const struct world_range ranges[] = {{"few", 2, 9, {"w.yaml", 9, 1, 0}}};
static const struct world_template documents[] = {{1, "{p:person} {owns.of(p)}", NULL, {"w.yaml", 12, 5, 0}},
                                                  {1, "{s+1}", "near", NOWHERE},
                                                  {1, "{s-1}", "near", NOWHERE},
                                                  {1, "{s+2}", "near", NOWHERE},
                                                  {1, "{s-2}", "near", NOWHERE}};

static const char *const question[] = {"{p:person} has {t:thing|a}. Who has the {t}?"}, *const right[] = {"{p}"};
static const char *const wrong[] = {"{q:person}", "{r:person}"}, *const two_wrong[] = {"{@near}", "{@near}", "{@near}"};
static const char *const sum[] = {"{x:few} plus {y:few}?"}, *const sum_right[] = {"{s:x+y}"};
static const char *const owner[] = {"What does {p:person} own?"}, *const owned[] = {"{owns.of(p)}"}, *const none[] = {"nothing"};

static const struct world_field quiz_fields[] = {{"question", question, 1, false, {"w.yaml", 21, 7, 0}},
                                                 {"right", right, 1, false, {"w.yaml", 22, 7, 0}},
                                                 {"wrong", wrong, 2, true, {"w.yaml", 23, 7, 0}}};
static const struct world_field sum_fields[] = {{"question", sum, 1, false, {"w.yaml", 31, 7, 0}},
                                                {"right", sum_right, 1, false, {"w.yaml", 32, 7, 0}},
                                                {"wrong", two_wrong, 3, true, {"w.yaml", 33, 7, 0}}};
static const struct world_field fact_fields[] = {{"question", owner, 1, false, {"w.yaml", 41, 7, 0}},
                                                 {"right", owned, 1, false, {"w.yaml", 42, 7, 0}},
                                                 {"wrong", none, 1, true, {"w.yaml", 43, 7, 0}}};

static const struct world_record_template records[] = {
    {"quiz", 3, quiz_fields, 3, "{p} {t}", 0.2, {"w.yaml", 20, 5, 0}},
    {"quiz", 1, sum_fields, 3, "{x} {y}", 0.3, {"w.yaml", 30, 5, 0}},
    {"other", 1, quiz_fields, 3, "{p} {t}", 0.2, {"w.yaml", 50, 5, 0}},
    {"open", 1, quiz_fields, 3, NULL, 0, {"w.yaml", 60, 5, 0}},
    {"facts", 1, fact_fields, 3, NULL, 0, {"w.yaml", 40, 5, 0}},
};

static struct world make(const struct world_record_template *templates, int n)
{
    return (struct world){.path = "w.yaml",
                          .sets = sets,
                          .facts = facts,
                          .ranges = ranges,
                          .templates = documents,
                          .n_sets = countof(sets),
                          .n_facts = countof(facts),
                          .n_ranges = countof(ranges),
                          .n_templates = countof(documents),
                          .records = templates,
                          .n_records = n};
}

static void fail_with(struct error *e)
{
    if (e)
        fail_msg("%s (line %d)", e->what, e->at.line);
}

static struct world_record row_of(const struct world *world, const char *list, uint64_t seed, int64_t i, bool held_out)
{
    struct world_record record;
    fail_with(world_record(world, list, seed, i, held_out, &record));
    return record;
}

static bool same(const struct world_record *a, const struct world_record *b)
{
    return a->template == b->template && a->n_bytes == b->n_bytes && memcmp(a->text, b->text, a->n_bytes) == 0;
}

// Rows repeat, and those of another seed, list, number or kind are others.
static void rows_repeat(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world world = make(records, countof(records)), again = make(records, countof(records));
    fail_with(world_compile(&world, &arena));
    fail_with(world_compile(&again, &arena));
    int n_same = 0, n_quiz = 0;
    for (int i = 999; i >= 0; i--) {
        struct world_record row[6] = {row_of(&world, "quiz", 5, i, i % 2),     row_of(&again, "quiz", 5, i, i % 2),
                                      row_of(&world, "quiz", 6, i, i % 2),     row_of(&world, "other", 5, i, i % 2),
                                      row_of(&world, "quiz", 5, i + 1, i % 2), row_of(&world, "quiz", 5, i, !(i % 2))};
        assert_true(same(&row[0], &row[1]));
        for (int k = 2; k < 6; k++)
            n_same += strcmp(row[0].text, row[k].text) == 0;
        n_quiz += row[0].template == &records[0];
        for (int k = 0; k < 6; k++)
            block_free(row[k].text);
    }
    assert_in_range(n_same, 0, 100);
    assert_in_range(n_quiz, 680, 820); // by weight, 3 of 4
    // The format: these bytes change only with WORLD_VERSION.
    struct world_record row = row_of(&world, "quiz", 5, 0, false);
    assert_string_equal(row.text, "Clara has a kite. Who has the kite?");
    block_free(row.text);
    arena_release(&arena);
}

// The rule of world.h, written again.
static bool held_out_by(const char *by, double share)
{
    const char *const texts[] = {"record", by, ""};
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t k = 0; k < countof(texts); k++)
        for (size_t n = strlen(texts[k]) + 1, j = 0; j < n; j++)
            h = (h ^ (unsigned char)texts[k][j]) * 0x100000001B3u;
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCDu;
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53u;
    return (double)((h ^ h >> 33) >> 11) / 9007199254740992.0 < share;
}

// No combination is of both kinds; the share held out is about what was asked for.
static void combinations_stay_apart(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world world = make(records, countof(records));
    fail_with(world_compile(&world, &arena));
    static int seen[2][countof(people)][countof(things)], sums[2][10][10];
    memset(seen, 0, sizeof seen);
    memset(sums, 0, sizeof sums);
    for (int i = 0; i < 20000; i++) {
        struct world_record row = row_of(&world, "quiz", 11, i, i % 2);
        char person[20], article[4], thing[20], by[64];
        int x, y;
        if (sscanf(row.text, "%d plus %d?", &x, &y) == 2) {
            assert_ptr_equal(row.template, &records[1]);
            sums[i % 2][x][y] = 1;
            snprintf(by, sizeof by, "%d %d", x, y);
            assert_int_equal(held_out_by(by, 0.3), i % 2);
        } else {
            assert_int_equal(sscanf(row.text, "%19s has %3s %19[a-z]", person, article, thing), 3);
            size_t p = 0, t = 0;
            while (strcmp(people[p], person) != 0)
                p++;
            while (strcmp(things[t], thing) != 0)
                t++;
            seen[i % 2][p][t] = 1;
            snprintf(by, sizeof by, "%s %s", person, thing);
            assert_int_equal(held_out_by(by, 0.2), i % 2);
        }
        block_free(row.text);
    }
    int n[2] = {0}, n_sums[2] = {0};
    for (size_t p = 0; p < countof(people); p++)
        for (size_t t = 0; t < countof(things); t++) {
            assert_int_equal(seen[0][p][t] + seen[1][p][t], 1); // and all 160 are seen
            n[seen[1][p][t]]++;
        }
    for (int x = 2; x <= 9; x++)
        for (int y = 2; y <= 9; y++) {
            assert_int_equal(sums[0][x][y] + sums[1][x][y], 1);
            n_sums[sums[1][x][y]]++;
        }
    assert_in_range(n[1], 20, 46);      // 0.2 of 160 is 32
    assert_in_range(n_sums[1], 10, 29); // 0.3 of 64 is 19
    arena_release(&arena);
}

// What is held out depends on the list, not on the seed.
static void lists_hold_out_the_same(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world world = make(records, countof(records));
    fail_with(world_compile(&world, &arena));
    static char texts[2][2000][80];
    int n_shared = 0, n_rows = 0;
    for (int i = 0; i < 2000; i++)
        for (int seed = 0; seed < 2; seed++) {
            struct world_record row = row_of(&world, "other", (uint64_t)seed, i, seed == 1);
            snprintf(texts[seed][i], sizeof texts[seed][i], "%s", row.text);
            block_free(row.text);
        }
    // What one list holds out the other never shows, and holds out too.
    for (int i = 0; i < 2000; i++) {
        struct world_record row = row_of(&world, "quiz", 3, i, true);
        if (row.template == &records[0]) {
            bool found = false;
            for (int k = 0; k < 2000; k++) {
                assert_string_not_equal(texts[0][k], row.text);
                found = found || strcmp(texts[1][k], row.text) == 0;
            }
            n_shared += found;
            n_rows++;
        }
        block_free(row.text);
    }
    assert_true(n_rows > 1000 && n_shared == n_rows);
    arena_release(&arena);
}

static void fields_are_found(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world world = make(records, countof(records));
    fail_with(world_compile(&world, &arena));
    for (int i = 0; i < 2000; i++) {
        struct world_record row = row_of(&world, "quiz", 1, i, i % 2);
        const char *texts[5], *s = row.text;
        int n = 2 + row.template->fields[2].n_texts;
        for (int k = 0; k < n; k++, s += strlen(s) + 1)
            texts[k] = s;
        assert_ptr_equal(s, row.text + row.n_bytes);
        for (int a = 1; a < n; a++)
            for (int b = a + 1; b < n; b++)
                assert_string_not_equal(texts[a], texts[b]);
        int x, y;
        if (sscanf(texts[0], "%d plus %d?", &x, &y) == 2)
            assert_int_equal(x + y, atoi(texts[1]));
        block_free(row.text);
    }
    arena_release(&arena);
}

// Without `by` both kinds are of all combinations; a fact's own pairs stay apart nevertheless.
static void facts_hold_out_as_in_documents(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world world = make(records, countof(records));
    fail_with(world_compile(&world, &arena));
    bool told[2][countof(people)] = {0}, open[2][countof(people)] = {0};
    for (int i = 0; i < 2000; i++) {
        struct world_record row = row_of(&world, "facts", 1, i, i % 2), any = row_of(&world, "open", 1, i, i % 2);
        for (size_t p = 0; p < countof(people); p++) {
            told[i % 2][p] |= strstr(row.text, people[p]) != NULL;
            open[i % 2][p] |= strncmp(any.text, people[p], strlen(people[p])) == 0;
        }
        block_free(row.text);
        block_free(any.text);
    }
    for (size_t p = 0; p < countof(people); p++) {
        assert_true(told[0][p] != told[1][p]);
        assert_true(open[0][p] && open[1][p]);
    }
    arena_release(&arena);
}

static void expect_error(const struct world_record_template *templates, int n, int line, const char *expected)
{
    struct arena arena = {0};
    struct world world = make(templates, n);
    struct error *e = world_compile(&world, &arena);
    if (!e)
        fail_msg("no error: %s", expected);
    assert_int_equal(e->kind, ERROR_RECIPE);
    if (!strstr(e->what, expected) || e->at.line != line)
        fail_msg("'%s' at %d is not '%s' at %d", e->what, e->at.line, expected, line);
    error_free(e);
    arena_release(&arena);
}

static void bad_records_are_named(void **state)
{
    (void)state;
    struct world_record_template t[2] = {records[0], records[1]};
    struct world_field fields[17];
    for (int i = 0; i < 17; i++)
        fields[i] = quiz_fields[i % 3];
    t[1].fields = fields;
    fields[0].name = "prompt";
    expect_error(t, 2, 21, "field 1 of 'quiz' is 'prompt' here and 'question' at line 21");
    fields[0].name = "question";
    fields[2].is_list = false;
    expect_error(t, 2, 23, "'wrong' is a text here and a list at line 23");
    fields[2].is_list = true;
    t[1].n_fields = 2;
    expect_error(t, 2, 30, "has 2 fields, the one at line 20 has 3");
    t[1].n_fields = 17;
    expect_error(t, 2, 30, "has 17 fields; 1 to 16 are allowed");
    t[1].n_fields = 4;
    expect_error(t, 2, 21, "'question' stands twice");
    t[1].n_fields = 3;
    static const char *const separated[] = {"a\x1f"
                                            "b"},
                             *const fine[] = {"a\n\tb"}, *const unknown[] = {"{z}"}, *const twice[] = {"{p:person}"};
    fields[1].texts = separated;
    expect_error(t, 2, 22, "a text of 'right' has a control byte 1f");
    fields[1].texts = unknown;
    expect_error(t, 2, 22, "nothing is called 'z'");
    fields[1].texts = twice;
    expect_error(t, 2, 22, "bound or used before: 'p'"); // fields share their names
    fields[1].texts = fine;
    t[1].by = "\x01";
    expect_error(t, 2, 30, "a text of 'by' has a control byte 01");
    t[1].by = "{nobody}";
    expect_error(t, 2, 30, "nothing is called 'nobody'");
    t[1].by = NULL;
    expect_error(t, 2, 30, "hold_out without by");
    t[1].by = "{p}";
    t[1].hold_out = 0;
    expect_error(t, 2, 30, "hold_out is 0");
    t[1].hold_out = 0.1;
    t[1].weight = -1;
    expect_error(t, 2, 30, "the weight of a template is -1");
    t[1].weight = 1;
    t[1].list = "Quiz";
    expect_error(t, 2, 30, "'Quiz' cannot be the name of records");
    const struct world_record_template apart[] = {records[0], records[2], records[1]};
    expect_error(apart, 3, 30, "there are records 'quiz' already");

    static struct world_record_template many[65];
    static char names[65][16];
    for (int i = 0; i < 65; i++) {
        snprintf(names[i], sizeof names[i], "l%d", i);
        many[i] = records[2];
        many[i].list = names[i];
    }
    expect_error(many, 65, 50, "more than 64 lists");

    static char long_text[70000];
    memset(long_text, 'a', sizeof long_text - 1);
    static const char *const too_long[] = {long_text};
    fields[1].texts = too_long;
    t[1].list = "quiz";
    expect_error(t, 2, 22, "longer than 65536 bytes");
    long_text[60000] = '\0';
    fields[0].texts = too_long;
    t[1].by = "x";
    expect_error(t, 2, 30, "more than 65536 bytes");
}

static void what_no_draw_gives_is_named(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world_record_template t = records[0];
    t.by = "always the same";
    struct world world = make(&t, 1);
    fail_with(world_compile(&world, &arena));
    struct world_record row;
    int n_errors = 0;
    for (int held_out = 0; held_out < 2; held_out++) {
        struct error *e = world_record(&world, "quiz", 1, 0, held_out, &row);
        if (!e) {
            block_free(row.text);
            continue;
        }
        n_errors++;
        assert_int_equal(e->kind, ERROR_RECIPE);
        assert_int_equal(e->at.line, 20);
        assert_non_null(strstr(e->what, "none of 10000 combinations"));
        error_free(e);
    }
    assert_int_equal(n_errors, 1);
    struct error *e = world_record(&world, "quizz", 1, 0, false, &row);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "no records 'quizz'"));
    error_free(e);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_repeat),
        cmocka_unit_test(combinations_stay_apart),
        cmocka_unit_test(lists_hold_out_the_same),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(facts_hold_out_as_in_documents),
        cmocka_unit_test(bad_records_are_named),
        cmocka_unit_test(what_no_draw_gives_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
