// eval.c - measures a model: bits per byte on validation text, and the tasks of its suites.
//
// Result  /scores/bpb: a table like /metrics/val with one row, at the model's step; /scores/tasks, /scores/suites, /examples: metrics.h;
//         tasks that are asked in a chat come first, then those that are asked as text. Attributes of "/": chatcore, the centered mean
//         of the accuracies of tasks asked in a chat and in no suite, and chatcore_tasks, of how many; cut, how many examples were
//         longer than the model's positions; python, the version that ran the answers of tasks graded by python_tests, which /programs
//         is of. What was not asked for is not there
// Files   OUT.part.h5 and OUT.part.prev.h5 (resume.h): /progress/bpb, the sums of bpb.h in a row; /progress/cut; /examples and
//         /programs, those done so far; step and n_steps count rows of text and examples together
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/eval/bpb.h"
#include "core/eval/chat_eval.h"
#include "core/eval/grader.h"
#include "core/eval/in_context.h"
#include "core/eval/scores.h"
#include "core/model/model_file.h"
#include "runner/stages/resume.h"
#include "runner/stages/source_part.h"
#include "runner/stages/task_inputs.h"
#include "runner/stages/text_inputs.h"

static const struct store_member bpb_members[] = {{"bpb", STORE_F64, offsetof(struct bpb, bpb), 0},
                                                  {"nats", STORE_F64, offsetof(struct bpb, nats), 0},
                                                  {"bytes", STORE_I64, offsetof(struct bpb, bytes), 0},
                                                  {"tokens", STORE_I64, offsetof(struct bpb, tokens), 0},
                                                  {"rows", STORE_I64, offsetof(struct bpb, rows), 0}};

struct evaluation {
    struct stage *stage;
    const struct eval_options *options;
    struct resume resume;
    struct text_inputs text;
    struct task_inputs inputs;
    struct device *dev;
    struct model model;
    struct engine engine;
    struct chat_eval chat;        // what is asked in a chat; chat.examples has all rows
    struct sandbox *sandbox;      // where answers are programs
    struct in_context in_context; // what is asked as text
    struct skipped skipped;
    struct bpb bpb;
    int64_t step;               // of the model
    int64_t n_rows, n_examples; // to measure on; 0: not asked for
    int64_t n_chats;            // examples of the chat
    bool is_open;               // what is done so far is known, so it can be saved
    double began;               // clock_seconds() when what is being done now began, at `began_at`
    int64_t began_at;
};

static struct live_line progress_line(const struct evaluation *v, const char *event)
{
    struct live_line line = live_line(event);
    bool is_text = v->bpb.rows < v->n_rows || !v->n_examples;
    line.step = is_text ? v->bpb.rows : v->chat.examples.n;
    line.of = is_text ? v->n_rows : v->n_examples;
    line.unit = is_text ? "rows" : "examples";
    line.redo_s = clock_seconds() - v->resume.saved_at;
    if (v->n_rows && v->bpb.rows == v->n_rows)
        line.bpb = v->bpb.bpb;
    return line;
}

static void tell(struct evaluation *v, const char *text, const char *unit, int64_t done, int64_t of)
{
    struct live_line line = progress_line(v, "step");
    line.step = done;
    line.of = of;
    line.unit = unit;
    line.text = text;
    if (done > v->began_at)
        line.eta_s = (double)(of - done) * (clock_seconds() - v->began) / (double)(done - v->began_at);
    live_write(v->stage->live, line);
}

static void tell_rows(void *self, int64_t done, int64_t of)
{
    tell(self, NULL, "rows", done, of);
}

static void tell_examples(void *self, const char *task, int64_t done, int64_t of)
{
    tell(self, task, "examples", done, of);
}

static int attributes_of(const struct evaluation *v, const char *state, int64_t step, int64_t n_steps,
                         struct store_attribute *attributes)
{
    return stage_attributes(v->stage, state, step, n_steps, v->options->seed, v->options->device_batch, device_isa(v->dev),
                            v->resume.seconds, attributes);
}

