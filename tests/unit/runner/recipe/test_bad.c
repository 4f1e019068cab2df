// test_bad.c - the files of tests/e2e/recipes/bad are the tests: a faulty line ends in `# expect: part of the message`.
//
// Several parts are separated by ` // `; each must stand in what or fix of an error at that line, and every error must be
// expected. The exit status is 2, or what a first line `# status: 4` says.
#include "cmocka_all.h"

#include <dirent.h>

#include "runner/recipe/recipe.h"

enum { MOST_EXPECTED = 64 };

struct expectation {
    int line;
    char text[256];
    bool met;
};

static int expectations(const char *path, struct expectation *expected, int *status)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char line[4096];
    int n = 0;
    *status = 2;
    for (int number = 1; fgets(line, sizeof line, f); number++) {
        line[strcspn(line, "\n")] = 0;
        sscanf(line, "# status: %d", status);
        char *mark = strstr(line, "# expect: ");
        for (char *part = mark ? mark + 10 : NULL; part && n < MOST_EXPECTED;) {
            char *next = strstr(part, " // ");
            if (next)
                *next = 0;
            expected[n].line = number;
            expected[n].met = false;
            snprintf(expected[n++].text, sizeof expected->text, "%s", part);
            part = next ? next + 4 : NULL;
        }
    }
    fclose(f);
    return n;
}

static int check(const char *path)
{
    struct expectation expected[MOST_EXPECTED];
    int status, faults = 0, n = expectations(path, expected, &status);
    struct arena arena = {0};
    struct recipe recipe;
    struct error *e = recipe_read(&recipe, path, NULL, 0, &arena);
    if (!n || error_exit_status(e) != status) {
        printf("%s: %d expectations, status %d, expected %d\n", path, n, error_exit_status(e), status);
        faults++;
    }
    int line = 0;
    for (struct error *each = e; each; each = each->next) {
        bool known = false;
        for (int i = 0; i < n; i++)
            if (each->at.line == expected[i].line &&
                (strstr(each->what, expected[i].text) || (each->fix && strstr(each->fix, expected[i].text))))
                known = expected[i].met = true;
        if (!known || each->at.line < line) {
            printf("%s:%d: %s: %s\n", path, each->at.line, known ? "out of order" : "not expected", each->what);
            faults++;
        }
        line = each->at.line;
    }
    for (int i = 0; i < n; i++)
        if (!expected[i].met) {
            printf("%s:%d: not reported: %s\n", path, expected[i].line, expected[i].text);
            faults++;
        }
    error_free(e);
    arena_release(&arena);
    return faults;
}

static void every_bad_recipe(void **state)
{
    (void)state;
    const char *folder = RETORT_SOURCE "/tests/e2e/recipes/bad";
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n = 0, faults = 0;
    for (struct dirent *d; (d = readdir(dir));) {
        size_t length = strlen(d->d_name);
        if (length < 6 || strcmp(d->d_name + length - 5, ".yaml"))
            continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        faults += check(path);
        n++;
    }
    closedir(dir);
    assert_true(n >= 30);
    assert_int_equal(faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_bad_recipe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
