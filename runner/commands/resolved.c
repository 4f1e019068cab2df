// resolved.c - `plan --resolved`: every value of a recipe, a line each, with who set it and where.
//
// Values outside stages stand as they were written, those of stages as their fields read them. A task's line says which file it is.
#include <stdio.h>
#include <string.h>

#include "runner/commands/load.h"
#include "runner/view/grid.h"

enum { RESOLVED_WIDTH = 80 };

struct line {
    const char *name, *value, *by; // by: NULL for what nobody set: a task's file, the environment
    struct place at;               // file NULL: nowhere
};

struct lines {
    const struct recipe *recipe;
    struct arena *arena;
    struct line *all;
    size_t n, capacity;
    bool failed;
};

static void add(struct lines *l, struct line line)
{
    if (l->n == l->capacity) {
        size_t more = l->capacity ? 2 * l->capacity : 64;
        l->all = arena_grow(l->arena, l->all, l->n, more, sizeof *l->all);
        l->capacity = more;
    }
    l->failed = l->failed || !line.name || !line.value || !l->all;
    if (!l->failed)
        l->all[l->n++] = line;
}

static void add_value(struct lines *l, const char *name, const char *value, enum value_by by, struct place at)
{
    bool placed = by != BY_DEFAULT && at.file && at.line > 0;
    add(l, (struct line){name, value, value_by_name(by), placed ? at : NOWHERE});
}

// What a recipe without the word means by it.
static void add_default(struct lines *l, const char *name, const char *value)
{
    for (int i = 0; i < l->recipe->n_values; i++)
        if (strcmp(l->recipe->values[i].name, name) == 0)
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

static struct error *collect(struct lines *l, const struct recipe *recipe, struct arena *arena)
{
    *l = (struct lines){.recipe = recipe, .arena = arena};
    add_default(l, "name", recipe->name);
    add_default(l, "nanochat", "2025");
    add_default(l, "seed", arena_printf(arena, "%lld", (long long)recipe->seed));
    for (int i = 0; i < recipe->n_values; i++) {
        const struct recipe_value *v = &recipe->values[i];
        add_value(l, v->name, v->text, v->by, v->at);
    }
    for (int i = 0; i < recipe->n_env; i++)
        add(l, (struct line){arena_printf(arena, "env %s", recipe->env[i].name), recipe->env[i].value, NULL, NOWHERE});
    for (int i = 0; i < recipe->n_stages; i++)
        add_stage(l, &recipe->stages[i]);
    for (int i = 0; i < recipe->n_tasks; i++)
        add(l, (struct line){arena_printf(arena, "task %s", recipe->tasks[i]->shown), recipe->tasks[i]->path, NULL, NOWHERE});
    return l->failed ? error_memory() : NULL;
}

// "recipe recipes/tiny.yaml:16"
static const char *who(const struct line *line, struct arena *arena)
{
    const char *by = line->by ? line->by : "";
    return line->at.file ? arena_printf(arena, "%s %s:%d", by, line->at.file, line->at.line) : by;
}

// The same where the width is dear: "recipe :16" is a line of the recipe itself, of other files the name is enough.
static const char *who_short(const struct line *line, const struct recipe *recipe, struct arena *arena)
{
    const char *slash = line->at.file ? strrchr(line->at.file, '/') : NULL;
    if (!line->at.file)
        return line->by ? line->by : "";
    if (!strcmp(line->at.file, recipe->path))
        return arena_printf(arena, "%s :%d", line->by, line->at.line);
    return arena_printf(arena, "%s %s:%d", line->by, slash ? slash + 1 : line->at.file, line->at.line);
}

struct error *resolved_text(const struct recipe *recipe, struct arena *arena, const char **text)
{
    struct lines l;
    size_t n_bytes = 1;
    struct error *e = collect(&l, recipe, arena);
    const char **texts = e ? NULL : arena_array(arena, l.n + 1, sizeof *texts);
    if (!texts)
        return e ? e : error_memory();
    for (size_t i = 0; i < l.n; i++) {
        const char *by = who(&l.all[i], arena);
        texts[i] = by ? arena_printf(arena, "%-32s %-20s %s\n", l.all[i].name, l.all[i].value, by) : NULL;
        if (!texts[i])
            return error_memory();
        n_bytes += strlen(texts[i]);
    }
    char *all = arena_alloc(arena, n_bytes), *end = all;
    for (size_t i = 0; i < l.n && all; i++)
        end = stpcpy(end, texts[i]);
    *text = all;
    return all ? NULL : error_memory();
}

struct error *resolved_print(const struct recipe *recipe, struct arena *arena)
{
    static const struct column columns[] = {{"what", false, false}, {"value", false, true}, {"set by", false, false}};
    struct lines l;
    struct grid grid;
    struct error *e = collect(&l, recipe, arena);
    if (e)
        return e;
    grid_init(&grid, columns, countof(columns), arena);
    for (size_t i = 0; i < l.n; i++) {
        if (!l.all[i].by)
            continue;
        const char *const cells[] = {l.all[i].name, l.all[i].value, who_short(&l.all[i], recipe, arena)};
        if (!cells[2])
            return error_memory();
        grid_add(&grid, cells);
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, RESOLVED_WIDTH);
    for (size_t i = 0, n = 0; i < l.n; i++) // whole, to be copied
        if (!l.all[i].by)
            printf("%s%-24s %s\n", n++ ? "" : "\n", l.all[i].name, l.all[i].value);
    return NULL;
}

struct error *resolved_json(const struct recipe *recipe, struct json *j, struct arena *arena)
{
    struct lines l;
    struct error *e = collect(&l, recipe, arena);
    json_key(j, "values");
    json_open(j, '[');
    for (size_t i = 0; i < l.n && !e; i++) {
        json_open(j, '{');
        json_key(j, "name"), json_str(j, l.all[i].name);
        json_key(j, "value"), json_str(j, l.all[i].value);
        json_key(j, "by"), json_str(j, l.all[i].by);
        json_key(j, "file"), json_str(j, l.all[i].at.file);
        json_key(j, "line"), json_count(j, l.all[i].at.file ? l.all[i].at.line : -1);
        json_close(j, '}');
    }
    json_close(j, ']');
    return e;
}