static struct error *save(struct evaluation *v)
{
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    struct store_set sets[4];
    int n_sets = 0;
    struct table sums = {
        .members = bpb_members, .n_members = countof(bpb_members), .row_bytes = sizeof v->bpb, .rows = &v->bpb, .n = 1};
    if (v->n_rows)
        sets[n_sets++] = table_set(&sums, "/progress/bpb");
    if (v->n_examples)
        sets[n_sets++] = table_set(&v->chat.examples, "/examples");
    if (v->sandbox)
        sets[n_sets++] = table_set(&v->chat.programs, "/programs");
    if (v->in_context.n_tasks)
        sets[n_sets++] = (struct store_set){
            .path = "/progress/cut", .type = STORE_I64, .n_dims = 1, .dims = {1}, .data = &v->in_context.n_cut};
    struct arena_mark mark = arena_mark(v->stage->arena); // many examples are saved often
    int n = attributes_of(v, stop_requested() ? "stopped" : "running", v->bpb.rows + v->chat.examples.n,
                          v->n_rows + v->n_examples, attributes);
    struct error *e = resume_save(&v->resume, attributes, n, sets, n_sets);
    arena_reset(v->stage->arena, mark);
    if (e)
        return resume_unsaved(&v->resume, e);
    live_write(v->stage->live, progress_line(v, "saved"));
    return NULL;
}

static struct error *save_if_due(void *self)
{
    struct evaluation *v = self;
    return resume_due(&v->resume) ? save(v) : NULL;
}

static struct error *open_model(struct evaluation *v, const char *path)
{
    struct shape shape;
    struct store_file *file = NULL;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_verify(file);
    if (!e)
        e = model_file_shape(file, &shape);
    if (!e)
        e = store_get_i64(file, "/", "step", &v->step);
    if (!e)
        e = resume_device(&v->resume, v->options->precision, &v->dev);
    if (!e)
        e = model_open(&v->model, v->dev, &shape, v->stage->arena);
    if (!e)
        e = model_file_load(file, &v->model);
    store_close(file);
    return e;
}

static struct error *open_text(struct evaluation *v)
{
    int64_t seq_len = v->model.shape.seq_len;
    bool wanted = false;
    for (int i = 0; i < v->options->suites.n; i++)
        wanted |= !strcmp(v->options->suites.names[i], "bpb");
    if (!wanted)
        return NULL;
    struct error *e = text_inputs_open(&v->text, v->stage->job, "model", seq_len, 0, v->stage->arena);
    if (e)
        return e;
    v->n_rows = v->options->eval_tokens / seq_len;
    if (v->n_rows > v->text.validation.n_rows)
        v->n_rows = v->text.validation.n_rows;
    if (!v->n_rows)
        return error_new(ERROR_DATA, NOWHERE, "take more validation text, or raise eval_tokens",
                         "there is not one row of %lld tokens to measure on", (long long)seq_len);
    return NULL;
}

static struct error *open_tasks(struct evaluation *v, const char *model)
{
    const struct job *job = v->stage->job;
    const struct eval_options *o = v->options;
    struct chat_eval_task *tasks = arena_array(v->stage->arena, (size_t)job->n_tasks + 1, sizeof *tasks);
    v->chat = (struct chat_eval){.tasks = tasks,
                                 .engine = &v->engine,
                                 .prompt_tokens = v->model.shape.seq_len,
                                 .max_tokens = (int)o->max_tokens,
                                 .sandbox = v->sandbox,
                                 .self = v,
                                 .progress = tell_examples,
                                 .save = save_if_due};
    chat_eval_init(&v->chat);
    if (!tasks)
        return error_memory();
    struct error *e = job->n_tasks || job->n_parts ? task_inputs_open(&v->inputs, job, model, v->stage->arena) : NULL;
    for (int i = 0; i < job->n_tasks && !e; i++) {
        const struct job_task *task = &job->tasks[i];
        const struct task_rows *rows = &v->inputs.rows[i];
        if (strcmp(task->role, "suite"))
            continue;
        if (task->grader == GRADER_NONE || !rows->n)
            return error_plain(ERROR_DATA, "task '%s' has %s", task->name, rows->n ? "no grader" : "no examples");
        bool capped = o->examples != FIELD_UNSET_INT && o->examples < rows->n;
        tasks[v->chat.n_tasks++] = (struct chat_eval_task){.name = task->name,
                                                           .grader = task->grader,
                                                           .baseline = task->baseline,
                                                           .rows = rows,
                                                           .n_examples = capped ? o->examples : rows->n,
                                                           .suite = task->suite};
        v->n_chats += tasks[v->chat.n_tasks - 1].n_examples;
    }
    v->n_examples = v->n_chats;
    return e;
}

