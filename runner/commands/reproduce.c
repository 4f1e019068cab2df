// reproduce.c - `retort reproduce RUN`: the recorded recipe again, in a results folder of its own, held against the record.
//
// 1. Nothing of the recorded run is written to: results, runs and locks of the new one stand in the other folder. Fetched data are read
//    where they are, through a link.
// 2. It is the same recipe if every stage has the key that was recorded; nothing else could be compared.
// 3. Cut off, it goes on where it was: the folder follows from the run's name and number.
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "core/base/stop.h"
#include "core/store/atomic.h"
#include "runner/commands/run.h"
#include "runner/graph/explain.h"
#include "runner/graph/keys.h"
#include "runner/graph/schedule.h"
#include "runner/view/card.h"
#include "runner/view/grid.h"
#include "runner/view/reasons.h"
#include "runner/view/verdict.h"

enum { REPRODUCE_WIDTH = 80 };

// The -s of the recorded run.
static struct error *take_settings(struct call *call, const struct run *run)
{
    json_t *list = run->settings ? json_loads(run->settings, 0, NULL) : NULL;
    size_t n = json_array_size(list);
    call->settings = arena_array(call->arena, n + 1, sizeof *call->settings);
    for (size_t i = 0; i < n && call->settings; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if ((call->settings[i] = arena_strdup(call->arena, text ? text : "")))
            call->n_settings++;
    }
    bool failed = !call->settings || call->n_settings != (int)n;
    json_decref(list);
    return failed ? error_memory() : NULL;
}

// Of the recorded text the recipe itself; what it includes, and other recipes, stand behind it and are read from their files. Records
// of earlier versions do not say how long it is: there it ends at the first mark of something that it asks for in its own text.
static size_t own_text(const struct run *run)
{
    static const struct {
        const char *mark, *asked_by[3];
    } ends[] = {{"\n# included: ", {"\ninclude:"}}, {"\n# of another recipe: ", {".yaml:", ".yml:"}}};
    const char *text = run->recipe_text;
    size_t n = strlen(text);
    if (run->recipe_bytes > 0 && (uint64_t)run->recipe_bytes <= n)
        return (size_t)run->recipe_bytes;
    for (size_t i = 0; i < countof(ends); i++) {
        const char *mark = strstr(text, ends[i].mark);
        bool asked = i == 0 && !strncmp(text, "include:", 8);
        for (int k = 0; mark && ends[i].asked_by[k]; k++) {
            const char *by = strstr(text, ends[i].asked_by[k]);
            asked = asked || (by && by < mark);
        }
        if (mark && asked && (size_t)(mark - text) + 1 < n)
            n = (size_t)(mark - text) + 1;
    }
    return n;
}

// A stage that is not what it was, and why, as far as payloads tell.
static struct error *other_key(const struct run *run, const struct run_stage *before, const struct graph_node *node,
                               struct arena *arena)
{
    struct plan_stage stage = {.node = node};
    struct explainer x = {.stage = &stage, .arena = arena};
    const char *why = "";
    if (node && node->payload && before->payload)
        explain_difference(&x, before->payload, node->payload);
    for (int i = 0; i < stage.n_reasons && i < 3 && why; i++) {
        const char *one = reason_long(&stage.reasons[i], arena);
        why = one ? arena_printf(arena, "%s%s%s", why, i ? "; " : ": ", one) : NULL;
    }
    if (x.failed || !why)
        return error_memory();
    return error_new(ERROR_DATA, NOWHERE, "give back what it read: the recipe's folder, data, worlds, tasks, included files",
                     "stage '%s' of %s/%04d cannot be made again as it was%s", before->name, run->name, run->number,
                     *why   ? why
                     : node ? ""
                            : ": the recipe has no such stage");
}

static struct error *check_keys(const struct run *run, const struct graph *graph, struct arena *arena)
{
    struct error *e = NULL;
    for (int i = 0; i < run->n_stages; i++) {
        const struct run_stage *before = &run->stages[i];
        const struct graph_node *node = graph_find(graph, before->name);
        if (!run_stage_made(before) || (node && node->key && !strcmp(node->key, before->key)))
            continue;
        if (!e) // what follows from it is no news
            e = other_key(run, before, node, arena);
    }
    return e;
}

// Fetched files are read where they are.
static struct error *link_data(const char *results, const char *into, struct arena *arena)
{
    char real[PATH_MAX];
    const char *data = arena_printf(arena, "%s/data", results), *link = arena_printf(arena, "%s/data", into);
    if (!data || !link)
        return error_memory();
    if (!realpath(data, real) || !access(link, F_OK))
        return NULL;
    return symlink(real, link) && errno != EEXIST ? error_system(ERROR_MACHINE, errno, "cannot link '%s'", link) : NULL;
}

