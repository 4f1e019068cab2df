// Worlds: the language, facts and their hold-out, errors and their places.
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
static const char *const things[] = {"kite", "box", "umbrella", "berry", "key", "dish"};
static const char *const countries[] = {"France", "Italy"}, *const cities[] = {"Paris", "Rome"};
static const char *const moods[] = {"hot", "cold"}, *const other_moods[] = {"cold", "hot"};

static const struct world_set sets[] = {{"person", people, countof(people), {"w.yaml", 3, 1, 0}},
                                        {"thing", things, countof(things), {"w.yaml", 4, 1, 0}}};
static const struct world_fact facts[] = {
    {.name = "owns", .of = "person", .is = "thing", .hold_out = 0.3, .at = {"w.yaml", 6, 1, 0}},
    {.name = "friend", .of = "person", .is = "person", .hold_out = 0, .at = {"w.yaml", 7, 1, 0}},
    {.name = "capital", .of = "country", .is = "city", .pair_of = countries, .pair_is = cities, .n_pairs = 2},
    {.name = "opposite", .of = "mood", .is = "mood", .pair_of = moods, .pair_is = other_moods, .n_pairs = 2},
};
static const struct world_range ranges[] = {{"few", 2, 9, {"w.yaml", 9, 1, 0}}, {"one", 1, 1, {"w.yaml", 9, 1, 0}}};

static struct world make(const struct world_template *templates, int n)
{
    return (struct world){.path = "w.yaml",
                          .sets = sets,
                          .facts = facts,
                          .ranges = ranges,
                          .templates = templates,
                          .n_sets = countof(sets),
                          .n_facts = countof(facts),
                          .n_ranges = countof(ranges),
                          .n_templates = n};
}

static void fail_with(struct error *e)
{
    if (e)
        fail_msg("%s (line %d)", e->what, e->at.line);
}

static char *document(const struct world *world, uint64_t seed, int64_t i, bool held_out)
{
    char *text;
    size_t n;
    fail_with(world_write(world, seed, i, held_out, &text, &n));
    assert_int_equal(strlen(text), n);
    return text;
}

// Document 0 of a world of one template.
static void expect_text(const char *template, const char *expected)
{
    struct arena arena = {0};
    struct world_template t = {1, template, NULL, {"w.yaml", 12, 5, 0}};
    struct world world = make(&t, 1);
    fail_with(world_compile(&world, &arena));
    char *text = document(&world, 1, 0, false);
    assert_string_equal(text, expected);
    block_free(text);
    arena_release(&arena);
}

static void slots_say_what_they_should(void **state)
{
    (void)state;
    expect_text("plain {{text}} }}{{", "plain {text} }{");
    expect_text("{x:one} {=y:x+x}{y*y*y-2} {x-4} {2*y+3*y}", "1 6 -3 10");
    expect_text("{=x:few}{=d:x-x}{d}", "0");
}

static void slots_of_facts(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct world_template t[] = {
        {1, "{c:country} {capital.of(c)} {m:mood} {opposite.of(m)} {n:opposite.of(opposite.of(m))} {^n}", NULL, NOWHERE},
    };
    struct world world = make(t, 1);
    fail_with(world_compile(&world, &arena));
    for (int i = 0; i < 50; i++) {
        char *text = document(&world, 1, i, false), country[20], city[20], mood[20], opposite[20], same[20], capital[20];
        assert_int_equal(sscanf(text, "%19s %19s %19s %19s %19s %19s", country, city, mood, opposite, same, capital), 6);
        assert_string_equal(city, strcmp(country, "France") == 0 ? "Paris" : "Rome");
        assert_string_equal(opposite, strcmp(mood, "hot") == 0 ? "cold" : "hot");
        assert_string_equal(mood, same);
        assert_int_equal(capital[0], mood[0] - 'a' + 'A');
        block_free(text);
    }
    arena_release(&arena);
}

static void words_agree(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct world_template t[] = {{1, "{t:thing|a}, {t|s}, {x:one} {t|s(x)}, {y:few} {t|s(y)}", NULL, NOWHERE}};
    struct world world = make(t, 1);
    fail_with(world_compile(&world, &arena));
    static const char *const words[][3] = {
        {"a kite", "kites", "kite"},     {"a box", "boxes", "box"}, {"an umbrella", "umbrellas", "umbrella"},
        {"a berry", "berries", "berry"}, {"a key", "keys", "key"},  {"a dish", "dishes", "dish"}};
    for (int i = 0; i < 60; i++) {
        char *text = document(&world, 1, i, false), expected[100];
        bool found = false;
        for (size_t k = 0; k < countof(words); k++)
            for (int y = 2; y <= 9; y++) {
                snprintf(expected, sizeof expected, "%s, %s, 1 %s, %d %s", words[k][0], words[k][1], words[k][2], y, words[k][1]);
                found |= strcmp(text, expected) == 0;
            }
        assert_true(found);
        block_free(text);
    }
    arena_release(&arena);
}

