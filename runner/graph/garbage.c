// garbage.c - first every key that somebody needs, sorted; then a walk over the store.
//
// 1. Keys are compared by the 16 digits that file names have, whatever their kind: two results that share them are one to this file.
// 2. What is needed is read out of texts (payloads, job files) by what keys look like: 16 or 64 hexadecimal digits standing alone. That
//    finds too much (hashes of data files), never too little.
// 3. Nothing is removed unless everything that could need it was read.
#include "runner/graph/garbage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/atomic.h"
#include "core/store/store.h"
#include "runner/graph/keys.h"
#include "runner/graph/run_record.h"

enum { JOB_MOST = 64 << 20, KEY_DIGITS = 64 };

struct needed { // keys, 16 digits each
    char (*keys)[GARBAGE_KEY];
    size_t n, capacity;
    struct arena *arena;
    bool failed; // memory ran out
};

struct entry { // a file of the store
    enum stage_kind_id kind;
    char key[GARBAGE_KEY];
    const char *name;
    const char *ending; // in name
    int64_t bytes;
};

struct entries {
    struct entry *all;
    size_t n, capacity;
};

static void need(struct needed *s, const char *key)
{
    if (s->n == s->capacity) {
        size_t more = s->capacity ? 2 * s->capacity : 256;
        void *grown = arena_grow(s->arena, s->keys, s->n, more, sizeof *s->keys);
        if (!grown) {
            s->failed = true;
            return;
        }
        s->keys = grown;
        s->capacity = more;
    }
    memcpy(s->keys[s->n++], key, GARBAGE_KEY);
}

static void need_text(struct needed *s, const char *text)
{
    while (text && *text) {
        size_t digits = strspn(text, "0123456789abcdef");
        if (digits == GARBAGE_KEY || digits == KEY_DIGITS)
            need(s, text);
        text += digits;
        text += strcspn(text, "0123456789abcdef");
    }
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, GARBAGE_KEY);
}

static bool is_needed(const struct needed *s, const char *key)
{
    return s->n && bsearch(key, s->keys, s->n, sizeof *s->keys, by_key);
}

// Of an entry "KIND-KEY.part.h5": kind, key, ending. False for files that are none of ours.
static bool parse_name(struct entry *entry, const char *name)
{
    static const char *const endings[] = {".h5",
                                          ".part.h5",
                                          ".part.prev.h5",
                                          ".tmp.h5",
                                          ".part.tmp.h5",
                                          ".damaged.h5",
                                          ".part.damaged.h5",
                                          ".part.prev.damaged.h5",
                                          ".live",
                                          ".lock",
                                          ".log",
                                          ".job"};
    const char *key;
    entry->kind = key_parse(name, &key, &entry->ending);
    if (entry->kind == KIND_COUNT)
        return false;
    memcpy(entry->key, key, GARBAGE_KEY);
    entry->name = name;
    bool known = false;
    for (size_t i = 0; i < countof(endings); i++)
        known |= !strcmp(entry->ending, endings[i]);
    if (entry->ending[0] == '@') { // kept weights of a step
        size_t digits = strspn(entry->ending + 1, "0123456789");
        const char *rest = entry->ending + 1 + digits;
        known = digits && (!strcmp(rest, ".h5") || !strcmp(rest, ".tmp.h5"));
    }
    return known;
}

static int by_result(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int kinds = (x->kind > y->kind) - (x->kind < y->kind), keys = memcmp(x->key, y->key, GARBAGE_KEY);
    return kinds ? kinds : keys ? keys : strcmp(x->ending, y->ending);
}

