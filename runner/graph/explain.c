// explain.c - every difference of two keys shows as a difference of two payloads; here it is put in words that a person wrote.
//
// What a field tells is not told again: where a mixture has another entry, the keys of that entry's rows are new too, and no reason
// of their own.
#include "runner/graph/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/json.h"
#include "runner/graph/share.h"

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

// What is there in neither is equal.
static bool equal(const json_t *a, const json_t *b)
{
    if (!a || !b)
        return a == b;
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static void explain_field(struct explainer *x, const char *name, const json_t *old, const json_t *new)
{
    const struct recipe_stage *stage = x->stage->node->stage;
    const struct setting *setting = stage ? stage_setting(stage, name) : NULL;
    struct reason reason = {.kind = REASON_FIELD, .name = arena_strdup(x->arena, name)};
    // A field that is left out of payloads for its value has that value.
    const struct field *field = field_find(x->stage->node->kind, name);
    const char *left_out = field ? field->left_out : NULL;
    reason.old = old ? value_text(old, x->arena) : left_out;
    reason.new = new ? value_text(new, x->arena) : left_out;
    if (setting) {
        reason.at = setting->at;
        reason.by = value_by_name(setting->by);
    }
    x->failed = x->failed || !reason.name;
    explain_add(x, reason);
}

// Who set it: a place without a line is the text of a -s.
static const char *by_at(const struct setting *setting, struct place at)
{
    return at.file && at.line == 0 ? value_by_name(BY_SETTING) : setting ? value_by_name(setting->by) : NULL;
}

static bool same_member(const json_t *a, const json_t *b, const char *key)
{
    return equal(json_object_get(a, key), json_object_get(b, key));
}

static bool same_rows(const json_t *a, const json_t *b)
{
    return same_member(a, b, "task") && same_member(a, b, "split");
}

// One entry, new or old or both; i: its number.
static void explain_entry(struct explainer *x, size_t i, const json_t *old, const json_t *new)
{
    static const char *const keys[] = {"split", "epochs", "rows"};
    const struct setting *setting = stage_setting(x->stage->node->stage, "mixture");
    const struct mixture_uses *mixture = node_mixture(x->stage->node);
    const struct mixture_use *use = new &&mixture &&i < (size_t)mixture->n ? &mixture->uses[i] : NULL;
    struct reason reason = {.kind = REASON_FIELD, .at = use ? use->at : setting ? setting->at : NOWHERE};
    reason.by = by_at(setting, reason.at);
    if (!old || !new || !same_member(old, new, "task")) {
        reason.name = arena_printf(x->arena, "mixture[%zu]", i);
        reason.old = value_text(json_object_get(old, "task"), x->arena);
        reason.new = value_text(json_object_get(new, "task"), x->arena);
        x->failed = x->failed || !reason.name;
        explain_add(x, reason);
        return;
    }
    for (size_t k = 0; k < countof(keys); k++) {
        const json_t *was = json_object_get(old, keys[k]), *is = json_object_get(new, keys[k]);
        if (equal(was, is))
            continue;
        if (use && k > 0) {
            reason.at = use->epochs_at;
            reason.by = by_at(setting, reason.at);
        }
        reason.name = arena_printf(x->arena, "mixture[%zu].%s", i, keys[k]);
        reason.old = value_text(was, x->arena);
        reason.new = value_text(is, x->arena);
        x->failed = x->failed || !reason.name;
        explain_add(x, reason);
    }
}

static void explain_mixture(struct explainer *x, const json_t *old, const json_t *new)
{
    size_t n_old = json_array_size(old), n_new = json_array_size(new), least = n_old < n_new ? n_old : n_new, head = 0, tail = 0;
    while (head < least && same_rows(json_array_get(old, head), json_array_get(new, head))) {
        explain_entry(x, head, json_array_get(old, head), json_array_get(new, head));
        head++;
    }
    while (tail < least - head && same_rows(json_array_get(old, n_old - 1 - tail), json_array_get(new, n_new - 1 - tail)))
        tail++;
    for (size_t i = head; i < n_old - tail || i < n_new - tail; i++)
        explain_entry(x, i, i < n_old - tail ? json_array_get(old, i) : NULL, i < n_new - tail ? json_array_get(new, i) : NULL);
    for (size_t i = tail; i-- > 0;)
        explain_entry(x, n_new - 1 - i, json_array_get(old, n_old - 1 - i), json_array_get(new, n_new - 1 - i));
}

static void explain_fields(struct explainer *x, const json_t *old, const json_t *new)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)new, name, value)
    {
        const json_t *before = json_object_get(old, name);
        if (equal(value, before))
            continue;
        if (!strcmp(name, "mixture"))
            explain_mixture(x, before, value);
        else
            explain_field(x, name, before, value);
    }
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

