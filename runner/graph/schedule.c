// schedule.c - one stage at a time, in the order of the graph.
#include "runner/graph/schedule.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "runner/graph/keys.h"

struct watching {
    const struct schedule_hooks *hooks;
    const struct plan_stage *stage;
};

static bool must_run(const struct plan *plan, const bool *selected, int i)
{
    return plan->stages[i].state != PLAN_CACHED && (!selected || selected[i]);
}

// The files that an input gives under its role.
static struct error *fill_input(struct job_input *to, const struct plan *plan, const struct graph_input *from,
                                struct arena *arena)
{
    const struct plan_stage *s = plan_of(plan, from->node);
    const char **paths = arena_array(arena, (size_t)from->node->n_parts + 1, sizeof *paths);
    if (!paths)
        return error_memory();
    *to = (struct job_input){.role = from->role, .paths = paths};
    if (from->node->kind != KIND_TOKENS)
        paths[to->n_paths++] = s->out;
    for (int i = 0; i < from->node->n_parts && from->node->kind == KIND_TOKENS; i++)
        if (from->node->parts[i].validation == !strcmp(from->role, "validation"))
            paths[to->n_paths++] = s->part_out[i];
    return NULL;
}

static bool is_task(const struct graph_input *input)
{
    return input->use || !strcmp(input->role, "test");
}

static struct error *fill_task(struct job_task *to, const struct plan *plan, const struct graph_input *from, struct arena *arena)
{
    const struct graph_node *node = from->node;
    struct job_input input;
    struct error *e = fill_input(&input, plan, from, arena);
    bool by_rows = from->use && from->use->rows != FIELD_UNSET_INT;
    if (!e)
        *to = (struct job_task){.role = from->role,
                                .name = node->task->name,
                                .split = node->split->name,
                                .epochs = by_rows     ? NAN
                                          : from->use ? from->use->epochs
                                                      : 1,
                                .rows = by_rows ? from->use->rows : -1,
                                .grader = node->task->task.grader,
                                .baseline = node->task->task.baseline,
                                .paths = input.paths,
                                .n_paths = input.n_paths};
    return e;
}

// Token stages of one tokenizer share a lock: their parts can be the same.
static const char *lock_path(const struct plan *plan, const struct graph_node *node, struct arena *arena)
{
    const struct graph_node *tokenizer = node->kind == KIND_TOKENS ? graph_input(node, "tokenizer") : NULL;
    return key_path(arena, plan->results, node->kind, tokenizer ? tokenizer->key : node->key, ".lock");
}

static struct error *make_job(struct job *job, const struct plan *plan, const struct plan_stage *s, struct arena *arena)
{
    const struct graph_node *node = s->node;
    *job = (struct job){.name = node->name,
                        .kind = node->kind,
                        .key = node->key,
                        .payload = node->payload,
                        .options = node->options,
                        .results = plan->results,
                        .out = s->out,
                        .lock = lock_path(plan, node, arena),
                        .inputs = arena_array(arena, (size_t)node->n_inputs + 1, sizeof *job->inputs),
                        .parts = arena_array(arena, (size_t)node->n_parts + 1, sizeof *job->parts),
                        .tasks = arena_array(arena, (size_t)node->n_inputs + 1, sizeof *job->tasks),
                        .usd_per_hour = plan->graph->recipe->usd_per_hour,
                        .runner = getpid()};
    if (!job->inputs || !job->parts || !job->tasks || !job->lock)
        return error_memory();
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        struct error *e = is_task(input) ? fill_task(&job->tasks[job->n_tasks++], plan, input, arena)
                                         : fill_input(&job->inputs[job->n_inputs++], plan, input, arena);
        if (e)
            return e;
    }
    for (int i = 0; i < node->n_parts; i++) {
        const struct graph_part *part = &node->parts[i];
        if (node->kind == KIND_TOKENS && (!part->wanted || s->part_done[i]))
            continue;
        job->parts[job->n_parts++] = (struct job_part){.part = part->part,
                                                       .identity = part->identity,
                                                       .key = part->key,
                                                       .payload = part->payload,
                                                       .task = node->task ? &node->task->task : NULL,
                                                       .split = node->task ? node->split->name : NULL,
                                                       .out = s->part_out ? s->part_out[i] : NULL};
    }
    return NULL;
}

