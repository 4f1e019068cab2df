// test_json_tape.c - held to jansson on texts of every kind, right, wrong, cut and spoiled.
#include "tests/unit/folder.h"

#include "core/base/philox.h"
#include "tests/same_json.h"

struct made {
    char text[1 << 14];
    size_t n;
    struct philox random;
    uint64_t counter;
};

static uint32_t draw(struct made *m, uint32_t n)
{
    uint32_t words[4];
    philox_words(m->random, 0, m->counter++, words);
    return words[0] % n;
}

static void put(struct made *m, const char *s)
{
    size_t n = strlen(s);
    if (m->n + n < sizeof m->text - 1) {
        memcpy(m->text + m->n, s, n);
        m->n += n;
    }
}

static void put_one_of(struct made *m, const char *const *of, uint32_t n)
{
    put(m, of[draw(m, n)]);
}

static void make_text(struct made *m)
{
    static const char *const pieces[] = {"a",
                                         "b",
                                         "text",
                                         "plain words that are longer than eight",
                                         "\\n",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "\\b\\f\\r\\t",
                                         "\\u0041",
                                         "\\u00e9",
                                         "\\u20AC",
                                         "\\ud83d\\ude00",
                                         "\xC3\xA9",
                                         "\xE2\x82\xAC",
                                         "\xF0\x9F\x98\x80",
                                         "\x7F",
                                         " ",
                                         "\\u0000"};
    static const char *const wrong[] = {
        "\\x",  "\\ud800",  "\\udc00",      "\\ud800\\u0041",   "\\u12",        "\\u12g4", "\x01",     "\x1F", "\t",
        "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE0\x80\x80", "\xFF",    "\xE2\x82", "\\"};
    put(m, "\"");
    for (uint32_t i = draw(m, 6); i > 0; i--)
        if (draw(m, 200) == 0)
            put_one_of(m, wrong, countof(wrong));
        else
            put_one_of(m, pieces, countof(pieces) - (draw(m, 8) != 0)); // a zero is rare
    put(m, "\"");
}

static void make_number(struct made *m)
{
    static const char *const numbers[] = {"0",
                                          "-0",
                                          "1",
                                          "-17",
                                          "42",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "999999999999999999",
                                          "1.5",
                                          "-0.0",
                                          "1e5",
                                          "2E-3",
                                          "1e+2",
                                          "0.1e1",
                                          "1e308",
                                          "-1e308",
                                          "1e-400",
                                          "123456789012345678901234567890.5",
                                          "0e99999",
                                          "1.7976931348623157e308"};
    static const char *const wrong[] = {"01",
                                        "-",
                                        "+1",
                                        ".5",
                                        "1.",
                                        "1e",
                                        "1e+",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "1e309",
                                        "-1e999",
                                        "0x10",
                                        "1_0",
                                        "NaN",
                                        "Infinity",
                                        "--1",
                                        "1.e5",
                                        "00",
                                        "1e5.0",
                                        "100000000000000000000000000000000000000000000000000"};
    if (draw(m, 60) == 0)
        put_one_of(m, wrong, countof(wrong));
    else
        put_one_of(m, numbers, countof(numbers));
}

static void make_value(struct made *m, int depth)
{
    static const char *const blanks[] = {"", "", "", "", " ", "\t", " \r ", "\n"}, *const words[] = {"true", "false", "null"},
                             *const keys[] = {"\"a\"", "\"a\"", "\"b\"", "\"\\u0061\"", "\"text\"", "\"\\u0000\"",
                                              "\"\"",  "a",     "1"};
    put_one_of(m, blanks, countof(blanks));
    uint32_t kind = draw(m, depth > 0 ? 6 : 4), n = draw(m, 5);
    if (kind < 2)
        make_text(m);
    else if (kind == 2)
        make_number(m);
    else if (kind == 3)
        put_one_of(m, words, countof(words));
    else {
        put(m, kind == 4 ? "[" : "{");
        put_one_of(m, blanks, countof(blanks));
        for (uint32_t i = 0; i < n; i++) {
            put(m, i ? "," : "");
            put_one_of(m, blanks, countof(blanks));
            if (kind == 5) {
                put_one_of(m, keys, draw(m, 20) ? 5 : countof(keys));
                put_one_of(m, blanks, countof(blanks));
                put(m, ":");
            }
            make_value(m, depth - 1);
        }
        put_one_of(m, blanks, countof(blanks));
        put(m, kind == 4 ? "]" : "}");
    }
    put_one_of(m, blanks, countof(blanks));
}

