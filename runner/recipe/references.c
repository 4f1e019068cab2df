// references.c - names that stages and sources call each other by: they exist, they fit, they lead in no circle.
//
// Kinds flow along references (a pretraining wants a vocabulary, an evaluation a model); which kinds fit stands in the
// table of fields.
#include "runner/recipe/reader.h"

#include <stdio.h>
#include <string.h>

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

static int index_of(const struct recipe *recipe, const char *name)
{
    for (int i = 0; i < recipe->n_stages; i++)
        if (strcmp(recipe->stages[i].name, name) == 0)
            return i;
    return -1;
}

static struct error *unknown_source(struct reader *r, const char *name, struct place at)
{
    const struct recipe *recipe = r->recipe;
    const char **names = arena_array(r->arena, (size_t)recipe->n_sources, sizeof *names);
    if (!names)
        return error_memory();
    if (index_of(recipe, name) >= 0)
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

static void check_stage_name(struct reader *r, int user, const struct field *field, const char *name, struct place at)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    int i = index_of(r->recipe, name);
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
    }
    reader_error(r, e);
}

// Its files have {split}.
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
                                                      "'%s' is a source of tasks: its files have {split}", name),
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
                    int used = index_of(recipe, many ? list->names[item] : *(const char *const *)at);
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

// The stage that another's weights begin with: itself where it makes them, else the stage of its `model`.
static int model_of(const struct recipe *recipe, int i)
{
    const struct recipe_stage *stage = &recipe->stages[i];
    const char *model = NULL;
    if (!stage->options)
        return -1;
    if (stage->kind == KIND_PRETRAIN || stage->kind == KIND_IMPORT)
        return i;
    if (stage->kind == KIND_FINETUNE)
        model = ((const struct finetune_options *)stage->options)->model;
    if (stage->kind == KIND_GRPO)
        model = ((const struct grpo_options *)stage->options)->model;
    return model ? index_of(recipe, model) : -1;
}

// For each stage the pretraining or import that its model comes from, or -1. Chains are walked once, however many share them.
static void find_origins(struct reader *r)
{
    int n = r->recipe->n_stages;
    int *next = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *next));
    int *walk = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *walk)); // the walk that came by, counted from 1
    r->origins = reader_have(r, arena_array(r->arena, (size_t)n, sizeof *r->origins));
    for (int i = 0; i < n && !r->no_memory; i++) {
        next[i] = model_of(r->recipe, i);
        r->origins[i] = next[i] == i ? i : -1;
    }
    for (int start = 0; start < n && !r->no_memory; start++) {
        int i = start;
        for (; i >= 0 && !walk[i] && next[i] != i; i = next[i])
            walk[i] = start + 1;
        // Met itself: a circle, which has no origin. Met another walk, or an origin: that one's.
        int origin = i >= 0 && walk[i] != start + 1 ? r->origins[i] : -1;
        for (i = start; i >= 0 && walk[i] == start + 1 && r->origins[i] < 0 && origin >= 0; i = next[i])
            r->origins[i] = origin;
    }
}

// The pretraining that a model comes from, or NULL; *imported where it comes from an import.
static const struct recipe_stage *pretraining_of(const struct reader *r, const char *model, bool *imported)
{
    int i = model ? index_of(r->recipe, model) : -1, origin = i < 0 ? -1 : r->origins[i];
    *imported = origin >= 0 && r->recipe->stages[origin].kind == KIND_IMPORT;
    return origin < 0 || *imported ? NULL : &r->recipe->stages[origin];
}

static const struct source *pretraining_source(const struct reader *r, const char *model, bool *imported)
{
    const struct recipe_stage *stage = pretraining_of(r, model, imported);
    const char *source = stage ? ((const struct pretrain_options *)stage->options)->source : NULL;
    return source ? recipe_source(r->recipe, source) : NULL;
}

