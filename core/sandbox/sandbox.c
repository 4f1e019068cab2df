// sandbox.c - fork, exec, four pipes and a clock.
//
// 1. Nothing that a program prints decides: the verdict comes on a pipe of its own, behind a secret that was handed in with the program.
// 2. The clock of a program begins when the guard says that it starts it: a busy machine may take its time to start Python.
// 3. Whatever comes of it, the process is gone and waited for when a run returns.
#include "core/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/sandbox/walls.h"
#include "core/sandbox/workplace.h"

enum {
    LOOK_MS = 50,
    GONE_MS = 1,
    START_SECONDS = 60,
    GRACE_SECONDS = 1,
    PIECE = 16 << 10,
    SECRET = 33,
    HEAD = 128,
    VERDICT = 1024
};
enum { PYTHON_PATH = 4096, ENVIRONMENT = 9, FDS_MOST = 4096 };

static const char guard[] = {
#include "guard.inc"
    , 0};

// What asks a python3 which program it is; only what the guard needs counts.
static const char question[] = "import resource, signal, sys\n"
                               "print(sys.executable)\n"
                               "print('%d.%d.%d' % sys.version_info[:3])\n"
                               "sys.exit(sys.version_info < (3, 6))\n";

static const char install[] = "install Python 3.6 or later (Debian: python3), or leave out what is graded by tests in Python";

const struct sandbox_limits sandbox_usual = {
    .seconds = 5, .memory_bytes = 256 << 20, .file_bytes = 16 << 20, .folder_bytes = 64 << 20, .files = 1000};

struct sandbox {
    struct sandbox_limits limits;
    struct workplace place;
    struct walls walls;
    char path[PYTHON_PATH], version[SANDBOX_VERSION];
    char words[ENVIRONMENT][PYTHON_PATH]; // of the environment
    char *environment[ENVIRONMENT + 1];
};

struct process {
    pid_t pid;
    int in, out, err, told; // our ends; -1: closed
    const char *input;      // two texts after one another
    size_t n_input, n_written, n_head;
    const char *head;
    struct sandbox_outcome *outcome;
    char verdict[VERDICT + 1]; // what it told
    size_t n_verdict;
    int status;
    bool over; // waited for
    bool full; // there was more in its folder than may be
};

const char *sandbox_verdict_name(enum sandbox_verdict verdict)
{
    static const char *const names[SANDBOX_VERDICT_COUNT] = {[SANDBOX_PASSED] = "passed",
                                                             [SANDBOX_FAILED] = "failed",
                                                             [SANDBOX_TIMEOUT] = "timeout",
                                                             [SANDBOX_MEMORY] = "memory",
                                                             [SANDBOX_ENDED] = "ended"};
    return names[verdict];
}

const char *sandbox_python(const struct sandbox *s)
{
    return s->version;
}