// A stage that gives several inputs (training and validation tokens, a task named twice) is named once.
static void explain_input(struct explainer *x, const char *name, const json_t *old, const json_t *new)
{
    for (int k = 0; k < x->stage->n_reasons; k++)
        if (x->stage->reasons[k].kind == REASON_INPUT && !strcmp(x->stage->reasons[k].name, name))
            return;
    explain_add(
        x, (struct reason){
               .kind = REASON_INPUT, .name = name, .old = short_key(old, new, x->arena), .new = short_key(new, old, x->arena)});
}

static bool is_rows_role(const char *role)
{
    return !strcmp(role, "rows") || !strcmp(role, "mix_rows") || !strcmp(role, "validation_rows");
}

static bool is_task_role(const char *role)
{
    return !strcmp(role, "mixture") || !strcmp(role, "test") || !strcmp(role, "suite");
}

// The keys that the rows of input `index` of its role had; NULL: it was not there, which a field tells.
static const json_t *keys_before(const json_t *old, const json_t *new, const struct graph_input *input, size_t index)
{
    const json_t *inputs = json_object_get(json_object_get(old, "inputs"), input->role);
    const char *list = !strcmp(input->role, "suite") ? "suites" : "mixture";
    const json_t *was = json_object_get(json_object_get(old, "fields"), list);
    if (equal(was, json_object_get(json_object_get(new, "fields"), list)))
        return json_array_get(inputs, index);
    for (size_t i = 0; i < json_array_size(was) && !strcmp(input->role, "mixture"); i++) {
        const json_t *entry = json_array_get(was, i);
        const char *task = json_string_value(json_object_get(entry, "task"));
        const char *split = json_string_value(json_object_get(entry, "split"));
        if (task && split && !strcmp(task, input->node->task->name) && !strcmp(split, input->node->split->name))
            return json_array_get(inputs, i);
    }
    return NULL;
}

// Of a pretraining on a mix: another share of a source that is in it now as before.
static void explain_shares(struct explainer *x, const json_t *old, const json_t *new)
{
    const struct recipe_stage *stage = x->stage->node->stage; // token stages, which have none, have no shares either
    const struct setting *setting = stage ? stage_setting(stage, "source") : NULL;
    size_t index = 0;
    for (int i = 0; i < x->stage->node->n_inputs; i++) {
        const struct source_share *share = x->stage->node->inputs[i].share;
        const json_t *was = share ? json_array_get(old, index) : NULL, *is = share ? json_array_get(new, index) : NULL;
        index += share != NULL;
        if (!was || !is || equal(was, is) || json_array_size(old) != json_array_size(new))
            continue;
        struct reason reason = {.kind = REASON_FIELD, .at = share->at, .by = by_at(setting, share->at)};
        reason.name = arena_printf(x->arena, "share of %s", share->source->name);
        reason.old = value_text(was, x->arena);
        reason.new = value_text(is, x->arena);
        x->failed = x->failed || !reason.name;
        explain_add(x, reason);
    }
}

// Another step of a stage that is read as it was at one.
static void explain_steps(struct explainer *x, const json_t *old, const json_t *new)
{
    const struct recipe_stage *stage = x->stage->node->stage;
    static const char *const roles[] = {"from", "model"};
    for (size_t i = 0; i < countof(roles) && stage; i++) {
        const json_t *was = json_object_get(old, roles[i]), *is = json_object_get(new, roles[i]);
        const struct setting *setting = stage_setting(stage, roles[i]);
        if (equal(was, is) || !setting)
            continue;
        struct reason reason = {.kind = REASON_FIELD, .at = setting->at, .by = by_at(setting, setting->at)};
        reason.name = arena_printf(x->arena, "step of %s", roles[i]);
        reason.old = was ? value_text(was, x->arena) : "the last";
        reason.new = is ? value_text(is, x->arena) : "the last";
        x->failed = x->failed || !reason.name;
        explain_add(x, reason);
    }
}

