// gc.c - `retort gc [RECIPE ...]`: what nothing refers to any more; --yes removes it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands/load.h"
#include "runner/graph/garbage.h"
#include "runner/graph/keys.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"

enum { WIDTH = 80 };

// Of results of one run and stage, in a row: their number and sums.
struct group {
    const struct garbage_result *first;
    int n;
    int64_t bytes;
    double seconds, usd; // NaN: not known of all
    int n_busy;
};

static bool same_group(const struct garbage_result *a, const struct garbage_result *b)
{
    return a->kind == b->kind && a->number == b->number && !a->run == !b->run && (!a->run || !strcmp(a->run, b->run)) &&
           !strcmp(a->stage ? a->stage : "", b->stage ? b->stage : "") && !a->state == !b->state &&
           (!a->state || !strcmp(a->state, b->state));
}

static struct group group_at(const struct garbage *g, int i)
{
    struct group group = {.first = &g->results[i]};
    for (; i < g->n_results && same_group(group.first, &g->results[i]); i++) {
        const struct garbage_result *r = &g->results[i];
        group.n++;
        group.bytes += r->bytes;
        group.seconds += r->seconds;
        group.usd += r->usd;
        group.n_busy += r->busy;
    }
    return group;
}

static struct error *add_group(struct grid *grid, const struct group *group, struct arena *arena)
{
    const struct garbage_result *r = group->first;
    char size[FORMAT_TEXT], seconds[FORMAT_TEXT], usd[FORMAT_TEXT];
    const char *run = r->run ? arena_printf(arena, "%s/%04d", r->run, r->number) : "no record";
    const char *kind = kind_name(r->kind), *what = r->stage ? r->stage : kind;
    if (!strstr(what, kind)) // "town.tokens" says it by itself
        what = arena_printf(arena, "%s (%s)", what, kind);
    const char *state = !r->state ? ", rests" : strcmp(r->state, "finished") ? ", unfinished" : "";
    if (what && group->n > 1)
        what = arena_printf(arena, "%s x%d", what, group->n);
    if (what)
        what = arena_printf(arena, "%s%s%s", what, state, group->n_busy ? ", in use" : "");
    const char *const cells[] = {run, what, arena_strdup(arena, format_bytes(size, group->bytes)),
                                 arena_strdup(arena, format_seconds(seconds, group->seconds)),
                                 arena_strdup(arena, format_usd(usd, group->usd))};
    for (size_t i = 0; i < countof(cells); i++)
        if (!cells[i])
            return error_memory();
    grid_add(grid, cells);
    return grid->failed ? error_memory() : NULL;
}

// Sums of what is known.
static void sums(const struct garbage *g, double *seconds, double *usd)
{
    *seconds = *usd = 0;
    bool paid = false;
    for (int i = 0; i < g->n_results; i++) {
        *seconds += isfinite(g->results[i].seconds) ? g->results[i].seconds : 0;
        *usd += isfinite(g->results[i].usd) ? g->results[i].usd : 0;
        paid |= isfinite(g->results[i].usd);
    }
    *usd = paid ? *usd : NAN;
}

// What stays whoever needs it; records and logs beside the results.
static void print_rests(const struct garbage *g, bool acted)
{
    char size[FORMAT_TEXT];
    if (g->n_newer)
        printf("left alone: %d result%s, %s, that a newer retort wrote\n", g->n_newer, g->n_newer == 1 ? "" : "s",
               format_bytes(size, g->newer_bytes));
    if (g->n_forgotten)
        printf("%s: %d %s of forgotten runs\n", acted ? "removed with them" : "to go with them", g->n_forgotten,
               g->n_forgotten == 1 ? "record or log" : "records and logs");
}

