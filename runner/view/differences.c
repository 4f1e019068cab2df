// differences.c - one walk down all payloads of a stage at once: what is equal in all is left, what is an object in all is entered.
//
// A walk that found two values unequal leaves at least one row behind: two keys that differ never show as nothing.
#include "runner/view/differences.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "runner/recipe/fields.h"

enum { DEEPEST = 8, HASH_SHOWN = 12, MIXTURE_MOST = 200 };

struct walk {
    struct differences *d;
    const struct run *runs;
    struct arena *arena;
    const char *stage;
    int n, of, capacity;
    bool failed; // memory ran out
};

struct values {
    json_t *of[DIFFERENCES_RUNS]; // NULL: not there
};

static bool equal(json_t *a, json_t *b)
{
    if (!a || !b)
        return a == b;
    if (json_is_number(a) && json_is_number(b) && !(json_is_integer(a) && json_is_integer(b)))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

// Whether run r can tell: what stands nowhere in a published run is not known of it, and no difference.
static bool is_known(const struct walk *w, const struct values *v, int r)
{
    return v->of[r] || !w->runs[r].source;
}

static bool all_equal(const struct walk *w, const struct values *v)
{
    int first = -1;
    for (int r = 0; r < w->n; r++) {
        if (!is_known(w, v, r))
            continue;
        if (first >= 0 && !equal(v->of[first], v->of[r]))
            return false;
        first = first < 0 ? r : first;
    }
    return true;
}

// Whether all that are there are of that type.
static bool all_are(const struct walk *w, const struct values *v, json_type type)
{
    for (int r = 0; r < w->n; r++)
        if (v->of[r] && json_typeof(v->of[r]) != type)
            return false;
    return true;
}

static bool all_there(const struct walk *w, const struct values *v)
{
    for (int r = 0; r < w->n; r++)
        if (!v->of[r] && is_known(w, v, r))
            return false;
    return true;
}

static const char *compact(json_t *value, struct arena *arena)
{
    size_t n = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT);
    char *text = arena_alloc(arena, n + 1);
    if (text)
        json_dumpb(value, text, n, JSON_ENCODE_ANY | JSON_COMPACT);
    return text;
}

static bool is_hash(const char *text)
{
    return strlen(text) == 64 && !text[strspn(text, "0123456789abcdef")];
}

// "gsm8k", "mmlu.auxiliary_train x2", "arc_easy 500 rows": an entry of a mixture as people write it; of how tasks are graded the task.
static const char *entry_text(json_t *entry, struct arena *arena)
{
    const char *task = json_string_value(json_object_get(entry, "task"));
    const char *split = json_string_value(json_object_get(entry, "split"));
    double epochs = json_number_value(json_object_get(entry, "epochs"));
    json_t *rows = json_object_get(entry, "rows");
    bool plain = !split || !strcmp(split, "train");
    char amount[64] = "";
    if (rows)
        snprintf(amount, sizeof amount, " %lld rows", (long long)json_integer_value(rows));
    else if (json_object_get(entry, "epochs") && epochs != 1)
        snprintf(amount, sizeof amount, " x%g", epochs);
    return arena_printf(arena, "%s%s%s%s", task, plain ? "" : ".", plain ? "" : split, amount);
}

static bool is_entry(json_t *value)
{
    return json_is_object(value) && json_is_string(json_object_get(value, "task"));
}

static const char *value_text(json_t *value, struct arena *arena)
{
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        return is_hash(text) ? arena_strndup(arena, text, HASH_SHOWN) : text[0] ? arena_strdup(arena, text) : "\"\"";
    }
    if (json_is_real(value)) {
        char text[40];
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, json_real_value(value));
            if (strtod(text, NULL) == json_real_value(value))
                break;
        }
        return arena_strdup(arena, text);
    }
    if (is_entry(value))
        return entry_text(value, arena);
    return compact(value, arena);
}

// "bpb, town_quiz"; of many, the first.
static const char *list_text(json_t *list, struct arena *arena)
{
    enum { LIST_SHOWN = 40 };
    const char *text = "";
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < LIST_SHOWN && text; i++) {
        const char *one = value_text(json_array_get(list, i), arena);
        text = one ? arena_printf(arena, "%s%s%s", text, i ? ", " : "", one) : NULL;
    }
    if (text && n > LIST_SHOWN)
        text = arena_printf(arena, "%s, and %zu more", text, n - LIST_SHOWN);
    return text && !n ? "[]" : text;
}

