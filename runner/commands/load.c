// load.c - recipe, graph, keys, plan, one after the other.
#include "runner/commands/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/store/atomic.h"
#include "runner/graph/hardware.h"
#include "runner/graph/keys.h"
#include "runner/graph/reference.h"
#include "runner/recipe/reader.h"

struct error *load_recipe(struct loaded *l, const struct call *call, const char *path)
{
    struct error *e = recipe_read(&l->recipe, path, call->settings, call->n_settings, call->arena);
    const struct hardware *unused;
    if (l->recipe.device) // its table is none of the language's, and what is wrong with the rest is told beside it
        e = error_append(e, hardware_of(&unused, &l->recipe));
    return e ? e : graph_build(&l->graph, &l->recipe, call->arena);
}

struct error *load_plan(struct loaded *l, const struct call *call, const char *path)
{
    struct error *e = load_recipe(l, call, path);
    if (e || (e = keys_make(&l->graph, call->results)))
        return e;
    return plan_build(&l->plan, &l->graph, call->results, call->arena);
}

struct error *load_stage(const struct loaded *l, const char *name, struct plan_stage **stage)
{
    *stage = plan_stage(&l->plan, name);
    if (*stage)
        return NULL;
    const char *names[256];
    int n = 0;
    for (int i = 0; i < l->plan.n_stages && n < (int)countof(names); i++)
        names[n++] = l->plan.stages[i].node->name;
    const char *near = nearest_name(name, names, n);
    char fix[300];
    snprintf(fix, sizeof fix, "did you mean '%s'?", near ? near : "");
    return error_new(ERROR_USAGE, NOWHERE, near ? fix : "`retort plan` lists the stages", "the recipe has no stage '%s'", name);
}

static bool ends_in(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

struct error *stage_to_json(struct json *json, const struct plan_stage *stage, struct arena *arena)
{
    const char *reasons = reasons_json(stage->reasons, stage->n_reasons, arena);
    if (!reasons)
        return error_memory();
    json_open(json, '{');
    json_key(json, "name"), json_str(json, stage->node->name);
    json_key(json, "kind"), json_str(json, kind_name(stage->node->kind));
    json_key(json, "key"), json_str(json, stage->node->key);
    json_key(json, "state"), json_str(json, plan_state_name(stage->state));
    json_key(json, "reasons"), json_raw(json, reasons);
    return NULL;
}

struct error *load_name(const struct call *call, const char *what, const char **name)
{
    *name = what;
    if (!ends_in(what, ".yaml") && !ends_in(what, ".yml"))
        return NULL;
    struct recipe recipe = {0};
    struct error *e = recipe_read(&recipe, what, call->settings, call->n_settings, call->arena);
    // A recipe that has mistakes by now, or was run with an -s that is not repeated here, still has a name.
    if (e && (!recipe.name || strchr(recipe.name, '/')))
        return e;
    error_free(e);
    *name = recipe.name;
    return NULL;
}

struct error *load_run(struct run *run, const struct call *call, const char *what)
{
    const char *name = what, *slash = strrchr(what, '/');
    if (ends_in(what, ".h5"))
        return run_read(run, what, call->arena);
    if (ends_in(what, ".yaml") && reference_is(what))
        return reference_read(run, what, call->arena);
    struct error *e = load_name(call, what, &name);
    if (e)
        return e;
    if (name == what && slash && slash[1] && !slash[1 + strspn(slash + 1, "0123456789")]) {
        name = arena_strndup(call->arena, what, (size_t)(slash - what));
        const char *path = name ? run_path(call->arena, call->results, name, atoi(slash + 1)) : NULL;
        if (!path)
            return error_memory();
        if (file_exists(path))
            return run_read(run, path, call->arena);
    }
    e = run_newest(run, call->results, name, call->arena);
    const char *published = NULL;
    if (e || run->number || (e = reference_find(call->results, name, call->arena, &published)))
        return e;
    if (published)
        return reference_read(run, published, call->arena);
    return error_new(ERROR_USAGE, NOWHERE, "`retort ls` lists the runs", "there is no run of '%s' in '%s'", what, call->results);
}
