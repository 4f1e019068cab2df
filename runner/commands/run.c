// run.c - `retort run RECIPE`: plan, lock, carry out, report.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/store/atomic.h"
#include "runner/commands/load.h"
#include "runner/graph/schedule.h"
#include "runner/stages/build.h"
#include "runner/view/card.h"
#include "runner/view/progress.h"

// Hooks of the view with one more duty: a stop asked for from another host comes as a file.
struct watching {
    struct schedule_hooks view;
    const char *stop_file;
    bool seen;
};

static void on_begin(void *self, const struct plan_stage *stage, int i, int n)
{
    const struct watching *w = self;
    if (w->view.begin)
        w->view.begin(w->view.self, stage, i, n);
}

static void on_progress(void *self, const struct plan_stage *stage, const struct live_line *line)
{
    struct watching *w = self;
    if (!w->seen && file_exists(w->stop_file)) {
        w->seen = true;
        stop_request();
    }
    if (w->view.progress)
        w->view.progress(w->view.self, stage, line);
}

static void on_waiting(void *self, const struct plan_stage *stage, const struct lock_holder *holder)
{
    const struct watching *w = self;
    if (w->view.waiting)
        w->view.waiting(w->view.self, stage, holder);
}

static void on_end(void *self, const struct plan_stage *stage, const struct outcome *outcome)
{
    const struct watching *w = self;
    if (w->view.end)
        w->view.end(w->view.self, stage, outcome);
}

// Which stages are asked for; *fresh is the one to be made though its result may be there, or NULL.
static struct error *select_stages(struct loaded *l, const struct call *call, bool **selected, struct plan_stage **fresh)
{
    struct plan *plan = &l->plan;
    struct plan_stage *until = NULL, *only = NULL;
    struct error *e = call->until ? load_stage(l, call->until, &until) : NULL;
    *fresh = NULL;
    if (!e && call->only)
        e = load_stage(l, call->only, &only);
    if (!e && call->fresh)
        e = load_stage(l, call->fresh, fresh);
    if (e)
        return e;
    if (until && only)
        return error_plain(ERROR_USAGE, "--until and --only exclude each other");
    *selected = arena_array(call->arena, (size_t)plan->n_stages + 1, sizeof **selected);
    if (!*selected)
        return error_memory();
    for (int i = 0; i < plan->n_stages; i++)
        (*selected)[i] = only ? only == &plan->stages[i] : !until || graph_needs(until->node, plan->stages[i].node);
    if (*fresh && !(*selected)[*fresh - plan->stages])
        return error_plain(ERROR_USAGE, "--fresh names '%s', which is not among the stages asked for", call->fresh);
    return NULL;
}

static struct error *print_nothing_to_do(const struct call *call, const struct plan *plan)
{
    if (call->json) {
        struct json j;
        answer_open(&j, call, NULL);
        json_key(&j, "run"), json_nil(&j);
        json_key(&j, "n_cached"), json_i64(&j, plan->n_cached);
        return answer_print(&j);
    }
    if (plan->n_cached < plan->n_stages)
        printf("nothing to do: what was asked for is cached");
    else
        printf("nothing to do: all %d stages are cached", plan->n_stages);
    if (plan->last.number)
        printf(" (run %04d)", plan->last.number);
    putchar('\n');
    return NULL;
}

static const char *settings_json(const struct call *call)
{
    struct json j = {0};
    json_open(&j, '[');
    for (int i = 0; i < call->n_settings; i++)
        json_str(&j, call->settings[i]);
    json_close(&j, ']');
    const char *text = json_text(&j) ? arena_strdup(call->arena, j.text) : NULL;
    json_release(&j);
    return text;
}

static struct error *open_record(struct run *record, const struct loaded *l, const struct call *call)
{
    char started[CLOCK_TEXT], host[256] = "unknown";
    clock_text(clock_unix(), started);
    if (gethostname(host, sizeof host - 1))
        host[0] = '\0';
    *record = (struct run){.name = l->recipe.name,
                           .state = "running",
                           .started = arena_strdup(call->arena, started),
                           .recipe_path = l->recipe.path,
                           .settings = settings_json(call),
                           .host = arena_strdup(call->arena, host),
                           .machine = machine_text(call->arena),
                           .build = build_text(),
                           .pid = getpid(),
                           .usd = NAN,
                           .recipe_text = l->recipe.text};
    if (!record->started || !record->settings || !record->host || !record->machine)
        return error_memory();
    struct error *e = resolved_text(&l->recipe, call->arena, &record->resolved);
    if (!e)
        e = schedule_record(record, &l->plan, call->arena);
    return e ? e : run_create(record, call->results, call->arena);
}

