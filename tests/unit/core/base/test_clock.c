// test_clock.c - times in text, and a clock that does not go back.
#include "tests/unit/folder.h"

#include <math.h>

#include "core/base/clock.h"

static void times_in_text(void **state)
{
    (void)state;
    char text[CLOCK_TEXT];
    clock_text(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    clock_text(951782400.9, text);
    assert_string_equal(text, "2000-02-29T00:00:00Z");
    assert_true(clock_of_text(text) == 951782400);
    assert_true(isnan(clock_of_text(NULL)) && isnan(clock_of_text("")) && isnan(clock_of_text("2000-02-29")));
}

static void time_goes_on(void **state)
{
    (void)state;
    double before = clock_seconds();
    for (int i = 0; i < 1000; i++) {
        double now = clock_seconds();
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_unix() > 1.7e9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(times_in_text), cmocka_unit_test(time_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