static void spoil(struct made *m)
{
    static const char spoilers[] = "{}[]\",:\\0-1eu.tn \x80\xC3\x01";
    size_t at = m->n ? draw(m, (uint32_t)m->n) : 0;
    if (!m->n)
        return;
    switch (draw(m, 3)) {
    case 0: // cut
        m->n = at;
        break;
    case 1: // another byte
        m->text[at] = spoilers[draw(m, sizeof spoilers)];
        break;
    default: // one less
        memmove(m->text + at, m->text + at + 1, m->n - at - 1);
        m->n--;
    }
}

static void says_what_jansson_says(void **state)
{
    (void)state;
    enum { TEXTS = 200000 };
    static struct made m;
    struct json_tape tape = {0};
    struct bytes scratch = {0};
    int accepted = 0;
    m.random = philox_for(1, PHILOX_ORDER);
    for (int i = 0; i < TEXTS; i++) {
        m.n = 0;
        make_value(&m, 4);
        if (i % 2)
            spoil(&m);
        m.text[m.n] = '\0';
        if (!same_json(m.text, m.n, &tape, &scratch))
            fail_msg("jansson says something else of: %s", m.text);
        bool good;
        assert_good(json_tape_parse(&tape, m.text, m.n, &good));
        accepted += good;
    }
    assert_in_range(accepted, TEXTS / 3, TEXTS * 9 / 10); // of both kinds there were many
    json_tape_release(&tape);
    bytes_release(&scratch);
}

// Around the borders: nesting, long texts whose special byte stands anywhere, long numbers.
static void says_it_at_the_borders_too(void **state)
{
    (void)state;
    static char text[1 << 16];
    struct json_tape tape = {0};
    struct bytes scratch = {0};
    for (size_t depth = JSON_TAPE_DEPTH - 2; depth <= JSON_TAPE_DEPTH + 1; depth++)
        for (int full = 0; full < 2; full++) {
            memset(text, '[', depth);
            size_t n = depth;
            if (full)
                text[n++] = '1';
            memset(text + n, ']', depth);
            n += depth;
            text[n] = '\0';
            assert_true(same_json(text, n, &tape, &scratch));
        }
    static const char *const specials[] = {"\"",   "\\n",  "\\",   "\x1F", "\xC3\xA9", "\xC3",
                                           "\x7F", "\x20", "\x21", "\x23", "\x5B",     "\x5D"};
    for (size_t s = 0; s < countof(specials); s++)
        for (size_t at = 0; at < 40; at++)
            for (size_t after = 0; after < 20; after++) {
                int n = snprintf(text, sizeof text, "[\"%.*s%s%.*s\", 1]", (int)at,
                                 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", specials[s], (int)after,
                                 "zyxwvutsrqponmlkjihgfedcba");
                assert_true(same_json(text, (size_t)n, &tape, &scratch));
            }
    for (size_t digits = 1; digits < 400; digits += digits < 30 ? 1 : 37) {
        static const char *const forms[] = {"%s", "-%s", "%s.5", "%se-300", "%se10", "0.%s", "%sE+0"};
        char number[512];
        memset(number, '9', digits);
        number[digits] = '\0';
        for (size_t f = 0; f < countof(forms); f++) {
            int n = snprintf(text, sizeof text, forms[f], number);
            assert_true(same_json(text, (size_t)n, &tape, &scratch));
        }
    }
    json_tape_release(&tape);
    bytes_release(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_jansson_says), cmocka_unit_test(says_it_at_the_borders_too)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
