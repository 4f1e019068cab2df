// Characters of well-formed and broken UTF-8, and the classes of code points.
#include "core/text/unicode.h"
#include "core/text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static size_t parts(const char *text, size_t n, size_t *n_bad)
{
    size_t count = 0;
    uint32_t code;
    *n_bad = 0;
    for (size_t at = 0; at < n; count++) {
        size_t step = utf8_next((const uint8_t *)text + at, n - at, &code);
        assert_true(step >= 1 && step <= n - at);
        *n_bad += code == UTF8_BAD;
        at += step;
    }
    return count;
}

static void well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t code;
    } cases[] = {{"A", 'A'},
                 {"\x7F", 0x7F},
                 {"\xC2\x80", 0x80},
                 {"\xDF\xBF", 0x7FF},
                 {"\xE0\xA0\x80", 0x800},
                 {"\xED\x9F\xBF", 0xD7FF},
                 {"\xEE\x80\x80", 0xE000},
                 {"\xEF\xBF\xBF", 0xFFFF},
                 {"\xF0\x90\x80\x80", 0x10000},
                 {"\xF4\x8F\xBF\xBF", 0x10FFFF}};
    for (size_t i = 0; i < countof(cases); i++) {
        uint32_t code;
        size_t n = strlen(cases[i].text);
        assert_int_equal(utf8_next((const uint8_t *)cases[i].text, n, &code), n);
        assert_int_equal(code, cases[i].code);
    }
    uint32_t code;
    assert_int_equal(utf8_next((const uint8_t *)"", 1, &code), 1);
    assert_int_equal(code, 0);
}

static void ill_formed_parts_are_maximal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n_parts, n_bad;
    } cases[] = {
        {"\xE4\xBD", 1, 1},         // a character cut short is one part
        {"\xBD\xA0", 2, 2},         // bytes that cannot start one are a part each
        {"\x80", 1, 1},             //
        {"\xC0\xAF", 2, 2},         // overlong
        {"\xE0\x9F\xBF", 3, 3},     // overlong in the second byte
        {"\xED\xA0\x80", 3, 3},     // a surrogate
        {"\xF4\x90\x80\x80", 4, 4}, // above 10FFFF
        {"\xF0\x90\x80", 1, 1},     //
        {"\xF0\x90\x80"
         "A",
         2, 1},             //
        {"\xF5\x80", 2, 2}, //
        {"a\xE4\xBDz\xE4\xBD\xA0", 4, 1},
        {"\xF1\x80\x80\xE1\x80\xC2"
         "b",
         4, 3}, // the example of the standard's table 3-8, shortened
    };
    for (size_t i = 0; i < countof(cases); i++) {
        size_t n_bad, n = strlen(cases[i].text);
        assert_int_equal(parts(cases[i].text, n, &n_bad), cases[i].n_parts);
        assert_int_equal(n_bad, cases[i].n_bad);
        assert_int_equal(utf8_count((const uint8_t *)cases[i].text, n), cases[i].n_parts);
        assert_int_equal(utf8_is_valid((const uint8_t *)cases[i].text, n), n_bad == 0);
    }
}

static void replacement_lengths(void **state)
{
    (void)state;
    assert_int_equal(utf8_repaired_bytes((const uint8_t *)"\xE4\xBD", 2), 3);
    assert_int_equal(utf8_repaired_bytes((const uint8_t *)"\xBD\xA0", 2), 6);
    assert_int_equal(utf8_repaired_bytes((const uint8_t *)"\x80", 1), 3);
    struct bytes out = {0};
    assert_null(utf8_repair((const uint8_t *)"a\xE4\xBDz\xE4\xBD\xA0\xFF", 8, &out));
    assert_int_equal(out.n, 11);
    assert_memory_equal(out.byte, "a\xEF\xBF\xBDz\xE4\xBD\xA0\xEF\xBF\xBD", 11);
    assert_true(utf8_is_valid(out.byte, out.n));
    bytes_release(&out);
}

static void first_characters(void **state)
{
    (void)state;
    // Lengths around the eight bytes that are crossed at a time, a wide character at every place.
    for (size_t n = 0; n < 40; n++) {
        for (size_t wide = 0; wide <= n; wide++) {
            uint8_t text[64];
            memset(text, 'x', sizeof text);
            memcpy(text + wide, "\xE4\xBD\xA0", 3);
            size_t n_bytes = wide < n ? n + 2 : n, n_chars = n;
            assert_int_equal(utf8_count(text, n_bytes), n_chars);
            for (size_t k = 0; k <= n + 1; k++) {
                size_t taken, expected = k > n ? n_bytes : k > wide ? k + 2 : k;
                assert_int_equal(utf8_first(text, n_bytes, k, &taken), expected);
                assert_int_equal(taken, k < n ? k : n);
            }
        }
    }
    assert_int_equal(utf8_first(NULL, 0, 10, NULL), 0);
}

static void classes(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        enum unicode_class class;
    } cases[] = {{'a', UNICODE_LETTER},     {'Z', UNICODE_LETTER},     {0xE9, UNICODE_LETTER},    {0x17F, UNICODE_LETTER},
                 {0x4F60, UNICODE_LETTER},  {0x10FFFF, UNICODE_OTHER}, {'7', UNICODE_NUMBER},     {0xBD, UNICODE_NUMBER},
                 {0x2167, UNICODE_NUMBER},  {' ', UNICODE_SPACE},      {'\t', UNICODE_SPACE},     {0x3000, UNICODE_SPACE},
                 {0xA0, UNICODE_SPACE},     {0x85, UNICODE_SPACE},     {'\n', UNICODE_LINE_END},  {'\r', UNICODE_LINE_END},
                 {0x1C, UNICODE_OTHER},     {0x301, UNICODE_OTHER},    {'_', UNICODE_OTHER},      {0x1F642, UNICODE_OTHER},
                 {0x200B, UNICODE_OTHER},   {0xD800, UNICODE_OTHER},   {UTF8_BAD, UNICODE_OTHER}, {0x110000, UNICODE_OTHER},
                 {0x105C0, UNICODE_LETTER}, // Todhri: new in Unicode 16
                 {0x11DE0, UNICODE_OTHER}}; // a number of Unicode 17
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(unicode_class_of(cases[i].code), cases[i].class);
    int64_t n[5] = {0};
    for (uint32_t code = 0; code < 0x110000; code++)
        n[unicode_class_of(code)]++;
    assert_string_equal(unicode_version, "16.0.0");
    assert_int_equal(n[UNICODE_LETTER], 141028);
    assert_int_equal(n[UNICODE_NUMBER], 1911);
    assert_int_equal(n[UNICODE_SPACE], 23);
    assert_int_equal(n[UNICODE_LINE_END], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed),
        cmocka_unit_test(ill_formed_parts_are_maximal),
        cmocka_unit_test(replacement_lengths),
        cmocka_unit_test(first_characters),
        cmocka_unit_test(classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
