// grpo.c - reinforcement by the rewards of tasks: before each update answers are sampled from the model as it is, and graded.
//
// Questions  `rows` a step, in the order of the mixture, round and round. A mixture of one entry keeps the task's fixed order, as the
//            reference walks its one task; several are shuffled by the seed
// Rollouts   `samples` answers a question. Row r of the run (step * rows + question, times samples, plus sample) draws from random
//            stream r, so a step that is made again after a stop has the same answers; each answer is trained on once
// Reward     1 where the task's grader finds the text of the whole answer right, forced output included; else 0. Answers that are
//            programs are run one after the other, as they end (core/sandbox)
// Score      pass@k for k up to PASS_SAMPLES over the first eval_rows held-out questions, which draw the same random numbers each time,
//            from streams of their own (PASS_STREAMS). Where the test splits are empty a note says so, and nothing is scored
// Rate       falls from lr_frac of the learning rates evenly to zero; no clipping; momentum 0.95
// Result     checkpoint.h's layout without /optim, with /tokenizer, /metrics/rollouts, /metrics/pass and /rollouts (metrics.h)
// Source     nanochat 2025-10-13, chat_rl; the loss is over the number of targets of the whole update (rollouts.h), not of each pass
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/stop.h"
#include "core/eval/grader.h"
#include "core/infer/engine.h"
#include "core/infer/transcript.h"
#include "core/text/utf8.h"
#include "core/train/rollouts.h"
#include "runner/stages/hyperparameters.h"
#include "runner/stages/task_inputs.h"
#include "runner/stages/trainer.h"

enum { PASS_SAMPLES = 8, ROLLOUTS_MOST = 1 << 20, KEPT = 2, KEPT_OF_LAST = 4, ANSWERS_A_LINE = 32, MEASURED_A_POLL = 1 << 16 };

static const uint64_t PASS_STREAMS = (uint64_t)1 << 63;

struct questions { // to learn from, or held out
    struct mixture mixture;
    const enum task_grader *graders; // one a part
};

struct grpo;

struct asked { // a job of the engine
    const struct task_rows *rows;
    int64_t row;
    enum task_grader grader;
};

struct asking { // one run of the engine
    struct grpo *grpo;
    int n_samples;
    int64_t n_done, n; // answers
    uint8_t *right;    // [questions, n_samples]; NULL: the answers become rollouts
};

struct grpo {
    struct trainer trainer;
    const struct grpo_options *options;
    struct task_inputs inputs;
    struct questions training, held_out;
    int64_t n_held_out;   // to score by; 0: there are none
    const char *no_score; // why there are none though they are asked for, or NULL
    int prompt_most, capacity;
    struct engine engine;
    struct sandbox *sandbox; // where answers are programs
    struct rollouts rollouts;
    struct asked *asked;
    struct engine_job *jobs;
    int32_t *prompts; // [questions, prompt_most]
    uint8_t *right;   // [n_held_out, PASS_SAMPLES]
    struct bytes text;
    struct table rewards, pass, kept;
};

static int pass_samples(const struct grpo *g)
{
    return g->options->samples < PASS_SAMPLES ? (int)g->options->samples : PASS_SAMPLES;
}