static bool has_item(const json_t *list, const json_t *item)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), item))
            return true;
    return false;
}

static void explain_inputs(struct explainer *x, const json_t *old_root, const json_t *new_root)
{
    const struct graph_node *node = x->stage->node;
    const json_t *old = json_object_get(old_root, "inputs"), *new = json_object_get(new_root, "inputs");
    size_t index = 0; // of the input in its role
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        const json_t *a = json_object_get(old, input->role), *b = json_object_get(new, input->role);
        index = i > 0 && !strcmp(node->inputs[i - 1].role, input->role) ? index + 1 : 0;
        // Another plan of rows follows from another text or length of rows, which are told, unless its code changed.
        if (equal(a, b) || (is_rows_role(input->role) && x->stage->n_reasons))
            continue;
        if (input->share) {
            const json_t *keys = json_array_get(b, index);
            const json_t *before = json_array_size(a) == json_array_size(b) ? json_array_get(a, index) : NULL;
            if (!equal(before, keys) && (before || !has_item(a, keys)))
                explain_input(x, input->node->name, before, keys);
            continue;
        }
        if (!is_task_role(input->role)) {
            explain_input(x, input->node->name, a, b);
            continue;
        }
        const json_t *keys = json_array_get(b, index), *before = keys_before(old_root, new_root, input, index);
        if (before && !has_item(a, keys))
            explain_input(x, input->node->name, before, keys);
    }
    const char *role;
    json_t *value;
    json_object_foreach((json_t *)old, role, value)
    {
        bool gone = !json_object_get(new, role), fewer = json_array_size(json_object_get(new, role)) != json_array_size(value);
        // Tasks that came or went follow from fields, or else from a task file that has other splits by now; plans of rows from
        // `packing`.
        bool many = is_task_role(role) || !strcmp(role, "mix") || is_rows_role(role);
        if (many ? (gone || fewer) && !x->stage->n_reasons : gone)
            explain_add(x, (struct reason){.kind = REASON_INPUT,
                                           .name = arena_strdup(x->arena, role),
                                           .old = short_key(value, NULL, x->arena)});
    }
}

// Names of the parts whose identities stand in the payload, in its order.
static const struct graph_part *data_part(const struct graph_node *node, size_t index)
{
    for (int i = 0; i < node->n_parts; i++)
        if ((node->kind != KIND_TOKENS || node->parts[i].wanted) && !node->parts[i].left_out && index-- == 0)
            return &node->parts[i];
    return NULL;
}

// What tells two identities of a part apart: the content, or how it is read.
static void explain_part(struct explainer *x, const char *name, const json_t *old, const json_t *new)
{
    static const char *const keys[] = {"sha256", "n",        "seed",      "first",   "column",
                                       "form",   "held_out", "generator", "records", "skip_bad"};
    struct reason reason = {.kind = REASON_DATA, .name = name};
    for (size_t i = 0; i < countof(keys); i++) {
        const json_t *a = json_object_get(old, keys[i]), *b = json_object_get(new, keys[i]);
        if (a && b && json_equal((json_t *)a, (json_t *)b))
            continue;
        if (!a && !b)
            continue;
        const char *what = strcmp(keys[i], "n") ? keys[i] : x->stage->node->task ? "rows" : "documents";
        const char *was = value_text(a, x->arena), *is = value_text(b, x->arena);
        reason.old = was ? arena_printf(x->arena, "%s %.12s", what, was) : NULL;
        reason.new = is ? arena_printf(x->arena, "%s %.12s", what, is) : NULL;
        break;
    }
    explain_add(x, reason);
}

