// schedule.c - one loop over slots, a slot a stage of the plan.
//
//     out        not asked for, or there already
//     ready      waits for its inputs, or for room; then it starts
//     elsewhere  its lock is held: looked at again until it is free, then ready
//     running    a process of ours; where another runner's stage was faster with the lock, ready or elsewhere again
//     ended      made, here or elsewhere, failed, stopped, or skipped because an input failed
//
// Only one process, the stage, ever holds the lock of a result, and it holds no other: runners that wait for each other cannot wait in
// a circle.
#include "runner/graph/schedule.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/point.h"
#include "core/base/stop.h"
#include "core/sandbox/sandbox.h"
#include "core/store/atomic.h"
#include "runner/graph/downloads.h"
#include "runner/graph/hardware.h"
#include "runner/graph/keys.h"
#include "runner/graph/stage_job.h"
#include "runner/graph/work.h"

enum { LOOK_MS = 200, LOOK_ELSEWHERE_MS = 100, LOST_MOST = 3 };

enum slot_state { SLOT_OUT, SLOT_READY, SLOT_ELSEWHERE, SLOT_RUNNING, SLOT_ENDED };

struct slot {
    enum slot_state state;
    const char *lock;
    struct job job;
    struct launch launch;
    int n_threads, n_lost; // n_lost: how often another runner's stage had the lock before ours
    bool told;             // that it waits
};

struct scheduler {
    struct schedule_result *result;
    struct plan *plan;
    struct run *record;
    const struct schedule_hooks *hooks;
    struct arena *arena;
    struct slot *slots;       // a stage of the plan each
    struct launch **launches; // those that run
    int n_running, n_elsewhere;
    int cores, jobs, n_begun, n; // n_begun of n
    double begin;
    bool stopping;
};

static bool must_run(const struct plan *plan, const bool *selected, int i)
{
    return plan->stages[i].state != PLAN_CACHED && (!selected || selected[i]);
}

int schedule_count(const struct plan *plan, const bool *selected)
{
    int n = 0;
    for (int i = 0; i < plan->n_stages; i++)
        n += must_run(plan, selected, i);
    return n;
}

// Whether an earlier stage that must run lacks the same file: it has been told then.
static bool is_told(const struct plan *plan, const bool *selected, int i_stage, const char *path)
{
    int n;
    for (int i = 0; i < i_stage; i++) {
        const struct graph_part *part = must_run(plan, selected, i) ? plan_lacks(&plan->stages[i], &n) : NULL;
        if (part && !strcmp(part->part.path, path))
            return true;
    }
    return false;
}

// Where the recipe, or a task, says what a node reads.
static struct place place_of_data(const struct graph_node *node)
{
    return node->source ? node->source->at : node->task ? node->task->at : node->stage->at;
}

static struct error *check_files(const struct plan *plan, const bool *selected, int i_stage)
{
    int n;
    const struct plan_stage *s = &plan->stages[i_stage];
    const struct graph_part *part = plan_lacks(s, &n);
    if (s->node->missing)
        return error_new(ERROR_MACHINE, place_of_data(s->node), "fetch the file, or name another",
                         "'%s', which stage '%s' reads, is not there", s->node->missing, s->node->name);
    if (!part || is_told(plan, selected, i_stage, part->part.path))
        return NULL;
    const struct graph_node *node = s->node;
    struct arena scratch = {0};
    const char *name = part->url ? part->url : part->part.path, *verb = part->url ? "fetched" : "there";
    const char *command = part->url ? downloads_command(plan->graph->recipe, &scratch) : NULL;
    const struct suite_file *suite = part->use ? part->use->suite : NULL;
    const char *fix =
        command     ? arena_printf(&scratch, "`%s` fetches %s", command, n == 1 ? "it" : "them")
        : part->url ? NULL
        : suite     ? arena_printf(&scratch, "%s says where it is to be had; or set where it is: -s data=FOLDER", suite->path)
                    : "fetch the file, or set where the data is: -s data=FOLDER";
    const char *more =
        n > 1 ? arena_printf(&scratch, "%d files that stage '%s' reads are not %s: '%s' and more", n, node->name, verb, name)
              : arena_printf(&scratch, "'%s', which stage '%s' reads, is not %s", name, node->name, verb);
    struct error *e = more && fix ? error_new(ERROR_MACHINE, place_of_data(node), fix, "%s", more) : error_memory();
    arena_release(&scratch);
    return e;
}

