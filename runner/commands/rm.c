// rm.c - `retort rm RUN`: the record goes out of sight; results stay until gc.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/store/atomic.h"
#include "runner/commands/load.h"
#include "runner/graph/garbage.h"
#include "runner/graph/reference.h"
#include "runner/view/format.h"

struct which {
    const char *name;
    int number;
};

// Runs are kept under names without folders in them.
static bool is_run_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static struct error *of_file(struct which *w, const struct call *call)
{
    struct run run;
    struct error *e = run_read(&run, call->args[0], call->arena);
    if (e)
        return e;
    const char *path = run_path(call->arena, call->results, run.name, run.number);
    if (!path)
        return error_memory();
    *w = (struct which){run.name, run.number};
    if (is_run_name(run.name) && run.number && same_file(path, call->args[0]))
        return NULL;
    return error_new(ERROR_USAGE, NOWHERE, "say --results FOLDER, or remove the file yourself", "'%s' is no run of '%s'",
                     call->args[0], call->results);
}

// NAME/NUMBER, or the only run of NAME.
static struct error *of_name(struct which *w, const struct call *call, const char *what)
{
    const char *slash = strrchr(what, '/');
    bool numbered = slash && slash[1] && strlen(slash + 1) < 8 && !slash[1 + strspn(slash + 1, "0123456789")];
    int *numbers, n;
    w->name = numbered ? arena_strndup(call->arena, what, (size_t)(slash - what)) : what;
    if (!w->name)
        return error_memory();
    struct error *e = is_run_name(w->name) ? run_numbers(call->results, w->name, call->arena, &numbers, &n) : NULL;
    if (e)
        return e;
    bool found = false;
    w->number = numbered ? atoi(slash + 1) : 0;
    for (int i = 0; is_run_name(w->name) && i < n; i++) {
        found |= !numbered || numbers[i] == w->number;
        w->number = numbered ? w->number : numbers[i];
    }
    const char *published = NULL;
    if (!found && (e = reference_find(call->results, what, call->arena, &published)))
        return e;
    if (published)
        return error_new(ERROR_USAGE, NOWHERE, "it has no results; remove its file yourself", "'%s' is a published run, '%s'",
                         what, published);
    if (!found)
        return error_new(ERROR_USAGE, NOWHERE, "`retort ls` lists the runs", "there is no run '%s' in '%s'", what, call->results);
    if (numbered || n == 1)
        return NULL;
    const char *fix = arena_printf(call->arena, "say which: %s/%04d is the newest", w->name, w->number);
    return error_new(ERROR_USAGE, NOWHERE, fix, "there are %d runs of '%s'", n, w->name);
}

static struct error *find(struct which *w, const struct call *call)
{
    const char *what = call->args[0];
    if (load_is_h5(what))
        return of_file(w, call);
    struct error *e = load_name(call, what, &what);
    return e ? e : of_name(w, call, what);
}

// The run that holds the lock of its recipe is the newest.
static struct error *forget(const struct which *w, const struct call *call)
{
    struct lock lock;
    struct lock_holder holder = {0};
    int *numbers, n;
    const char *path = arena_printf(call->arena, "%s/runs/%s/lock", call->results, w->name);
    struct error *e = path ? lock_take(&lock, path, "retort rm", &holder) : error_memory();
    if (e)
        return e;
    e = run_numbers(call->results, w->name, call->arena, &numbers, &n);
    if (!e && !lock.taken && n && numbers[n - 1] == w->number)
        e = lock_error(arena_printf(call->arena, "run '%s/%04d'", w->name, w->number), &holder, w->name);
    if (!e)
        e = run_forget(call->results, w->name, w->number, call->arena);
    lock_release(&lock, true);
    return e;
}

struct error *command_rm(struct call *call)
{
    struct which w = {0};
    struct garbage g = {0};
    char size[FORMAT_TEXT];
    struct error *e = find(&w, call);
    if (e || (e = forget(&w, call)))
        return e;
    struct error *unknown = garbage_find(&g, call->results, NULL, 0, call->arena);
    int n = 0;
    int64_t bytes = 0;
    for (int i = 0; i < g.n_results && !unknown; i++)
        if (g.results[i].run && !strcmp(g.results[i].run, w.name) && g.results[i].number == w.number) {
            n++;
            bytes += g.results[i].bytes;
        }
    if (call->json) {
        struct json j;
        answer_open(&j, call, NULL);
        json_key(&j, "name"), json_str(&j, w.name);
        json_key(&j, "run"), json_i64(&j, w.number);
        json_key(&j, "left"), json_count(&j, unknown ? -1 : n);
        json_key(&j, "left_bytes"), json_count(&j, unknown ? -1 : bytes);
        error_free(unknown);
        return answer_print(&j);
    }
    printf("forgotten: run %04d of '%s'; until `retort gc --yes` this brings it back:\n  mv %s %s\n", w.number, w.name,
           run_forgotten_path(call->arena, call->results, w.name, w.number),
           run_path(call->arena, call->results, w.name, w.number));
    const char *log = run_forgotten_log_path(call->arena, call->results, w.name, w.number);
    if (log && file_exists(log))
        printf("  mv %s %s\n", log, run_log_path(call->arena, call->results, w.name, w.number));
    if (unknown)
        printf("what it leaves is not known: %s\n", unknown->what);
    else if (n)
        printf("it leaves %d result%s, %s, that no other run refers to:\n`retort gc` shows %s\n", n, n == 1 ? "" : "s",
               format_bytes(size, bytes), n == 1 ? "it" : "them");
    else
        printf("it leaves nothing: other runs refer to all of its results, or they are gone\n");
    error_free(unknown);
    return NULL;
}
