// load_model.c - which file a MODEL of the command line is, and the tokenizer in it.
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/model/model_file.h"
#include "core/store/atomic.h"
#include "core/text/tokenizer_file.h"
#include "runner/commands/load.h"
#include "runner/graph/keys.h"
#include "runner/graph/result.h"
#include "runner/stages/hyperparameters.h"

enum wanted { MODEL, TOKENIZER };

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool fits(enum stage_kind_id kind, enum wanted wanted)
{
    return kind == KIND_PRETRAIN || kind == KIND_FINETUNE || kind == KIND_GRPO || kind == KIND_IMPORT ||
           (kind == KIND_TOKENIZER && wanted == TOKENIZER);
}

static struct error *misfit(const char *stage, const char *kind, enum wanted wanted)
{
    if (wanted == TOKENIZER)
        return error_new(ERROR_USAGE, NOWHERE, "name a tokenizer, or a stage that trains a model",
                         "stage '%s' is a %s: it has no tokenizer", stage, kind);
    return error_new(ERROR_USAGE, NOWHERE, "name a stage that makes one: pretrain, finetune, grpo or import",
                     "stage '%s' is a %s: it makes no model", stage, kind);
}

// Steps that are there of a result: "step 200, 400 and 3 more".
static const char *kept_steps(const char *out, struct arena *arena)
{
    enum { SHOWN = 6, MOST = 1000 };
    const char *slash = strrchr(out, '/'), *base = slash ? slash + 1 : out, *text = "";
    const char *folder = arena_strndup(arena, out, (size_t)(base - out));
    size_t n = strlen(base) - strlen(".h5");
    int64_t steps[MOST];
    int n_steps = 0;
    DIR *dir = folder ? opendir(*folder ? folder : ".") : NULL;
    for (const struct dirent *each; dir && n_steps < MOST && (each = readdir(dir));) {
        size_t length;
        const char *stem = strncmp(each->d_name, base, n) || each->d_name[n] != '@' ? NULL : arena_strdup(arena, each->d_name);
        char *ending = stem ? strstr(stem, ".h5") : NULL;
        if (!ending || ending[3])
            continue;
        *ending = '\0';
        int64_t step = reference_step(stem, &length);
        if (step >= 0)
            steps[n_steps++] = step;
    }
    if (dir)
        closedir(dir);
    if (n_steps)
        qsort(steps, (size_t)n_steps, sizeof *steps, ascending);
    for (int i = 0; i < n_steps && i < SHOWN && text; i++)
        text = arena_printf(arena, "%s%s%lld", text, i ? ", " : "", (long long)steps[i]);
    return n_steps > SHOWN && text ? arena_printf(arena, "%s and %d more", text, n_steps - SHOWN) : text;
}

// The file of a step of the result `*path`; the result itself for its last.
static struct error *of_step(const struct call *call, const char *name, int64_t step, const char **path)
{
    const char *out = *path;
    struct result r;
    *path = arena_printf(call->arena, "%.*s@%lld.h5", (int)(strlen(out) - strlen(".h5")), out, (long long)step);
    if (!*path)
        return error_memory();
    if (file_exists(*path))
        return NULL;
    struct error *e = result_look(&r, out, NULL, true, call->arena);
    if (e)
        return e;
    if (r.state == RESULT_WHOLE && r.step == step) {
        *path = out;
        return NULL;
    }
    const char *steps = kept_steps(out, call->arena);
    if (!steps)
        return error_memory();
    return error_new(ERROR_USAGE, NOWHERE,
                     *steps ? arena_printf(call->arena, "these steps are there: %s", steps)
                            : "`keep: [500]` or `keep_every: 500` of the stage keeps steps when it is made",
                     "step %lld of stage '%s' was not kept", (long long)step, name);
}

static struct error *of_recipe(const struct call *call, const char *recipe, const char *name, int64_t step, enum wanted wanted,
                               const char **path)
{
    struct loaded l;
    struct plan_stage *stage;
    struct error *e = load_plan(&l, call, recipe);
    if (e || (e = load_stage(&l, name, &stage)))
        return e;
    if (!fits(stage->node->kind, wanted))
        return misfit(name, kind_name(stage->node->kind), wanted);
    *path = stage->out;
    if (step >= 0 && stage->out)
        return of_step(call, name, step, path);
    if (stage->state == PLAN_CACHED || stage->whole) // there, and what is not is another's matter
        return NULL;
    const char *fix =
        arena_printf(call->arena, "`retort run %s --until %s` makes it; `retort why %s %s` says why it is not there", recipe,
                     name, recipe, name);
    return error_new(ERROR_USAGE, NOWHERE, fix, "stage '%s' of this recipe has not been made", name);
}

static struct error *no_stage_of_run(const struct run *run, const char *what, const char *name, struct arena *arena)
{
    const char **names = arena_array(arena, (size_t)run->n_stages + 1, sizeof *names);
    const char *where = arena_printf(arena, "run %04d of '%s'", run->number, run->name);
    const char *list = arena_printf(arena, "`retort report %s` shows its stages", what);
    if (!names || !where || !list)
        return error_memory();
    for (int i = 0; i < run->n_stages; i++)
        names[i] = run->stages[i].name;
    return load_no_stage(where, name, names, run->n_stages, list, arena);
}

