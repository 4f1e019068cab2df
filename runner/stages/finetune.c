// finetune.c - training on a mixture of tasks: packed (batch_tokens is given: mid-training, and the SFT of 2026) or a conversation a row
// (SFT of 2025: rows is given).
//
// Flat       the mixture is one stream of tokens, all of them targets; n_steps is whole batches of one pass, times epochs
// Best fit   whole conversations, several to a row (mixture.h); targets are what the assistant says. n_steps as of flat ones
// A row      each conversation is a row, padded; targets are what the assistant says. One pass is floor(rows / batch) steps, and, as in
//            the reference, all but the last of them are made, of one that one; `steps` counts what is made. Conversations without a
//            target within seq_len are left out, and a note says how many
// Validation bits per byte over the test splits of the mixture's tasks, mixed as they are, up to eval_tokens; but of flat rows the
//            bytes of answers alone. Test splits that do not make one row are no failure: a note says so, and nothing is measured
// Moments    fresh, or those that training the model left (moments: model), with its count of updates for AdamW's correction
// Momentum   ramped as in pretraining where rows are packed, else 0.95
// Result     checkpoint.h's layout without /optim, with /tokenizer beside the model
// Loss       the mean over the targets of the whole update; the reference of 2026 takes that of each micro-batch, and their mean
// Source     nanochat 2025-10-13, mid_train and chat_sft; mid's learning rate as of 2025-10-15; nanochat 2026-07-03, chat_sft
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/data/mixture.h"
#include "core/eval/bpb.h"
#include "core/model/model_file.h"
#include "runner/stages/hyperparameters.h"
#include "runner/stages/task_inputs.h"
#include "runner/stages/trainer.h"

struct side { // training, or validation
    enum finetune_form form;
    struct mixture mixture;
    struct packed_rows packed;
    struct whole_rows whole;
    struct padded_rows padded;
    int64_t n_rows, n_dropped;
    const int32_t *lengths, *n_targets; // of rows that are not full
};

struct finetuning {
    struct trainer trainer;
    const struct finetune_options *options;
    struct task_inputs inputs;
    struct side training, validation;
    int64_t n_eval_rows;
    const char *no_validation; // why there is none though it is asked for, or NULL
};

static struct error *read_rows(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    const struct side *s = self;
    return s->form == FINETUNE_FLAT       ? packed_rows_read(&s->packed, first, n, inputs, targets)
           : s->form == FINETUNE_BEST_FIT ? whole_rows_read(&s->whole, first, n, T, inputs, targets)
                                          : padded_rows_read(&s->padded, first, n, T, inputs, targets);
}

static int width(void *self, int64_t row)
{
    const struct side *s = self;
    return s->lengths[row % s->n_rows];
}

static int n_targets(void *self, int64_t row)
{
    const struct side *s = self;
    return s->n_targets[row % s->n_rows];
}

static struct row_source rows_of(struct side *s)
{
    struct row_source rows = {.self = s, .read = read_rows};
    if (s->lengths) {
        rows.width = width;
        rows.n_targets = n_targets;
    }
    return rows;
}

static struct error *evaluate(void *self, int64_t step)
{
    struct finetuning *f = self;
    struct trainer *t = &f->trainer;
    struct bpb result;
    if (!f->n_eval_rows)
        return NULL;
    struct error *e = bpb_measure(&t->model, rows_of(&f->validation), f->n_eval_rows, t->model.shape.seq_len, t->device_batch,
                                  f->inputs.tokenizer->token_bytes, NULL, NULL, &result);
    if (e)
        return error_while(e, NOWHERE, "measuring bits per byte at step %lld", (long long)step);
    t->bpb = result.bpb;
    live_write(t->stage->live, trainer_line(t, "val"));
    return table_add(&t->training.val,
                     &(struct metric_val){
                         .step = step, .tokens = result.tokens, .bpb = result.bpb, .nats = result.nats, .bytes = result.bytes});
}

static struct error *open_side(struct side *s, const struct finetuning *f, const char *role, struct arena *arena)
{
    const struct finetune_options *o = f->options;
    struct mixture_part *parts;
    int n_parts;
    struct error *e = task_inputs_parts(&f->inputs, role, arena, &parts, &n_parts);
    if (e || !n_parts)
        return e;
    const struct tokenizer *tokenizer = f->inputs.tokenizer;
    s->form = finetune_form(o);
    if ((e = mixture_open(&s->mixture, parts, n_parts, (uint64_t)o->seed, MIXTURE_SHUFFLED, arena)))
        return e;
    switch (s->form) {
    case FINETUNE_FLAT:
        e = packed_rows_open(&s->packed, &s->mixture, o->seq_len, arena);
        s->n_rows = s->packed.n_rows;
        break;
    case FINETUNE_BEST_FIT:
        e = whole_rows_open(&s->whole, &s->mixture, o->seq_len, tokenizer_special(tokenizer, "<|bos|>"), arena);
        s->n_rows = s->whole.n_rows;
        s->n_dropped = s->whole.each.n_dropped;
        s->lengths = s->whole.lengths;
        s->n_targets = s->whole.n_targets;
        break;
    case FINETUNE_A_ROW:
        e = padded_rows_open(&s->padded, &s->mixture, o->seq_len, tokenizer_special(tokenizer, "<|assistant_end|>"), arena);
        s->n_rows = s->padded.n_rows;
        s->n_dropped = s->padded.n_dropped;
        s->lengths = s->padded.lengths;
        s->n_targets = s->padded.n_targets;
        break;
    }
    return e;
}

