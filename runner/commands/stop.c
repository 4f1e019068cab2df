// stop.c - `retort stop [RECIPE]`: a signal to the runner on this host, a file for one on another.
#include <signal.h>
#include <stdio.h>

#include "core/store/atomic.h"
#include "runner/commands/load.h"
#include "runner/graph/lock.h"

static char *lock_of(const struct call *call, const char *name)
{
    return arena_printf(call->arena, "%s/runs/%s/lock", call->results, name);
}

// The one recipe whose run is going on.
static struct error *find_running(const struct call *call, const char **name)
{
    const char **names;
    int n, n_running = 0;
    struct error *e = run_names(call->results, call->arena, &names, &n);
    for (int i = 0; i < n && !e; i++) {
        const char *path = lock_of(call, names[i]);
        if (!path)
            return error_memory();
        if (lock_held(path, NULL)) {
            *name = names[i];
            n_running++;
        }
    }
    if (!e && n_running != 1)
        e = error_new(ERROR_USAGE, NOWHERE, n_running ? "say which: retort stop RECIPE" : NULL,
                      n_running ? "%d runs are going on" : "no run is going on", n_running);
    return e;
}

static struct error *leave_stop_file(const struct call *call, const char *name)
{
    const char *file = arena_printf(call->arena, "%s/runs/%s/stop", call->results, name);
    return file ? atomic_write(file, "stop\n", 5) : error_memory();
}

struct error *command_stop(struct call *call)
{
    struct lock_holder holder = {0};
    const char *name = call->n_args ? call->args[0] : NULL;
    struct error *e = NULL;
    if (!name) {
        e = find_running(call, &name);
    } else {
        e = load_name(call, name, &name);
    }
    if (e)
        return e;
    const char *path = lock_of(call, name);
    if (!path)
        return error_memory();
    if (!lock_held(path, &holder))
        return error_new(ERROR_USAGE, NOWHERE, "`retort status` shows what is", "no run of '%s' is going on", name);
    // Not SIGINT, of which a second one does not wait for the saving. A process of another host, of somebody else or in another
    // container is not reached by signals: it looks for a file.
    bool signalled = lock_on_this_host(&holder) && holder.pid > 0 && kill(holder.pid, SIGTERM) == 0;
    if (!signalled && (e = leave_stop_file(call, name)))
        return e;
    if (call->json) {
        struct json j;
        answer_open(&j, call, NULL);
        json_key(&j, "name"), json_str(&j, name);
        return answer_print(&j);
    }
    printf("asked '%s' (process %d on %s) to save and stop%s\n", name, holder.pid, holder.host,
           signalled ? "" : "; it looks for that every second");
    return NULL;
}