static struct error *read_store(struct entries *entries, const char *results, struct arena *arena)
{
    const char *folder = arena_printf(arena, "%s/store", results);
    if (!folder)
        return error_memory();
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? NULL : error_system(ERROR_MACHINE, errno, "cannot read '%s'", folder);
    struct error *e = NULL;
    for (const struct dirent *each; !e && (each = readdir(dir));) {
        struct entry entry = {0};
        struct stat s;
        if (!parse_name(&entry, each->d_name) || fstatat(dirfd(dir), each->d_name, &s, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(s.st_mode))
            continue;
        const char *name = arena_strdup(arena, each->d_name);
        if (entries->n == entries->capacity) {
            size_t more = entries->capacity ? 2 * entries->capacity : 256;
            struct entry *grown = arena_grow(arena, entries->all, entries->n, more, sizeof *grown);
            entries->all = grown ? grown : entries->all;
            entries->capacity = grown ? more : entries->capacity;
        }
        if (!name || entries->n == entries->capacity) {
            e = error_memory();
            break;
        }
        parse_name(&entry, name);
        entry.bytes = s.st_size;
        entries->all[entries->n++] = entry;
    }
    closedir(dir);
    if (entries->n)
        qsort(entries->all, entries->n, sizeof *entries->all, by_result);
    return e;
}

static void need_run(struct needed *s, const struct run *run)
{
    for (int i = 0; i < run->n_stages; i++) {
        if (strlen(run->stages[i].key) >= GARBAGE_KEY)
            need(s, run->stages[i].key);
        need_text(s, run->stages[i].payload);
    }
}

// A record without a byte, whose run is not going on, was left by a crash before its first stage.
static bool is_stillborn(const char *path, const char *lock)
{
    struct stat s;
    return !stat(path, &s) && s.st_size == 0 && !lock_held(lock, NULL);
}

static struct error *need_runs(struct needed *s, struct garbage *g, const char *results, struct arena *arena)
{
    const char **names;
    int n_names, *numbers, n;
    struct error *e = run_names(results, arena, &names, &n_names);
    for (int i = 0; i < n_names && !e; i++) {
        const char *lock = arena_printf(arena, "%s/runs/%s/lock", results, names[i]);
        e = lock ? run_numbers(results, names[i], arena, &numbers, &n) : error_memory();
        for (int k = 0; k < n && !e; k++) {
            struct arena scratch = {0};
            struct run run;
            const char *path = run_path(arena, results, names[i], numbers[k]);
            e = path ? run_read(&run, path, &scratch) : error_memory();
            if (!e) {
                need_run(s, &run);
                g->n_runs++;
            } else if (path && e->kind == ERROR_DATA && is_stillborn(path, lock)) {
                error_free(e);
                e = NULL;
            } else if (path && e->kind == ERROR_DATA) {
                const char *fix = arena_printf(arena, "mend it, or `retort rm %s/%04d` forgets it", names[i], numbers[k]);
                struct error *told =
                    error_new(ERROR_DATA, NOWHERE, fix, "'%s' cannot be read, and so not what its run needs: %s", path, e->what);
                error_free(e);
                e = told;
            }
            if (e && e->kind == ERROR_NOT_BUILT)
                e = error_while(e, NOWHERE, "looking for what the run %s/%04d needs", names[i], numbers[k]);
            arena_release(&scratch);
        }
    }
    return e;
}

static char *store_path(struct arena *arena, const char *results, const char *name)
{
    return arena_printf(arena, "%s/store/%s", results, name);
}

// Stages that run now, and what they read. Token stages of one tokenizer share a lock that has the tokenizer's key in its name, so that a
// held one speaks for the jobs of all token stages.
static struct error *need_running(struct needed *s, const struct entries *entries, const char *results, struct arena *arena)
{
    bool tokens_held = false;
    for (size_t i = 0; i < entries->n; i++) {
        const struct entry *entry = &entries->all[i];
        const char *path = strcmp(entry->ending, ".lock") ? NULL : store_path(arena, results, entry->name);
        if (path && lock_held(path, NULL)) {
            need(s, entry->key);
            tokens_held |= entry->kind == KIND_TOKENS;
        }
    }
    for (size_t i = 0; i < entries->n; i++) {
        const struct entry *entry = &entries->all[i];
        const char *lock = key_path(arena, results, entry->kind, entry->name + strlen(kind_name(entry->kind)) + 1, ".lock");
        if (!lock)
            return error_memory();
        if (strcmp(entry->ending, ".job") || !(entry->kind == KIND_TOKENS ? tokens_held : lock_held(lock, NULL)))
            continue;
        struct arena scratch = {0};
        const char *path = store_path(&scratch, results, entry->name);
        char *text;
        size_t n;
        struct error *e = path ? file_read(path, JOB_MOST, &scratch, &text, &n) : error_memory();
        if (!e)
            need_text(s, text);
        arena_release(&scratch);
        if (e && e->kind != ERROR_DATA && path && !access(path, F_OK))
            return e;
        error_free(e); // gone since: the stage is done
    }
    return NULL;
}

static struct error *need_graph(struct needed *s, const struct graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct graph_node *node = graph->nodes[i];
        if (!node->key)
            return error_new(ERROR_MACHINE, NOWHERE, "fetch what is missing (`retort plan` says what), or leave the recipe out",
                             "what stage '%s' of '%s' needs cannot be known", node->name, graph->recipe->path);
        need_text(s, node->key);
        for (int k = 0; k < node->n_parts; k++)
            need_text(s, node->parts[k].key);
    }
    return NULL;
}