// The parts of one task follow one another.
static struct error *open_prompted(struct evaluation *v)
{
    const struct job *job = v->stage->job;
    const struct eval_options *o = v->options;
    struct in_context *c = &v->in_context;
    struct document_part *parts = arena_array(v->stage->arena, (size_t)job->n_parts + 1, sizeof *parts);
    struct source_part *sources = arena_array(v->stage->arena, (size_t)job->n_parts + 1, sizeof *sources);
    struct in_context_task *tasks = arena_array(v->stage->arena, (size_t)job->n_parts + 1, sizeof *tasks);
    if (!parts || !sources || !tasks)
        return error_memory();
    *c = (struct in_context){.tasks = tasks,
                             .model = &v->model,
                             .tokenizer = v->inputs.tokenizer,
                             .n_slots = (int)o->device_batch,
                             .examples = &v->chat.examples,
                             .first = v->n_chats,
                             .self = v,
                             .progress = tell_examples,
                             .save = save_if_due};
    struct error *e = NULL;
    for (int i = 0; i < job->n_parts && !e; i++) {
        const struct job_part *part = &job->parts[i];
        e = source_part_open(&sources[i], &part->part, v->stage->arena);
        parts[i] = sources[i].documents;
        if (i && !strcmp(part->task->name, job->parts[i - 1].task->name)) {
            tasks[c->n_tasks - 1].n_parts++;
            continue;
        }
        tasks[c->n_tasks++] = (struct in_context_task){.name = part->task->name,
                                                       .suite = part->suite ? part->suite : "",
                                                       .task = part->task,
                                                       .parts = &parts[i],
                                                       .n_parts = 1,
                                                       .most = o->examples != FIELD_UNSET_INT ? o->examples : 0};
    }
    struct identities *ids;
    if (!e)
        e = in_context_open(c);
    if (!e && job->n_parts)
        e = source_identities(&ids, job, v->stage->arena);
    for (int i = 0; i < job->n_parts && !e; i++)
        e = source_part_check(&job->parts[i], ids);
    for (int i = 0; i < job->n_parts; i++) {
        skipped_tell(&v->skipped, v->stage, &sources[i].skips);
        source_part_close(&sources[i]);
    }
    v->n_examples += c->n;
    return e;
}

// Programs of the examples that are done.
static int64_t programs_done(const struct evaluation *v)
{
    int64_t n = 0, first = 0;
    for (int i = 0; i < v->chat.n_tasks; first += v->chat.tasks[i++].n_examples) {
        int64_t done = v->chat.examples.n - first, all = v->chat.tasks[i].n_examples;
        if (v->chat.tasks[i].grader == GRADER_PYTHON_TESTS && done > 0)
            n += done < all ? done : all;
    }
    return n;
}

