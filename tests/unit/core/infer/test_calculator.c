// The table of the reference, Python's answers at the edges of doubles and integers, limits, and the golden cases.
#include "core/infer/calculator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

// expected NULL: no result.
static void expect_n(const char *text, size_t n, const char *expected)
{
    struct bytes out = {0};
    bool has_result = false;
    assert_null(bytes_append(&out, "kept", 4));
    assert_null(calculator_evaluate(text, n, &out, &has_result));
    assert_null(bytes_append(&out, "", 1));
    const char *got = has_result ? (const char *)out.byte + 4 : NULL;
    if (!got != !expected || (got && strcmp(got, expected) != 0))
        fail_msg("'%.200s' gives %s instead of %s", text, got ? got : "nothing", expected ? expected : "nothing");
    assert_int_equal(out.n, 5 + (got ? strlen(got) : 0));
    assert_memory_equal(out.byte, "kept", 4);
    bytes_release(&out);
}

static void expect(const char *text, const char *expected)
{
    expect_n(text, strlen(text), expected);
}

static void the_table(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"10/2", "5.0"},
        {"7//2", "3"},
        {"12/60", "0.2"},
        {"1/3", "0.3333333333333333"},
        {"0.1+0.2", "0.30000000000000004"},
        {"1/100000", "1e-05"},
        {"2.*3", "6.0"},
        {"+.5", "0.5"},
        {"--5", "5"},
        {" 1+1", "2"},
        {"1.0*10000000000000000", "1e+16"},
        {"012", NULL},
        {"1 2", NULL},
        {"3-", NULL},
        {"1./0", NULL},
        {"5(3)", NULL},
        {"()", "()"},
        {"...", "Ellipsis"},
        {"1,2,3", "123"},
        {"(1,2)", "12"},
        {"007.5", "7.5"},
        {"00", "0"},
        {"-0.0", "-0.0"},
        {"2**3", NULL},
        {"2* *3", NULL},
        {"2*,*3", NULL},
    };
    for (size_t i = 0; i < countof(cases); i++)
        expect(cases[i][0], cases[i][1]);
}

// Each as CPython 3.11 answers.
static void as_python(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        // powers of two, where the shortest digits are not the nearest ones
        {"1/17592186044416", "5.684341886080802e-14"},
        {"9007199254740993*1.", "9007199254740992.0"},
        {"9007199254740995/1", "9007199254740996.0"},
        {"18446744073709551615/1", "1.8446744073709552e+19"},
        {"0.0001", "0.0001"},
        {"0.00012345", "0.00012345"},
        {"0.000099", "9.9e-05"},
        {"1234567.875", "1234567.875"},
        {"9999999999999998.", "9999999999999998.0"},
        // zero has a sign only in doubles
        {"-0", "0"},
        {"0/-5", "-0.0"},
        {"0*-1", "0"},
        {"-0.0+0", "0.0"},
        {"5-5", "0"},
        {"-3+3", "0"},
        // floors
        {"-7//2", "-4"},
        {"7//-2", "-4"},
        {"-7//-2", "3"},
        {"-8//2", "-4"},
        {"-1//100000000000000000000", "-1"},
        {"-7.//2", "-4.0"},
        {"7//-2.", "-4.0"},
        {"1//.1", "9.0"},
        {"-.5//1", "-1.0"},
        {"0.//-1", "-0.0"},
        {"1.//0", NULL},
        {"0//0", NULL},
        {"0/0", NULL},
        // integers of any size
        {"123456789012345678901234567890*987654321098765432109876543210",
         "121932631137021795226185032733622923332237463801111263526900"},
        {"121932631137021795226185032733622923332237463801111263526900//987654321098765432109876543210",
         "123456789012345678901234567890"},
        {"100000000000000000000-99999999999999999999", "1"},
        {"1-100000000000000000000", "-99999999999999999999"},
        {"4294967295+1", "4294967296"},
        {"2-3*4//5-(6-7)*8", "8"},
        // tuples and dots
        {"()+()", "()"},
        {"3*()", "()"},
        {"()*9223372036854775807", "()"},
        {"()*9223372036854775808", NULL},
        {"()*-9223372036854775808", "()"},
        {"()*-9223372036854775809", NULL},
        {"()*2.", NULL},
        {"()-()", NULL},
        {"-()", NULL},
        {"()()", NULL},
        {"(...)", "Ellipsis"},
        {"...*2", NULL},
        {"1...", NULL},
        {". . .", NULL},
        {"...5", NULL},
        {"1. .5", NULL},
        {".", NULL},
        {"/2", NULL},
        {"1///2", NULL},
        {"1/ /2", NULL},
        {"( )", "()"},
        {"(1", NULL},
    };
    for (size_t i = 0; i < countof(cases); i++)
        expect(cases[i][0], cases[i][1]);
}

