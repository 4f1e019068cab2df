// others.c - `other.yaml:base`: a stage of another recipe, with all that it needs, among the stages of this one.
//
// 1. The other recipe is read as if it were run alone, but for -s data=, which both see: so its keys, and results, are those of such a
//    run.
// 2. What is needed of it is copied under new names: stage `base` of other.yaml is `other.yaml:base` here, its source `web`
//    `other.yaml:web`. They cannot clash with names of this recipe, and all that works on stages works on them.
// 3. A file is read once, whoever refers to it. Of two files with one name the second is other.yaml~2.
// 4. A recipe that is still being read when it is referred to closes a circle; whether stages do is no question then.
#include "runner/recipe/reader.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *real_name(struct reader *r, const char *path)
{
    char real[PATH_MAX];
    return reader_have(r, arena_strdup(r->arena, realpath(path, real) ? real : path));
}

// The file's own name; with a number where it is taken.
static const char *prefix_for(struct reader *r, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    int before = 0;
    for (const struct other *o = r->reading->others; o; o = o->next)
        before += strcmp(o->base, base) == 0;
    return before ? reader_have(r, arena_printf(r->arena, "%s~%d", base, before + 1)) : base;
}

struct other *other_enter(struct reader *r, const char *path)
{
    struct other *other = reader_have(r, arena_alloc(r->arena, sizeof *other));
    const char *real = real_name(r, path), *prefix = prefix_for(r, path), *slash = strrchr(path, '/');
    if (!other || !real || !prefix)
        return NULL;
    *other = (struct other){
        .path = path, .real = real, .prefix = prefix, .base = slash ? slash + 1 : path, .next = r->reading->others};
    r->reading->others = other;
    r->reading->n_deep++;
    return other;
}

// Reads it; what is wrong in it is reported here, with the line that refers to it.
static void read_other(struct reader *r, const struct node *node, struct other *other)
{
    const char *settings[] = {r->reading->data};
    struct error *e = recipe_read_other(other, node, settings, settings[0] != NULL, r->arena, r->reading);
    other->state = e ? OTHER_WRONG : OTHER_GOOD;
    for (struct error *next, *each = e; each && each != error_memory(); each = next) {
        next = each->next;
        each->next = NULL;
        if (!each->at.file || each->at.line != node->at.line || strcmp(each->at.file, node->at.file))
            each = error_while(each, node->at, "reading the recipe '%s'", other->path);
        reader_error(r, each);
    }
    if (e == error_memory())
        reader_error(r, e);
}

static struct other *find_other(struct reader *r, const struct node *node, const char *path)
{
    const char *real = real_name(r, path);
    struct other *other = r->reading->others;
    while (other && real && strcmp(other->real, real))
        other = other->next;
    if (!real)
        return NULL;
    if (other && other->state == OTHER_READING) {
        bool own = strcmp(other->path, r->recipe->path) == 0;
        reader_error(
            r, error_new(ERROR_RECIPE, node->at, own ? "leave the file's name out" : "put what both need into a third recipe",
                         own ? "'%s' is this recipe" : "recipes refer to each other in a circle, through '%s'", other->path));
        return NULL;
    }
    if (other)
        return other;
    if (r->reading->n_deep > MOST_OTHERS) {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "refer to fewer recipes through each other",
                                  "recipes refer to each other more than %d deep", MOST_OTHERS));
        return NULL;
    }
    if ((other = other_enter(r, path)))
        read_other(r, node, other);
    return other;
}

static struct error *unknown_stage(struct reader *r, const struct node *node, const struct field *field,
                                   const struct other *other, const char *name)
{
    const struct recipe *recipe = &other->recipe;
    const char **names = arena_array(r->arena, (size_t)recipe->n_stages + 1, sizeof *names);
    int n = 0;
    bool built;
    for (int i = 0; i < recipe->n_stages && names; i++)
        if (!strchr(recipe->stages[i].name, ':') && recipe->stages[i].kind != KIND_COUNT &&
            choice_find(field->choices, kind_name(recipe->stages[i].kind), &built))
            names[n++] = recipe->stages[i].name;
    struct error *e = names ? unknown_word(node->at, "stage", name, names, n) : error_memory();
    return error_while(e, (struct place){.file = other->path, .line = 1, .column = 1, .width = 1}, "looking into '%s'",
                       other->path);
}

