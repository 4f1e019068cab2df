// trainer.c - opens in the order in which a checkpoint needs it: the device by the recorded instruction set, then the model, then what
// is kept is loaded over it; where there is no checkpoint it begins (beginning.h).
#include "runner/stages/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/point.h"
#include "core/base/stop.h"
#include "core/text/tokenizer_file.h"
#include "runner/stages/keeping.h"

enum { CHECKPOINT_LEAST_S = 10, CHECKPOINT_MOST_S = 600, WRITE_SHARE = 50, ROWS_AT_ONCE = 1 << 16 };

// The share of the measured peak that so many targets a second are, by the reference's count of FLOPs; NaN where nothing was measured.
static double mfu_of(const struct trainer *t, double tok_s)
{
    double mfu = tok_s * shape_flops_per_token(&t->model.shape) / t->stage->job->peak_flops;
    return mfu > 0 && isfinite(mfu) ? mfu : NAN;
}

struct live_line trainer_line(const struct trainer *t, const char *event)
{
    struct live_line line = live_line(event);
    line.step = t->loop.step;
    line.of = schedule_updates(&t->loop.schedule);
    line.unit = "steps";
    line.bpb = t->bpb;
    line.tok_s = t->tok_s;
    line.mfu = mfu_of(t, t->tok_s);
    line.redo_s = clock_seconds() - t->resume.saved_at;
    line.usd_per_hour = t->stage->job->usd_per_hour;
    line.usd = (t->resume.seconds + clock_seconds() - t->stage->start_seconds) * line.usd_per_hour / 3600;
    if (t->step_s > 0)
        line.eta_s = (double)(line.of - line.step) * t->step_s;
    if (t->text[0])
        line.text = t->text;
    return line;
}

static int attributes_of(const struct trainer *t, const char *state, struct store_attribute *attributes)
{
    int n = stage_attributes(t->stage, state, t->loop.step, schedule_updates(&t->loop.schedule), t->seed, t->device_batch,
                             device_isa(t->dev), t->resume.seconds, attributes);
    attributes[n++] = store_text("/", "canary", t->canary);
    return n;
}

static bool save_due(void *self)
{
    const struct trainer *t = self;
    return !background_busy(&t->background) && resume_due(&t->resume);
}

// The stage goes on where it can: the last checkpoint is still there.
static struct error *not_saved(struct trainer *t, struct error *e, int64_t step)
{
    char text[200];
    snprintf(text, sizeof text, "%s", e->what);
    e = resume_unsaved(&t->resume, e);
    return e ? error_while(e, NOWHERE, "saving a checkpoint at step %lld", (long long)step)
             : training_event(&t->training, "unsaved", text);
}

// The checkpoint that is on its way, if any, is written, or it is told that it could not be: before any other use of the store.
static struct error *settle(struct trainer *t)
{
    struct background *b = &t->background;
    struct resume *r = &t->resume;
    int64_t step = 0;
    if (!background_busy(b))
        return NULL;
    struct error *e = background_finish(b, &step);
    if (e)
        return not_saved(t, e, step);
    resume_saved(r, b->began);
    if (!getenv("RETORT_CHECKPOINT_SECONDS"))
        r->every_s = fmin(fmax(b->seconds * WRITE_SHARE, CHECKPOINT_LEAST_S), CHECKPOINT_MOST_S);
    struct live_line line = trainer_line(t, "saved");
    line.step = step;
    live_write(t->stage->live, line);
    struct event saved = {.step = step, .time = clock_unix(), .kind = "saved"};
    return table_add(&t->training.events, &saved);
}

static struct error *copy(struct trainer *t, struct checkpoint **c)
{
    struct training *kept = &t->training;
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    struct arena_mark mark = arena_mark(t->stage->arena); // a training of weeks saves often
    int n = attributes_of(t, stop_requested() ? "stopped" : "running", attributes);
    kept->step = t->loop.step;
    kept->rows = t->loop.first_row + kept->step * t->gradient.R;
    struct error *e = training_event(kept, "saved", ""); // which a checkpoint says of itself
    if (!e) {
        e = checkpoint_copy(c, kept, true, attributes, n);
        kept->events.n--;
    }
    arena_reset(t->stage->arena, mark);
    return e;
}

// A step that cannot be kept is no reason to end either; whoever reads it will miss it.
static struct error *not_kept(struct trainer *t, struct error *e, int64_t step)
{
    char text[200];
    snprintf(text, sizeof text, "step %lld: %s", (long long)step, e->what);
    e = resume_unsaved(&t->resume, e);
    return e ? error_while(e, NOWHERE, "keeping step %lld", (long long)step) : training_event(&t->training, "unkept", text);
}

static struct error *save(void *self, int64_t step)
{
    struct trainer *t = self;
    double start = clock_seconds();
    struct checkpoint *c = NULL;
    struct error *e = settle(t);
    if (e && !stop_requested())
        return e;
    error_free(e); // the one before this is of no account if this one, the last, can be written
    if ((e = copy(t, &c)))
        return not_saved(t, e, step);
    background_start(&t->background, c, t->resume.part, t->resume.prev);
    if (stop_requested())
        e = settle(t);
    t->save_s += clock_seconds() - start;
    return e;
}