static void out_of_range(void **state)
{
    (void)state;
    char big[320], text[1024]; // big: 10^309
    memset(big, '0', sizeof big);
    big[0] = '1';
    big[310] = '\0';
    snprintf(text, sizeof text, "%s.", big);
    expect(text, "inf");
    snprintf(text, sizeof text, "-%s.", big);
    expect(text, "-inf");
    snprintf(text, sizeof text, "%s.-%s.", big, big);
    expect(text, "nan");
    snprintf(text, sizeof text, "%s.//1", big);
    expect(text, "nan");
    snprintf(text, sizeof text, "%s/1", big);
    expect(text, NULL);
    snprintf(text, sizeof text, "1.*%s", big);
    expect(text, NULL);
    snprintf(text, sizeof text, "%s/%s", big, big);
    expect(text, "1.0");
    snprintf(text, sizeof text, "5/%s00000000000000", big); // below the normal doubles: the least is 4.94e-324
    expect(text, "5e-323");
    snprintf(text, sizeof text, "3/%s0000000000000000", big);
    expect(text, "0.0");
    snprintf(text, sizeof text, "-1/%s00000000000000000000", big);
    expect(text, "-0.0");
}

static void limits(void **state)
{
    (void)state;
    char text[CALCULATOR_BYTES_MAX + 2];
    memset(text, '(', sizeof text);
    expect_n(text, CALCULATOR_BYTES_MAX, NULL);
    for (int depth = CALCULATOR_DEPTH_MAX; depth <= CALCULATOR_DEPTH_MAX + 1; depth++) {
        memset(text, '(', (size_t)depth);
        text[depth] = '7';
        memset(text + depth + 1, ')', (size_t)depth);
        expect_n(text, 2 * (size_t)depth + 1, depth == CALCULATOR_DEPTH_MAX ? "7" : NULL);
    }
    memset(text, '-', sizeof text);
    text[CALCULATOR_BYTES_MAX - 1] = '5';
    expect_n(text, CALCULATOR_BYTES_MAX, "-5");
    memset(text, '9', sizeof text);
    text[CALCULATOR_BYTES_MAX] = '\0';
    expect_n(text, CALCULATOR_BYTES_MAX, text);
    expect_n(text, CALCULATOR_BYTES_MAX + 1, NULL);
    text[0] = ','; // commas do not count
    expect_n(text, CALCULATOR_BYTES_MAX, text + 1);
    expect_n("1\0+1", 4, NULL);
    expect_n("1+1", 0, NULL);
}

static void golden(void **state)
{
    (void)state;
    FILE *file = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!file) {
        print_message("skipped: no " RETORT_SHARED "/golden/chat-2025.jsonl\n");
        skip();
    }
    int n = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line))
        if (strcmp(json_string_value(json_object_get(line, "case")), "calculator") == 0) {
            const json_t *input = json_object_get(line, "input");
            expect_n(json_string_value(input), json_string_length(input), json_string_value(json_object_get(line, "expected")));
            n++;
        }
    fclose(file);
    print_message("%d golden cases\n", n);
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table), cmocka_unit_test(as_python), cmocka_unit_test(out_of_range),
        cmocka_unit_test(limits),    cmocka_unit_test(golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
