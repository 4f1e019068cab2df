// pretrain.c - pretraining from token files: opens everything, goes on from the newest checkpoint that verifies, runs the loop, and
// keeps what it measured.
//
// Result  checkpoint.h's layout without /optim, with /tokenizer beside the model
// Files   OUT.h5 is the result; OUT.part.h5 and OUT.part.prev.h5 are checkpoints, made every RETORT_CHECKPOINT_SECONDS or as often as
//         keeps the time for writing them under a fiftieth
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/data/rows.h"
#include "core/eval/bpb.h"
#include "core/infer/writer.h"
#include "core/store/atomic.h"
#include "core/text/tokenizer_file.h"
#include "core/train/checkpoint.h"
#include "core/train/loop.h"
#include "runner/stages/shape_of.h"
#include "runner/stages/stage.h"
#include "runner/stages/text_inputs.h"

enum { CHECKPOINT_LEAST_S = 10, CHECKPOINT_MOST_S = 600, WRITE_SHARE = 50 };

struct pretraining {
    struct stage *stage;
    const struct pretrain_options *options;
    struct text_inputs text;
    struct device *dev;
    struct model model;
    struct optimizer optimizer;
    struct gradient gradient;
    struct training training;
    struct loop loop;
    struct writer writer;
    const char *part, *prev, *isa;
    bool part_is_good; // nothing was passed over when the checkpoint was looked for
    int64_t n_eval_rows;
    int device_batch; // rows computed at once: no more than there are
    double seconds_before, checkpoint_every_s, last_saved, save_s, tok_s, bpb;
};

static struct live_line progress_line(const struct pretraining *p, const char *event)
{
    struct live_line line = live_line(event);
    line.step = p->loop.step;
    line.of = p->loop.schedule.n_steps;
    line.unit = "steps";
    line.bpb = p->bpb;
    line.tok_s = p->tok_s;
    line.redo_s = clock_seconds() - p->last_saved;
    if (p->tok_s > 0)
        line.eta_s = (double)(line.of - line.step) * (double)p->options->batch_tokens / p->tok_s;
    return line;
}

static int attributes_of(const struct pretraining *p, const char *state, struct store_attribute *attributes)
{
    return stage_attributes(p->stage, state, p->loop.step, p->loop.schedule.n_steps, p->options->seed, p->device_batch, p->isa,
                            p->seconds_before, attributes);
}

static struct error *evaluate(void *self, int64_t step)
{
    struct pretraining *p = self;
    if (!p->n_eval_rows)
        return NULL;
    struct bpb result;
    struct error *e = bpb_measure(&p->model, text_rows(&p->text.validation), p->n_eval_rows, p->model.shape.seq_len,
                                  p->device_batch, p->text.tokenizer->token_bytes, NULL, NULL, &result);
    if (e)
        return error_while(e, NOWHERE, "measuring bits per byte at step %lld", (long long)step);
    p->bpb = result.bpb;
    struct live_line line = progress_line(p, "val");
    live_write(p->stage->live, line);
    return table_add(&p->training.val,
                     &(struct metric_val){
                         .step = step, .tokens = result.tokens, .bpb = result.bpb, .nats = result.nats, .bytes = result.bytes});
}

static struct error *sample(void *self, int64_t step)
{
    struct pretraining *p = self;
    struct error *e = writer_samples(&p->writer, p->text.tokenizer, (uint64_t)p->options->seed, step,
                                     step == p->loop.schedule.n_steps, &p->training.samples);
    if (!e)
        live_write(p->stage->live, progress_line(p, "sample"));
    return e;
}

static bool save_due(void *self)
{
    const struct pretraining *p = self;
    return clock_seconds() - p->last_saved >= p->checkpoint_every_s;
}

