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
#include "runner/graph/estimate.h"
#include "runner/graph/explain.h"
#include "runner/graph/keys.h"
#include "runner/graph/result.h"
#include "runner/graph/share.h"

static bool was_made(const struct run_stage *before)
{
    return before && (!strcmp(before->state, "cached") || !strcmp(before->state, "finished"));
}

// Of a node that is several inputs, the first.
static bool is_first(const struct graph_node *node, int i_input)
{
    for (int i = 0; i < i_input; i++)
        if (node->inputs[i].node == node->inputs[i_input].node)
            return false;
    return true;
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
        if (node->missing)
            explain_add(&x, (struct reason){.kind = REASON_DATA, .name = node->missing, .new = "missing"});
    } else if (before && strcmp(before->key, node->key)) {
        explain_difference(&x, before->payload, node->payload);
    }
    if (s->state == PLAN_RESUME && s->step >= 0)
        problem = arena_printf(arena, "saved at step %lld of %lld", (long long)s->step, (long long)s->n_steps);
    else if (s->state == PLAN_RESUME)
        problem = "a checkpoint is there";
    if (s->state == PLAN_RUN && !problem && was_made(before) && !s->n_reasons)
        problem = "not there any more";
    if (problem && s->state != PLAN_CACHED)
        explain_add(&x, (struct reason){.kind = REASON_MISSING, .name = s->out ? s->out : node->name, .new = problem});
    if (s->state == PLAN_RUN && !s->n_reasons)
        explain_add(&x, (struct reason){.kind = REASON_FRESH, .name = plan->last.name});
    return x.failed ? error_memory() : NULL;
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
        if (!node->parts[i].key)
            continue;
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
        seconds += r.seconds;
        tokens += r.tokens;
        bytes += r.bytes;
    }
    if (node->key && s->n_done == s->n_wanted) {
        s->state = PLAN_CACHED;
        s->seconds = seconds;
        s->tokens = tokens;
        s->bytes_disk = bytes;
    } else if (node->key && s->n_done && !*problem) {
        *problem = arena_printf(arena, "%d of %d files done", s->n_done, s->n_wanted);
    }
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
    if (r.state == RESULT_WHOLE) {
        s->state = PLAN_CACHED;
        s->seconds = r.seconds;
        s->usd = r.usd;
        s->bytes_disk = r.bytes;
        return NULL;
    }
    if (r.state == RESULT_DAMAGED)
        *problem = arena_printf(arena, "damaged: %s", r.problem);
    static const char *const endings[] = {".part.h5", ".part.prev.h5"};
    for (size_t i = 0; i < countof(endings); i++) {
        const char *path = key_path(arena, plan->results, node->kind, node->key, endings[i]);
        if (!path)
            return error_memory();
        if (!file_exists(path))
            continue;
        if ((e = result_look(&r, path, node->key, false, arena)))
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

// The state, from nothing but what is there; *problem says what is the matter with it.
static struct error *decide(struct plan *plan, struct plan_stage *s, const char **problem, struct arena *arena)
{
    const struct graph_node *node = s->node;
    s->state = node->key ? PLAN_RUN : PLAN_UNKNOWN;
    s->step = s->n_steps = -1;
    s->n_wanted = s->n_done = 0;
    s->validation_tokens = -1;
    struct error *e = node->kind == KIND_TOKENS ? decide_tokens(plan, s, problem, arena) : decide_stage(plan, s, problem, arena);
    return error_while(e, node->stage ? node->stage->at : NOWHERE, "planning stage '%s'", node->name);
}

// An evaluation looks at no more tokens than the validation text has, where that is known.
static void bound_by_text(const struct plan *plan, struct plan_stage *s)
{
    const struct graph_node *tokens = s->node->kind == KIND_EVAL ? graph_input(s->node, "validation") : NULL;
    const struct plan_stage *text = tokens ? plan_of(plan, tokens) : NULL;
    if (text && text->validation_tokens > 0 && s->tokens > text->validation_tokens) {
        s->flops *= (double)text->validation_tokens / (double)s->tokens;
        s->tokens = text->validation_tokens;
    }
}

// The numbers of a stage, from its options and from what is there of the text that it reads.
static struct error *count(const struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    struct estimate estimate;
    struct error *e = estimate_stage(&estimate, s->node);
    if (e || (e = shares_make(plan, s, arena)))
        return e;
    int64_t rows = 0, tokens = 0;
    for (int i = 0; i < s->n_shares; i++) {
        bool known = rows >= 0 && s->shares[i].rows >= 0 && s->shares[i].tokens >= 0;
        rows = known ? rows + s->shares[i].rows : -1;
        tokens = known ? tokens + s->shares[i].tokens : -1;
    }
    estimate_mixture(&estimate, s->node, rows, tokens);
    s->params = estimate.params;
    s->tokens = estimate.tokens;
    s->bytes_disk = estimate.bytes_disk;
    s->flops = estimate.flops;
    bound_by_text(plan, s);
    return NULL;
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
    const struct run_stage *before = plan->last.number ? run_stage(&plan->last, node->name) : NULL;
    if (before && node->key && s->state == PLAN_RUN && !strcmp(before->key, node->key) && before->seconds > 0) {
        s->seconds = before->seconds;
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

struct error *plan_build(struct plan *plan, const struct graph *graph, const char *results, struct arena *arena)
{
    *plan = (struct plan){.graph = graph, .results = results};
    struct error *e = run_newest(&plan->last, results, graph->recipe->name, arena);
    if (e)
        return e;
    plan->stages = arena_array(arena, (size_t)graph->n_nodes + 1, sizeof *plan->stages);
    if (!plan->stages)
        return error_memory();
    for (int i = 0; i < graph->n_nodes; i++) {
        struct plan_stage *s = &plan->stages[plan->n_stages++];
        s->node = graph->nodes[i];
        e = error_append(e, plan_one(plan, s, arena)); // all of a recipe's errors at once
    }
    for (int i = 0; i < plan->n_stages; i++)
        if (plan->stages[i].state == PLAN_RUN && plan->stages[i].node->kind == KIND_TOKENS && !is_needed(plan, i))
            plan->stages[i].state = PLAN_CACHED;
    for (int i = 0; i < plan->n_stages; i++)
        plan->n_cached += plan->stages[i].state == PLAN_CACHED;
    return e;
}

struct error *plan_look(struct plan *plan, struct plan_stage *stage, struct arena *arena)
{
    const char *problem = NULL;
    // Inputs may be there by now that were not when the plan was made. A token stage's numbers are those of its files.
    struct error *e = stage->node->kind == KIND_TOKENS ? NULL : count(plan, stage, arena);
    return e ? e : decide(plan, stage, &problem, arena);
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
    plan->n_cached -= s->state == PLAN_CACHED;
    s->n_reasons = 0;
    struct error *e = plan_look(plan, s, arena);
    return e ? e : explain(plan, s, "made anew, as asked", arena);
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