static struct error *go_on(struct evaluation *v)
{
    struct store_file *part = v->resume.file;
    struct table sums = {.members = bpb_members, .n_members = countof(bpb_members), .row_bytes = sizeof v->bpb};
    struct error *e = table_load(&sums, part, "/progress/bpb");
    if (!e && sums.n)
        v->bpb = *(const struct bpb *)sums.rows;
    table_release(&sums);
    if (!e)
        e = table_load(&v->chat.examples, part, "/examples");
    if (!e)
        e = table_load(&v->chat.programs, part, "/programs");
    if (!e && store_has(part, "/progress/cut"))
        e = store_read(part, "/progress/cut", STORE_I64, 0, 1, &v->in_context.n_cut);
    if (e)
        return e;
    if (v->bpb.rows < 0 || v->bpb.rows > v->n_rows || v->chat.examples.n > v->n_examples)
        return error_plain(ERROR_DATA, "'%s' has more done than there is to do", v->resume.part);
    if (v->chat.programs.n != programs_done(v))
        return error_plain(ERROR_DATA, "'%s' has %lld programs of %lld examples that have one", v->resume.part,
                           (long long)v->chat.programs.n, (long long)programs_done(v));
    struct live_line line = progress_line(v, "resumed");
    line.text = v->resume.note;
    live_write(v->stage->live, line);
    return NULL;
}

static struct error *measure_text(struct evaluation *v)
{
    int device_batch = (int)(v->options->device_batch < v->n_rows ? v->options->device_batch : v->n_rows);
    v->began = clock_seconds();
    v->began_at = v->bpb.rows;
    struct error *e = NULL;
    if (v->bpb.rows < v->n_rows)
        e = model_reserve(&v->model, device_batch, v->model.shape.seq_len, false);
    if (!e)
        e = bpb_go_on(&v->model, text_rows(&v->text.validation), v->n_rows, v->model.shape.seq_len, device_batch,
                      v->text.tokenizer->token_bytes, (struct bpb_hooks){v, tell_rows, save_if_due}, &v->bpb);
    if (e)
        return error_while(e, NOWHERE, "measuring bits per byte");
    struct live_line line = live_line("val");
    line.bpb = v->bpb.bpb;
    live_write(v->stage->live, line);
    return NULL;
}

static struct error *score_chats(struct evaluation *v)
{
    int n_slots = (int)(v->options->device_batch < v->n_chats ? v->options->device_batch : v->n_chats);
    size_t mark = device_mark(v->dev);
    if (v->chat.examples.n >= v->n_chats)
        return NULL;
    struct error *e =
        engine_open(&v->engine, &v->model, v->inputs.tokenizer, n_slots, chat_eval_capacity(&v->chat, v->model.n_positions));
    if (e)
        return e;
    e = chat_eval_run(&v->chat);
    engine_close(&v->engine);
    device_reset(v->dev, mark);
    return e;
}

static struct error *score_tasks(struct evaluation *v)
{
    v->began = clock_seconds();
    v->began_at = v->chat.examples.n;
    struct error *e = model_copy_weights(&v->model);
    if (!e)
        e = score_chats(v);
    if (!e && v->chat.examples.n < v->n_examples)
        e = in_context_run(&v->in_context);
    return e;
}

// The centered mean over what is asked in a chat and in no suite; *n of how many tasks.
static struct error *chatcore_of(const struct table *scores, struct arena *arena, double *mean, int64_t *n)
{
    const struct task_score *score = scores->rows;
    double *accuracy = arena_array(arena, 2 * (size_t)scores->n + 1, sizeof *accuracy), *baseline = accuracy + scores->n;
    *n = 0;
    if (!accuracy)
        return error_memory();
    for (int64_t i = 0; i < scores->n; i++) {
        if (score[i].suite[0] || !strcmp(score[i].grader, grader_name(GRADER_LOSS)) ||
            !strcmp(score[i].grader, grader_name(GRADER_EXACT_GREEDY)))
            continue;
        accuracy[*n] = score[i].accuracy;
        baseline[(*n)++] = score[i].baseline;
    }
    *mean = centered_mean(accuracy, baseline, (int)*n);
    return NULL;
}