static double mean(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

// For the display: the last mean reward and the last score.
static void tell(struct grpo *g)
{
    char *text = g->trainer.text;
    size_t size = sizeof g->trainer.text, n = 0;
    text[0] = '\0';
    if (g->rewards.n)
        n = (size_t)snprintf(text, size, "reward %.2f  ",
                             ((const struct metric_rollouts *)g->rewards.rows)[g->rewards.n - 1].reward);
    for (int64_t i = g->pass.n; i-- > 0;)
        if (((const struct metric_pass *)g->pass.rows)[i].k == 1) {
            snprintf(text + n, size - n, "pass@1 %.2f", ((const struct metric_pass *)g->pass.rows)[i].pass);
            break;
        }
}

static void tell_answers(const struct asking *asking)
{
    struct grpo *g = asking->grpo;
    char text[sizeof g->trainer.text + 64];
    snprintf(text, sizeof text, "%lld of %lld %s  %s", (long long)asking->n_done, (long long)asking->n,
             asking->right ? "answers to score" : "answers", g->trainer.text);
    struct live_line line = trainer_line(&g->trainer, "step");
    line.text = text;
    live_write(g->trainer.stage->live, line);
}

static struct error *grade_answer(struct grpo *g, const struct asked *asked, bool *right)
{
    struct task_answer answer = task_rows_answer(asked->rows, asked->row);
    struct sandbox_outcome outcome;
    const char *text = (const char *)g->text.byte;
    if (asked->grader != GRADER_PYTHON_TESTS) {
        *right = grade(asked->grader, answer.text, answer.n_text, text, g->text.n);
        return NULL;
    }
    struct error *e = grade_program(g->sandbox, answer.text, answer.n_text, text, g->text.n, &outcome);
    *right = !e && outcome.verdict == SANDBOX_PASSED;
    return e;
}

static struct error *take_answer(void *self, const struct engine_row *row)
{
    struct asking *asking = self;
    struct grpo *g = asking->grpo;
    const struct asked *asked = &g->asked[row->job];
    const struct engine_job *job = &g->jobs[row->job];
    bool right;
    g->text.n = 0;
    struct error *e = tokenizer_text(g->inputs.tokenizer, row->ids, (size_t)row->n, &g->text);
    if (!e)
        e = grade_answer(g, asked, &right);
    if (e)
        return e;
    if (asking->right)
        asking->right[row->job * asking->n_samples + row->sample] = right;
    else
        rollouts_set(&g->rollouts, row->job, row->sample, job->prompt, job->n_prompt, row->ids, row->mask, row->n, right);
    if (++asking->n_done % ANSWERS_A_LINE == 0)
        tell_answers(asking);
    return NULL;
}

// Questions first .. first+n-1 of the order, modulo its length.
static struct error *ask(struct asking *asking, const struct questions *questions, int64_t first, int n, uint64_t stream)
{
    struct grpo *g = asking->grpo;
    const struct grpo_options *o = g->options;
    const struct mixture *m = &questions->mixture;
    asking->n = (int64_t)n * asking->n_samples;
    for (int i = 0; i < n; i++) {
        struct mixture_example example = mixture_at(m, (first + i) % m->n);
        int32_t *prompt = g->prompts + (size_t)i * (size_t)g->prompt_most;
        g->asked[i] = (struct asked){m->parts[example.part].rows, example.row, questions->graders[example.part]};
        g->jobs[i] = (struct engine_job){
            .prompt = prompt,
            .n_prompt = (int)task_rows_prompt(g->asked[i].rows, example.row, g->trainer.model.shape.seq_len, prompt),
            .n_samples = asking->n_samples,
            .stream = stream + (uint64_t)i * (uint64_t)asking->n_samples,
            .max_tokens = (int)o->max_tokens,
            .sampling = {.temperature = o->temperature, .top_k = (int)o->top_k}};
    }
    return engine_run(&g->engine, g->jobs, n, philox_for((uint64_t)o->seed, PHILOX_ROLLOUT),
                      (struct engine_hooks){.self = asking, .row = take_answer});
}

static bool is_mixed(const struct rollouts *r, int question)
{
    for (int s = 0; s < r->n_samples; s++)
        if (r->advantage[question * r->n_samples + s] != 0)
            return true;
    return false;
}

// Tokens as a person reads them, into a member of a table.
static struct error *read_out(const struct grpo *g, const int32_t *ids, int n, char *to, size_t size)
{
    struct transcript t = {.tokenizer = g->inputs.tokenizer};
    struct error *e = NULL;
    for (int i = 0; i < n && !e; i++)
        e = transcript_add(&t, ids[i]);
    if (!e)
        e = transcript_end(&t);
    struct bytes text = {0};
    if (!e)
        e = utf8_repair(t.text.byte, t.text.n, &text);
    if (!e)
        table_text(to, size, text.n ? (const char *)text.byte : "", text.n);
    bytes_release(&text);
    transcript_release(&t);
    return e;
}

static struct error *keep(struct grpo *g, int64_t step, int question, int sample)
{
    const struct rollouts *r = &g->rollouts;
    size_t row = (size_t)question * (size_t)r->n_samples + (size_t)sample;
    const int32_t *ids = r->ids + row * ((size_t)r->T + 1);
    int n_prompt = g->jobs[question].n_prompt;
    struct rollout kept = {.step = step,
                           .question = g->asked[question].row,
                           .sample = sample,
                           .reward = r->reward[row],
                           .advantage = r->advantage[row]};
    struct error *e = read_out(g, ids, n_prompt, kept.prompt, sizeof kept.prompt);
    if (!e)
        e = read_out(g, ids + n_prompt, r->lengths[row] - n_prompt, kept.text, sizeof kept.text);
    return e ? e : table_add(&g->kept, &kept);
}

// Of the first question from which something can be learned, else of the first: right and wrong answers, as evenly as there are.
static struct error *keep_some(struct grpo *g, int64_t step, int n)
{
    const struct rollouts *r = &g->rollouts;
    int question = 0, n_right = 0, wanted[2];
    for (int q = r->n_questions; q-- > 0;)
        if (is_mixed(r, q))
            question = q;
    const double *reward = r->reward + (size_t)question * (size_t)r->n_samples;
    for (int s = 0; s < r->n_samples; s++)
        n_right += reward[s] > 0;
    int n_wrong = r->n_samples - n_right;
    wanted[1] = n_wrong < n / 2 ? n - n_wrong : n / 2;
    wanted[0] = n_right < wanted[1] ? n - n_right : n - wanted[1];
    struct error *e = NULL;
    for (int s = 0; s < r->n_samples && !e; s++)
        if (wanted[reward[s] > 0]-- > 0)
            e = keep(g, step, question, s);
    return e;
}

// Tables name the update by the updates done after it, as /metrics/train does.
static struct error *record(struct grpo *g, int64_t step)
{
    const struct rollouts *r = &g->rollouts;
    int64_t n = (int64_t)r->n_questions * r->n_samples;
    struct metric_rollouts row = {.step = step, .rollouts = n, .reward = mean(r->reward, n)};
    for (int64_t i = 0; i < n; i++) {
        row.tokens += r->n_targets[i];
        row.length += (double)r->lengths[i] / (double)n;
    }
    for (int q = 0; q < r->n_questions; q++)
        row.mixed += is_mixed(r, q);
    struct error *e = table_add(&g->rewards, &row);
    if (!e)
        e = keep_some(g, step, step == schedule_updates(&g->trainer.loop.schedule) ? KEPT_OF_LAST : KEPT);
    tell(g);
    return e;
}

static struct error *prepare(void *self, int64_t step)
{
    struct grpo *g = self;
    int64_t n = g->rollouts.n_questions, n_samples = g->rollouts.n_samples;
    struct asking asking = {.grpo = g, .n_samples = (int)n_samples};
    struct error *e = ask(&asking, &g->training, step * n, (int)n, (uint64_t)(step * n * n_samples));
    if (e)
        return error_while(e, NOWHERE, "sampling answers at step %lld", (long long)step);
    rollouts_finish(&g->rollouts);
    return record(g, step + 1);
}

static struct error *evaluate(void *self, int64_t step)
{
    struct grpo *g = self;
    double pass[PASS_SAMPLES];
    struct asking asking = {.grpo = g, .n_samples = pass_samples(g), .right = g->right};
    struct error *e = ask(&asking, &g->held_out, 0, (int)g->n_held_out, PASS_STREAMS);
    if (e)
        return error_while(e, NOWHERE, "scoring at step %lld", (long long)step);
    pass_at_k(g->right, g->n_held_out, asking.n_samples, pass);
    for (int k = 1; k <= asking.n_samples && !e; k++)
        e = table_add(&g->pass, &(struct metric_pass){.step = step, .k = k, .n = g->n_held_out, .pass = pass[k - 1]});
    tell(g);
    live_write(g->trainer.stage->live, trainer_line(&g->trainer, "val"));
    return e;
}

// A stop between sampling and updating leaves rows of the update that was not made; it samples the same again.
static void resumed(void *self)
{
    struct grpo *g = self;
    int64_t step = g->trainer.loop.step;
    while (g->rewards.n && ((const struct metric_rollouts *)g->rewards.rows)[g->rewards.n - 1].step > step)
        g->rewards.n--;
    while (g->kept.n && ((const struct rollout *)g->kept.rows)[g->kept.n - 1].step > step)
        g->kept.n--;
    if (g->pass.n)
        g->trainer.loop.evaluated_step = ((const struct metric_pass *)g->pass.rows)[g->pass.n - 1].step;
    tell(g);
}

// The longest prompt of examples 0 .. n-1 raises prompt_most.
static struct error *measure(struct grpo *g, const struct questions *questions, int64_t n, int64_t seq_len)
{
    for (int64_t i = 0; i < n; i++) {
        if (i % MEASURED_A_POLL == 0 && stop_requested())
            return error_stopped();
        struct mixture_example example = mixture_at(&questions->mixture, i);
        const struct mixture_part *part = &questions->mixture.parts[example.part];
        int64_t n_prompt = task_rows_prompt(part->rows, example.row, seq_len, NULL);
        if (!n_prompt)
            return error_plain(ERROR_DATA, "row %lld of task '%s' is no question: its last message is not the assistant's",
                               (long long)example.row, part->name);
        g->prompt_most = n_prompt > g->prompt_most ? (int)n_prompt : g->prompt_most;
    }
    return NULL;
}

static struct error *open_questions(struct questions *questions, const struct grpo *g, const char *role, struct arena *arena)
{
    const struct job *job = g->trainer.stage->job;
    struct mixture_part *parts;
    int n_parts, n = 0;
    struct error *e = task_inputs_parts(&g->inputs, role, arena, &parts, &n_parts);
    if (e || !n_parts)
        return e;
    enum task_grader *graders = arena_array(arena, (size_t)n_parts, sizeof *graders);
    if (!graders)
        return error_memory();
    for (int i = 0; i < job->n_tasks; i++) {
        if (strcmp(job->tasks[i].role, role))
            continue;
        if (job->tasks[i].grader == GRADER_NONE)
            return error_new(ERROR_RECIPE, NOWHERE, "leave it out of the mixture",
                             "task '%s' has no grader: no answer to it is right", job->tasks[i].name);
        graders[n++] = job->tasks[i].grader;
    }
    questions->graders = graders;
    return mixture_open(&questions->mixture, parts, n_parts, (uint64_t)g->options->seed,
                        n_parts == 1 ? MIXTURE_IN_ORDER : MIXTURE_SHUFFLED, arena);
}

// The files of tasks were looked through when they were opened: what is wrong with their data by now is that there is none.
static struct error *open_held_out(struct grpo *g, struct arena *arena)
{
    struct error *e = open_questions(&g->held_out, g, "test", arena);
    if (!e || e->kind != ERROR_DATA)
        return e;
    g->held_out = (struct questions){0};
    g->no_score = arena_printf(arena, "no score of held-out questions: %s", e->what);
    error_free(e);
    return g->no_score ? NULL : error_memory();
}

static struct error *updates_of(const struct grpo *g, int64_t *n_steps)
{
    const struct grpo_options *o = g->options;
    if (o->rows > ROLLOUTS_MOST / o->samples)
        return error_new(ERROR_RECIPE, NOWHERE, "lower rows or samples",
                         "%lld rows of %lld samples are more than %d answers an update", (long long)o->rows,
                         (long long)o->samples, ROLLOUTS_MOST);
    *n_steps = o->steps;
    if (o->steps == FIELD_UNSET_INT && __builtin_mul_overflow(g->training.mixture.n / o->rows, o->epochs, n_steps))
        return error_new(ERROR_RECIPE, NOWHERE, "lower epochs",
                         "%lld questions of %lld epochs are more steps than can be counted", (long long)g->training.mixture.n,
                         (long long)o->epochs);
    if (*n_steps < 1)
        return error_new(ERROR_RECIPE, NOWHERE, "mix in more, lower rows, or give steps",
                         "the mixture has %lld questions, fewer than the %lld of one update", (long long)g->training.mixture.n,
                         (long long)o->rows);
    return NULL;
}

static struct error *open_trainer(struct grpo *g, const char *model, const struct shape *shape, int64_t n_steps)
{
    const struct grpo_options *o = g->options;
    struct trainer *t = &g->trainer;
    struct trainer_setup setup = {.shape = shape,
                                  .begin = {.from = model},
                                  .tokenizer = g->inputs.tokenizer,
                                  .precision = o->precision,
                                  .laws = grpo_laws(o, shape),
                                  .schedule = grpo_schedule(n_steps),
                                  .seed = o->seed,
                                  .rows = o->rows * o->samples,
                                  .seq_len = g->capacity - 1,
                                  .device_batch = o->device_batch,
                                  .eval_every = o->eval_every};
    struct error *e = trainer_open(t, &setup);
    if (!e && g->no_score)
        e = trainer_note(t, g->no_score);
    if (e)
        return e;
    t->training.more[t->training.n_more++] = (struct kept_table){"/metrics/rollouts", &g->rewards};
    t->training.more[t->training.n_more++] = (struct kept_table){"/metrics/pass", &g->pass};
    t->training.more[t->training.n_more++] = (struct kept_table){"/rollouts", &g->kept};
    t->resumed = resumed;
    t->loop.self = g;
    t->loop.prepare = prepare;
    t->loop.evaluate = g->n_held_out ? evaluate : NULL;
    t->loop.rows = rollouts_rows(&g->rollouts);
    return rollouts_open(&g->rollouts, t->stage->arena, (int)o->rows, (int)o->samples, g->capacity - 1,
                         tokenizer_special(g->inputs.tokenizer, "<|assistant_end|>"));
}

static struct error *open_engine(struct grpo *g, const struct shape *shape)
{
    struct arena *arena = g->trainer.stage->arena;
    const struct grpo_options *o = g->options;
    int64_t n_slots = slots_of(o, shape, g->capacity), n = o->rows > g->n_held_out ? o->rows : g->n_held_out;
    g->asked = arena_array(arena, (size_t)n, sizeof *g->asked);
    g->jobs = arena_array(arena, (size_t)n, sizeof *g->jobs);
    g->prompts = arena_array(arena, (size_t)n * (size_t)g->prompt_most, sizeof *g->prompts);
    g->right = arena_array(arena, (size_t)g->n_held_out + 1, PASS_SAMPLES);
    if (!g->asked || !g->jobs || !g->prompts || !g->right)
        return error_memory();
    struct error *e = bytes_reserve(&g->text, 1); // so that the text of no tokens has an address too
    if (!e)
        e = model_copy_weights(&g->trainer.model);
    return e ? e : engine_open(&g->engine, &g->trainer.model, g->inputs.tokenizer, (int)n_slots, g->capacity);
}

static struct error *reinforce(struct grpo *g)
{
    const struct grpo_options *o = g->options;
    struct stage *stage = g->trainer.stage;
    const char *const *models;
    int n_models;
    int64_t n_steps = 0;
    struct shape shape;
    struct error *e = job_paths(stage->job, "model", &models, &n_models);
    if (!e)
        e = task_inputs_sandbox(stage->job, &g->sandbox);
    if (!e)
        e = task_inputs_open(&g->inputs, stage->job, models[0], stage->arena);
    if (!e)
        e = open_questions(&g->training, g, "mixture", stage->arena);
    if (!e && o->eval_every)
        e = open_held_out(g, stage->arena);
    if (!e)
        e = updates_of(g, &n_steps);
    if (!e)
        e = task_inputs_shape(models[0], &shape);
    if (e)
        return e;
    g->n_held_out = o->eval_rows < g->held_out.mixture.n ? o->eval_rows : g->held_out.mixture.n;
    e = measure(g, &g->training, g->training.mixture.n, shape.seq_len);
    if (!e)
        e = measure(g, &g->held_out, g->n_held_out, shape.seq_len);
    if (e)
        return e;
    int64_t capacity = g->prompt_most + o->max_tokens, n_positions = (int64_t)POSITIONS_PER_SEQ_LEN * shape.seq_len;
    g->capacity = (int)(capacity < n_positions ? capacity : n_positions);
    e = open_trainer(g, models[0], &shape, n_steps);
    if (!e)
        e = open_engine(g, &shape);
    if (!e)
        e = trainer_run(&g->trainer);
    engine_close(&g->engine);
    return e;
}

struct error *stage_grpo(struct stage *stage)
{
    struct grpo g = {
        .options = stage->job->options,
        .rewards = {.members = metric_rollouts_members,
                    .n_members = METRIC_ROLLOUTS_MEMBERS,
                    .row_bytes = sizeof(struct metric_rollouts)},
        .pass = {.members = metric_pass_members, .n_members = METRIC_PASS_MEMBERS, .row_bytes = sizeof(struct metric_pass)},
        .kept = {.members = rollout_members, .n_members = ROLLOUT_MEMBERS, .row_bytes = sizeof(struct rollout)}};
    struct error *e = trainer_init(&g.trainer, stage);
    if (!e)
        e = reinforce(&g);
    sandbox_close(g.sandbox);
    trainer_close(&g.trainer);
    task_inputs_close(&g.inputs);
    table_release(&g.rewards);
    table_release(&g.pass);
    table_release(&g.kept);
    bytes_release(&g.text);
    return e;
}
