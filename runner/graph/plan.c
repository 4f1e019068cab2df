// plan.c - decides by looking for results, explains by holding payloads against those of the last run (explain.c).
//
// 1. A stage's state depends on its own key alone: inputs are in the key, so a result that is there is right, whatever became
//    of the results before it.
// 2. Every difference of two keys shows as a difference of two payloads; where the keys are equal and the stage runs all the
//    same, the result is not there, and that is the reason.
#include "runner/graph/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/store/atomic.h"
#include "kernels/memory.h"
#include "runner/graph/estimate.h"
#include "runner/graph/explain.h"
#include "runner/graph/kept.h"
#include "runner/graph/keys.h"
#include "runner/graph/result.h"
#include "runner/graph/share.h"
#include "runner/graph/text_share.h"
#include "runner/graph/trunk.h"
#include "runner/graph/work.h"

const struct graph_part *plan_lacks(const struct plan_stage *s, int *n)
{
    const struct graph_node *node = s->node;
    const struct graph_part *first = NULL;
    *n = 0;
    for (int i = 0; i < node->n_parts; i++) {
        const struct graph_part *part = &node->parts[i];
        if (!part->is_missing || part->left_out ||
            (node->kind == KIND_TOKENS && (!part->wanted || (s->part_done && s->part_done[i]))))
            continue;
        first = first ? first : part;
        (*n)++;
    }
    return first;
}

// Of a node that is several inputs, the first.
static bool is_first(const struct graph_node *node, int i_input)
{
    for (int i = 0; i < i_input; i++)
        if (node->inputs[i].node == node->inputs[i_input].node)
            return false;
    return true;
}

// Where it begins instead of at its beginning.
static struct error *explain_trunk(struct explainer *x)
{
    struct plan_stage *s = x->stage;
    const char *of = arena_printf(x->arena,
                                  s->trunk_own ? "step %lld was kept: it goes on from there"
                                               : "up to step %lld it is this training too: it goes on from there",
                                  (long long)s->step);
    if (of)
        explain_add(x, (struct reason){.kind = REASON_MISSING, .name = s->trunk, .new = of});
    return !of || x->failed ? error_memory() : NULL;
}

// Why it is not as it was; problem: what is the matter with the result itself, or NULL.
static struct error *explain(struct plan *plan, struct plan_stage *s, const char *problem, struct arena *arena)
{
    struct explainer x = {.stage = s, .arena = arena};
    const struct graph_node *node = s->node;
    const struct run_stage *before = plan->last.number ? run_stage(&plan->last, node->name) : NULL;
    if (before && (strcmp(before->kind, kind_name(node->kind)) || !before->payload))
        before = NULL;
    if (s->state == PLAN_UNKNOWN) {
        for (int i = 0; i < node->n_inputs; i++)
            if (!node->inputs[i].node->key && is_first(node, i))
                explain_add(&x, (struct reason){.kind = REASON_INPUT, .name = node->inputs[i].node->name});
    } else if (before && strcmp(before->key, node->key)) {
        explain_difference(&x, before->payload, node->payload);
    }
    if (s->state == PLAN_RESUME && s->trunk)
        return explain_trunk(&x);
    if (s->state == PLAN_RESUME && s->step >= 0)
        problem = arena_printf(arena, "saved at step %lld of %lld", (long long)s->step, (long long)s->n_steps);
    else if (s->state == PLAN_RESUME)
        problem = "a checkpoint is there";
    if (s->state == PLAN_RUN && !problem && before && run_stage_made(before) && !s->n_reasons)
        problem = "not there any more";
    if (problem && s->state != PLAN_CACHED)
        explain_add(&x, (struct reason){.kind = REASON_MISSING, .name = s->out ? s->out : node->name, .new = problem});
    if (s->state == PLAN_RUN && !s->n_reasons)
        explain_add(&x, (struct reason){.kind = REASON_FRESH, .name = plan->last.name});
    int n_lacking;
    const struct graph_part *lacking = s->state == PLAN_CACHED ? NULL : plan_lacks(s, &n_lacking);
    if (node->missing)
        explain_add(&x, (struct reason){.kind = REASON_DATA, .name = node->missing, .new = "missing"});
    if (lacking)
        explain_add(&x, (struct reason){.kind = REASON_DATA,
                                        .name = lacking->url ? lacking->url : lacking->part.path,
                                        .new = lacking->url ? "not fetched" : "missing"});
    return x.failed ? error_memory() : NULL;
}

