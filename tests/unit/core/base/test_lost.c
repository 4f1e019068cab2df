// test_lost.c - a mapped file that is cut short ends the process with an error that names it; other SIGBUSes stay signals.
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/base/lost.h"

enum { BYTES = 1 << 16 };

static void tell(void *self, struct error *e)
{
    dprintf(*(int *)self, "%s", e->what);
}

// Maps a file, cuts it off behind `left` bytes, and reads its last byte; or raises the signal by itself.
static void child(int to, bool raised)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    lost_on_signal(tell, &to);
    int fd = open("mapped", O_RDWR | O_CREAT, 0600);
    const volatile char *at = ftruncate(fd, BYTES) ? MAP_FAILED : mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED || ftruncate(fd, 1))
        _exit(99);
    (void)at[0]; // is there
    if (raised)
        raise(SIGBUS);
    (void)at[BYTES - 1];
    _exit(98);
}

static int run(bool raised, char said[1024])
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        child(ends[1], raised);
    assert_true(pid > 0);
    close(ends[1]);
    ssize_t n = read(ends[0], said, 1023);
    said[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_cut_file_is_named(void **state)
{
    char said[1024];
    int status = run(false, said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    char expected[256];
    snprintf(expected, sizeof expected, "'%s/mapped' was cut short while it was read, or its disk fails", (char *)*state);
    assert_string_equal(said, expected);
}

static void another_signal_is_a_signal(void **state)
{
    (void)state;
    char said[1024];
    int status = run(true, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cut_file_is_named, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(another_signal_is_a_signal, folder_enter, folder_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
