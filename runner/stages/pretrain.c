// pretrain.c - pretraining from token files: rows of the flat stream or of a mix of such, bits per byte of the validation text, samples.
//
// Result  checkpoint.h's layout without /optim, with /tokenizer beside the model
#include "core/data/rows.h"
#include "core/eval/bpb.h"
#include "core/infer/writer.h"
#include "runner/stages/hyperparameters.h"
#include "runner/stages/task_inputs.h"
#include "runner/stages/text_inputs.h"
#include "runner/stages/trainer.h"

struct pretraining {
    struct trainer trainer;
    const struct pretrain_options *options;
    struct text_inputs text;
    struct writer writer;
    int64_t n_eval_rows;
};

static struct error *evaluate(void *self, int64_t step)
{
    struct pretraining *p = self;
    struct trainer *t = &p->trainer;
    if (!p->n_eval_rows)
        return NULL;
    struct bpb result;
    struct error *e = bpb_measure(&t->model, text_rows(&p->text.validation), p->n_eval_rows, t->model.shape.seq_len,
                                  t->device_batch, p->text.tokenizer->token_bytes, NULL, NULL, &result);
    if (e)
        return error_while(e, NOWHERE, "measuring bits per byte at step %lld", (long long)step);
    t->bpb = result.bpb;
    live_write(t->stage->live, trainer_line(t, "val"));
    return table_add(&t->training.val,
                     &(struct metric_val){
                         .step = step, .tokens = result.tokens, .bpb = result.bpb, .nats = result.nats, .bytes = result.bytes});
}

static struct error *sample(void *self, int64_t step)
{
    struct pretraining *p = self;
    struct trainer *t = &p->trainer;
    struct error *e = writer_samples(&p->writer, p->text.tokenizer, (uint64_t)p->options->seed, step,
                                     step == t->loop.schedule.n_steps, &t->training.samples);
    if (!e)
        live_write(t->stage->live, trainer_line(t, "sample"));
    return e;
}

static struct error *open_trainer(struct pretraining *p, const char *from, const struct shape *shape, int64_t batch_tokens,
                                  int64_t n_steps)
{
    const struct pretrain_options *o = p->options;
    struct trainer_setup setup = {.shape = shape,
                                  .begin = {.from = from, .goes_on = true, .is_2026 = is_2026(o->architecture)},
                                  .tokenizer = p->text.tokenizer,
                                  .precision = o->precision,
                                  .schedule = pretrain_schedule(o, n_steps),
                                  .seed = o->seed,
                                  .rows = batch_tokens / shape->seq_len,
                                  .seq_len = shape->seq_len,
                                  .device_batch = o->device_batch,
                                  .eval_rows = p->n_eval_rows,
                                  .eval_every = o->eval_every,
                                  .sample_every = o->sample_every};
    struct error *e = pretrain_laws(&setup.laws, o, shape);
    if (!e)
        e = trainer_open(&p->trainer, &setup);
    if (!e)
        e = writer_open(&p->writer, &p->trainer.model);
    struct loop *loop = &p->trainer.loop;
    loop->rows = text_training(&p->text);
    p->trainer.reads_ahead = true;
    loop->self = p;
    loop->evaluate = evaluate;
    loop->sample = sample;
    return e;
}

// The model that it begins with is the one that it goes on to be: what its options say of sizes is held against it, and what they do not
// say (epsilon, rotary base, softcap, rows of padding) is as it is there.
static struct error *fit(struct shape *shape, const char *from)
{
    struct shape its;
    struct error *e = task_inputs_shape(from, &its);
    if (e)
        return error_while(e, NOWHERE, "beginning with '%s'", from);
    const struct {
        const char *name;
        int mine, its;
    } sizes[] = {{"n_layer", shape->n_layer, its.n_layer},       {"n_embd", shape->n_embd, its.n_embd},
                 {"n_head", shape->n_head, its.n_head},          {"n_kv_head", shape->n_kv_head, its.n_kv_head},
                 {"head_dim", shape->head_dim, its.head_dim},    {"n_mlp", shape->n_mlp, its.n_mlp},
                 {"the vocabulary", shape->n_vocab, its.n_vocab}};
    for (size_t i = 0; i < countof(sizes); i++)
        if (sizes[i].mine != sizes[i].its)
            return error_new(ERROR_RECIPE, NOWHERE, "leave the sizes out: they are those of the model that it begins with",
                             "%s is %d, and that of '%s' is %d", sizes[i].name, sizes[i].mine, from, sizes[i].its);
    shape->n_vocab_padded = its.n_vocab_padded;
    shape->norm_eps = its.norm_eps;
    shape->rope_base = its.rope_base;
    shape->softcap = its.softcap;
    return shape_check(shape);
}

static struct error *pretrain(struct pretraining *p)
{
    const struct pretrain_options *o = p->options;
    struct stage *stage = p->trainer.stage;
    struct shape shape;
    struct scaling_law law;
    const char *const *from = NULL;
    int n_from = 0;
    int64_t n_steps = 0;
    struct error *e = text_inputs_open(&p->text, stage->job, "tokenizer", o->seq_len, (uint64_t)o->seed, stage->arena);
    if (!e)
        e = shape_of(&shape, o, p->text.tokenizer->n_vocab);
    if (!e && o->from)
        e = job_paths(stage->job, "from", &from, &n_from);
    if (!e && from)
        e = fit(&shape, from[0]);
    if (!e)
        e = law_of(&law, o, &shape);
    if (!e)
        e = steps_of(&n_steps, o, &shape);
    if (e)
        return e;
    p->n_eval_rows = o->eval_tokens / shape.seq_len;
    if (p->n_eval_rows > p->text.validation.n_rows)
        p->n_eval_rows = p->text.validation.n_rows;
    e = open_trainer(p, from ? from[0] : NULL, &shape, law.batch_tokens, n_steps);
    return e ? e : trainer_run(&p->trainer);
}

struct error *stage_pretrain(struct stage *stage)
{
    struct pretraining p = {.options = stage->job->options};
    struct error *e = trainer_init(&p.trainer, stage);
    if (!e)
        e = pretrain(&p);
    trainer_close(&p.trainer);
    text_inputs_close(&p.text);
    return e;
}
