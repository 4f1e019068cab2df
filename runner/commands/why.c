// why.c - `retort why RECIPE [STAGE]`: the reasons in full; of two runs why_runs.c.
#include <stdio.h>
#include <string.h>

#include "runner/commands/load.h"
#include "runner/commands/why_runs.h"
#include "runner/view/grid.h"
#include "runner/view/reasons.h"

static struct error *tell(const struct plan_stage *s, const struct plan *plan, int width, struct arena *arena)
{
    const char *head = "";
    if (s->state == PLAN_CACHED && !s->n_reasons)
        head =
            plan->last.number ? arena_printf(arena, ", as it was in run %04d", plan->last.number) : ", made under another name";
    else if (s->state == PLAN_CACHED)
        head = arena_printf(arena, ", made before; but not what run %04d had:", plan->last.number);
    head = head ? arena_printf(arena, "%s: %s%s", s->node->name, plan_state_name(s->state), head) : NULL;
    if (!head)
        return error_memory();
    text_line(stdout, "", head, width);
    const char *what, *with = s->state == PLAN_CACHED ? NULL : begins_with(s->node, &what, arena);
    const char *begins = with ? arena_printf(arena, "begins with '%s': %s", with, what) : "";
    if (!begins)
        return error_memory();
    if (*begins)
        text_line(stdout, "    ", begins, width);
    for (int i = 0; i < s->n_reasons; i++) {
        const char *text = reason_long(&s->reasons[i], arena);
        text = text ? text_plain(text, arena) : NULL;
        if (!text)
            return error_memory();
        text_line(stdout, "    ", text, width);
    }
    return NULL;
}

struct error *command_why(struct call *call)
{
    struct loaded l;
    struct json j;
    if (call->n_args == 2 && (!load_is_recipe(call->args[0]) || load_is_recipe(call->args[1])))
        return why_runs(call);
    struct error *e = load_plan(&l, call, call->args[0]);
    struct plan_stage *only = NULL;
    if (!e && call->n_args == 2)
        e = load_stage(&l, call->args[1], &only);
    if (e)
        return e;
    if (call->json) {
        answer_open(&j, call, NULL);
        json_key(&j, "last_run"), json_i64(&j, l.plan.last.number);
        json_key(&j, "stages");
        json_open(&j, '[');
    }
    for (int i = 0; i < l.plan.n_stages && !e; i++) {
        const struct plan_stage *s = &l.plan.stages[i];
        if (only && only != s)
            continue;
        if (!call->json) {
            e = tell(s, &l.plan, text_room(stdout), call->arena);
            continue;
        }
        if ((e = stage_to_json(&j, s, call->arena)))
            return e;
        json_close(&j, '}');
    }
    if (!call->json)
        return e;
    json_close(&j, ']');
    return answer_print(&j);
}