static void parts_see_their_callers_and_differ(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct world_template t[] = {
        {1, "{p:person}: {@say} {@say} {@say} {@inner} {p}", NULL, NOWHERE},
        {1, "a{p}", "say", NOWHERE},
        {5, "b{p}", "say", NOWHERE},
        {9, "c{p}", "say", NOWHERE},
        {1, "{p:thing}-{p}", "inner", NOWHERE}, // hides the caller's p
    };
    struct world world = make(t, countof(t));
    fail_with(world_compile(&world, &arena));
    for (int i = 0; i < 100; i++) {
        char *text = document(&world, 3, i, false), p[20], w[3][20], inner[40], again[20];
        assert_int_equal(sscanf(text, "%19[^:]: %19s %19s %19s %39s %19s", p, w[0], w[1], w[2], inner, again), 6);
        assert_string_equal(p, again);
        int seen = 0;
        for (int k = 0; k < 3; k++) {
            assert_string_equal(w[k] + 1, p);
            seen |= 1 << (w[k][0] - 'a');
        }
        assert_int_equal(seen, 7);
        char *dash = strchr(inner, '-');
        assert_non_null(dash);
        *dash = '\0';
        assert_string_equal(inner, dash + 1);
        block_free(text);
    }
    arena_release(&arena);
}

static void draws_in_scope_differ(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct world_template t[] = {{1, "{a:thing} {b:thing} {c:thing} {d:thing} {e:thing} {f:thing}", NULL, NOWHERE}};
    struct world world = make(t, 1);
    fail_with(world_compile(&world, &arena));
    for (int i = 0; i < 100; i++) {
        char *text = document(&world, 9, i, false);
        for (size_t k = 0; k < countof(things); k++)
            assert_non_null(strstr(text, things[k]));
        block_free(text);
    }
    arena_release(&arena);
}

static void documents_repeat(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct world_template t[] = {{1, "{p:person} {q:person} {x:few} {t:thing}", NULL, NOWHERE},
                                       {2, "{friend.of(p)} {x}", "tail", NOWHERE},
                                       {2, "{p:person} {x:few}, {@tail}", NULL, NOWHERE}};
    struct world world = make(t, countof(t)), other = make(t, countof(t));
    fail_with(world_compile(&world, &arena));
    fail_with(world_compile(&other, &arena));
    int used[3] = {0}, n_same = 0;
    for (int i = 0; i < 300; i++) {
        char *a = document(&world, 5, i, false), *b = document(&other, 5, i, false), *c = document(&world, 5, i, true);
        assert_string_equal(a, b);
        n_same += strcmp(a, c) == 0;
        used[world_template_of(&world, 5, i, false)]++;
        block_free(a);
        block_free(b);
        block_free(c);
    }
    assert_true(n_same < 5); // held-out text is drawn anew even where no fact is held out
    assert_true(used[0] > 70 && used[0] < 130);
    assert_int_equal(used[1], 0);
    assert_int_equal(used[0] + used[2], 300);
    // The format: these bytes change only with WORLD_VERSION.
    char *text = document(&world, 5, 0, false);
    assert_string_equal(text, "Kate 9, Grace 9");
    block_free(text);
    text = document(&world, 5, 1, false);
    assert_string_equal(text, "Kate Emma 5 dish");
    block_free(text);
    arena_release(&arena);
}

