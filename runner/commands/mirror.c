// mirror.c - the runner's side of a mirror: a process is started, looked after, and waited for; what it says stands in a file.
#include "runner/commands/mirror.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/remote/remote.h"
#include "runner/graph/mirror_fetch.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { LOOK_MS = 25, SHOWN = 8, WIDTH = 80 };

static const double PIPE_EVERY_S = 10;

// ---- back

struct telling {
    const struct call *call;
    const char *what;
    int64_t bytes;
    double told;
    bool terminal;
};

static void tell_begin(void *self, const char *what, int64_t bytes)
{
    struct telling *t = self;
    t->what = what;
    t->bytes = bytes;
    t->told = clock_seconds();
}

static void tell_progress(void *self, int64_t bytes)
{
    struct telling *t = self;
    char a[FORMAT_TEXT], b[FORMAT_TEXT];
    if (t->call->json || !t->terminal || clock_seconds() - t->told < 0.5)
        return;
    t->told = clock_seconds();
    printf("\r\033[Kfrom the mirror: %.40s, %s of %s", t->what, format_bytes(a, bytes), format_bytes(b, t->bytes));
    fflush(stdout);
}

static void tell_passed(void *self, const char *what, const char *why)
{
    const struct telling *t = self;
    if (!t->call->json)
        fprintf(stderr, "%swarning: passed over in the mirror: %s: %s\n", t->terminal ? "\r\033[K" : "", what, why);
}

struct error *mirror_bring(const struct call *call, const struct plan *plan, const char *address)
{
    struct telling t = {.call = call, .terminal = isatty(STDOUT_FILENO)};
    const struct mirror_hooks hooks = {&t, tell_begin, tell_progress, tell_passed};
    struct mirror_fetched fetched;
    char a[FORMAT_TEXT];
    struct error *e = mirror_fetch(&fetched, plan, address, &hooks, call->arena);
    if (e || call->json)
        return e;
    if (fetched.n_kept)
        printf("%sfrom the mirror: kept weights, %d file%s\n", t.terminal ? "\r\033[K" : "", fetched.n_kept,
               fetched.n_kept == 1 ? "" : "s");
    printf("%sfrom the mirror: %d result%s, %d checkpoint%s, %d record%s of runs (%s)\n", t.terminal ? "\r\033[K" : "",
           fetched.n_results, fetched.n_results == 1 ? "" : "s", fetched.n_checkpoints, fetched.n_checkpoints == 1 ? "" : "s",
           fetched.n_records, fetched.n_records == 1 ? "" : "s", format_bytes(a, fetched.bytes));
    fflush(stdout);
    return NULL;
}

// ---- there

// A folder that is its own mirror would be copied onto itself.
static struct error *check_apart(const char *address, const char *results)
{
    struct stat a, b;
    bool same =
        !remote_is_address(address) && !stat(address, &a) && !stat(results, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    return same ? error_plain(ERROR_USAGE, "the mirror '%s' is the results folder itself", address) : NULL;
}

void mirror_begin(struct mirror *mirror, const struct call *call, const struct plan *plan, int number)
{
    struct mirror_job job;
    *mirror = (struct mirror){.pid = -1, .lifeline = -1};
    if (!plan->graph->recipe->mirror)
        return;
    struct error *e = check_apart(plan->graph->recipe->mirror, call->results);
    if (!e)
        e = mirror_job_make(&job, plan, number, call->arena);
    if (!e)
        e = mirror_start(mirror, &job, call->arena);
    if (e)
        fprintf(stderr, "warning: nothing is copied to the mirror: %s\n", e->what);
    mirror->told |= e != NULL;
    error_free(e);
}

static void print_left(const struct mirror_state *s, bool terminal)
{
    char text[400], a[FORMAT_TEXT];
    int n = snprintf(text, sizeof text, "mirror: %d of %d files to go, %s", s->n_missing, s->n_files,
                     format_bytes(a, s->bytes_left - s->bytes_sent));
    if (s->warning && !s->now)
        snprintf(text + n, sizeof text - (size_t)n, "; trying again: %s", s->warning);
    else if (s->now)
        snprintf(text + n, sizeof text - (size_t)n, "; now %s", s->now);
    if (terminal)
        printf("\r\033[K%.*s", (int)text_prefix(text, WIDTH - 1), text);
    else
        printf("%s\n", text);
    fflush(stdout);
}

// Until it has ended by itself, or a Ctrl-C.
static struct error *wait_for_it(struct mirror *mirror, const struct call *call, const char *name)
{
    bool terminal = isatty(STDOUT_FILENO), shown = false, was_asked = stop_requested();
    double begun = clock_seconds(), told = begun;
    struct error *e = NULL;
    while (!e && !mirror_ended(mirror)) {
        struct arena scratch = {0};
        struct mirror_state s;
        double now = clock_seconds();
        bool due = terminal ? now - told >= 0.5 : now - told >= (shown ? PIPE_EVERY_S : 2);
        if (due && !call->json) {
            e = mirror_read(&s, call->results, name, &scratch);
            if (!e && s.address && s.n_missing)
                print_left(&s, terminal), shown = true;
            told = now;
        }
        arena_release(&scratch);
        if ((stop_requested() && !was_asked) || stop_at_once())
            break;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000 * 1000}, NULL);
    }
    if (terminal && shown)
        printf("\r\033[K");
    mirror_kill(mirror);
    return e;
}

struct error *mirror_end(struct mirror *mirror, const struct call *call, const struct plan *plan, bool stopped,
                         struct mirror_state *state)
{
    const char *name = plan->graph->recipe->name;
    *state = (struct mirror_state){0};
    if (!plan->graph->recipe->mirror || mirror->told)
        return NULL;
    if (mirror_ended(mirror)) // it should not have: another one does what is left
        mirror_begin(mirror, call, plan, mirror->number);
    if (mirror->told)
        return NULL;
    mirror_finish(mirror, stopped ? MIRROR_TRIES_STOPPED : MIRROR_TRIES);
    struct error *e = wait_for_it(mirror, call, name);
    return e ? e : mirror_read(state, call->results, name, call->arena);
}

void mirror_print(const struct mirror_state *s, const char *recipe_path)
{
    if (!s->address)
        return;
    if (s->ended && !s->n_missing && !s->warning) {
        printf("mirror %s: all %d files are there\n", s->address, s->n_files);
        return;
    }
    fflush(stdout);
    fprintf(stderr, "warning: not in the mirror '%s': ", s->address);
    if (s->n_missing)
        fprintf(stderr, "%d of %d files\n", s->n_missing, s->n_files);
    else
        fprintf(stderr, "what is there was not looked at\n");
    for (int i = 0; i < s->n_missing && i < SHOWN; i++)
        fprintf(stderr, "  %s (%s)%s%s\n", s->missing[i].stage, s->missing[i].file, s->missing[i].why ? ": " : "",
                s->missing[i].why ? s->missing[i].why : "");
    if (s->n_missing > SHOWN)
        fprintf(stderr, "  and %d more\n", s->n_missing - SHOWN);
    if (s->warning)
        fprintf(stderr, "  the last error: %s\n", s->warning);
    if (!s->newer)
        fprintf(stderr, "  they are whole here; `retort run %s` copies what is missing\n", recipe_path);
}

struct error *mirror_refused(const struct mirror_state *s)
{
    if (!s->newer)
        return NULL;
    return error_new(ERROR_NOT_BUILT, NOWHERE,
                     "take the retort that wrote it, or another mirror with -s mirror=FOLDER; or remove the file yourself", "%s",
                     s->newer);
}