static struct error *print_answer(const struct call *call, const struct run *record, const struct error *errors)
{
    struct json j;
    answer_open(&j, call, errors);
    json_key(&j, "name"), json_str(&j, record->name);
    json_key(&j, "run"), json_i64(&j, record->number);
    json_key(&j, "state"), json_str(&j, record->state);
    json_key(&j, "stages");
    json_open(&j, '[');
    for (int i = 0; i < record->n_stages; i++) {
        const struct run_stage *s = &record->stages[i];
        json_open(&j, '{');
        json_key(&j, "name"), json_str(&j, s->name);
        json_key(&j, "kind"), json_str(&j, s->kind);
        json_key(&j, "key"), json_str(&j, s->key[0] ? s->key : NULL);
        json_key(&j, "state"), json_str(&j, s->state);
        json_key(&j, "seconds"), json_f64(&j, s->seconds);
        json_key(&j, "usd"), json_f64(&j, s->usd);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    return answer_print(&j);
}

// Under the lock of the recipe's name.
static struct error *carry_out(struct loaded *l, struct call *call, const bool *selected, const char *stop_file)
{
    struct run record;
    struct schedule_result result;
    struct progress progress;
    struct error *e = open_record(&record, l, call);
    if (e)
        return e;
    progress_init(&progress, stdout);
    struct watching w = {.stop_file = stop_file};
    if (!call->json)
        w.view = progress_hooks(&progress);
    struct schedule_hooks hooks = {&w, on_begin, on_progress, on_waiting, on_end};
    e = schedule_run(&result, &l->plan, selected, &record, &hooks, call->arena);
    if (e || call->json) {
        struct error *errors = error_append(result.errors, e);
        call->status = errors ? error_exit_status(errors) : result.stopped ? 75 : 0;
        if (!call->json)
            return errors;
        e = print_answer(call, &record, errors);
        error_free(errors);
        return e;
    }
    e = card_print(&record, stdout, call->arena);
    if (result.stopped)
        printf("\nstopped; everything is saved: run it again to go on\n");
    if (!result.errors && result.stopped)
        call->status = 75;
    return error_append(result.errors, e);
}

struct error *command_run(struct call *call)
{
    struct loaded l;
    struct lock lock;
    struct lock_holder holder = {0};
    struct plan_stage *fresh = NULL;
    bool *selected = NULL;
    stop_on_signals();
    struct error *e = load_plan(&l, call, call->args[0]);
    if (e || (e = select_stages(&l, call, &selected, &fresh)) || (e = schedule_check(&l.plan, selected)))
        return e;
    if (!schedule_count(&l.plan, selected) && !fresh)
        return print_nothing_to_do(call, &l.plan);
    const char *folder = arena_printf(call->arena, "%s/runs/%s", call->results, l.recipe.name);
    const char *lock_path = arena_printf(call->arena, "%s/runs/%s/lock", call->results, l.recipe.name);
    const char *stop_file = arena_printf(call->arena, "%s/runs/%s/stop", call->results, l.recipe.name);
    const char *command = arena_printf(call->arena, "retort run %s", call->args[0]);
    if (!folder || !lock_path || !stop_file || !command)
        return error_memory();
    if ((e = folder_make(folder)) || (e = lock_take(&lock, lock_path, command, &holder)))
        return e;
    if (!lock.taken)
        return lock_error(arena_printf(call->arena, "'%s'", folder), &holder);
    unlink(stop_file); // of a run that has ended
    if (fresh)
        e = plan_forget(&l.plan, fresh, call->arena);
    if (!e) // once more: what the forgotten stage needs may not be there
        e = schedule_check(&l.plan, selected);
    if (!e)
        e = carry_out(&l, call, selected, stop_file);
    unlink(stop_file);
    lock_release(&lock, true);
    return e;
}
