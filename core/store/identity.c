// identity.c - a sorted list of lines in memory; one line a path, the newest.
#include "core/store/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/store/atomic.h"

enum { CACHE_LIMIT = 256 << 20 };

static const double SETTLED_S = 2, KEPT_EVERY_S = 1;

struct identity {
    uint64_t dev, inode;
    int64_t size, mtime_ns;
    char hex[SHA256_HEX];
    const char *path; // absolute
    bool is_ours;     // noted by this process
};

struct identities {
    struct arena *arena;
    const char *cache;
    struct identity *all; // by path
    int n, capacity;
    bool is_changed; // since it was written, or read
    double kept_s;   // when that was
};

// Where path stands, or would have to.
static int place_of(const struct identities *ids, const char *path, bool *found)
{
    int low = 0, high = ids->n;
    *found = false;
    while (low < high) {
        int middle = low + (high - low) / 2, order = strcmp(ids->all[middle].path, path);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct error *put(struct identities *ids, const struct identity *identity)
{
    bool found;
    int at = place_of(ids, identity->path, &found);
    if (found) {
        ids->all[at] = *identity;
        return NULL;
    }
    if (ids->n == ids->capacity) {
        int capacity = ids->capacity ? 2 * ids->capacity : 64;
        void *all =
            capacity > INT_MAX / 4 ? NULL : arena_grow(ids->arena, ids->all, (size_t)ids->n, (size_t)capacity, sizeof *ids->all);
        if (!all)
            return error_memory();
        ids->all = all;
        ids->capacity = capacity;
    }
    memmove(&ids->all[at + 1], &ids->all[at], (size_t)(ids->n - at) * sizeof *ids->all);
    ids->all[at] = *identity;
    ids->n++;
    return NULL;
}

static bool is_hex(const char *hex)
{
    return strlen(hex) == SHA256_HEX - 1 && strspn(hex, "0123456789abcdef") == SHA256_HEX - 1;
}

static struct error *take_line(struct identities *ids, const char *line)
{
    struct identity id = {0};
    int at = 0;
    if (sscanf(line, "%" SCNu64 "\t%" SCNu64 "\t%" SCNd64 "\t%" SCNd64 "\t%64[0-9a-f]\t%n", &id.dev, &id.inode, &id.size,
               &id.mtime_ns, id.hex, &at) != 5 ||
        at == 0 || line[at] != '/' || !is_hex(id.hex))
        return NULL;
    id.path = line + at;
    return put(ids, &id);
}

static struct error *load(struct identities *ids)
{
    char *text;
    size_t n_bytes;
    if (!file_exists(ids->cache))
        return NULL;
    struct error *e = file_read(ids->cache, CACHE_LIMIT, ids->arena, &text, &n_bytes);
    if (e && e != error_memory()) {
        error_free(e); // a cache that cannot be read is an empty one
        return NULL;
    }
    for (char *line = text, *end; !e && line && *line; line = end) {
        end = strchr(line, '\n');
        if (!end)
            break; // cut
        *end++ = '\0';
        e = take_line(ids, line);
    }
    return e;
}

struct error *identities_open(struct identities **ids, const char *cache, struct arena *arena)
{
    struct identities *fresh = arena_alloc(arena, sizeof *fresh);
    char *name = arena_strdup(arena, cache);
    if (!fresh || !name)
        return error_memory();
    *fresh = (struct identities){.arena = arena, .cache = name, .kept_s = clock_seconds()};
    struct error *e = load(fresh);
    if (!e)
        *ids = fresh;
    return e;
}

static struct error *look(const char *path, struct identity *id, char full[PATH_MAX])
{
    struct stat st;
    if (!realpath(path, full) || stat(full, &st))
        return error_system(ERROR_DATA, errno, "cannot read '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_plain(ERROR_DATA, "'%s' is not a file", path);
    *id = (struct identity){.dev = st.st_dev,
                            .inode = st.st_ino,
                            .size = st.st_size,
                            .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
                            .path = full};
    return NULL;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return a->dev == b->dev && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static void recall(const struct identities *ids, const struct identity *now, char hex[SHA256_HEX])
{
    bool found;
    int at = place_of(ids, now->path, &found);
    hex[0] = '\0';
    if (found && is_same(&ids->all[at], now))
        memcpy(hex, ids->all[at].hex, SHA256_HEX);
}

struct error *identities_find(struct identities *ids, const char *path, char hex[SHA256_HEX])
{
    char full[PATH_MAX];
    struct identity now;
    struct error *e = look(path, &now, full);
    if (!e)
        recall(ids, &now, hex);
    return e;
}

static size_t print_line(char *to, size_t room, const struct identity *id)
{
    return (size_t)snprintf(to, room, "%" PRIu64 "\t%" PRIu64 "\t%" PRId64 "\t%" PRId64 "\t%s\t%s\n", id->dev, id->inode,
                            id->size, id->mtime_ns, id->hex, id->path);
}

// What the cache says by now, which other processes write too, with what is here and newer, or not there.
static struct error *merge(const struct identities *ids, struct identities *merged)
{
    struct error *e = load(merged);
    for (int i = 0; i < ids->n && !e; i++) {
        const struct identity *here = &ids->all[i];
        bool found;
        int at = place_of(merged, here->path, &found);
        if (!found || (here->is_ours && here->mtime_ns >= merged->all[at].mtime_ns))
            e = put(merged, here);
    }
    return e;
}

static struct error *write_lines(const struct identities *ids)
{
    size_t n = 0, at = 0;
    for (int i = 0; i < ids->n; i++)
        n += print_line(NULL, 0, &ids->all[i]);
    char *text = block_alloc(n + 1);
    if (!text)
        return error_memory();
    for (int i = 0; i < ids->n; i++)
        at += print_line(text + at, n + 1 - at, &ids->all[i]);
    struct error *e = atomic_write(ids->cache, text, n);
    block_free(text);
    return e;
}

static struct error *write_cache(const struct identities *ids)
{
    struct arena scratch = {0};
    struct identities merged = {.arena = &scratch, .cache = ids->cache};
    struct error *e = merge(ids, &merged);
    if (!e)
        e = write_lines(&merged);
    arena_release(&scratch);
    return e;
}

void identity_settle(const char *path)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)(clock_unix() - SETTLED_S) - 1}};
    if (utimensat(AT_FDCWD, path, times, 0))
        errno = 0;
}

