// launch.c - fork, exec, a pipe, and a loop that waits for the child, the user and the clock.
//
// The write end of the lifeline is watched with poll: when the child is gone its read end is closed, and poll says so at once.
#include "runner/graph/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/store/atomic.h"
#include "runner/graph/keys.h"
#include "runner/stages/error_json.h"

enum { WATCH_MS = 200, LOG_TAIL = 2000, ORPHAN_S = 600 };

struct child {
    pid_t pid;
    int lifeline; // write end
    int n_told;   // stop requests passed on
};

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

// In the child, between fork and exec: only calls that are safe there. 127 tells the parent that exec failed.
static _Noreturn void become_stage(int lifeline, int log, char *const *argv)
{
    setpgid(0, 0);
    if (dup2(lifeline, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0)
        execv("/proc/self/exe", argv);
    _exit(127);
}

static struct error *start(struct child *child, const struct job *job, struct arena *arena)
{
    char *job_path = launch_path(arena, job, ".job"), *log_path = launch_path(arena, job, ".log");
    char *results = arena_strdup(arena, job->results);
    if (!job_path || !log_path || !results)
        return error_memory();
    struct error *e = job_write(job, job_path);
    if (e)
        return e;
    // A thread that waits for another gives its core away soon. libgomp's own default waits milliseconds: where anything else runs
    // beside the stage that cost 2 to 7 times the speed, and a thousand turns cost nothing measurable on an idle machine
    // (two cores of an EPYC Zen 4, November 2026).
    setenv("GOMP_SPINCOUNT", "1000", 0);
    char *argv[] = {(char *)"retort", (char *)"_stage", (char *)"--results", results, (char *)"--job", job_path, NULL};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_system(ERROR_MACHINE, errno, "cannot make a pipe");
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot write '%s'", log_path);
    fflush(NULL);
    child->pid = e ? -1 : fork();
    if (child->pid == 0)
        become_stage(ends[0], log, argv);
    if (!e && child->pid < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot start a process");
    close(ends[0]);
    if (log >= 0)
        close(log);
    child->lifeline = ends[1];
    if (e)
        close(ends[1]);
    else
        setpgid(child->pid, child->pid); // both sides set it: whoever comes first
    return e;
}

// Passes new stop requests on: a word first, then signals.
static void pass_stop(struct child *child)
{
    char drain[64];
    while (stop_fd() >= 0 && read(stop_fd(), drain, sizeof drain) > 0)
        ;
    for (; child->n_told < stop_count(); child->n_told++) {
        if (child->n_told == 0) {
            ssize_t n = write(child->lifeline, "stop\n", 5);
            (void)n; // a child that is gone is noticed by waitpid
        } else {
            kill(child->pid, child->n_told == 1 ? SIGTERM : SIGKILL);
        }
    }
}

static void show(const struct watch *watch, const char *live, double *last_t)
{
    struct arena scratch = {0};
    struct live_line line;
    struct error *e = live_read(live, &line, &scratch);
    if (!e && line.e && line.t > *last_t) {
        *last_t = line.t;
        watch->progress(watch->self, &line);
    }
    error_free(e);
    arena_release(&scratch);
}

static int wait_for(struct child *child, const struct watch *watch, const char *live)
{
    int status;
    double last_t = clock_unix() - 1; // a live file of an earlier attempt is older
    for (;;) {
        pid_t gone = waitpid(child->pid, &status, WNOHANG);
        if (gone == child->pid)
            return status;
        if (gone < 0 && errno != EINTR)
            return 1 << 8;
        struct pollfd fds[] = {{.fd = child->lifeline}, {.fd = stop_fd(), .events = POLLIN}};
        poll(fds, countof(fds), WATCH_MS);
        if (fds[0].revents)
            sleep_ms(1); // its end of the lifeline is closed: it is on its way out
        if (stop_requested())
            pass_stop(child);
        if (watch && watch->progress)
            show(watch, live, &last_t);
    }
}

// The last lines of a file, at most LOG_TAIL bytes.
static const char *tail_of(const char *path, struct arena *arena)
{
    char *text = arena_alloc(arena, LOG_TAIL + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    ssize_t n = 0;
    if (text && fd >= 0 && !fstat(fd, &s))
        n = pread(fd, text, LOG_TAIL, s.st_size > LOG_TAIL ? s.st_size - LOG_TAIL : 0);
    if (fd >= 0)
        close(fd);
    if (!text || n <= 0)
        return "";
    char *line = n == LOG_TAIL ? strchr(text, '\n') : NULL;
    return line ? line + 1 : text;
}

static struct error *crash(const struct job *job, int status, const struct outcome *outcome)
{
    const char *fix = "look at its log; run it again to go on from the last checkpoint";
    if (WIFSIGNALED(status))
        return error_new(ERROR_FAILED, NOWHERE, fix, "stage '%s' crashed: signal %d (%s); its log is '%s'", job->name,
                         WTERMSIG(status), strsignal(WTERMSIG(status)), outcome->log);
    return error_new(ERROR_FAILED, NOWHERE, fix, "stage '%s' crashed: exit status %d; its log is '%s'", job->name,
                     WEXITSTATUS(status), outcome->log);
}

// The error that the stage left in its last line, or else one made from its exit status.
static struct error *failure(const struct job *job, const struct outcome *outcome)
{
    struct lock_holder holder = {0};
    struct error *e = outcome->last.e && !strcmp(outcome->last.e, "failed") ? errors_from_json(outcome->last.text) : NULL;
    // Two runners that began the same stage at once: the live file is that of the other one.
    if (!e && outcome->status == 3 && lock_held(job->lock, &holder))
        e = lock_error("the result that this stage makes", &holder);
    if (!e)
        e = error_new(outcome->status == 3   ? ERROR_MACHINE
                      : outcome->status == 4 ? ERROR_NOT_BUILT
                                             : ERROR_FAILED,
                      NOWHERE, NULL, "stage '%s' ended with status %d; its log is '%s'", job->name, outcome->status,
                      outcome->log);
    return error_while(e, NOWHERE, "running stage '%s'", job->name);
}

static void clean_up(const struct job *job, struct arena *arena)
{
    static const char *const endings[] = {".job", ".part.h5", ".part.prev.h5", ".part.tmp.h5", ".live", ".log"};
    for (size_t i = 0; i < countof(endings); i++) {
        const char *path = launch_path(arena, job, endings[i]);
        if (path)
            unlink(path);
    }
}

char *launch_path(struct arena *arena, const struct job *job, const char *ending)
{
    return key_path(arena, job->results, job->kind, job->key, ending);
}

char *launch_command(struct arena *arena, const struct job *job)
{
    return arena_printf(arena, "stage %s for runner %d", job->name, (int)job->runner);
}

struct error *launch_job(struct outcome *outcome, const struct job *job, const struct watch *watch, struct arena *arena)
{
    *outcome = (struct outcome){.status = -1, .last = live_line(NULL)};
    struct child child = {.pid = -1};
    const char *live = launch_path(arena, job, ".live");
    outcome->log = launch_path(arena, job, ".log");
    const char *store = arena_printf(arena, "%s/store", job->results);
    if (!live || !outcome->log || !store)
        return error_memory();
    struct error *e = folder_make(store);
    double begin = clock_seconds();
    unlink(outcome->log); // of an earlier attempt
    if (e || (e = start(&child, job, arena)))
        return error_while(e, NOWHERE, "starting stage '%s'", job->name);
    int status = wait_for(&child, watch, live);
    close(child.lifeline);
    outcome->seconds = clock_seconds() - begin;
    error_free(live_read(live, &outcome->last, arena));
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    bool known = code == 0 || code == 1 || code == 3 || code == 4 || code == 75;
    outcome->status = known ? code : -1;
    if (!known) {
        outcome->log_tail = tail_of(outcome->log, arena);
        outcome->error = crash(job, status, outcome);
    } else if (code == 0) {
        clean_up(job, arena);
    } else if (code != 75) {
        outcome->error = failure(job, outcome);
    }
    return NULL;
}

// A process that has died but was not waited for yet is dead all the same.
static bool is_alive(int pid)
{
    char path[64], line[512], state = 0;
    if (kill(pid, 0) && errno == ESRCH)
        return false;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return true;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    const char *name_end = strrchr(line, ')'); // "PID (NAME) STATE ..."
    if (name_end)
        sscanf(name_end + 1, " %c", &state);
    return state != 'Z' && state != 'X';
}

// Whether the runner named in the lock's text lives on this host.
static bool runner_lives(const struct lock_holder *holder)
{
    char host[128] = "";
    int pid;
    const char *named = strstr(holder->command, "for runner ");
    gethostname(host, sizeof host - 1);
    if (strcmp(host, holder->host))
        return true; // nothing can be known of another host
    return !named || sscanf(named, "for runner %d", &pid) != 1 || is_alive(pid);
}

struct error *launch_wait(const char *lock, void (*waiting)(void *self, const struct lock_holder *holder), void *self)
{
    struct lock_holder holder = {0};
    double begin = clock_seconds();
    bool told = false;
    while (lock_held(lock, &holder)) {
        if (stop_requested())
            return error_stopped();
        // A holder that has only just begun may not have written its text: a moment later it has.
        if ((holder.pid && runner_lives(&holder)) || clock_seconds() - begin > ORPHAN_S)
            return lock_error("the result that this stage makes", &holder);
        if (!told && waiting)
            waiting(self, &holder);
        told = true;
        sleep_ms(50);
    }
    return NULL;
}