static struct error *save(void *self, int64_t step)
{
    struct pretraining *p = self;
    double start = clock_seconds();
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    struct arena_mark mark = arena_mark(p->stage->arena); // a training of weeks saves often
    int n = attributes_of(p, stop_requested() ? "stopped" : "running", attributes);
    p->training.step = step;
    p->training.rows = step * p->gradient.R;
    struct error *e = training_event(&p->training, "saved", "");
    if (!e)
        e = checkpoint_rotate(&p->training, p->part, p->prev, p->part_is_good, attributes, n);
    arena_reset(p->stage->arena, mark);
    if (e)
        return error_while(e, NOWHERE, "saving a checkpoint at step %lld", (long long)step);
    p->part_is_good = true;
    p->last_saved = clock_seconds();
    p->save_s += p->last_saved - start;
    if (!getenv("RETORT_CHECKPOINT_SECONDS"))
        p->checkpoint_every_s = fmin(fmax((p->last_saved - start) * WRITE_SHARE, CHECKPOINT_LEAST_S), CHECKPOINT_MOST_S);
    live_write(p->stage->live, progress_line(p, "saved"));
    return NULL;
}

static struct error *report(void *self, const struct step_report *r)
{
    struct pretraining *p = self;
    double tok_s = (double)p->options->batch_tokens / r->seconds;
    p->tok_s = p->tok_s > 0 ? 0.9 * p->tok_s + 0.1 * tok_s : tok_s;
    struct live_line line = progress_line(p, "step");
    line.loss = r->loss;
    live_write(p->stage->live, line);
    struct error *e = table_add(&p->training.train, &(struct metric_train){.step = r->step,
                                                                           .tokens = r->step * p->options->batch_tokens,
                                                                           .loss = r->loss,
                                                                           .grad_norm = r->grad_norm,
                                                                           .lr_scale = r->lr_scale,
                                                                           .momentum = r->momentum});
    if (!e)
        e = table_add(
            &p->training.timing,
            &(struct timing_train){.step = r->step, .seconds = r->seconds, .save_s = p->save_s, .tok_s = tok_s, .mfu = NAN});
    p->save_s = 0;
    return e;
}

// The instruction-set path of a checkpoint is taken again if this processor has it; else the record says where bits may differ.
static struct error *open_device(struct pretraining *p, struct store_file *checkpoint)
{
    const char *recorded = NULL;
    if (checkpoint) {
        struct error *e = store_get_text(checkpoint, "/", "isa", p->stage->arena, &recorded);
        if (e)
            return e;
        setenv("RETORT_ISA", recorded, 0);
    }
    struct fault fault;
    p->dev = device_open(DEVICE_CPU, 0, &fault);
    if (!p->dev)
        return error_from_fault(fault);
    p->isa = device_isa(p->dev);
    return NULL;
}

static struct error *open_training(struct pretraining *p)
{
    const struct pretrain_options *o = p->options;
    struct arena *arena = p->stage->arena;
    struct shape shape;
    int64_t n_steps;
    struct error *e = shape_of(&shape, o, p->text.tokenizer->n_vocab);
    if (!e)
        e = steps_of(&n_steps, o, &shape);
    if (e)
        return e;
    p->n_eval_rows = o->eval_tokens / shape.seq_len;
    if (p->n_eval_rows > p->text.validation.n_rows)
        p->n_eval_rows = p->text.validation.n_rows;
    int64_t rows = o->batch_tokens / shape.seq_len;
    int64_t most = rows > p->n_eval_rows ? rows : p->n_eval_rows;
    p->device_batch = (int)(o->device_batch < most ? o->device_batch : most);
    e = model_open(&p->model, p->dev, &shape, arena);
    if (!e)
        e = model_reserve(&p->model, p->device_batch, shape.seq_len, true);
    struct rates rates = {.matrix_lr = o->matrix_lr,
                          .embedding_lr = o->embedding_lr,
                          .unembedding_lr = o->unembedding_lr,
                          .weight_decay = o->weight_decay,
                          .grad_clip = o->grad_clip};
    if (!e)
        e = optimizer_open(&p->optimizer, &p->model, &rates);
    if (!e)
        e = gradient_open(&p->gradient, &p->model, rows, shape.seq_len, p->device_batch);
    if (!e)
        e = writer_open(&p->writer, &p->model);
    if (e)
        return e;
    training_init(&p->training, &p->model, &p->optimizer);
    p->loop = (struct loop){.model = &p->model,
                            .optimizer = &p->optimizer,
                            .gradient = &p->gradient,
                            .rows = text_rows(&p->text.training),
                            .schedule = {n_steps, o->warmup, o->warmdown, o->final_lr},
                            .eval_every = o->eval_every ? o->eval_every : -1,
                            .sample_every = o->sample_every ? o->sample_every : -1,
                            .self = p,
                            .evaluate = evaluate,
                            .sample = sample,
                            .save_due = save_due,
                            .save = save,
                            .report = report,
                            .evaluated_step = -1,
                            .sampled_step = -1};
    return tokenizer_sets(p->text.tokenizer, arena, &p->training.extra, &p->training.n_extra);
}

