// run.c - `retort run RECIPE`: plan, lock, carry out, report.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/store/atomic.h"
#include "runner/commands/detach.h"
#include "runner/commands/hook.h"
#include "runner/commands/mirror.h"
#include "runner/commands/run.h"
#include "runner/graph/died.h"
#include "runner/graph/schedule.h"
#include "runner/graph/stage_job.h"
#include "runner/recipe/number.h"
#include "runner/stages/build.h"
#include "runner/view/card.h"
#include "runner/view/card_json.h"
#include "runner/view/progress.h"

// What the hooks of a run are about: the view, which comes first because its hooks know no more than that, and a stop asked for from
// another host, which comes as a file.
struct watching {
    struct progress progress;
    const char *stop_file;
    double looked;
};

// A run that holds the lock of its recipe's name.
struct running {
    struct loaded *loaded;
    const bool *selected;
    const char *folder, *stop_file, *command;
    struct lock lock;
    int jobs; // 0: as they fit
    enum run_says says;
};

static void look_for_stop(void *self)
{
    struct watching *w = self;
    double now = clock_seconds();
    if (now - w->looked < 1)
        return;
    w->looked = now;
    if (file_exists(w->stop_file)) {
        unlink(w->stop_file);
        stop_request();
    }
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

// What an earlier run could not copy to the mirror is copied now.
static struct error *copy_what_lacks(const struct call *call, const struct plan *plan, struct mirror_state *copied)
{
    struct mirror mirror;
    mirror_begin(&mirror, call, plan, 0);
    return mirror_end(&mirror, call, plan, false, copied);
}

static struct error *print_nothing_to_do(struct call *call, const struct plan *plan)
{
    struct mirror_state copied;
    struct error *e = copy_what_lacks(call, plan, &copied);
    if (e)
        return e;
    struct error *refused = mirror_refused(&copied);
    if (call->json) {
        struct json j;
        call->status = refused ? error_exit_status(refused) : 0;
        answer_open(&j, call, refused);
        json_key(&j, "run"), json_nil(&j);
        json_key(&j, "n_cached"), json_i64(&j, plan->n_cached);
        if (copied.address)
            json_key(&j, "mirror"), mirror_to_json(&j, &copied);
        error_free(refused);
        return answer_print(&j);
    }
    if (plan->n_cached < plan->n_stages)
        printf("nothing to do: what was asked for is cached");
    else
        printf("nothing to do: all %d stages are cached", plan->n_stages);
    if (plan->last.number)
        printf(" (run %04d)", plan->last.number);
    putchar('\n');
    mirror_print(&copied, plan->graph->recipe->path);
    return refused;
}

// A run whose runner was killed when all was made has a record that does not say so, and a lock that nobody holds. What is in the way of
// mending that is in nobody's way else.
static void settle_last(const struct loaded *l, const struct call *call)
{
    struct lock lock = {.fd = -1};
    const char *path = arena_printf(call->arena, "%s/runs/%s/lock", call->results, l->recipe.name);
    if (!path || !l->plan.last.number || strcmp(run_state(&l->plan.last, call->results, call->arena), "died"))
        return;
    error_free(lock_take(&lock, path, "retort run", NULL));
    if (lock.taken)
        error_free(died_record(call->results, l->recipe.name, call->arena));
    lock_release(&lock, true);
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
                           .code = code_text(),
                           .pid = getpid(),
                           .exit_status = -1,
                           .usd = NAN,
                           .recipe_text = l->recipe.text,
                           .recipe_bytes = (int64_t)l->recipe.own_bytes};
    if (!record->started || !record->settings || !record->host || !record->machine)
        return error_memory();
    struct error *e = resolved_text(&l->recipe, call->arena, &record->resolved);
    if (!e)
        e = schedule_record(record, &l->plan, call->arena);
    return e ? e : run_create(record, call->results, call->arena);
}

static struct error *print_answer(const struct call *call, const struct run *record, const struct mirror_state *mirror,
                                  const struct error *errors)
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
        card_stage_to_json(&j, s);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    if (mirror->address)
        json_key(&j, "mirror"), mirror_to_json(&j, mirror);
    return answer_print(&j);
}

