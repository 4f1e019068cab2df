// test_spill.c - what is appended comes back in order, and nothing is left in the folder.
#include "tests/unit/folder.h"

#include <dirent.h>

#include "core/store/spill.h"

static int names_here(void)
{
    DIR *dir = opendir(".");
    int n = -2; // itself and the one above
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void all_comes_back_in_order(void **state)
{
    (void)state;
    enum { N = 300000 };
    static uint32_t items[N];
    struct spill s;
    const void *data;
    for (uint32_t i = 0; i < N; i++)
        items[i] = i * 2654435761u;
    assert_good(spill_open(&s, "some.h5"));
    size_t at = 0;
    for (size_t n = 1; at < N; n = n * 3 % 70001 + 1) { // small ones, and some larger than what gathers
        n = n < N - at ? n : N - at;
        assert_good(spill_append(&s, items + at, n * sizeof *items));
        at += n;
    }
    assert_int_equal(names_here(), 0);
    assert_int_equal(s.n_bytes, sizeof items);
    assert_good(spill_map(&s, &data));
    assert_memory_equal(data, items, sizeof items);
    spill_close(&s);
    spill_close(&s);
    assert_int_equal(names_here(), 0);
}

static void nothing_is_a_spill_too(void **state)
{
    (void)state;
    struct spill s;
    const void *data = &s;
    assert_good(spill_open(&s, "./some.h5"));
    assert_good(spill_append(&s, NULL, 0));
    assert_good(spill_map(&s, &data));
    assert_null(data);
    spill_close(&s);
    assert_error(spill_open(&s, "nowhere/some.h5"), ERROR_MACHINE, "cannot make a file in 'nowhere/'");
    spill_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_comes_back_in_order), cmocka_unit_test(nothing_is_a_spill_too)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