static void on_progress(void *self, const struct live_line *line)
{
    const struct watching *w = self;
    if (w->hooks->progress)
        w->hooks->progress(w->hooks->self, w->stage, line);
}

static void on_waiting(void *self, const struct lock_holder *holder)
{
    const struct watching *w = self;
    if (w->hooks->waiting)
        w->hooks->waiting(w->hooks->self, w->stage, holder);
}

// Runs one stage; *cached if, after waiting for an orphan, there was nothing left to do.
static struct error *run_stage_now(struct outcome *outcome, bool *cached, struct plan *plan, struct plan_stage *s,
                                   const struct schedule_hooks *hooks, int i, int n, struct arena *arena)
{
    struct watching w = {hooks, s};
    struct watch watch = {&w, on_progress};
    struct job job;
    const char *lock = lock_path(plan, s->node, arena);
    struct error *e = lock ? launch_wait(lock, on_waiting, &w) : error_memory();
    if (!e)
        e = plan_look(plan, s, arena); // what the orphan saved counts
    *cached = !e && s->state == PLAN_CACHED;
    if (e || *cached || (e = make_job(&job, plan, s, arena)))
        return e;
    if (hooks->begin)
        hooks->begin(hooks->self, s, i, n);
    e = launch_job(outcome, &job, &watch, arena);
    if (!e && outcome->status == 3) {
        // Another runner may have begun the same stage at the same moment, kept this one out and be done by now.
        e = plan_look(plan, s, arena);
        if (!e && s->state == PLAN_CACHED) {
            error_free(outcome->error);
            outcome->error = NULL;
            outcome->status = 0;
        }
    } else if (!e && outcome->status == 0) {
        e = plan_look(plan, s, arena);
        if (!e && s->state != PLAN_CACHED) {
            outcome->status = 1;
            outcome->error = error_plain(ERROR_FAILED, "stage '%s' ended well, but its result is not there", s->node->name);
        }
    }
    return e;
}

// Before the end of a stage is told: into the record.
static void note(struct run_stage *to, const struct plan_stage *s, const struct outcome *outcome, struct arena *arena)
{
    bool done = outcome->status == 0;
    to->state = done ? "finished" : outcome->status == 75 ? "stopped" : "failed";
    to->seconds = done && s->seconds > 0 ? s->seconds : outcome->seconds;
    to->usd = s->usd;
    to->tokens = s->tokens;
    to->flops = s->flops;
    if (done && s->out)
        to->file = s->out;
    if (outcome->error)
        to->error = arena_strdup(arena, outcome->error->what);
}

static bool input_failed(const struct plan *plan, const struct run *record, const struct plan_stage *s)
{
    for (int i = 0; i < s->node->n_inputs; i++) {
        const struct plan_stage *input = plan_of(plan, s->node->inputs[i].node);
        const char *state = record->stages[input - plan->stages].state;
        if (!strcmp(state, "failed") || !strcmp(state, "skipped"))
            return true;
    }
    return false;
}

int schedule_count(const struct plan *plan, const bool *selected)
{
    int n = 0;
    for (int i = 0; i < plan->n_stages; i++)
        n += must_run(plan, selected, i);
    return n;
}

// Whether an earlier stage that must run lacks the same file: it has been told then.
static bool is_told(const struct plan *plan, const bool *selected, int i_stage)
{
    const char *missing = plan->stages[i_stage].node->missing;
    for (int i = 0; i < i_stage; i++)
        if (must_run(plan, selected, i) && plan->stages[i].node->missing && !strcmp(plan->stages[i].node->missing, missing))
            return true;
    return false;
}