// The number, else as it is.
static void look_f64(struct store_file *file, const char *name, double *value)
{
    error_free(store_get_f64(file, "/", name, value));
}

// What the result says of itself, and which lock it is under.
static struct error *look_inside(struct garbage_result *r, const char *path, const char *results, struct arena *arena)
{
    struct store_file *file = NULL;
    const char *state = NULL, *inputs = NULL, *tokenizer;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_get_text(file, "/", "state", arena, &state);
    if (!e) {
        r->state = state;
        look_f64(file, "seconds", &r->seconds);
        look_f64(file, "usd", &r->usd);
        error_free(store_get_text(file, "/", "inputs", arena, &inputs));
    }
    store_close(file);
    tokenizer = r->kind == KIND_TOKENS && inputs ? strstr(inputs, "\"tokenizer\":\"") : NULL;
    if (tokenizer)
        r->lock = key_path(arena, results, KIND_TOKENS, tokenizer + strlen("\"tokenizer\":\""), ".lock");
    if (e && e->kind != ERROR_DATA)
        return e;
    error_free(e); // damaged: it is garbage all the same
    return r->lock ? NULL : error_memory();
}

// Whether a newer retort wrote a file of a result, be it one that was set aside: then it is not for this one to say that nobody needs it.
static struct error *look_for_newer(bool *newer, const struct entry *first, size_t n, const char *results, struct arena *arena)
{
    *newer = false;
    for (size_t i = 0; i < n && !*newer; i++) {
        size_t length = strlen(first[i].ending);
        if (length < 3 || strcmp(first[i].ending + length - 3, ".h5") || strstr(first[i].ending, ".tmp.h5"))
            continue;
        const char *path = store_path(arena, results, first[i].name);
        struct error *e = path ? store_spare(path) : error_memory();
        if (e && e->kind != ERROR_NOT_BUILT)
            return e;
        *newer = e != NULL;
        error_free(e);
    }
    return NULL;
}

static struct error *make_result(struct garbage_result *r, const struct entry *first, size_t n, const char *results,
                                 struct arena *arena)
{
    static const char *const tellers[] = {".h5", ".part.h5", ".part.prev.h5"};
    *r = (struct garbage_result){.kind = first->kind, .seconds = NAN, .usd = NAN};
    memcpy(r->key, first->key, GARBAGE_KEY);
    r->files = arena_array(arena, n, sizeof *r->files);
    r->lock = key_path(arena, results, r->kind, r->key, ".lock");
    if (!r->files || !r->lock)
        return error_memory();
    for (size_t i = 0; i < n; i++) {
        if (!(r->files[r->n_files] = store_path(arena, results, first[i].name)))
            return error_memory();
        r->n_files++;
        r->bytes += first[i].bytes;
    }
    for (size_t t = 0; t < countof(tellers); t++)
        for (size_t i = 0; i < n && !r->state; i++) {
            struct error *e = strcmp(first[i].ending, tellers[t]) ? NULL : look_inside(r, r->files[i], results, arena);
            if (e)
                return e;
        }
    return NULL;
}