// What this recipe needs of the other, in the order of first mention.
static struct need *need_of(struct reader *r, struct other *other)
{
    struct need **at = &r->needs;
    while (*at && (*at)->other != other)
        at = &(*at)->next;
    if (*at)
        return *at;
    struct need *need = reader_have(r, arena_alloc(r->arena, sizeof *need));
    bool *stages = reader_have(r, arena_array(r->arena, (size_t)other->recipe.n_stages + 1, sizeof *stages));
    if (!need || !stages)
        return NULL;
    *need = (struct need){.other = other, .stages = stages};
    return *at = need;
}

const char *other_stage(struct reader *r, const struct field *field, const struct node *node, const char *text)
{
    const char *colon = strrchr(text, ':');
    struct node file = *node;
    file.text = reader_have(r, arena_strndup(r->arena, text, (size_t)(colon - text)));
    if (!file.text)
        return NULL;
    struct error *e = NULL;
    if (!reference_is_good(text) || !strpbrk(file.text, "./") || strpbrk(file.text, "{}"))
        e = error_new(ERROR_RECIPE, node->at, "name a stage, or one of another recipe: other.yaml:STAGE",
                      "%s is '%.80s', which names no stage", field->name, text);
    reader_error(r, e);
    const char *name = e ? NULL : file_name(r, &file, field->name), *path = name ? node_file(r, node, name) : NULL;
    struct other *other = path ? find_other(r, node, path) : NULL;
    if (!other || other->state != OTHER_GOOD)
        return NULL;
    int i = stage_index(&other->recipe, colon + 1);
    if (i >= 0) {
        struct need *need = need_of(r, other);
        if (need)
            need->stages[i] = true;
        return reader_have(r, arena_printf(r->arena, "%s:%s", other->prefix, colon + 1));
    }
    reader_error(r, unknown_stage(r, node, field, other, colon + 1));
    return NULL;
}

// A name of the other recipe as it is here; what it took from a third has such a name already.
static const char *name_here(struct reader *r, const struct other *other, const char *name)
{
    return !name || strchr(name, ':') ? name : reader_have(r, arena_printf(r->arena, "%s:%s", other->prefix, name));
}

static const struct task_file *task_here(struct reader *r, const struct other *other, const struct task_file *task)
{
    struct recipe *recipe = r->recipe;
    const char *shown = name_here(r, other, task->shown);
    for (int i = 0; i < recipe->n_tasks && shown; i++)
        if (strcmp(recipe->tasks[i]->shown, shown) == 0)
            return recipe->tasks[i];
    struct task_file *copy = reader_have(r, arena_alloc(r->arena, sizeof *copy));
    if (!copy || !shown)
        return task;
    *copy = *task;
    copy->shown = shown;
    recipe->tasks[recipe->n_tasks++] = copy;
    return copy;
}

static void source_here(struct reader *r, const struct other *other, const char *name)
{
    struct recipe *recipe = r->recipe;
    const struct source *source = recipe_source(&other->recipe, name);
    const char *here = name_here(r, other, name);
    if (!source || !here || recipe_source(recipe, here))
        return;
    struct source *copy = &recipe->sources[recipe->n_sources++];
    *copy = *source;
    copy->name = here;
    if (!source->n_mix)
        return;
    copy->mix_validate = source->mix_validate ? name_here(r, other, source->mix_validate) : NULL;
    copy->mix = reader_have(r, arena_array(r->arena, (size_t)source->n_mix, sizeof *copy->mix));
    for (int i = 0; i < source->n_mix && copy->mix && !r->no_memory; i++) {
        copy->mix[i] = source->mix[i];
        source_here(r, other, source->mix[i].source);
        copy->mix[i].source = name_here(r, other, source->mix[i].source);
    }
}

// The stage's options with every name as it is here.
static void rename_options(struct reader *r, const struct other *other, struct recipe_stage *stage)
{
    for (int i = 0; i < stage->n_settings && !r->no_memory; i++) {
        const struct field *field = stage->settings[i].field;
        void *at = (char *)stage->options + field->offset;
        if (!field_is_set(stage->options, field))
            continue;
        if (field->type == FIELD_SOURCE)
            source_here(r, other, *(const char **)at);
        if (field->type == FIELD_SOURCE || field->type == FIELD_STAGE) {
            *(const char **)at = name_here(r, other, *(const char **)at);
        } else if (field->type == FIELD_STAGES) {
            struct field_list *list = at;
            const char **names = reader_have(r, arena_array(r->arena, (size_t)list->n, sizeof *names));
            for (int k = 0; k < list->n && names; k++)
                names[k] = name_here(r, other, list->names[k]);
            list->names = names;
        } else if (field->type == FIELD_MIXTURE) {
            struct mixture_uses *mixture = at;
            struct mixture_use *uses = reader_have(r, arena_array(r->arena, (size_t)mixture->n, sizeof *uses));
            for (int k = 0; k < mixture->n && uses; k++) {
                uses[k] = mixture->uses[k];
                uses[k].task = task_here(r, other, uses[k].task);
            }
            mixture->uses = uses;
        }
    }
}