static struct difference *add(struct walk *w, const char *field)
{
    struct differences *d = w->d;
    if (d->n_rows == DIFFERENCES_MOST) {
        d->n_left_out++;
        return NULL;
    }
    if (d->n_rows == w->capacity) {
        int more = w->capacity ? 2 * w->capacity : 32;
        struct difference *grown = arena_grow(w->arena, d->rows, (size_t)d->n_rows, (size_t)more, sizeof *grown);
        if (!grown) {
            w->failed = true;
            return NULL;
        }
        d->rows = grown;
        w->capacity = more;
    }
    d->rows[d->n_rows] = (struct difference){.stage = w->stage, .field = field, .of = w->of ? w->of : 1};
    return &d->rows[d->n_rows++];
}

static void add_values(struct walk *w, const char *field, const struct values *v)
{
    struct difference *row = add(w, field);
    for (int r = 0; r < w->n && row; r++) {
        if (!v->of[r])
            continue;
        row->text[r] = json_is_array(v->of[r]) ? list_text(v->of[r], w->arena) : value_text(v->of[r], w->arena);
        row->json[r] = compact(v->of[r], w->arena);
        w->failed |= !row->text[r] || !row->json[r];
    }
}

static const char *join(struct walk *w, const char *path, const char *name)
{
    const char *joined = *path ? arena_printf(w->arena, "%s.%s", path, name) : arena_strdup(w->arena, name);
    w->failed |= !joined;
    return joined;
}

static void compare_values(struct walk *w, const char *path, const struct values *v, int depth);

static void compare_objects(struct walk *w, const char *path, const struct values *v, int depth)
{
    for (int r = 0; r < w->n; r++) {
        const char *name;
        json_t *value;
        json_object_foreach(v->of[r], name, value)
        {
            struct values members;
            bool seen = false; // with the keys of a run before
            for (int k = 0; k < w->n; k++) {
                members.of[k] = json_object_get(v->of[k], name);
                seen |= k < r && members.of[k];
            }
            if (seen || all_equal(w, &members))
                continue;
            const char *joined = join(w, path, name);
            if (w->failed)
                return;
            compare_values(w, joined, &members, depth + 1);
        }
    }
}

static bool same_rows(json_t *a, json_t *b)
{
    return equal(json_object_get(a, "task"), json_object_get(b, "task")) &&
           equal(json_object_get(a, "split"), json_object_get(b, "split"));
}

// The entry of a list with the task and split of entry i of another list, and as many of the same before it.
static json_t *matching_entry(json_t *list, json_t *other, size_t i)
{
    json_t *wanted = json_array_get(other, i);
    int before = 0;
    for (size_t k = 0; k < i; k++)
        before += same_rows(json_array_get(other, k), wanted);
    for (size_t k = 0; k < json_array_size(list); k++)
        if (same_rows(json_array_get(list, k), wanted) && before-- == 0)
            return json_array_get(list, k);
    return NULL;
}

static void compare_mixtures(struct walk *w, const char *path, const struct values *v, int depth)
{
    for (int r = 0; r < w->n; r++)
        for (size_t i = 0; i < json_array_size(v->of[r]) && !w->failed; i++) {
            struct values entries;
            bool seen = false;
            for (int k = 0; k < w->n; k++) {
                entries.of[k] = k == r ? json_array_get(v->of[r], i) : matching_entry(v->of[k], v->of[r], i);
                seen |= k < r && entries.of[k];
            }
            if (seen || all_equal(w, &entries))
                continue;
            const char *name = arena_printf(w->arena, "%s[%zu]", path, i);
            if (!name)
                w->failed = true;
            else if (all_there(w, &entries))
                compare_objects(w, name, &entries, depth + 1);
            else
                add_values(w, name, &entries);
        }
}

// Lists of parts of the same length: the first part that differs, and how many do.
static void compare_parts(struct walk *w, const char *path, const struct values *v, size_t length, int depth)
{
    struct values first = {{0}}, part;
    size_t at = 0;
    int of = 0;
    for (size_t i = 0; i < length; i++) {
        for (int r = 0; r < w->n; r++)
            part.of[r] = json_array_get(v->of[r], i);
        if (all_equal(w, &part))
            continue;
        if (!of++) {
            first = part;
            at = i;
        }
    }
    const char *name = arena_printf(w->arena, "%s[%zu]", path, at);
    if (!name) {
        w->failed = true;
        return;
    }
    w->of = of;
    compare_values(w, name, &first, depth + 1);
    w->of = 0;
}

