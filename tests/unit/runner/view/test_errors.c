// test_errors.c - reports as a person reads them, byte for byte.
#include "../recipe/cmocka_all.h"

#include <unistd.h>

#include "runner/view/errors.h"

static char path[] = "/tmp/retort_errors_XXXXXX";

static char *printed_in(struct error *e, int width, bool colour)
{
    static char text[8192];
    FILE *f = tmpfile();
    assert_non_null(f);
    errors_print(f, e, width, colour);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    error_free(e);
    // The file has another name in every run.
    for (char *p; (p = strstr(text, path));)
        memmove(p, p + strlen(path) - 1, strlen(p + strlen(path) - 1) + 1), *p = 'F';
    return text;
}

static char *printed(struct error *e, bool colour)
{
    return printed_in(e, 0, colour);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct place at(int line, int column, int width)
{
    return (struct place){.file = path, .line = line, .column = column, .width = width};
}

static void caret_context_and_fix(void **state)
{
    (void)state;
    write_file("one\n  - {task: gsm8k, epochs: -0.2}\n");
    struct error *e = error_new(ERROR_RECIPE, at(2, 27, 4), "set it above 0", "epochs of 'gsm8k' is -0.2");
    e = error_while(e, at(1, 1, 1), "reading task 'gsm8k' of the mixture");
    e = error_while(e, NOWHERE, "looking around");
    e = error_while(e, at(1, 1, 1), "planning stage 'mid'");
    assert_string_equal(printed(e, false), "F:2:27: error: epochs of 'gsm8k' is -0.2\n"
                                           "    2 |   - {task: gsm8k, epochs: -0.2}\n"
                                           "      |                           ^^^^\n"
                                           "  while reading task 'gsm8k' of the mixture     F:1\n"
                                           "  while looking around\n"
                                           "  while planning stage 'mid'                    F:1\n"
                                           "  fix: set it above 0\n");
}

// On a terminal texts are wrapped at blanks; a place that does not fit stands below what was being done.
static void wrapped_on_a_terminal(void **state)
{
    (void)state;
    write_file("seq_len: 300\n");
    struct error *e = error_new(ERROR_RECIPE, at(1, 10, 3), "write at most that of the pretraining, or leave it out",
                                "seq_len 300 of stage 'sft' is longer than the 256 that its model was pretrained on");
    e = error_while(e, at(1, 1, 1), "following its model to 'base', a name of some length");
    e = error_while(e, NOWHERE, "looking at all that there is to see of the stage");
    assert_string_equal(printed_in(e, 60, false), "F:1:10: error: seq_len 300 of stage\n"
                                                  "    'sft' is longer than the 256 that its model was\n"
                                                  "    pretrained on\n"
                                                  "    1 | seq_len: 300\n"
                                                  "      |          ^^^\n"
                                                  "  while following its model to 'base', a name of some length\n"
                                                  "        F:1\n"
                                                  "  while looking at all that there is to see of the stage\n"
                                                  "  fix: write at most that of the pretraining, or leave it\n"
                                                  "       out\n");
}

static void without_a_line(void **state)
{
    (void)state;
    struct error *e = error_append(error_plain(ERROR_MACHINE, "no GPU"), error_stopped());
    e = error_append(e, error_new(ERROR_USAGE, (struct place){.file = "-s a.b=c"}, NULL, "not a setting"));
    e = error_append(e, error_new(ERROR_DATA, (struct place){.file = "/nonexistent/x", .line = 4}, NULL, "bad"));
    assert_string_equal(printed(e, false), "retort: error: no GPU\n"
                                           "retort: stopped; everything is saved\n"
                                           "-s a.b=c: error: not a setting\n"
                                           "/nonexistent/x:4: error: bad\n");
    assert_string_equal(printed(error_memory(), false),
                        "retort: error: out of memory\n  fix: free memory, or lower device_batch\n");
}

static void tabs_bom_and_letters(void **state)
{
    (void)state;
    write_file("\xef\xbb\xbf"
               "\ta\tbé: x\r\n");
    assert_string_equal(printed(error_new(ERROR_RECIPE, at(1, 4, 2), NULL, "w"), false), "F:1:4: error: w\n"
                                                                                         "    1 |     a   bé: x\n"
                                                                                         "      |         ^^\n");
    // behind the end of the line
    assert_string_equal(printed(error_new(ERROR_RECIPE, at(1, 90, 1), NULL, "w"), false), "F:1:90: error: w\n"
                                                                                          "    1 |     a   bé: x\n"
                                                                                          "      |              ^\n");
}

static void terminals_are_safe(void **state)
{
    (void)state;
    write_file("a: \x1b[31m\xff\xc2\x9b\xe2\x80\xae!\n");
    assert_string_equal(printed(error_new(ERROR_RECIPE, at(1, 4, 1), NULL, "got '\x1b[2J\n'"), false),
                        "F:1:4: error: got '?[2J?'\n"
                        "    1 | a: ?[31m?"
                        "?"
                        "?!\n"
                        "      |    ^\n");
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000000; i++)
        fputc('a' + i % 26, f);
    fclose(f);
    static const int columns[] = {1, 50, 105, 111, 500000, 999950, 1000000};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        char *text = printed(error_new(ERROR_RECIPE, at(1, columns[i], 3000), NULL, "w"), false);
        char *line = strstr(text, " | "), *mark = strstr(line + 3, " | ");
        assert_non_null(mark);
        size_t caret = strspn(mark + 3, " ");
        assert_true(strcspn(line + 3, "\n") <= 72);
        assert_int_equal(mark[3 + caret], '^');
        assert_int_equal(line[3 + caret], 'a' + (columns[i] - 1) % 26);
        assert_true(strcspn(mark + 3, "\n") <= 72);
    }
}

static void colour(void **state)
{
    (void)state;
    char *text = printed(error_plain(ERROR_FAILED, "w"), true);
    assert_string_equal(text, "\033[1mretort:\033[0m \033[1;31merror:\033[0m w\n");
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    const struct CMUnitTest tests[] = {cmocka_unit_test(caret_context_and_fix),
                                       cmocka_unit_test(without_a_line),
                                       cmocka_unit_test(wrapped_on_a_terminal),
                                       cmocka_unit_test(tabs_bom_and_letters),
                                       cmocka_unit_test(terminals_are_safe),
                                       cmocka_unit_test(long_lines_are_cut),
                                       cmocka_unit_test(colour)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
