// test_program.c - the code of answers and the programs that test it: the golden cases, and what they leave open.
#include "core/data/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static struct program_text text_of(const char *text)
{
    return (struct program_text){text, strlen(text)};
}

static struct program_text text_in(const json_t *object, const char *key)
{
    const json_t *text = key ? json_object_get(object, key) : object;
    assert_true(json_is_string(text));
    return (struct program_text){json_string_value(text), json_string_length(text)};
}

static void expect(struct program_text found, struct program_text expected)
{
    if (found.n != expected.n || memcmp(found.text, expected.text, found.n) != 0)
        fail_msg("'%.*s', not '%.*s'", (int)found.n, found.text, (int)expected.n, expected.text);
}

static struct program_text bytes_text(const struct bytes *b)
{
    return (struct program_text){(const char *)b->byte, b->n};
}

static void golden_code(const json_t *input, const json_t *expected)
{
    expect(program_code(text_in(input, NULL)), text_in(expected, NULL));
}

static void golden_imports(const json_t *input, const json_t *expected)
{
    struct bytes out = {0};
    assert_null(program_tests(&out, text_in(input, NULL), NULL, 0, (struct program_text){0}));
    assert_true(out.n >= 2 && memcmp(out.byte + out.n - 2, "\n\n", 2) == 0);
    out.n -= 2;
    expect(bytes_text(&out), text_in(expected, NULL));
    bytes_release(&out);
}

static void golden_program(const json_t *input, const json_t *expected)
{
    struct bytes tests = {0}, out = {0};
    struct program_text test = text_in(input, "test");
    assert_null(program_tests(&tests, text_in(input, "prompt"), &test, 1, text_in(input, "entry_point")));
    assert_null(program_whole(&out, bytes_text(&tests), text_in(input, "completion")));
    expect(bytes_text(&out), text_in(expected, NULL));
    bytes_release(&tests);
    bytes_release(&out);
}

static void golden(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*check)(const json_t *input, const json_t *expected);
        int n;
    } kinds[] = {
        {"humaneval_code", golden_code, 17}, {"humaneval_imports", golden_imports, 8}, {"humaneval_program", golden_program, 1}};
    const char *path = RETORT_SHARED "/golden/chat-2025.jsonl";
    FILE *f = fopen(path, "r");
    int seen[countof(kinds)] = {0};
    char *line = NULL;
    size_t size = 0;
    if (!f) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    while (getline(&line, &size, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(j, "case"));
        for (size_t k = 0; k < countof(kinds); k++)
            if (name && !strcmp(name, kinds[k].name)) {
                kinds[k].check(json_object_get(j, "input"), json_object_get(j, "expected"));
                seen[k]++;
            }
        json_decref(j);
    }
    for (size_t k = 0; k < countof(kinds); k++)
        assert_true(seen[k] >= kinds[k].n);
    free(line);
    fclose(f);
}

static void code(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {" \n\t ", ""},
        {"\xC2\xA0\xE2\x80\x83x = 1\xE3\x80\x80\n", "x = 1"}, // blanks of Unicode
        {"\x1Cx\x1F", "x"},                                   // and of Python alone
        {"x\x80 ", "x\x80"},                                  // no character
        {"```\n\n  \n```", ""},                               // blanks between two fences
        {"``` \t\n x\n```", "x"},                             //
        {"```\nx\n\n```\ny\n```", "x"},                       // the first end
        {"``` x\n```\ny\n```", "y"},                          // a fence with more on its line opens nothing
        {"```python\nx\n````", "x"},                          //
        {"pythonic ```pythonic\nx\n```", "pythonic ```pythonic\nx\n```"},
    };
    for (size_t i = 0; i < countof(cases); i++)
        expect(program_code(text_of(cases[i][0])), text_of(cases[i][1]));
}

// Fences without an end must not be searched for an end each.
static void many_fences(void **state)
{
    (void)state;
    enum { FENCES = 400000 };
    struct bytes text = {0};
    for (int i = 0; i < FENCES; i++)
        assert_null(bytes_append(&text, i % 2 ? "```\nx " : "```x  ", 6));
    struct program_text found = program_code(bytes_text(&text));
    assert_int_equal(found.n, text.n - (text.byte[text.n - 1] == ' '));
    bytes_release(&text);
}

static void tests_without_check(void **state)
{
    (void)state;
    const struct program_text tests[] = {text_of("assert f(1) == 2"), text_of("assert f(2) == 3")};
    struct bytes out = {0}, whole = {0};
    assert_null(program_tests(&out, text_of("from a import b\n\ndef f(n):\n"), tests, 2, (struct program_text){0}));
    expect(bytes_text(&out), text_of("from a import b\n\nassert f(1) == 2\nassert f(2) == 3"));
    assert_null(program_whole(&whole, bytes_text(&out), text_of("def f(n):\n    return n + 1\n")));
    expect(bytes_text(&whole), text_of("from a import b\n\ndef f(n):\n    return n + 1\n\nassert f(1) == 2\nassert f(2) == 3"));
    bytes_release(&out);
    bytes_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(code), cmocka_unit_test(many_fences),
                                       cmocka_unit_test(tests_without_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
