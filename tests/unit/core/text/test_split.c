// The pieces of the split pattern: the vectors of the specification, a slow matcher that reads the pattern word for word, cost.
#include "core/text/split.h"

#include "core/base/philox.h"
#include "tests/unit/core/text/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Pieces are joined by '|', which therefore must not be in the text.
static void expect(const char *text, const char *pieces)
{
    char joined[256] = "";
    size_t n = strlen(text), used = 0;
    for (size_t at = 0, end; at < n; at = end) {
        end = split_next((const uint8_t *)text, n, at);
        assert_true(end > at && end <= n);
        if (at)
            joined[used++] = '|';
        memcpy(joined + used, text + at, end - at);
        used += end - at;
        joined[used] = 0;
    }
    assert_string_equal(joined, pieces);
}

static void vectors(void **state)
{
    (void)state;
    expect("it's IT'S it'\xC5\xBF x", "it|'s| IT|'S| it|'\xC5\xBF| x");
    expect("don't 'tis 'tTt", "don|'t| '|tis| '|tTt");
    expect("  a\n\n  \n  b", " | a|\n\n  \n| | b");
    expect("12345 a1b22", "12|34|5| a|1|b|22");
    expect(" 1 2", " |1| |2");
    expect("$100,000.50", "$|10|0|,|00|0|.|50");
    expect("hello   world  ", "hello|  | world|  ");
    expect("a\r\n\r\nb", "a|\r\n\r\n|b");
    expect("foo!!\n\nbar", "foo|!!\n\n|bar");
    expect("\t\tif x", "\t|\tif| x");
    expect("\xC2\xBD\xC2\xB2\xE2\x85\xA7"
           "1",
           "\xC2\xBD\xC2\xB2|\xE2\x85\xA7"
           "1");
    expect("e\xCC\x81"
           "a",
           "e|\xCC\x81"
           "a");
    expect("x\x1C\x1Cy", "x|\x1C\x1C|y");
}

static void more_borders(void **state)
{
    (void)state;
    expect("'ll 'LL 'vE 're 'x", "'ll| '|LL| '|vE| '|re| '|x");
    expect("we'll've'd", "we|'ll|'ve|'d");
    expect("x'lx'v", "x|'lx|'v");
    expect("a'", "a|'");
    expect("'\xC5", "'\xC5");
    expect("\xE3\x80\x80"
           "a\xC2\x85\xC2\x85!",
           "\xE3\x80\x80"
           "a|\xC2\x85|\xC2\x85|!");
    expect(" !a", " !|a");
    expect("\t!", "\t|!");
    expect("\n\n a", "\n\n| a");
    expect(" \n", " \n");
    expect("   ", "   ");
    expect("   \xFF", "  | \xFF");
    // A part that is no character is "other": it may stand before letters, and with others in a row.
    expect("\xE4\xBD"
           "ab",
           "\xE4\xBD"
           "ab");
    expect("a\xBD\xA0!\n1", "a|\xBD\xA0!\n|1");
    assert_string_equal(SPLIT_PATTERN, "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,2}| "
                                       "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+");
}

static void like_the_slow_matcher(void **state)
{
    (void)state;
    static const char *const snippets[] = {"'",
                                           "s",
                                           "S",
                                           "l",
                                           "v",
                                           "e",
                                           "r",
                                           "\xC5\xBF",
                                           " ",
                                           " ",
                                           " ",
                                           "\n",
                                           "\r",
                                           "\t",
                                           "1",
                                           "\xC2\xBD",
                                           "!",
                                           "\xE3\x80\x80",
                                           "\xC2\xA0",
                                           "\xE4\xBD\xA0",
                                           "\xF0\x9F\x99\x82",
                                           "\xCC\x81",
                                           "\xFF",
                                           "\xE4\xBD",
                                           "\x1C",
                                           "x",
                                           "7"};
    struct philox random = philox_for(1, PHILOX_SAMPLE);
    for (uint64_t round = 0; round < 100000; round++) {
        uint8_t text[256];
        size_t n = 0;
        uint32_t words[4];
        philox_words(random, round, 0, words);
        size_t length = 1 + words[0] % 24;
        for (size_t i = 0; i < length; i++) {
            philox_words(random, round, 1 + i, words);
            const char *snippet = snippets[words[0] % countof(snippets)];
            memcpy(text + n, snippet, strlen(snippet));
            n += strlen(snippet);
        }
        static struct plain_chars c;
        plain_read(&c, text, n);
        for (int i = 0; i < c.n;) {
            int j = plain_next(&c, i);
            assert_int_equal(split_next(text, n, c.at[i]), c.at[j]);
            i = j;
        }
    }
}

// The pieces of a text are those of its two parts.
static void borders(void **state)
{
    (void)state;
    static const char alphabet[] = "  \n'slVe1!\t\xC3\xA9\xFF";
    struct philox random = philox_for(12, PHILOX_SAMPLE);
    int n_cut = 0;
    for (uint64_t round = 0; round < 50000; round++) {
        uint8_t text[32];
        uint32_t words[4];
        philox_words(random, round, 0, words);
        size_t n = 2 + words[0] % 31, from = 1 + words[1] % (n - 1);
        for (size_t i = 0; i < n; i++) {
            philox_words(random, round, 1 + i, words);
            text[i] = (uint8_t)alphabet[words[0] % (sizeof alphabet - 1)];
        }
        size_t border = split_border(text, n, from);
        assert_true(border >= from && border <= n);
        n_cut += border < n;
        for (size_t at = 0; at < n;) {
            size_t first = at < border ? 0 : border, behind = at < border ? border : n, end = split_next(text, n, at);
            assert_int_equal(end, first + split_next(text + first, behind - first, at - first));
            at = end;
        }
    }
    assert_true(n_cut > 10000);
    assert_int_equal(split_border((const uint8_t *)"ab cd", 5, 1), 2);
    assert_int_equal(split_border((const uint8_t *)"ab cd", 5, 3), 5);
    assert_int_equal(split_border((const uint8_t *)"a1 \xC3\xA9 b c", 9, 1), 7);
}

// A quadratic matcher would need hours for these.
static void long_runs_are_linear(void **state)
{
    (void)state;
    static const char *const units[] = {" ", "\n", " \n", "\n ", "a", "!", "'", "1", "\xE3\x80\x80", " !", "\xFF", "\t \r"};
    size_t n = 8 << 20;
    uint8_t *text = block_alloc(n + 8);
    assert_non_null(text);
    for (size_t i = 0; i < countof(units); i++) {
        size_t length = strlen(units[i]);
        for (size_t j = 0; j < n; j++)
            text[j] = (uint8_t)units[i][j % length];
        text[n - 1] = 'x';
        size_t at = 0;
        while (at < n)
            at = split_next(text, n, at);
        assert_int_equal(at, n);
    }
    block_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors), cmocka_unit_test(more_borders),         cmocka_unit_test(like_the_slow_matcher),
        cmocka_unit_test(borders), cmocka_unit_test(long_runs_are_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
