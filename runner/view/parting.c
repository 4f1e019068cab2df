// parting.c - tables are compared member by member, so that what is shown is a number and not a row.
#include "runner/view/parting.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runner/view/card.h"

enum { TEXT_SHOWN = 40 };

// The tables in question; of those with a step the first members are it.
static const struct {
    const char *name;
    size_t offset;
    bool has_step;
} compared[] = {
    {"metrics/train", offsetof(struct run_tables, train), true},      {"metrics/val", offsetof(struct run_tables, val), true},
    {"metrics/rollouts", offsetof(struct run_tables, rewards), true}, {"metrics/pass", offsetof(struct run_tables, pass), true},
    {"samples", offsetof(struct run_tables, samples), true},          {"rollouts", offsetof(struct run_tables, rollouts), true},
    {"metrics/text", offsetof(struct run_tables, texts), false},      {"scores/bpb", offsetof(struct run_tables, scores), true},
    {"scores/tasks", offsetof(struct run_tables, tasks), false},      {"examples", offsetof(struct run_tables, examples), false}};

static const struct table *table_of(const struct run_tables *t, size_t i)
{
    return (const struct table *)(const void *)((const char *)t + compared[i].offset);
}

static size_t member_bytes(const struct store_member *m)
{
    return store_type_bytes(m->type, m->text_bytes);
}

static const char *row_at(const struct table *t, int64_t i)
{
    return (const char *)t->rows + (size_t)i * t->row_bytes;
}

static bool same_member(const struct store_member *m, const char *x, const char *y)
{
    if (m->type == STORE_TEXT)
        return !strncmp(x + m->offset, y + m->offset, m->text_bytes);
    return !memcmp(x + m->offset, y + m->offset, member_bytes(m));
}

static double number_at(const struct store_member *m, const char *row)
{
    if (m->type == STORE_F64)
        return *(const double *)(const void *)(row + m->offset);
    return m->type == STORE_I64 ? (double)*(const int64_t *)(const void *)(row + m->offset) : NAN;
}

static struct error *note(struct parting *p, size_t i_table, const struct store_member *m, int64_t i, const char *x,
                          const char *y, struct arena *arena)
{
    p->table = compared[i_table].name;
    p->member = m->name;
    p->row = i;
    p->step = compared[i_table].has_step ? *(const int64_t *)(const void *)x : -1;
    p->x = number_at(m, x);
    p->y = number_at(m, y);
    p->text[0] = p->text[1] = NULL;
    if (m->type != STORE_TEXT)
        return NULL;
    p->text[0] = arena_printf(arena, "%.*s", TEXT_SHOWN, x + m->offset);
    p->text[1] = arena_printf(arena, "%.*s", TEXT_SHOWN, y + m->offset);
    return p->text[0] && p->text[1] ? NULL : error_memory();
}

// The first row and member in which two tables differ counts if it is of an earlier step than what was found before.
static struct error *compare_table(struct parting *p, size_t i_table, const struct table *a, const struct table *b,
                                   struct arena *arena)
{
    int64_t n = a->n < b->n ? a->n : b->n;
    p->n_common += n;
    p->n_rows += a->n > b->n ? a->n : b->n;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < a->n_members; k++) {
            const char *x = row_at(a, i), *y = row_at(b, i);
            if (same_member(&a->members[k], x, y))
                continue;
            int64_t step = compared[i_table].has_step ? *(const int64_t *)(const void *)x : INT64_MAX;
            return !p->table || step < (p->step < 0 ? INT64_MAX : p->step) ? note(p, i_table, &a->members[k], i, x, y, arena)
                                                                           : NULL;
        }
    return NULL;
}

static bool known(const char *a, const char *b)
{
    return a && b && *a && *b;
}

// What a resume said of other bits, or NULL.
static const char *resume_note(const struct run_tables *t, struct arena *arena)
{
    const struct event *events = t->events.rows;
    for (int64_t i = 0; i < t->events.n; i++)
        if (strstr(events[i].text, "may differ") || !strncmp(events[i].text, "canary ", strlen("canary ")))
            return arena_printf(arena, "%s at step %lld", events[i].text, (long long)events[i].step);
    return NULL;
}