static void explain_data(struct explainer *x, const json_t *old, const json_t *new)
{
    size_t n_old = json_array_size(old), n_new = json_array_size(new);
    bool by_task = x->stage->node->kind == KIND_EVAL; // explain_suites has told which
    if (by_task && n_old != n_new && x->stage->n_reasons)
        return;
    if (n_old != n_new)
        explain_add(x, (struct reason){.kind = REASON_DATA,
                                       .name = x->stage->node->source ? x->stage->node->source->name
                                               : x->stage->node->task ? x->stage->node->task->name
                                                                      : "files",
                                       .old = arena_printf(x->arena, "%zu file%s", n_old, n_old == 1 ? "" : "s"),
                                       .new = arena_printf(x->arena, "%zu file%s", n_new, n_new == 1 ? "" : "s")});
    for (size_t i = 0; i < n_old && i < n_new; i++) {
        const json_t *a = json_array_get(old, i), *b = json_array_get(new, i);
        const struct graph_part *part = data_part(x->stage->node, i);
        if (!json_equal((json_t *)a, (json_t *)b) && part)
            explain_part(x, part->part.path, a, b);
    }
}

// "grader \"none\"": texts are escaped, for a prompt has line ends, and cut.
static const char *member_text(const char *key, const json_t *value, struct arena *arena)
{
    if (json_is_real(value))
        return arena_printf(arena, "%s %s", key, value_text(value, arena));
    size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII, n = value ? json_dumpb(value, NULL, 0, flags) : 0;
    char *text = n ? arena_alloc(arena, n + 1) : NULL;
    if (!text)
        return NULL;
    json_dumpb(value, text, n, flags);
    return arena_printf(arena, "%s %.40s%s", key, text, n > 40 ? "..." : "");
}

static void explain_version(struct explainer *x, const json_t *old, const json_t *new)
{
    const json_t *was = json_object_get(old, "version"), *is = json_object_get(new, "version");
    if (!equal(was, is))
        explain_add(x, (struct reason){.kind = REASON_VERSION,
                                       .name = kind_name(x->stage->node->kind),
                                       .old = value_text(was, x->arena),
                                       .new = value_text(is, x->arena)});
}

// Something of a task's file: the first of its members that differs. What an older version wrote and this one does not is no change
// of the file.
static void explain_members(struct explainer *x, const char *path, const json_t *old, const json_t *new)
{
    struct reason reason = {.kind = REASON_DATA, .name = path};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)new, key, value)
    {
        const json_t *before = json_object_get(old, key);
        if (reason.new || !strcmp(key, "version") || equal(value, before))
            continue;
        reason.old = member_text(key, before, x->arena);
        reason.new = member_text(key, value, x->arena);
    }
    json_object_foreach((json_t *)old, key, value)
    {
        if (!reason.old && !reason.new && !json_object_get(new, key) && same_member(old, new, "version"))
            reason.old = member_text(key, value, x->arena);
    }
    if (reason.old || reason.new)
        explain_add(x, reason);
}

// Another task file. Its version is that of the code which reads it.
static void explain_task(struct explainer *x, const json_t *old, const json_t *new)
{
    explain_version(x, old, new);
    explain_members(x, x->stage->node->task->path, old, new);
}

static const json_t *grading_of(const json_t *list, const char *task)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "task"));
        if (name && !strcmp(name, task))
            return json_array_get(list, i);
    }
    return NULL;
}

// Tasks that are graded otherwise than before, each once; which came and went the fields tell.
static void explain_grading(struct explainer *x, const json_t *old, const json_t *new)
{
    const struct graph_node *node = x->stage->node;
    for (int i = 0; i < node->n_inputs; i++) {
        const struct task_file *task = node->inputs[i].use ? node->inputs[i].use->task : NULL;
        bool told = !task;
        for (int k = 0; k < i; k++)
            told |= node->inputs[k].use && node->inputs[k].use->task == task;
        const json_t *before = told ? NULL : grading_of(old, task->name);
        if (before)
            explain_members(x, task->path, before, grading_of(new, task->name));
    }
}

static const json_t *suite_entry(const json_t *list, const char *task)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (name && !strcmp(name, task))
            return json_array_get(list, i);
    }
    return NULL;
}

