// work.c - setups as the stages make them (stages/trainer.c, grpo.c, eval.c, core/infer/writer.c), times how often.
#include "runner/graph/work.h"

#include <math.h>
#include <string.h>

#include "core/data/rows.h"
#include "core/infer/writer.h"
#include "runner/graph/estimate.h"
#include "runner/stages/hyperparameters.h"

enum { PASS_SAMPLES = 8, CHECKPOINT_FILES = 3 }; // files: the last, the one before, and the one that is being written

struct working {
    struct work *work;
    const struct graph_node *node;
    const struct work_facts *facts;
    struct work_setting *setting;
    struct shape shape;
    struct cost cost;
    struct cost_setup setup;
    double flops, seconds; // so far, without what is written
    double written;        // seconds of writing, if nothing ends early
    bool writes;
    bool is_bound; // no more validation text than this is looked at, but how much there is, is not known
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// Of `asked` tokens of validation those that there are, or may be.
static double validation(const struct working *w, int64_t asked)
{
    int64_t there = w->facts->validation_tokens >= 0 ? w->facts->validation_tokens : w->facts->validation_most;
    return (double)(there >= 0 ? least(asked, there) : asked);
}

static int64_t parts_of(int64_t n, int64_t size)
{
    return size > 0 ? n / size + (n % size > 0) : 0;
}

// The stage's own precision counts where somebody wrote it; else a GPU is taken as the reference uses it.
static bool is_f32(const struct working *w)
{
    const struct setting *s = w->node->stage ? stage_setting(w->node->stage, "precision") : NULL;
    bool is_written = s && s->by != BY_DEFAULT && s->by != BY_NOBODY;
    return hardware_is_here(w->setting->hardware) ||
           (is_written && stage_precision(w->node->kind, w->node->options) == PRECISION_F32);
}

// Of this machine as the stage says; of another in float32, and weigh() halves what would be.
static enum precision precision_here(const struct working *w)
{
    return hardware_is_here(w->setting->hardware) ? stage_precision(w->node->kind, w->node->options) : PRECISION_F32;
}

static double reached(const struct working *w)
{
    const struct hardware *h = w->setting->hardware;
    return (is_f32(w) ? h->f32 : h->bf16) * h->mfu * (double)w->setting->n_devices;
}

// Seconds of counted work; formula: its FLOPs as the reference counts them.
static double time_of(const struct working *w, struct device_counts c, double formula)
{
    const struct work_setting *s = w->setting;
    if (!hardware_is_here(s->hardware))
        return formula / reached(w);
    return s->measured ? c.seconds * machine_factor(s->measured, w->shape.n_embd) : NAN;
}

static void spend(struct working *w, struct device_counts c, double times, double formula)
{
    if (!(times > 0))
        return;
    w->flops += times * c.flops;
    w->seconds += times * time_of(w, c, formula);
}

// n answers to `prompts` prompts, each of at most so many tokens.
static void write_answers(struct working *w, double prompts, double n, double tokens)
{
    const struct cost *c = &w->cost;
    const struct work_setting *s = w->setting;
    double slots = (double)w->setup.slots, steps = ceil(n / slots) * tokens, seconds;
    if (!(n > 0))
        return;
    if (hardware_is_here(s->hardware))
        seconds = prompts / slots * time_of(w, c->prefill, NAN) + steps * time_of(w, c->step, NAN);
    else
        seconds = prompts / slots * c->prefill.flops / reached(w) +
                  steps * fmax(c->step.flops / reached(w),
                               c->step.bytes / (is_f32(w) ? 1 : 2) / s->hardware->bandwidth / (double)s->n_devices);
    w->writes = true;
    w->written += seconds;
}

static double formula_forward(const struct working *w)
{
    return shape_flops_per_token(&w->shape) / 3;
}

// Validations of a training: after every `every` steps, before the first and after the last.
static void evaluate(struct working *w, int64_t every, double tokens)
{
    double times = every > 0 && w->facts->steps > 0 ? (double)parts_of(w->facts->steps, every) + 1 : 0;
    double of = tokens / ((double)w->setup.batch * (double)w->setup.width);
    spend(w, w->cost.forward, times * of, formula_forward(w) * (double)w->setup.batch * (double)w->setup.width);
}

static int64_t batch_of(const struct working *w, int64_t asked, int64_t rows)
{
    return most(least(asked, parts_of(rows, w->setting->n_devices)), 1);
}

// Memory that the device has not is told with the batch that would do: activations grow evenly with it.
static void weigh(struct working *w, int64_t asked)
{
    struct work *work = w->work;
    double activations = (double)w->cost.activation_bytes, all = (double)w->cost.memory_bytes, limit = w->setting->memory_bytes;
    double share = is_f32(w) ? 1 : 0.5, fixed = all - activations;
    work->bytes_device = (int64_t)(fixed + share * activations);
    work->too_large = limit > 0 && (double)work->bytes_device > limit;
    work->device_batch_fits = 0;
    double row = share * activations / (double)most(w->setup.batch, 1);
    for (int64_t batch = 1; work->too_large && w->setup.batch && batch < asked && fixed + row * (double)batch <= limit;
         batch *= 2)
        work->device_batch_fits = batch;
}

static struct error *count(struct working *w)
{
    w->setup.precision = precision_here(w);
    w->setup.copies = hardware_is_here(w->setting->hardware);
    return cost_of(&w->setting->costs, &w->setup, &w->cost);
}

// Numbers that the optimizer of 2026 keeps of matrices beside their momentum: one of each row or column, whatever there are more of.
static double variances(const struct shape *s)
{
    int64_t C = s->n_embd, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim, n = 0;
    for (int l = 0; l < s->n_layer; l++)
        n += 2 * most(heads, C) + 2 * most(kv, C) + 2 * most(s->n_mlp, C) +
             (shape_has_values(s, l) ? most(s->n_kv_head, s->value_gate_channels) : 0);
    return (double)n;
}

static void disk(struct working *w)
{
    const struct shape *s = &w->shape;
    // Parameters and a moment of each, and a second one of all but the matrices: embeddings, unembedding, single numbers.
    int64_t matrices = shape_scaling_params(s) - (int64_t)s->n_vocab_padded * s->n_embd;
    double floats = 3 * (double)shape_params(s) - (double)matrices;
    floats += w->setup.optimizer_2026 ? variances(s) : 0;
    w->work->bytes_checkpoints = (int64_t)(CHECKPOINT_FILES * floats * sizeof(float));
    w->work->bytes_optimizer = (int64_t)((floats - (double)shape_params(s)) * sizeof(float));
}

static struct error *pretraining(struct working *w)
{
    const struct pretrain_options *o = w->node->options;
    int64_t T = w->shape.seq_len, rows = w->facts->batch_tokens / T, eval_rows = (int64_t)validation(w, o->eval_tokens) / T;
    w->setup = (struct cost_setup){.shape = w->shape,
                                   .batch = batch_of(w, o->device_batch, most(rows, eval_rows)),
                                   .T = T,
                                   .trains = true,
                                   .optimizer_2026 = is_2026(o->optimizer),
                                   .rows = rows,
                                   .width = T,
                                   .slots = WRITER_FREE,
                                   .capacity = least(WRITER_TOKENS + 1, T * POSITIONS_PER_SEQ_LEN)};
    struct error *e = count(w);
    if (e)
        return e;
    weigh(w, o->device_batch);
    disk(w);
    spend(w, w->cost.update, (double)w->facts->steps, w->facts->flops_per_token * (double)rows * (double)T);
    evaluate(w, o->eval_every, (double)eval_rows * (double)T);
    return NULL;
}

static struct error *finetuning(struct working *w)
{
    const struct finetune_options *o = w->node->options;
    bool is_packed = o->batch_tokens != FIELD_UNSET_INT;
    int64_t T = w->shape.seq_len, rows = is_packed ? o->batch_tokens / T : o->rows;
    int64_t batch = batch_of(w, o->device_batch, rows);
    // A micro-batch never has rows of two groups; it is as wide as its longest row.
    double width = is_packed ? (double)T : lengths_widest(&w->facts->rows, least(batch, parts_of(rows, ROW_GROUPS))) - 1;
    bool is_known = w->facts->steps > 0 && width >= 1;
    w->setup = (struct cost_setup){.shape = w->shape,
                                   .batch = batch,
                                   .T = T,
                                   .trains = true,
                                   .optimizer_2026 = is_2026(o->optimizer),
                                   .rows = rows,
                                   .width = is_known ? (int64_t)ceil(width) : T};
    struct error *e = count(w);
    if (e)
        return e;
    weigh(w, o->device_batch);
    disk(w);
    if (is_known) {
        spend(w, w->cost.update, (double)w->facts->steps, w->facts->flops_per_token * (double)rows * width);
        evaluate(w, o->eval_every, validation(w, o->eval_tokens));
    } else {
        w->flops = w->seconds = NAN;
    }
    return NULL;
}

static struct error *reinforcing(struct working *w)
{
    const struct grpo_options *o = w->node->options;
    int64_t longest = w->facts->rows.rows > 0 ? least(w->facts->rows.longest, w->shape.seq_len) : w->shape.seq_len;
    int64_t capacity = least(longest + o->max_tokens, (int64_t)w->shape.seq_len * POSITIONS_PER_SEQ_LEN);
    double answers = (double)o->rows * (double)o->samples, steps = (double)w->facts->steps;
    if (answers > (double)INT32_MAX)
        return NULL; // the stage refuses it
    w->setup = (struct cost_setup){.shape = w->shape,
                                   .batch = batch_of(w, o->device_batch, o->rows * o->samples),
                                   .T = capacity - 1,
                                   .trains = true,
                                   .optimizer_2026 = is_2026(o->optimizer),
                                   .rows = o->rows * o->samples,
                                   .width = capacity - 1,
                                   .slots = slots_of(o, &w->shape, capacity),
                                   .capacity = capacity,
                                   .prompt = longest};
    struct error *e = count(w);
    if (e)
        return e;
    weigh(w, o->device_batch);
    disk(w);
    if (!(steps > 0)) {
        w->flops = w->seconds = NAN;
        return NULL;
    }
    double tokens = answers * (double)w->setup.width,
           evaluations = o->eval_every > 0 ? ceil(steps / (double)o->eval_every) + 1 : 0;
    spend(w, w->cost.update, steps, shape_flops_per_token(&w->shape) * tokens);
    write_answers(w, steps * (double)o->rows, steps * answers, (double)o->max_tokens);
    write_answers(w, evaluations * (double)o->eval_rows,
                  evaluations * (double)o->eval_rows * (double)least(o->samples, PASS_SAMPLES), (double)o->max_tokens);
    w->flops = NAN; // the rows that an update needs are not known either
    return NULL;
}

// Prompts of the mean length, one after the other; a tenth more for what follows what choices share.
static struct error *asking(struct working *w)
{
    static const double BEHIND = 1.1;
    const struct eval_options *o = w->node->options;
    const struct prompt_guess *p = &w->facts->prompted;
    int64_t positions = (int64_t)w->shape.seq_len * POSITIONS_PER_SEQ_LEN;
    int64_t mean = p->n > 0 ? (int64_t)ceil(p->tokens / (double)p->n) : w->shape.seq_len, before = w->work->bytes_device;
    mean = most(least(mean, positions), 1);
    w->setup = (struct cost_setup){.shape = w->shape,
                                   .slots = most(p->n > 0 ? least(o->device_batch, p->n) : o->device_batch, 1),
                                   .capacity = least(most(2 * mean, w->shape.seq_len), positions),
                                   .prompt = mean};
    struct error *e = count(w);
    if (e)
        return e;
    weigh(w, o->device_batch);
    w->work->bytes_device = most(w->work->bytes_device, before);
    w->writes = true; // a guess, rather too much
    w->flops = NAN;
    w->written +=
        p->n < 0 ? NAN : BEHIND * (double)p->n / (double)w->setup.slots * time_of(w, w->cost.prefill, w->cost.prefill.flops);
    return NULL;
}

static struct error *evaluating(struct working *w)
{
    const struct eval_options *o = w->node->options;
    int64_t T = w->shape.seq_len, n = w->facts->choices + w->facts->written;
    bool has_text = graph_input(w->node, "validation") != NULL, has_tasks = first_chat(&o->tasks);
    bool is_known = !has_tasks || (w->facts->choices >= 0 && w->facts->written >= 0 && w->facts->rows.rows > 0);
    double tokens = floor(validation(w, o->eval_tokens) / (double)T) * (double)T;
    w->is_bound = has_text && w->facts->validation_tokens < 0;
    int64_t positions = (int64_t)T * POSITIONS_PER_SEQ_LEN,
            prompt = is_known && has_tasks ? (int64_t)ceil(lengths_mean(&w->facts->rows)) : T;
    prompt = most(least(prompt, T), 1);
    w->setup = (struct cost_setup){.shape = w->shape};
    if (has_text) {
        w->setup.batch = batch_of(w, o->device_batch, most((int64_t)(tokens / (double)T), 1));
        w->setup.T = w->setup.width = T;
    }
    if (has_tasks) {
        w->setup.slots = most(is_known ? least(o->device_batch, n) : o->device_batch, 1);
        w->setup.capacity = least(T + o->max_tokens, positions);
        w->setup.prompt = prompt;
    }
    struct error *e = has_text || has_tasks ? count(w) : NULL;
    if (e)
        return e;
    if (has_text || has_tasks)
        weigh(w, o->device_batch);
    if (has_text)
        spend(w, w->cost.forward, tokens / ((double)w->setup.batch * (double)T),
              formula_forward(w) * (double)w->setup.batch * (double)T);
    if (!is_known) {
        w->flops = w->seconds = NAN;
        return w->facts->prompted.n ? asking(w) : NULL;
    }
    if (has_tasks)
        spend(w, w->cost.prefill, (double)n / (double)w->setup.slots, w->cost.prefill.flops);
    write_answers(w, 0, (double)w->facts->written, (double)o->max_tokens);
    if (w->writes)
        w->flops = NAN;
    return w->facts->prompted.n ? asking(w) : NULL;
}

struct error *work_of(struct work *work, const struct graph_node *node, const struct work_facts *facts,
                      struct work_setting *setting)
{
    struct working w = {.work = work, .node = node, .facts = facts, .setting = setting};
    bool known;
    *work = (struct work){
        .bytes_device = -1, .bytes_checkpoints = -1, .bytes_optimizer = -1, .flops = NAN, .seconds = NAN, .seconds_most = NAN};
    struct error *e = estimate_shape(node, &w.shape, &known);
    if (e || !known)
        return e;
    e = node->kind == KIND_PRETRAIN   ? pretraining(&w)
        : node->kind == KIND_FINETUNE ? finetuning(&w)
        : node->kind == KIND_GRPO     ? reinforcing(&w)
        : node->kind == KIND_EVAL     ? evaluating(&w)
                                      : NULL;
    if (e || work->bytes_device < 0)
        return e;
    work->flops = w.flops;
    if (w.writes || w.is_bound)
        work->seconds_most = w.seconds + w.written;
    else
        work->seconds = w.seconds;
    return NULL;
}