// The first stage before it that parted and that it reads.
static const struct parting *parted_input(const struct partings *all, const struct parting *p)
{
    json_t *payload = p->a->payload ? json_loads(p->a->payload, 0, NULL) : NULL;
    const struct parting *found = NULL;
    const char *role;
    json_t *value;
    json_object_foreach(json_object_get(payload, "inputs"), role, value)
    {
        for (int i = 0; i < all->n && !found; i++)
            if (all->rows[i].table && json_is_string(value) && !strcmp(all->rows[i].a->key, json_string_value(value)))
                found = &all->rows[i];
    }
    json_decref(payload);
    return found;
}

static bool has_differing_input(const struct parting *p, bool *only)
{
    json_t *a = p->a->payload ? json_loads(p->a->payload, 0, NULL) : NULL,
           *b = p->b->payload ? json_loads(p->b->payload, 0, NULL) : NULL;
    bool differs = a && b && !json_equal(json_object_get(a, "inputs"), json_object_get(b, "inputs"));
    if (a && b) {
        json_object_del(a, "inputs");
        json_object_del(b, "inputs");
    }
    *only = a && b && json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return differs;
}

static void find_cause(const struct partings *all, struct parting *p, const struct run_tables *a, const struct run_tables *b,
                       struct arena *arena)
{
    const struct run_stage *x = p->a, *y = p->b;
    const struct {
        enum parting_cause cause;
        const char *x, *y;
    } makers[] = {{PARTING_CANARY, x->canary, y->canary},
                  {PARTING_ISA, x->isa, y->isa},
                  {PARTING_BUILD, x->build, y->build},
                  {PARTING_MACHINE, x->machine, y->machine}};
    bool only_inputs = false, inputs = has_differing_input(p, &only_inputs);
    const struct parting *input = parted_input(all, p);
    if (!p->same_key && !(inputs && only_inputs)) {
        p->cause = PARTING_ASKED;
        return;
    }
    if (input || inputs) {
        p->cause = PARTING_INPUT;
        p->input = input ? input->stage : NULL;
        return;
    }
    for (size_t i = 0; i < countof(makers); i++)
        if (known(makers[i].x, makers[i].y) && strcmp(makers[i].x, makers[i].y)) {
            p->cause = makers[i].cause;
            p->why[0] = makers[i].x;
            p->why[1] = makers[i].y;
            return;
        }
    const char *of_a = resume_note(a, arena), *of_b = resume_note(b, arena);
    if (of_a || of_b) {
        p->cause = PARTING_RESUMED;
        p->why[0] = of_a;
        p->why[1] = of_b;
    }
}

static struct error *compare(struct partings *all, struct parting *p, const struct run *a, const struct run *b,
                             struct arena *arena)
{
    struct run_tables x = {0}, y = {0};
    struct error *e = run_stage_tables(&x, a, p->a);
    if (!e)
        e = run_stage_tables(&y, b, p->b);
    for (size_t i = 0; i < countof(compared) && !e; i++)
        e = compare_table(p, i, table_of(&x, i), table_of(&y, i), arena);
    p->n_steps[0] = x.train.n;
    p->n_steps[1] = y.train.n;
    if (!e && p->table)
        find_cause(all, p, &x, &y, arena);
    run_tables_release(&x);
    run_tables_release(&y);
    return e;
}

struct error *partings_collect(struct partings *p, const struct run *a, const struct run *b, struct arena *arena)
{
    *p = (struct partings){.first = -1, .rows = arena_array(arena, (size_t)a->n_stages + 1, sizeof *p->rows)};
    struct error *e = p->rows ? NULL : error_memory();
    for (int i = 0; i < a->n_stages && !e; i++) {
        const struct run_stage *other = run_stage(b, a->stages[i].name);
        struct parting *row = &p->rows[p->n];
        if (!other || strcmp(other->kind, a->stages[i].kind))
            continue;
        *row = (struct parting){.stage = a->stages[i].name,
                                .kind = a->stages[i].kind,
                                .a = &a->stages[i],
                                .b = other,
                                .same_key = a->stages[i].key[0] && !strcmp(a->stages[i].key, other->key),
                                .made = run_stage_made(&a->stages[i]) && run_stage_made(other),
                                .step = -1,
                                .x = NAN,
                                .y = NAN};
        e = compare(p, row, a, b, arena);
        if (row->table && p->first < 0)
            p->first = p->n;
        p->n++;
    }
    return e;
}

const char *parting_cause_name(enum parting_cause cause)
{
    static const char *const names[PARTING_CAUSES] = {"unknown", "asked", "input",   "canary",
                                                      "isa",     "build", "machine", "resumed"};
    return names[cause];
}
