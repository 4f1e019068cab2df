// test_sandbox.c - programs that pass, fail, do not end and misbehave; none gets out, and none passes that did not.
#include "tests/unit/folder.h"

#include "core/sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <jansson.h>

#include "core/base/stop.h"

static const struct sandbox_limits brief = {
    .seconds = 1, .memory_bytes = 256 << 20, .file_bytes = 4 << 20, .folder_bytes = 16 << 20, .files = 200};

static void run(struct sandbox *s, const char *program, struct sandbox_outcome *outcome)
{
    assert_good(sandbox_run(s, program, strlen(program), outcome));
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); // nothing is left
}

static void expect(struct sandbox *s, const char *program, enum sandbox_verdict verdict, const char *error)
{
    struct sandbox_outcome o;
    run(s, program, &o);
    if (o.verdict != verdict || (error && !strstr(o.error, error)))
        fail_msg("%s: '%s', not %s, of\n%s\n%.*s", sandbox_verdict_name(o.verdict), o.error, sandbox_verdict_name(verdict),
                 program, (int)o.n_err, o.err);
    if (verdict == SANDBOX_PASSED)
        assert_string_equal(o.error, "");
}

static void open_brief(struct sandbox **s)
{
    assert_good(sandbox_open(s, &brief));
}

static void golden_case(struct sandbox *s, const json_t *input, const json_t *expected)
{
    struct sandbox_outcome o;
    run(s, json_string_value(input), &o);
    bool success = json_is_true(json_object_get(expected, "success"));
    const char *error = json_string_value(json_object_get(expected, "error"));
    if ((o.verdict == SANDBOX_PASSED) != success ||
        (o.verdict == SANDBOX_TIMEOUT) != json_is_true(json_object_get(expected, "timeout")))
        fail_msg("%s: %s", json_string_value(input), sandbox_verdict_name(o.verdict));
    if (o.verdict == SANDBOX_FAILED) // the kind of exception; how it is worded belongs to the version of Python
        assert_true(error && !strncmp(o.error, error, strcspn(error, ":") + 1));
    const char *out = json_string_value(json_object_get(expected, "stdout")),
               *err = json_string_value(json_object_get(expected, "stderr"));
    if (success) {
        assert_int_equal(o.n_out, strlen(out));
        assert_memory_equal(o.out, out, o.n_out);
        assert_int_equal(o.n_err, strlen(err));
        assert_memory_equal(o.err, err, o.n_err);
    }
}

static void golden(void **state)
{
    (void)state;
    const char *path = RETORT_SHARED "/golden/chat-2025.jsonl";
    FILE *f = fopen(path, "r");
    struct sandbox *s;
    char *line = NULL;
    size_t size = 0;
    int seen = 0;
    if (!f) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    open_brief(&s);
    while (getline(&line, &size, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(j, "case"));
        if (name && !strcmp(name, "sandbox")) {
            golden_case(s, json_object_get(j, "input"), json_object_get(j, "expected"));
            seen++;
        }
        json_decref(j);
    }
    assert_true(seen >= 18);
    free(line);
    fclose(f);
    sandbox_close(s);
}

static void passes(void **state)
{
    (void)state;
    static const char *const programs[] = {
        "",
        "x = 1\ndef f(): return x\nassert f() == 1",
        "assert __name__ != '__main__'",
        "import math, re, typing, collections, itertools, heapq, hashlib, random, decimal",
        "import sys; sys.stdout.close()",
        "import os; os.close(1); os.close(2); print('x')",
        "print('\\ud800')",
        "import threading\nt = threading.Thread(target=lambda: None)\nt.start()\nt.join()",
        "import asyncio\nasync def f(): return 1\nassert asyncio.run(f()) == 1",
        "open('a', 'w').write('x')\nassert open('a').read() == 'x'",
        "import os; os.write = os._exit = print = None", // what the guard itself uses it has kept
        "for i in range(100000): print('x' * 100)",
        "raise_later = lambda: 1 / 0",
    };
    struct sandbox *s;
    assert_good(sandbox_open(&s, NULL)); // honest programs get all the time there is
    for (size_t i = 0; i < countof(programs); i++)
        expect(s, programs[i], SANDBOX_PASSED, NULL);
    sandbox_close(s);
}