// Adds a stage under its name here, unless it is there.
static void stage_here(struct reader *r, const struct other *other, const struct recipe_stage *from)
{
    struct recipe *recipe = r->recipe;
    const char *name = name_here(r, other, from->name);
    if (!name || stage_index(recipe, name) >= 0)
        return;
    if (recipe->n_stages >= MOST_STAGES) {
        reader_error(
            r, error_new(ERROR_RECIPE, from->at, "use fewer", "more than %d stages, with those of other recipes", MOST_STAGES));
        return;
    }
    void *options = reader_have(r, arena_alloc(r->arena, kind_options_bytes(from->kind)));
    if (!options)
        return;
    memcpy(options, from->options, kind_options_bytes(from->kind));
    struct recipe_stage *stage = &recipe->stages[recipe->n_stages++];
    *stage = *from;
    stage->name = name;
    stage->options = options;
    rename_options(r, other, stage);
}

static void push(const struct recipe *recipe, bool *needed, int *stack, int *n, const char *name)
{
    int i = name ? stage_index(recipe, name) : -1;
    if (i < 0 || needed[i])
        return;
    needed[i] = true;
    stack[(*n)++] = i;
}

// Adds to what is needed all that it needs.
static void close_over(struct reader *r, struct need *need)
{
    const struct recipe *recipe = &need->other->recipe;
    int *stack = reader_have(r, arena_array(r->arena, (size_t)recipe->n_stages + 1, sizeof *stack)), n = 0;
    for (int i = 0; i < recipe->n_stages && stack; i++)
        if (need->stages[i])
            stack[n++] = i;
    while (n && stack) {
        const struct recipe_stage *stage = &recipe->stages[stack[--n]];
        for (int i = 0; i < stage->n_settings && stage->options; i++) {
            const struct field *field = stage->settings[i].field;
            const void *at = (const char *)stage->options + field->offset;
            const struct field_list *list = at;
            if (field->type == FIELD_STAGE)
                push(recipe, need->stages, stack, &n, *(const char *const *)at);
            for (int k = 0; field->type == FIELD_STAGES && k < list->n; k++)
                push(recipe, need->stages, stack, &n, list->names[k]);
        }
    }
}

// Room for all that can come.
static bool make_room(struct reader *r)
{
    struct recipe *recipe = r->recipe;
    size_t stages = (size_t)recipe->n_stages, sources = (size_t)recipe->n_sources, tasks = (size_t)recipe->n_tasks;
    for (const struct need *need = r->needs; need; need = need->next) {
        stages += (size_t)need->other->recipe.n_stages;
        sources += (size_t)need->other->recipe.n_sources;
        tasks += (size_t)need->other->recipe.n_tasks;
    }
    recipe->stages = arena_grow(r->arena, recipe->stages, (size_t)recipe->n_stages, stages, sizeof *recipe->stages);
    recipe->sources = arena_grow(r->arena, recipe->sources, (size_t)recipe->n_sources, sources, sizeof *recipe->sources);
    recipe->tasks = arena_grow(r->arena, recipe->tasks, (size_t)recipe->n_tasks, tasks + 1, sizeof *recipe->tasks);
    return reader_have(r, recipe->stages) && reader_have(r, recipe->sources) && reader_have(r, recipe->tasks);
}

void others_join(struct reader *r)
{
    r->n_own = r->recipe->n_stages;
    if (!r->needs || !make_room(r))
        return;
    for (struct need *need = r->needs; need && !r->no_memory; need = need->next) {
        close_over(r, need);
        for (int i = 0; i < need->other->recipe.n_stages && !r->no_memory; i++)
            if (need->stages[i] && need->other->recipe.stages[i].options)
                stage_here(r, need->other, &need->other->recipe.stages[i]);
    }
}
