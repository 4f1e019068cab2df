// keys.c - payloads are emitted in sorted order by hand: data < fields < grading < inputs < kind < shares < steps < suites < task <
// version, and fields after a sort by name.
//
// Nodes come after their inputs, so that one pass gives all keys.
#include "runner/graph/keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/model/hf_config.h"
#include "core/store/atomic.h"
#include "core/store/identity.h"
#include "runner/graph/downloads.h"
#include "runner/stages/hyperparameters.h"

static const char *const forms[DOCUMENT_FORM_COUNT] = {
    [DOCUMENT_PARQUET] = "parquet", [DOCUMENT_JSONL] = "jsonl", [DOCUMENT_TEXT] = "text", [DOCUMENT_WORLD] = "world"};

// Takes the text out of the emitter into the arena.
static struct error *take_text(struct json *j, struct arena *arena, const char **text)
{
    *text = json_text(j) ? arena_strdup(arena, j->text) : NULL;
    json_release(j);
    return *text ? NULL : error_memory();
}

// What identities are made from.
struct known {
    struct identities *ids;
    struct pins pins; // of addresses
    struct arena *arena;
};

// The hash of the part's file; "": nobody knows it.
static struct error *part_hash(struct graph_part *part, struct known *known, char sha256[SHA256_HEX])
{
    const char *path = part->part.path;
    const struct pin *pin = part->url ? pins_find(&known->pins, part->url) : NULL;
    struct error *e = NULL;
    sha256[0] = '\0';
    part->is_missing = !file_exists(path);
    if (!part->is_missing && part->url)
        e = download_check(part->url, path, pin, known->ids, sha256);
    else if (!part->is_missing)
        e = identities_get(known->ids, path, sha256);
    else if (pin)
        memcpy(sha256, pin->sha256, SHA256_HEX);
    return error_while(e, NOWHERE, "reading '%s' for its hash", path);
}

static struct error *part_identity(struct graph_part *part, struct known *known)
{
    char sha256[SHA256_HEX];
    const struct document_part *p = &part->part;
    struct arena *arena = known->arena;
    struct error *e = part_hash(part, known, sha256);
    if (e || !sha256[0])
        return e;
    struct json j = {0};
    json_open(&j, '{');
    if (p->form == DOCUMENT_WORLD) {
        json_key(&j, "first"), json_i64(&j, p->first);
        json_key(&j, "form"), json_str(&j, forms[p->form]);
        json_key(&j, "generator"), json_i64(&j, WORLD_VERSION);
        json_key(&j, "held_out"), json_bool(&j, p->held_out);
        json_key(&j, "n"), json_i64(&j, p->n);
        if (p->records)
            json_key(&j, "records"), json_str(&j, p->records);
        json_key(&j, "seed"), json_i64(&j, (int64_t)p->seed);
    } else {
        if (p->column)
            json_key(&j, "column"), json_str(&j, p->column);
        json_key(&j, "form"), json_str(&j, forms[p->form]);
    }
    json_key(&j, "sha256"), json_str(&j, sha256);
    if (p->skip_bad)
        json_key(&j, "skip_bad"), json_i64(&j, p->skip_bad);
    json_close(&j, '}');
    return take_text(&j, arena, &part->identity);
}

// What only tasks are asked by: of an evaluation without one it says nothing. Nothing is written but in a chat.
static bool is_idle(const struct field *field, enum stage_kind_id kind, const void *options)
{
    const struct eval_options *o = options;
    return kind == KIND_EVAL &&
           ((!strcmp(field->name, "max_tokens") && !first_chat(&o->tasks)) || (!strcmp(field->name, "examples") && !o->tasks.n));
}

// Has the value that every stage had before there was the field.
static bool is_left_out(const struct field *field, const void *options, struct arena *arena)
{
    const char *text = field->left_out ? field_text(options, field, arena) : NULL;
    return text && !strcmp(text, field->left_out);
}

