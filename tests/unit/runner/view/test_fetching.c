// test_fetching.c - the line of what is being fetched says what is known, and fits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runner/view/fetching.h"
#include "runner/view/grid.h"

static void lines(void **state)
{
    (void)state;
    char text[512];
    struct fetch_file files[] = {{.bytes = 600000000, .state = FETCH_DONE},
                                 {.bytes = 900000000, .have = 150000000, .got = 100000000, .state = FETCH_RUNS},
                                 {.bytes = -1, .state = FETCH_WAITS}};
    struct fetching_view v;
    fetching_init(&v, NULL, files, 2);
    fetching_line(&v, text, sizeof text, 79);
    assert_string_equal(text, "1/2 files  ##########----------  750 MB of 1.5 GB");
    v.rate = 25e6;
    fetching_line(&v, text, sizeof text, 79);
    assert_string_equal(text, "1/2 files  ##########----------  750 MB of 1.5 GB  25.0 MB/s  30s left");
    v.n = 3; // with a file of unknown size there is no whole
    fetching_line(&v, text, sizeof text, 79);
    assert_string_equal(text, "1/3 files  750 MB  25.0 MB/s");
    for (int width = 0; width < 100; width++) {
        v.n = 2;
        fetching_line(&v, text, sizeof text, width);
        assert_true(text_width(text) <= width);
    }
    v.n = 0;
    fetching_line(&v, text, sizeof text, 79);
    assert_string_equal(text, "0/0 files  0 B of 0 B  25.0 MB/s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
