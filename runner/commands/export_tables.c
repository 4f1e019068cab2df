// export_tables.c - the numbers of a run or of one result, a file a table, with the stage in the first column of each row.
//
// csv is that of RFC 4180, reals as %.17g, which reads back to the same number, and nothing for those that are not known; jsonl is an
// object a row, null for these.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/store/atomic.h"
#include "runner/commands/export.h"
#include "runner/commands/tensorboard.h"

enum output { OUTPUT_CSV, OUTPUT_JSONL, OUTPUT_TENSORBOARD };

struct writing {
    struct export *x;
    enum output output;
    struct json row;
    size_t begun; // bytes of tensorboard's file without a number
};

// --- values ----------------------------------------------------------------------------------------------------------------------

// A text in quotes where it must be.
static struct error *csv_text(struct bytes *out, const char *text)
{
    bool quotes = strpbrk(text, ",\"\r\n") || *text == ' ';
    struct error *e = quotes ? bytes_append(out, "\"", 1) : NULL;
    for (const char *c = text; *c && !e; c++) {
        e = bytes_append(out, c, 1);
        if (!e && *c == '"')
            e = bytes_append(out, c, 1);
    }
    return e || !quotes ? e : bytes_append(out, "\"", 1);
}

static struct error *csv_value(struct bytes *out, const struct store_member *m, const char *at)
{
    char text[40] = "";
    if (m->type == STORE_TEXT)
        return csv_text(out, at);
    if (m->type == STORE_I64)
        snprintf(text, sizeof text, "%lld", (long long)*(const int64_t *)(const void *)at);
    else if (isfinite(*(const double *)(const void *)at))
        snprintf(text, sizeof text, "%.17g", *(const double *)(const void *)at);
    return bytes_append(out, text, strlen(text));
}

static void json_value(struct json *j, const struct store_member *m, const char *at)
{
    json_key(j, m->name);
    if (m->type == STORE_TEXT)
        json_str(j, at);
    else if (m->type == STORE_I64)
        json_i64(j, *(const int64_t *)(const void *)at);
    else
        json_f64(j, *(const double *)(const void *)at);
}

// --- tables ----------------------------------------------------------------------------------------------------------------------

static struct error *csv_head(struct bytes *out, const struct table *t)
{
    struct error *e = bytes_append(out, "stage", 5);
    for (int m = 0; m < t->n_members && !e; m++)
        if (!(e = bytes_append(out, ",", 1)))
            e = bytes_append(out, t->members[m].name, strlen(t->members[m].name));
    return e ? e : bytes_append(out, "\r\n", 2);
}

static struct error *csv_row(struct bytes *out, const char *stage, const struct table *t, const char *row)
{
    struct error *e = csv_text(out, stage);
    for (int m = 0; m < t->n_members && !e; m++)
        if (!(e = bytes_append(out, ",", 1)))
            e = csv_value(out, &t->members[m], row + t->members[m].offset);
    return e ? e : bytes_append(out, "\r\n", 2);
}

static struct error *jsonl_row(struct bytes *out, struct json *j, const char *stage, const struct table *t, const char *row)
{
    j->n = 0;
    j->comma = false;
    json_open(j, '{');
    json_key(j, "stage"), json_str(j, stage);
    for (int m = 0; m < t->n_members; m++)
        json_value(j, &t->members[m], row + t->members[m].offset);
    json_close(j, '}');
    struct error *e = json_text(j) ? bytes_append(out, j->text, j->n) : error_memory();
    return e ? e : bytes_append(out, "\n", 1);
}

static struct error *add_rows(struct writing *w, struct bytes *out, const char *stage, const struct table *t)
{
    struct error *e = t->n && !out->n && w->output == OUTPUT_CSV ? csv_head(out, t) : NULL;
    for (int64_t i = 0; i < t->n && !e; i++) {
        const char *row = (const char *)t->rows + (size_t)i * t->row_bytes;
        e = w->output == OUTPUT_CSV ? csv_row(out, stage, t, row) : jsonl_row(out, &w->row, stage, t, row);
    }
    return e;
}

// Table i goes into buffer i; of tensorboard all numbers into the first.
static struct error *add_stage(struct writing *w, const char *stage, const struct run_tables *tables)
{
    struct error *e = NULL;
    const char *name;
    if (w->output == OUTPUT_TENSORBOARD)
        return tensorboard_stage(&w->x->bytes[0], stage, tables);
    for (int i = 0; i < RUN_TABLES && !e; i++)
        e = add_rows(w, &w->x->bytes[i], stage, run_table(tables, i, &name));
    return e;
}

