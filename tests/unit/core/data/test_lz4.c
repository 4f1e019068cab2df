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

// A sequence of n_literals and a copy of n_copy from `distance` before, made into a block byte by byte, and what it says.
static size_t put_sequence(uint8_t *block, size_t at, uint8_t *text, size_t *n, size_t n_literals, size_t distance, size_t n_copy)
{
    block[at++] = (uint8_t)(n_literals << 4 | (n_copy ? n_copy - 4 : 0));
    for (size_t i = 0; i < n_literals; i++)
        block[at++] = text[*n + i] = (uint8_t)((*n + i) * 31 + n_literals);
    *n += n_literals;
    if (!n_copy)
        return at;
    block[at++] = (uint8_t)distance;
    block[at++] = (uint8_t)(distance >> 8);
    for (size_t i = 0; i < n_copy; i++, (*n)++)
        text[*n] = text[*n - distance];
    return at;
}

// All distances with all short lengths, near the end and far from it.
static void unpacks_short_copies(void **state)
{
    (void)state;
    uint8_t block[200], text[200], out[201];
    for (size_t distance = 1; distance <= 40; distance++)
        for (size_t n_copy = 4; n_copy <= 18; n_copy++)
            for (size_t behind = 0; behind <= 40; behind += 5) {
                size_t n = 0, at = 0, n_last = behind < 14 ? behind : 14;
                for (int i = 0; i < 4; i++) // 56 bytes to copy from
                    at = put_sequence(block, at, text, &n, 10, 1, 4);
                at = put_sequence(block, at, text, &n, behind % 3, distance, n_copy);
                for (size_t left = behind - n_last; left >= 5; left -= 5)
                    at = put_sequence(block, at, text, &n, 1, distance, 4);
                at = put_sequence(block, at, text, &n, n_last, 0, 0);
                memset(out, '#', sizeof out);
                assert_true(lz4_unpack(out, n, block, at));
                assert_memory_equal(out, text, n);
                assert_int_equal(out[n], '#');
            }
}

// Two frames, the first of two blocks.
static void unpacks_frames(void **state)
{
    (void)state;
    static const char good[] = "\0\0\0\x11"
                               "\0\0\0\x06\x50hello"
                               "\0\0\0\x09\x33"
                               "abc\x03\x00\x20!?"
                               "\0\0\0\x05"
                               "\0\0\0\x06\x50world";
    static const char all[] = "helloabcabcabca!?world";
    uint8_t out[sizeof all];
    const size_t n = sizeof good - 1, n_all = sizeof all - 1, n_first = 4 + 4 + 6 + 4 + 9;
    memset(out, '#', sizeof out);
    assert_true(lz4_unpack_frames(out, n_all, (const uint8_t *)good, n));
    assert_memory_equal(out, all, n_all);
    assert_int_equal(out[n_all], '#');
    for (size_t cut = 0; cut < n; cut++)
        assert_false(lz4_unpack_frames(out, n_all, (const uint8_t *)good, cut));
    assert_true(lz4_unpack_frames(out, n_all - 5, (const uint8_t *)good, n_first)); // a whole frame
    assert_false(lz4_unpack_frames(out, n_all - 1, (const uint8_t *)good, n));
    assert_false(lz4_unpack_frames(out, n_all + 1, (const uint8_t *)good, n));
    assert_int_equal(out[n_all], '#');
    assert_false(lz4_unpack_frames(out, 5, (const uint8_t *)"\0\0\0\x05\0\0\0\x01\0", 9)); // a block of nothing
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unpacks), cmocka_unit_test(refuses),
                                       cmocka_unit_test(unpacks_short_copies), cmocka_unit_test(unpacks_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
