// reference.c - YAML into a struct run: what a record would say, as far as it was published.
#include "runner/graph/reference.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/store/atomic.h"
#include "runner/recipe/number.h"
#include "runner/recipe/reader.h"
#include "runner/recipe/task_file.h"

enum { STAGES_MOST = 64, TASKS_MOST = 64, TEXT_MOST = 2000, NAMES_MOST = 1000 };

struct published_file {
    struct arena *arena;
    struct error *errors;
};

static void report(struct published_file *r, struct error *e)
{
    r->errors = error_append(r->errors, e);
}

static void *have(struct published_file *r, void *p)
{
    if (!p)
        report(r, error_memory());
    return p;
}

// Keys of a map that are none of those; a value that is no map.
static bool is_map(struct published_file *r, const struct node *node, const char *what, const char *const *names, int n_names)
{
    if (node->kind != NODE_MAP) {
        report(r, error_new(ERROR_RECIPE, node->at, NULL, "%s is not a map", what));
        return false;
    }
    for (const struct node *c = node->first; c && names; c = c->next) {
        bool known = false;
        for (int i = 0; i < n_names; i++)
            known |= !strcmp(names[i], c->key);
        if (!known)
            report(r, unknown_word(c->key_at, "key", c->key, names, n_names));
    }
    return true;
}

static const char *text_of(struct published_file *r, const struct node *map, const char *key, bool required)
{
    const struct node *node = node_get(map, key);
    if (!node && required)
        report(r, error_new(ERROR_RECIPE, map->at, NULL, "'%s' is missing", key));
    if (!node)
        return NULL;
    if (node->kind == NODE_SCALAR && *node->text && strlen(node->text) <= TEXT_MOST)
        return node->text;
    report(r, error_new(ERROR_RECIPE, node->at, NULL, "%s is no text of 1 to %d bytes", key, TEXT_MOST));
    return NULL;
}

// A number within bounds, NaN where it is not written.
static double real_of(struct published_file *r, const struct node *map, const char *key, double least, double most)
{
    const struct node *node = node_get(map, key);
    const char *text = node ? text_of(r, map, key, false) : NULL;
    double value;
    if (!text)
        return NAN;
    struct error *e = number_real(text, true, node->at, key, &value);
    if (!e && !(value >= least && value <= most))
        e = error_new(ERROR_RECIPE, node->at, NULL, "%s is %s, not between %g and %g", key, text, least, most);
    if (!e)
        return value;
    report(r, e);
    return NAN;
}

static int64_t count_of(struct published_file *r, const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    const char *text = node ? text_of(r, map, key, false) : NULL;
    int64_t value;
    if (!text)
        return -1;
    struct error *e = number_int(text, true, node->at, key, &value);
    if (!e && value < 0)
        e = error_new(ERROR_RECIPE, node->at, NULL, "%s is %s, below 0", key, text);
    if (!e)
        return value;
    report(r, e);
    return -1;
}

// The payload of a key, as far as it is known: {"fields":{...},"kind":"pretrain"}.
static const char *payload_of(struct published_file *r, const struct node *fields_map, enum stage_kind_id kind)
{
    struct json j = {0};
    json_open(&j, '{');
    json_key(&j, "fields");
    json_open(&j, '{');
    bool map = fields_map && is_map(r, fields_map, "fields", NULL, 0);
    for (const struct node *c = map ? fields_map->first : NULL; c; c = c->next) {
        const struct field *f = field_find(kind, c->key);
        const char *text = text_of(r, fields_map, c->key, true);
        struct error *e = NULL;
        int64_t n;
        double x;
        if (!f) {
            report(r, error_new(ERROR_RECIPE, c->key_at, NULL, "a %s stage has no field '%.80s'", kind_name(kind), c->key));
            continue;
        }
        if (!text)
            continue;
        json_key(&j, c->key);
        if (f->type == FIELD_INT && !(e = number_int(text, true, c->at, c->key, &n)))
            json_i64(&j, n);
        else if (f->type == FIELD_REAL && !(e = number_real(text, true, c->at, c->key, &x)))
            json_f64(&j, x);
        else if (!e)
            json_str(&j, text);
        report(r, e);
    }
    json_close(&j, '}');
    json_key(&j, "kind"), json_str(&j, kind_name(kind));
    json_close(&j, '}');
    const char *text = json_text(&j) ? arena_strdup(r->arena, j.text) : NULL;
    json_release(&j);
    return have(r, (void *)text);
}

