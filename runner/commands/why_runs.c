// why_runs.c - the view of parting.h and differences.h.
#include "runner/commands/why_runs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands/load.h"
#include "runner/view/differences.h"
#include "runner/view/grid.h"
#include "runner/view/parting.h"

enum { WHY_WIDTH = 80 };

static const char *value_text(double value, struct arena *arena)
{
    return isnan(value) ? "-" : arena_printf(arena, "%.9g", value);
}

// "part at step 46: loss 3.2100432 and 3.2100436".
static const char *place_text(const struct parting *p, struct arena *arena)
{
    const char *x = p->text[0] ? arena_printf(arena, "\"%s\"", p->text[0]) : value_text(p->x, arena);
    const char *y = p->text[1] ? arena_printf(arena, "\"%s\"", p->text[1]) : value_text(p->y, arena);
    const char *where = p->step >= 0 ? arena_printf(arena, "step %lld", (long long)p->step)
                                     : arena_printf(arena, "row %lld of %s", (long long)p->row, p->table);
    return x && y && where ? arena_printf(arena, "parts at %s: %s %s and %s", where, p->member, x, y) : NULL;
}

static const char *cause_text(const struct parting *p, const struct differences *d, struct arena *arena)
{
    switch (p->cause) {
    case PARTING_ASKED:
        for (int i = 0; i < d->n_rows; i++)
            if (!strcmp(d->rows[i].stage, p->stage))
                return arena_printf(arena, "asked differently: %s %s and %s", d->rows[i].field,
                                    d->rows[i].text[0] ? d->rows[i].text[0] : "-", d->rows[i].text[1] ? d->rows[i].text[1] : "-");
        return "asked differently";
    case PARTING_INPUT:
        return p->input ? arena_printf(arena, "it reads '%s', which parts before", p->input) : "it reads other results";
    case PARTING_CANARY:
        return arena_printf(arena, "other bits from the same inputs: canary %s and %s (instruction set %s and %s)", p->why[0],
                            p->why[1], p->a->isa, p->b->isa);
    case PARTING_ISA:
        return arena_printf(arena, "instruction set %s and %s", p->why[0], p->why[1]);
    case PARTING_BUILD:
        return arena_printf(arena, "build %s, and %s", p->why[0], p->why[1]);
    case PARTING_MACHINE:
        return arena_printf(arena, "machine %s, and %s", p->why[0], p->why[1]);
    case PARTING_RESUMED:
        return arena_printf(arena, "%s", p->why[0] ? p->why[0] : p->why[1]);
    default:
        return "nothing that is recorded tells them apart: the same key, canary, instruction set and build";
    }
}

static const char *same_text(const struct parting *p, struct arena *arena)
{
    if (!p->made)
        return "not made in both";
    if (!p->n_common)
        return p->same_key ? "the same result" : "other results; no numbers of it are recorded";
    if (p->n_rows > p->n_common)
        return arena_printf(arena, "the same numbers as far as both go: %lld and %lld steps", (long long)p->n_steps[0],
                            (long long)p->n_steps[1]);
    return p->n_steps[0] ? arena_printf(arena, "the same numbers in all %lld steps%s", (long long)p->n_steps[0],
                                        p->same_key ? "" : ", though asked differently")
                         : "the same numbers";
}

static struct error *print_stage(const struct parting *p, const struct differences *d, struct arena *arena)
{
    const char *text = p->table ? place_text(p, arena) : same_text(p, arena), *cause = p->table ? cause_text(p, d, arena) : "";
    const char *first = arena_printf(arena, "%s: ", p->stage);
    text = text ? text_plain(text, arena) : NULL;
    cause = cause ? text_plain(cause, arena) : NULL;
    if (!text || !cause || !first)
        return error_memory();
    text_wrap(stdout, first, text, WHY_WIDTH);
    if (*cause)
        text_wrap(stdout, "    ", cause, WHY_WIDTH);
    return NULL;
}

static struct error *print_asked(const struct differences *d, const char *const names[2], struct arena *arena)
{
    const struct column columns[] = {
        {"stage", false, false}, {"asked", false, true}, {names[0], true, false}, {names[1], true, false}};
    enum { LONGEST = 24 };
    struct grid grid;
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < d->n_rows; i++) {
        const struct difference *row = &d->rows[i];
        const char *cells[4] = {row->stage, text_plain(row->field, arena), text_plain(row->text[0], arena),
                                text_plain(row->text[1], arena)};
        for (int c = 1; c < 4; c++) {
            if (cells[c] && c > 1 && text_width(cells[c]) > LONGEST)
                cells[c] = arena_printf(arena, "%.*s...", (int)text_prefix(cells[c], LONGEST - 3), cells[c]);
            if (!cells[c])
                return error_memory();
        }
        grid_add(&grid, cells);
    }
    if (grid.failed)
        return error_memory();
    if (!d->n_rows)
        printf("Both were asked the same.\n");
    else
        grid_print(&grid, stdout, WHY_WIDTH);
    return NULL;
}

