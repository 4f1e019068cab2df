// test_bad.c - the files of tests/e2e/recipes/bad are the tests: a faulty line ends in `# expect: part of the message`.
//
// Several parts are separated by ` // `; each must stand in what or fix of an error at that line, or be `see line 7` for a line that
// the error's context names, and every error must be expected. The exit status is 2, or what a first line `# status: 4` says. Errors
// in other files (parts/, which are no tests by themselves) are expected there.
#include "cmocka_all.h"

#include <dirent.h>

#include "runner/recipe/recipe.h"

enum { MOST_EXPECTED = 256, MOST_NAMED = 16 };

struct expectation {
    const char *file;
    int line;
    char text[256];
    bool met;
};

struct expectations {
    struct expectation list[MOST_EXPECTED];
    int n, status, n_files;
    char files[MOST_NAMED][512];
};

// Adds those of a file, once.
static void expect(struct expectations *x, const char *path)
{
    for (int i = 0; i < x->n_files; i++)
        if (strcmp(x->files[i], path) == 0)
            return;
    assert_true(x->n_files < MOST_NAMED);
    char *file = x->files[x->n_files++], line[65536];
    snprintf(file, sizeof x->files[0], "%s", path);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    for (int number = 1; fgets(line, sizeof line, f); number++) {
        line[strcspn(line, "\n")] = 0;
        if (x->n_files == 1)
            sscanf(line, "# status: %d", &x->status);
        char *mark = strstr(line, "# expect: ");
        for (char *part = mark ? mark + 10 : NULL; part && x->n < MOST_EXPECTED;) {
            char *next = strstr(part, " // ");
            if (next)
                *next = 0;
            struct expectation *one = &x->list[x->n++];
            *one = (struct expectation){.file = file, .line = number};
            snprintf(one->text, sizeof one->text, "%s", part);
            part = next ? next + 4 : NULL;
        }
    }
    fclose(f);
}

static bool says(const struct error *e, const char *part)
{
    int line;
    if (strstr(e->what, part) || (e->fix && strstr(e->fix, part)))
        return true;
    if (sscanf(part, "see line %d", &line) == 1)
        for (const struct error *w = e->while_; w; w = w->while_)
            if (w->at.line == line)
                return true;
    return false;
}

static int check(const char *path)
{
    static struct expectations x;
    int faults = 0, line = 0;
    struct arena arena = {0};
    struct recipe recipe;
    x.n = x.n_files = 0;
    x.status = 2;
    expect(&x, path);
    struct error *e = recipe_read(&recipe, path, NULL, 0, &arena);
    for (struct error *each = e; each; each = each->next) {
        bool known = false, here = each->at.file && strcmp(each->at.file, path) == 0;
        if (each->at.file)
            expect(&x, each->at.file);
        for (int i = 0; i < x.n; i++)
            if (each->at.line == x.list[i].line && each->at.file && !strcmp(each->at.file, x.list[i].file) &&
                says(each, x.list[i].text))
                known = x.list[i].met = true;
        if (!known || (here && each->at.line < line)) {
            printf("%s:%d: %s: %s\n", each->at.file ? each->at.file : path, each->at.line,
                   known ? "out of order" : "not expected", each->what);
            faults++;
        }
        if (here)
            line = each->at.line;
    }
    for (int i = 0; i < x.n; i++)
        if (!x.list[i].met) {
            printf("%s:%d: not reported: %s\n", x.list[i].file, x.list[i].line, x.list[i].text);
            faults++;
        }
    if (!x.n || error_exit_status(e) != x.status) {
        printf("%s: %d expectations, status %d, expected %d\n", path, x.n, error_exit_status(e), x.status);
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
    assert_true(n >= 120);
    assert_int_equal(faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_bad_recipe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
