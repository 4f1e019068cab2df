// test_widths.c - tables and progress lines fit their width; numbers fit their columns.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "core/base/error.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"
#include "runner/view/progress.h"
#include "runner/view/reasons.h"

static void numbers(void **state)
{
    (void)state;
    char t[FORMAT_TEXT];
    assert_string_equal(format_count(t, -1), "-");
    assert_string_equal(format_count(t, 0), "0");
    assert_string_equal(format_count(t, 999), "999");
    assert_string_equal(format_count(t, 999999), "1.0M");
    assert_string_equal(format_count(t, 23724032), "23.7M");
    assert_string_equal(format_count(t, 560988160), "561M");
    assert_string_equal(format_big(t, 3.54e15), "3.5e15");
    assert_string_equal(format_big(t, NAN), "-");
    assert_string_equal(format_seconds(t, 0.04), "0.0s");
    assert_string_equal(format_seconds(t, 59.6), "60s");
    assert_string_equal(format_seconds(t, 125), "2m05s");
    assert_string_equal(format_seconds(t, 3725), "1h02m");
    assert_string_equal(format_seconds(t, 1e6), "11d13h");
    assert_string_equal(format_seconds(t, INFINITY), "-");
    assert_string_equal(format_bytes(t, 12345678), "12.3 MB");
    assert_string_equal(format_usd(t, 3.456), "$3.46");
    assert_string_equal(format_real(t, NAN, 3), "-");
    assert_string_equal(format_big(t, 9.96e18), "1.0e19");
    assert_string_equal(format_big(t, 9.94e18), "9.9e18");
    for (int64_t n = 1; n < INT64_MAX / 7; n = n * 7 + 3)
        assert_true(strlen(format_count(t, n)) <= 8);
}

// What is rounded to 0 is neither above nor below it.
static void zero_has_no_sign(void **state)
{
    (void)state;
    char t[FORMAT_TEXT];
    assert_string_equal(format_real(t, -1e-8, 3), "0.000");
    assert_string_equal(format_real(t, -0.0004, 3), "0.000");
    assert_string_equal(format_real(t, -0.0006, 3), "-0.001");
    assert_string_equal(format_real(t, -0.4, 0), "0");
    assert_string_equal(format_real(t, -10, 0), "-10");
    assert_string_equal(format_real(t, -0.0, 2), "0.00");
    assert_string_equal(format_signed(t, -1e-8, 4), "+0.0000");
    assert_string_equal(format_signed(t, -0.3, 1), "-0.3");
    assert_string_equal(format_signed(t, 0.06, 1), "+0.1");
    assert_string_equal(format_signed(t, NAN, 1), "-");
    struct live_line line = live_line("step");
    char text[200];
    line.loss = -1e-8;
    progress_line(text, sizeof text, 79, "base", &line);
    assert_string_equal(text, "base  loss 0.000");
}

static void every_line_fits(FILE *f, int width)
{
    char line[1024];
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (text_width(line) > width)
            fail_msg("%d columns: %s", text_width(line), line);
    }
}

static void tables_fit(void **state)
{
    (void)state;
    static const struct column columns[] = {{"stage", false, false}, {"why", false, true}, {"n", true, false}};
    struct arena arena = {0};
    struct grid grid;
    grid_init(&grid, columns, 3, &arena);
    grid_add(&grid, (const char *[]){
                        "base", "vocab 512 -> 400, and a great many other things that changed since the last run of it", "12"});
    grid_add(&grid, (const char *[]){"h\xC3\xA4ufig",
                                     "/a/path/without/any/blank/that/is/longer/than/the/column/can/ever/be/made.txt", "3.4M"});
    grid_add(&grid, (const char *[]){"x", NULL, "1"});
    for (int width = 40; width <= 120; width += 7) {
        FILE *f = tmpfile();
        assert_non_null(f);
        grid_print(&grid, f, width);
        every_line_fits(f, width);
        fclose(f);
    }
    // A name that is too long stands alone.
    grid_init(&grid, columns, 3, &arena);
    grid_add(&grid, (const char *[]){"a_task_with_a_long_name.auxiliary_train.tokens@tokenizer", "never run here before", "1"});
    grid_add(&grid, (const char *[]){"  gsm8k", "train x2, 14.9k rows, 23%", "12.5M"});
    FILE *f = tmpfile();
    grid_print(&grid, f, 60);
    every_line_fits(f, 60);
    fclose(f);

    f = tmpfile();
    char text[2000] = "";
    grid_init(&grid, columns, 3, &arena);
    grid_add(&grid, (const char *[]){"a", "b c", "12"});
    grid_add(&grid, (const char *[]){"aa", "", "3"});
    grid_print(&grid, f, 80);
    rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    assert_string_equal(text, "stage  why   n\na      b c  12\naa           3\n");
    arena_release(&arena);
}

