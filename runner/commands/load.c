// load.c - recipe, graph, keys, plan, one after the other.
#include "runner/commands/load.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/store/atomic.h"
#include "runner/graph/died.h"
#include "runner/graph/hardware.h"
#include "runner/graph/kept.h"
#include "runner/graph/keys.h"
#include "runner/graph/reference.h"
#include "runner/recipe/reader.h"

enum { NAMES_SHOWN = 4, NEIGHBOURS_MOST = 256 };

static bool ends_in(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

bool load_is_recipe(const char *what)
{
    return ends_in(what, ".yaml") || ends_in(what, ".yml");
}

bool load_is_h5(const char *what)
{
    return ends_in(what, ".h5");
}

static const char *stem_of(const char *file, struct arena *arena)
{
    const char *dot = load_is_recipe(file) ? strrchr(file, '.') : NULL;
    return arena_strndup(arena, file, dot ? (size_t)(dot - file) : strlen(file));
}

// Of a recipe that is not there the one that may have been meant: the same name with its ending, among the shipped ones, or one much like
// it beside it; NULL: none.
static const char *other_recipe(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/'), *names[NEIGHBOURS_MOST], *stems[NEIGHBOURS_MOST]; // stems: without their endings
    const char *folder = slash ? arena_strndup(arena, path, (size_t)(slash - path) + 1) : "", *base = slash ? slash + 1 : path;
    const char *const guesses[] = {arena_printf(arena, "%s.yaml", path), arena_printf(arena, "recipes/%s", base),
                                   arena_printf(arena, "recipes/%s.yaml", base)};
    int n = 0;
    for (size_t i = 0; i < countof(guesses); i++)
        if (guesses[i] && *base && file_exists(guesses[i]))
            return guesses[i];
    DIR *dir = folder ? opendir(*folder ? folder : ".") : NULL;
    for (const struct dirent *each; dir && n < NEIGHBOURS_MOST && (each = readdir(dir));)
        if (load_is_recipe(each->d_name) && (names[n] = arena_strdup(arena, each->d_name)) &&
            (stems[n] = stem_of(names[n], arena)))
            n++;
    if (dir)
        closedir(dir);
    const char *stem = stem_of(base, arena), *near = stem ? nearest_name(stem, stems, n) : NULL;
    for (int i = 0; i < n && near; i++)
        if (stems[i] == near)
            return arena_printf(arena, "%s%s", folder, names[i]);
    return NULL;
}

static struct error *read_recipe(struct recipe *recipe, const struct call *call, const char *path)
{
    struct stat st;
    *recipe = (struct recipe){0};
    if (!stat(path, &st) || errno != ENOENT)
        return recipe_read(recipe, path, call->settings, call->n_settings, call->arena);
    const char *other = other_recipe(path, call->arena);
    return error_new(ERROR_RECIPE, NOWHERE,
                     other ? arena_printf(call->arena, "did you mean '%s'?", other)
                           : "give the path of a recipe; `retort new NAME` writes one to begin with",
                     "cannot open '%s': %s", path, strerror(ENOENT));
}

struct error *load_recipe(struct loaded *l, const struct call *call, const char *path)
{
    struct error *e = read_recipe(&l->recipe, call, path);
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

const char *load_names(const char *const *names, int n, struct arena *arena)
{
    const char *text = "";
    int shown = n <= NAMES_SHOWN + 1 ? n : NAMES_SHOWN; // "and 1 more" is no shorter than its name
    for (int i = 0; i < shown && text; i++)
        text = arena_printf(arena, "%s%s'%s'", text, i ? ", " : "", names[i]);
    return shown < n && text ? arena_printf(arena, "%s and %d more", text, n - shown) : text;
}

struct error *load_no_stage(const char *where, const char *name, const char *const *names, int n, const char *list,
                            struct arena *arena)
{
    const char **cells = arena_array(arena, (size_t)n + 1, sizeof *cells), *near = nearest_name(name, names, n), *shown;
    int n_cells = 0;
    size_t length = strlen(name);
    for (int i = 0; i < n && cells; i++)
        if (!strncmp(names[i], name, length) && names[i][length] == '@')
            cells[n_cells++] = names[i];
    if (!cells || !(shown = load_names(cells, n_cells, arena)))
        return error_memory();
    if (n_cells)
        return error_new(ERROR_USAGE, NOWHERE, arena_printf(arena, "name one of %s; %s", shown, list),
                         "%s has %d stages of '%s', and none of that name alone", where, n_cells, name);
    return error_new(ERROR_USAGE, NOWHERE, near ? arena_printf(arena, "did you mean '%s'?", near) : list, "%s has no stage '%s'",
                     where, name);
}

struct error *load_stage(const struct loaded *l, const char *name, struct plan_stage **stage)
{
    struct arena *arena = l->recipe.arena;
    *stage = plan_stage(&l->plan, name);
    if (*stage)
        return NULL;
    const char **names = arena_array(arena, (size_t)l->plan.n_stages + 1, sizeof *names);
    const char *list = arena_printf(arena, "`retort plan %s` lists the stages", l->recipe.path);
    if (!names || !list)
        return error_memory();
    for (int i = 0; i < l->plan.n_stages; i++)
        names[i] = l->plan.stages[i].node->name;
    return load_no_stage("the recipe", name, names, l->plan.n_stages, list, arena);
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
    bool optim = false;
    const struct graph_input *begins = kept_begins(stage->node, &optim);
    json_key(json, "begins");
    if (begins) {
        json_open(json, '{');
        json_key(json, "stage"), json_str(json, begins->node->name);
        json_key(json, "step"), json_count(json, begins->step);
        json_key(json, "optimizer"), json_bool(json, optim);
        json_close(json, '}');
    } else {
        json_nil(json);
    }
    return NULL;
}

struct error *load_name(const struct call *call, const char *what, const char **name)
{
    *name = what;
    if (!load_is_recipe(what))
        return NULL;
    struct recipe recipe;
    struct error *e = read_recipe(&recipe, call, what);
    // A recipe that has mistakes by now, or was run with an -s that is not repeated here, still has a name.
    if (e && (!recipe.name || strchr(recipe.name, '/')))
        return e;
    error_free(e);
    *name = recipe.name;
    return NULL;
}

struct error *load_no_run(const struct call *call, const char *what, bool published)
{
    struct arena *arena = call->arena;
    const char **names, **others = NULL, *fix = "`retort run RECIPE` makes one";
    int n, n_others = 0, length = (int)strcspn(what, "/");
    struct error *e = run_names(call->results, arena, &names, &n);
    if (!e && published)
        e = reference_names(call->results, arena, &others, &n_others);
    const char **all = e ? NULL : arena_array(arena, (size_t)n + (size_t)n_others + 1, sizeof *all);
    const char *run = arena_strndup(arena, what, (size_t)length), *list = e ? NULL : load_names(names, n, arena);
    if (e || !all || !run || !list)
        return e ? e : error_memory();
    for (int i = 0; i < n + n_others; i++)
        all[i] = i < n ? names[i] : others[i - n];
    const char *near = nearest_name(what, all, n + n_others);
    near = near || what[length] ? near : other_recipe(what, arena);
    if (what[length] && is_name_among(run, names, n)) // a number that is not there, or that is of no use here
        fix = arena_printf(arena, published ? "`retort ls` lists the runs of '%s'" : "name '%s' alone, whose newest run is meant",
                           run);
    else if (near || n)
        fix = near ? arena_printf(arena, "did you mean '%s'?", near) : arena_printf(arena, "there are those of %s", list);
    return fix ? error_new(ERROR_USAGE, NOWHERE, fix, "there is no run of '%s' in '%s'", what, call->results) : error_memory();
}

// Why the newest record of a name cannot be read, where none can; NULL: there is none.
static struct error *unreadable(struct run *run, const struct call *call, const char *name)
{
    int *numbers, n;
    struct error *e = run_numbers(call->results, name, call->arena, &numbers, &n);
    const char *path = e || !n ? NULL : run_path(call->arena, call->results, name, numbers[n - 1]);
    return e ? e : path ? run_read(run, path, call->arena) : n ? error_memory() : NULL;
}

static struct error *find_run(struct run *run, const struct call *call, const char *what)
{
    const char *name = what, *slash = strrchr(what, '/');
    if (load_is_h5(what))
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
        return file_exists(path) ? run_read(run, path, call->arena) : load_no_run(call, what, true);
    }
    e = run_newest(run, call->results, name, call->arena);
    const char *published = NULL;
    if (e || run->number || (e = reference_find(call->results, name, call->arena, &published)))
        return e;
    if (published)
        return reference_read(run, published, call->arena);
    if ((e = unreadable(run, call, name)))
        return e;
    if (strchr(what, ':'))
        return error_new(ERROR_USAGE, NOWHERE,
                         arena_printf(call->arena, "name the whole run: `retort report %.*s` has its stages side by side",
                                      (int)strcspn(what, ":"), what),
                         "'%s' is a stage, and no run", what);
    return load_no_run(call, what, true);
}

struct error *load_run(struct run *run, const struct call *call, const char *what)
{
    struct error *e = find_run(run, call, what);
    if (e || run->source || load_is_h5(what)) // a file may be of another results folder, or of another machine
        return e;
    return died_look(run, call->results, call->arena);
}