// Whose time and memory to tell. Where this machine cannot be measured by, what it says is the probe's business, not the plan's.
static struct error *set_up_work(struct plan *plan, struct arena *arena)
{
    const struct recipe *recipe = plan->graph->recipe;
    struct machine here, *measured = arena_alloc(arena, sizeof *measured);
    struct work_setting *work = plan->work = arena_alloc(arena, sizeof *work);
    bool found = false;
    if (!work || !measured)
        return error_memory();
    work->costs.arena = work->prompts.arena = arena;
    work->n_devices = 1;
    work->hardware = &hardware_table[n_hardware - 1];
    struct error *e = hardware_of(&work->hardware, recipe);
    if (e)
        return e;
    work->memory_bytes = work->hardware->memory_bytes;
    if (!hardware_is_here(work->hardware)) {
        work->n_devices = recipe->device_count;
        return NULL;
    }
    work->memory_bytes = (double)memory_most("");
    if ((e = machine_here(&here, arena)))
        return e;
    e = machine_read(measured, plan->results, &here, &found, arena);
    if (e && e->kind != ERROR_DATA && e->kind != ERROR_NOT_BUILT) // damaged or newer is as good as not there, for a plan
        return e;
    error_free(e);
    work->costs.threads = (int)here.threads;
    if (found) {
        work->measured = measured;
        work->costs.rates = machine_rates(measured);
    }
    return NULL;
}

static struct error *decide_tokens(struct plan *plan, struct plan_stage *s, const char **problem, struct arena *arena)
{
    const struct graph_node *node = s->node;
    double seconds = 0;
    int64_t tokens = 0, bytes = 0;
    s->part_out = arena_array(arena, (size_t)node->n_parts + 1, sizeof *s->part_out);
    s->part_done = arena_array(arena, (size_t)node->n_parts + 1, sizeof *s->part_done);
    if (!s->part_out || !s->part_done)
        return error_memory();
    for (int i = 0; i < node->n_parts; i++) {
        struct result r;
        if (!node->parts[i].wanted)
            continue;
        s->n_wanted++;
        if (!node->parts[i].key) {
            s->training_tokens = -1;
            continue;
        }
        if (!(s->part_out[i] = key_path(arena, plan->results, KIND_TOKENS, node->parts[i].key, ".h5")))
            return error_memory();
        struct error *e = result_look(&r, s->part_out[i], node->parts[i].key, true, arena);
        if (e)
            return e;
        s->part_done[i] = r.state == RESULT_WHOLE;
        s->n_done += s->part_done[i];
        if (r.state == RESULT_DAMAGED)
            *problem = arena_printf(arena, "'%s' is damaged: %s", s->part_out[i], r.problem);
        if (node->parts[i].validation && s->part_done[i])
            s->validation_tokens = r.tokens;
        if (!node->parts[i].validation)
            s->training_tokens = s->part_done[i] && s->training_tokens >= 0 ? s->training_tokens + r.tokens : -1;
        seconds += r.seconds;
        tokens += r.tokens;
        bytes += r.bytes;
    }
    if (node->key && s->n_done == s->n_wanted) {
        s->state = PLAN_CACHED;
        s->seconds = seconds;
        s->seconds_most = NAN;
        s->tokens = tokens;
        s->bytes_disk = bytes;
    } else if (node->key && s->n_done && !*problem) {
        *problem = arena_printf(arena, "%d of %d files done", s->n_done, s->n_wanted);
    }
    return NULL;
}

// A checkpoint of its own.
static struct error *find_part(const struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    static const char *const endings[] = {".part.h5", ".part.prev.h5"};
    for (size_t i = 0; i < countof(endings); i++) {
        struct result r;
        const char *path = key_path(arena, plan->results, s->node->kind, s->node->key, endings[i]);
        if (!path)
            return error_memory();
        if (!file_exists(path))
            continue;
        struct error *e = result_look(&r, path, s->node->key, false, arena);
        if (e)
            return e;
        s->state = PLAN_RESUME;
        if (r.state == RESULT_WHOLE) {
            s->step = r.step;
            s->n_steps = r.n_steps;
            break;
        }
    }
    return NULL;
}

