// recipe.c - from the text of a recipe to the recipe: the order of things, the top-level words, and the report.
#include "runner/recipe/recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/remote/remote.h"
#include "runner/recipe/number.h"
#include "runner/recipe/reader.h"

static struct place beginning(const struct reader *r)
{
    return (struct place){.file = r->recipe->path, .line = 1, .column = 1, .width = 1};
}

static void read_int(struct reader *r, const struct node *node, double min, double max, int64_t *value)
{
    const char *text = scalar_text(r, node, node->key);
    int64_t n;
    struct error *e = text ? number_int(text, false, node->at, node->key, &n) : NULL;
    if (text && !e && (n < min || n > max))
        e = error_new(ERROR_RECIPE, node->at, "write a number in range", "%s is %s, not between %.0f and %.0f", node->key, text,
                      min, max);
    if (text && !e)
        *value = n;
    reader_error(r, e);
}

static void read_money(struct reader *r, const struct node *node, double *value)
{
    const char *text = scalar_text(r, node, node->key);
    double x;
    struct error *e = text ? number_real(text, true, node->at, node->key, &x) : NULL;
    if (text && !e && x < 0)
        e = error_new(ERROR_RECIPE, node->at, "write dollars, 0 or more", "%s is %s", node->key, text);
    if (text && !e)
        *value = x;
    reader_error(r, e);
}

static void read_version(struct reader *r)
{
    const struct node *node = node_get(r->root, "retort");
    int64_t version = 1;
    if (!node) {
        reader_error(r, error_new(ERROR_RECIPE, beginning(r), "begin the file with retort: 1",
                                  "the recipe does not say which version of the language it is in"));
        return;
    }
    read_int(r, node, 1, 1e6, &version);
    if (version > 1)
        reader_error(r, error_new(ERROR_NOT_BUILT, node->at, "take a newer retort, or write retort: 1",
                                  "version %lld of the language is not built in this version", (long long)version));
}

static void read_name(struct reader *r)
{
    const struct node *node = node_get(r->root, "name");
    const char *slash = strrchr(r->recipe->path, '/'), *base = slash ? slash + 1 : r->recipe->path;
    const char *text = node ? scalar_text(r, node, "name") : NULL;
    if (!node) {
        size_t n = strlen(base);
        n -= n > 5 && strcmp(base + n - 5, ".yaml") == 0 ? 5 : 0;
        text = reader_have(r, arena_strndup(r->arena, base, n));
    }
    if (!text)
        return;
    r->recipe->name = text;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (*text == '.' || *text == '-' || text[strspn(text, letters)] || strlen(text) > 100 || !*text)
        reader_error(r, error_new(ERROR_RECIPE, node ? node->at : beginning(r),
                                  "name: takes up to 100 letters, digits, '-', '_' and '.': runs are kept under it",
                                  "'%.80s' cannot be the name of a recipe", text));
}

static void read_nanochat(struct reader *r)
{
    const struct node *node = node_get(r->root, "nanochat");
    r->recipe->nanochat = 2025;
    const char *text = node ? scalar_text(r, node, "nanochat") : NULL;
    if (!text || strcmp(text, "2025") == 0)
        return;
    if (strcmp(text, "2026") == 0)
        r->recipe->nanochat = 2026;
    else
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write 2025 or 2026", "nanochat is '%.80s'", text));
}

static const struct node *map_of(struct reader *r, const char *key, const char *const *keys, int n_keys, const char *fix)
{
    const struct node *node = node_get(r->root, key);
    if (node && node->kind != NODE_MAP) {
        reader_error(r, error_new(ERROR_RECIPE, node->at, fix, "%s takes a map", key));
        return NULL;
    }
    if (node)
        check_keys(r, node, keys, n_keys);
    return node;
}

static void read_budget_and_hardware(struct reader *r)
{
    static const char *const budget_keys[] = {"usd"}, *const hardware_keys[] = {"device", "count", "usd_per_hour"};
    struct recipe *recipe = r->recipe;
    const struct node *budget = map_of(r, "budget", budget_keys, 1, "write budget: {usd: 100}");
    const struct node *hardware =
        map_of(r, "hardware", hardware_keys, 3, "write hardware: {device: H100-80GB, count: 8, usd_per_hour: 24}");
    const struct node *node;
    recipe->budget_usd = recipe->usd_per_hour = NAN;
    recipe->device_count = 1;
    if ((node = node_get(budget, "usd")))
        read_money(r, node, &recipe->budget_usd);
    if ((node = node_get(hardware, "device"))) {
        recipe->device = scalar_text(r, node, "device");
        recipe->device_at = node->at;
    }
    if ((node = node_get(hardware, "count")))
        read_int(r, node, 1, 1e6, &recipe->device_count);
    if ((node = node_get(hardware, "usd_per_hour")))
        read_money(r, node, &recipe->usd_per_hour);
}

