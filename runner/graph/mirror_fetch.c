// mirror_fetch.c - stage by stage: what is there, the best of it into X.tmp.h5, verified, renamed.
#include "runner/graph/mirror_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/point.h"
#include "core/base/stop.h"
#include "core/remote/remote.h"
#include "core/store/atomic.h"
#include "core/store/store.h"
#include "runner/graph/keys.h"
#include "runner/graph/lock.h"
#include "runner/graph/result.h"
#include "runner/graph/stage_job.h"

enum { RECORDS_MOST = 50, RECORD_FILE_BYTES = 1 << 30 };

struct fetching {
    struct mirror_fetched *fetched;
    const struct plan *plan;
    const struct mirror_hooks *hooks;
    struct remote *remote;
    struct arena *arena;
};

static bool go_on(void *self, int64_t bytes)
{
    const struct fetching *f = self;
    if (f->hooks->progress)
        f->hooks->progress(f->hooks->self, bytes);
    return !stop_requested();
}

// Whether what came is whole, and what it should be: ERROR_DATA.
static struct error *verify(const char *path, const char *key, bool finished, struct arena *arena)
{
    struct store_file *file = NULL;
    struct result r;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_verify(file);
    store_close(file);
    if (e || !key)
        return e;
    e = result_look(&r, path, key, finished, arena);
    if (!e && r.state != RESULT_WHOLE)
        e = error_plain(ERROR_DATA, "%s", r.problem ? r.problem : "it is not there");
    return e;
}

// name there becomes path here; tmp: what it is called until it was verified. *came: it did; else it was damaged, which was told. What a
// newer retort wrote is an error where it has a key: a result that was made here instead would take its place there.
static struct error *bring(struct fetching *f, const char *name, int64_t bytes, const char *path, const char *tmp,
                           const char *key, bool finished, const char *what, bool *came)
{
    const struct remote_watch watch = {f, go_on};
    *came = false;
    int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_system(ERROR_MACHINE, errno, "cannot create '%s'", tmp);
    if (f->hooks->begin)
        f->hooks->begin(f->hooks->self, what, bytes);
    struct error *e = NULL;
    if (store_available(tmp) < (double)bytes)
        e = error_system(ERROR_MACHINE, ENOSPC, "cannot write '%s'", tmp);
    if (!e)
        e = remote_get(f->remote, name, fd, bytes, &watch);
    close(fd);
    if (!e)
        e = verify(tmp, key, finished, f->arena);
    if (!e)
        point("mirror.brought");
    if (!e)
        e = atomic_publish(tmp, path);
    *came = !e;
    f->fetched->bytes += e ? 0 : bytes;
    if (e)
        unlink(tmp);
    bool passed = e && (e->kind == ERROR_DATA || (e->kind == ERROR_NOT_BUILT && !key));
    if (!passed)
        return error_while(e, NOWHERE, "bringing back '%s' from the mirror", name);
    f->fetched->n_damaged++;
    if (f->hooks->passed)
        f->hooks->passed(f->hooks->self, what, e->what);
    error_free(e);
    return NULL;
}

static const struct remote_entry *find(const struct remote_entry *entries, int n, const char *stem, const char *ending)
{
    size_t length = strlen(stem);
    for (int i = 0; i < n; i++)
        if (!strncmp(entries[i].name, stem, length) && !strcmp(entries[i].name + length, ending))
            return &entries[i];
    return NULL;
}

// The newest checkpoint with a step between two, both left out; NULL: none.
static const struct remote_entry *newest(const struct remote_entry *entries, int n, const char *stem, int64_t above,
                                         int64_t below)
{
    const struct remote_entry *best = NULL;
    for (int i = 0; i < n; i++) {
        int64_t step = mirror_step(entries[i].name, stem);
        if (step > above && step < below) {
            best = &entries[i];
            above = step;
        }
    }
    return best;
}

static char *local(const struct fetching *f, const struct graph_node *node, const char *ending)
{
    return key_path(f->arena, f->plan->results, node->kind, node->key, ending);
}

static struct error *bring_checkpoint(struct fetching *f, const struct plan_stage *s, const struct remote_entry *entries, int n,
                                      const char *stem)
{
    const struct graph_node *node = s->node;
    const char *part = local(f, node, ".part.h5"), *prev = local(f, node, ".part.prev.h5"), *tmp = local(f, node, ".part.tmp.h5");
    struct error *e = part && prev && tmp ? NULL : error_memory();
    int64_t here = s->state == PLAN_RESUME ? s->step : -1, below = INT64_MAX;
    bool came = false;
    for (const struct remote_entry *best; !e && !came && (best = newest(entries, n, stem, here, below));) {
        below = mirror_step(best->name, stem);
        const char *name = arena_printf(f->arena, "store/%s", best->name);
        const char *what =
            arena_printf(f->arena, below > 0 ? "%s at step %lld" : "what is done of %s", node->name, (long long)below);
        if (!name || !what)
            return error_memory();
        if (file_exists(part))
            e = atomic_publish(part, prev); // the older of the two is the spare one
        if (!e)
            e = bring(f, name, best->bytes, part, tmp, node->key, false, what, &came);
    }
    f->fetched->n_checkpoints += came;
    return e;
}