static struct error *print(const struct garbage *g, bool acted, const struct call *call)
{
    static const struct column columns[] = {{"run", false, false},
                                            {"result", false, true},
                                            {"size", true, false},
                                            {"to make again", true, false},
                                            {"cost", true, false}};
    char size[FORMAT_TEXT], time[FORMAT_TEXT], money[FORMAT_TEXT], kept[FORMAT_TEXT];
    struct grid grid;
    double seconds, usd;
    int n_busy = 0;
    grid_init(&grid, columns, countof(columns), call->arena);
    for (int i = 0; i < g->n_results;) {
        struct group group = group_at(g, i);
        struct error *e = add_group(&grid, &group, call->arena);
        if (e)
            return e;
        i += group.n;
        n_busy += group.n_busy;
    }
    sums(g, &seconds, &usd);
    format_bytes(kept, g->kept_bytes);
    if (!g->n_results && !g->n_kept) {
        printf(g->n_newer ? "nothing to remove in '%s'\n" : "nothing to remove: there are no results in '%s'\n", call->results);
        print_rests(g, acted);
        return NULL;
    }
    if (!g->n_results) {
        const char *text = arena_printf(
            call->arena, "nothing to remove in '%s': all of its %d results, %s, are referred to (%d run%s%s)", call->results,
            g->n_kept, kept, g->n_runs, g->n_runs == 1 ? "" : "s", call->n_args ? ", and the recipes given" : "");
        if (!text)
            return error_memory();
        text_wrap(stdout, "", text, WIDTH);
        print_rests(g, acted);
        return NULL;
    }
    grid_print(&grid, stdout, WIDTH);
    printf("\n%s %d result%s, %s; %s%s%s to make them again\n", acted ? "removed:" : "no run refers to", g->n_results - n_busy,
           g->n_results - n_busy == 1 ? "" : "s", format_bytes(size, g->bytes), format_seconds(time, seconds),
           isfinite(usd) ? ", " : "", isfinite(usd) ? format_usd(money, usd) : "");
    if (n_busy)
        printf("left alone: %d, in use by another process\n", n_busy);
    printf("kept: %d results, %s, that %d run%s, running stages or the recipes given need\n", g->n_kept, kept, g->n_runs,
           g->n_runs == 1 ? "" : "s");
    print_rests(g, acted);
    if (!acted)
        printf("nothing was removed: `retort gc --yes` does it\n");
    return NULL;
}

static void result_to_json(struct json *j, const struct garbage_result *r)
{
    json_open(j, '{');
    json_key(j, "name"), json_str(j, r->run);
    json_key(j, "run"), json_count(j, r->run ? r->number : -1);
    json_key(j, "stage"), json_str(j, r->stage);
    json_key(j, "kind"), json_str(j, kind_name(r->kind));
    json_key(j, "key"), json_str(j, r->key);
    json_key(j, "state"), json_str(j, r->state);
    json_key(j, "bytes"), json_i64(j, r->bytes);
    json_key(j, "seconds"), json_f64(j, r->seconds);
    json_key(j, "usd"), json_f64(j, r->usd);
    json_key(j, "files");
    json_open(j, '[');
    for (int i = 0; i < r->n_files; i++)
        json_str(j, r->files[i]);
    json_close(j, ']');
    json_key(j, "removed"), json_bool(j, r->removed);
    json_close(j, '}');
}

static struct error *answer(const struct garbage *g, bool acted, const struct call *call)
{
    struct json j;
    double seconds, usd;
    sums(g, &seconds, &usd);
    answer_open(&j, call, NULL);
    json_key(&j, "acted"), json_bool(&j, acted);
    json_key(&j, "bytes"), json_i64(&j, g->bytes);
    json_key(&j, "seconds"), json_f64(&j, seconds);
    json_key(&j, "usd"), json_f64(&j, usd);
    json_key(&j, "results");
    json_open(&j, '[');
    for (int i = 0; i < g->n_results; i++)
        result_to_json(&j, &g->results[i]);
    json_close(&j, ']');
    json_key(&j, "forgotten"), json_i64(&j, g->n_forgotten);
    json_key(&j, "kept");
    json_open(&j, '{');
    json_key(&j, "results"), json_i64(&j, g->n_kept);
    json_key(&j, "bytes"), json_i64(&j, g->kept_bytes);
    json_key(&j, "runs"), json_i64(&j, g->n_runs);
    json_key(&j, "newer"), json_i64(&j, g->n_newer);
    json_close(&j, '}');
    return answer_print(&j);
}

struct error *command_gc(struct call *call)
{
    struct garbage g = {0};
    struct garbage_locks locks = {0};
    struct loaded *recipes = arena_array(call->arena, (size_t)call->n_args + 1, sizeof *recipes);
    const struct graph **graphs = arena_array(call->arena, (size_t)call->n_args + 1, sizeof *graphs);
    struct error *e = recipes && graphs ? NULL : error_memory();
    for (int i = 0; i < call->n_args && !e; i++) {
        graphs[i] = &recipes[i].graph;
        e = load_recipe(&recipes[i], call, call->args[i]);
        if (!e)
            e = keys_make(&recipes[i].graph, call->results);
    }
    if (!e && call->yes)
        e = garbage_lock(&locks, call->results, call->arena);
    if (!e)
        e = garbage_find(&g, call->results, graphs, call->n_args, call->arena);
    if (!e && call->yes)
        e = garbage_remove(&g);
    garbage_unlock(&locks);
    if (e)
        return e;
    return call->json ? answer(&g, call->yes, call) : print(&g, call->yes, call);
}