// What stages that will run read of it beside its result, and whether it can begin later than at its beginning.
static struct error *find_kept(struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    struct trunk trunk;
    struct kept_lacks lacks;
    if (!kind_trains(s->node->kind) || !s->node->key)
        return NULL;
    struct error *e = kept_lacks(&lacks, plan, s, arena);
    if (e)
        return e;
    if (s->state == PLAN_CACHED && lacks.n) {
        s->state = PLAN_RUN;
        s->until = lacks.last == INT64_MAX ? -1 : lacks.last;
        if ((e = find_part(plan, s, arena)))
            return e;
    }
    if (s->state == PLAN_RESUME && lacks.n && s->step > lacks.first) {
        s->state = PLAN_RUN;
        s->step = s->n_steps = -1;
        s->from_start = true;
    }
    if (s->state != PLAN_RUN || s->anew)
        return NULL;
    if ((e = trunk_find(&trunk, &plan->trunks, plan->names, plan->results, s->node, lacks.first, arena)) || !trunk.path)
        return e;
    s->state = PLAN_RESUME;
    s->trunk = trunk.path;
    s->trunk_own = trunk.own;
    s->step = trunk.step;
    s->n_steps = s->updates >= trunk.step ? s->updates : trunk.n_steps;
    return NULL;
}

static struct error *decide_stage(struct plan *plan, struct plan_stage *s, const char **problem, struct arena *arena)
{
    const struct graph_node *node = s->node;
    struct result r;
    if (!node->key)
        return NULL;
    if (!(s->out = key_path(arena, plan->results, node->kind, node->key, ".h5")))
        return error_memory();
    struct error *e = result_look(&r, s->out, node->key, true, arena);
    if (e)
        return e;
    s->whole = r.state == RESULT_WHOLE;
    if (s->whole) {
        s->state = PLAN_CACHED;
        s->seconds = r.seconds;
        s->seconds_most = NAN;
        s->usd = r.usd;
        s->bytes_disk = r.bytes;
        if (node->kind == KIND_ROWS && r.rows > 0 && r.seq_len > 0 && r.rows < INT64_MAX / (r.seq_len + 1)) {
            s->rows = r.rows;
            s->tokens = r.rows * r.seq_len;
            s->dropped = 1 - (double)r.rows * (double)(r.seq_len + 1) / (double)r.tokens;
        }
        return NULL;
    }
    if (r.state == RESULT_DAMAGED)
        *problem = arena_printf(arena, "damaged: %s", r.problem);
    return find_part(plan, s, arena);
}

// As if nothing of it were there.
static void begin_state(struct plan_stage *s)
{
    s->state = s->node->key ? PLAN_RUN : PLAN_UNKNOWN;
    s->step = s->n_steps = s->until = -1;
    s->whole = s->from_start = false;
    s->trunk = NULL;
    s->n_done = 0;
}

static struct error *look_for_newer(struct plan *plan, const struct graph_node *node)
{
    struct error *e = result_names_read(plan->names, plan->results);
    return e ? e : result_spare(plan->names, node->kind, node->key);
}

// The state, from nothing but what is there; *problem says what is the matter with it.
static struct error *decide(struct plan *plan, struct plan_stage *s, const char **problem, struct arena *arena)
{
    const struct graph_node *node = s->node;
    begin_state(s);
    s->n_wanted = 0;
    s->validation_tokens = s->rows = -1;
    s->dropped = NAN;
    s->training_tokens = node->kind == KIND_TOKENS && !node->task ? 0 : -1;
    struct error *e = node->kind == KIND_TOKENS ? decide_tokens(plan, s, problem, arena) : decide_stage(plan, s, problem, arena);
    if (!e)
        e = find_kept(plan, s, arena);
    if (!e && s->out && s->state != PLAN_CACHED)
        e = look_for_newer(plan, node);
    return error_while(e, node->stage ? node->stage->at : NOWHERE, "planning stage '%s'", node->name);
}

// Tokens of the validation text, as its rows have them; -1: there is none, or it is not known.
static int64_t text_tokens(const struct plan *plan, const struct graph_node *node)
{
    const struct graph_node *tokens = graph_input(node, "validation"), *rows = graph_input(node, "validation_rows");
    const struct plan_stage *planned = rows ? plan_of(plan, rows) : NULL;
    if (!tokens || (planned && planned->rows < 0))
        return -1;
    return planned ? planned->tokens : plan_of(plan, tokens)->validation_tokens;
}

