// resolved.c - `plan --resolved`: every value of a recipe, a line each, with who set it and where.
//
// Values outside stages stand as they were written, those of stages as their fields read them. A task's line says which file it is.
#include <stdio.h>
#include <string.h>

#include "runner/commands/load.h"

struct lines {
    struct arena *arena;
    const char **texts;
    size_t n, capacity, bytes;
    bool failed;
};

static void add(struct lines *l, const char *line)
{
    if (l->n == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        l->texts = arena_grow(l->arena, l->texts, l->n, l->capacity, sizeof *l->texts);
    }
    l->failed = l->failed || !line || !l->texts;
    if (l->failed)
        return;
    l->texts[l->n++] = line;
    l->bytes += strlen(line);
}

static void add_value(struct lines *l, const char *name, const char *value, enum value_by by, struct place at)
{
    static const char *const names[BY_COUNT] = {
        [BY_NOBODY] = "",       [BY_DEFAULT] = "default", [BY_PRESET] = "preset", [BY_INCLUDE] = "include",
        [BY_RECIPE] = "recipe", [BY_LET] = "let",         [BY_MATRIX] = "matrix", [BY_SETTING] = "-s"};
    bool placed = by != BY_DEFAULT && at.file && at.line > 0;
    char line[32] = "";
    if (placed)
        snprintf(line, sizeof line, ":%d", at.line);
    add(l, name && value ? arena_printf(l->arena, "%-32s %-20s %s%s%s%s\n", name, value, names[by], placed ? " " : "",
                                        placed ? at.file : "", line)
                         : NULL);
}

// What a recipe without the word means by it.
static void add_default(struct lines *l, const struct recipe *recipe, const char *name, const char *value)
{
    for (int i = 0; i < recipe->n_values; i++)
        if (strcmp(recipe->values[i].name, name) == 0)
            return;
    add_value(l, name, value, BY_DEFAULT, NOWHERE);
}

static void add_stage(struct lines *l, const struct recipe_stage *stage)
{
    for (int i = 0; i < stage->n_settings; i++) {
        const struct setting *s = &stage->settings[i];
        if (field_is_set(stage->options, s->field))
            add_value(l, arena_printf(l->arena, "%s.%s", stage->name, s->field->name),
                      field_text(stage->options, s->field, l->arena), s->by, s->at);
    }
}

struct error *resolved_text(const struct recipe *recipe, struct arena *arena, const char **text)
{
    struct lines l = {.arena = arena, .bytes = 1};
    add_default(&l, recipe, "name", recipe->name);
    add_default(&l, recipe, "nanochat", "2025");
    add_default(&l, recipe, "seed", arena_printf(arena, "%lld", (long long)recipe->seed));
    for (int i = 0; i < recipe->n_values; i++) {
        const struct recipe_value *v = &recipe->values[i];
        add_value(&l, v->name, v->text, v->by, v->at);
    }
    for (int i = 0; i < recipe->n_env; i++)
        add(&l, arena_printf(arena, "env %-28s %s\n", recipe->env[i].name, recipe->env[i].value));
    for (int i = 0; i < recipe->n_stages; i++)
        add_stage(&l, &recipe->stages[i]);
    for (int i = 0; i < recipe->n_tasks; i++)
        add(&l, arena_printf(arena, "task %-27s %s\n", recipe->tasks[i]->shown, recipe->tasks[i]->path));
    char *all = l.failed ? NULL : arena_alloc(arena, l.bytes), *end = all;
    for (size_t i = 0; i < l.n && all; i++)
        end = stpcpy(end, l.texts[i]);
    *text = all;
    return all ? NULL : error_memory();
}