// Names of stages and sources are not content: their keys and data stand in the payload instead.
static bool in_payload(const struct field *field, enum stage_kind_id kind, const void *options, struct arena *arena)
{
    return field->kinds & 1u << kind && field->class == FIELD_RESULT && field->type != FIELD_STAGE &&
           field->type != FIELD_SOURCE && field->type != FIELD_STAGES && field_is_set(options, field) &&
           !is_idle(field, kind, options) && !is_left_out(field, options, arena);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct field *const *)a)->name, (*(const struct field *const *)b)->name);
}

static void write_mixture(struct json *j, const struct mixture_uses *mixture)
{
    json_open(j, '[');
    for (int i = 0; i < mixture->n; i++) {
        const struct mixture_use *use = &mixture->uses[i];
        json_open(j, '{');
        if (use->rows != FIELD_UNSET_INT)
            json_key(j, "rows"), json_i64(j, use->rows);
        else
            json_key(j, "epochs"), json_f64(j, use->epochs);
        json_key(j, "split"), json_str(j, use->split->name);
        json_key(j, "task"), json_str(j, use->task->name);
        json_close(j, '}');
    }
    json_close(j, ']');
}

// The content of a file, not its name; of the folder of a model that of each of its files. What is not there has none.
static struct error *write_file(struct json *j, const char *path, struct identities *ids, struct arena *arena)
{
    char sha256[SHA256_HEX];
    const char *const *names;
    int n, first_weights;
    struct error *e = NULL;
    if (!hf_is_model(path)) {
        const char *file = hf_tokenizer_path(path, arena);
        if (!file)
            return error_memory();
        if (file_exists(file) && !(e = identities_get(ids, file, sha256)))
            json_str(j, sha256);
        else
            json_nil(j);
        return e;
    }
    if ((e = hf_folder_files(path, arena, &names, &n, &first_weights)))
        return e;
    const char **sorted = arena_array(arena, (size_t)n, sizeof *sorted);
    if (!sorted)
        return error_memory();
    memcpy(sorted, names, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    json_open(j, '{');
    for (int i = 0; i < n && !e; i++) {
        const char *file = arena_printf(arena, "%s/%s", path, sorted[i]);
        e = file ? identities_get(ids, file, sha256) : error_memory();
        json_key(j, sorted[i]), json_str(j, sha256);
    }
    json_close(j, '}');
    return e;
}

static struct error *write_field(struct json *j, const void *options, const struct field *field, struct identities *ids,
                                 struct arena *arena)
{
    const char *at = (const char *)options + field->offset;
    const struct field_list *list = (const struct field_list *)at;
    const char *text = *(const char *const *)at;
    struct error *e = NULL;
    json_key(j, field->name);
    switch (field->type) {
    case FIELD_INT:
        json_i64(j, *(const int64_t *)at);
        break;
    case FIELD_REAL:
    case FIELD_DURATION:
        json_f64(j, *(const double *)at);
        break;
    case FIELD_BOOL:
        json_bool(j, *(const bool *)at);
        break;
    case FIELD_INTS:
        json_open(j, '[');
        for (int i = 0; i < list->n; i++)
            json_i64(j, list->ints[i]);
        json_close(j, ']');
        break;
    case FIELD_NAMES:
        json_open(j, '[');
        for (int i = 0; i < list->n; i++)
            json_str(j, list->names[i]);
        json_close(j, ']');
        break;
    case FIELD_MIXTURE:
        write_mixture(j, (const struct mixture_uses *)at);
        break;
    case FIELD_FILE:
        e = write_file(j, text, ids, arena);
        break;
    default:
        json_str(j, text);
    }
    return e;
}

static struct error *write_fields(struct json *j, const struct graph_node *node, struct identities *ids, struct arena *arena)
{
    const struct field **sorted = arena_array(arena, (size_t)n_fields + 1, sizeof *sorted);
    int n = 0;
    if (!sorted)
        return error_memory();
    for (int i = 0; i < n_fields; i++)
        if (in_payload(&fields[i], node->kind, node->options, arena))
            sorted[n++] = &fields[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_name);
    struct error *e = NULL;
    json_key(j, "fields");
    json_open(j, '{');
    for (int i = 0; i < n && !e; i++)
        e = write_field(j, node->options, sorted[i], ids, arena);
    json_close(j, '}');
    return e;
}

// How answers are told right from wrong, of stages that do it: nothing of that is in the tokens of a task.
static void write_grading(struct json *j, const struct graph_node *node)
{
    const char *role = node->kind == KIND_EVAL ? "suite" : node->kind == KIND_GRPO ? "mixture" : NULL;
    if (!role || !graph_input(node, role))
        return;
    json_key(j, "grading");
    json_open(j, '[');
    for (int i = 0; i < node->n_inputs; i++) {
        const struct graph_input *input = &node->inputs[i];
        if (strcmp(input->role, role))
            continue;
        json_open(j, '{');
        if (node->kind == KIND_EVAL)
            json_key(j, "baseline"), json_f64(j, input->node->task->task.baseline);
        json_key(j, "grader"), json_str(j, grader_name(input->node->task->task.grader));
        json_key(j, "task"), json_str(j, input->node->task->name);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_part_keys(struct json *j, const struct graph_node *tokens, bool validation)
{
    json_open(j, '[');
    for (int i = 0; i < tokens->n_parts; i++)
        if (tokens->parts[i].validation == validation)
            json_str(j, tokens->parts[i].key);
    json_close(j, ']');
}

static void write_input(struct json *j, const struct graph_input *input)
{
    if (input->node->kind == KIND_TOKENS)
        write_part_keys(j, input->node, !strcmp(input->role, "validation"));
    else
        json_str(j, input->node->key);
}

static void write_shares(struct json *j, const struct graph_node *node)
{
    if (!graph_input(node, "mix"))
        return;
    json_key(j, "shares");
    json_open(j, '[');
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i].share)
            json_f64(j, node->inputs[i].share->share);
    json_close(j, ']');
}

static int files_of(const struct graph_node *node, const struct mixture_use *use)
{
    int n = 0;
    for (int i = 0; i < node->n_parts; i++)
        n += node->parts[i].use == use;
    return n;
}

// What is asked as text, and what belongs to a suite: how, and of how many of the files in `data`; or that it is left out.
static void write_suites(struct json *j, const struct graph_node *node)
{
    const struct eval_options *o = node->kind == KIND_EVAL ? node->options : NULL;
    bool any = false;
    for (int i = 0; o && i < o->tasks.n; i++) {
        const struct mixture_use *use = &o->tasks.uses[i];
        bool prompted = grader_is_prompted(use->task->task.grader), left_out = graph_left_out(node, use);
        if (!prompted && !use->suite)
            continue;
        if (!any)
            json_key(j, "suites"), json_open(j, '[');
        any = true;
        json_open(j, '{');
        if (prompted && !left_out)
            json_key(j, "files"), json_i64(j, files_of(node, use));
        if (left_out)
            json_key(j, "left_out"), json_bool(j, true);
        json_key(j, "name"), json_str(j, use->task->name);
        if (use->suite)
            json_key(j, "suite"), json_str(j, use->suite->name);
        if (prompted && !left_out)
            json_key(j, "task"), json_raw(j, use->task->content);
        if (use->suite)
            json_key(j, "title"), json_str(j, use->suite->title);
        json_close(j, '}');
    }
    if (any)
        json_close(j, ']');
}

// The roles in sorted order; those of tasks and of a mix have a list of keys an entry.
static void write_inputs(struct json *j, const struct graph_node *node)
{
    static const struct {
        const char *role;
        bool many;
    } roles[] = {{"from", false},      {"mix", true},     {"mix_rows", true},    {"mixture", true},
                 {"model", false},     {"rows", false},   {"suite", true},       {"test", true},
                 {"tokenizer", false}, {"tokens", false}, {"validation", false}, {"validation_rows", false}};
    json_key(j, "inputs");
    json_open(j, '{');
    for (size_t r = 0; r < countof(roles); r++) {
        const char *role = roles[r].role;
        const struct graph_input *input = NULL;
        for (int i = node->n_inputs - 1; i >= 0; i--)
            if (!strcmp(node->inputs[i].role, role))
                input = &node->inputs[i];
        if (!input)
            continue;
        json_key(j, role);
        if (roles[r].many) {
            json_open(j, '[');
            for (int i = 0; i < node->n_inputs; i++)
                if (!strcmp(node->inputs[i].role, role))
                    write_input(j, &node->inputs[i]);
            json_close(j, ']');
        } else {
            write_input(j, input);
        }
    }
    json_close(j, '}');
}

// Which step of an input is wanted, of those that are not the result.
static void write_steps(struct json *j, const struct graph_node *node)
{
    bool open = false;
    for (int i = 0; i < node->n_inputs; i++) { // "from" of a pretraining, or "model": never both
        if (node->inputs[i].step < 0)
            continue;
        if (!open)
            json_key(j, "steps"), json_open(j, '{');
        open = true;
        json_key(j, node->inputs[i].role), json_i64(j, node->inputs[i].step);
    }
    if (open)
        json_close(j, '}');
}

// Identities of the wanted parts, or of one part alone.
static void write_data(struct json *j, const struct graph_node *node, const struct graph_part *only)
{
    json_key(j, "data");
    json_open(j, '[');
    for (int i = 0; i < node->n_parts; i++)
        if (only ? only == &node->parts[i] : (node->kind != KIND_TOKENS || node->parts[i].wanted) && !node->parts[i].left_out)
            json_raw(j, node->parts[i].identity);
    json_close(j, ']');
}

// What bfloat16 computes has changed by itself: the version counts on from the kind's.
enum { BF16_CHANGES = 1 };

static int version_of(const struct graph_node *node)
{
    return kind_version(node->kind) + (stage_precision(node->kind, node->options) == PRECISION_BF16 ? BF16_CHANGES : 0);
}

static struct error *make_key(const struct graph_node *node, const struct graph_part *only, struct identities *ids,
                              struct arena *arena, const char **payload, const char **key)
{
    struct json j = {0};
    char hex[SHA256_HEX];
    json_open(&j, '{');
    write_data(&j, node, only);
    struct error *e = write_fields(&j, node, ids, arena);
    write_grading(&j, node);
    write_inputs(&j, node);
    json_key(&j, "kind"), json_str(&j, kind_name(node->kind));
    write_shares(&j, node);
    write_steps(&j, node);
    write_suites(&j, node);
    if (node->task)
        json_key(&j, "task"), json_raw(&j, node->task->content);
    json_key(&j, "version"), json_i64(&j, version_of(node));
    json_close(&j, '}');
    if (e) {
        json_release(&j);
        return e;
    }
    if ((e = take_text(&j, arena, payload)) || (e = sha256_bytes(*payload, strlen(*payload), hex)))
        return e;
    *key = arena_strdup(arena, hex);
    return *key ? NULL : error_memory();
}

// The first file of an import that is not there, or NULL.
static struct error *find_missing(struct graph_node *node, struct arena *arena)
{
    const struct import_options *o = node->kind == KIND_IMPORT ? node->options : NULL;
    const char *const *names;
    int n = 0, first_weights;
    struct error *e = NULL;
    node->missing = NULL;
    if (!o || !o->file)
        return NULL;
    if (!hf_is_model(o->file)) {
        const char *file = hf_tokenizer_path(o->file, arena);
        node->missing = file && !file_exists(file) ? file : NULL;
        return file ? NULL : error_memory();
    }
    e = error_while(hf_folder_files(o->file, arena, &names, &n, &first_weights), node->stage->at,
                    "looking for the files of stage '%s'", node->name);
    for (int i = 0; i < n && !e && !node->missing; i++) {
        const char *file = arena_printf(arena, "%s/%s", o->file, names[i]);
        if (!file)
            return error_memory();
        if (!file_exists(file))
            node->missing = file;
    }
    return e;
}

// Whether everything is known that the key is made from; parts that nobody wants do not count.
static bool is_known(const struct graph_node *node)
{
    bool known = !node->missing;
    for (int i = 0; i < node->n_parts; i++) {
        const struct graph_part *part = &node->parts[i];
        known = known && (part->identity || part->left_out || (node->kind == KIND_TOKENS && !part->wanted));
    }
    for (int i = 0; i < node->n_inputs; i++)
        known = known && node->inputs[i].node->key;
    return known;
}

// Whether a task has all its data, or it can be fetched.
static bool task_is_known(const struct graph_node *node, const struct mixture_use *use)
{
    bool known = true;
    for (int i = 0; i < node->n_parts; i++)
        known &= node->parts[i].use != use || node->parts[i].identity || node->parts[i].url;
    return known;
}

// Of suites the tasks without data, where there is data of others.
static void leave_out(struct graph_node *node)
{
    const struct eval_options *o = node->kind == KIND_EVAL ? node->options : NULL;
    for (int i = 0; o && i < o->tasks.n; i++) {
        const struct mixture_use *use = &o->tasks.uses[i];
        bool others = false;
        for (int k = 0; use->suite && k < o->tasks.n && !others; k++)
            others = o->tasks.uses[k].suite == use->suite && task_is_known(node, &o->tasks.uses[k]);
        bool out = others && !task_is_known(node, use);
        for (int k = 0; k < node->n_parts && out; k++)
            if (node->parts[k].use == use)
                node->parts[k].left_out = true;
    }
}

static struct error *node_keys(struct graph_node *node, struct known *known)
{
    struct identities *ids = known->ids;
    struct arena *arena = known->arena;
    struct error *e = find_missing(node, arena);
    for (int i = 0; i < node->n_parts && !e; i++)
        e = node->kind != KIND_TOKENS || node->parts[i].wanted ? part_identity(&node->parts[i], known) : NULL;
    if (!e)
        leave_out(node);
    const struct graph_node *tokenizer = graph_input(node, "tokenizer");
    for (int i = 0; i < node->n_parts && !e && node->kind == KIND_TOKENS; i++) {
        struct graph_part *part = &node->parts[i];
        if (part->wanted && part->identity && tokenizer->key)
            e = make_key(node, part, ids, arena, &part->payload, &part->key);
    }
    if (e || !is_known(node))
        return e;
    return make_key(node, NULL, ids, arena, &node->payload, &node->key);
}

struct error *keys_make(struct graph *graph, const char *results)
{
    struct known known = {.arena = graph->arena};
    const char *cache = arena_printf(graph->arena, "%s/identity.tsv", results);
    error_free(folder_make(results)); // hashes that cannot be kept are made again: no error
    struct error *e = cache ? identities_open(&known.ids, cache, graph->arena) : error_memory();
    if (!e)
        e = downloads_locate(graph, results);
    if (!e && downloads_any(graph))
        e = pins_read(&known.pins, graph->recipe->path, graph->arena);
    for (int i = 0; i < graph->n_nodes && !e; i++)
        e = node_keys(graph->nodes[i], &known);
    if (known.ids)
        identities_keep(known.ids);
    return e;
}

char *key_path(struct arena *arena, const char *results, enum stage_kind_id kind, const char *key, const char *ending)
{
    return arena_printf(arena, "%s/store/%s-%.*s%s", results, kind_name(kind), KEY_PATH_DIGITS, key, ending);
}

enum stage_kind_id key_parse(const char *name, const char **key, const char **ending)
{
    const char *dash = strchr(name, '-');
    if (!dash || strspn(dash + 1, "0123456789abcdef") != KEY_PATH_DIGITS)
        return KIND_COUNT;
    *key = dash + 1;
    *ending = dash + 1 + KEY_PATH_DIGITS;
    return kind_named(name, (size_t)(dash - name));
}
