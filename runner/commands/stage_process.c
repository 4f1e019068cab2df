// stage_process.c - `retort _stage`: reads the job, takes the lock, watches the lifeline, runs the stage.
//
// stdin is the lifeline: a thread reads it, and a line "stop" or its end raises the stop flag, which the stage looks at. stdout
// and stderr are the log. What went wrong stands as JSON in the last line of the live file, for the runner, and in the log, for
// people.
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/lost.h"
#include "core/base/point.h"
#include "core/base/stop.h"
#include "core/store/atomic.h"
#include "runner/commands/command.h"
#include "runner/graph/launch.h"
#include "runner/graph/result.h"
#include "runner/stages/error_json.h"
#include "runner/stages/stage.h"
#include "runner/view/errors.h"

static void *watch_lifeline(void *unused)
{
    char text[64];
    (void)unused;
    for (;;) {
        ssize_t n = read(STDIN_FILENO, text, sizeof text);
        if (n < 0 && errno == EINTR)
            continue;
        stop_request();
        if (n <= 0)
            return NULL;
    }
}

static struct error *start_watching(void)
{
    pthread_t thread;
    int err = pthread_create(&thread, NULL, watch_lifeline, NULL);
    if (err)
        return error_system(ERROR_MACHINE, err, "cannot start a thread");
    pthread_detach(thread);
    return NULL;
}

static void tell_end(struct stage *stage, const struct error *e)
{
    bool stopped = e && e->kind == ERROR_STOPPED;
    struct live_line line = live_line(!e ? "done" : stopped ? "stopped" : "failed");
    struct json j = {0};
    if (e && !stopped) {
        errors_to_json(&j, e);
        line.text = json_text(&j);
    }
    live_write(stage->live, line);
    json_release(&j);
}

// A file that the stage has mapped is gone: what is said of any other failure.
static void tell_lost(void *self, struct error *e)
{
    tell_end(self, e);
    errors_print(stderr, e, 0, false);
    fflush(NULL);
}

// A file in the place of a result that is none, or not this one, is the user's to throw away; what a newer retort wrote stays where it is,
// and nothing is made.
static struct error *keep_damaged(struct stage *stage, const char *path, const char *key)
{
    struct result r;
    struct error *e = result_look(&r, path, key, true, stage->arena);
    if (e || r.state != RESULT_DAMAGED)
        return e;
    const char *kept = arena_printf(stage->arena, "%.*s.damaged.h5", (int)(strlen(path) - strlen(".h5")), path);
    struct live_line line = live_line("note");
    line.text = kept ? arena_printf(stage->arena, "'%s' is kept as '%s': %s", path, kept, r.problem) : NULL;
    if (!line.text)
        return error_memory();
    e = atomic_publish(path, kept);
    if (!e)
        live_write(stage->live, line);
    return error_while(e, NOWHERE, "keeping a damaged result");
}

static struct error *keep_all_damaged(struct stage *stage)
{
    const struct job *job = stage->job;
    struct error *e = job->out ? result_spare_now(job->results, job->kind, job->key) : NULL;
    if (!e && job->out)
        e = keep_damaged(stage, job->out, job->key);
    for (int i = 0; i < job->n_parts && !e; i++)
        if (job->parts[i].out)
            e = keep_damaged(stage, job->parts[i].out, job->parts[i].key);
    return e;
}

// Another run may have made the result between the runner's last look and this process's lock. A step to keep may be lacking still.
static struct error *look_for_it(bool *is_there, const struct job *job, struct arena *arena)
{
    struct result r;
    *is_there = false;
    if (job->again || !job->out || job->until >= 0 || job->n_kept > 0)
        return NULL;
    struct error *e = result_look(&r, job->out, job->key, true, arena);
    *is_there = !e && r.state == RESULT_WHOLE;
    return e;
}

static struct error *run_job(struct job *job, struct arena *arena)
{
    char started[CLOCK_TEXT];
    const char *live_path = launch_path(arena, job, ".live");
    if (!live_path)
        return error_memory();
    clock_text(clock_unix(), started);
    struct stage stage = {.job = job, .arena = arena, .started = started, .start_seconds = clock_seconds()};
    struct error *(*run)(struct stage *) = stage_run(job->kind);
    struct error *e = live_open(&stage.live, live_path, arena);
    if (e)
        return e;
    struct live_line begun = live_line("started");
    begun.usd_per_hour = job->usd_per_hour;
    live_write(stage.live, begun);
    lost_on_signal(tell_lost, &stage);
    point("stage.begun");
    e = run ? keep_all_damaged(&stage)
            : error_plain(ERROR_NOT_BUILT, "stages of kind '%s' are not built in this version", kind_name(job->kind));
    if (!e)
        e = run(&stage);
    point("stage.done");
    signal(SIGBUS, SIG_DFL);
    if (e && e->kind == ERROR_RECIPE)
        e = job_error(job, "", e);
    tell_end(&stage, e);
    live_close(stage.live);
    return e;
}

static struct error *take_lock_and_run(struct job *job, struct arena *arena)
{
    struct lock lock;
    struct lock_holder holder = {0};
    const char *command = launch_command(arena, job);
    struct error *e = command ? lock_take(&lock, job->lock, command, &holder) : error_memory();
    if (e)
        return e;
    if (!lock.taken)
        return lock_error("the result that this stage makes", &holder, NULL);
    bool is_there;
    e = look_for_it(&is_there, job, arena);
    if (!e && !is_there)
        e = run_job(job, arena);
    lock_release(&lock, true);
    return e;
}

int stage_process(int argc, char **argv)
{
    static const struct option longs[] = {{"results", required_argument, NULL, 'r'}, {"job", required_argument, NULL, 'j'}, {0}};
    const char *path = NULL;
    struct arena arena = {0};
    struct job job;
    optind = 2;
    for (int id; (id = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        if (id == 'j')
            path = optarg;
    stop_on_signals();
    struct error *e = path ? job_read(&job, path, &arena)
                           : error_new(ERROR_USAGE, NOWHERE, "`retort run` starts stages", "%s", "a stage wants --job FILE");
    if (!e)
        e = start_watching();
    if (!e)
        e = take_lock_and_run(&job, &arena);
    int status = error_exit_status(e);
    if (!status)
        unlink(path);
    if (e)
        errors_print(stderr, e, 0, false);
    error_free(e);
    fflush(NULL);
    // The thread may still be reading; what the arena holds goes with the process.
    _exit(status == 2 ? 1 : status);
}