// python3 as a shell would find it.
static bool find_python(char path[PYTHON_PATH])
{
    const char *at = getenv("PATH");
    for (at = at ? at : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t n = strcspn(at, ":");
        int length = snprintf(path, PYTHON_PATH, "%.*s/python3", n ? (int)n : 1, n ? at : ".");
        if (length > 0 && length < PYTHON_PATH && access(path, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

struct error *sandbox_find(void)
{
    char path[PYTHON_PATH];
    return find_python(path) ? NULL : error_new(ERROR_MACHINE, NOWHERE, install, "there is no python3 on PATH");
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void shut_all(int fds[8])
{
    for (int i = 0; i < 8; i++)
        shut(&fds[i]);
}

// Between fork and exec: only calls that are safe there. s NULL: a program of ours, without walls.
static _Noreturn void become(const struct sandbox *s, const int fds[4], pid_t parent, const char *path, char *const *argv)
{
    int high[4];
    if (s)
        walls_enter(&s->walls, parent);
    else
        setsid();
    if (s && chdir(s->place.path))
        _exit(127);
    for (int i = 0; i < 4; i++) // away from where they are going
        high[i] = fcntl(fds[i], F_DUPFD, 8);
    for (int i = 0; i < 4; i++)
        if (high[i] < 0 || dup2(high[i], i) < 0)
            _exit(127);
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 4u, ~0u, 0u))
#endif
        for (int fd = 4; fd < FDS_MOST; fd++)
            close(fd);
    if (s)
        execve(path, argv, s->environment);
    else
        execv(path, argv);
    _exit(127);
}

static struct error *start(struct process *p, const struct sandbox *s, const char *path, char *const *argv)
{
    int fds[8]; // in, out, err, told: each to read, to write
    memset(fds, -1, sizeof fds);
    for (int i = 0; i < 8; i += 2)
        if (pipe2(fds + i, O_CLOEXEC)) {
            struct error *e = error_system(ERROR_MACHINE, errno, "cannot make a pipe");
            shut_all(fds);
            return e;
        }
    pid_t parent = getpid();
    p->pid = fork();
    if (p->pid == 0)
        become(s, (const int[]){fds[0], fds[3], fds[5], fds[7]}, parent, path, argv);
    struct error *e = p->pid < 0 ? error_system(ERROR_MACHINE, errno, "cannot start a process") : NULL;
    p->in = fds[1], p->out = fds[2], p->err = fds[4], p->told = fds[6];
    fds[1] = fds[2] = fds[4] = fds[6] = -1;
    shut_all(fds);
    int *const ours[] = {&p->in, &p->out, &p->err, &p->told};
    for (size_t i = 0; i < countof(ours); i++)
        if (e)
            shut(ours[i]);
        else
            fcntl(*ours[i], F_SETFL, O_NONBLOCK);
    return e;
}

static void feed(struct process *p)
{
    bool head = p->n_written < p->n_head;
    const char *from = head ? p->head + p->n_written : p->input + (p->n_written - p->n_head);
    size_t left = head ? p->n_head - p->n_written : p->n_head + p->n_input - p->n_written;
    ssize_t n = left ? write(p->in, from, left) : 0;
    p->n_written += n > 0 ? (size_t)n : 0;
    if (p->n_written == p->n_head + p->n_input || (n < 0 && errno != EAGAIN && errno != EINTR))
        shut(&p->in);
}

// All that is there; what is beyond the room is thrown away.
static void take(int *fd, char *to, size_t room, size_t *n)
{
    char piece[PIECE];
    ssize_t got = *fd < 0 ? -1 : read(*fd, piece, sizeof piece);
    if (*fd >= 0 && got <= 0 && (got == 0 || (errno != EAGAIN && errno != EINTR)))
        shut(fd);
    if (got <= 0)
        return;
    size_t keep = (size_t)got < room - *n ? (size_t)got : room - *n;
    memcpy(to + *n, piece, keep);
    *n += keep;
}

static void take_all(struct process *p)
{
    struct sandbox_outcome *o = p->outcome;
    take(&p->told, p->verdict, VERDICT, &p->n_verdict);
    take(&p->out, o->out, sizeof o->out, &o->n_out);
    take(&p->err, o->err, sizeof o->err, &o->n_err);
}

static bool has_ended(struct process *p)
{
    siginfo_t info = {0};
    if (!p->over && !waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT | WNOHANG) && info.si_pid == p->pid)
        kill(-p->pid, SIGKILL); // whom it started, while its number is still its own
    pid_t gone = p->over ? p->pid : waitpid(p->pid, &p->status, WNOHANG);
    if (gone < 0 && errno != EINTR)
        p->status = 127 << 8;
    p->over = gone == p->pid || (gone < 0 && errno != EINTR);
    return p->over;
}

// The process and, should there be any, those that it started.
static void end(struct process *p)
{
    if (!p->over) {
        kill(-p->pid, SIGKILL);
        kill(p->pid, SIGKILL);
    }
    while (!p->over && waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
        ;
    p->over = true;
    take_all(p); // it was waiting to be read
    shut(&p->in), shut(&p->out), shut(&p->err), shut(&p->told);
}

static bool is_ready(struct process *p)
{
    static const char ready[] = "ready\n";
    p->verdict[p->n_verdict] = '\0';
    return strncmp(p->verdict, ready, strlen(ready)) == 0;
}

// Of a program of ours nothing is looked at.
static void look_at_folder(struct process *p, const struct sandbox *s)
{
    p->full = p->full || (s && !workplace_within(&s->place, s->limits.folder_bytes, s->limits.files));
}

// Until it has ended, its folder is full, or its time is over: `late`. seconds count from where the program begins.
static struct error *watch(struct process *p, const struct sandbox *s, double seconds, bool *late)
{
    double begun = clock_seconds(), limit = START_SECONDS, looked = begun;
    bool ready = false;
    while (!has_ended(p) && !p->full) {
        struct pollfd fds[] = {{.fd = p->in, .events = POLLOUT},
                               {.fd = p->out, .events = POLLIN},
                               {.fd = p->err, .events = POLLIN},
                               {.fd = p->told, .events = POLLIN}};
        // With nothing left to hear it is about to be gone.
        poll(fds, countof(fds), p->out < 0 && p->err < 0 && p->told < 0 ? GONE_MS : LOOK_MS);
        if (p->in >= 0 && fds[0].revents)
            feed(p);
        take_all(p);
        double now = clock_seconds();
        if (!ready && is_ready(p)) {
            ready = true;
            begun = now;
            limit = seconds + GRACE_SECONDS;
        }
        if ((now - looked) * 1000 >= LOOK_MS) {
            looked = now;
            look_at_folder(p, s);
        }
        if (stop_requested())
            return error_stopped();
        if ((*late = now - begun > limit))
            break;
    }
    return NULL;
}

static struct error *run(struct process *p, const struct sandbox *s, const char *path, char *const *argv, double seconds,
                         bool *late)
{
    *late = false;
    struct error *e = start(p, s, path, argv);
    if (e)
        return e;
    e = watch(p, s, seconds, late);
    end(p);
    look_at_folder(p, s);
    return e;
}

// Text on one line. Of addresses, which differ each time, "0x" stays.
static void say(struct sandbox_outcome *o, const char *text, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    enum { ADDRESS_DIGITS = 6 };
    size_t most = sizeof o->error - 1, k = 0;
    for (size_t i = 0; i < n && k < most; i++) {
        size_t end = i;
        o->error[k++] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
        if (text[i] != 'x' || i == 0 || text[i - 1] != '0')
            continue;
        while (end + 1 < n && text[end + 1] && strchr(digits, text[end + 1]))
            end++;
        i = end - i >= ADDRESS_DIGITS ? end : i;
    }
    if (k == most)
        while (k && ((unsigned char)o->error[k - 1] & 0x80)) // not in the middle of a character
            k--;
    o->error[k] = '\0';
}

// "SECRET\npassed\n\n" behind "ready\n".
static bool read_verdict(struct process *p, const char *secret)
{
    const char *at = strchr(p->verdict, '\n'), *end_of_word, *end_of_line;
    at = at ? at + 1 : "";
    if (strncmp(at, secret, SECRET - 1) || at[SECRET - 1] != '\n')
        return false;
    at += SECRET;
    if (!(end_of_word = strchr(at, '\n')) || !(end_of_line = strchr(end_of_word + 1, '\n')))
        return false;
    for (int v = 0; v < SANDBOX_VERDICT_COUNT; v++) {
        const char *name = sandbox_verdict_name((enum sandbox_verdict)v);
        if (strlen(name) != (size_t)(end_of_word - at) || strncmp(name, at, strlen(name)))
            continue;
        p->outcome->verdict = (enum sandbox_verdict)v;
        say(p->outcome, end_of_word + 1, (size_t)(end_of_line - end_of_word - 1));
        return true;
    }
    return false;
}

static void judge(struct process *p, const struct sandbox *s, const char *secret, bool late)
{
    char text[128];
    if (p->full) {
        p->outcome->verdict = SANDBOX_ENDED;
        snprintf(text, sizeof text, "ended for what it wrote: more than %lld MiB, or than %lld files",
                 (long long)(s->limits.folder_bytes >> 20), (long long)s->limits.files);
        say(p->outcome, text, strlen(text));
        return;
    }
    if (read_verdict(p, secret))
        return;
    bool crashed = WIFSIGNALED(p->status);
    p->outcome->verdict = late || (crashed && WTERMSIG(p->status) == SIGXCPU) ? SANDBOX_TIMEOUT : SANDBOX_ENDED;
    if (p->outcome->verdict == SANDBOX_TIMEOUT)
        return;
    if (crashed)
        snprintf(text, sizeof text, "ended by signal %d", WTERMSIG(p->status));
    else
        snprintf(text, sizeof text, "left with status %d", WEXITSTATUS(p->status));
    say(p->outcome, text, strlen(text));
}

static struct error *make_secret(char secret[SECRET])
{
    unsigned char drawn[(SECRET - 1) / 2];
    if (getrandom(drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn)
        return error_system(ERROR_MACHINE, errno, "cannot draw random bytes");
    for (size_t i = 0; i < sizeof drawn; i++)
        snprintf(secret + 2 * i, 3, "%02x", drawn[i]);
    return NULL;
}

// The last line of what Python complained about.
static struct error *unfit(const struct sandbox *s, const struct sandbox_outcome *o)
{
    struct sandbox_outcome line = {.verdict = SANDBOX_ENDED};
    size_t end_at = o->n_err, at;
    while (end_at && (unsigned char)o->err[end_at - 1] <= ' ')
        end_at--;
    for (at = end_at; at && o->err[at - 1] != '\n'; at--)
        ;
    say(&line, o->err + at, end_at - at);
    return error_new(ERROR_MACHINE, NOWHERE, install, "'%s' runs no programs here%s%s", s->path, *line.error ? ": " : "",
                     line.error);
}

struct error *sandbox_run(struct sandbox *s, const char *program, size_t n, struct sandbox_outcome *outcome)
{
    char secret[SECRET], head[HEAD];
    bool late;
    *outcome = (struct sandbox_outcome){.verdict = SANDBOX_ENDED};
    struct process p = {
        .in = -1, .out = -1, .err = -1, .told = -1, .head = head, .input = program, .n_input = n, .outcome = outcome};
    char *const argv[] = {s->path, (char *)"-s", (char *)"-B", (char *)"-c", (char *)guard, NULL};
    struct error *e = make_secret(secret);
    if (!e)
        e = workplace_clear(&s->place);
    if (e)
        return e;
    p.n_head =
        (size_t)snprintf(head, sizeof head, "%s %.3f %lld\n", secret, s->limits.seconds, (long long)s->limits.memory_bytes);
    e = run(&p, s, s->path, argv, s->limits.seconds, &late);
    if (!e && !is_ready(&p))
        return unfit(s, outcome);
    if (!e)
        judge(&p, s, secret, late);
    return e;
}

// Which program python3 is: that of a virtual environment, or the one that a script on PATH starts.
static struct error *ask_python(struct sandbox *s)
{
    struct sandbox_outcome answer = {.verdict = SANDBOX_ENDED};
    struct process p = {.in = -1, .out = -1, .err = -1, .told = -1, .head = "", .input = "", .outcome = &answer};
    char *const argv[] = {s->path, (char *)"-s", (char *)"-B", (char *)"-c", (char *)question, NULL};
    bool late;
    struct error *e = run(&p, NULL, s->path, argv, 0, &late);
    if (e)
        return e;
    const char *end_of_path = memchr(answer.out, '\n', answer.n_out);
    const char *rest = end_of_path ? end_of_path + 1 : answer.out;
    const char *end_of_version = memchr(rest, '\n', answer.n_out - (size_t)(rest - answer.out));
    size_t n_path = end_of_path ? (size_t)(end_of_path - answer.out) : 0;
    size_t n_version = end_of_version ? (size_t)(end_of_version - rest) : 0;
    bool known = n_path && n_path < sizeof s->path && n_version && n_version < sizeof s->version;
    if (known)
        memcpy(s->version, rest, n_version);
    if (known && p.status)
        return error_new(ERROR_MACHINE, NOWHERE, install, "'%s' is Python %s", s->path, s->version);
    if (!known || p.status)
        return unfit(s, &answer);
    memcpy(s->path, answer.out, n_path);
    s->path[n_path] = '\0';
    return NULL;
}

static void set_environment(struct sandbox *s)
{
    const char *libraries = getenv("LD_LIBRARY_PATH");
    const char *const words[][2] = {{"PATH", "/usr/bin:/bin"},     {"HOME", s->place.path},
                                    {"TMPDIR", s->place.path},     {"LC_ALL", "C.UTF-8"},
                                    {"OMP_NUM_THREADS", "1"},      {"PYTHONHASHSEED", "0"},
                                    {"PYTHONUTF8", "1"},           {"PYTHONIOENCODING", "utf-8:backslashreplace"},
                                    {"LD_LIBRARY_PATH", libraries}};
    int n = 0;
    for (size_t i = 0; i < countof(words); i++) {
        int length = words[i][1] ? snprintf(s->words[n], PYTHON_PATH, "%s=%s", words[i][0], words[i][1]) : -1;
        if (length > 0 && length < PYTHON_PATH) {
            s->environment[n] = s->words[n];
            n++;
        }
    }
    s->environment[n] = NULL;
}

// Whether a program passes that must.
static struct error *try_python(struct sandbox *s)
{
    static const char program[] = "assert 1 + 1 == 2";
    struct sandbox_outcome outcome;
    struct error *e = sandbox_run(s, program, strlen(program), &outcome);
    return e || outcome.verdict == SANDBOX_PASSED ? e : unfit(s, &outcome);
}

struct error *sandbox_open(struct sandbox **sandbox, const struct sandbox_limits *limits)
{
    struct sandbox *s = block_alloc(sizeof *s);
    *sandbox = NULL;
    if (!s)
        return error_memory();
    *s = (struct sandbox){.limits = limits ? *limits : sandbox_usual, .place = {.fd = -1}};
    struct error *e = find_python(s->path) ? ask_python(s) : sandbox_find();
    if (!e)
        e = workplace_open(&s->place);
    if (!e) {
        walls_make(&s->walls, (int64_t)(2 * s->limits.seconds) + 2, s->limits.file_bytes, s->place.fd);
        set_environment(s);
        e = try_python(s);
    }
    if (e)
        sandbox_close(s);
    else
        *sandbox = s;
    return e;
}

void sandbox_close(struct sandbox *s)
{
    if (!s)
        return;
    walls_release(&s->walls);
    workplace_close(&s->place);
    block_free(s);
}
