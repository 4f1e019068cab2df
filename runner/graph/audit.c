// audit.c - names first, sorted, then a file at a time: what is read is as long as the disk takes.
#include "runner/graph/audit.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/stop.h"
#include "core/store/store.h"
#include "runner/graph/keys.h"
#include "runner/graph/run_record.h"

struct auditing {
    struct audit_totals *totals;
    void (*told)(void *self, const struct audit_line *line);
    void *self;
    struct arena *arena;
};

struct names {
    const char **names;
    size_t n, capacity;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// What is in a folder, sorted; one that is not there is empty.
static struct error *list(struct names *list, const char *folder, struct arena *arena)
{
    *list = (struct names){0};
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? NULL : error_system(ERROR_MACHINE, errno, "cannot read '%s'", folder);
    struct error *e = NULL;
    for (const struct dirent *each; !e && (each = readdir(dir));) {
        if (each->d_name[0] == '.')
            continue;
        if (list->n == list->capacity) {
            list->capacity = list->capacity ? 2 * list->capacity : 64;
            list->names = arena_grow(arena, list->names, list->n, list->capacity, sizeof *list->names);
        }
        if (!list->names || !(list->names[list->n++] = arena_strdup(arena, each->d_name)))
            e = error_memory();
    }
    closedir(dir);
    if (!e && list->n)
        qsort(list->names, list->n, sizeof *list->names, by_name);
    return e;
}

static bool ends_in(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

static struct error *open_and_verify(struct store_file **file, const char *path)
{
    struct error *e = store_open(file, path);
    return e ? e : store_verify(*file);
}

static struct error *check_stage_file(const char *path, enum stage_kind_id kind, const char *key, bool finished)
{
    static const char fix[] = "somebody renamed it: give it back its name, or move it away";
    struct arena arena = {0};
    struct store_file *file = NULL;
    const char *its_kind, *its_key, *state;
    struct error *e = open_and_verify(&file, path);
    if (!e)
        e = store_get_text(file, "/", "kind", &arena, &its_kind);
    if (!e)
        e = store_get_text(file, "/", "key", &arena, &its_key);
    if (!e)
        e = store_get_text(file, "/", "state", &arena, &state);
    if (!e && (strcmp(its_kind, kind_name(kind)) || strncmp(its_key, key, KEY_PATH_DIGITS)))
        e = error_new(ERROR_DATA, NOWHERE, fix, "'%s' holds another result than its name says: %s-%.16s", path, its_kind,
                      its_key);
    if (!e && finished && strcmp(state, "finished"))
        e = error_new(ERROR_DATA, NOWHERE, "move it away and run again", "'%s' is no finished result: its state is '%s'", path,
                      state);
    store_close(file);
    arena_release(&arena);
    return e;
}

static struct error *check_any(const char *path)
{
    struct store_file *file = NULL;
    struct error *e = open_and_verify(&file, path);
    store_close(file);
    return e;
}

static struct error *check_run(const char *path)
{
    struct arena arena = {0};
    struct run run;
    struct error *e = check_any(path);
    if (!e)
        e = run_read(&run, path, &arena);
    arena_release(&arena);
    return e;
}

// Consumes e. A stop ends the audit; anything else is told.
static struct error *tell(struct auditing *a, const char *path, const char *is, struct error *e)
{
    struct stat s;
    struct audit_line line = {.path = path, .is = is, .bytes = stat(path, &s) ? 0 : (int64_t)s.st_size, .error = e};
    if (e && e->kind == ERROR_STOPPED)
        return e;
    bool read = strcmp(is, "not read");
    bool newer = e && e->kind == ERROR_NOT_BUILT;
    a->totals->n_newer += newer;
    a->totals->n_bad += e && !newer;
    a->totals->n_good += !e && read;
    a->totals->n_not_read += !e && !read;
    a->totals->bytes += !e && read ? line.bytes : 0;
    a->told(a->self, &line);
    error_free(e);
    return NULL;
}

static struct error *audit_stage_file(struct auditing *a, const char *path, const char *name)
{
    const char *key, *ending;
    enum stage_kind_id kind = key_parse(name, &key, &ending);
    bool known = kind != KIND_COUNT && ends_in(name, ".h5") && !ends_in(name, ".tmp.h5"), kept = known && ending[0] == '@';
    bool is_part = known && (!strcmp(ending, ".part.h5") || !strcmp(ending, ".part.prev.h5"));
    if (known && !strcmp(ending, ".h5"))
        return tell(a, path, kind_name(kind), check_stage_file(path, kind, key, true));
    if (!is_part && !kept) // half-written, and what has been found to be damaged already, among them
        return tell(a, path, "not read", NULL);
    const char *is = arena_printf(a->arena, "%s of %s", kept ? "kept weights" : "checkpoint", kind_name(kind));
    return is ? tell(a, path, is, check_stage_file(path, kind, key, false)) : error_memory();
}

static struct error *audit_record(struct auditing *a, const char *path)
{
    struct stat s;
    if (!ends_in(path, ".h5") || ends_in(path, ".tmp.h5"))
        return tell(a, path, "not read", NULL);
    if (!stat(path, &s) && s.st_size == 0)
        return tell(a, path, "run, killed before it began", NULL);
    return tell(a, path, "run", check_run(path));
}

// Each file of a folder; a name that stopped being there meanwhile is told as what it is.
static struct error *each(struct auditing *a, const char *folder, bool is_store)
{
    struct names names;
    struct error *e = list(&names, folder, a->arena);
    for (size_t i = 0; i < names.n && !e; i++) {
        const char *path = arena_printf(a->arena, "%s/%s", folder, names.names[i]);
        struct stat s;
        if (!path)
            e = error_memory();
        else if (!stat(path, &s) && !S_ISREG(s.st_mode))
            e = tell(a, path, "not read", NULL);
        else
            e = is_store ? audit_stage_file(a, path, names.names[i]) : audit_record(a, path);
    }
    return e;
}

struct error *audit(struct audit_totals *totals, const char *results, void (*told)(void *self, const struct audit_line *line),
                    void *self, struct arena *arena)
{
    struct auditing a = {.totals = totals, .told = told, .self = self, .arena = arena};
    const char **names;
    int n_names;
    struct stat s;
    *totals = (struct audit_totals){0};
    const char *store = arena_printf(arena, "%s/store", results), *machine = arena_printf(arena, "%s/machine.h5", results);
    struct error *e = store && machine ? each(&a, store, true) : error_memory();
    if (!e)
        e = run_names(results, arena, &names, &n_names);
    for (int i = 0; !e && i < n_names; i++) {
        const char *folder = arena_printf(arena, "%s/runs/%s", results, names[i]);
        e = folder ? each(&a, folder, false) : error_memory();
    }
    if (!e && !stat(machine, &s))
        e = tell(&a, machine, "machine", check_any(machine));
    return e;
}