// An evaluation looks at no more tokens than the validation text has, where that is known.
static void bound_by_text(const struct plan *plan, struct plan_stage *s)
{
    int64_t there = s->node->kind == KIND_EVAL ? text_tokens(plan, s->node) : -1;
    if (there > 0 && s->tokens > there) {
        s->flops *= (double)there / (double)s->tokens;
        s->tokens = there;
    }
}

// Tokens of validation that are there, of a text or of the test splits of tasks; -1: not known of all, or there are none.
static int64_t validation_tokens(const struct plan *plan, const struct graph_node *node)
{
    int64_t tokens = -1;
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        bool is_text = !strcmp(input->role, "validation"), is_test = !strcmp(input->role, "test");
        const struct plan_stage *s = is_text || is_test ? plan_of(plan, input->node) : NULL;
        if (!s)
            continue;
        int64_t there = is_text ? text_tokens(plan, node) : s->state == PLAN_CACHED ? s->tokens : -1;
        if (there < 0)
            return -1;
        tokens = (tokens < 0 ? 0 : tokens) + there;
    }
    return tokens;
}

// Bytes of the held-back documents of a world, by the mean of a few.
static struct error *guess_validation(struct plan_stage *s)
{
    enum { TRIED = 8 };
    s->validation_most = -1;
    for (int i = 0; i < s->node->n_parts; i++) {
        const struct document_part *part = &s->node->parts[i].part;
        double bytes = 0;
        if (!s->node->parts[i].validation || part->form != DOCUMENT_WORLD || part->records || part->n < 1)
            continue;
        for (int64_t k = 0; k < TRIED; k++) {
            char *text;
            size_t n_bytes;
            struct error *e = world_write(part->world, part->seed, part->first + k % part->n, part->held_out, &text, &n_bytes);
            if (e)
                return e;
            block_free(text);
            bytes += (double)n_bytes + 1;
        }
        bytes *= (double)part->n / TRIED;
        s->validation_most = bytes < 9e18 ? (int64_t)bytes : -1;
    }
    return NULL;
}

// What running it would take. Nothing is counted of a stage whose error has been told.
static struct error *weigh(const struct plan *plan, struct plan_stage *s, const struct work_facts *facts)
{
    struct work work;
    struct error *e = work_of(&work, s->node, facts, plan->work);
    if (e) {
        struct error *placed = error_new(e->kind, s->node->stage ? s->node->stage->at : NOWHERE, e->fix, "%s", e->what);
        error_free(e);
        return error_while(placed, s->node->stage ? s->node->stage->at : NOWHERE, "planning stage '%s'", s->node->name);
    }
    s->bytes_device = work.bytes_device;
    s->bytes_checkpoints = work.bytes_checkpoints;
    if (s->bytes_disk >= 0 && work.bytes_optimizer > 0)
        s->bytes_disk += kept_optimizers(plan->graph, s->node) * work.bytes_optimizer;
    s->flops_counted = work.flops;
    s->seconds = work.seconds;
    s->seconds_most = work.seconds_most;
    s->usd = plan->graph->recipe->usd_per_hour * work.seconds / 3600;
    s->too_large = work.too_large;
    s->device_batch_fits = work.device_batch_fits;
    return NULL;
}