// A recipe alone: which of its stages are wanted.
static struct error *no_stage_named(const struct call *call, const char *recipe, enum wanted wanted)
{
    struct loaded l;
    struct error *e = load_recipe(&l, call, recipe);
    if (e)
        return e;
    const char **names = arena_array(call->arena, (size_t)l.recipe.n_stages + 1, sizeof *names);
    int n = 0;
    for (int i = 0; i < l.recipe.n_stages && names; i++)
        if (fits(l.recipe.stages[i].kind, wanted) && !strchr(l.recipe.stages[i].name, ':')) // of another recipe: say that one
            if ((names[n] = arena_printf(call->arena, "%s:%s", recipe, l.recipe.stages[i].name)))
                n++;
    const char *shown = names ? load_names(names, n, call->arena) : NULL;
    if (!shown)
        return error_memory();
    return error_new(ERROR_USAGE, NOWHERE,
                     n ? arena_printf(call->arena, "say which of its stages: %s", shown) : "no stage of it makes one",
                     "'%s' is a recipe, and no %s", recipe, wanted == MODEL ? "model" : "tokenizer");
}

static struct error *of_run(const struct call *call, const char *what, const char *name, int64_t step, enum wanted wanted,
                            const char **path)
{
    struct run run;
    struct error *e = load_run(&run, call, what);
    if (e)
        return e;
    const struct run_stage *stage = run_stage(&run, name);
    if (!stage)
        return no_stage_of_run(&run, what, name, call->arena);
    enum stage_kind_id kind = kind_find(stage->kind);
    if (kind == KIND_COUNT || !fits(kind, wanted))
        return misfit(name, stage->kind, wanted);
    *path = stage->key[0] ? key_path(call->arena, call->results, kind, stage->key, ".h5") : NULL;
    if (*path && step >= 0)
        return of_step(call, name, step, path);
    if (*path && file_exists(*path))
        return NULL;
    return error_new(ERROR_USAGE, NOWHERE, "run the recipe again", "the result of stage '%s' is not there (any more)", name);
}

// The precision in which the model of a result file was made, by its payload; F32 where that says nothing.
static struct error *load_precision(struct store_file *file, struct arena *arena, enum precision *precision)
{
    const char *payload;
    struct error *e = store_get_text(file, "/", "payload", arena, &payload);
    if (e)
        return e;
    json_t *root = json_loads(payload, 0, NULL);
    const char *named = json_string_value(json_object_get(json_object_get(root, "fields"), "precision"));
    *precision = precision_of(named);
    json_decref(root);
    return NULL;
}

static struct error *find(const struct call *call, const char *what, enum wanted wanted, const char **path)
{
    const char *colon = strrchr(what, ':');
    *path = what;
    if (load_is_recipe(what))
        return no_stage_named(call, what, wanted);
    if (!colon || file_exists(what)) {
        if (file_exists(what))
            return NULL;
        return error_new(ERROR_USAGE, NOWHERE, "write RECIPE.yaml:STAGE, RUN:STAGE, or the file of a result",
                         "there is no model '%s'", what);
    }
    size_t length;
    int64_t step = reference_step(colon + 1, &length);
    const char *name = arena_strndup(call->arena, colon + 1, length);
    const char *left = arena_strndup(call->arena, what, (size_t)(colon - what));
    if (!left || !name)
        return error_memory();
    return load_is_recipe(left) ? of_recipe(call, left, name, step, wanted, path) : of_run(call, left, name, step, wanted, path);
}

// An import may be of a tokenizer alone; other files of ours are told by who reads them.
static struct error *check_model(const char *what, const char *path)
{
    struct store_file *file = NULL;
    struct error *e = store_open(&file, path);
    bool lacks = !e && !store_has(file, "/model") && store_has(file, "/tokenizer");
    store_close(file);
    if (lacks)
        e = error_new(ERROR_USAGE, NOWHERE, "name a stage that makes one: pretrain, finetune, grpo or import",
                      "'%s' is a tokenizer, and no model", what);
    return e;
}

struct error *load_model(const struct call *call, const char *what, const char **path)
{
    struct error *e = find(call, what, MODEL, path);
    return e ? e : check_model(what, *path);
}

struct error *load_tokenizer(const struct call *call, const char *what, struct tokenizer **tokenizer, bool *of_model)
{
    const char *path;
    struct store_file *file = NULL;
    struct error *e = find(call, what, TOKENIZER, &path);
    if (e)
        return e;
    e = store_open(&file, path);
    if (!e)
        e = store_verify_group(file, "/tokenizer");
    if (!e)
        e = tokenizer_load(file, call->arena, tokenizer);
    *of_model = !e && store_has(file, "/model");
    store_close(file);
    return error_while(e, NOWHERE, "loading the tokenizer of '%s'", path);
}

static struct error *open_model(struct opened *o, struct store_file *file, struct arena *arena)
{
    struct shape shape;
    struct fault fault;
    enum precision precision = PRECISION_F32;
    struct error *e = store_verify(file);
    if (!e)
        e = model_file_shape(file, &shape);
    if (!e)
        e = tokenizer_load(file, arena, &o->tokenizer);
    if (!e)
        e = load_precision(file, arena, &precision);
    if (!e && !(o->dev = device_open(DEVICE_CPU, 0, &fault)))
        e = error_from_fault(fault);
    if (!e)
        device_set_precision(o->dev, precision);
    if (!e)
        e = model_open(&o->model, o->dev, &shape, arena);
    return e ? e : model_file_load(file, &o->model);
}

struct error *load_open(struct opened *opened, const char *path, struct arena *arena)
{
    struct store_file *file = NULL;
    *opened = (struct opened){.dev = NULL};
    struct error *e = store_open(&file, path);
    if (!e)
        e = open_model(opened, file, arena);
    store_close(file);
    return error_while(e, NOWHERE, "loading the model '%s'", path);
}

void load_close(struct opened *opened)
{
    if (opened->dev)
        device_close(opened->dev);
    *opened = (struct opened){.dev = NULL};
}