static void fails(void **state)
{
    (void)state;
    static const struct {
        const char *program;
        enum sandbox_verdict verdict;
        const char *error;
    } cases[] = {
        {"assert 1 == 2, 'two\\nlines'", SANDBOX_FAILED, "AssertionError: two lines"},
        {"def", SANDBOX_FAILED, "SyntaxError"},
        {"f(", SANDBOX_FAILED, "SyntaxError"},
        {"x = '\\x00'\ny", SANDBOX_FAILED, "NameError"},
        {"def f(): f()\nf()", SANDBOX_FAILED, "RecursionError"},
        {"class E(Exception):\n    def __str__(self): raise KeyError()\nraise E()", SANDBOX_FAILED, ""},
        {"raise Exception(object())", SANDBOX_FAILED, "object at 0x>"}, // the same text each time
        // Leaving early is not passing.
        {"exit(0)", SANDBOX_FAILED, "TypeError"},
        {"raise SystemExit", SANDBOX_FAILED, "SystemExit"},
        {"import sys; sys.exit(0)", SANDBOX_FAILED, "SystemExit: 0"},
        {"import os; os._exit(0)", SANDBOX_ENDED, "status 0"},
        {"import os; os.execv('/bin/true', ['true'])", SANDBOX_ENDED, "status 0"},
        {"import os; os.abort()", SANDBOX_ENDED, "signal 6"},
        {"import ctypes; ctypes.string_at(0)", SANDBOX_ENDED, "signal 11"},
        {"import os; os.write(3, b'0\\npassed\\n\\n'); os._exit(0)", SANDBOX_ENDED, ""},
        {"import os; os.write(3, b'x' * 5000)", SANDBOX_ENDED, ""},
        {"import os; os.closerange(0, 100)", SANDBOX_ENDED, ""},
        {"import threading, os\nthreading.Timer(0.1, lambda: os._exit(0)).start()\nimport time; time.sleep(60)", SANDBOX_ENDED,
         ""},
        // What the guard puts away, and what the kernel refuses.
        {"import os; os.kill(os.getppid(), 9)", SANDBOX_FAILED, "TypeError"},
        {"import posix; posix.kill(posix.getppid(), 9)", SANDBOX_FAILED, "PermissionError"},
        {"import os; os.fork()", SANDBOX_FAILED, "TypeError"},
        {"import posix\nwhile True: posix.fork()", SANDBOX_FAILED, "PermissionError"},
        {"import posix; posix.posix_spawn('/bin/true', ['true'], {})", SANDBOX_FAILED, "PermissionError"},
        {"import ctypes\nassert ctypes.CDLL(None).fork() != -1", SANDBOX_FAILED, "AssertionError"},
        {"import posix; posix.setsid()", SANDBOX_FAILED, "PermissionError"},
        {"import os; os.system('true')", SANDBOX_FAILED, "TypeError"},
        {"import subprocess; subprocess.run(['true'])", SANDBOX_FAILED, "TypeError"},
        {"import socket; socket.socket()", SANDBOX_FAILED, "PermissionError"},
        {"import urllib.request; urllib.request.urlopen('http://127.0.0.1:1')", SANDBOX_FAILED, "rror"},
        {"import os; os.remove('/tmp')", SANDBOX_FAILED, "TypeError"},
        {"import shutil; shutil.rmtree('/tmp/nothing')", SANDBOX_FAILED, "TypeError"},
        {"import os; os.chdir('/')", SANDBOX_FAILED, "TypeError"},
        {"import resource", SANDBOX_FAILED, "ModuleNotFoundError"},
        {"input()", SANDBOX_FAILED, "OSError"},
        {"import os; assert os.read(0, 1)", SANDBOX_FAILED, "AssertionError"}, // the secret went this way
        {"f = open('big', 'wb')\nwhile True: f.write(b'x' * (1 << 20))", SANDBOX_FAILED, "OSError"},
        {"x = bytearray(10 ** 10)", SANDBOX_MEMORY, ""},
        {"x = []\nwhile True: x.append(bytearray(1 << 20))", SANDBOX_MEMORY, ""},
    };
    struct sandbox *s;
    assert_good(sandbox_open(&s, NULL));
    for (size_t i = 0; i < countof(cases); i++)
        expect(s, cases[i].program, cases[i].verdict, cases[i].error);
    sandbox_close(s);
}

static void does_not_end(void **state)
{
    (void)state;
    static const char *const programs[] = {
        "while True: pass",
        "while True: print('x' * 1000)",
        "import time; time.sleep(1000)",
        "9 ** 9 ** 9", // no exception gets into this
        "from time import sleep\nwhile True:\n    try:\n        while True: sleep(0.01)\n    except BaseException: pass",
        "from time import sleep\ntry:\n    while True: sleep(0.01)\nexcept BaseException: pass", // ends, but late
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass",
        "import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f).start()",
        ("import os\nfrom time import sleep\nos.closerange(0, 100)\nwhile True:\n    try:\n        while True: sleep(0.01)\n    "
         "except BaseException: pass"),
    };
    struct sandbox *s;
    open_brief(&s);
    for (size_t i = 0; i < countof(programs); i++)
        expect(s, programs[i], SANDBOX_TIMEOUT, "");
    sandbox_close(s);
}