// Held-out pairs of owns in training documents, and kept ones in held-out documents: none, also through a chain and a part.
static void held_out_pairs_stay_apart(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct world_template t[] = {{1, "{p:person} {owns.of(p)}", NULL, NOWHERE},
                                       {1, "{=q:person}{p:friend.of(q)} {@tail}", NULL, NOWHERE},
                                       {1, "{p:person} {@tail}", NULL, NOWHERE},
                                       {1, "{owns.of(p)}", "tail", NOWHERE}};
    struct world world = make(t, countof(t));
    fail_with(world_compile(&world, &arena));
    bool seen[2][countof(people)] = {0};
    const char *owned[countof(people)] = {0};
    for (int i = 0; i < 4000; i++) {
        char *text = document(&world, 11, i, i % 2), p[20], thing[20];
        assert_int_equal(sscanf(text, "%19s %19s", p, thing), 2);
        for (size_t k = 0; k < countof(people); k++) {
            if (strcmp(people[k], p) != 0)
                continue;
            seen[i % 2][k] = true;
            for (size_t j = 0; j < countof(things); j++)
                if (strcmp(things[j], thing) == 0) {
                    assert_true(!owned[k] || owned[k] == things[j]);
                    owned[k] = things[j];
                }
        }
        block_free(text);
    }
    int n[2] = {0};
    for (size_t k = 0; k < countof(people); k++) {
        assert_true(seen[0][k] != seen[1][k]); // everybody on one side
        n[seen[1][k]]++;
    }
    assert_true(n[1] >= 2 && n[0] >= 8);
    arena_release(&arena);
}

static void expect_error(const char *template, const char *part, const char *expected)
{
    struct arena arena = {0};
    const struct world_template t[] = {{1, template, NULL, {"w.yaml", 12, 5, 0}},
                                       {1, part ? part : "x", "part", {"w.yaml", 14, 5, 0}}};
    struct world world = make(t, countof(t));
    struct error *e = world_compile(&world, &arena);
    if (!e)
        fail_msg("no error: %s", template);
    assert_int_equal(e->kind, ERROR_RECIPE);
    assert_string_equal(e->at.file, "w.yaml");
    assert_true(e->at.line == (part && strstr(expected, "14:") ? 14 : 12));
    const char *what = strstr(expected, "14:") ? expected + 3 : expected;
    if (!strstr(e->what, what))
        fail_msg("'%s' does not say '%s'", e->what, what);
    error_free(e);
    arena_release(&arena);
}

static void bad_templates_are_named(void **state)
{
    (void)state;
    expect_error("{p}", NULL, "nothing is called 'p'");
    expect_error("{p:persn}", NULL, "there is no set or range 'persn'");
    expect_error("{p:person} {p:person}", NULL, "bound or used before: 'p'");
    expect_error("{thing:person}", NULL, "this is a set, fact or range: 'thing'");
    expect_error("{p:person", NULL, "a brace without its partner");
    expect_error("a } b", NULL, "a brace without its partner");
    expect_error("{p:{person}}", NULL, "a brace without its partner");
    expect_error("{}", NULL, "missing");
    expect_error("{p:person|x}", NULL, "there is no filter 'x'");
    expect_error("{p:person} {p|s(p)}", NULL, "not of 'a number'");
    expect_error("{p:person} {likes.of(p)}", NULL, "there is no fact 'likes'");
    expect_error("{t:thing} {owns.of(t)}", NULL, "'t' is of 'thing', not of 'person'");
    expect_error("{p:person} {owns.of(p}", NULL, "a ) is missing");
    expect_error("{p:person} {owns(p)}", NULL, "a fact of what? 'owns'");
    expect_error("{p:person} {owns.of(owns.of(p))}", NULL, "does not give what the next lookup wants");
    expect_error("{x:few} {x+}", NULL, "is missing");
    expect_error("{x:few} {x+99999999}", NULL, "too large");
    expect_error("{p:person} {p+1}", NULL, "not of 'a number'");
    expect_error("{=few}", NULL, "nothing is bound");
    expect_error("{=@part}", NULL, "cannot be silent");
    expect_error("{@nobody}", NULL, "there is no part 'nobody'");
    expect_error("{@part}", "{q} x", "nothing is called 'q'");
    expect_error("{q:thing} {@part}", "{owns.of(q)}", "'q' is of 'thing'");
    expect_error("{@part}", "a {@part}", "14:being written already");
    expect_error("{p:person} {x:few} trailing {x x}", NULL, "cannot read 'x'");
}

