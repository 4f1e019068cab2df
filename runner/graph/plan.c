// plan.c - decides by looking for results, explains by holding payloads against those of the last run.
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

#include <jansson.h>

#include "core/base/json.h"
#include "core/store/atomic.h"
#include "runner/graph/estimate.h"
#include "runner/graph/keys.h"
#include "runner/graph/result.h"

struct explainer {
    struct plan_stage *stage;
    struct arena *arena;
    int capacity;
    bool failed; // memory ran out
};

static void add_reason(struct explainer *x, struct reason reason)
{
    struct plan_stage *s = x->stage;
    if (s->n_reasons == x->capacity) {
        int more = x->capacity ? 2 * x->capacity : 4;
        struct reason *reasons = arena_grow(x->arena, s->reasons, (size_t)s->n_reasons, (size_t)more, sizeof *reasons);
        if (!reasons) {
            x->failed = true;
            return;
        }
        s->reasons = reasons;
        x->capacity = more;
    }
    s->reasons[s->n_reasons++] = reason;
}

// A value of a payload as a person writes it: reals in the fewest digits that give the same number.
static const char *value_text(const json_t *value, struct arena *arena)
{
    if (!value || json_is_null(value))
        return NULL;
    if (json_is_string(value))
        return arena_strdup(arena, json_string_value(value));
    if (json_is_real(value)) {
        char text[40];
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, json_real_value(value));
            if (strtod(text, NULL) == json_real_value(value))
                break;
        }
        return arena_strdup(arena, text);
    }
    size_t n = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT);
    char *text = arena_alloc(arena, n + 1);
    if (text)
        json_dumpb(value, text, n, JSON_ENCODE_ANY | JSON_COMPACT);
    return text;
}

static const char *by_text(enum value_by by)
{
    static const char *const names[BY_COUNT] = {[BY_DEFAULT] = "default", [BY_PRESET] = "preset", [BY_INCLUDE] = "include",
                                                [BY_RECIPE] = "recipe",   [BY_LET] = "let",       [BY_SETTING] = "-s"};
    return names[by];
}

static bool equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static void explain_field(struct explainer *x, const char *name, const json_t *old, const json_t *new)
{
    const struct recipe_stage *stage = x->stage->node->stage;
    const struct setting *setting = stage ? stage_setting(stage, name) : NULL;
    struct reason reason = {.kind = REASON_FIELD, .name = arena_strdup(x->arena, name)};
    reason.old = value_text(old, x->arena);
    reason.new = value_text(new, x->arena);
    if (setting) {
        reason.at = setting->at;
        reason.by = by_text(setting->by);
    }
    x->failed = x->failed || !reason.name;
    add_reason(x, reason);
}

static void explain_fields(struct explainer *x, const json_t *old, const json_t *new)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)new, name, value) if (!equal(value, json_object_get(old, name)))
        explain_field(x, name, json_object_get(old, name), value);
    json_object_foreach((json_t *)old, name, value) if (!json_object_get(new, name)) explain_field(x, name, value, NULL);
}

// The first digits of a key, enough to tell it from another; of a list of files their number, or, beside another list of the same
// number, the first key in which the two differ.
static const char *short_key(const json_t *input, const json_t *other, struct arena *arena)
{
    size_t n = json_array_size(input), i = 0;
    if (json_is_array(input) && json_array_size(other) == n) {
        while (i + 1 < n && json_equal(json_array_get(input, i), json_array_get(other, i)))
            i++;
        input = json_array_get(input, i);
    }
    if (json_is_string(input))
        return arena_strndup(arena, json_string_value(input), 16);
    return json_is_array(input) ? arena_printf(arena, "%zu file%s", n, n == 1 ? "" : "s") : NULL;
}

static void explain_inputs(struct explainer *x, const json_t *old, const json_t *new)
{
    const struct graph_node *node = x->stage->node;
    for (int i = 0; i < node->n_inputs; i++) {
        const char *role = node->inputs[i].role;
        const json_t *a = json_object_get(old, role), *b = json_object_get(new, role);
        if (!json_equal((json_t *)a, (json_t *)b)) {
            // Training and validation tokens come from one stage: it is named once.
            bool told = false;
            for (int k = 0; k < x->stage->n_reasons; k++)
                told = told || (x->stage->reasons[k].kind == REASON_INPUT &&
                                !strcmp(x->stage->reasons[k].name, node->inputs[i].node->name));
            if (!told)
                add_reason(x, (struct reason){.kind = REASON_INPUT,
                                              .name = node->inputs[i].node->name,
                                              .old = short_key(a, b, x->arena),
                                              .new = short_key(b, a, x->arena)});
        }
    }
    const char *role;
    json_t *value;
    json_object_foreach((json_t *)old, role, value) if (!json_object_get(new, role)) add_reason(
        x, (struct reason){.kind = REASON_INPUT, .name = arena_strdup(x->arena, role), .old = short_key(value, NULL, x->arena)});
}