// Devices that can be planned for, and not be computed on. Tokenizers and tokens are the processor's work anywhere.
static struct error *check_device(const struct plan *plan, const bool *selected)
{
    bool computes = false;
    for (int i = 0; i < plan->n_stages; i++) {
        enum stage_kind_id kind = plan->stages[i].node->kind;
        computes |= must_run(plan, selected, i) && (kind_trains(kind) || kind == KIND_EVAL);
    }
    if (!computes || hardware_is_here(plan->work->hardware))
        return NULL;
    return error_new(ERROR_NOT_BUILT, plan->graph->recipe->device_at,
                     "plan with it, or compute on the processor: -s hardware.device=cpu",
                     "computing on %s is not built in this version", plan->work->hardware->name);
}

// Whether Python runs here, of the first stage that will need it.
static struct error *check_python(const struct plan *plan, const bool *selected)
{
    struct sandbox *sandbox = NULL;
    for (int i = 0; i < plan->n_stages; i++) {
        const struct graph_node *node = plan->stages[i].node;
        const struct task_file *task = must_run(plan, selected, i) ? graph_python(node) : NULL;
        if (!task)
            continue;
        struct error *e = sandbox_open(&sandbox, NULL);
        sandbox_close(sandbox);
        return error_while(e, node->stage->at, "looking for what stage '%s' runs answers to task '%s' with", node->name,
                           task->name);
    }
    return NULL;
}

// Of a file that is there; false where it is not.
static bool is_newer(const char *path, const struct stat *than)
{
    struct stat st;
    return path && !stat(path, &st) &&
           (st.st_mtim.tv_sec > than->st_mtim.tv_sec ||
            (st.st_mtim.tv_sec == than->st_mtim.tv_sec && st.st_mtim.tv_nsec > than->st_mtim.tv_nsec));
}

void schedule_tidy(const struct plan *plan, struct arena *arena)
{
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        const char *lock = s->state == PLAN_CACHED && s->node->key ? stage_lock_path(plan, s->node, arena) : NULL;
        struct stat made;
        if (!lock || (s->out && (stat(s->out, &made) ||
                                 is_newer(key_path(arena, plan->results, s->node->kind, s->node->key, ".part.h5"), &made))))
            continue;
        if (!lock_held(lock, NULL))
            launch_clean(plan->results, s->node->kind, s->node->key, arena);
    }
}

struct error *schedule_check(const struct plan *plan, const bool *selected)
{
    struct error *e = check_device(plan, selected);
    e = error_append(e, check_python(plan, selected));
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        const struct graph_node *node = s->node;
        struct place at = node->stage ? node->stage->at : NOWHERE;
        if (!must_run(plan, selected, i))
            continue;
        if (!kind_built(node->kind))
            e = error_append(e, error_new(ERROR_NOT_BUILT, at, "leave the stage out",
                                          "stages of kind '%s' are not built in this version", kind_name(node->kind)));
        e = error_append(e, check_files(plan, selected, i));
        for (int k = 0; k < node->n_inputs; k++) {
            const struct plan_stage *input = plan_of(plan, node->inputs[k].node);
            if (input->state != PLAN_CACHED && !must_run(plan, selected, (int)(input - plan->stages)))
                e = error_append(e,
                                 error_new(ERROR_USAGE, NOWHERE, "run it without --only",
                                           input->whole ? "stage '%s' reads a step of '%s', or its optimizer, that was not kept"
                                                        : "stage '%s' needs '%s', which has not been made",
                                           node->name, input->node->name));
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
                                               .file = s->state == PLAN_CACHED && s->whole ? s->out : NULL};
    }
    return NULL;
}

