// resume.c - parts rotate, so that one that is being written, or was damaged, never is the only one.
#include "runner/stages/resume.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/train/checkpoint.h"
#include "runner/stages/hyperparameters.h"

static const double EVERY_S = 10;

// A damaged one is another training's, or was kept: it stays where it is, and is passed over.
static struct error *open_trunk(struct resume *r, struct stage *stage)
{
    struct error *e = store_open(&r->file, stage->job->trunk);
    if (!e)
        e = store_verify(r->file);
    r->trunk = !e;
    if (!e)
        return NULL;
    store_close(r->file);
    r->file = NULL;
    if (e->kind != ERROR_DATA && e->kind != ERROR_MACHINE && e->kind != ERROR_NOT_BUILT) // gone since: as good as damaged
        return e;
    r->note = arena_printf(stage->arena, "%s%spassed over: %s", r->note ? r->note : "", r->note ? "; " : "", e->what);
    error_free(e);
    return r->note ? NULL : error_memory();
}

struct error *resume_find(struct resume *r, struct stage *stage)
{
    const char *every = getenv("RETORT_CHECKPOINT_SECONDS"), *out = stage->job->out;
    int stem = (int)strlen(out) - (int)strlen(".h5");
    *r = (struct resume){.stage = stage, .every_s = every ? strtod(every, NULL) : EVERY_S, .saved_at = clock_seconds()};
    r->part = arena_printf(stage->arena, "%.*s.part.h5", stem, out);
    r->prev = arena_printf(stage->arena, "%.*s.part.prev.h5", stem, out);
    struct error *e = !r->part || !r->prev ? error_memory()
                      : stage->job->from_start
                          ? NULL
                          : checkpoint_find(r->part, r->prev, stage->job->key, stage->arena, &r->file, &r->note);
    if (!e && !r->file && stage->job->trunk)
        e = open_trunk(r, stage);
    if (!e && r->file)
        e = store_get_f64(r->file, "/", "seconds", &r->seconds);
    return e;
}

struct error *resume_device(struct resume *r, const char *precision, struct device **dev)
{
    const char *recorded = NULL;
    struct error *e = r->file ? store_get_text(r->file, "/", "isa", r->stage->arena, &recorded) : NULL;
    if (e)
        return e;
    if (recorded)
        setenv("RETORT_ISA", recorded, 0);
    struct fault fault;
    *dev = device_open(DEVICE_CPU, 0, &fault);
    if (!*dev)
        return error_from_fault(fault);
    device_set_precision(*dev, precision_of(precision));
    if (!recorded || !strcmp(recorded, device_isa(*dev)))
        return NULL;
    r->note = arena_printf(r->stage->arena, "from here on %s instead of %s: bits may differ from a run left alone",
                           device_isa(*dev), recorded);
    return r->note ? NULL : error_memory();
}

bool resume_due(const struct resume *r)
{
    return clock_seconds() - fmax(r->saved_at, r->tried_at) >= r->every_s;
}

void resume_saved(struct resume *r, double at)
{
    r->saved_at = at;
    r->tried_at = 0;
}

struct error *resume_unsaved(struct resume *r, struct error *e)
{
    char text[256];
    if (stop_requested() || e->kind != ERROR_MACHINE)
        return e;
    struct live_line line = live_line("unsaved");
    snprintf(text, sizeof text, "no checkpoint written, going on: %s%s%s", e->what, e->fix ? "; " : "", e->fix ? e->fix : "");
    line.warning = text;
    live_write(r->stage->live, line);
    r->tried_at = clock_seconds();
    error_free(e);
    return NULL;
}

struct error *resume_save(struct resume *r, const struct store_attribute *attributes, int n_attributes,
                          const struct store_set *sets, int n_sets)
{
    struct error *e = store_replace(r->part, r->prev, attributes, n_attributes, sets, n_sets);
    if (e)
        return error_while(e, NOWHERE, "saving what is done so far");
    resume_saved(r, clock_seconds());
    return NULL;
}

void resume_forget(const struct resume *r)
{
    unlink(r->part);
    unlink(r->prev);
}

void resume_close(struct resume *r)
{
    store_close(r->file);
    r->file = NULL;
}
