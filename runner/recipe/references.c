// references.c - names that stages and sources call each other by: they exist, they fit, they lead in no circle.
//
// Kinds flow along references (a pretraining wants a vocabulary, an evaluation a model); which kinds fit stands in the table of fields.
// What else flows along them is the matter of flow.c.
#include "runner/recipe/reader.h"

#include <stdio.h>
#include <string.h>

#include "core/model/hf_config.h"
#include "core/store/atomic.h"

// The node of item i of a field that was given, for its place; NULL where the value is a default.
static const struct node *item_node(const struct node *stage, const char *field, int i)
{
    const struct node *node = node_get(stage, field);
    if (!node || node->kind != NODE_LIST)
        return node;
    const struct node *c = node->first;
    while (c && i--)
        c = c->next;
    return c;
}

int stage_index(const struct recipe *recipe, const char *name)
{
    size_t length;
    reference_step(name, &length);
    for (int i = 0; i < recipe->n_stages; i++)
        if (strncmp(recipe->stages[i].name, name, length) == 0 && !recipe->stages[i].name[length])
            return i;
    return -1;
}

static struct error *unknown_source(struct reader *r, const char *name, struct place at)
{
    const struct recipe *recipe = r->recipe;
    const char **names = arena_array(r->arena, (size_t)recipe->n_sources, sizeof *names);
    if (!names)
        return error_memory();
    if (stage_index(recipe, name) >= 0)
        return error_new(ERROR_RECIPE, at, "name a source", "'%s' is a stage, not a source", name);
    for (int i = 0; i < recipe->n_sources; i++)
        names[i] = recipe->sources[i].name;
    return unknown_word(at, "source", name, names, recipe->n_sources);
}

static bool fits(const struct field *field, enum stage_kind_id kind)
{
    bool built;
    return choice_find(field->choices, kind_name(kind), &built);
}

// Whether an import is asked for a model and has none: its file is there, and no folder of one.
static bool lacks_model(const struct field *field, const struct recipe_stage *stage)
{
    const struct import_options *o = stage->kind == KIND_IMPORT ? stage->options : NULL;
    bool wants_model = strcmp(field->name, "tokenizer") != 0;
    return o && wants_model && o->file && file_exists(o->file) && !hf_is_model(o->file);
}

static struct error *unknown_stage(struct reader *r, const struct field *field, const char *name, struct place at)
{
    const struct recipe *recipe = r->recipe;
    const char **names = arena_array(r->arena, (size_t)recipe->n_stages, sizeof *names);
    int n = 0;
    if (!names)
        return error_memory();
    if (recipe_source(recipe, name))
        return error_new(ERROR_RECIPE, at, "name a stage", "'%s' is a source, not a stage", name);
    for (int i = 0; i < recipe->n_stages; i++)
        if (recipe->stages[i].kind != KIND_COUNT && fits(field, recipe->stages[i].kind))
            names[n++] = recipe->stages[i].name;
    return unknown_word(at, "stage", name, names, n);
}

// A step of a stage: of one that trains, and not behind its last, where that is written.
static struct error *check_step(const struct recipe_stage *used, const struct field *field, const char *name, struct place at)
{
    size_t length;
    int64_t step = reference_step(name, &length);
    const struct setting *steps = stage_setting(used, "steps");
    int64_t last = steps && used->options ? *(const int64_t *)(const void *)((const char *)used->options + steps->field->offset)
                                          : FIELD_UNSET_INT;
    if (step < 0)
        return NULL;
    if (!kind_trains(used->kind))
        return error_while(error_new(ERROR_RECIPE, at, "leave '@' and the step out",
                                     "%s is '%s', a step of a stage that has none", field->name, name),
                           used->at, "looking at '%s'", used->name);
    if (last < 0 || step <= last)
        return NULL;
    return error_while(error_new(ERROR_RECIPE, at, "name a step that it makes", "%s is '%s', behind the last of %lld steps",
                                 field->name, name, (long long)last),
                       steps->at.file ? steps->at : used->at, "looking at the steps of '%s'", used->name);
}

