// test_json.c - what is emitted is what was meant, and jansson, a strict reader, takes any bytes that were put in as text.
#include "tests/unit/folder.h"

#include <jansson.h>
#include <math.h>

#include "core/base/json.h"

static void commas_and_brackets(void **state)
{
    (void)state;
    struct json j = {0};
    json_open(&j, '{');
    json_key(&j, "a");
    json_open(&j, '[');
    json_i64(&j, INT64_MIN);
    json_bool(&j, true);
    json_nil(&j);
    json_open(&j, '{');
    json_close(&j, '}');
    json_raw(&j, "[1,2]");
    json_close(&j, ']');
    json_key(&j, "b");
    json_str(&j, NULL);
    json_key(&j, "c");
    json_f64(&j, 0.1);
    json_key(&j, "d");
    json_f64(&j, NAN);
    json_key(&j, "e");
    json_f64(&j, -INFINITY);
    json_key(&j, "f");
    json_bool(&j, false);
    json_close(&j, '}');
    assert_string_equal(json_text(&j), "{\"a\":[-9223372036854775808,true,null,{},[1,2]],\"b\":null,"
                                       "\"c\":0.10000000000000001,\"d\":null,\"e\":null,\"f\":false}");
    json_release(&j);
    assert_string_equal(json_text(&j), "");
    json_release(&j);
}

static void escapes(void **state)
{
    (void)state;
    struct json j = {0};
    const char text[] = "q\" b\\ n\n t\t \x01 \x7F \0 \xC3\xA9 \xF0\x9F\x98\x80 /";
    json_str_n(&j, text, sizeof text - 1);
    assert_string_equal(json_text(&j), "\"q\\\" b\\\\ n\\n t\\t \\u0001 \\u007f \\u0000 \xC3\xA9 \xF0\x9F\x98\x80 /\"");
    json_release(&j);
}

static void bad_utf8_is_replaced(void **state)
{
    (void)state;
    const struct {
        const char *in, *out;
    } cases[] = {{"\xFF", "\xEF\xBF\xBD"},
                 {"a\xC3", "a\xEF\xBF\xBD"},
                 {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},                                 // an overlong zero
                 {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                 // half of a pair
                 {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, // beyond the last code point
                 {"\xEF\xBF\xBF", "\xEF\xBF\xBF"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json j = {0};
        char expected[64];
        snprintf(expected, sizeof expected, "\"%s\"", cases[i].out);
        json_str(&j, cases[i].in);
        assert_string_equal(json_text(&j), expected);
        json_release(&j);
    }
}

static void any_bytes_make_valid_json(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 3000; i++) {
        char bytes[40];
        size_t n = (size_t)i % sizeof bytes;
        for (size_t k = 0; k < n; k++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes[k] = (char)(i % 3 ? random | 0x80 : random); // many lead and trail bytes
        }
        struct json j = {0};
        json_open(&j, '[');
        json_str_n(&j, bytes, n);
        json_close(&j, ']');
        json_error_t why;
        json_t *read = json_loads(json_text(&j), JSON_ALLOW_NUL, &why);
        if (!read)
            fail_msg("%s: %s", why.text, json_text(&j));
        json_decref(read);
        json_release(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(commas_and_brackets), cmocka_unit_test(escapes),
                                       cmocka_unit_test(bad_utf8_is_replaced), cmocka_unit_test(any_bytes_make_valid_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
