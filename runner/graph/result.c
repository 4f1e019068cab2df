// result.c - damage is an answer here, not an error: the plan says it and makes the result anew.
#include "runner/graph/result.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/store/atomic.h"
#include "core/store/store.h"

static void take_f64(struct store_file *file, const char *name, double *value)
{
    error_free(store_get_f64(file, "/", name, value));
}

static void take_i64(struct store_file *file, const char *name, int64_t *value)
{
    error_free(store_get_i64(file, "/", name, value));
}

static struct error *look_inside(struct result *r, struct store_file *file, const char *key, bool finished, struct arena *arena)
{
    const char *its_key, *state;
    struct error *e = store_get_text(file, "/", "key", arena, &its_key);
    if (e || (e = store_get_text(file, "/", "state", arena, &state)))
        return e;
    if (key && strcmp(key, its_key))
        return error_plain(ERROR_DATA, "it has the key %.16s", its_key);
    if (finished && strcmp(state, "finished"))
        return error_plain(ERROR_DATA, "its state is '%s'", state);
    take_f64(file, "seconds", &r->seconds);
    take_f64(file, "usd", &r->usd);
    take_i64(file, "step", &r->step);
    take_i64(file, "n_steps", &r->n_steps);
    take_i64(file, "n", &r->tokens);
    take_i64(file, "n_rows", &r->rows);
    take_i64(file, "seq_len", &r->seq_len);
    r->optim = store_has(file, "/optim");
    return NULL;
}

struct error *result_look(struct result *result, const char *path, const char *key, bool finished, struct arena *arena)
{
    *result = (struct result){.seconds = NAN, .usd = NAN, .step = -1, .n_steps = -1, .tokens = -1, .rows = -1, .seq_len = -1};
    struct stat s;
    if (stat(path, &s))
        return NULL;
    result->bytes = s.st_size;
    struct store_file *file = NULL;
    struct error *e = store_open(&file, path);
    if (!e)
        e = look_inside(result, file, key, finished, arena);
    store_close(file);
    if (e && e->kind != ERROR_DATA)
        return e;
    result->state = e ? RESULT_DAMAGED : RESULT_WHOLE;
    if (e && !(result->problem = arena_strdup(arena, e->what))) {
        error_free(e);
        return error_memory();
    }
    error_free(e);
    return NULL;
}

// Of a name "KIND-KEY…": whether it is a file of a stage that is read by somebody.
static bool is_read(const char *name)
{
    const char *key, *ending;
    if (key_parse(name, &key, &ending) == KIND_COUNT)
        return false;
    size_t n = strlen(ending);
    return n >= 3 && !strcmp(ending + n - 3, ".h5") && !strstr(ending, ".tmp.h5") && !strstr(ending, ".damaged.h5");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void result_names_release(struct result_names *names)
{
    arena_release(&names->arena);
    *names = (struct result_names){0};
}

struct error *result_names_read(struct result_names *names, const char *results)
{
    struct arena *arena = &names->arena;
    size_t capacity = 0;
    if (names->folder)
        return NULL;
    if (!(names->folder = arena_printf(arena, "%s/store", results)))
        return error_memory();
    DIR *dir = opendir(names->folder);
    if (!dir)
        return errno == ENOENT ? NULL : error_system(ERROR_MACHINE, errno, "cannot read '%s'", names->folder);
    struct error *e = NULL;
    for (const struct dirent *each; !e && (each = readdir(dir));) {
        if (!is_read(each->d_name))
            continue;
        if (names->n == capacity) {
            size_t more = capacity ? 2 * capacity : 64;
            const char **grown = arena_grow(arena, names->names, names->n, more, sizeof *grown);
            if (!grown) {
                e = error_memory();
                break;
            }
            names->names = grown;
            capacity = more;
        }
        if ((names->names[names->n] = arena_strdup(arena, each->d_name)))
            names->n++;
        else
            e = error_memory();
    }
    closedir(dir);
    if (names->n)
        qsort(names->names, names->n, sizeof *names->names, by_name);
    return e;
}

struct error *result_spare(const struct result_names *names, enum stage_kind_id kind, const char *key)
{
    char begin[64];
    size_t n = (size_t)snprintf(begin, sizeof begin, "%s-%.*s", kind_name(kind), KEY_PATH_DIGITS, key), first = 0, end = names->n;
    while (first < end) { // the first name that is not before those of the stage
        size_t middle = first + (end - first) / 2;
        if (strcmp(names->names[middle], begin) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    struct arena scratch = {0};
    struct error *e = NULL;
    for (size_t i = first; !e && i < names->n && !strncmp(names->names[i], begin, n); i++) {
        const char *path = arena_printf(&scratch, "%s/%s", names->folder, names->names[i]);
        e = path ? store_spare(path) : error_memory();
    }
    arena_release(&scratch);
    return e;
}

struct error *result_spare_now(const char *results, enum stage_kind_id kind, const char *key)
{
    struct result_names names = {0};
    struct error *e = result_names_read(&names, results);
    if (!e)
        e = result_spare(&names, kind, key);
    result_names_release(&names);
    return e;
}