static void read_mirror(struct reader *r)
{
    const struct node *node = node_get(r->root, "mirror");
    const char *text = node && !is_unresolved(node) ? scalar_text(r, node, "mirror") : NULL;
    if (!text)
        return;
    if (remote_is_address(text))
        reader_error(r, remote_check(text, node->at));
    else
        text = node_file(r, node, text);
    r->recipe->mirror = text;
}

static const char *read_command(struct reader *r, const char *word)
{
    const struct node *node = node_get(r->root, word);
    return node && !is_unresolved(node) ? scalar_text(r, node, word) : NULL;
}

// The values under a node, noted under its name.
static void note_values(struct reader *r, const struct node *node, const char *name, struct recipe_value *values)
{
    if (node->kind == NODE_SCALAR)
        values[r->recipe->n_values++] =
            (struct recipe_value){.name = name, .text = node->text, .by = node_by(node), .at = node->at};
    int i = 0;
    for (const struct node *c = node->first; c && !r->no_memory; c = c->next, i++) {
        const char *of = node->kind == NODE_LIST ? arena_printf(r->arena, "%s[%d]", name, i)
                         : node == r->root       ? c->key
                                                 : arena_printf(r->arena, "%s.%s", name, c->key);
        if (reader_have(r, (void *)of) && !(node == r->root && strcmp(c->key, "stages") == 0))
            note_values(r, c, of, values);
    }
}

static int count_values(const struct node *node)
{
    int n = 1;
    for (const struct node *c = node->first; c; c = c->next)
        n += count_values(c);
    return n;
}

static void read_recipe(struct reader *r, const char *const *settings, int n_settings)
{
    struct recipe *recipe = r->recipe;
    const struct node *node;
    includes_apply(r);
    r->n_told = r->n_errors; // what is wrong with the files themselves
    settings_apply(r, settings, n_settings);
    const struct names *names = unused_find(r);
    int n_errors = r->n_errors;
    matrix_apply(r);
    values_resolve(r);
    if (r->no_memory)
        return;
    if (r->n_errors == n_errors) // else a wrong name may be why nothing uses the right one
        unused_report(r, names);
    check_keys(r, r->root, top_words, n_top_words);
    read_version(r);
    read_name(r);
    read_nanochat(r);
    read_budget_and_hardware(r);
    read_mirror(r);
    recipe->on_end = read_command(r, "on_end");
    recipe->on_fail = read_command(r, "on_fail");
    recipe->seed = 42;
    if ((r->seed = node_get(r->root, "seed")))
        read_int(r, r->seed, 0, FIELD_NO_MAX, &recipe->seed);
    if ((node = node_get(r->root, "data")) && node->kind == NODE_SCALAR && *node->text)
        recipe->data = node->text;
    if ((node = node_get(r->root, "sources")))
        sources_read(r, node);
    if ((node = node_get(r->root, "stages")))
        stages_read(r, node);
    else
        reader_error(r, error_new(ERROR_RECIPE, beginning(r), "add stages:", "the recipe has no stages"));
    if (!r->no_memory)
        others_join(r);
    if (!r->no_memory)
        references_check(r);
    if (!r->no_memory)
        flow_check(r);
    struct recipe_value *values =
        r->n_errors ? NULL : reader_have(r, arena_array(r->arena, (size_t)count_values(r->root), sizeof *values));
    recipe->values = values;
    if (values)
        note_values(r, r->root, "", values);
}

// In order of place: those of the recipe file by line and column, then the others as they came.
static bool is_after(const struct reader *r, const struct error *a, const struct error *b)
{
    bool a_here = a->at.line && strcmp(a->at.file, r->recipe->path) == 0,
         b_here = b->at.line && strcmp(b->at.file, r->recipe->path) == 0;
    if (a_here != b_here)
        return b_here;
    if (!a_here || a->at.line == b->at.line)
        return a_here && a->at.column > b->at.column;
    return a->at.line > b->at.line;
}