static void around_it(void **state)
{
    (void)state;
    struct sandbox *s;
    struct sandbox_outcome first, second;
    setenv("A_TOKEN_OF_MINE", "secret", 1);
    assert_good(sandbox_open(&s, NULL));
    expect(s, "import os; assert 'A_TOKEN_OF_MINE' not in os.environ", SANDBOX_PASSED, NULL);
    unsetenv("A_TOKEN_OF_MINE");
    expect(s, "import os\nos.makedirs('a/b/c')\nopen('a/b/c/d', 'w').close()\nos.mkdir('shut', 0)\nos.symlink('/', 'root')",
           SANDBOX_PASSED, NULL);
    expect(s, "import os; assert os.listdir('.') == []", SANDBOX_PASSED, NULL);
    run(s, "print(hash('a'), list({'b', 'c', 'd', 'e', 'f'}))", &first);
    run(s, "print(hash('a'), list({'b', 'c', 'd', 'e', 'f'}))", &second);
    assert_int_equal(first.n_out, second.n_out);
    assert_memory_equal(first.out, second.out, first.n_out);
    run(s, "for i in range(100000): print('x' * 100)", &first);
    assert_int_equal(first.n_out, SANDBOX_OUTPUT);
    // Nothing that this process has open is open there.
    FILE *f = fopen("mine", "w");
    fcntl(fileno(f), F_SETFD, 0);
    expect(s,
           "import os\nfor n in os.listdir('/proc/self/fd'):\n"
           "    try: assert 'mine' not in os.readlink('/proc/self/fd/' + n)\n    except FileNotFoundError: pass",
           SANDBOX_PASSED, NULL);
    fclose(f);
    assert_true(strlen(sandbox_python(s)) >= 5);
    sandbox_close(s);
    sandbox_close(NULL);
}

// However much a program writes, what is on the disk stays within bounds, and a program that wrote more has not passed.
static void writes_much(void **state)
{
    (void)state;
    static const char *const much[] = {
        "n = 0\nwhile True:\n    open(str(n), 'w').close()\n    n += 1",
        "n = 0\nwhile True:\n    open(str(n), 'wb').write(bytes(1 << 20))\n    n += 1",
        "for n in range(201): open(str(n), 'w').close()", // and has ended by itself
        "for n in range(17): open(str(n), 'wb').write(bytes(1 << 20))",
        "import os\nfor n in range(201): os.mkdir(str(n))",
        "import os, posix\nfor n in range(70):\n    os.mkdir('deep')\n    posix.chdir('deep')",
        "import os\nfor n in range(201): open('../' + str(n), 'w').close()", // beside its folder
    };
    struct sandbox *s;
    open_brief(&s);
    for (size_t i = 0; i < countof(much); i++)
        expect(s, much[i], SANDBOX_ENDED, "ended for what it wrote: more than 16 MiB, or than 200 files");
    expect(s, "for n in range(100): open(str(n), 'wb').write(bytes(100 << 10))", SANDBOX_PASSED, NULL);
    expect(s, "import os\nos.makedirs('/'.join('a' * 60))\nassert os.listdir('.') == ['a']", SANDBOX_PASSED, NULL);
    expect(s, "kept = []\nwhile True: kept.append(open('x', 'w'))", SANDBOX_FAILED, "Too many open files");
    sandbox_close(s);
}

static void writes_elsewhere(void **state)
{
    const char *folder = *state;
    struct sandbox *s;
    char program[256];
    open_brief(&s);
    expect(s, "open('/dev/null', 'w').write('x')\nimport sys\nopen('/dev/stderr', 'w').write('x')", SANDBOX_PASSED, NULL);
#ifdef SYS_landlock_create_ruleset
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0) { // 1: asks for the version
        FILE *f = fopen("there", "w");
        assert_non_null(f);
        fclose(f);
        static const char *const calls[] = {"open('%s/new', 'w')", "open('%s/there', 'a')", "import os; os.mkdir('%s/new')",
                                            "import posix; posix.unlink('%s/there')",
                                            "import posix; posix.rename('%s/there', 'mine')"};
        for (size_t i = 0; i < countof(calls); i++) {
            snprintf(program, sizeof program, calls[i], folder);
            expect(s, program, SANDBOX_FAILED, i < 4 ? "PermissionError" : "rror");
        }
        snprintf(program, sizeof program, "assert open('%s/there').read() == ''", folder);
        expect(s, program, SANDBOX_PASSED, NULL);
        assert_int_equal(access("new", F_OK), -1);
        assert_int_equal(unlink("there"), 0);
    }