// Only under the lock of the stage: another recipe's run may be making that very result, or reading its checkpoint.
static struct error *forget(struct plan *plan, struct plan_stage *fresh, struct call *call)
{
    struct lock lock = {.fd = -1};
    struct lock_holder holder = {0};
    struct progress progress;
    struct schedule_hooks view = progress_hooks(&progress);
    const char *store = arena_printf(call->arena, "%s/store", call->results);
    const char *path = fresh->node->key ? stage_lock_path(plan, fresh->node, call->arena) : NULL;
    struct error *e = store ? folder_make(store) : error_memory();
    progress_init(&progress, stdout);
    for (bool told = call->json; path && !e && !lock.taken;) {
        e = lock_take(&lock, path, call->command->name, &holder);
        if (e || lock.taken)
            break;
        if (!told)
            view.waiting(view.self, fresh, &holder);
        told = true;
        if (stop_requested())
            e = error_stopped();
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
    }
    if (!e)
        e = plan_forget(plan, fresh, call->arena);
    lock_release(&lock, true);
    return e;
}

static struct error *print_detached(const struct call *call, const struct run *record, int pid, const char *log)
{
    if (call->json) {
        struct json j;
        answer_open(&j, call, NULL);
        json_key(&j, "name"), json_str(&j, record->name);
        json_key(&j, "run"), json_i64(&j, record->number);
        json_key(&j, "state"), json_str(&j, record->state);
        json_key(&j, "pid"), json_i64(&j, pid);
        json_key(&j, "log"), json_str(&j, log);
        return answer_print(&j);
    }
    printf("%s, run %04d goes on in the background (process %d)\n", record->name, record->number, pid);
    const char *option = strcmp(call->results, "results") ? " --results " : "", *results = option[0] ? call->results : "";
    printf("  follow it    retort status --watch %s%s%s\n", record->name, option, results);
    printf("  stop it      retort stop %s%s%s\n", record->name, option, results);
    printf("  its output   %s\n", log);
    return NULL;
}

// Of the two processes that come back from here one has nothing left to do: *told.
static struct error *go_into_background(struct running *r, struct call *call, struct run *record, bool *told)
{
    struct detached detached;
    const char *log = run_log_path(call->arena, call->results, record->name, record->number);
    struct error *e = log ? detach(&detached, log, &r->lock, r->command) : error_memory();
    if (!e && detached.is_child) {
        call->json = false; // that answer is given by the other
        record->pid = getpid();
        e = run_save(record);
        if (!e)
            detach_ready(&detached);
    } else if (!e) {
        *told = true;
        e = detach_wait(&detached);
        return e ? error_while(e, NOWHERE, "writing '%s'", log) : print_detached(call, record, detached.pid, log);
    }
    if (e)
        unlink(record->path); // its number is taken, and nothing is in it
    return e;
}

static struct error *print_end(const struct run *record, const struct schedule_result *result, const struct mirror_state *mirror,
                               struct call *call)
{
    // On a full disk the record may never have come to be, which has been told.
    struct error *e = file_exists(record->path) ? card_print(record, stdout, call->arena) : NULL;
    if (result->stopped && !result->errors)
        printf("\nstopped; everything is saved: run it again to go on\n");
    if (mirror->address)
        putchar('\n');
    mirror_print(mirror, record->recipe_path);
    return e;
}

static struct error *carry_out(struct running *r, struct call *call)
{
    struct run record;
    struct schedule_result result;
    struct watching w = {.stop_file = r->stop_file};
    struct mirror mirror;
    struct mirror_state copied;
    bool told = false;
    struct error *e = open_record(&record, r->loaded, call);
    if (!e && call->detach)
        e = go_into_background(r, call, &record, &told);
    if (e || told)
        return e;
    progress_init(&w.progress, stdout);
    struct schedule_hooks hooks = {.self = &w};
    if (!call->json && !left_out_print(&r->loaded->plan, r->selected, call->arena))
        return error_memory();
    if (!call->json)
        hooks = progress_hooks(&w.progress);
    hooks.tick = look_for_stop;
    mirror_begin(&mirror, call, &r->loaded->plan, record.number);
    e = schedule_run(&result, &r->loaded->plan, r->selected, &record, &hooks, r->jobs, call->arena);
    struct error *errors = error_append(result.errors, e);
    call->status = errors ? error_exit_status(errors) : result.stopped ? 75 : 0;
    record.exit_status = call->status;
    e = mirror_end(&mirror, call, &r->loaded->plan, result.stopped, &copied);
    if (r->says != RUN_SAYS_ALL)
        return error_append(errors, e);
    struct error *refused = call->status ? NULL : mirror_refused(&copied); // has been told among what is not there
    if (call->json) {
        call->status = refused ? error_exit_status(refused) : call->status;
        errors = error_append(errors, refused);
        e = error_append(e, print_answer(call, &record, &copied, errors));
        error_free(errors);
        hook_run(&r->loaded->recipe, &record, &copied);
        return e;
    }
    errors = error_append(errors, e ? e : print_end(&record, &result, &copied, call));
    errors = error_append(errors, refused);
    fflush(stdout);
    hook_run(&r->loaded->recipe, &record, &copied);
    if (w.progress.terminal && ferror(stdout) && !freopen("/dev/null", "w", stdout)) // nobody is left to read that it was closed
        clearerr(stdout);
    return errors;
}