static bool keep_due(void *self, int64_t step)
{
    const struct trainer *t = self;
    bool optim;
    return keeping_due(t->stage->job, &t->loop.schedule, step, &optim);
}

// While the training waits: steps that are kept are few, and a thread may be writing a checkpoint.
static struct error *keep(void *self, int64_t step)
{
    struct trainer *t = self;
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    bool optim;
    keeping_due(t->stage->job, &t->loop.schedule, step, &optim);
    struct error *e = settle(t);
    if (e)
        return e;
    struct arena_mark mark = arena_mark(t->stage->arena);
    const char *path = keeping_path(t->stage->job, step, t->stage->arena);
    e = path ? NULL : error_memory();
    if (!e && !keeping_is_there(path, optim)) {
        double start = clock_seconds();
        int n = attributes_of(t, "kept", attributes);
        t->training.step = step;
        t->training.rows = t->loop.first_row + step * t->gradient.R;
        e = checkpoint_save(&t->training, path, optim, attributes, n);
        t->save_s += clock_seconds() - start;
        e = e ? not_kept(t, e, step) : training_event(&t->training, "kept", optim ? "with the optimizer" : "");
        point("train.kept");
    }
    arena_reset(t->stage->arena, mark);
    return e;
}

static double smooth(double before, double now)
{
    return before > 0 ? 0.9 * before + 0.1 * now : now;
}

static struct error *report(void *self, const struct step_report *r)
{
    struct trainer *t = self;
    double tok_s = (double)r->tokens / r->seconds;
    t->tok_s = smooth(t->tok_s, tok_s);
    t->step_s = smooth(t->step_s, r->seconds);
    t->tokens += r->tokens;
    struct live_line line = trainer_line(t, "step");
    line.loss = r->loss;
    live_write(t->stage->live, line);
    struct error *e = table_add(&t->training.train, &(struct metric_train){.step = r->step,
                                                                           .tokens = t->tokens,
                                                                           .loss = r->loss,
                                                                           .grad_norm = r->grad_norm,
                                                                           .lr_scale = r->lr_scale,
                                                                           .momentum = r->momentum});
    if (!e)
        e = table_add(&t->training.timing,
                      &(struct timing_train){
                          .step = r->step, .seconds = r->seconds, .save_s = t->save_s, .tok_s = tok_s, .mfu = mfu_of(t, tok_s)});
    t->save_s = 0;
    point("train.step");
    return !e && background_ended(&t->background) ? settle(t) : e;
}

struct error *trainer_note(struct trainer *t, const char *text)
{
    struct live_line line = trainer_line(t, "note");
    line.text = text;
    live_write(t->stage->live, line);
    return training_event(&t->training, "note", text);
}

// Counters of the loop that follow from the tables.
static void take_place(struct trainer *t)
{
    const struct training *kept = &t->training;
    t->loop.step = kept->step;
    t->loop.first_row = kept->rows - kept->step * t->gradient.R;
    t->loop.evaluated_step = t->loop.sampled_step = -1;
    if (kept->train.n)
        t->tokens = ((const struct metric_train *)kept->train.rows + kept->train.n - 1)->tokens;
    if (kept->val.n) {
        const struct metric_val *last = (const struct metric_val *)kept->val.rows + kept->val.n - 1;
        t->loop.evaluated_step = last->step;
        t->bpb = last->bpb;
    }
    if (kept->samples.n)
        t->loop.sampled_step = ((const struct sample *)kept->samples.rows + kept->samples.n - 1)->step;
    if (t->resumed)
        t->resumed(t->loop.self);
}

static struct error *check_place(const struct trainer *t, int64_t step)
{
    int64_t n_steps = schedule_updates(&t->loop.schedule);
    return step >= 0 && step <= n_steps
               ? NULL
               : error_plain(ERROR_DATA, "the checkpoint stands at step %lld of %lld", (long long)step, (long long)n_steps);
}

// Whether this machine and build compute the bits of those that computed the checkpoint.
static struct error *compare_canary(struct trainer *t, struct store_file *file)
{
    const char *its = NULL;
    char text[EVENT_TEXT];
    error_free(store_get_text(file, "/", "canary", t->stage->arena, &its)); // of an earlier version: none
    if (!its || !strcmp(its, t->canary))
        return NULL;
    snprintf(text, sizeof text, "canary %s, before %s: bits from here on are not those of a run left alone", t->canary, its);
    return trainer_note(t, text);
}

static struct error *go_on(struct trainer *t)
{
    const struct resume *r = &t->resume;
    const char *text = r->note ? r->note : "";
    struct error *e = checkpoint_load(&t->training, r->file);
    if (!e)
        e = check_place(t, t->training.step);
    if (e)
        return e;
    if (r->trunk) {
        const char *slash = strrchr(t->stage->job->trunk, '/');
        checkpoint_trim(&t->training);
        text = arena_printf(t->stage->arena, "from %s%s%s", slash ? slash + 1 : t->stage->job->trunk, *text ? "; " : "", text);
        if (!text)
            return error_memory();
    }
    take_place(t);
    struct live_line line = trainer_line(t, "resumed");
    line.text = text;
    live_write(t->stage->live, line);
    e = training_event(&t->training, "resumed", text);
    return e ? e : compare_canary(t, r->file);
}