// Says of results which forgotten run they were of; the newest that has them wins.
static struct error *tell_whose(struct garbage *g, const char *name, int number, const struct run *run, struct arena *arena)
{
    struct needed keys = {.arena = arena};
    need_run(&keys, run);
    if (keys.failed)
        return error_memory();
    if (keys.n)
        qsort(keys.keys, keys.n, sizeof *keys.keys, by_key);
    for (int i = 0; i < g->n_results; i++) {
        struct garbage_result *r = &g->results[i];
        if (!is_needed(&keys, r->key))
            continue;
        r->run = name;
        r->number = number;
        r->stage = NULL;
        for (int k = 0; k < run->n_stages; k++)
            if (!strncmp(run->stages[k].key, r->key, GARBAGE_KEY) && !(r->stage = arena_strdup(arena, run->stages[k].name)))
                return error_memory();
    }
    return NULL;
}

static struct error *add_forgotten(struct garbage *g, const char *path, struct arena *arena)
{
    if (!(g->n_forgotten & (g->n_forgotten + 1))) { // 0, 1, 3, 7 ...: room for as many again and one
        g->forgotten =
            arena_grow(arena, g->forgotten, (size_t)g->n_forgotten, 2 * (size_t)g->n_forgotten + 1, sizeof *g->forgotten);
        if (!g->forgotten)
            return error_memory();
    }
    g->forgotten[g->n_forgotten++] = path;
    return NULL;
}

static struct error *read_forgotten_of(struct garbage *g, const char *results, const char *name, struct arena *arena)
{
    int *numbers, n, n_logs;
    const char **logs;
    struct error *e = run_forgotten(results, name, arena, &numbers, &n);
    for (int k = 0; k < n && !e; k++) {
        struct arena scratch = {0};
        struct run run;
        const char *path = run_forgotten_path(arena, results, name, numbers[k]);
        e = path ? run_read(&run, path, &scratch) : error_memory();
        if (!e)
            e = tell_whose(g, name, numbers[k], &run, arena);
        arena_release(&scratch);
        bool newer = e && e->kind == ERROR_NOT_BUILT;
        if (e && (e->kind == ERROR_DATA || newer)) { // it tells nothing, then
            error_free(e);
            e = NULL;
        }
        if (!e && !newer && k + 1 < n) // the newest keeps its number from being used again
            e = add_forgotten(g, path, arena);
    }
    if (!e)
        e = run_logs_left(results, name, arena, &logs, &n_logs);
    for (int k = 0; !e && k < n_logs; k++)
        e = add_forgotten(g, logs[k], arena);
    return e;
}

static struct error *read_forgotten(struct garbage *g, const char *results, struct arena *arena)
{
    const char **names;
    int n_names;
    struct error *e = run_names(results, arena, &names, &n_names);
    for (int i = 0; i < n_names && !e; i++)
        e = read_forgotten_of(g, results, names[i], arena);
    return e;
}

static int by_owner(const void *a, const void *b)
{
    const struct garbage_result *x = a, *y = b;
    if (!x->run != !y->run)
        return !x->run - !y->run;
    int order = x->run ? strcmp(x->run, y->run) : 0;
    if (!order)
        order = (x->number > y->number) - (x->number < y->number);
    if (!order)
        order = strcmp(x->stage ? x->stage : "", y->stage ? y->stage : "");
    if (!order)
        order = (x->kind > y->kind) - (x->kind < y->kind);
    return order ? order : strcmp(x->key, y->key);
}