static struct error *go_on_from(struct pretraining *p, struct store_file *checkpoint, const char *note)
{
    struct training *t = &p->training;
    const char *isa;
    char text[EVENT_TEXT] = "";
    struct error *e = checkpoint_load(t, checkpoint);
    if (!e)
        e = store_get_f64(checkpoint, "/", "seconds", &p->seconds_before);
    if (!e)
        e = store_get_text(checkpoint, "/", "isa", p->stage->arena, &isa);
    if (e)
        return e;
    if (t->step < 0 || t->step > p->loop.schedule.n_steps)
        return error_plain(ERROR_DATA, "the checkpoint stands at step %lld of %lld", (long long)t->step,
                           (long long)p->loop.schedule.n_steps);
    p->loop.step = t->step;
    if (t->val.n) {
        const struct metric_val *last = (const struct metric_val *)t->val.rows + t->val.n - 1;
        p->loop.evaluated_step = last->step;
        p->bpb = last->bpb;
    }
    if (t->samples.n)
        p->loop.sampled_step = ((const struct sample *)t->samples.rows + t->samples.n - 1)->step;
    if (strcmp(isa, p->isa))
        snprintf(text, sizeof text, "from here on %s instead of %s: bits may differ from a run left alone", p->isa, isa);
    else if (note)
        snprintf(text, sizeof text, "%s", note);
    struct live_line line = progress_line(p, "resumed");
    line.text = text;
    live_write(p->stage->live, line);
    return training_event(t, "resumed", text);
}

static struct error *save_result(struct pretraining *p)
{
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    struct training *t = &p->training;
    int n = attributes_of(p, "finished", attributes);
    t->step = p->loop.step;
    t->rows = t->step * p->gradient.R;
    struct error *e = training_event(t, "done", "");
    if (!e)
        e = checkpoint_save(t, p->stage->job->out, false, attributes, n);
    return e;
}

static struct error *pretrain(struct pretraining *p)
{
    struct arena *arena = p->stage->arena;
    struct store_file *checkpoint = NULL;
    const char *note = NULL;
    struct error *e =
        text_inputs_open(&p->text, p->stage->job, "tokenizer", p->options->seq_len, (uint64_t)p->options->seed, arena);
    if (!e)
        e = checkpoint_find(p->part, p->prev, arena, &checkpoint, &note);
    p->part_is_good = !note;
    if (!e)
        e = open_device(p, checkpoint);
    if (!e)
        e = open_training(p);
    if (!e && checkpoint)
        e = go_on_from(p, checkpoint, note);
    else if (!e) {
        model_init_weights(&p->model, (uint64_t)p->options->seed);
        e = training_event(&p->training, "start", note);
    }
    store_close(checkpoint);
    p->last_saved = clock_seconds();
    if (!e)
        e = loop_run(&p->loop);
    if (!e)
        e = save_result(p);
    if (!e) { // here and not by the runner alone, which may have died meanwhile: they are large
        unlink(p->part);
        unlink(p->prev);
    }
    return e;
}

struct error *stage_pretrain(struct stage *stage)
{
    struct pretraining p = {.stage = stage, .options = stage->job->options, .bpb = NAN, .checkpoint_every_s = CHECKPOINT_LEAST_S};
    const char *every = getenv("RETORT_CHECKPOINT_SECONDS");
    if (every)
        p.checkpoint_every_s = strtod(every, NULL);
    int stem = (int)strlen(stage->job->out) - (int)strlen(".h5");
    p.part = arena_printf(stage->arena, "%.*s.part.h5", stem, stage->job->out);
    p.prev = arena_printf(stage->arena, "%.*s.part.prev.h5", stem, stage->job->out);
    if (!p.part || !p.prev)
        return error_memory();
    struct error *e = pretrain(&p);
    training_release(&p.training);
    text_inputs_close(&p.text);
    if (p.dev)
        device_close(p.dev);
    return e;
}