static void read_tasks(struct published_file *r, const struct node *map, struct run_published *to)
{
    static const char *const keys[] = {"accuracy", "n", "baseline"};
    if (!is_map(r, map, "tasks", NULL, 0))
        return;
    if (map->n > TASKS_MOST) {
        report(r, error_new(ERROR_RECIPE, map->at, NULL, "more than %d tasks", TASKS_MOST));
        return;
    }
    struct task_score *scores = have(r, arena_array(r->arena, (size_t)map->n + 1, sizeof *scores));
    for (const struct node *c = map->first; c && scores; c = c->next) {
        struct task_score *s = &scores[to->n_tasks];
        if (!name_is_good(c->key) || strlen(c->key) >= sizeof s->task)
            report(r, error_new(ERROR_RECIPE, c->key_at, NULL, "'%.80s' is not the name of a task", c->key));
        if (!is_map(r, c, c->key, keys, countof(keys)))
            continue;
        snprintf(s->task, sizeof s->task, "%s", c->key);
        double baseline = real_of(r, c, "baseline", 0, 0.999);
        s->accuracy = real_of(r, c, "accuracy", 0, 1);
        s->baseline = isnan(baseline) ? 0 : baseline;
        s->centered = (s->accuracy - s->baseline) / (1 - s->baseline);
        s->n = s->n_all = count_of(r, c, "n");
        s->right = (int64_t)(isnan(s->accuracy) || s->n < 0 ? 0 : round(s->accuracy * (double)s->n));
        if (isnan(s->accuracy) || s->n < 1)
            report(r, error_new(ERROR_RECIPE, c->at, "write {accuracy: 0.5, n: 1000}", "'%s' lacks accuracy or n", c->key));
        to->n_tasks++;
    }
    to->tasks = scores;
}

static void read_stage(struct published_file *r, const struct node *map, struct run_stage *stage)
{
    static const char *const keys[] = {"kind",   "params", "tokens", "flops", "seconds",        "usd",
                                       "fields", "bpb",    "over",   "core",  "core_deviation", "tasks"};
    struct run_published *p = have(r, arena_alloc(r->arena, sizeof *p));
    if (!p || !is_map(r, map, map->key, keys, countof(keys)))
        return;
    if (!name_is_good(map->key))
        report(r, error_new(ERROR_RECIPE, map->key_at, NULL, "'%.80s' is not the name of a stage", map->key));
    const char *word = text_of(r, map, "kind", true);
    enum stage_kind_id kind = word ? kind_find(word) : KIND_COUNT;
    if (word && !kind_trains(kind))
        report(r, error_new(ERROR_RECIPE, map->at, "write pretrain, finetune or grpo", "kind is '%.80s'", word));
    *p = (struct run_published){.bpb = real_of(r, map, "bpb", 0, 100),
                                .core = real_of(r, map, "core", -1, 1),
                                .core_deviation = real_of(r, map, "core_deviation", 0, 1),
                                .over = text_of(r, map, "over", node_get(map, "bpb") != NULL)};
    *stage = (struct run_stage){.name = map->key,
                                .kind = kind == KIND_COUNT ? "" : kind_name(kind),
                                .key = "",
                                .state = "published",
                                .seconds = real_of(r, map, "seconds", 0, 1e12),
                                .usd = real_of(r, map, "usd", 0, 1e12),
                                .params = count_of(r, map, "params"),
                                .tokens = count_of(r, map, "tokens"),
                                .flops = real_of(r, map, "flops", 0, 1e40),
                                .published = p};
    if (kind != KIND_COUNT)
        stage->payload = payload_of(r, node_get(map, "fields"), kind);
    if (node_get(map, "tasks"))
        read_tasks(r, node_get(map, "tasks"), p);
}

static void read_version(struct published_file *r, const struct node *root)
{
    const char *version = text_of(r, root, "reference", true);
    if (version && strcmp(version, "1"))
        report(r, error_new(ERROR_NOT_BUILT, node_get(root, "reference")->at, "write reference: 1",
                            "version %.20s of published runs is not built in this version", version));
}