// The numbers of a stage, from its options and from what is there of the text that it reads.
static struct error *count(const struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    struct estimate estimate;
    struct work_facts facts = {.choices = 0, .written = 0, .validation_tokens = validation_tokens(plan, s->node)};
    struct shape shape;
    bool has_shape;
    s->bytes_device = s->bytes_checkpoints = -1;
    s->flops_counted = s->seconds_most = NAN;
    struct error *e = estimate_stage(&estimate, s->node);
    if (!e && s->node->kind == KIND_TOKENS)
        e = guess_validation(s);
    if (!e)
        e = estimate_shape(s->node, &shape, &has_shape);
    const struct graph_node *text = graph_input(s->node, "validation");
    facts.validation_most = text ? plan_of(plan, text)->validation_most : -1;
    facts.rows.most = !e && has_shape ? shape.seq_len : 1;
    if (!e)
        e = shares_make(plan, s, &facts.rows, arena);
    if (!e && s->node->kind == KIND_EVAL)
        e = shares_questions(plan, s, &facts.rows, &facts.choices, &facts.written);
    if (e)
        return e;
    if (has_shape)
        facts.prompted = prompts_guess(&plan->work->prompts, s->node, shape.n_vocab);
    int64_t n_examples, n_tokens;
    shares_sum(s, &n_examples, &n_tokens);
    estimate_mixture(&estimate, s->node, n_examples, n_tokens, s->training_rows);
    s->params = estimate.params;
    s->tokens = estimate.tokens;
    s->bytes_disk = estimate.bytes_disk;
    s->flops = estimate.flops;
    bound_by_text(plan, s);
    if ((e = texts_make(plan, s, arena)))
        return e;
    facts.flops_per_token = estimate.flops_per_token;
    s->scaling_params = estimate.scaling_params;
    s->batch_tokens = estimate.batch_tokens;
    s->flops_per_token = estimate.flops_per_token;
    s->steps = estimate.steps;
    facts.batch_tokens = estimate.batch_tokens;
    int64_t begin = estimate_begin(s->node);
    facts.steps = s->node->kind == KIND_PRETRAIN ? estimate.steps - (begin > 0 && begin < estimate.steps ? begin : 0)
                                                 : estimate_steps(s->node, s->training_rows);
    s->updates = s->node->kind == KIND_PRETRAIN ? estimate.steps : facts.steps;
    if (s->params >= 0 && s->bytes_disk >= 0)
        s->bytes_disk += kept_count(s->node, s->updates) * s->params * (int64_t)sizeof(float);
    return !plan->any_steps && (e = kept_check(plan, s)) ? e : weigh(plan, s, &facts);
}

// What is done already, and what is not asked for, is not paid for.
static void spare(struct plan_stage *s)
{
    int64_t begin = estimate_begin(s->node), n = s->n_steps > 0 ? s->n_steps : s->updates;
    begin = begin > 0 ? begin : 0;
    int64_t from = s->state == PLAN_RESUME && s->step > begin ? s->step : begin, to = s->until >= 0 ? s->until : n;
    if ((s->state != PLAN_RESUME && s->until < 0) || n <= begin || to > n || to < from)
        return;
    double left = (double)(to - from) / (double)(n - begin);
    s->seconds *= left;
    s->seconds_most *= left;
    s->usd *= left;
}

static struct error *plan_one(struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    const struct graph_node *node = s->node;
    const char *problem = NULL;
    s->seconds = s->usd = NAN;
    struct error *e = count(plan, s, arena);
    if (e)
        return e;
    if ((e = decide(plan, s, &problem, arena)))
        return e;
    spare(s);
    const struct run_stage *before = plan->last.number ? run_stage(&plan->last, node->name) : NULL;
    if (before && node->key && s->state == PLAN_RUN && !strcmp(before->key, node->key) && before->seconds > 0) {
        s->seconds = before->seconds;
        s->seconds_most = NAN;
        s->usd = before->usd;
    }
    return explain(plan, s, problem, arena);
}

// Whether a stage that is not cached reads it.
static bool is_needed(const struct plan *plan, int i_stage)
{
    for (int i = 0; i < plan->n_stages; i++)
        for (int k = 0; k < plan->stages[i].node->n_inputs && plan->stages[i].state != PLAN_CACHED; k++)
            if (plan->stages[i].node->inputs[k].node == plan->stages[i_stage].node)
                return true;
    return false;
}

// Steps that are read by a stage that will run, which is known only when all have been decided on.
static struct error *want_kept(struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    struct kept_lacks lacks;
    const char *problem = NULL;
    struct explainer x = {.stage = s, .arena = arena, .capacity = s->n_reasons};
    enum plan_state before = s->state;
    struct error *e = kept_lacks(&lacks, plan, s, arena);
    if (e || !lacks.n || s->state == PLAN_UNKNOWN)
        return e;
    if ((e = count(plan, s, arena)) || (e = decide(plan, s, &problem, arena)))
        return e;
    spare(s);
    const char *what = lacks.first == INT64_MAX ? "the end" : arena_printf(arena, "step %lld", (long long)lacks.first);
    const char *text =
        what ? arena_printf(arena, "%s%s, read by '%s', is not kept%s", lacks.optim ? "the optimizer of " : "", what,
                            lacks.reader->name,
                            lacks.optim && lacks.reader->kind == KIND_FINETUNE ? "; `moments: fresh` there does without" : "")
             : NULL;
    if (text && (before == PLAN_CACHED || s->from_start))
        explain_add(&x, (struct reason){.kind = REASON_MISSING, .name = lacks.path, .new = text});
    if (text && before != PLAN_RESUME && s->state == PLAN_RESUME && s->trunk)
        e = explain_trunk(&x);
    return !text || x.failed ? error_memory() : e;
}