// The cores that stages may use.
static int usable_cores(void)
{
    const char *asked = getenv("OMP_NUM_THREADS");
    int n = asked ? atoi(asked) : 0;
    cpu_set_t set;
    if (n < 1 && sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

// A results folder that was moved, removed or unmounted is not made anew half empty.
static struct error *check_folder(const struct scheduler *s)
{
    if (file_exists(s->record->path))
        return NULL;
    return error_new(ERROR_MACHINE, NOWHERE, "put it back or mount it again, then run it again: it goes on from what is there",
                     "the results folder '%s' is not as it was: '%s' is gone", s->plan->results, s->record->path);
}

// Where it cannot be written because its folder is not there, that is what is said.
static struct error *write_record(const struct scheduler *s)
{
    struct error *e = check_folder(s);
    if (e || !(e = run_save(s->record)))
        return e;
    struct error *gone = check_folder(s);
    if (!gone && !e->fix && e != error_memory()) // a folder that was taken away in the middle, say
        gone = error_new(e->kind, NOWHERE, "put the results folder back or mount it again, then run it again", "%s", e->what);
    if (!gone)
        return e;
    error_free(e);
    return gone;
}

// The record as it stands; what cannot be written now is in memory, and written with the next.
static void save_record(struct scheduler *s)
{
    s->record->seconds = clock_seconds() - s->begin;
    error_free(write_record(s));
}

static void end_slot(struct scheduler *s, int i, const char *state)
{
    s->n_elsewhere -= s->slots[i].state == SLOT_ELSEWHERE;
    s->slots[i].state = SLOT_ENDED;
    s->record->stages[i].state = state;
}

// A stage that keeps others from starting at all: the run goes on without it.
static void fail(struct scheduler *s, int i, struct error *e)
{
    end_slot(s, i, "failed");
    s->record->stages[i].error = arena_strdup(s->arena, e->what);
    s->result->n_failed++;
    s->result->errors = error_append(s->result->errors, e);
    save_record(s);
}

static void find(struct scheduler *s, int i)
{
    const struct plan_stage *stage = &s->plan->stages[i];
    s->n_begun += !s->slots[i].n_lost;
    if (!lock_held(s->slots[i].lock, NULL)) // by a stage whose runner died, and so nobody was there to do it
        launch_clean(s->plan->results, stage->node->kind, stage->node->key, s->arena);
    end_slot(s, i, "cached");
    s->record->stages[i].file = stage->out;
    s->record->stages[i].seconds = stage->seconds;
    s->result->n_done++;
    if (s->hooks->found)
        s->hooks->found(s->hooks->self, stage);
    save_record(s);
}

static void elsewhere(struct scheduler *s, int i, const struct lock_holder *holder)
{
    struct slot *slot = &s->slots[i];
    s->n_elsewhere += slot->state != SLOT_ELSEWHERE;
    slot->state = SLOT_ELSEWHERE;
    if (!slot->told && s->hooks->waiting)
        s->hooks->waiting(s->hooks->self, &s->plan->stages[i], holder);
    slot->told = true;
}

enum inputs { INPUTS_THERE, INPUTS_AWAITED, INPUTS_FAILED };

static enum inputs inputs_of(const struct scheduler *s, int i)
{
    const struct graph_node *node = s->plan->stages[i].node;
    enum inputs inputs = INPUTS_THERE;
    for (int k = 0; k < node->n_inputs; k++) {
        int at = (int)(plan_of(s->plan, node->inputs[k].node) - s->plan->stages);
        const char *state = s->record->stages[at].state;
        if (!strcmp(state, "failed") || !strcmp(state, "skipped"))
            return INPUTS_FAILED;
        if (s->slots[at].state != SLOT_OUT && s->slots[at].state != SLOT_ENDED)
            inputs = INPUTS_AWAITED;
    }
    return inputs;
}

// Evaluations that could start now or run already.
static int count_evaluations(const struct scheduler *s)
{
    int n = 0;
    for (int i = 0; i < s->plan->n_stages; i++) {
        enum slot_state state = s->slots[i].state;
        if (s->plan->stages[i].node->kind == KIND_EVAL)
            n += state == SLOT_RUNNING || (state == SLOT_READY && inputs_of(s, i) == INPUTS_THERE);
    }
    return n > 0 ? n : 1;
}

static int threads_for(const struct scheduler *s, enum stage_kind_id kind)
{
    int share = s->jobs ? s->jobs : kind == KIND_EVAL ? count_evaluations(s) : 1;
    if (kind == KIND_TOKENIZER || kind == KIND_TOKENS || kind == KIND_ROWS)
        return 1;
    return share < s->cores ? s->cores / share : 1;
}

static bool fits(const struct scheduler *s, int n_threads)
{
    int used = 0;
    for (int i = 0; i < s->plan->n_stages; i++)
        used += s->slots[i].state == SLOT_RUNNING ? s->slots[i].n_threads : 0;
    return s->n_running == 0 || (s->jobs ? s->n_running < s->jobs : used + n_threads <= s->cores);
}

// Whether a stage of this very run has the lock: then there is nothing to tell, it is a matter of order.
static bool lock_is_ours(const struct scheduler *s, const char *lock)
{
    for (int i = 0; i < s->plan->n_stages; i++)
        if (s->slots[i].state == SLOT_RUNNING && !strcmp(s->slots[i].lock, lock))
            return true;
    return false;
}

static struct error *launch(struct scheduler *s, int i)
{
    struct slot *slot = &s->slots[i];
    struct plan_stage *stage = &s->plan->stages[i];
    struct error *e = check_folder(s);
    if (e || (e = stage_job(&slot->job, s->plan, stage, s->arena)) ||
        (e = launch_start(&slot->launch, &slot->job, slot->n_threads, s->arena)))
        return e;
    point("runner.launched");
    s->n_begun += !slot->n_lost;
    s->n_running++;
    slot->state = SLOT_RUNNING;
    s->record->stages[i].state = "running";
    if (s->hooks->begin && !slot->n_lost)
        s->hooks->begin(s->hooks->self, stage, s->n_begun, s->n);
    return NULL;
}

// Starts stage i if nothing is in its way; *full if it must wait for room, and so those behind it.
static struct error *start(struct scheduler *s, int i, bool *full)
{
    struct slot *slot = &s->slots[i];
    struct plan_stage *stage = &s->plan->stages[i];
    struct lock_holder holder = {0};
    enum inputs inputs = inputs_of(s, i);
    if (inputs == INPUTS_FAILED) {
        end_slot(s, i, "skipped");
        s->result->n_skipped++;
    }
    if (inputs != INPUTS_THERE || lock_is_ours(s, slot->lock))
        return NULL;
    if (lock_held(slot->lock, &holder)) {
        elsewhere(s, i, &holder);
        return NULL;
    }
    s->n_elsewhere -= slot->state == SLOT_ELSEWHERE;
    slot->state = SLOT_READY;
    slot->n_threads = threads_for(s, stage->node->kind);
    if (!fits(s, slot->n_threads)) {
        *full = true;
        return NULL;
    }
    struct error *e = plan_look(s->plan, stage, s->arena); // inputs are known by now, and another run may have made it
    if (!e && stage->state == PLAN_CACHED)
        find(s, i);
    else if (!e)
        e = launch(s, i);
    return e;
}

static void start_all(struct scheduler *s)
{
    bool full = false;
    for (int i = 0; i < s->plan->n_stages && !full; i++) {
        if (s->slots[i].state != SLOT_READY && s->slots[i].state != SLOT_ELSEWHERE)
            continue;
        struct error *e = start(s, i, &full);
        if (e)
            fail(s, i, error_while(e, NOWHERE, "starting stage '%s'", s->plan->stages[i].node->name));
    }
}

// Into the record, before the end of a stage is told.
static void note(struct run_stage *to, const struct plan_stage *s, const struct outcome *outcome, struct arena *arena)
{
    bool done = outcome->status == 0;
    to->seconds = done && s->seconds > 0 ? s->seconds : outcome->seconds;
    to->usd = s->usd;
    to->tokens = s->tokens;
    to->flops = s->flops;
    if (done && s->out)
        to->file = s->out;
    if (outcome->error)
        to->error = arena_strdup(arena, outcome->error->what);
}

// A stage that ended without a word may have lost its lock, or its job file, to another runner's stage that began at the same moment.
// *dealt: so it was, and the slot is on its way.
static struct error *look_elsewhere(struct scheduler *s, int i, struct outcome *outcome, bool *dealt)
{
    struct slot *slot = &s->slots[i];
    struct lock_holder holder = {0};
    *dealt = false;
    if (outcome->status <= 0 || outcome->status == 75 || outcome->told_why)
        return NULL;
    struct error *e = plan_look(s->plan, &s->plan->stages[i], s->arena);
    if (e)
        return e;
    bool held = lock_held(slot->lock, &holder);
    *dealt = s->plan->stages[i].state == PLAN_CACHED || held || slot->n_lost < LOST_MOST;
    if (!*dealt)
        return NULL;
    error_free(outcome->error);
    slot->state = SLOT_READY;
    slot->n_lost++;
    if (s->plan->stages[i].state == PLAN_CACHED)
        find(s, i);
    else if (held)
        elsewhere(s, i, &holder);
    return NULL;
}

static void end(struct scheduler *s, int i)
{
    struct slot *slot = &s->slots[i];
    struct plan_stage *stage = &s->plan->stages[i];
    struct outcome outcome;
    bool dealt;
    point("runner.ended");
    launch_outcome(&slot->launch, &outcome, s->arena);
    s->n_running--;
    struct error *e = look_elsewhere(s, i, &outcome, &dealt);
    if (dealt)
        return;
    if (!e && outcome.status == 0) {
        e = plan_look(s->plan, stage, s->arena);
        if (!e && stage->state != PLAN_CACHED)
            e = error_plain(ERROR_FAILED, "stage '%s' ended well, but its result is not there", stage->node->name);
    }
    if (e) {
        outcome.error = error_append(outcome.error, e);
        outcome.status = 1;
    }
    bool done = outcome.status == 0, stopped = outcome.status == 75 || outcome.killed;
    end_slot(s, i, done ? "finished" : stopped ? "stopped" : "failed");
    note(&s->record->stages[i], stage, &outcome, s->arena);
    s->result->n_done += done;
    s->result->n_failed += !done && !stopped;
    s->result->stopped |= stopped;
    if (stopped) // also where it was asked for by a signal to the stage itself
        s->stopping = true;
    if (s->hooks->end)
        s->hooks->end(s->hooks->self, stage, &outcome);
    s->result->errors = error_append(s->result->errors, outcome.error);
    save_record(s);
}

static void stop(struct scheduler *s)
{
    bool first = !s->stopping;
    s->stopping = s->result->stopped = true;
    for (int i = 0; i < s->plan->n_stages; i++)
        if (s->slots[i].state == SLOT_RUNNING && stop_at_once())
            launch_kill(&s->slots[i].launch);
        else if (s->slots[i].state == SLOT_RUNNING)
            launch_stop(&s->slots[i].launch);
    if (first && s->n_running && s->hooks->stopping)
        s->hooks->stopping(s->hooks->self);
}

static void look_at(struct scheduler *s, int i)
{
    struct arena scratch = {0};
    struct live_line line;
    bool ended = launch_ended(&s->slots[i].launch);
    if (!ended && s->hooks->progress && launch_news(&s->slots[i].launch, &line, &scratch))
        s->hooks->progress(s->hooks->self, &s->plan->stages[i], &line);
    arena_release(&scratch);
    if (ended)
        end(s, i);
}

static void run_all(struct scheduler *s)
{
    for (;;) {
        if (stop_requested())
            stop(s);
        if (!s->stopping)
            start_all(s);
        if (!s->n_running && (s->stopping || !s->n_elsewhere))
            break;
        int n = 0;
        for (int i = 0; i < s->plan->n_stages; i++)
            if (s->slots[i].state == SLOT_RUNNING)
                s->launches[n++] = &s->slots[i].launch;
        launch_wait(s->launches, n, s->n_elsewhere ? LOOK_ELSEWHERE_MS : LOOK_MS);
        for (int i = 0; i < s->plan->n_stages; i++)
            if (s->slots[i].state == SLOT_RUNNING)
                look_at(s, i);
        if (s->hooks->tick)
            s->hooks->tick(s->hooks->self);
    }
}

static struct error *prepare(struct scheduler *s, const bool *selected)
{
    int n = s->plan->n_stages;
    s->slots = arena_array(s->arena, (size_t)n + 1, sizeof *s->slots);
    s->launches = arena_array(s->arena, (size_t)n + 1, sizeof(struct launch *));
    if (!s->slots || !s->launches)
        return error_memory();
    for (int i = 0; i < n; i++) {
        if (!must_run(s->plan, selected, i))
            continue;
        s->slots[i].state = SLOT_READY;
        if (!(s->slots[i].lock = stage_lock_path(s->plan, s->plan->stages[i].node, s->arena)))
            return error_memory();
    }
    return NULL;
}

struct error *schedule_run(struct schedule_result *result, struct plan *plan, const bool *selected, struct run *record,
                           const struct schedule_hooks *hooks, int jobs, struct arena *arena)
{
    struct scheduler s = {.result = result,
                          .plan = plan,
                          .record = record,
                          .hooks = hooks,
                          .arena = arena,
                          .cores = usable_cores(),
                          .jobs = jobs,
                          .n = schedule_count(plan, selected),
                          .begin = clock_seconds()};
    *result = (struct schedule_result){0};
    struct error *e = prepare(&s, selected);
    if (!e)
        e = write_record(&s);
    if (e) {
        unlink(record->path); // its number is taken, and nothing is in it
        return e;
    }
    point("runner.recorded");
    run_all(&s);
    point("runner.through");
    char ended[CLOCK_TEXT];
    clock_text(clock_unix(), ended);
    record->ended = arena_strdup(arena, ended);
    record->state = result->stopped ? "stopped" : result->n_failed ? "failed" : "finished";
    record->exit_status = result->errors ? error_exit_status(result->errors) : result->stopped ? 75 : 0;
    record->seconds = clock_seconds() - s.begin;
    record->usd = plan->graph->recipe->usd_per_hour * record->seconds / 3600;
    return write_record(&s);
}