static struct error *suite_rows(const struct evaluation *v, const struct table *scores, struct table *suites)
{
    struct error *e = NULL;
    *suites =
        (struct table){.members = suite_score_members, .n_members = SUITE_SCORE_MEMBERS, .row_bytes = sizeof(struct suite_score)};
    for (int i = 0; i < v->stage->job->n_suites && !e; i++) {
        const struct job_suite *suite = &v->stage->job->suites[i];
        struct suite_score row = {.n_all = suite->n_all};
        table_text(row.suite, sizeof row.suite, suite->name, strlen(suite->name));
        table_text(row.title, sizeof row.title, suite->title, strlen(suite->title));
        table_text(row.missing, sizeof row.missing, suite->missing, strlen(suite->missing));
        score_of_suite(&row, scores->rows, scores->n);
        e = table_add(suites, &row);
    }
    return e;
}

// Scores of everything that was asked, chats first.
static struct error *all_scores(const struct evaluation *v, struct table *scores, struct table *suites)
{
    struct error *e = chat_eval_scores(&v->chat, scores);
    if (!e)
        e = in_context_scores(&v->in_context, scores);
    return e ? e : suite_rows(v, scores, suites);
}

static struct error *note_programs(const struct evaluation *v, const struct chat_eval_task *task, struct table *events)
{
    struct event event = {.step = v->step, .time = clock_unix(), .kind = "note"};
    int64_t n[SANDBOX_VERDICT_COUNT], all = 0;
    for (int i = 0; i < SANDBOX_VERDICT_COUNT; i++)
        all += n[i] = chat_eval_programs(&v->chat, task->name, (enum sandbox_verdict)i);
    snprintf(event.text, sizeof event.text,
             "%s: of %lld programs %lld passed, %lld failed, %lld took too long, %lld ended otherwise", task->name,
             (long long)all, (long long)n[SANDBOX_PASSED], (long long)n[SANDBOX_FAILED], (long long)n[SANDBOX_TIMEOUT],
             (long long)(n[SANDBOX_MEMORY] + n[SANDBOX_ENDED]));
    return table_add(events, &event);
}

// Questions of a chat that the model did not see whole.
static struct error *note_cut(const struct evaluation *v, const struct chat_eval_task *task, struct table *events)
{
    struct event event = {.step = v->step, .time = clock_unix(), .kind = "note"};
    int64_t n = 0, most = v->chat.prompt_tokens, *order = block_alloc((size_t)task->rows->n * sizeof *order);
    struct error *e = order ? task_rows_order(task->rows->n, order) : error_memory();
    for (int64_t i = 0; i < task->n_examples && !e; i++)
        n += task_rows_prompt(task->rows, order[i], most + 1, NULL) > most + 1;
    block_free(order);
    if (e || !n)
        return e;
    snprintf(event.text, sizeof event.text,
             "%s: %lld of %lld questions were longer than a row of the model, %lld tokens, and lost their end", task->name,
             (long long)n, (long long)task->n_examples, (long long)most);
    return table_add(events, &event);
}

// What a reader of the scores should know.
static struct error *note(const struct evaluation *v, struct table *events)
{
    struct event event = {.step = v->step, .time = clock_unix(), .kind = "note"};
    struct error *e = NULL;
    *events = (struct table){.members = event_members, .n_members = EVENT_MEMBERS, .row_bytes = sizeof event};
    for (int i = 0; i < v->chat.n_tasks && !e; i++)
        if (!(e = note_cut(v, &v->chat.tasks[i], events)) && v->chat.tasks[i].grader == GRADER_PYTHON_TESTS)
            e = note_programs(v, &v->chat.tasks[i], events);
    if (e || !v->in_context.n_cut)
        return e;
    snprintf(event.text, sizeof event.text,
             "%lld examples were longer than the %d positions of the model, and lost their beginning",
             (long long)v->in_context.n_cut, v->model.n_positions);
    return table_add(events, &event);
}