struct error *schedule_check(const struct plan *plan, const bool *selected)
{
    struct error *e = NULL;
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        const struct graph_node *node = s->node;
        struct place at = node->stage ? node->stage->at : NOWHERE;
        if (!must_run(plan, selected, i))
            continue;
        if (!kind_built(node->kind))
            e = error_append(e, error_new(ERROR_NOT_BUILT, at, "leave the stage out",
                                          "stages of kind '%s' are not built in this version", kind_name(node->kind)));
        if (node->missing && !is_told(plan, selected, i))
            e = error_append(e, error_new(ERROR_MACHINE, node->source ? node->source->at : node->task->at,
                                          "fetch the file, or set where the data is: -s data=FOLDER",
                                          "'%s', which stage '%s' reads, is not there", node->missing, node->name));
        for (int k = 0; k < node->n_inputs; k++) {
            const struct plan_stage *input = plan_of(plan, node->inputs[k].node);
            if (input->state != PLAN_CACHED && !must_run(plan, selected, (int)(input - plan->stages)))
                e = error_append(e, error_new(ERROR_USAGE, NOWHERE, "run it without --only",
                                              "stage '%s' needs '%s', which has not been made", node->name, input->node->name));
        }
    }
    return e;
}

struct error *schedule_record(struct run *record, const struct plan *plan, struct arena *arena)
{
    record->stages = arena_array(arena, (size_t)plan->n_stages + 1, sizeof *record->stages);
    if (!record->stages)
        return error_memory();
    record->n_stages = plan->n_stages;
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        const char *reasons = reasons_json(s->reasons, s->n_reasons, arena);
        if (!reasons)
            return error_memory();
        record->stages[i] = (struct run_stage){.name = s->node->name,
                                               .kind = kind_name(s->node->kind),
                                               .key = s->node->key ? s->node->key : "",
                                               .state = s->state == PLAN_CACHED    ? "cached"
                                                        : s->state == PLAN_UNKNOWN ? "unknown"
                                                                                   : "waiting",
                                               .seconds = s->state == PLAN_CACHED ? s->seconds : NAN,
                                               .usd = s->state == PLAN_CACHED ? s->usd : NAN,
                                               .params = s->params,
                                               .tokens = s->tokens,
                                               .flops = s->flops,
                                               .payload = s->node->payload,
                                               .reasons = reasons,
                                               .file = s->state == PLAN_CACHED ? s->out : NULL};
    }
    return NULL;
}

struct error *schedule_run(struct schedule_result *result, struct plan *plan, const bool *selected, struct run *record,
                           const struct schedule_hooks *hooks, struct arena *arena)
{
    *result = (struct schedule_result){0};
    double begin = clock_seconds();
    int n = schedule_count(plan, selected), at = 0;
    struct error *e = run_save(record);
    for (int i = 0; i < plan->n_stages && !e && !result->stopped; i++) {
        struct plan_stage *s = &plan->stages[i];
        struct run_stage *noted = &record->stages[i];
        struct outcome outcome = {0};
        bool cached;
        if (!must_run(plan, selected, i))
            continue;
        at++;
        if (input_failed(plan, record, s)) {
            noted->state = "skipped";
            result->n_skipped++;
            continue;
        }
        if (stop_requested()) {
            result->stopped = true;
            break;
        }
        e = run_stage_now(&outcome, &cached, plan, s, hooks, at, n, arena);
        if (e) {
            noted->state = e->kind == ERROR_STOPPED ? "stopped" : "failed";
            noted->error = arena_strdup(arena, e->what);
            result->stopped = e->kind == ERROR_STOPPED;
            if (e->kind == ERROR_MACHINE) // the lock is held elsewhere: this stage cannot be made now, others can
                outcome.error = e, e = NULL;
            else if (result->stopped)
                error_free(e), e = NULL;
            result->n_failed += outcome.error != NULL;
        } else if (cached) {
            noted->state = "cached";
            noted->file = s->out;
            noted->seconds = s->seconds;
            result->n_done++;
        } else {
            note(noted, s, &outcome, arena);
            result->stopped = outcome.status == 75;
            result->n_failed += outcome.status != 0 && outcome.status != 75;
            result->n_done += outcome.status == 0;
            if (hooks->end)
                hooks->end(hooks->self, s, &outcome);
        }
        result->errors = error_append(result->errors, outcome.error);
        record->seconds = clock_seconds() - begin;
        if (!e)
            e = run_save(record);
    }
    char ended[CLOCK_TEXT];
    clock_text(clock_unix(), ended);
    record->ended = arena_strdup(arena, ended);
    record->state = result->stopped ? "stopped" : result->n_failed || e ? "failed" : "finished";
    record->seconds = clock_seconds() - begin;
    record->usd = plan->graph->recipe->usd_per_hour * record->seconds / 3600;
    return error_first(e, run_save(record));
}