void identities_keep(struct identities *ids)
{
    if (ids->is_changed)
        error_free(write_cache(ids));
    ids->is_changed = false;
    ids->kept_s = clock_seconds();
}

static struct error *remember(struct identities *ids, const struct identity *id)
{
    struct identity kept = *id;
    kept.is_ours = true;
    if (strchr(id->path, '\n') || clock_unix() - (double)id->mtime_ns / 1e9 < SETTLED_S)
        return NULL;
    if (!(kept.path = arena_strdup(ids->arena, id->path)))
        return error_memory();
    struct error *e = put(ids, &kept);
    if (e)
        return e;
    ids->is_changed = true;
    if (clock_seconds() - ids->kept_s >= KEPT_EVERY_S)
        identities_keep(ids);
    return NULL;
}

struct error *identities_note(struct identities *ids, const char *path, const char hex[SHA256_HEX])
{
    char full[PATH_MAX];
    struct identity now;
    struct error *e = look(path, &now, full);
    if (e)
        return e;
    memcpy(now.hex, hex, SHA256_HEX);
    return remember(ids, &now);
}

struct error *identities_get(struct identities *ids, const char *path, char hex[SHA256_HEX])
{
    char full[PATH_MAX], full_after[PATH_MAX];
    struct identity now, after;
    struct error *e = look(path, &now, full);
    if (e)
        return e;
    recall(ids, &now, hex);
    if (hex[0])
        return NULL;
    if ((e = sha256_file(full, now.hex)) || (e = look(path, &after, full_after)))
        return e;
    if (!is_same(&now, &after))
        return error_new(ERROR_DATA, NOWHERE, "run again when nothing writes to it", "'%s' changed while it was read", path);
    memcpy(hex, now.hex, SHA256_HEX);
    return remember(ids, &now);
}
