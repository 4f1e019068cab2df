// child.c - one poll loop over three pipes.
#include "core/remote/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/remote/remote_inside.h"
#include "core/store/atomic.h"

enum { LOOK_MS = 200, FEED = 64 << 10, GRACE_LOOKS = 100, GRACE_NS = 20 * 1000 * 1000 };

struct running {
    struct child *child;
    pid_t pid;
    int in, out, err; // our ends; -1: closed
    int64_t fed, at;  // bytes handed over; at: of the file, those in piece included
    char piece[FEED], said[CHILD_COMPLAINT];
    size_t n_piece, n_done, n_said;
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

// Between fork and exec: only calls that are safe there.
static _Noreturn void become(char *const *argv, int in, int out, int err)
{
    setsid();
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0)
        execvp(argv[0], argv);
    _exit(127);
}

static struct error *start(struct running *r)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    struct error *e = NULL;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
        e = error_system(ERROR_MACHINE, errno, "cannot make a pipe");
    r->pid = e ? -1 : fork();
    if (r->pid == 0)
        become(r->child->argv, in[0], out[1], err[1]);
    if (!e && r->pid < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot start a process");
    shut(&in[0]), shut(&out[1]), shut(&err[1]);
    r->in = in[1], r->out = out[0], r->err = err[0];
    if (r->in >= 0)
        fcntl(r->in, F_SETFL, O_NONBLOCK);
    return e;
}

// Some of the file into the pipe, which is ready for it.
static struct error *feed(struct running *r)
{
    struct child *c = r->child;
    if (r->n_done == r->n_piece) {
        int64_t left = c->n_from - r->at;
        ssize_t got = c->from < 0 || left <= 0 ? 0 : pread(c->from, r->piece, left < FEED ? (size_t)left : FEED, r->at);
        if (got < 0)
            return error_system(ERROR_MACHINE, errno, "cannot read a file");
        if (got == 0) {
            shut(&r->in);
            return NULL;
        }
        r->at += got;
        r->n_piece = (size_t)got;
        r->n_done = 0;
    }
    ssize_t n = write(r->in, r->piece + r->n_done, r->n_piece - r->n_done);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        shut(&r->in); // it wants no more: its status says why
    r->n_done += n > 0 ? (size_t)n : 0;
    r->fed += n > 0 ? n : 0;
    return NULL;
}

static struct error *take_output(struct running *r)
{
    struct child *c = r->child;
    char piece[FEED];
    ssize_t n = read(r->out, piece, sizeof piece);
    if (n < 0 && errno == EINTR)
        return NULL;
    if (n <= 0) {
        shut(&r->out);
        return NULL;
    }
    if (c->to >= 0) {
        if (n > c->most - c->n_to) {
            c->too_much = true;
            kill(r->pid, SIGTERM);
            shut(&r->out);
            return NULL;
        }
        struct error *e = file_write(c->to, "what is brought back", piece, n, c->n_to);
        c->n_to += n;
        return e;
    }
    size_t keep = CHILD_OUTPUT - c->n_output;
    keep = (size_t)n < keep ? (size_t)n : keep;
    memcpy(c->output + c->n_output, piece, keep);
    c->n_output += keep;
    c->output[c->n_output] = '\0';
    return NULL;
}

// The last of what it says is what counts.
static void take_complaint(struct running *r)
{
    char piece[4096];
    ssize_t n = read(r->err, piece, sizeof piece);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        shut(&r->err);
        return;
    }
    size_t room = sizeof r->said - 1, m = (size_t)n < room ? (size_t)n : room, keep = room - m < r->n_said ? room - m : r->n_said;
    memmove(r->said, r->said + r->n_said - keep, keep);
    memcpy(r->said + keep, piece + (size_t)n - m, m);
    r->n_said = keep + m;
}

static struct error *pump(struct running *r)
{
    struct error *e = NULL;
    while (!e && (r->out >= 0 || r->err >= 0)) {
        struct pollfd fds[] = {
            {.fd = r->in, .events = POLLOUT}, {.fd = r->out, .events = POLLIN}, {.fd = r->err, .events = POLLIN}};
        if (poll(fds, countof(fds), LOOK_MS) < 0 && errno != EINTR)
            return error_system(ERROR_MACHINE, errno, "cannot wait for a process");
        if (fds[0].revents)
            e = feed(r);
        if (!e && fds[1].revents)
            e = take_output(r);
        if (!e && fds[2].revents)
            take_complaint(r);
        if (!e && !remote_goes_on(r->child->watch, r->child->to >= 0 ? r->child->n_to : r->fed))
            e = error_stopped();
    }
    return e;
}

// Its input has ended: it has a moment to clear up what it was doing at the far end.
static void end_it(pid_t pid)
{
    for (int i = 0; i < GRACE_LOOKS; i++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
            break;
        nanosleep(&(struct timespec){.tv_nsec = GRACE_NS}, NULL);
    }
    kill(-pid, SIGKILL);
}

struct error *child_run(struct child *c)
{
    c->output = block_alloc(CHILD_OUTPUT + 1);
    c->n_output = 0;
    c->n_to = 0;
    c->status = -1;
    c->too_much = false;
    c->complaint[0] = '\0';
    struct running *r = block_alloc(sizeof *r);
    if (!c->output || !r) {
        block_free(r);
        return error_memory();
    }
    c->output[0] = '\0';
    *r = (struct running){.child = c, .pid = -1, .in = -1, .out = -1, .err = -1};
    struct error *e = start(r);
    if (!e)
        e = pump(r);
    shut(&r->in), shut(&r->out), shut(&r->err);
    if (r->pid > 0) {
        int status = 0;
        if (e)
            end_it(r->pid);
        while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
            ;
        c->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    remote_printable(r->said, r->n_said, c->complaint, sizeof c->complaint);
    block_free(r);
    return e;
}