struct error *garbage_find(struct garbage *g, const char *results, const struct graph *const *graphs, int n_graphs,
                           struct arena *arena)
{
    struct needed needed = {.arena = arena};
    struct entries entries = {0};
    *g = (struct garbage){0};
    struct error *e = need_runs(&needed, g, results, arena);
    if (!e)
        e = read_store(&entries, results, arena);
    if (!e)
        e = need_running(&needed, &entries, results, arena);
    for (int i = 0; i < n_graphs && !e; i++)
        e = need_graph(&needed, graphs[i]);
    if (e)
        return e;
    if (needed.failed || !(g->results = arena_array(arena, entries.n + 1, sizeof *g->results)))
        return error_memory();
    if (needed.n)
        qsort(needed.keys, needed.n, sizeof *needed.keys, by_key);
    for (size_t i = 0, next; i < entries.n && !e; i = next) {
        const struct entry *first = &entries.all[i];
        int64_t bytes = 0;
        for (next = i; next < entries.n && entries.all[next].kind == first->kind && !by_key(entries.all[next].key, first->key);
             next++)
            bytes += entries.all[next].bytes;
        if (is_needed(&needed, first->key)) {
            g->n_kept++;
            g->kept_bytes += bytes;
            continue;
        }
        bool newer;
        if ((e = look_for_newer(&newer, first, next - i, results, arena)))
            return e;
        if (newer) {
            g->n_newer++;
            g->newer_bytes += bytes;
            continue;
        }
        e = make_result(&g->results[g->n_results++], first, next - i, results, arena);
        g->bytes += bytes;
    }
    if (!e)
        e = read_forgotten(g, results, arena);
    if (g->n_results)
        qsort(g->results, (size_t)g->n_results, sizeof *g->results, by_owner);
    return e;
}

void garbage_unlock(struct garbage_locks *locks)
{
    for (int i = 0; i < locks->n; i++)
        lock_release(&locks->locks[i], true);
    locks->n = 0;
}

// A run that is going on must have written what it needs.
static struct error *check_running(const char *results, const char *name, const struct lock_holder *holder, struct arena *arena)
{
    struct run run;
    struct error *e = run_newest(&run, results, name, arena);
    if (e || (run.number && !strcmp(run.state, "running")))
        return e;
    return lock_error(arena_printf(arena, "'%s/runs/%s'", results, name), holder, name);
}

struct error *garbage_lock(struct garbage_locks *locks, const char *results, struct arena *arena)
{
    const char **names;
    int n_names;
    *locks = (struct garbage_locks){0};
    struct error *e = run_names(results, arena, &names, &n_names);
    if (e)
        return e;
    if (!(locks->locks = arena_array(arena, (size_t)n_names + 1, sizeof *locks->locks)))
        return error_memory();
    for (int i = 0; i < n_names && !e; i++) {
        struct lock_holder holder = {0};
        const char *path = arena_printf(arena, "%s/runs/%s/lock", results, names[i]);
        const char *folder = arena_printf(arena, "%s/runs/%s", results, names[i]);
        struct stat s;
        if (folder && (stat(folder, &s) || !S_ISDIR(s.st_mode)))
            continue;
        e = path && folder ? lock_take(&locks->locks[locks->n], path, "retort gc", &holder) : error_memory();
        if (!e && locks->locks[locks->n].taken)
            locks->n++;
        else if (!e)
            e = check_running(results, names[i], &holder, arena);
    }
    if (e)
        garbage_unlock(locks);
    return e;
}

// Under its lock, whose file goes last.
static struct error *remove_result(struct garbage_result *r)
{
    struct lock lock;
    struct error *e = lock_take(&lock, r->lock, "retort gc", NULL);
    if (e)
        return e;
    if (!lock.taken) {
        r->busy = true;
        return NULL;
    }
    for (int i = 0; i < r->n_files && !e; i++)
        if (strcmp(r->files[i], r->lock) && unlink(r->files[i]) && errno != ENOENT)
            e = error_system(ERROR_MACHINE, errno, "cannot remove '%s'", r->files[i]);
    lock_release(&lock, true);
    r->removed = !e;
    return e;
}

struct error *garbage_remove(struct garbage *g)
{
    struct error *e = NULL;
    for (int i = 0; i < g->n_results && !e; i++)
        e = remove_result(&g->results[i]);
    for (int i = 0; i < g->n_forgotten && !e; i++)
        if (unlink(g->forgotten[i]) && errno != ENOENT)
            e = error_system(ERROR_MACHINE, errno, "cannot remove '%s'", g->forgotten[i]);
    return e;
}