static void check_stage_name(struct reader *r, int user, const struct field *field, const char *name, struct place at)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    int i = stage_index(r->recipe, name);
    struct error *e = NULL;
    if (i < 0) {
        e = unknown_stage(r, field, name, at);
    } else if (i == user) {
        e = error_new(ERROR_RECIPE, at, "name another stage", "stage '%s' refers to itself", name);
    } else if (r->recipe->stages[i].kind != KIND_COUNT && !fits(field, r->recipe->stages[i].kind)) {
        char fix[240];
        snprintf(fix, sizeof fix, "name a stage of kind %s", choices_text(field->choices, r->arena));
        e = error_new(ERROR_RECIPE, at, fix, "%s of stage '%s' cannot be '%s', a stage of kind %s", field->name, stage->name,
                      name, kind_name(r->recipe->stages[i].kind));
        e = error_while(e, r->recipe->stages[i].at, "looking at '%s'", name);
    } else if (lacks_model(field, &r->recipe->stages[i])) {
        e = error_new(ERROR_RECIPE, at, "name an import of the folder of a model: config.json, model.safetensors, tokenizer.json",
                      "%s of stage '%s' is '%s', which imports a tokenizer alone", field->name, stage->name, name);
        e = error_while(e, r->recipe->stages[i].at, "looking at '%s'", name);
    } else {
        e = check_step(&r->recipe->stages[i], field, name, at);
    }
    reader_error(r, e);
}

// Its files are those of splits.
static bool is_of_tasks(const struct source *source)
{
    return (source->form == DOCUMENT_PARQUET || source->form == DOCUMENT_JSONL) && source->pattern &&
           strstr(source->pattern, SPLIT_SLOT);
}

static void check_names(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    for (int i = 0; i < stage->n_settings && stage->options; i++) {
        const struct field *field = stage->settings[i].field;
        const void *at = (const char *)stage->options + field->offset;
        if (!field_is_set(stage->options, field))
            continue;
        if (field->type == FIELD_SOURCE) {
            const char *name = *(const char *const *)at;
            const struct source *source = recipe_source(r->recipe, name);
            if (!source)
                reader_error(r, unknown_source(r, name, stage->settings[i].at));
            else if (is_of_tasks(source))
                reader_error(r, error_while(error_new(ERROR_RECIPE, stage->settings[i].at, "name a source of text",
                                                      "'%s' is a source of tasks: its files are those of splits", name),
                                            source->at, "looking at source '%s'", name));
            else if (source->n_mix && stage->kind == KIND_TOKENIZER) // shares are of tokens, which are not there yet
                reader_error(
                    r, error_while(error_new(ERROR_NOT_BUILT, stage->settings[i].at, "name one of its sources",
                                             "stage '%s' reads the mix '%s'; tokenizers of mixes are not built in this version",
                                             stage->name, name),
                                   source->at, "looking at source '%s'", name));
        } else if (field->type == FIELD_STAGE) {
            check_stage_name(r, user, field, *(const char *const *)at, stage->settings[i].at);
        } else if (field->type == FIELD_STAGES) {
            const struct field_list *list = at;
            for (int k = 0; k < list->n && !reader_full(r); k++) {
                const struct node *node = item_node(r->stage_nodes[user], field->name, k);
                struct place place = node ? node->at : stage->settings[i].at;
                check_stage_name(r, user, field, list->names[k], place);
                for (int before = 0; before < k && k < 1000; before++)
                    if (strcmp(list->names[before], list->names[k]) == 0) {
                        reader_error(r, error_new(ERROR_RECIPE, place, "name it once", "%s names '%s' twice", field->name,
                                                  list->names[k]));
                        break;
                    }
            }
        }
    }
}

struct edge {
    int user, used; // stages; user refers to used
};