// What a suite is called, told at the first of its tasks.
static void explain_suite_names(struct explainer *x, const struct eval_options *o, int i_use, const json_t *old,
                                const json_t *new)
{
    static const char *const keys[] = {"suite", "title"};
    const struct suite_file *suite = o->tasks.uses[i_use].suite;
    for (int i = 0; i < i_use && suite; i++)
        if (o->tasks.uses[i].suite == suite)
            return;
    for (size_t k = 0; k < countof(keys); k++) {
        const json_t *was = json_object_get(old, keys[k]), *is = json_object_get(new, keys[k]);
        if (!equal(was, is))
            explain_add(x, (struct reason){.kind = REASON_DATA,
                                           .name = suite ? suite->path : o->tasks.uses[i_use].task->path,
                                           .old = member_text(keys[k], was, x->arena),
                                           .new = member_text(keys[k], is, x->arena)});
    }
}

// Of two lists as long the tasks that only one has; of the same tasks, that their order is another.
static void explain_asked(struct explainer *x, const json_t *old, const json_t *new)
{
    const json_t *lists[] = {old, new};
    int n_before = x->stage->n_reasons;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < json_array_size(lists[side]); i++) {
            const char *name = json_string_value(json_object_get(json_array_get(lists[side], i), "name"));
            if (!name || suite_entry(lists[!side], name))
                continue;
            const char *copy = arena_strdup(x->arena, name);
            x->failed = x->failed || !copy;
            explain_add(x, (struct reason){.kind = REASON_DATA,
                                           .name = copy,
                                           .old = side ? "not asked" : "asked",
                                           .new = side ? "asked" : "not asked"});
        }
    if (x->stage->n_reasons == n_before)
        explain_add(
            x, (struct reason){.kind = REASON_DATA, .name = "suites", .old = "the tasks in another order", .new = "in this one"});
}

// Tasks that are asked as text or in a suite: other words in their file, or data that came or went.
static void explain_suites(struct explainer *x, const json_t *old, const json_t *new)
{
    const struct graph_node *node = x->stage->node;
    const struct eval_options *o = node->kind == KIND_EVAL ? node->options : NULL;
    int n_before = x->stage->n_reasons;
    for (int i = 0; o && i < o->tasks.n; i++) {
        const struct mixture_use *use = &o->tasks.uses[i];
        const json_t *was = suite_entry(old, use->task->name), *is = suite_entry(new, use->task->name);
        bool out_before = json_object_get(was, "left_out"), out = json_object_get(is, "left_out");
        if (!was || !is)
            continue;
        if (out_before != out)
            explain_add(x, (struct reason){.kind = REASON_DATA,
                                           .name = use->task->name,
                                           .old = out_before ? "left out: no data" : "there",
                                           .new = out ? "left out: no data" : "there"});
        else
            explain_members(x, use->task->path, json_object_get(was, "task"), json_object_get(is, "task"));
        explain_suite_names(x, o, i, was, is);
    }
    if (!o || !old || !new || equal(old, new) || x->stage->n_reasons != n_before)
        return;
    if (json_array_size(old) != json_array_size(new))
        explain_add(x, (struct reason){.kind = REASON_DATA,
                                       .name = "suites",
                                       .old = arena_printf(x->arena, "%zu tasks", json_array_size(old)),
                                       .new = arena_printf(x->arena, "%zu tasks", json_array_size(new))});
    else
        explain_asked(x, old, new);
}

void explain_add(struct explainer *x, struct reason reason)
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

void explain_difference(struct explainer *x, const char *old_payload, const char *new_payload)
{
    json_t *old = json_loads(old_payload, 0, NULL), *new = json_loads(new_payload, 0, NULL);
    if (old && new) {
        explain_version(x, old, new);
        const json_t *was = json_object_get(old, "task"), *is = json_object_get(new, "task");
        explain_fields(x, json_object_get(old, "fields"), json_object_get(new, "fields"));
        explain_grading(x, json_object_get(old, "grading"), json_object_get(new, "grading"));
        explain_suites(x, json_object_get(old, "suites"), json_object_get(new, "suites"));
        explain_shares(x, json_object_get(old, "shares"), json_object_get(new, "shares"));
        explain_steps(x, json_object_get(old, "steps"), json_object_get(new, "steps"));
        explain_inputs(x, old, new);
        if (x->stage->node->task && !equal(was, is))
            explain_task(x, was, is);
        explain_data(x, json_object_get(old, "data"), json_object_get(new, "data"));
    }
    json_decref(old);
    json_decref(new);
}
