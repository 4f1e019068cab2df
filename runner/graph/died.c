// died.c - the files of a stage tell by their times: nothing else outlives a runner that was killed.
#include "runner/graph/died.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "runner/graph/keys.h"
#include "runner/graph/launch.h"
#include "runner/graph/result.h"

static enum stage_kind_id kind_of(const struct run_stage *stage)
{
    return kind_named(stage->kind, strlen(stage->kind));
}

// When the file was last written; 0: it is not there.
static double written(const char *path)
{
    struct stat s;
    return stat(path, &s) ? 0 : (double)s.st_mtim.tv_sec + 1e-9 * (double)s.st_mtim.tv_nsec;
}

static struct error *look_at_stage(struct run_stage *stage, double began, double *last, const char *results, struct arena *arena)
{
    static const char *const traces[] = {".live", ".part.h5", ".part.prev.h5", ".log", ".job"};
    enum stage_kind_id kind = kind_of(stage);
    if (kind == KIND_COUNT || !stage->key[0] || (strcmp(stage->state, "running") && strcmp(stage->state, "waiting")))
        return NULL;
    if (!strcmp(stage->state, "running"))
        stage->state = "interrupted";
    for (size_t i = 0; i < countof(traces); i++) {
        const char *path = key_path(arena, results, kind, stage->key, traces[i]);
        if (!path)
            return error_memory();
        double at = written(path);
        if (at < began)
            continue;
        stage->state = "interrupted";
        *last = fmax(*last, at);
    }
    struct result r;
    const char *path = key_path(arena, results, kind, stage->key, ".h5");
    struct error *e = path ? result_look(&r, path, stage->key, true, arena) : error_memory();
    if (e && e->kind == ERROR_NOT_BUILT) { // a newer retort's, and not of this run
        error_free(e);
        return NULL;
    }
    if (e || r.state != RESULT_WHOLE || written(path) < began)
        return e;
    *last = fmax(*last, written(path));
    stage->state = "finished";
    stage->seconds = r.seconds;
    stage->usd = r.usd;
    stage->file = path;
    return NULL;
}

struct error *died_look(struct run *run, const char *results, struct arena *arena)
{
    char ended[CLOCK_TEXT];
    double began = fmax(clock_of_text(run->started), 0), last = began; // 0: not known
    if (strcmp(run->state, "running") ||
        strcmp(run_state(run, results, arena), "died")) // of one that is recorded so it stands there
        return NULL;
    run->state = "died";
    for (int i = 0; i < run->n_stages; i++) {
        struct error *e = look_at_stage(&run->stages[i], began, &last, results, arena);
        if (e)
            return e;
    }
    if (run->ended && run->ended[0])
        return NULL;
    clock_text(last, ended);
    run->seconds = fmax(run->seconds, last - began);
    return (run->ended = arena_strdup(arena, ended)) ? NULL : error_memory();
}

struct error *died_record(const char *results, const char *name, struct arena *arena)
{
    struct run run;
    struct error *e = run_newest(&run, results, name, arena);
    if (e || !run.number || strcmp(run.state, "running"))
        return e;
    if ((e = died_look(&run, results, arena)) || strcmp(run.state, "died"))
        return e;
    for (int i = 0; i < run.n_stages; i++) {
        struct run_stage *stage = &run.stages[i];
        stage->recorded = true;
        if (!stage->file)
            continue;
        // Made, and its runner died before it had removed what was beside it.
        const char *lock = key_path(arena, results, kind_of(stage), stage->key, ".lock");
        if (lock && !lock_held(lock, NULL))
            launch_clean(results, kind_of(stage), stage->key, arena);
    }
    return run_save(&run);
}