// Names of the parts whose identities stand in the payload, in its order.
static const struct graph_part *data_part(const struct graph_node *node, size_t index)
{
    for (int i = 0; i < node->n_parts; i++)
        if ((node->kind != KIND_TOKENS || node->parts[i].wanted) && index-- == 0)
            return &node->parts[i];
    return NULL;
}

// What tells two identities of a part apart: the content, or how it is read.
static void explain_part(struct explainer *x, const char *name, const json_t *old, const json_t *new)
{
    static const char *const keys[] = {"sha256", "n", "seed", "first", "column", "form", "held_out", "generator"};
    struct reason reason = {.kind = REASON_DATA, .name = name};
    for (size_t i = 0; i < countof(keys); i++) {
        const json_t *a = json_object_get(old, keys[i]), *b = json_object_get(new, keys[i]);
        if (a && b && json_equal((json_t *)a, (json_t *)b))
            continue;
        if (!a && !b)
            continue;
        const char *what = i == 0 ? "sha256" : !strcmp(keys[i], "n") ? "documents" : keys[i];
        const char *was = value_text(a, x->arena), *is = value_text(b, x->arena);
        reason.old = was ? arena_printf(x->arena, "%s %.12s", what, was) : NULL;
        reason.new = is ? arena_printf(x->arena, "%s %.12s", what, is) : NULL;
        break;
    }
    add_reason(x, reason);
}

static void explain_data(struct explainer *x, const json_t *old, const json_t *new)
{
    size_t n_old = json_array_size(old), n_new = json_array_size(new);
    if (n_old != n_new)
        add_reason(x, (struct reason){.kind = REASON_DATA,
                                      .name = x->stage->node->source ? x->stage->node->source->name : "files",
                                      .old = arena_printf(x->arena, "%zu file%s", n_old, n_old == 1 ? "" : "s"),
                                      .new = arena_printf(x->arena, "%zu file%s", n_new, n_new == 1 ? "" : "s")});
    for (size_t i = 0; i < n_old && i < n_new; i++) {
        const json_t *a = json_array_get(old, i), *b = json_array_get(new, i);
        const struct graph_part *part = data_part(x->stage->node, i);
        if (!json_equal((json_t *)a, (json_t *)b) && part)
            explain_part(x, part->part.path, a, b);
    }
}

static void explain_difference(struct explainer *x, const char *old_payload, const char *new_payload)
{
    json_t *old = json_loads(old_payload, 0, NULL), *new = json_loads(new_payload, 0, NULL);
    if (old && new) {
        const json_t *a = json_object_get(old, "version"), *b = json_object_get(new, "version");
        if (!equal(a, b))
            add_reason(x, (struct reason){.kind = REASON_VERSION,
                                          .name = kind_name(x->stage->node->kind),
                                          .old = value_text(a, x->arena),
                                          .new = value_text(b, x->arena)});
        explain_fields(x, json_object_get(old, "fields"), json_object_get(new, "fields"));
        explain_inputs(x, json_object_get(old, "inputs"), json_object_get(new, "inputs"));
        explain_data(x, json_object_get(old, "data"), json_object_get(new, "data"));
    }
    json_decref(old);
    json_decref(new);
}

static bool was_made(const struct run_stage *before)
{
    return before && (!strcmp(before->state, "cached") || !strcmp(before->state, "finished"));
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
            if (!node->inputs[i].node->key && (i == 0 || node->inputs[i].node != node->inputs[i - 1].node))
                add_reason(&x, (struct reason){.kind = REASON_INPUT, .name = node->inputs[i].node->name});
        if (node->missing)
            add_reason(&x, (struct reason){.kind = REASON_DATA, .name = node->missing, .new = "missing"});
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
        add_reason(&x, (struct reason){.kind = REASON_MISSING, .name = s->out ? s->out : node->name, .new = problem});
    if (s->state == PLAN_RUN && !s->n_reasons)
        add_reason(&x, (struct reason){.kind = REASON_FRESH, .name = plan->last.name});
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

static struct error *plan_one(struct plan *plan, struct plan_stage *s, struct arena *arena)
{
    const struct graph_node *node = s->node;
    const char *problem = NULL;
    struct estimate estimate;
    struct error *e = estimate_stage(&estimate, node);
    if (e)
        return e;
    s->params = estimate.params;
    s->tokens = estimate.tokens;
    s->bytes_disk = estimate.bytes_disk;
    s->flops = estimate.flops;
    s->seconds = s->usd = NAN;
    bound_by_text(plan, s);
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
    bound_by_text(plan, stage);
    return decide(plan, stage, &problem, arena);
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