// Weights that were kept on the way: "STEM@STEP.h5".
static struct error *bring_kept(struct fetching *f, const struct graph_node *node, const struct remote_entry *entries, int n,
                                const char *stem)
{
    size_t length = strlen(stem);
    struct error *e = NULL;
    for (int i = 0; i < n && !e; i++) {
        const char *ending = entries[i].name + length;
        size_t digits = strncmp(entries[i].name, stem, length) || *ending != '@' ? 0 : strspn(ending + 1, "0123456789");
        if (!digits || strcmp(ending + 1 + digits, ".h5"))
            continue;
        const char *path = local(f, node, ending), *tmp = local(f, node, ".tmp.h5");
        const char *name = arena_printf(f->arena, "store/%s", entries[i].name);
        const char *what = arena_printf(f->arena, "%s%.*s", node->name, (int)digits + 1, ending);
        bool came = false;
        if (!path || !tmp || !name || !what)
            return error_memory();
        if (!file_exists(path))
            e = bring(f, name, entries[i].bytes, path, tmp, node->key, false, what, &came);
        f->fetched->n_kept += came;
    }
    return e;
}

static struct error *bring_stage_locked(struct fetching *f, const struct plan_stage *s)
{
    const struct graph_node *node = s->node;
    struct remote_entry *entries;
    int n;
    bool came = false;
    const char *stem = mirror_stem(kind_name(node->kind), node->key, f->arena);
    const char *out = local(f, node, ".h5"), *tmp = local(f, node, ".tmp.h5");
    if (!stem || !out || !tmp)
        return error_memory();
    struct error *e = remote_list(f->remote, "store", stem, f->arena, &entries, &n);
    if (!e)
        e = bring_kept(f, node, entries, n, stem); // first: a stage whose result is here is not asked for again
    const struct remote_entry *result = e ? NULL : find(entries, n, stem, ".h5");
    if (result) {
        const char *name = arena_printf(f->arena, "store/%s", result->name);
        e = name ? bring(f, name, result->bytes, out, tmp, node->key, true, node->name, &came) : error_memory();
        f->fetched->n_results += came;
    }
    if (!e && !came)
        e = bring_checkpoint(f, s, entries, n, stem);
    return e;
}

static struct error *bring_stage(struct fetching *f, const struct plan_stage *s)
{
    struct lock lock = {.fd = -1};
    struct lock_holder holder;
    const char *path = stage_lock_path(f->plan, s->node, f->arena);
    struct error *e = path ? lock_take(&lock, path, "retort run --from", &holder) : error_memory();
    if (!e && lock.taken) // else who has it makes the result
        e = bring_stage_locked(f, s);
    lock_release(&lock, true);
    return e;
}

// NNNN of "NNNN.h5"; 0: it is no record, or one that another machine's kept its name from.
static int number_of(const char *file)
{
    size_t digits = strspn(file, "0123456789");
    return digits >= 4 && digits <= 6 && !strcmp(file + digits, ".h5") ? atoi(file) : 0;
}

static int by_number(const void *a, const void *b)
{
    int x = number_of(((const struct remote_entry *)a)->name), y = number_of(((const struct remote_entry *)b)->name);
    return (x < y) - (x > y);
}

static struct error *bring_records(struct fetching *f)
{
    const char *name = f->plan->graph->recipe->name, *results = f->plan->results;
    const char *folder = arena_printf(f->arena, "runs/%s", name), *here = arena_printf(f->arena, "%s/runs/%s", results, name);
    struct remote_entry *entries;
    int n;
    if (!folder || !here)
        return error_memory();
    struct error *e = folder_make(here);
    if (!e)
        e = remote_list(f->remote, folder, "", f->arena, &entries, &n);
    if (!e && n)
        qsort(entries, (size_t)n, sizeof *entries, by_number);
    for (int i = 0; !e && i < n && i < RECORDS_MOST && number_of(entries[i].name); i++) {
        int number = number_of(entries[i].name);
        const char *path = run_path(f->arena, results, name, number), *gone = run_forgotten_path(f->arena, results, name, number);
        const char *there = arena_printf(f->arena, "%s/%s", folder, entries[i].name),
                   *tmp = arena_printf(f->arena, "%s/%04d.tmp.h5", here, number);
        bool came;
        if (!path || !gone || !there || !tmp)
            return error_memory();
        if (file_exists(path) || file_exists(gone) || entries[i].bytes > RECORD_FILE_BYTES)
            continue;
        e = bring(f, there, entries[i].bytes, path, tmp, NULL, false, arena_printf(f->arena, "record of run %04d", number),
                  &came);
        f->fetched->n_records += came;
    }
    return e;
}

struct error *mirror_fetch(struct mirror_fetched *fetched, const struct plan *plan, const char *address,
                           const struct mirror_hooks *hooks, struct arena *arena)
{
    struct fetching f = {.fetched = fetched, .plan = plan, .hooks = hooks, .arena = arena};
    const char *store = arena_printf(arena, "%s/store", plan->results);
    *fetched = (struct mirror_fetched){0};
    struct error *e = store ? folder_make(store) : error_memory();
    if (!e)
        e = remote_open(&f.remote, address, arena);
    if (!e)
        e = bring_records(&f); // first: it is small, and shows whether the mirror can be read at all
    for (int i = 0; i < plan->n_stages && !e; i++) {
        const struct plan_stage *s = &plan->stages[i];
        if (s->state != PLAN_CACHED && s->node->key && kind_is_word(s->node->kind))
            e = bring_stage(&f, s);
        if (!e && stop_requested())
            e = error_stopped();
    }
    remote_close(f.remote);
    return e;
}