static void read_root(struct published_file *r, const struct node *root, struct run *run)
{
    static const char *const keys[] = {"reference", "name", "date", "source", "note", "machine", "seconds", "usd", "stages"};
    if (!is_map(r, root, "a published run", keys, countof(keys)))
        return;
    const struct node *stages = node_get(root, "stages");
    const char *slash = strrchr(run->path, '/'), *file = slash ? slash + 1 : run->path;
    read_version(r, root);
    run->name = text_of(r, root, "name", true);
    if (run->name && (strncmp(file, run->name, strlen(run->name)) || strcmp(file + strlen(run->name), ".yaml")))
        report(r, error_new(ERROR_RECIPE, node_get(root, "name")->at, "name it as its file", "name is '%.80s'", run->name));
    run->started = text_of(r, root, "date", true);
    run->source = text_of(r, root, "source", true);
    run->note = text_of(r, root, "note", false);
    run->machine = text_of(r, root, "machine", false);
    run->seconds = real_of(r, root, "seconds", 0, 1e12);
    run->usd = real_of(r, root, "usd", 0, 1e12);
    if (!stages || !is_map(r, stages, "stages", NULL, 0) || stages->n == 0 || stages->n > STAGES_MOST) {
        report(r, error_new(ERROR_RECIPE, (stages ? stages : root)->at, NULL, "stages is no map of 1 to %d", STAGES_MOST));
        return;
    }
    run->stages = have(r, arena_array(r->arena, (size_t)stages->n + 1, sizeof *run->stages));
    for (const struct node *c = stages->first; c && run->stages; c = c->next)
        read_stage(r, c, &run->stages[run->n_stages++]);
}

struct error *reference_read(struct run *run, const char *path, struct arena *arena)
{
    struct node *root;
    struct published_file r = {.arena = arena};
    *run = (struct run){.path = path,
                        .state = "published",
                        .ended = "",
                        .recipe_path = "",
                        .settings = "[]",
                        .host = "",
                        .build = "",
                        .seconds = NAN,
                        .usd = NAN};
    struct error *e = yaml_read(path, arena, &root);
    if (e)
        return e;
    read_root(&r, root, run);
    if (!run->machine)
        run->machine = "";
    return error_while(r.errors, NOWHERE, "reading the published run '%s'", path);
}

bool reference_is(const char *path)
{
    struct arena scratch = {0};
    struct node *root = NULL;
    error_free(yaml_read(path, &scratch, &root));
    bool is = root && root->kind == NODE_MAP && node_get(root, "reference");
    arena_release(&scratch);
    return is;
}

// results/reference of the results folder, and that beside the shipped recipes.
static struct error *folders(const char *results, struct arena *arena, const char *folder[2])
{
    const char *task = task_file_shipped("town_quiz", arena), *recipes = task ? strstr(task, "/recipes/tasks/") : NULL;
    folder[0] = arena_printf(arena, "%s/reference", results);
    folder[1] = recipes ? arena_printf(arena, "%.*s/results/reference", (int)(recipes - task), task) : folder[0];
    return folder[0] && folder[1] ? NULL : error_memory();
}

struct error *reference_find(const char *results, const char *name, struct arena *arena, const char **path)
{
    const char *folder[2];
    struct error *e = folders(results, arena, folder);
    *path = NULL;
    for (int i = 0; i < 2 && !e && !*path && *name && *name != '.' && !strchr(name, '/'); i++) {
        const char *found = arena_printf(arena, "%s/%s.yaml", folder[i], name);
        e = found ? NULL : error_memory();
        *path = found && file_exists(found) ? found : NULL;
    }
    return e;
}

static int alphabetical(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct error *reference_names(const char *results, struct arena *arena, const char ***names, int *n_names)
{
    const char *folder[2];
    struct error *e = folders(results, arena, folder);
    *n_names = 0;
    *names = arena_array(arena, NAMES_MOST, sizeof **names);
    if (e || !*names)
        return e ? e : error_memory();
    for (int i = 0; i < 2; i++) {
        DIR *dir = opendir(folder[i]);
        for (const struct dirent *each; dir && !e && (each = readdir(dir)) && *n_names < NAMES_MOST;) {
            size_t n = strlen(each->d_name);
            bool seen = n <= 5 || each->d_name[0] == '.' || strcmp(each->d_name + n - 5, ".yaml");
            for (int k = 0; k < *n_names && !seen; k++)
                seen = strlen((*names)[k]) == n - 5 && !strncmp((*names)[k], each->d_name, n - 5);
            if (seen)
                continue;
            const char *name = arena_strndup(arena, each->d_name, n - 5);
            if (name)
                (*names)[(*n_names)++] = name;
            else
                e = error_memory();
        }
        if (dir)
            closedir(dir);
    }
    if (*n_names)
        qsort(*names, (size_t)*n_names, sizeof **names, alphabetical);
    return e;
}