// Rows as long as those that the model learned from, unless the recipe says otherwise; and batches of whole rows.
static void resolve_rows_of_finetuning(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    struct finetune_options *o = stage->options;
    struct setting *seq_len = NULL;
    bool imported;
    const struct recipe_stage *from = pretraining_of(r, o->model, &imported);
    for (int i = 0; i < stage->n_settings; i++)
        if (strcmp(stage->settings[i].field->name, "seq_len") == 0)
            seq_len = &stage->settings[i];
    if (seq_len->by == BY_NOBODY && from && ((const struct pretrain_options *)from->options)->seq_len > 0) {
        seq_len->by = BY_DEFAULT;
        o->seq_len = ((const struct pretrain_options *)from->options)->seq_len;
    }
    if (o->batch_tokens <= 0 || o->seq_len <= 0 || o->batch_tokens % o->seq_len == 0)
        return;
    const struct setting *batch = stage_setting(stage, "batch_tokens");
    struct error *e =
        error_new(ERROR_RECIPE, batch->at.file ? batch->at : stage->at, "take a multiple of seq_len",
                  "batch_tokens %lld is not a multiple of seq_len %lld", (long long)o->batch_tokens, (long long)o->seq_len);
    struct place at = seq_len->by != BY_DEFAULT ? seq_len->at : stage_setting(from, "seq_len")->at;
    reader_error(r, error_while(e, at.file ? at : from ? from->at : stage->at, "cutting batches into rows of seq_len"));
}

static void check_validation_of_eval(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    const struct eval_options *o = stage->options;
    bool bpb = false;
    for (int i = 0; i < o->suites.n; i++)
        bpb |= strcmp(o->suites.names[i], "bpb") == 0;
    for (int i = 0; bpb && i < (o->source ? 1 : o->model.n); i++) {
        bool imported = false;
        const struct source *source =
            o->source ? recipe_source(r->recipe, o->source) : pretraining_source(r, o->model.names[i], &imported);
        struct place at = stage_setting(stage, o->source ? "source" : "suites")->at;
        if (imported)
            reader_error(r, error_new(ERROR_RECIPE, at, "write source: NAME",
                                      "'%s' is imported: bpb needs a source to validate on", o->model.names[i]));
        else if (source && source->validate == VALIDATE_NONE && source->validate_at.file)
            reader_error(r, error_while(error_new(ERROR_RECIPE, at, "give the source a validation text, or name another source",
                                                  "source '%s' has no validation text for bpb", source->name),
                                        source->validate_at, "looking at source '%s'", source->name));
    }
}

// A pretraining without validation text has nothing to look at every so often.
static void check_validation_of_pretraining(struct reader *r, int user)
{
    const struct recipe_stage *stage = &r->recipe->stages[user];
    struct pretrain_options *o = stage->options;
    const struct source *source = o->source ? recipe_source(r->recipe, o->source) : NULL;
    const struct setting *every = stage_setting(stage, "eval_every");
    if (!source || source->validate != VALIDATE_NONE || !source->validate_at.file || !every || o->eval_every <= 0)
        return;
    if (every->by == BY_DEFAULT)
        o->eval_every = 0;
    else
        reader_error(r,
                     error_while(error_new(ERROR_RECIPE, every->at, "give the source a validation text, or write eval_every: 0",
                                           "source '%s' has no validation text", source->name),
                                 source->validate_at, "looking at source '%s'", source->name));
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
    find_origins(r);
    for (int i = 0; i < r->recipe->n_stages && !r->no_memory; i++) {
        const struct recipe_stage *stage = &r->recipe->stages[i];
        if (!stage->options)
            continue;
        check_names(r, i);
        if (stage->kind == KIND_EVAL)
            check_validation_of_eval(r, i);
        if (stage->kind == KIND_PRETRAIN)
            check_validation_of_pretraining(r, i);
        if (stage->kind == KIND_FINETUNE)
            resolve_rows_of_finetuning(r, i);
    }
    check_sources_of_tasks(r);
    check_circles(r);
}
