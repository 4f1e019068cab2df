// plan.c - `retort plan RECIPE`: the plan as a table, or as JSON.
#include <math.h>
#include <stdio.h>

#include "runner/commands/load.h"
#include "runner/stages/error_json.h"
#include "runner/view/format.h"
#include "runner/view/grid.h"
#include "runner/view/reasons.h"

enum { PLAN_WIDTH = 80 };

static void put_real(struct json *j, const char *key, double value)
{
    json_key(j, key), json_f64(j, value);
}

static void put_mixture(struct json *j, const struct plan_stage *s)
{
    json_key(j, "mixture");
    json_open(j, '[');
    for (int i = 0; i < s->n_shares; i++) {
        const struct plan_share *share = &s->shares[i];
        json_open(j, '{');
        json_key(j, "task"), json_str(j, share->task);
        json_key(j, "split"), json_str(j, share->split);
        json_key(j, "rows"), json_count(j, share->rows);
        json_key(j, "tokens"), json_count(j, share->tokens);
        put_real(j, "share", share->share);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static struct error *print_json(const struct call *call, const struct plan *plan)
{
    struct json j;
    int64_t tokens = 0, disk = 0;
    double flops = 0;
    answer_open(&j, call, NULL);
    json_key(&j, "recipe"), json_str(&j, plan->graph->recipe->path);
    json_key(&j, "name"), json_str(&j, plan->graph->recipe->name);
    json_key(&j, "stages");
    json_open(&j, '[');
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        struct error *e = stage_to_json(&j, s, call->arena);
        if (e)
            return e;
        json_key(&j, "params"), json_count(&j, s->params);
        json_key(&j, "tokens"), json_count(&j, s->tokens);
        put_real(&j, "flops", s->flops);
        json_key(&j, "bytes_device"), json_count(&j, -1);
        json_key(&j, "bytes_disk"), json_count(&j, s->bytes_disk);
        put_real(&j, "seconds", s->seconds);
        put_real(&j, "usd", s->usd);
        if (s->n_shares)
            put_mixture(&j, s);
        json_close(&j, '}');
        // Of what is known: a total that leaves something out is a lower bound.
        bool trains = s->node->kind == KIND_PRETRAIN || s->node->kind == KIND_FINETUNE;
        tokens += trains && s->tokens > 0 ? s->tokens : 0;
        disk += s->bytes_disk > 0 ? s->bytes_disk : 0;
        flops += isfinite(s->flops) ? s->flops : 0;
    }
    json_close(&j, ']');
    json_key(&j, "total");
    json_open(&j, '{');
    json_key(&j, "stages"), json_count(&j, plan->n_stages);
    json_key(&j, "cached"), json_count(&j, plan->n_cached);
    json_key(&j, "tokens"), json_count(&j, tokens);
    put_real(&j, "flops", flops);
    json_key(&j, "bytes_disk"), json_count(&j, disk);
    put_real(&j, "seconds", NAN);
    put_real(&j, "usd", NAN);
    json_close(&j, '}');
    return answer_print(&j);
}

// "train x2, 14.9k rows, 31%": what of a task, and how much of the mixture it is.
static const char *share_text(const struct plan_share *share, struct arena *arena)
{
    char passes[FORMAT_TEXT + 4] = "", rows[FORMAT_TEXT + 8] = "", part[FORMAT_TEXT] = "", a[FORMAT_TEXT];
    if (isfinite(share->passes) && share->passes != 1)
        snprintf(passes, sizeof passes, " x%.4g", share->passes);
    if (share->rows >= 0)
        snprintf(rows, sizeof rows, ", %s row%s", format_count(a, share->rows), share->rows == 1 ? "" : "s");
    if (isfinite(share->share))
        snprintf(part, sizeof part, ", %.*f%%", share->share < 0.0995, 100 * share->share);
    return arena_printf(arena, "%s%s%s%s", share->split, passes, rows, part);
}

// The mixture of a stage, a line an entry.
static bool add_shares(struct grid *grid, const struct plan_stage *s, struct arena *arena)
{
    for (int i = 0; i < s->n_shares; i++) {
        char a[FORMAT_TEXT];
        const struct plan_share *share = &s->shares[i];
        const char *name = arena_printf(arena, "  %s", share->task), *text = share_text(share, arena);
        const char *tokens = arena_strdup(arena, format_count(a, share->tokens));
        if (!name || !text || !tokens)
            return false;
        const char *const cells[] = {name, NULL, text, NULL, tokens, NULL, NULL};
        grid_add(grid, cells);
    }
    return true;
}

static struct error *print_table(const struct call *call, const struct plan *plan)
{
    static const struct column columns[] = {{"stage", false, false}, {"state", false, false}, {"why", false, true},
                                            {"params", true, false}, {"tokens", true, false}, {"FLOPs", true, false},
                                            {"time", true, false}};
    struct arena *arena = call->arena;
    struct grid grid;
    grid_init(&grid, columns, countof(columns), arena);
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        char a[FORMAT_TEXT], b[FORMAT_TEXT], c[FORMAT_TEXT], d[FORMAT_TEXT];
        const char *const cells[] = {s->node->name,
                                     plan_state_name(s->state),
                                     reasons_short(s, arena),
                                     arena_strdup(arena, format_count(a, s->params)),
                                     arena_strdup(arena, format_count(b, s->tokens)),
                                     arena_strdup(arena, format_big(c, s->flops)),
                                     arena_strdup(arena, format_seconds(d, s->seconds))};
        for (size_t k = 0; k < countof(cells); k++)
            if (!cells[k])
                return error_memory();
        grid_add(&grid, cells);
        if (!add_shares(&grid, s, arena))
            return error_memory();
    }
    if (grid.failed)
        return error_memory();
    grid_print(&grid, stdout, PLAN_WIDTH);
    int n_run = plan->n_stages - plan->n_cached;
    if (n_run)
        printf("\n%d of %d stages to run; `-` is not known before it has run once\n", n_run, plan->n_stages);
    else
        printf("\nnothing to do: all %d stages are cached\n", plan->n_stages);
    return NULL;
}

struct error *command_plan(struct call *call)
{
    struct loaded l;
    const char *text;
    struct error *e = load_plan(&l, call, call->args[0]);
    if (e)
        return e;
    if (call->resolved) {
        e = resolved_text(&l.recipe, call->arena, &text);
        if (!e)
            fputs(text, stdout);
        return e;
    }
    return call->json ? print_json(call, &l.plan) : print_table(call, &l.plan);
}
