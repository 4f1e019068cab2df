// test_lz4.c - blocks written by hand from the format's description; real ones are in the parquet files of test_parquet.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/lz4.h"

static bool unpack(const char *block, size_t n, const char *expected)
{
    char out[400];
    size_t n_out = strlen(expected);
    memset(out, '#', sizeof out);
    bool good = lz4_unpack((uint8_t *)out, n_out, (const uint8_t *)block, n);
    assert_int_equal(out[n_out], '#');
    return good && !memcmp(out, expected, n_out);
}

static void unpacks(void **state)
{
    (void)state;
    char ends[301];
    memset(ends, 'a', 300);
    ends[300] = '\0';
    assert_true(unpack("\x50hello", 6, "hello"));
    assert_true(unpack("\x33"
                       "abc\x03\x00\x20!?",
                       9, "abcabcabca!?")); // seven bytes of three
    assert_true(unpack("\x1f"
                       "a\x01\x00\xff\x14\x50"
                       "aaaaa",
                       12, ends)); // 1 + (4 + 15 + 255 + 20) + 5
}

static void refuses(void **state)
{
    (void)state;
    static const char block[] = "\x33"
                                "abc\x03\x00\x20!?";
    for (size_t n = 0; n < sizeof block - 1; n++)
        assert_false(unpack(block, n, "abcabcabca!?"));
    assert_false(unpack(block, 9, "abcabcabca!"));   // longer than it should be
    assert_false(unpack(block, 9, "abcabcabca!?.")); // shorter
    assert_false(unpack("\x33"
                        "abc\x00\x00\x20!?",
                        9, "abcabcabca!?")); // a copy of nothing
    assert_false(unpack("\x33"
                        "abc\x04\x00\x20!?",
                        9, "abcabcabca!?")); // of what lies before the first byte
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unpacks), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
