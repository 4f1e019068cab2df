// test_number.c - numbers as people write them.
#include "cmocka_all.h"

#include <inttypes.h>

#include "runner/recipe/number.h"

static const struct place here = {.file = "t", .line = 3, .column = 5, .width = 2};

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"0", 0},       {"65536", 65536}, {"1_000", 1000},        {"2e9", 2000000000}, {"2E3", 2000},
        {"1.5k", 1500}, {"64k", 64000},   {"40M", 40000000},      {"1B", 1000000000},  {"3T", 3000000000000},
        {"-7", -7},     {"+7", 7},        {"1.50e1", 15},         {"10e-1", 1},        {"9223372036854775807", INT64_MAX},
        {"0e99", 0},    {"0.0", 0},       {"1_000_000", 1000000}, {"1e+3", 1000}};
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t value = -99;
        struct error *e = number_int(cases[i].text, true, here, "n", &value);
        if (e)
            fail_msg("%s: %s", cases[i].text, e->what);
        assert_int_equal(value, cases[i].value);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", "no value"},
                                           {"~", "no value"},
                                           {"null", "no value"},
                                           {"0x10", "hexadecimal"},
                                           {"0o7", "octal"},
                                           {"007", "octal"},
                                           {"0_1", "octal"},
                                           {"1:30", "time of day"},
                                           {"1,000", "comma"},
                                           {".nan", "'.nan'"},
                                           {"-.inf", "'-.inf'"},
                                           {"inf", "'inf'"},
                                           {"yes", "not a number"},
                                           {"1 000", "not a number"},
                                           {"1__0", "not a number"},
                                           {"_1", "not a number"},
                                           {"1_", "not a number"},
                                           {"1.", "not a number"},
                                           {".5", "not a number"},
                                           {"1e", "not a number"},
                                           {"1K", "not a number"},
                                           {"1m", "not a number"},
                                           {"1kk", "not a number"},
                                           {"1e3k", "not a number"},
                                           {"--1", "not a number"},
                                           {"1.2.3", "not a number"},
                                           {"2.5", "not a whole number"},
                                           {"1e-3", "not a whole number"},
                                           {"9223372036854775808", "too large"},
                                           {"1e19", "too large"},
                                           {"1e99999999999", "too large"},
                                           {"10000000T", "too large"}};
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t value = -99;
        struct error *e = number_int(cases[i][0], true, here, "n", &value);
        if (!e || !strstr(e->what, cases[i][1]) || !e->fix)
            fail_msg("'%s': %s; expected %s", cases[i][0], e ? e->what : "read", cases[i][1]);
        assert_int_equal(e->kind, ERROR_RECIPE);
        assert_int_equal(e->at.column, 5);
        assert_int_equal(value, -99);
        error_free(e);
    }
    int64_t value;
    struct error *e = number_int("8k", false, here, "n", &value);
    assert_non_null(strstr(e->what, "only an exact count"));
    error_free(e);
    assert_null(number_int("8e3", false, here, "n", &value));
}

static void reals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0.02", 0.02}, {"2e9", 2e9},       {"1e-300", 1e-300}, {"1.5k", 1500}, {"-0.5", -0.5},
        {"0", 0},       {"1_0.2_5", 10.25}, {"0.004", 0.004},   {"1e400", 0},   {"123456789.123456789", 123456789.123456789}};
    for (size_t i = 0; i < countof(cases); i++) {
        double value = -99;
        struct error *e = number_real(cases[i].text, true, here, "x", &value);
        if (strcmp(cases[i].text, "1e400") == 0) {
            assert_non_null(strstr(e->what, "too large"));
            error_free(e);
            continue;
        }
        assert_null(e);
        assert_true(value == cases[i].value);
    }
}

static void others(void **state)
{
    (void)state;
    bool truth = false;
    assert_null(number_bool("true", here, "b", &truth));
    assert_true(truth);
    assert_null(number_bool("false", here, "b", &truth));
    assert_false(truth);
    static const char *const not_bool[] = {"yes", "no", "on", "True", "1", ""};
    for (size_t i = 0; i < countof(not_bool); i++) {
        struct error *e = number_bool(not_bool[i], here, "b", &truth);
        assert_string_equal(e->fix, "write true or false");
        error_free(e);
    }
    double seconds;
    assert_null(number_duration("90m", here, "d", &seconds));
    assert_true(seconds == 5400);
    assert_null(number_duration("1.5d", here, "d", &seconds));
    assert_true(seconds == 129600);
    static const char *const not_duration[] = {"90", "m", "", "1w", "xs", "1:30"};
    for (size_t i = 0; i < countof(not_duration); i++) {
        struct error *e = number_duration(not_duration[i], here, "d", &seconds);
        assert_non_null(e);
        error_free(e);
    }
}

static void texts_read_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_string_equal(number_text(0.2, &arena), "0.2");
    assert_string_equal(number_text(2e9, &arena), "2000000000");
    assert_string_equal(number_text(1e20, &arena), "1e+20");
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double x, back;
        memcpy(&x, &bits, sizeof x);
        if (!(x - x == 0))
            continue;
        struct error *e = number_real(number_text(x, &arena), false, here, "x", &back);
        assert_null(e);
        assert_true(back == x);
    }
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(integers), cmocka_unit_test(refused), cmocka_unit_test(reals),
                                       cmocka_unit_test(others), cmocka_unit_test(texts_read_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