// All references between stages; itself left out, which is told elsewhere. NULL: out of memory.
static struct edge *edges_of(struct reader *r, int *n_edges)
{
    const struct recipe *recipe = r->recipe;
    struct edge *edges = NULL;
    int capacity = 0;
    for (int pass = 0; pass < 2; pass++) {
        *n_edges = 0;
        for (int i = 0; i < recipe->n_stages; i++) {
            const struct recipe_stage *stage = &recipe->stages[i];
            for (int k = 0; k < stage->n_settings && stage->options; k++) {
                const struct field *field = stage->settings[k].field;
                const void *at = (const char *)stage->options + field->offset;
                const struct field_list *list = at;
                bool many = field->type == FIELD_STAGES;
                if ((!many && field->type != FIELD_STAGE) || !field_is_set(stage->options, field))
                    continue;
                for (int item = 0; item < (many ? list->n : 1); item++, ++*n_edges) {
                    if (!edges)
                        continue;
                    int used = stage_index(recipe, many ? list->names[item] : *(const char *const *)at);
                    edges[*n_edges] = (struct edge){.user = i, .used = used == i ? -1 : used};
                }
            }
        }
        if (!edges) {
            capacity = *n_edges;
            edges = reader_have(r, arena_array(r->arena, (size_t)capacity, sizeof *edges));
            if (!edges)
                return NULL;
        }
    }
    return edges;
}

static void report_circle(struct reader *r, const int *next, int i)
{
    const struct recipe_stage *stages = r->recipe->stages;
    struct error *e =
        error_new(ERROR_RECIPE, stages[i].at, "break the circle", "stage '%s' needs its own result", stages[i].name);
    enum { MOST_TOLD = 20 };
    for (int on = next[i], told = 0; on != i && told < MOST_TOLD; told++, on = next[on])
        e = error_while(e, stages[on].at, "following it to '%s'", stages[on].name);
    reader_error(r, e);
}

// Settles stages whose references are settled until nothing changes; what is left leads into a circle.
static void check_circles(struct reader *r)
{
    int n = r->recipe->n_stages, n_edges;
    struct edge *edges = edges_of(r, &n_edges);
    int *next = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *next)); // an open stage that an open one refers to, or -1
    bool *settled = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *settled));
    if (r->no_memory)
        return;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < n; i++)
            next[i] = -1;
        for (int i = 0; i < n_edges; i++)
            if (edges[i].used >= 0 && !settled[edges[i].used])
                next[edges[i].user] = edges[i].used;
        for (int i = 0; i < n; i++)
            if (!settled[i] && next[i] < 0)
                settled[i] = changed = true;
    }
    for (int start = 0; start < n && !reader_full(r); start++) {
        // A walk from an open stage stays among open ones and so comes round; what it passed is not told again.
        int i = start;
        for (int steps = 0; !settled[i] && steps < n; steps++)
            i = next[i];
        if (!settled[i])
            report_circle(r, next, i);
        for (i = start; !settled[i]; i = next[i])
            settled[i] = true;
    }
}

// A source of tasks whose name is nearly that of a task that is used: it would be read from elsewhere.
static void check_sources_of_tasks(struct reader *r)
{
    const struct recipe *recipe = r->recipe;
    const char **names = reader_have(r, arena_array(r->arena, (size_t)recipe->n_tasks + 1, sizeof *names));
    for (int i = 0; i < recipe->n_tasks && names; i++)
        names[i] = recipe->tasks[i]->name;
    for (int i = 0; i < recipe->n_sources && names; i++) {
        const struct source *source = &recipe->sources[i];
        const char *near = is_of_tasks(source) ? nearest_name(source->name, names, recipe->n_tasks) : NULL;
        if (near && strcmp(near, source->name))
            reader_error(r, unknown_word(source->at, "task", source->name, names, recipe->n_tasks));
    }
}

void references_check(struct reader *r)
{
    for (int i = 0; i < r->n_own && !r->no_memory; i++)
        if (r->recipe->stages[i].options)
            check_names(r, i);
    check_sources_of_tasks(r);
    check_circles(r);
}