static void progress_fits(void **state)
{
    (void)state;
    struct live_line line = live_line("step");
    char text[1024];
    line.step = 123;
    line.of = 400;
    line.unit = "steps";
    line.loss = 3.214;
    line.bpb = 1.41;
    line.tok_s = 12345;
    line.eta_s = 80;
    for (int width = 0; width < 200; width++) {
        progress_line(text, sizeof text, width, "[2/4] a_stage_with_a_long_name", &line);
        assert_true(text_width(text) <= width);
    }
    progress_line(text, sizeof text, 79, "[2/4] base", &line);
    assert_non_null(strstr(text, "123/400 steps  loss 3.214  bpb 1.410  12.3k tok/s  80s left"));
    line.of = line.step = 50000000;
    progress_line(text, sizeof text, 79, "[1/4] tokenizer", &line);
    assert_non_null(strstr(text, "50.0M/50.0M"));
    line = live_line("started");
    progress_line(text, sizeof text, 79, "[1/4] tokenizer", &line);
    assert_string_equal(text, "[1/4] tokenizer");
}

static void read_all(FILE *f, char *text, size_t size)
{
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

// A line that fits keeps its blanks; none is broken where no terminal is.
static void lines_fit(void **state)
{
    (void)state;
    char text[200];
    FILE *f = tmpfile();
    text_line(f, "  ", "steps: 3 -> 4   base.yaml:7", 30);
    text_line(f, "  ", "steps: 3 -> 4   base.yaml:7", 20);
    read_all(f, text, sizeof text);
    assert_string_equal(text, "  steps: 3 -> 4   base.yaml:7\n  steps: 3 -> 4\n  base.yaml:7\n");
    f = tmpfile();
    assert_true(text_room(f) > 1000000);
    text_line(f, "", "one two", text_room(f));
    read_all(f, text, sizeof text);
    assert_string_equal(text, "one two\n");
}

// What Ctrl-C says, with the longest time that it has to tell.
static void stopping_fits(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    struct progress p;
    assert_non_null(f);
    progress_init(&p, f);
    p.terminal = true;
    p.n_stages = 1;
    p.stages[0].redo_s = 754;
    struct schedule_hooks hooks = progress_hooks(&p);
    p.n_stages = 1;
    hooks.stopping(hooks.self);
    char line[200] = "";
    rewind(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_non_null(strstr(line, "losing 12m34s)\n"));
    assert_true(strlen(line) <= 80);
    fclose(f);
}

// A result is named by its file, not by the folder of all.
static void reasons_are_short(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct reason r = {.kind = REASON_MISSING,
                             .name = "/a/long/way/down/to/the/results/store/pretrain-0123456789abcdef.h5",
                             .new = "a checkpoint is there"};
    assert_string_equal(reason_long(&r, &arena), "result 'pretrain-0123456789abcdef.h5': a checkpoint is there");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),           cmocka_unit_test(zero_has_no_sign), cmocka_unit_test(tables_fit),
        cmocka_unit_test(progress_fits),     cmocka_unit_test(lines_fit),        cmocka_unit_test(stopping_fits),
        cmocka_unit_test(reasons_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