static void add_lengths(struct walk *w, const char *path, const struct values *v)
{
    struct difference *row = add(w, path);
    for (int r = 0; r < w->n && row; r++) {
        size_t n = json_array_size(v->of[r]);
        if (!v->of[r])
            continue;
        row->text[r] = arena_printf(w->arena, "%zu part%s", n, n == 1 ? "" : "s");
        row->json[r] = compact(v->of[r], w->arena);
        w->failed |= !row->text[r] || !row->json[r];
    }
}

static void compare_arrays(struct walk *w, const char *path, const struct values *v, int depth)
{
    bool objects = true, entries = true, same_length = true;
    size_t longest = 0;
    for (int r = 0; r < w->n; r++) {
        size_t n = json_array_size(v->of[r]);
        longest = n > longest ? n : longest;
        for (size_t i = 0; i < n; i++) {
            objects = objects && json_is_object(json_array_get(v->of[r], i));
            entries = entries && is_entry(json_array_get(v->of[r], i));
        }
    }
    for (int r = 0; r < w->n; r++)
        same_length = same_length && (!is_known(w, v, r) || (v->of[r] && json_array_size(v->of[r]) == longest));
    int before = w->d->n_rows + w->d->n_left_out;
    if (entries && all_there(w, v) && longest <= MIXTURE_MOST)
        compare_mixtures(w, path, v, depth);
    else if (objects && same_length)
        compare_parts(w, path, v, longest, depth);
    else if (objects && !entries)
        add_lengths(w, path, v);
    if (before == w->d->n_rows + w->d->n_left_out) // words, or the same entries in another order
        add_values(w, path, v);
}

static void compare_values(struct walk *w, const char *path, const struct values *v, int depth)
{
    if (all_equal(w, v) || w->failed)
        return;
    if (depth < DEEPEST && all_are(w, v, JSON_OBJECT) && all_there(w, v))
        compare_objects(w, path, v, depth);
    else if (depth < DEEPEST && all_are(w, v, JSON_ARRAY))
        compare_arrays(w, path, v, depth);
    else
        add_values(w, path, v);
}

// The name of the stage of a run that an input's key is of; NULL: of none, or of several parts.
static const char *input_stage(const struct run *run, json_t *input)
{
    const char *key = json_string_value(input);
    for (int i = 0; i < run->n_stages && key; i++)
        if (!strcmp(run->stages[i].key, key))
            return run->stages[i].name;
    return NULL;
}

static void compare_inputs(struct walk *w, const struct values *inputs)
{
    for (int r = 0; r < w->n; r++) {
        const char *role;
        json_t *value;
        json_object_foreach(inputs->of[r], role, value)
        {
            struct values v;
            const char *names[DIFFERENCES_RUNS];
            const char *first = NULL;
            bool seen = false, named = true, same = true;
            for (int k = 0; k < w->n; k++) {
                v.of[k] = json_object_get(inputs->of[k], role);
                names[k] = input_stage(&w->runs[k], v.of[k]);
                seen |= k < r && v.of[k];
                named = named && (names[k] || !v.of[k]);
                if (!is_known(w, &v, k))
                    continue;
                first = first ? first : names[k];
                same = same && names[k] && !strcmp(names[k], first);
            }
            if (seen || all_equal(w, &v) || (w->d->n_rows && (same || !named)))
                continue;
            const char *field = arena_strdup(w->arena, role);
            w->failed |= !field;
            if (w->failed)
                return;
            if (named && !same) {
                struct difference *row = add(w, field);
                for (int k = 0; k < w->n && row; k++) {
                    row->text[k] = names[k];
                    row->json[k] = v.of[k] ? compact(v.of[k], w->arena) : NULL;
                    w->failed |= v.of[k] && !row->json[k];
                }
            } else {
                compare_values(w, field, &v, 0);
            }
        }
    }
}

