// hook.c - fork, sh, the JSON through a pipe, and a clock.
#include "runner/commands/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/stop.h"
#include "runner/view/card_json.h"

static const double LIMIT_S = 120, GRACE_S = 2, LIMIT_MOST_S = 86400;

struct hook {
    const char *word, *command;
    pid_t pid;
    int feed, status; // feed: write end of its stdin; -1: closed
    const char *text;
    size_t n, n_fed;
};

static void stages_to_json(struct json *j, const struct run *r)
{
    json_key(j, "stages");
    json_open(j, '[');
    for (int i = 0; i < r->n_stages; i++) {
        const struct run_stage *s = &r->stages[i];
        json_open(j, '{');
        card_stage_to_json(j, s);
        json_key(j, "error"), json_str(j, s->error);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void run_to_json(struct json *j, const struct run *r, const struct mirror_state *mirror)
{
    json_open(j, '{');
    json_key(j, "retort"), json_i64(j, 1);
    json_key(j, "name"), json_str(j, r->name);
    json_key(j, "run"), json_i64(j, r->number);
    json_key(j, "state"), json_str(j, r->state);
    json_key(j, "exit_status"), json_i64(j, r->exit_status);
    json_key(j, "started"), json_str(j, r->started);
    json_key(j, "ended"), json_str(j, r->ended);
    json_key(j, "seconds"), json_f64(j, r->seconds);
    json_key(j, "usd"), json_f64(j, r->usd);
    json_key(j, "host"), json_str(j, r->host);
    json_key(j, "recipe"), json_str(j, r->recipe_path);
    json_key(j, "record"), json_str(j, r->path);
    stages_to_json(j, r);
    json_key(j, "mirror");
    if (mirror->address)
        mirror_to_json(j, mirror);
    else
        json_nil(j);
    json_close(j, '}');
}

// Between fork and exec: only calls that are safe there.
static _Noreturn void become_shell(const char *command, int feed)
{
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    struct sigaction usual = {.sa_handler = SIG_DFL};
    setpgid(0, 0);
    sigaction(SIGHUP, &usual, NULL);
    sigaction(SIGPIPE, &usual, NULL);
    sigaction(SIGXFSZ, &usual, NULL);
    if (dup2(feed, STDIN_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
        execv("/bin/sh", argv);
    _exit(127);
}

static bool start(struct hook *h)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return false;
    fflush(NULL);
    h->pid = fork();
    if (h->pid == 0)
        become_shell(h->command, ends[0]);
    close(ends[0]);
    h->feed = ends[1];
    fcntl(h->feed, F_SETFL, O_NONBLOCK);
    if (h->pid > 0)
        setpgid(h->pid, h->pid); // both sides set it: whoever comes first
    return h->pid > 0;
}

// One that reads nothing must not stop us, nor one that reads slowly.
static void feed(struct hook *h)
{
    struct pollfd fd = {.fd = h->feed, .events = POLLOUT};
    poll(&fd, 1, h->feed >= 0 ? 50 : 20);
    if (h->feed < 0 || !fd.revents)
        return;
    ssize_t n = write(h->feed, h->text + h->n_fed, h->n - h->n_fed);
    h->n_fed += n > 0 ? (size_t)n : 0;
    if (h->n_fed == h->n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(h->feed);
        h->feed = -1;
    }
}

static bool ended(struct hook *h)
{
    pid_t gone = waitpid(h->pid, &h->status, WNOHANG);
    return gone == h->pid || (gone < 0 && errno != EINTR);
}

// Why it was ended before it ended itself, or NULL.
static const char *wait_for_it(struct hook *h, double limit_s)
{
    double begun = clock_seconds(), told = 0;
    bool was_requested = stop_requested();
    const char *why = NULL;
    while (!ended(h)) {
        double now = clock_seconds();
        feed(h);
        if (!why && ((stop_requested() && !was_requested) || stop_at_once()))
            why = "at Ctrl-C";
        else if (!why && now - begun > limit_s)
            why = "since its time was over";
        if (why && !told) {
            kill(-h->pid, SIGTERM);
            told = now;
        } else if (why && now - told > GRACE_S) {
            kill(-h->pid, SIGKILL);
        }
    }
    if (h->feed >= 0)
        close(h->feed);
    return why;
}

static void tell(const struct hook *h, const char *why)
{
    if (why)
        fprintf(stderr, "warning: %s was ended %s\n", h->word, why);
    else if (WIFSIGNALED(h->status))
        fprintf(stderr, "warning: %s ended by signal %d\n", h->word, WTERMSIG(h->status));
    else if (WEXITSTATUS(h->status))
        fprintf(stderr, "warning: %s ended with status %d\n", h->word, WEXITSTATUS(h->status));
}

void hook_run(const struct recipe *recipe, const struct run *record, const struct mirror_state *mirror)
{
    bool good = record->exit_status == 0;
    struct hook h = {.word = good ? "on_end" : "on_fail", .command = good ? recipe->on_end : recipe->on_fail, .feed = -1};
    const char *limit = getenv("RETORT_HOOK_SECONDS");
    double limit_s = limit ? strtod(limit, NULL) : LIMIT_S;
    struct json j = {0};
    if (!h.command || record->exit_status == 75 || record->exit_status < 0)
        return;
    run_to_json(&j, record, mirror);
    h.text = json_text(&j);
    h.n = h.text ? strlen(h.text) : 0;
    if (!h.text || !start(&h))
        fprintf(stderr, "warning: %s could not be started: %s\n", h.word, strerror(errno));
    else
        tell(&h, wait_for_it(&h, limit_s > 0 ? fmin(limit_s, LIMIT_MOST_S) : LIMIT_S));
    json_release(&j);
}
