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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(town_is_well_made),
        cmocka_unit_test(layout_errors_have_places),
        cmocka_unit_test(a_small_world_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