// What a payload leaves out for its value has that value (fields.h).
static void fill_in(struct walk *w, json_t *payload)
{
    const char *kind = json_string_value(json_object_get(payload, "kind"));
    json_t *values = json_object_get(payload, "fields");
    for (int i = 0; i < n_fields && kind && values; i++)
        for (int k = 0; k < KIND_COUNT && fields[i].left_out; k++)
            if (fields[i].kinds >> k & 1 && !strcmp(kind, kind_name((enum stage_kind_id)k)) &&
                !json_object_get(values, fields[i].name))
                w->failed |= json_object_set_new(values, fields[i].name, json_string(fields[i].left_out)) != 0;
}

static void compare_payloads(struct walk *w, const struct values *payloads)
{
    struct values asked, inputs, others = *payloads;
    for (int r = 0; r < w->n; r++) {
        fill_in(w, payloads->of[r]);
        asked.of[r] = json_object_get(payloads->of[r], "fields");
        inputs.of[r] = json_object_get(payloads->of[r], "inputs");
        json_incref(asked.of[r]), json_incref(inputs.of[r]);
        json_object_del(others.of[r], "fields");
        json_object_del(others.of[r], "inputs");
        json_t *suites = json_object_get(others.of[r], "suites"); // `suites` is a field, too: its tasks go by another name
        w->failed |= suites && json_object_set(others.of[r], "tasks", suites) != 0;
        json_object_del(others.of[r], "suites");
    }
    compare_values(w, "", &asked, 0);
    compare_values(w, "", &others, 0); // kind, version, data, grading, task
    compare_inputs(w, &inputs);
    for (int r = 0; r < w->n; r++)
        json_decref(asked.of[r]), json_decref(inputs.of[r]);
}

static const char *quoted(const char *text, struct arena *arena)
{
    struct json j = {0};
    json_str(&j, text);
    const char *json = json_text(&j) ? arena_strdup(arena, json_text(&j)) : NULL;
    json_release(&j);
    return json;
}

// A stage that some runs do not have, or whose key could not be known in some.
static void compare_presence(struct walk *w, const struct run_stage *const *stages, bool missing)
{
    struct difference *row = add(w, missing ? "kind" : "key");
    for (int r = 0; r < w->n && row; r++) {
        const struct run_stage *s = stages[r];
        if (!s || (!missing && !s->payload))
            continue;
        row->text[r] = missing ? s->kind : arena_strndup(w->arena, s->key, HASH_SHOWN);
        row->json[r] = quoted(missing ? s->kind : s->key, w->arena);
        w->failed |= !row->text[r] || !row->json[r];
    }
}

static struct error *compare_stage(struct walk *w, const char *name)
{
    const struct run_stage *stages[DIFFERENCES_RUNS];
    struct values payloads = {{0}};
    bool missing = false;
    int n_known = 0, n_published = 0; // of published runs that say nothing of it
    struct error *e = NULL;
    w->stage = name;
    for (int r = 0; r < w->n && !e; r++) {
        json_error_t problem;
        stages[r] = run_stage(&w->runs[r], name);
        missing |= !stages[r] && !w->runs[r].source;
        n_published += w->runs[r].source && (!stages[r] || !stages[r]->payload);
        if (!stages[r] || !stages[r]->payload)
            continue;
        n_known++;
        payloads.of[r] = json_loads(stages[r]->payload, 0, &problem);
        if (!json_is_object(payloads.of[r]))
            e = error_plain(ERROR_DATA, "the payload of stage '%s' in '%s' is damaged", name, w->runs[r].path);
    }
    if (!e && (missing || (n_known && n_known + n_published < w->n)))
        compare_presence(w, stages, missing);
    else if (!e && n_known)
        compare_payloads(w, &payloads);
    for (int r = 0; r < w->n; r++)
        json_decref(payloads.of[r]);
    return e ? e : w->failed ? error_memory() : NULL;
}

struct error *differences_collect(struct differences *d, const struct run *runs, int n_runs, struct arena *arena)
{
    *d = (struct differences){.n_runs = n_runs};
    struct walk w = {.d = d, .runs = runs, .arena = arena, .n = n_runs};
    struct error *e = NULL;
    for (int r = 0; r < n_runs; r++)
        for (int i = 0; i < runs[r].n_stages && !e; i++) {
            bool seen = false;
            for (int k = 0; k < r; k++)
                seen |= run_stage(&runs[k], runs[r].stages[i].name) != NULL;
            e = seen ? NULL : compare_stage(&w, runs[r].stages[i].name);
        }
    return e;
}