#endif
    (void)folder, (void)program;
    sandbox_close(s);
}

static void stops(void **state)
{
    (void)state;
    struct sandbox *s;
    struct sandbox_outcome o;
    open_brief(&s);
    stop_request();
    assert_error(sandbox_run(s, "while True: pass", 16, &o), ERROR_STOPPED, "");
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    stop_clear();
    expect(s, "x = 1", SANDBOX_PASSED, NULL);
    sandbox_close(s);
}

static void write_script(const char *text)
{
    FILE *f = fopen("python3", "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod("python3", 0755), 0);
}

static void no_python(void **state)
{
    const char *folder = *state, *path = strdup(getenv("PATH"));
    struct sandbox *s;
    char text[512];
    setenv("PATH", folder, 1);
    assert_error(sandbox_find(), ERROR_MACHINE, "there is no python3 on PATH");
    assert_error(sandbox_open(&s, NULL), ERROR_MACHINE, "there is no python3 on PATH");
    assert_null(s);
    write_script("#!/bin/sh\necho no such thing >&2\nexit 3\n");
    assert_good(sandbox_find());
    assert_error(sandbox_open(&s, NULL), ERROR_MACHINE, "runs no programs here: no such thing");
    write_script("#!/bin/sh\nprintf '/bin/false\\n2.7.18\\n'\nexit 1\n");
    assert_error(sandbox_open(&s, NULL), ERROR_MACHINE, "is Python 2.7.18");
    write_script("#!/bin/sh\nprintf '/bin/false\\n3.9.9\\n'\n");
    assert_error(sandbox_open(&s, NULL), ERROR_MACHINE, "'/bin/false' runs no programs here");
    // A script on PATH that starts the real one, as version managers have it.
    snprintf(text, sizeof text, "#!/bin/sh\nPATH='%s'\nexport PATH\nx=$(echo python3)\nexec $x \"$@\"\n", path);
    write_script(text);
    assert_good(sandbox_open(&s, NULL));
    expect(s, "x = 1", SANDBOX_PASSED, NULL);
    sandbox_close(s);
    setenv("PATH", path, 1);
    free((char *)path);
    unlink("python3");
}

static int entries(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
}

// Who runs programs may be killed: they go with it, and the folder goes when the next one looks.
static void killed(void **state)
{
    const char *folder = *state;
    struct sandbox_limits long_ = brief;
    static const char program[] =
        "import os\nopen('pid.new', 'w').write(str(os.getpid()))\nos.link('pid.new', 'pid')\nwhile True: pass";
    char tmp[128], text[32] = "";
    glob_t found = {0};
    long_.seconds = 100000;
    snprintf(tmp, sizeof tmp, "%s/tmp", folder);
    assert_int_equal(mkdir(tmp, 0700), 0);
    setenv("TMPDIR", tmp, 1);
    pid_t child = fork();
    if (child == 0) {
        struct sandbox *s;
        struct sandbox_outcome o;
        if (sandbox_open(&s, &long_) || sandbox_run(s, program, strlen(program), &o))
            _exit(1);
        _exit(0);
    }
    FILE *f = NULL;
    while (glob("tmp/retort-python-*/work/pid", 0, NULL, &found) && waitpid(child, NULL, WNOHANG) == 0)
        wait_a_little();
    assert_int_equal(found.gl_pathc, 1);
    assert_non_null(f = fopen(found.gl_pathv[0], "r"));
    globfree(&found);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    pid_t python = atoi(text);
    assert_true(python > 0 && kill(python, 0) == 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (kill(python, 0) == 0)
        wait_a_little();
    assert_int_equal(entries(tmp), 1);
    struct sandbox *s, *other;
    open_brief(&s);
    assert_int_equal(entries(tmp), 1);
    open_brief(&other); // and leaves alone what is in use
    assert_int_equal(entries(tmp), 2);
    expect(s, "x = 1", SANDBOX_PASSED, NULL);
    sandbox_close(s);
    sandbox_close(other);
    assert_int_equal(entries(tmp), 0);
    unsetenv("TMPDIR");
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (sandbox_find()) {
        print_message("skipped: there is no python3\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden),      cmocka_unit_test(passes),
                                       cmocka_unit_test(fails),       cmocka_unit_test(does_not_end),
                                       cmocka_unit_test(around_it),   cmocka_unit_test(stops),
                                       cmocka_unit_test(no_python),   cmocka_unit_test(killed),
                                       cmocka_unit_test(writes_much), cmocka_unit_test(writes_elsewhere)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