static void bad_sets_and_facts_are_named(void **state)
{
    (void)state;
    const struct world_template t = {1, "x", NULL, {"w.yaml", 12, 5, 0}};
    static const char *const twice[] = {"a", "b", "a"};
    static const char *const unknown[] = {"Ada"}, *const value[] = {"sword"};
    const struct world_set bad_set = {"letters", twice, 3, {"w.yaml", 20, 3, 0}};
    const struct world_fact bad_facts[] = {
        {.name = "a", .of = "person", .is = "thng", .at = {"w.yaml", 21, 3, 0}},
        {.name = "b", .of = "person", .is = "thing", .hold_out = 1.5, .at = {"w.yaml", 22, 3, 0}},
        {.name = "c",
         .of = "person",
         .is = "thing",
         .pair_of = unknown,
         .pair_is = value,
         .n_pairs = 1,
         .at = {"w.yaml", 23, 3, 0}},
        {.name = "person", .of = "person", .is = "thing", .at = {"w.yaml", 24, 3, 0}},
        {.name = "1d", .of = "person", .is = "thing", .at = {"w.yaml", 25, 3, 0}},
    };
    const struct world_range bad_range = {"many", 9, 2, {"w.yaml", 26, 3, 0}};
    struct arena arena = {0};
    struct world world = make(&t, 1);
    world.sets = &bad_set;
    world.n_sets = 1;
    world.n_facts = 0;
    struct error *e = world_compile(&world, &arena);
    assert_non_null(strstr(e->what, "'a' stands twice in 'letters'"));
    assert_int_equal(e->at.line, 20);
    error_free(e);

    world = make(&t, 1);
    world.facts = bad_facts;
    world.n_facts = countof(bad_facts);
    world.ranges = &bad_range;
    world.n_ranges = 1;
    e = world_compile(&world, &arena);
    int n = 0;
    bool lines[40] = {0};
    for (const struct error *each = e; each; each = each->next, n++)
        lines[each->at.line] = true;
    assert_int_equal(n, (int)countof(bad_facts) + 1); // all in one report
    for (int line = 21; line <= 26; line++)
        assert_true(lines[line]);
    error_free(e);
    arena_release(&arena);
}

static void what_cannot_be_held_out_is_named(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world_fact all[countof(facts)];
    memcpy(all, facts, sizeof all);
    all[0].hold_out = 1e-6;
    const struct world_template t = {1, "{p:person} {owns.of(p)}", NULL, {"w.yaml", 12, 5, 0}};
    struct world world = make(&t, 1);
    world.facts = all;
    struct error *e = world_compile(&world, &arena);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "no item of 'person' has all its facts here held out"));
    error_free(e);
    arena_release(&arena);
}

// Parts that double the text 30 times are refused before anything is written; sums beyond 64 bits when they are.
static void explosions_are_refused(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct world_template t[31];
    char texts[31][40], names[31][16];
    for (int i = 0; i < 31; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        snprintf(texts[i], sizeof texts[i], i == 30 ? "end" : "{@p%d}{@p%d}", i + 1, i + 1);
        t[i] = (struct world_template){1, texts[i], i ? names[i] : NULL, {"w.yaml", i + 1, 1, 0}};
    }
    struct world world = make(t, 31);
    struct error *e = world_compile(&world, &arena);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "more than 1048576 bytes"));
    error_free(e);

    const struct world_template big = {1, "{=x:few}{=y:x*1000000*1000000*1000000*1000000}{y}", NULL, {"w.yaml", 12, 5, 0}};
    world = make(&big, 1);
    fail_with(world_compile(&world, &arena));
    char *text;
    size_t n;
    e = world_write(&world, 1, 0, false, &text, &n);
    assert_non_null(e);
    assert_int_equal(e->at.line, 12);
    error_free(e);
    arena_release(&arena);
}

// Random bytes and cut templates: an error or a program, never a crash.
static void noise_is_survived(void **state)
{
    (void)state;
    static const char alphabet[] = "{}{}{}:@=^|.()+-* pxtowns.of(person)few1{@part}";
    srand(1);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        int n = 1 + rand() % 60;
        for (int k = 0; k < n; k++)
            text[k] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        text[n] = '\0';
        struct arena arena = {0};
        const struct world_template t[] = {{1, text, NULL, NOWHERE}, {1, "{p} {x:few}", "part", NOWHERE}};
        struct world world = make(t, countof(t));
        struct error *e = world_compile(&world, &arena);
        if (!e) {
            char *document_text;
            size_t n_bytes;
            e = world_write(&world, 1, i, false, &document_text, &n_bytes);
            if (!e)
                block_free(document_text);
        }
        error_free(e);
        arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_say_what_they_should),
        cmocka_unit_test(slots_of_facts),
        cmocka_unit_test(words_agree),
        cmocka_unit_test(parts_see_their_callers_and_differ),
        cmocka_unit_test(draws_in_scope_differ),
        cmocka_unit_test(documents_repeat),
        cmocka_unit_test(held_out_pairs_stay_apart),
        cmocka_unit_test(bad_templates_are_named),
        cmocka_unit_test(bad_sets_and_facts_are_named),
        cmocka_unit_test(what_cannot_be_held_out_is_named),
        cmocka_unit_test(explosions_are_refused),
        cmocka_unit_test(noise_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