static void count_cached(struct plan *plan)
{
    plan->n_cached = 0;
    for (int i = 0; i < plan->n_stages; i++)
        plan->n_cached += plan->stages[i].state == PLAN_CACHED;
}

// From the last to the first: what only plans of rows read, which nobody reads, is not needed either.
static void leave_unneeded(struct plan *plan)
{
    for (int i = plan->n_stages - 1; i >= 0; i--) {
        struct plan_stage *s = &plan->stages[i];
        if (s->state == PLAN_RUN && !kind_is_word(s->node->kind) && !is_needed(plan, i))
            s->state = PLAN_CACHED;
    }
    count_cached(plan);
}

// Around what asks for the files of the store, so that they are listed once at the most; one in another is of the outer one.
static struct result_names *begin_look(struct plan *plan, struct result_names *own)
{
    struct result_names *before = plan->names;
    plan->names = before ? before : own;
    return before;
}

static void end_look(struct plan *plan, struct result_names *before)
{
    if (!before)
        result_names_release(plan->names);
    plan->names = before;
}

static struct error *build(struct plan *plan, struct arena *arena)
{
    const struct graph *graph = plan->graph;
    const char *results = plan->results;
    struct error *e = run_newest(&plan->last, results, graph->recipe->name, arena);
    if (!e)
        e = set_up_work(plan, arena);
    if (e)
        return e;
    plan->stages = arena_array(arena, (size_t)graph->n_nodes + 1, sizeof *plan->stages);
    if (!plan->stages)
        return error_memory();
    struct result_names own = {0}, *before = begin_look(plan, &own);
    for (int i = 0; i < graph->n_nodes; i++) {
        struct plan_stage *s = &plan->stages[plan->n_stages++];
        s->node = graph->nodes[i];
        e = error_append(e, plan_one(plan, s, arena)); // all of a recipe's errors at once
    }
    for (int i = plan->n_stages; i-- > 0 && !e;) // readers are behind what they read
        e = want_kept(plan, &plan->stages[i], arena);
    end_look(plan, before);
    leave_unneeded(plan);
    return e;
}

struct error *plan_build(struct plan *plan, const struct graph *graph, const char *results, struct arena *arena)
{
    *plan = (struct plan){.graph = graph, .results = results};
    return build(plan, arena);
}

struct error *plan_weigh(struct plan *plan, const struct graph *graph, const char *results, struct arena *arena)
{
    *plan = (struct plan){.graph = graph, .results = results, .any_steps = true};
    return build(plan, arena);
}

struct error *plan_select(struct plan *plan, const bool *selected, struct arena *arena)
{
    plan->selected = selected;
    for (int i = plan->n_stages; i-- > 0;) { // readers are behind what they read
        struct plan_stage *s = &plan->stages[i];
        struct error *e = NULL;
        if (!s->whole || s->state == PLAN_CACHED)
            continue;
        if ((e = plan_look(plan, s, arena)))
            return e;
        if (s->state != PLAN_CACHED)
            continue;
        s->n_reasons = 0;
        if ((e = explain(plan, s, NULL, arena)))
            return e;
    }
    leave_unneeded(plan);
    return NULL;
}

struct error *plan_look(struct plan *plan, struct plan_stage *stage, struct arena *arena)
{
    const char *problem = NULL;
    struct result_names own = {0}, *before = begin_look(plan, &own);
    plan->trunks = NULL; // others may be there by now, too
    // Inputs may be there by now that were not when the plan was made. A token stage's numbers are those of its files.
    struct error *e = stage->node->kind == KIND_TOKENS ? NULL : count(plan, stage, arena);
    if (!e)
        e = decide(plan, stage, &problem, arena);
    // What it took is asked for now, not what it was thought to take.
    if (stage->state != PLAN_CACHED)
        stage->seconds = stage->usd = stage->seconds_most = NAN;
    end_look(plan, before);
    return e;
}