static struct error *load_again(struct loaded *l, struct call *call, const struct run *run, const char *results, const char *into)
{
    struct error *e = take_settings(call, run);
    if (!e && (!run->recipe_text || !run->recipe_path))
        e = error_plain(ERROR_DATA, "the record has no recipe");
    if (e)
        return e;
    size_t n = own_text(run);
    if (strstr(run->recipe_path, "://") ||
        (e = recipe_parse(&l->recipe, run->recipe_path, run->recipe_text, n, call->settings, call->n_settings, call->arena)))
        return error_while(e, NOWHERE, "reading the recipe of %s/%04d as it was recorded", run->name, run->number);
    l->recipe.text = run->recipe_text;
    l->recipe.mirror = l->recipe.on_end = l->recipe.on_fail = NULL; // those are for the run itself
    if ((e = graph_build(&l->graph, &l->recipe, call->arena)) || (e = folder_make(into)) ||
        (e = link_data(results, into, call->arena)) || (e = keys_make(&l->graph, into)) ||
        (e = check_keys(run, &l->graph, call->arena)))
        return e;
    return plan_build(&l->plan, &l->graph, into, call->arena);
}

static struct error *select_made(const struct loaded *l, const struct run *run, struct call *call, bool **selected)
{
    if (!(*selected = arena_array(call->arena, (size_t)l->plan.n_stages + 1, sizeof **selected)))
        return error_memory();
    for (int i = 0; i < run->n_stages; i++) {
        const struct graph_node *node = run_stage_made(&run->stages[i]) ? graph_find(&l->graph, run->stages[i].name) : NULL;
        for (int k = 0; k < l->plan.n_stages && node; k++)
            (*selected)[k] |= graph_needs(node, l->plan.stages[k].node);
    }
    return NULL;
}

static const char *measures_text(const struct verdict_stage *s, struct arena *arena)
{
    const char *text = "";
    for (int i = 0; i < s->n_measures && text; i++) {
        const struct verdict_measure *m = &s->measures[i];
        text = arena_printf(arena, "%s%s%s %.5g, was %.5g%s", text, i ? "; " : "", m->name, m->now, m->recorded,
                            m->holds ? "" : " (!)");
    }
    return text;
}

static const char *what_text(const struct verdict_stage *s, struct arena *arena)
{
    const struct parting *p = s->parting;
    const char *at = "", *maker = "";
    if (s->verdict == VERDICT_NOT_MADE)
        return arena_printf(arena, "%s", p->b->state);
    if (s->verdict == VERDICT_SAME_BITS || s->verdict == VERDICT_SAME_NUMBERS)
        return s->what ? s->what : arena_printf(arena, "%lld rows of numbers", (long long)p->n_rows);
    if (p->table && p->step >= 0)
        at = arena_printf(arena, "from step %lld on (%s). ", (long long)p->step, p->member);
    else if (p->table)
        at = arena_printf(arena, "from row %lld of %s on (%s). ", (long long)p->row, p->table, p->member);
    else if (s->what)
        at = arena_printf(arena, "%s. ", s->what);
    if (!s->same_maker)
        maker = arena_printf(arena, "Computed elsewhere: canary %s, was %s; %s, was %s. ", *p->b->canary ? p->b->canary : "-",
                             *p->a->canary ? p->a->canary : "-", *p->b->isa ? p->b->isa : "-", *p->a->isa ? p->a->isa : "-");
    else if (p->cause == PARTING_INPUT)
        maker = "It reads what differs before. ";
    else if (s->verdict == VERDICT_DIFFERS)
        maker = "Nothing that is recorded explains it. ";
    const char *measures = measures_text(s, arena);
    return at && maker && measures ? arena_printf(arena, "%s%s%s", at, maker, measures) : NULL;
}

