// read.c - contents: by pread, by mmap, row by row for tables, and all of it against the checksums.
#include "core/store/store_inside.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/hash.h"
#include "core/base/stop.h"

// A table whose rows are more than WIDEST times narrower than ours is refused from MANY_ROWS rows on.
enum { WIDEST = 64, MANY_ROWS = 1 << 20 };

static struct error *describe_as(struct store_file *f, const char *path, enum store_type type, struct store_set *set,
                                 int64_t *offset, int64_t *bytes)
{
    struct error *e = store_describe(f, path, set, offset, bytes);
    if (!e && set->type != type)
        e = error_plain(ERROR_DATA, "'%s' of '%s' is %s where %s is needed", path, f->path, store_type_name(set->type),
                        store_type_name(type));
    return e;
}

static int64_t count_items(const struct store_set *set)
{
    int64_t n = 1;
    for (int i = 0; i < set->n_dims; i++)
        n *= set->dims[i];
    return n;
}

struct error *store_read(struct store_file *f, const char *path, enum store_type type, int64_t first, int64_t n, void *to)
{
    struct store_set set;
    int64_t offset, bytes;
    struct error *e = describe_as(f, path, type, &set, &offset, &bytes);
    if (e)
        return e;
    int64_t n_items = count_items(&set);
    if (first < 0 || n < 0 || first > n_items || n > n_items - first)
        return error_plain(ERROR_DATA, "'%s' of '%s' has %lld items where %lld from %lld on are needed", path, f->path,
                           (long long)n_items, (long long)n, (long long)first);
    if (n == 0)
        return NULL;
    int64_t item = bytes / n_items;
    return read_all(f->fd, f->path, to, n * item, offset + first * item);
}

struct error *store_map(struct store_file *f, const char *path, enum store_type type, const void **data, int64_t *n_items)
{
    static const char nothing[64];
    struct store_set set;
    int64_t offset, bytes;
    struct error *e = describe_as(f, path, type, &set, &offset, &bytes);
    if (e)
        return e;
    size_t align = type == STORE_TEXT || type == STORE_TABLE ? 1 : store_type_bytes(type, 0);
    if ((uint64_t)offset % align)
        return error_plain(ERROR_DATA, "'%s' of '%s' is not laid out as retort does it", path, f->path);
    if (bytes && !f->map) {
        void *map = mmap(NULL, (size_t)f->n_bytes, PROT_READ, MAP_SHARED, f->fd, 0);
        if (map == MAP_FAILED)
            return error_system(ERROR_MACHINE, errno, "cannot map '%s'", f->path);
        f->map = map;
    }
    *data = bytes ? (const char *)f->map + offset : nothing;
    *n_items = count_items(&set);
    return NULL;
}

// Where a member of the caller's struct lies in a row of the file.
struct source {
    bool found;
    size_t offset, bytes;
};

static struct error *find_member(struct store_file *f, const char *path, hid_t table, const struct store_member *member,
                                 size_t row_bytes, struct source *source)
{
    *source = (struct source){0};
    int i = H5Tget_member_index(table, member->name);
    if (i < 0) {
        H5Eclear2(H5E_DEFAULT);
        return NULL;
    }
    hid_t type = H5Tget_member_type(table, (unsigned)i);
    enum store_type found;
    size_t text_bytes, offset = H5Tget_member_offset(table, (unsigned)i);
    bool same = type >= 0 && hdf5_plain_type(type, &found, &text_bytes) && found == member->type &&
                (found != STORE_TEXT || text_bytes <= member->text_bytes);
    if (type >= 0)
        H5Tclose(type);
    size_t bytes = same ? store_type_bytes(found, text_bytes) : 0;
    if (!same || bytes > row_bytes || offset > row_bytes - bytes)
        return hdf5_error(ERROR_DATA, NULL, "column '%s' of '%s' in '%s' is of another type", member->name, path, f->path);
    *source = (struct source){.found = true, .offset = offset, .bytes = bytes};
    return NULL;
}

