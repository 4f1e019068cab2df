// test_atomic.c - folders, whole small files, and writers that meet.
#include "tests/unit/folder.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "core/store/atomic.h"

static void folders(void **state)
{
    (void)state;
    assert_good(folder_make("a/b/c"));
    assert_good(folder_make("a/b/c"));
    assert_good(folder_make("a//d/"));
    assert_good(folder_make("/"));
    assert_good(folder_make("."));
    assert_true(file_exists("a/b/c") && file_exists("a/d"));
    assert_good(atomic_write("a/file", "x", 1));
    assert_error(folder_make("a/file"), ERROR_MACHINE, "cannot make the folder 'a/file'");
    assert_error(folder_make("a/file/b"), ERROR_MACHINE, "a/file");
}

static void files_come_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    char *text;
    size_t n;
    assert_good(atomic_write("f", "a\0b", 3));
    assert_good(file_read("f", 3, &arena, &text, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(text, "a\0b", 4);
    assert_error(file_read("f", 2, &arena, &text, &n), ERROR_DATA, "larger than 2 bytes");
    assert_good(atomic_write("f", "", 0));
    assert_good(file_read("f", 0, &arena, &text, &n));
    assert_int_equal(n, 0);
    assert_string_equal(text, "");
    assert_false(file_exists("f.tmp"));
    assert_error(file_read("none", 9, &arena, &text, &n), ERROR_MACHINE, "cannot open 'none': No such file");
    assert_error(file_read(".", 9, &arena, &text, &n), ERROR_MACHINE, "directory");
    assert_error(atomic_write("none/f", "x", 1), ERROR_MACHINE, "none/f");
    assert_error(atomic_publish("none", "f"), ERROR_MACHINE, "'none'");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(system("(seq 1 5000 >pipe) &"), 0);
    assert_good(file_read("pipe", 1 << 20, &arena, &text, &n));
    assert_int_equal(n, 23893);
    arena_release(&arena);
}

// Two processes write long and short texts: each read sees one of them whole.
static void writers_that_meet(void **state)
{
    (void)state;
    static char texts[2][50000];
    memset(texts[0], 'a', sizeof texts[0]);
    memset(texts[1], 'b', sizeof texts[1]);
    assert_good(atomic_write("shared", texts[0], 50000));
    pid_t writers[2];
    for (int i = 0; i < 2; i++)
        if (!(writers[i] = fork())) {
            for (int k = 0; k < 100; k++) {
                struct error *e = atomic_write("shared", texts[i], i ? 10 : 50000);
                if (e)
                    _exit(1);
            }
            _exit(0);
        }
    for (int k = 0; k < 200; k++) {
        struct arena arena = {0};
        char *text;
        size_t n;
        assert_good(file_read("shared", 1 << 20, &arena, &text, &n));
        assert_true(n == (text[0] == 'a' ? 50000 : 10));
        assert_memory_equal(text, texts[text[0] == 'b'], n);
        arena_release(&arena);
    }
    for (int i = 0; i < 2; i++) {
        int status;
        waitpid(writers[i], &status, 0);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folders), cmocka_unit_test(files_come_back),
                                       cmocka_unit_test(writers_that_meet)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