static struct error *add_files(struct writing *w, const char *what)
{
    struct export *x = w->x;
    struct arena *arena = x->call->arena;
    struct run_tables none;
    const char *table;
    if (w->output == OUTPUT_TENSORBOARD && x->bytes[0].n > w->begun)
        export_add(x, "events.out.tfevents.0.retort", x->bytes[0].byte, x->bytes[0].n);
    for (int i = 0; i < RUN_TABLES && w->output != OUTPUT_TENSORBOARD; i++) {
        if (!x->bytes[i].n)
            continue;
        run_table(&none, i, &table);
        char *name = arena_printf(arena, "%s.%s", table, w->output == OUTPUT_CSV ? "csv" : "jsonl");
        if (!name)
            return error_memory();
        for (char *c = name; *c; c++)
            *c = *c == '/' ? '_' : *c;
        export_add(x, name, x->bytes[i].byte, x->bytes[i].n);
    }
    if (!x->n_files)
        return error_new(ERROR_USAGE, NOWHERE, "name a run, or a stage that trains or measures", "'%s' has no metrics", what);
    return NULL;
}

// --- whose ------------------------------------------------------------------------------------------------------------------------

static struct error *of_file(struct writing *w, const char *path, const char *stage)
{
    struct run_tables tables;
    struct error *e = run_tables_load(&tables, path, "");
    if (!e)
        e = add_stage(w, stage, &tables);
    run_tables_release(&tables);
    return error_while(e, NOWHERE, "reading the metrics of '%s'", path);
}

static struct error *of_run(struct writing *w, const char *what, const char *stage)
{
    struct run run = {0};
    bool found = !stage;
    struct error *e = load_run(&run, w->x->call, what);
    for (int i = 0; i < run.n_stages && !e; i++) {
        struct run_tables tables;
        if (stage && strcmp(stage, run.stages[i].name))
            continue;
        found = true;
        e = run_stage_tables(&tables, &run, &run.stages[i]);
        if (!e)
            e = add_stage(w, run.stages[i].name, &tables);
        run_tables_release(&tables);
    }
    if (!e && !found)
        e = error_new(ERROR_USAGE, NOWHERE, "`retort report` shows its stages", "run %04d of '%s' has no stage '%s'", run.number,
                      run.name, stage);
    return e;
}

static struct error *of_recipe(struct writing *w, const char *recipe, const char *name)
{
    struct loaded l;
    struct plan_stage *stage;
    struct error *e = load_plan(&l, w->x->call, recipe);
    if (e || (e = load_stage(&l, name, &stage)))
        return e;
    if ((stage->state != PLAN_CACHED && !stage->whole) || !stage->out)
        return error_new(ERROR_USAGE, NOWHERE, "`retort run` makes it", "stage '%s' of this recipe has not been made", name);
    return of_file(w, stage->out, name);
}

// A file of ours: the record of a run, or a result, which is called by its kind.
static struct error *of_any_file(struct writing *w, const char *path)
{
    struct store_file *file = NULL;
    const char *kind;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_get_text(file, "/", "kind", w->x->call->arena, &kind);
    store_close(file);
    if (e)
        return e;
    return strcmp(kind, "run") ? of_file(w, path, kind) : of_run(w, path, NULL);
}

struct error *export_tables(struct export *x, const char *what, const char *format)
{
    struct writing w = {.x = x, .output = !strcmp(format, "csv") ? OUTPUT_CSV : OUTPUT_JSONL};
    const char *colon = strrchr(what, ':');
    struct error *e = NULL;
    if (!strcmp(format, "tensorboard")) {
        w.output = OUTPUT_TENSORBOARD;
        e = tensorboard_begin(&x->bytes[0]);
        w.begun = x->bytes[0].n;
    }
    if (!e && file_exists(what) && load_is_h5(what)) {
        e = of_any_file(&w, what);
    } else if (!e && colon) {
        const char *left = arena_strndup(x->call->arena, what, (size_t)(colon - what));
        e = !left ? error_memory() : load_is_recipe(left) ? of_recipe(&w, left, colon + 1) : of_run(&w, left, colon + 1);
    } else if (!e) {
        e = of_run(&w, what, NULL);
    }
    json_release(&w.row);
    return e ? e : add_files(&w, what);
}