static struct error *find_members(struct store_file *f, const char *path, const struct store_member *members, int n_members,
                                  struct store_set *set, int64_t *offset, int64_t *bytes, struct source *sources)
{
    hid_t data;
    hdf5_quiet();
    struct error *e = hdf5_open_dataset(f, path, &data);
    if (e)
        return e;
    e = hdf5_describe(f, data, path, set, offset, bytes);
    if (!e && (set->type != STORE_TABLE || set->n_dims != 1))
        e = error_plain(ERROR_DATA, "'%s' of '%s' is not a table", path, f->path);
    hid_t table = e ? -1 : H5Dget_type(data);
    if (!e && table < 0)
        e = hdf5_error(ERROR_DATA, store_damaged_fix, "cannot read '%s' of '%s'", path, f->path);
    for (int i = 0; i < n_members && !e; i++)
        e = find_member(f, path, table, &members[i], set->row_bytes, &sources[i]);
    if (table >= 0)
        H5Tclose(table);
    H5Dclose(data);
    return e;
}

struct error *store_read_table(struct store_file *f, const char *path, const struct store_member *members, int n_members,
                               size_t row_bytes, struct arena *arena, void **rows, int64_t *n_rows)
{
    struct store_set set;
    int64_t offset, bytes;
    struct source *sources = arena_array(arena, (size_t)n_members, sizeof *sources);
    if (!sources)
        return error_memory();
    struct error *e = find_members(f, path, members, n_members, &set, &offset, &bytes, sources);
    if (e)
        return e;
    // The file bounds its own bytes; rows in memory may be wider, but not so much that a small file asks for all memory.
    int64_t n = set.dims[0];
    if (row_bytes / WIDEST > set.row_bytes && n > MANY_ROWS)
        return error_plain(ERROR_DATA, "'%s' of '%s' has %lld rows of %zu bytes, where %zu are usual", path, f->path,
                           (long long)n, set.row_bytes, row_bytes);
    char *raw = block_alloc((size_t)bytes), *to = arena_array(arena, (size_t)n, row_bytes);
    e = raw && to ? read_all(f->fd, f->path, raw, bytes, offset) : error_memory();
    for (int64_t i = 0; i < n && !e; i++)
        for (int m = 0; m < n_members; m++) {
            if (!sources[m].found)
                continue;
            char *item = to + (size_t)i * row_bytes + members[m].offset;
            memcpy(item, raw + (size_t)i * set.row_bytes + sources[m].offset, sources[m].bytes);
            if (members[m].type == STORE_TEXT)
                item[members[m].text_bytes - 1] = '\0';
        }
    block_free(raw);
    if (e)
        return e;
    *rows = to;
    *n_rows = n;
    return NULL;
}

struct search {
    struct store_file *file;
    int64_t at; // the byte looked for
    char name[256];
    int64_t offset;
};

static herr_t holds_byte(hid_t root, const char *name, const H5O_info_t *info, void *self)
{
    (void)root;
    struct search *search = self;
    if (info->type != H5O_TYPE_DATASET || strlen(name) + 2 > sizeof search->name)
        return 0;
    struct store_set set;
    int64_t offset, bytes;
    char path[sizeof search->name] = "/";
    strcat(path, name);
    struct error *e = store_describe(search->file, path, &set, &offset, &bytes);
    if (e) {
        error_free(e);
        return 0;
    }
    if (search->at < offset || search->at - offset >= bytes)
        return 0;
    strcpy(search->name, path);
    search->offset = offset;
    return 1;
}

static struct error *mismatch(struct store_file *f, int64_t at, int64_t bytes)
{
    struct search search = {.file = f, .at = at};
    herr_t found = H5Ovisit(f->id, H5_INDEX_NAME, H5_ITER_NATIVE, holds_byte, &search);
    H5Eclear2(H5E_DEFAULT);
    if (found > 0)
        return error_new(ERROR_DATA, NOWHERE, store_damaged_fix,
                         "'%s' is damaged: '%s' differs from its checksum in bytes %lld to %lld, at offset %lld of the file",
                         f->path, search.name, (long long)(at - search.offset), (long long)(at - search.offset + bytes - 1),
                         (long long)at);
    return error_new(ERROR_DATA, NOWHERE, store_damaged_fix,
                     "'%s' is damaged: HDF5's own tables differ from their checksum in bytes %lld to %lld of the file", f->path,
                     (long long)at, (long long)(at + bytes - 1));
}

