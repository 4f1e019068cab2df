// test_workplace.c - what programs leave in their folder is removed, however deep, however it is called.
#include "tests/unit/folder.h"

#include "core/sandbox/workplace.h"

#include <fcntl.h>
#include <sys/stat.h>

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void touch(int folder, const char *name)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void is_cleared(void **state)
{
    enum { DEEP = 500 }; // the path is longer than any that can be named
    struct workplace place;
    setenv("TMPDIR", *state, 1);
    assert_good(workplace_open(&place));
    assert_good(workplace_clear(&place));
    int top = open(place.path, O_RDONLY | O_DIRECTORY), at = dup(top);
    assert_true(top >= 0);
    for (int i = 0; i < DEEP; i++) {
        assert_int_equal(mkdirat(at, "deep folder", 0700), 0);
        touch(at, "~0"); // the name that is given to what is moved
        int next = openat(at, "deep folder", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(mkdirat(top, "~1", 0700), 0);
    assert_int_equal(mkdirat(top, "~1/~1", 0700), 0);
    touch(top, "~1/~1/file");
    assert_int_equal(mkdirat(top, "shut", 0), 0);
    assert_int_equal(symlinkat("/etc", top, "link"), 0);
    assert_int_equal(symlinkat("nowhere", top, "dangling"), 0);
    close(top);
    assert_good(workplace_clear(&place));
    top = open(place.path, O_RDONLY | O_DIRECTORY);
    assert_int_equal(unlinkat(top, "link", 0), -1);
    close(top);
    assert_int_equal(rmdir(place.path), 0); // it was empty
    assert_true(exists("/etc/passwd"));
    workplace_close(&place);
    assert_false(exists(place.top));
    unsetenv("TMPDIR");
}

static void nowhere(void **state)
{
    (void)state;
    struct workplace place;
    setenv("TMPDIR", "/nowhere/at/all", 1);
    assert_error(workplace_open(&place), ERROR_MACHINE, "cannot make a folder in '/nowhere/at/all'");
    workplace_close(&place);
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_cleared), cmocka_unit_test(nowhere)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