// What a stage that is made anew reads, directly or through others, is asked for by somebody now.
static struct error *look_at_inputs(struct plan *plan, const struct plan_stage *anew, struct arena *arena)
{
    for (int i = (int)(anew - plan->stages); i-- > 0;) { // from the last to the first: a stage's readers are behind it
        struct plan_stage *s = &plan->stages[i];
        struct error *e = NULL;
        if (s->state != PLAN_CACHED || !graph_needs(anew->node, s->node) || !is_needed(plan, i))
            continue;
        if (kind_is_word(s->node->kind))
            e = want_kept(plan, s, arena);
        else if (!(e = plan_look(plan, s, arena)) && s->state != PLAN_CACHED)
            e = explain(plan, s, NULL, arena);
        if (e)
            return e;
    }
    return NULL;
}

struct error *plan_anew(struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    struct result_names own = {0}, *before = begin_look(plan, &own);
    begin_state(s);
    s->anew = true;
    s->seconds = s->usd = s->seconds_most = NAN;
    s->n_reasons = 0;
    for (int i = 0; i < s->node->n_parts && s->part_done; i++)
        s->part_done[i] = false;
    struct error *e = s->out ? look_for_newer(plan, s->node) : NULL;
    if (!e)
        e = explain(plan, s, "made anew, as asked", arena);
    if (!e)
        e = look_at_inputs(plan, s, arena);
    end_look(plan, before);
    count_cached(plan);
    return e;
}

struct error *plan_forget(struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    static const char *const endings[] = {".h5", ".part.h5", ".part.prev.h5"};
    for (size_t i = 0; i < countof(endings) && s->out; i++) {
        const char *path = key_path(arena, plan->results, s->node->kind, s->node->key, endings[i]);
        if (!path)
            return error_memory();
        unlink(path);
    }
    for (int i = 0; i < s->node->n_parts && s->part_out; i++)
        if (s->part_out[i])
            unlink(s->part_out[i]);
    return plan_look(plan, s, arena);
}

struct plan_stage *plan_stage(const struct plan *plan, const char *name)
{
    for (int i = 0; i < plan->n_stages; i++)
        if (!strcmp(plan->stages[i].node->name, name))
            return &plan->stages[i];
    return NULL;
}

struct plan_stage *plan_of(const struct plan *plan, const struct graph_node *node)
{
    for (int i = 0; i < plan->n_stages; i++)
        if (plan->stages[i].node == node)
            return &plan->stages[i];
    return NULL;
}

const char *plan_state_name(enum plan_state state)
{
    static const char *const names[PLAN_STATE_COUNT] = {
        [PLAN_CACHED] = "cached", [PLAN_RUN] = "run", [PLAN_RESUME] = "resume", [PLAN_UNKNOWN] = "unknown"};
    return names[state];
}

const char *reason_kind_name(enum reason_kind kind)
{
    static const char *const names[REASON_COUNT] = {
        [REASON_FIELD] = "field",     [REASON_INPUT] = "input",     [REASON_DATA] = "data",
        [REASON_VERSION] = "version", [REASON_MISSING] = "missing", [REASON_FRESH] = "fresh"};
    return names[kind];
}

const char *reasons_json(const struct reason *reasons, int n_reasons, struct arena *arena)
{
    struct json j = {0};
    json_open(&j, '[');
    for (int i = 0; i < n_reasons; i++) {
        const struct reason *r = &reasons[i];
        json_open(&j, '{');
        json_key(&j, "kind"), json_str(&j, reason_kind_name(r->kind));
        json_key(&j, "name"), json_str(&j, r->name);
        json_key(&j, "file"), json_str(&j, r->at.file);
        json_key(&j, "line");
        if (r->at.line > 0)
            json_i64(&j, r->at.line);
        else
            json_nil(&j);
        json_key(&j, "old"), json_str(&j, r->old);
        json_key(&j, "new"), json_str(&j, r->new);
        json_key(&j, "by"), json_str(&j, r->by);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    const char *text = json_text(&j) ? arena_strdup(arena, j.text) : NULL;
    json_release(&j);
    return text;
}
