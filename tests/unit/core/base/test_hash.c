// test_hash.c - published values. Source: FIPS 180-2 appendix B; XXH3 of nothing: xxHash's sanity test.
#include "tests/unit/folder.h"

#include "core/base/hash.h"

static void sha256_of_bytes(void **state)
{
    (void)state;
    char hex[SHA256_HEX];
    assert_good(sha256_bytes("abc", 3, hex));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_good(sha256_bytes("", 0, hex));
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_good(sha256_bytes(two, strlen(two), hex));
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void sha256_of_files(void **state)
{
    (void)state;
    char hex[SHA256_HEX];
    static char text[1000000];
    memset(text, 'a', sizeof text);
    FILE *f = fopen("million", "w");
    fwrite(text, 1, sizeof text, f);
    fclose(f);
    assert_good(sha256_file("million", hex));
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    f = fopen("large", "w"); // several pieces, the last one short
    for (int i = 0; i < 3; i++)
        fwrite(text, 1, sizeof text, f);
    fclose(f);
    assert_good(sha256_file("large", hex));
    char whole[SHA256_HEX];
    char *all = test_malloc(3 * sizeof text);
    memset(all, 'a', 3 * sizeof text);
    assert_good(sha256_bytes(all, 3 * sizeof text, whole));
    assert_string_equal(hex, whole);
    test_free(all);
    assert_error(sha256_file("none", hex), ERROR_DATA, "cannot open 'none': No such file");
    assert_error(sha256_file(".", hex), ERROR_DATA, "cannot read '.'");
}

static void xxh3_of_bytes(void **state)
{
    (void)state;
    assert_true(xxh3("", 0) == UINT64_C(0x2D06800538D394C2));
    assert_true(xxh3("a", 1) != xxh3("b", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sha256_of_bytes), cmocka_unit_test(sha256_of_files),
                                       cmocka_unit_test(xxh3_of_bytes)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