static struct error *begin(struct trainer *t)
{
    struct error *e = beginning_make(&t->begin, &t->training, t->stage->job->payload, t->stage->arena);
    if (!e)
        e = check_place(t, t->training.step);
    if (e)
        return e;
    if (t->training.step)
        take_place(t);
    char text[EVENT_TEXT] = "";
    if (t->begin.takes_moments)
        snprintf(text, sizeof text, "with the moments of %lld updates", (long long)t->optimizer.n_before);
    return training_event(&t->training, "start", t->resume.note ? t->resume.note : text);
}

static struct error *save_result(struct trainer *t)
{
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    int n = attributes_of(t, "finished", attributes);
    t->training.step = t->loop.step;
    t->training.rows = t->loop.first_row + t->loop.step * t->gradient.R;
    struct error *e = training_event(&t->training, "done", "");
    bool optim = keeping_at_end(t->stage->job, &t->loop.schedule);
    return e ? e : checkpoint_save(&t->training, t->stage->job->out, optim, attributes, n);
}

struct error *trainer_init(struct trainer *t, struct stage *stage)
{
    *t = (struct trainer){.stage = stage, .bpb = NAN};
    return NULL;
}

struct error *trainer_open(struct trainer *t, const struct trainer_setup *s)
{
    struct arena *arena = t->stage->arena;
    t->seed = s->seed;
    t->begin = s->begin;
    t->begin.seed = s->seed;
    struct error *e = resume_find(&t->resume, t->stage);
    if (!e)
        e = resume_device(&t->resume, s->precision, &t->dev);
    if (e)
        return e;
    int64_t most = s->rows > s->eval_rows ? s->rows : s->eval_rows;
    t->device_batch = (int)(s->device_batch < most ? s->device_batch : most);
    e = model_open(&t->model, t->dev, s->shape, arena);
    if (!e)
        e = model_reserve(&t->model, t->device_batch, s->seq_len, true);
    if (!e)
        e = optimizer_open_with(&t->optimizer, &t->model, &s->laws);
    if (!e)
        e = gradient_open(&t->gradient, &t->model, s->rows, s->seq_len, t->device_batch);
    if (e)
        return e;
    training_init(&t->training, &t->model, &t->optimizer);
    t->loop = (struct loop){.model = &t->model,
                            .optimizer = &t->optimizer,
                            .gradient = &t->gradient,
                            .schedule = s->schedule,
                            .eval_every = s->eval_every ? s->eval_every : -1,
                            .sample_every = s->sample_every ? s->sample_every : -1,
                            .until = t->stage->job->until == 0 ? 1 : t->stage->job->until,
                            .own = t,
                            .keep_due = keep_due,
                            .keep = keep,
                            .save_due = save_due,
                            .save = save,
                            .report = report,
                            .evaluated_step = -1,
                            .sampled_step = -1};
    e = canary_measure(&t->gradient, t->canary);
    if (!e)
        e = tokenizer_sets(s->tokenizer, arena, &t->training.extra, &t->training.n_extra);
    if (!e && device_emulates(t->dev))
        e = trainer_note(t, "bf16 is emulated, for this processor has no avx512_bf16: the same numbers, no faster than f32");
    return e;
}

struct error *trainer_run(struct trainer *t)
{
    struct error *e = t->resume.file ? go_on(t) : begin(t);
    if (!e && t->resume.note)
        e = trainer_note(t, t->resume.note);
    resume_close(&t->resume);
    int64_t n_rows = schedule_updates(&t->loop.schedule);
    n_rows = n_rows < ROWS_AT_ONCE ? n_rows : ROWS_AT_ONCE; // of longer trainings the tables grow now and then
    if (!e)
        e = table_reserve(&t->training.train, n_rows);
    if (!e)
        e = table_reserve(&t->training.timing, n_rows);
    t->resume.saved_at = clock_seconds();
    if (t->reads_ahead) // where no thread can be had rows are read when they are needed
        error_free(prefetch_open(&t->gradient.ahead, t->loop.rows));
    if (!e)
        e = loop_run(&t->loop);
    if (!e)
        e = settle(t);
    if (!e && t->loop.until <= 0)
        e = save_result(t);
    if (!e)
        point("train.result");
    if (!e) // here and not by the runner alone, which may have died meanwhile: they are large
        resume_forget(&t->resume);
    return e;
}

void trainer_close(struct trainer *t)
{
    int64_t step;
    error_free(background_finish(&t->background, &step)); // what ends the training has been told, or will be
    resume_close(&t->resume);
    prefetch_close(t->gradient.ahead);
    training_release(&t->training);
    if (t->dev)
        device_close(t->dev);
}