// The files of tasks were looked through when they were opened: what is wrong with their data by now is that there is too little.
static struct error *open_validation(struct finetuning *f, struct arena *arena)
{
    struct error *e = open_side(&f->validation, f, "test", arena);
    if (!e || e->kind != ERROR_DATA)
        return e;
    f->validation = (struct side){0};
    f->no_validation = arena_printf(arena, "no validation, tests too short: %s", e->what);
    error_free(e);
    return f->no_validation ? NULL : error_memory();
}

// Rows of validation until eval_tokens are reached, at least one.
static int64_t eval_rows(const struct side *s, int64_t seq_len, int64_t eval_tokens)
{
    if (s->form == FINETUNE_FLAT) {
        int64_t n = eval_tokens / seq_len > 0 ? eval_tokens / seq_len : 1;
        return n < s->n_rows ? n : s->n_rows;
    }
    int64_t tokens = 0, n = 0;
    while (n < s->n_rows && tokens < eval_tokens)
        tokens += s->lengths[n++];
    return n;
}

static struct error *tell_dropped(struct finetuning *f)
{
    const struct side *s = &f->training;
    char text[EVENT_TEXT];
    if (!s->n_dropped)
        return NULL;
    snprintf(text, sizeof text, "%lld of %lld conversations have nothing to learn within %lld tokens", (long long)s->n_dropped,
             (long long)s->mixture.n, (long long)f->options->seq_len);
    return trainer_note(&f->trainer, text);
}

static struct error *open_trainer(struct finetuning *f, const char *model, const struct shape *shape)
{
    const struct finetune_options *o = f->options;
    int64_t batch = f->training.form == FINETUNE_A_ROW ? o->rows : o->batch_tokens / o->seq_len;
    struct trainer_setup setup = {.shape = shape,
                                  .begin = {.from = model, .takes_moments = takes_moments(o)},
                                  .tokenizer = f->inputs.tokenizer,
                                  .precision = o->precision,
                                  .laws = finetune_laws(o, shape),
                                  .seed = o->seed,
                                  .rows = batch,
                                  .seq_len = shape->seq_len,
                                  .device_batch = o->device_batch,
                                  .eval_rows = f->n_eval_rows,
                                  .eval_every = o->eval_every};
    struct error *e = finetune_schedule(&setup.schedule, o, f->training.n_rows);
    if (!e)
        e = trainer_open(&f->trainer, &setup);
    if (!e)
        e = tell_dropped(f);
    if (!e && f->no_validation)
        e = trainer_note(&f->trainer, f->no_validation);
    struct loop *loop = &f->trainer.loop;
    loop->rows = rows_of(&f->training);
    f->trainer.reads_ahead = true;
    loop->self = f;
    loop->evaluate = f->n_eval_rows ? evaluate : NULL;
    return e;
}

static struct error *finetune(struct finetuning *f)
{
    const struct finetune_options *o = f->options;
    struct stage *stage = f->trainer.stage;
    const char *const *models;
    int n_models;
    struct shape shape;
    struct error *e = job_paths(stage->job, "model", &models, &n_models);
    if (!e)
        e = task_inputs_open(&f->inputs, stage->job, models[0], stage->arena);
    if (!e)
        e = open_side(&f->training, f, "mixture", stage->arena);
    if (!e)
        e = open_validation(f, stage->arena);
    if (!e)
        e = task_inputs_shape(models[0], &shape);
    if (e)
        return e;
    shape.seq_len = (int)o->seq_len;
    if (o->eval_every && f->validation.n_rows)
        f->n_eval_rows = eval_rows(&f->validation, o->seq_len, o->eval_tokens);
    e = open_trainer(f, models[0], &shape);
    return e ? e : trainer_run(&f->trainer);
}

struct error *stage_finetune(struct stage *stage)
{
    struct finetuning f = {.options = stage->job->options};
    struct error *e = trainer_init(&f.trainer, stage);
    if (!e)
        e = finetune(&f);
    trainer_close(&f.trainer);
    task_inputs_close(&f.inputs);
    return e;
}