static struct error *save_result(struct evaluation *v)
{
    struct metric_val row = {
        .step = v->step, .tokens = v->bpb.tokens, .bpb = v->bpb.bpb, .nats = v->bpb.nats, .bytes = v->bpb.bytes};
    struct table scores = {0}, suites = {0}, events = {0},
                 val = {.members = metric_val_members,
                        .n_members = METRIC_VAL_MEMBERS,
                        .row_bytes = sizeof row,
                        .rows = &row,
                        .n = 1};
    struct store_attribute attributes[STAGE_ATTRIBUTES + 4];
    struct store_set sets[6];
    int n_sets = 0, n = attributes_of(v, "finished", 1, 1, attributes);
    struct error *e = NULL;
    if (v->n_rows)
        sets[n_sets++] = table_set(&val, "/scores/bpb");
    if (v->n_examples) {
        double mean = NAN;
        int64_t n_mean = 0;
        e = all_scores(v, &scores, &suites);
        if (!e)
            e = chatcore_of(&scores, v->stage->arena, &mean, &n_mean);
        if (n_mean) {
            attributes[n++] = store_f64("/", "chatcore", mean);
            attributes[n++] = store_i64("/", "chatcore_tasks", n_mean);
        }
        if (v->in_context.n_tasks)
            attributes[n++] = store_i64("/", "cut", v->in_context.n_cut);
        sets[n_sets++] = table_set(&scores, "/scores/tasks");
        if (suites.n)
            sets[n_sets++] = table_set(&suites, "/scores/suites");
        sets[n_sets++] = table_set(&v->chat.examples, "/examples");
        if (v->sandbox) {
            sets[n_sets++] = table_set(&v->chat.programs, "/programs");
            attributes[n++] = store_text("/", "python", sandbox_python(v->sandbox));
        }
        if (!e)
            e = note(v, &events);
        if (events.n)
            sets[n_sets++] = table_set(&events, "/events");
    }
    if (!e)
        e = store_save(v->stage->job->out, attributes, n, sets, n_sets);
    table_release(&scores);
    table_release(&suites);
    table_release(&events);
    return e;
}

static struct error *evaluate(struct evaluation *v)
{
    const char *const *paths;
    int n_paths;
    struct error *e = job_paths(v->stage->job, "model", &paths, &n_paths);
    if (!e)
        e = resume_find(&v->resume, v->stage);
    if (!e)
        e = task_inputs_sandbox(v->stage->job, &v->sandbox); // before the model is read: it may not be there
    if (!e)
        e = open_model(v, paths[0]);
    if (!e)
        e = open_text(v);
    if (!e)
        e = open_tasks(v, paths[0]);
    if (!e && v->stage->job->n_parts)
        e = open_prompted(v);
    if (!e && v->resume.file)
        e = go_on(v);
    if (e)
        return e;
    resume_close(&v->resume);
    v->is_open = true;
    v->resume.saved_at = clock_seconds();
    if (v->n_rows)
        e = measure_text(v);
    if (!e && v->n_examples)
        e = score_tasks(v);
    if (!e)
        e = save_result(v);
    if (!e)
        resume_forget(&v->resume);
    return e;
}

// A stop: everything that is whole is kept.
static struct error *save_on_stop(struct evaluation *v, struct error *e)
{
    struct error *failed = save(v);
    if (!failed)
        return e;
    error_free(e);
    return failed;
}

struct error *stage_eval(struct stage *stage)
{
    struct evaluation v = {.stage = stage, .options = stage->job->options};
    struct error *e = evaluate(&v);
    if (e && e->kind == ERROR_STOPPED && v.is_open)
        e = save_on_stop(&v, e);
    in_context_close(&v.in_context);
    sandbox_close(v.sandbox);
    chat_eval_release(&v.chat);
    resume_close(&v.resume);
    text_inputs_close(&v.text);
    task_inputs_close(&v.inputs);
    if (v.dev)
        device_close(v.dev);
    return e;
}