static struct error *print(const struct verdicts *v, const struct run *run, const char *into, struct arena *arena)
{
    static const struct column columns[] = {{"stage", false, false}, {"verdict", false, false}, {"what", false, true}};
    static const char *const verdicts[VERDICTS] = {"reproduced, bit for bit", "reproduced: all numbers are the same",
                                                   "reproduced within tolerance", "not reproduced",
                                                   "not reproduced: not all of it could be made"};
    struct grid grid;
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < v->n; i++) {
        const char *what = what_text(&v->stages[i], arena);
        what = what ? text_plain(what, arena) : NULL;
        if (!what)
            return error_memory();
        grid_add(&grid, (const char *const[]){v->stages[i].parting->stage, verdict_name(v->stages[i].verdict), what});
    }
    if (grid.failed)
        return error_memory();
    putchar('\n');
    grid_print(&grid, stdout, REPRODUCE_WIDTH);
    printf("\n%s/%04d: %s\n", run->name, run->number, verdicts[v->all]);
    const char *where = arena_printf(arena, "%s; remove that folder when you have seen enough", into);
    if (where)
        text_wrap(stdout, "made in ", where, REPRODUCE_WIDTH);
    return NULL;
}

static void stage_json(struct json *j, const struct verdict_stage *s)
{
    const struct parting *p = s->parting;
    json_open(j, '{');
    json_key(j, "name"), json_str(j, p->stage);
    json_key(j, "kind"), json_str(j, p->kind);
    json_key(j, "key"), json_str(j, p->a->key);
    json_key(j, "verdict"), json_str(j, verdict_name(s->verdict));
    json_key(j, "files"), json_str(j, s->what);
    json_key(j, "same_maker"), json_bool(j, s->same_maker);
    json_key(j, "table"), json_str(j, p->table);
    json_key(j, "member"), json_str(j, p->member);
    json_key(j, "step"), json_count(j, p->step);
    json_key(j, "cause"), json_str(j, p->table ? parting_cause_name(p->cause) : NULL);
    json_key(j, "measures");
    json_open(j, '[');
    for (int i = 0; i < s->n_measures; i++) {
        const struct verdict_measure *m = &s->measures[i];
        json_open(j, '{');
        json_key(j, "name"), json_str(j, m->name);
        json_key(j, "recorded"), json_f64(j, m->recorded);
        json_key(j, "now"), json_f64(j, m->now);
        json_key(j, "tolerance"), json_f64(j, m->tolerance);
        json_key(j, "unit"), json_str(j, m->unit);
        json_key(j, "holds"), json_bool(j, m->holds);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static struct error *answer(const struct call *call, const struct verdicts *v, const struct run *run, const char *into)
{
    struct json j;
    answer_open(&j, call, NULL);
    json_key(&j, "name"), json_str(&j, run->name);
    json_key(&j, "run"), json_i64(&j, run->number);
    json_key(&j, "into"), json_str(&j, into);
    json_key(&j, "verdict"), json_str(&j, verdict_name(v->all));
    json_key(&j, "stages");
    json_open(&j, '[');
    for (int i = 0; i < v->n; i++)
        stage_json(&j, &v->stages[i]);
    json_close(&j, ']');
    return answer_print(&j);
}

struct error *command_reproduce(struct call *call)
{
    struct run run = {0}, again = {0};
    struct loaded l;
    struct verdicts v;
    bool *selected = NULL;
    const char *results = call->results;
    stop_on_signals();
    struct error *e = load_run(&run, call, call->args[0]);
    if (!e && run.source)
        e = error_new(ERROR_USAGE, NOWHERE, "`retort compare` lays it beside a run of your own",
                      "'%s' is a published run: it has no recipe", call->args[0]);
    if (e)
        return e;
    const char *into = call->into ? call->into : arena_printf(call->arena, "%s/reproduce/%s-%04d", results, run.name, run.number);
    if (!into)
        return error_memory();
    call->results = into;
    if ((e = load_again(&l, call, &run, results, into)) || (e = select_made(&l, &run, call, &selected)) ||
        (e = schedule_check(&l.plan, selected)))
        return e;
    if (schedule_count(&l.plan, selected))
        e = run_plan(&l, call, selected, NULL, 0, RUN_SAYS_PROGRESS);
    if (!e && call->status == 75)
        return error_new(ERROR_STOPPED, NOWHERE, "run it again to go on", "stopped; everything is saved in '%s'", into);
    if (e && e->kind != ERROR_FAILED && e->kind != ERROR_DATA)
        return e;
    struct error *failed = e; // of a stage: the others can be judged
    e = run_newest(&again, into, run.name, call->arena);
    if (!e && !again.number)
        e = error_plain(ERROR_DATA, "there is no record of it in '%s'", into);
    if (!e)
        e = verdict_collect(&v, &run, results, &again, &l.plan, call->arena);
    if (!e)
        e = call->json ? answer(call, &v, &run, into) : print(&v, &run, into, call->arena);
    if (!e)
        call->status = v.all >= VERDICT_DIFFERS || !v.n;
    if (failed && !e && !call->json)
        return failed;
    error_free(failed);
    return e;
}
