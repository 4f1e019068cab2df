// trainer.c - opens in the order in which a checkpoint needs it: the device by the recorded instruction set, then the model, then what
// is kept is loaded over it; begins from a model file or from initial weights where there is no checkpoint.
#include "runner/stages/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/model/model_file.h"
#include "core/text/tokenizer_file.h"

enum { CHECKPOINT_LEAST_S = 10, CHECKPOINT_MOST_S = 600, WRITE_SHARE = 50 };

struct live_line trainer_line(const struct trainer *t, const char *event)
{
    struct live_line line = live_line(event);
    line.step = t->loop.step;
    line.of = schedule_updates(&t->loop.schedule);
    line.unit = "steps";
    line.bpb = t->bpb;
    line.tok_s = t->tok_s;
    line.redo_s = clock_seconds() - t->last_saved;
    if (t->step_s > 0)
        line.eta_s = (double)(line.of - line.step) * t->step_s;
    if (t->text[0])
        line.text = t->text;
    return line;
}

static int attributes_of(const struct trainer *t, const char *state, struct store_attribute *attributes)
{
    return stage_attributes(t->stage, state, t->loop.step, schedule_updates(&t->loop.schedule), t->seed, t->device_batch, t->isa,
                            t->seconds_before, attributes);
}

static bool save_due(void *self)
{
    const struct trainer *t = self;
    return clock_seconds() - t->last_saved >= t->checkpoint_every_s;
}

static struct error *save(void *self, int64_t step)
{
    struct trainer *t = self;
    double start = clock_seconds();
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    struct arena_mark mark = arena_mark(t->stage->arena); // a training of weeks saves often
    int n = attributes_of(t, stop_requested() ? "stopped" : "running", attributes);
    t->training.step = step;
    t->training.rows = step * t->gradient.R;
    struct error *e = training_event(&t->training, "saved", "");
    if (!e)
        e = checkpoint_rotate(&t->training, t->part, t->prev, t->part_is_good, attributes, n);
    arena_reset(t->stage->arena, mark);
    if (e)
        return error_while(e, NOWHERE, "saving a checkpoint at step %lld", (long long)step);
    t->part_is_good = true;
    t->last_saved = clock_seconds();
    t->save_s += t->last_saved - start;
    if (!getenv("RETORT_CHECKPOINT_SECONDS"))
        t->checkpoint_every_s = fmin(fmax((t->last_saved - start) * WRITE_SHARE, CHECKPOINT_LEAST_S), CHECKPOINT_MOST_S);
    live_write(t->stage->live, trainer_line(t, "saved"));
    return NULL;
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
        e = table_add(&t->training.timing, &(struct timing_train){.step = r->step,
                                                                  .seconds = r->seconds,
                                                                  .save_s = t->save_s,
                                                                  .tok_s = tok_s,
                                                                  .mfu = NAN});
    t->save_s = 0;
    return e;
}

// The instruction-set path of a checkpoint is taken again if this processor has it; else the record says where bits may differ.
static struct error *open_device(struct trainer *t)
{
    const char *recorded = NULL;
    if (t->checkpoint) {
        struct error *e = store_get_text(t->checkpoint, "/", "isa", t->stage->arena, &recorded);
        if (e)
            return e;
        setenv("RETORT_ISA", recorded, 0);
    }
    struct fault fault;
    t->dev = device_open(DEVICE_CPU, 0, &fault);
    if (!t->dev)
        return error_from_fault(fault);
    t->isa = device_isa(t->dev);
    return NULL;
}