static struct error *finish(struct reader *r)
{
    if (r->no_memory) {
        error_free(r->errors);
        return error_memory();
    }
    struct error *sorted = NULL;
    while (r->errors) {
        struct error *e = r->errors, **at = &sorted;
        r->errors = e->next;
        e->next = NULL;
        e = include_context(r, e);
        while (*at && !is_after(r, *at, e))
            at = &(*at)->next;
        e->next = *at;
        *at = e;
    }
    if (r->n_errors > MOST_ERRORS)
        sorted = error_append(sorted, error_plain(r->dropped_recipe_error ? ERROR_RECIPE : ERROR_NOT_BUILT,
                                                  "there are more errors, which are not shown"));
    return sorted;
}

// Everything after the tree; text: of the file.
static struct error *read_tree(struct reader *r, const char *text, const char *const *settings, int n_settings)
{
    r->recipe->text = text;
    r->recipe->own_bytes = strlen(text);
    r->n_told = r->n_errors;
    if (r->root && r->root->kind != NODE_MAP)
        reader_error(r, error_new(ERROR_RECIPE, beginning(r), "begin with retort: 1", "a recipe is a map of keys and values"));
    else if (r->root)
        read_recipe(r, settings, n_settings);
    if (!r->no_memory)
        r->recipe->text = reader_have(r, include_texts(r));
    return finish(r);
}

struct error *recipe_parse(struct recipe *recipe, const char *path, const char *text, size_t n_bytes, const char *const *settings,
                           int n_settings, struct arena *arena)
{
    *recipe = (struct recipe){.arena = arena, .path = arena_strdup(arena, path)};
    const char *copy = arena_strndup(arena, text, n_bytes);
    if (!recipe->path || !copy)
        return error_memory();
    struct reading reading = {.n_files = 1, .n_bytes = n_bytes};
    struct reader r = {.recipe = recipe, .arena = arena, .reading = &reading};
    r.errors_end = &r.errors;
    for (int i = 0; i < n_settings; i++)
        if (strncmp(settings[i], "data=", 5) == 0)
            reading.data = settings[i];
    if (!other_enter(&r, recipe->path))
        return error_memory();
    reader_error(&r, yaml_parse(recipe->path, text, n_bytes, arena, &r.root));
    return read_tree(&r, copy, settings, n_settings);
}

struct error *recipe_read_other(struct other *other, const struct node *node, const char *const *settings, int n_settings,
                                struct arena *arena, struct reading *reading)
{
    struct recipe *recipe = &other->recipe;
    *recipe = (struct recipe){.arena = arena, .path = other->path};
    struct reader r = {.recipe = recipe, .arena = arena, .reading = reading};
    const char *text = "";
    r.errors_end = &r.errors;
    r.root = reader_file(&r, node, recipe->path, &text);
    struct error *e = read_tree(&r, text, settings, n_settings);
    reading->n_deep--;
    return e;
}

struct error *recipe_read(struct recipe *recipe, const char *path, const char *const *settings, int n_settings,
                          struct arena *arena)
{
    char *text;
    size_t n_bytes;
    *recipe = (struct recipe){.arena = arena};
    struct error *e = yaml_load(path, arena, &text, &n_bytes);
    return e ? e : recipe_parse(recipe, path, text, n_bytes, settings, n_settings, arena);
}

const char *value_by_name(enum value_by by)
{
    static const char *const names[BY_COUNT] = {
        [BY_DEFAULT] = "default", [BY_PRESET] = "preset", [BY_INCLUDE] = "include", [BY_RECIPE] = "recipe",
        [BY_LET] = "let",         [BY_MATRIX] = "matrix", [BY_SETTING] = "-s"};
    return names[by];
}

const struct source *recipe_source(const struct recipe *recipe, const char *name)
{
    for (int i = 0; i < recipe->n_sources; i++)
        if (strcmp(recipe->sources[i].name, name) == 0)
            return &recipe->sources[i];
    return NULL;
}

const struct recipe_stage *recipe_stage(const struct recipe *recipe, const char *name)
{
    for (int i = 0; i < recipe->n_stages; i++)
        if (strcmp(recipe->stages[i].name, name) == 0)
            return &recipe->stages[i];
    return NULL;
}

const struct setting *stage_setting(const struct recipe_stage *stage, const char *field)
{
    return setting_of(stage, field);
}