// The datasets of a group, whose bytes alone are wanted.
struct places {
    int64_t *offsets, *bytes;
    int n;
};

static bool is_wanted(const struct places *places, int64_t at)
{
    for (int i = 0; i < places->n; i++)
        if (at >= places->offsets[i] && at - places->offsets[i] < places->bytes[i])
            return true;
    return false;
}

static struct error *find_places(struct store_file *f, const char *group, struct arena *arena, struct places *places)
{
    const char *const *names;
    struct store_set set;
    struct error *e = store_list(f, group, arena, &names, &places->n);
    if (e)
        return e;
    places->offsets = arena_array(arena, (size_t)places->n + 1, sizeof *places->offsets);
    places->bytes = arena_array(arena, (size_t)places->n + 1, sizeof *places->bytes);
    if (!places->offsets || !places->bytes)
        return error_memory();
    for (int i = 0; i < places->n && !e; i++) {
        const char *path = arena_printf(arena, "%s/%s", group, names[i]);
        e = path ? store_describe(f, path, &set, &places->offsets[i], &places->bytes[i]) : error_memory();
    }
    return e;
}

static struct error *verify_rows(struct store_file *f, const struct checksum_row *rows, int64_t n_rows, int64_t own_offset,
                                 int64_t own_bytes, const struct places *places, void *piece)
{
    int64_t at = 0, i = 0;
    while (at < f->n_bytes) {
        if (stop_requested())
            return error_stopped();
        if (at == own_offset) {
            at += own_bytes;
            continue;
        }
        int64_t limit = at < own_offset ? own_offset : f->n_bytes;
        limit = limit - at < STORE_PIECE ? limit - at : STORE_PIECE;
        if (i == n_rows || rows[i].offset != (uint64_t)at || rows[i].bytes == 0 || rows[i].bytes > (uint64_t)limit)
            break;
        int64_t bytes = (int64_t)rows[i].bytes;
        bool read = !places || is_wanted(places, at);
        struct error *e = read ? read_all(f->fd, f->path, piece, bytes, at) : NULL;
        if (e)
            return e;
        if (read && xxh3(piece, (size_t)bytes) != rows[i].xxh3)
            return mismatch(f, at, bytes);
        at += bytes;
        i++;
    }
    if (at != f->n_bytes || i != n_rows)
        return error_new(ERROR_DATA, NOWHERE, store_damaged_fix,
                         "'%s' is damaged: row %lld of " STORE_CHECKSUMS " does not cover byte %lld", f->path, (long long)i,
                         (long long)at);
    return NULL;
}

static struct error *verify(struct store_file *f, const char *group)
{
    struct arena arena = {0};
    struct places places = {0};
    void *rows = NULL, *piece = block_alloc(STORE_PIECE);
    struct store_set set;
    int64_t n_rows = 0, own_offset = 0, own_bytes = 0;
    struct error *e = piece ? NULL : error_memory();
    if (!e)
        e = describe_as(f, STORE_CHECKSUMS, STORE_TABLE, &set, &own_offset, &own_bytes);
    if (!e && set.row_bytes != sizeof(struct checksum_row))
        e = error_new(ERROR_DATA, NOWHERE, store_damaged_fix, "'%s' is damaged: " STORE_CHECKSUMS " has other rows", f->path);
    if (!e)
        e = store_read_table(f, STORE_CHECKSUMS, checksum_members, countof(checksum_members), sizeof(struct checksum_row), &arena,
                             &rows, &n_rows);
    if (!e && group)
        e = find_places(f, group, &arena, &places);
    if (!e)
        e = verify_rows(f, rows, n_rows, own_offset, own_bytes, group ? &places : NULL, piece);
    block_free(piece);
    arena_release(&arena);
    return e;
}

struct error *store_verify(struct store_file *f)
{
    return verify(f, NULL);
}

struct error *store_verify_group(struct store_file *f, const char *group)
{
    return verify(f, group);
}