static struct error *go_on(struct trainer *t)
{
    struct training *kept = &t->training;
    const char *isa;
    char text[EVENT_TEXT] = "";
    struct error *e = checkpoint_load(kept, t->checkpoint);
    if (!e)
        e = store_get_f64(t->checkpoint, "/", "seconds", &t->seconds_before);
    if (!e)
        e = store_get_text(t->checkpoint, "/", "isa", t->stage->arena, &isa);
    if (e)
        return e;
    int64_t n_steps = schedule_updates(&t->loop.schedule);
    if (kept->step < 0 || kept->step > n_steps)
        return error_plain(ERROR_DATA, "the checkpoint stands at step %lld of %lld", (long long)kept->step, (long long)n_steps);
    t->loop.step = kept->step;
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
    if (strcmp(isa, t->isa))
        snprintf(text, sizeof text, "from here on %s instead of %s: bits may differ from a run left alone", t->isa, isa);
    else if (t->note)
        snprintf(text, sizeof text, "%s", t->note);
    struct live_line line = trainer_line(t, "resumed");
    line.text = text;
    live_write(t->stage->live, line);
    return training_event(kept, "resumed", text);
}

static struct error *begin(struct trainer *t)
{
    struct store_file *file = NULL;
    struct error *e = NULL;
    if (!t->from) {
        model_init_weights(&t->model, (uint64_t)t->seed);
    } else {
        e = store_open(&file, t->from);
        if (!e)
            e = model_file_load(file, &t->model);
        store_close(file);
    }
    return e ? e : training_event(&t->training, "start", t->note);
}

static struct error *save_result(struct trainer *t)
{
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    int n = attributes_of(t, "finished", attributes);
    t->training.step = t->loop.step;
    t->training.rows = t->loop.step * t->gradient.R;
    struct error *e = training_event(&t->training, "done", "");
    return e ? e : checkpoint_save(&t->training, t->stage->job->out, false, attributes, n);
}

struct error *trainer_init(struct trainer *t, struct stage *stage)
{
    *t = (struct trainer){.stage = stage, .bpb = NAN, .checkpoint_every_s = CHECKPOINT_LEAST_S};
    const char *every = getenv("RETORT_CHECKPOINT_SECONDS");
    if (every)
        t->checkpoint_every_s = strtod(every, NULL);
    int stem = (int)strlen(stage->job->out) - (int)strlen(".h5");
    t->part = arena_printf(stage->arena, "%.*s.part.h5", stem, stage->job->out);
    t->prev = arena_printf(stage->arena, "%.*s.part.prev.h5", stem, stage->job->out);
    return t->part && t->prev ? NULL : error_memory();
}

struct error *trainer_open(struct trainer *t, const struct trainer_setup *s)
{
    struct arena *arena = t->stage->arena;
    t->seed = s->seed;
    t->from = s->from;
    struct error *e = checkpoint_find(t->part, t->prev, arena, &t->checkpoint, &t->note);
    t->part_is_good = !t->note;
    if (!e)
        e = open_device(t);
    if (e)
        return e;
    int64_t most = s->rows > s->eval_rows ? s->rows : s->eval_rows;
    t->device_batch = (int)(s->device_batch < most ? s->device_batch : most);
    e = model_open(&t->model, t->dev, s->shape, arena);
    if (!e)
        e = model_reserve(&t->model, t->device_batch, s->seq_len, true);
    if (!e)
        e = optimizer_open(&t->optimizer, &t->model, &s->rates);
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
                            .own = t,
                            .save_due = save_due,
                            .save = save,
                            .report = report,
                            .evaluated_step = -1,
                            .sampled_step = -1};
    return tokenizer_sets(s->tokenizer, arena, &t->training.extra, &t->training.n_extra);
}

struct error *trainer_run(struct trainer *t)
{
    struct error *e = t->checkpoint ? go_on(t) : begin(t);
    store_close(t->checkpoint);
    t->checkpoint = NULL;
    t->last_saved = clock_seconds();
    if (!e)
        e = loop_run(&t->loop);
    if (!e)
        e = save_result(t);
    if (!e) { // here and not by the runner alone, which may have died meanwhile: they are large
        unlink(t->part);
        unlink(t->prev);
    }
    return e;
}

void trainer_close(struct trainer *t)
{
    store_close(t->checkpoint);
    training_release(&t->training);
    if (t->dev)
        device_close(t->dev);
}