static struct error *print(const struct run runs[2], const struct differences *d, const struct partings *p, struct arena *arena)
{
    const char *names[2];
    for (int r = 0; r < 2; r++)
        if (!(names[r] = arena_printf(arena, "%s/%04d", runs[r].name, runs[r].number)))
            return error_memory();
    struct error *e = print_asked(d, names, arena);
    putchar('\n');
    for (int i = 0; i < p->n && !e; i++)
        e = print_stage(&p->rows[i], d, arena);
    if (e)
        return e;
    const struct parting *first = p->first >= 0 ? &p->rows[p->first] : NULL;
    const char *cause = first ? cause_text(first, d, arena) : "", *text = "No number that both have differs.";
    const char *at = first && first->step >= 0 ? arena_printf(arena, " at step %lld", (long long)first->step) : "";
    if (first)
        text = at && cause ? arena_printf(arena, "They part first in '%s'%s: %s.", first->stage, at, cause) : NULL;
    text = text ? text_plain(text, arena) : NULL;
    if (!text)
        return error_memory();
    putchar('\n');
    text_wrap(stdout, "", text, WHY_WIDTH);
    return NULL;
}

static void parting_to_json(struct json *j, const struct parting *p)
{
    const struct {
        const char *name;
        const char *x, *y;
    } makers[] = {{"canary", p->a->canary, p->b->canary},
                  {"isa", p->a->isa, p->b->isa},
                  {"build", p->a->build, p->b->build},
                  {"machine", p->a->machine, p->b->machine}};
    json_open(j, '{');
    json_key(j, "stage"), json_str(j, p->stage);
    json_key(j, "kind"), json_str(j, p->kind);
    json_key(j, "same_key"), json_bool(j, p->same_key);
    json_key(j, "parts"), json_bool(j, p->table != NULL);
    json_key(j, "table"), json_str(j, p->table);
    json_key(j, "member"), json_str(j, p->member);
    json_key(j, "step"), json_count(j, p->step);
    json_key(j, "values");
    json_open(j, '[');
    for (int r = 0; r < 2 && p->table; r++) {
        if (p->text[r])
            json_str(j, p->text[r]);
        else
            json_f64(j, r ? p->y : p->x);
    }
    json_close(j, ']');
    json_key(j, "steps");
    json_open(j, '[');
    json_i64(j, p->n_steps[0]), json_i64(j, p->n_steps[1]);
    json_close(j, ']');
    json_key(j, "cause"), json_str(j, p->table ? parting_cause_name(p->cause) : NULL);
    json_key(j, "input"), json_str(j, p->input);
    for (size_t i = 0; i < countof(makers); i++) {
        json_key(j, makers[i].name);
        json_open(j, '[');
        json_str(j, makers[i].x && *makers[i].x ? makers[i].x : NULL);
        json_str(j, makers[i].y && *makers[i].y ? makers[i].y : NULL);
        json_close(j, ']');
    }
    json_key(j, "threads");
    json_open(j, '[');
    json_count(j, p->a->threads > 0 ? p->a->threads : -1), json_count(j, p->b->threads > 0 ? p->b->threads : -1);
    json_close(j, ']');
    json_close(j, '}');
}

static struct error *answer(const struct call *call, const struct run runs[2], const struct differences *d,
                            const struct partings *p)
{
    struct json j;
    answer_open(&j, call, NULL);
    json_key(&j, "runs");
    json_open(&j, '[');
    for (int r = 0; r < 2; r++) {
        json_open(&j, '{');
        json_key(&j, "name"), json_str(&j, runs[r].name);
        json_key(&j, "number"), json_i64(&j, runs[r].number);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_key(&j, "asked");
    json_open(&j, '[');
    for (int i = 0; i < d->n_rows; i++) {
        json_open(&j, '{');
        json_key(&j, "stage"), json_str(&j, d->rows[i].stage);
        json_key(&j, "field"), json_str(&j, d->rows[i].field);
        json_key(&j, "values");
        json_open(&j, '[');
        for (int r = 0; r < 2; r++)
            if (d->rows[i].json[r])
                json_raw(&j, d->rows[i].json[r]);
            else
                json_nil(&j);
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_key(&j, "first"), json_str(&j, p->first >= 0 ? p->rows[p->first].stage : NULL);
    json_key(&j, "stages");
    json_open(&j, '[');
    for (int i = 0; i < p->n; i++)
        parting_to_json(&j, &p->rows[i]);
    json_close(&j, ']');
    return answer_print(&j);
}

struct error *why_runs(struct call *call)
{
    struct run runs[2] = {{0}};
    struct differences d;
    struct partings p;
    struct error *e = NULL;
    for (int r = 0; r < 2 && !e; r++) {
        e = load_run(&runs[r], call, call->args[r]);
        if (!e && runs[r].source)
            e = error_new(ERROR_USAGE, NOWHERE, "`retort compare` lays published runs beside your own",
                          "'%s' is a published run: it has no losses to follow", call->args[r]);
    }
    if (e || (e = differences_collect(&d, runs, 2, call->arena)) || (e = partings_collect(&p, &runs[0], &runs[1], call->arena)))
        return e;
    return call->json ? answer(call, runs, &d, &p) : print(runs, &d, &p, call->arena);
}
