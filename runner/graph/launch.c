// launch.c - fork, exec, a pipe, and waiting for children, the user and the clock.
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
#include "core/base/point.h"
#include "core/base/stop.h"
#include "core/store/atomic.h"
#include "runner/graph/keys.h"
#include "runner/stages/error_json.h"

enum { LOG_TAIL = 2000, WATCHED_MOST = 256 };

// In the child, between fork and exec: only calls that are safe there. 127 tells the parent that exec failed.
static _Noreturn void become_stage(int lifeline, int log, char *const *argv)
{
    setpgid(0, 0);
    if (dup2(lifeline, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0)
        execv("/proc/self/exe", argv);
    _exit(127);
}

// The environment of the child, set here because between fork and exec there is no setting it.
static void set_threads(int n_threads)
{
    char text[16];
    snprintf(text, sizeof text, "%d", n_threads);
    setenv("OMP_NUM_THREADS", text, 1);
    launch_waiting();
}

static struct error *start(struct launch *launch, int n_threads, struct arena *arena)
{
    const struct job *job = launch->job;
    char *job_path = launch_path(arena, job, ".job"), *results = arena_strdup(arena, job->results);
    if (!job_path || !results)
        return error_memory();
    struct error *e = job_write(job, job_path);
    if (e)
        return e;
    char *argv[] = {(char *)"retort", (char *)"_stage", (char *)"--results", results, (char *)"--job", job_path, NULL};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_system(ERROR_MACHINE, errno, "cannot make a pipe");
    int log = open(launch->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot write '%s'", launch->log);
    set_threads(n_threads);
    fflush(NULL);
    launch->pid = e ? -1 : fork();
    if (launch->pid == 0)
        become_stage(ends[0], log, argv);
    if (!e && launch->pid < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot start a process");
    close(ends[0]);
    if (log >= 0)
        close(log);
    launch->lifeline = ends[1];
    if (e)
        close(ends[1]);
    else
        setpgid(launch->pid, launch->pid); // both sides set it: whoever comes first
    return e;
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

static struct error *crash(const struct launch *launch)
{
    const char *fix = "look at its log; run it again to go on from the last checkpoint", *name = launch->job->name;
    int status = launch->status;
    if (launch->killed)
        return error_new(ERROR_FAILED, NOWHERE, "run it again to go on from there",
                         "stage '%s' was ended at once, as asked: what it did since its last checkpoint is lost", name);
    if (WIFSIGNALED(status))
        return error_new(ERROR_FAILED, NOWHERE, fix, "stage '%s' crashed: signal %d (%s); its log is '%s'", name,
                         WTERMSIG(status), strsignal(WTERMSIG(status)), launch->log);
    return error_new(ERROR_FAILED, NOWHERE, fix, "stage '%s' crashed: exit status %d; its log is '%s'", name, WEXITSTATUS(status),
                     launch->log);
}

// The error that the stage left in its last line; a line of an earlier attempt, or of another runner's stage, is not its own.
static struct error *own_error(const struct launch *launch, const struct outcome *outcome)
{
    bool failed = outcome->last.e && !strcmp(outcome->last.e, "failed") && outcome->last.t >= launch->begin_t;
    return failed ? errors_from_json(outcome->last.text) : NULL;
}

static struct error *failure(const struct launch *launch, struct outcome *outcome)
{
    struct error *e = own_error(launch, outcome);
    outcome->told_why = e != NULL;
    if (!e)
        e = error_new(outcome->status == 3   ? ERROR_MACHINE
                      : outcome->status == 4 ? ERROR_NOT_BUILT
                                             : ERROR_FAILED,
                      NOWHERE, "look at its log", "stage '%s' ended with status %d; its log is '%s'", launch->job->name,
                      outcome->status, launch->log);
    return error_while(e, NOWHERE, "running stage '%s'", launch->job->name);
}

void launch_clean(const char *results, enum stage_kind_id kind, const char *key, struct arena *arena)
{
    static const char *const endings[] = {".job", ".part.h5", ".part.prev.h5", ".part.tmp.h5", ".tmp.h5", ".live", ".log"};
    for (size_t i = 0; i < countof(endings); i++) {
        const char *path = key_path(arena, results, kind, key, endings[i]);
        if (path)
            unlink(path);
        point("runner.cleaning");
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

// A thread that waits for another gives its core away after a hundred turns, a microsecond or two; libgomp's own default waits
// milliseconds. Where others use the machine, steps of models of width 64 and 128 took, in alternating runs (medians of 15, two cores of
// an EPYC Zen 4, load average 9, November 2026): 0 turns 1 and 1, 100 turns 1.0 and 1.15, 300 turns 1.4 and 1.2, 1000 turns 2.4 and 1.6.
// With nobody beside, waking a thread that sleeps costs some 25 us there, which more turns would save at some of the waits.
bool launch_waiting(void)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return false;
    return setenv("GOMP_SPINCOUNT", "100", 0) == 0;
}

struct error *launch_start(struct launch *launch, const struct job *job, int n_threads, struct arena *arena)
{
    *launch = (struct launch){.job = job, .pid = -1, .lifeline = -1, .begin = clock_seconds(), .begin_t = clock_unix()};
    launch->last_t = launch->begin_t - 1; // a live file of an earlier attempt is older
    launch->live = launch_path(arena, job, ".live");
    launch->log = launch_path(arena, job, ".log");
    const char *store = arena_printf(arena, "%s/store", job->results);
    if (!launch->live || !launch->log || !store)
        return error_memory();
    struct error *e = folder_make(store);
    unlink(launch->log); // of an earlier attempt
    if (!e)
        e = start(launch, n_threads, arena);
    return error_while(e, NOWHERE, "starting stage '%s'", job->name);
}

bool launch_ended(struct launch *launch)
{
    if (launch->pid < 0)
        return true;
    pid_t gone = waitpid(launch->pid, &launch->status, WNOHANG);
    if (gone == 0 || (gone < 0 && errno == EINTR))
        return false;
    if (gone < 0)
        launch->status = 1 << 8;
    launch->pid = -1;
    close(launch->lifeline);
    return true;
}

void launch_stop(struct launch *launch)
{
    if (launch->told)
        return;
    launch->told = true;
    ssize_t n = write(launch->lifeline, "stop\n", 5);
    (void)n; // a child that is gone is noticed by waitpid
}

void launch_kill(struct launch *launch)
{
    launch->killed = launch->pid > 0 && kill(launch->pid, SIGKILL) == 0;
}

bool launch_news(struct launch *launch, struct live_line *line, struct arena *arena)
{
    struct error *e = live_read(launch->live, line, arena);
    bool is_new = !e && line->e && line->t > launch->last_t;
    if (is_new)
        launch->last_t = line->t;
    error_free(e);
    return is_new;
}

void launch_wait(struct launch *const *launches, int n, int milliseconds)
{
    struct pollfd fds[WATCHED_MOST + 1] = {{.fd = stop_fd(), .events = POLLIN}};
    char drain[64];
    n = n < WATCHED_MOST ? n : WATCHED_MOST;
    for (int i = 0; i < n; i++)
        fds[i + 1] = (struct pollfd){.fd = launches[i]->lifeline};
    poll(fds, (nfds_t)n + 1, milliseconds);
    for (int i = 0; i < n; i++)
        if (fds[i + 1].revents) { // its end of the lifeline is closed: it is on its way out
            nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
            break;
        }
    while (stop_fd() >= 0 && read(stop_fd(), drain, sizeof drain) > 0)
        ;
}

void launch_outcome(struct launch *launch, struct outcome *outcome, struct arena *arena)
{
    *outcome = (struct outcome){.log = launch->log,
                                .killed = launch->killed && WIFSIGNALED(launch->status),
                                .last = live_line(NULL),
                                .seconds = clock_seconds() - launch->begin};
    error_free(live_read(launch->live, &outcome->last, arena));
    int code = WIFEXITED(launch->status) ? WEXITSTATUS(launch->status) : -1;
    bool known = code == 0 || code == 1 || code == 3 || code == 4 || code == 75;
    outcome->status = known ? code : -1;
    if (!known)
        outcome->error = crash(launch);
    else if (code == 0)
        launch_clean(launch->job->results, launch->job->kind, launch->job->key, arena);
    else if (code != 75)
        outcome->error = failure(launch, outcome);
    if (outcome->error && !outcome->told_why && !outcome->killed)
        outcome->log_tail = tail_of(launch->log, arena);
}