static struct error *read_jobs(const struct call *call, int *jobs)
{
    int64_t n = 0;
    *jobs = 0;
    struct error *e = call->jobs ? number_int(call->jobs, false, NOWHERE, "--jobs", &n) : NULL;
    if (!e && call->jobs && (n < 1 || n > INT16_MAX))
        e = error_new(ERROR_USAGE, NOWHERE, "say how many stages may run at once; 1: one after the other", "--jobs is %lld",
                      (long long)n);
    if (!e)
        *jobs = (int)n;
    return e;
}

// From a mirror, under the lock of nobody: results have locks of their own.
static struct error *bring_back(struct loaded *l, const struct call *call)
{
    if (!call->from)
        return NULL;
    struct error *e = mirror_bring(call, &l->plan, call->from);
    return e ? e : load_plan(l, call, call->args[0]);
}

struct error *run_plan(struct loaded *l, struct call *call, const bool *selected, struct plan_stage *fresh, int jobs,
                       enum run_says says)
{
    struct lock_holder holder = {0};
    struct running r = {.loaded = l, .selected = selected, .jobs = jobs, .says = says};
    r.folder = arena_printf(call->arena, "%s/runs/%s", call->results, l->recipe.name);
    r.stop_file = arena_printf(call->arena, "%s/runs/%s/stop", call->results, l->recipe.name);
    r.command = arena_printf(call->arena, "retort %s %s", call->command->name, call->args[0]);
    const char *lock_path = arena_printf(call->arena, "%s/runs/%s/lock", call->results, l->recipe.name);
    struct error *e = NULL;
    if (!r.folder || !lock_path || !r.stop_file || !r.command)
        return error_memory();
    if ((e = folder_make(r.folder)) || (e = lock_take(&r.lock, lock_path, r.command, &holder)))
        return error_while(e, NOWHERE, "preparing the results folder '%s'", call->results);
    if (!r.lock.taken)
        return lock_error(arena_printf(call->arena, "'%s'", r.folder), &holder, l->recipe.name);
    unlink(r.stop_file);                                                 // of a run that has ended
    error_free(died_record(call->results, l->recipe.name, call->arena)); // what is in its way is in that of this run, too
    if (fresh)
        e = forget(&l->plan, fresh, call);
    if (!e)
        e = carry_out(&r, call);
    if (r.lock.taken) // else it is that of the run in the background by now
        unlink(r.stop_file);
    lock_release(&r.lock, true);
    return e;
}

struct error *command_run(struct call *call)
{
    struct loaded l;
    struct plan_stage *fresh = NULL;
    bool *selected = NULL;
    int jobs = 0;
    stop_on_signals();
    struct error *e = read_jobs(call, &jobs);
    if (e || (e = load_plan(&l, call, call->args[0])) || (e = bring_back(&l, call)) ||
        (e = select_stages(&l, call, &selected, &fresh)) || (e = plan_select(&l.plan, selected, call->arena)) ||
        (fresh && (e = plan_anew(&l.plan, fresh, call->arena))) || (e = schedule_check(&l.plan, selected)))
        return e;
    schedule_tidy(&l.plan, call->arena);
    if (!schedule_count(&l.plan, selected) && !fresh) {
        settle_last(&l, call);
        return print_nothing_to_do(call, &l.plan);
    }
    return run_plan(&l, call, selected, fresh, jobs, RUN_SAYS_ALL);
}
