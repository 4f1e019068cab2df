// open.c - is this one of our files, and what is in it? Names, attributes, types and places of datasets.
//
// Idea  the first 48 bytes are looked at before HDF5 is let near the file, so that "not HDF5" and "cut short" are told apart. What
//       HDF5 then says is checked again: a dataset counts only where it is contiguous, inside this file, reached by hard links, of a
//       type in our table, and as large as its dimensions say.
#include "core/store/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Superblock of versions 2 and 3: signature 8, version 1, offset size 1, length size 1, flags 1, base 8, extension 8, end 8, root 8,
// checksum 4. Source: HDF5 File Format Specification 3.0, section II.A
enum { SUPERBLOCK = 48, END_AT = 28 };

static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};

static struct error *look_at_start(struct store_file *f)
{
    unsigned char start[SUPERBLOCK] = {0};
    struct stat st;
    if (fstat(f->fd, &st))
        return error_system(ERROR_MACHINE, errno, "cannot read '%s'", f->path);
    if (!S_ISREG(st.st_mode))
        return error_plain(ERROR_DATA, "'%s' is not a file", f->path);
    f->n_bytes = st.st_size;
    int64_t n = f->n_bytes < SUPERBLOCK ? f->n_bytes : SUPERBLOCK;
    struct error *e = read_all(f->fd, f->path, start, n, 0);
    if (e)
        return e;
    if (n == 0 || memcmp(start, signature, (size_t)(n < 8 ? n : 8)))
        return error_new(ERROR_DATA, NOWHERE, "is it the right file?", "'%s' is %s, not HDF5", f->path,
                         n ? "another kind of file" : "empty");
    if (n < SUPERBLOCK)
        return error_new(ERROR_DATA, NOWHERE, store_damaged_fix, "'%s' is cut short: it has %lld bytes", f->path, (long long)n);
    if ((start[8] != 2 && start[8] != 3) || start[9] != 8)
        return NULL; // another layout of HDF5: not one of ours, as its missing retort_format will say
    uint64_t end;
    memcpy(&end, start + END_AT, sizeof end);
    if (end > (uint64_t)f->n_bytes)
        return error_new(ERROR_DATA, NOWHERE, store_damaged_fix, "'%s' is cut short: it has %lld of %llu bytes", f->path,
                         (long long)f->n_bytes, (unsigned long long)end);
    if (end < (uint64_t)f->n_bytes)
        return error_new(ERROR_DATA, NOWHERE, store_damaged_fix, "'%s' is damaged: it has %lld bytes where it should have %llu",
                         f->path, (long long)f->n_bytes, (unsigned long long)end);
    return NULL;
}

static struct error *open_hdf5(struct store_file *f)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0)
        return hdf5_error(ERROR_MACHINE, NULL, "cannot open '%s'", f->path);
    // No file locks: a finished file never changes, and some network file systems have none.
    if (H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 && H5Pset_file_locking(access, false, true) >= 0)
        f->id = H5Fopen(f->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return f->id < 0 ? hdf5_error(ERROR_DATA, store_damaged_fix, "'%s' is damaged", f->path) : NULL;
}

static struct error *check_format(struct store_file *f)
{
    htri_t has = H5Aexists(f->id, "retort_format");
    if (has < 0)
        return hdf5_error(ERROR_DATA, store_damaged_fix, "'%s' is damaged", f->path);
    if (!has)
        return error_new(ERROR_DATA, NOWHERE, "is it the right file?",
                         "'%s' is an HDF5 file, but not a result of retort: it has no retort_format", f->path);
    int64_t format;
    struct error *e = store_get_i64(f, "/", "retort_format", &format);
    if (e)
        return e;
    if (format > STORE_FORMAT)
        return error_new(ERROR_NOT_BUILT, NOWHERE,
                         "take the retort that wrote it, or another folder with --results; or remove the file yourself",
                         "'%s' is of format %lld, written by a newer retort; this one reads up to %d", f->path, (long long)format,
                         STORE_FORMAT);
    return format < 1 ? error_plain(ERROR_DATA, "'%s' has the impossible format %lld", f->path, (long long)format) : NULL;
}

// Of a file that cannot be opened: whether that is so because of what is there, or is not. Else it may be a good one.
static bool says_what_it_is(int err)
{
    return err == ENOENT || err == ENOTDIR || err == ELOOP || err == ENXIO || err == ENAMETOOLONG || err == EISDIR;
}

struct error *store_open(struct store_file **file, const char *path)
{
    hdf5_quiet();
    *file = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe of that name must not make us wait
    if (fd < 0)
        return error_system(says_what_it_is(errno) ? ERROR_DATA : ERROR_MACHINE, errno, "cannot open '%s'", path);
    struct store_file *f = block_alloc(sizeof *f);
    if (!f) {
        close(fd);
        return error_memory();
    }
    *f = (struct store_file){.id = -1, .fd = fd};
    f->path = arena_strdup(&f->arena, path);
    struct error *e = f->path ? look_at_start(f) : error_memory();
    if (!e)
        e = open_hdf5(f);
    if (!e)
        e = check_format(f);
    if (e) {
        store_close(f);
        return e;
    }
    *file = f;
    return NULL;
}

void store_detach(struct store_file *f)
{
    hdf5_quiet();
    if (f->id >= 0)
        H5Fclose(f->id);
    if (f->fd >= 0)
        close(f->fd);
    H5Eclear2(H5E_DEFAULT);
    f->id = f->fd = -1;
    f->there[0] = f->described.path[0] = '\0';
}

void store_close(struct store_file *f)
{
    if (!f)
        return;
    store_detach(f);
    if (f->map)
        munmap(f->map, (size_t)f->n_bytes);
    arena_release(&f->arena);
    block_free(f);
}

// Whether path leads to an object of this file by hard links alone: soft and external ones could lead into circles or elsewhere.
static bool is_there(struct store_file *f, const char *path)
{
    char part[STORE_PATH];
    size_t n = strlen(path), same = 0;
    if (path[0] != '/' || n >= sizeof part)
        return false;
    while (same < n && path[same] == f->there[same])
        same++;
    for (size_t i = 2; i <= n; i++) {
        bool known = i <= same && (f->there[i] == '/' || f->there[i] == '\0');
        if ((path[i] != '/' && path[i] != '\0') || known)
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        H5L_info_t link;
        htri_t exists = H5Lexists(f->id, part, H5P_DEFAULT);
        if (exists <= 0 || H5Lget_info(f->id, part, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) {
            H5Eclear2(H5E_DEFAULT);
            return false;
        }
        memcpy(f->there, part, i + 1);
    }
    return true;
}

bool store_has(struct store_file *f, const char *path)
{
    hdf5_quiet();
    return is_there(f, path);
}

static struct error *missing(const struct store_file *f, const char *path)
{
    return error_plain(ERROR_DATA, "'%s' has no '%s'", f->path, path);
}

// Opens the scalar attribute and gives its type; both are the caller's to close where there is no error.
static struct error *open_attribute(struct store_file *f, const char *object, const char *name, hid_t *id, hid_t *type)
{
    hdf5_quiet();
    if (!is_there(f, object))
        return missing(f, object);
    htri_t exists = H5Aexists_by_name(f->id, object, name, H5P_DEFAULT);
    if (exists == 0)
        return error_plain(ERROR_DATA, "'%s' of '%s' has no attribute '%s'", object, f->path, name);
    *id = exists < 0 ? -1 : H5Aopen_by_name(f->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    *type = *id < 0 ? -1 : H5Aget_type(*id);
    hid_t space = *id < 0 ? -1 : H5Aget_space(*id);
    hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    if (space >= 0)
        H5Sclose(space);
    if (*type >= 0 && n == 1)
        return NULL;
    if (*type >= 0)
        H5Tclose(*type);
    if (*id >= 0)
        H5Aclose(*id);
    return hdf5_error(ERROR_DATA, store_damaged_fix, "attribute '%s' of '%s' in '%s' cannot be read", name, object, f->path);
}

static struct error *close_attribute(struct store_file *f, const char *object, const char *name, hid_t id, hid_t type,
                                     bool is_kind, bool good)
{
    struct error *e = NULL;
    if (!is_kind)
        e = error_plain(ERROR_DATA, "attribute '%s' of '%s' in '%s' is of another type", name, object, f->path);
    else if (!good)
        e = hdf5_error(ERROR_DATA, store_damaged_fix, "attribute '%s' of '%s' in '%s' cannot be read", name, object, f->path);
    H5Tclose(type);
    H5Aclose(id);
    return e;
}

struct error *store_get_text(struct store_file *f, const char *object, const char *name, struct arena *arena, const char **text)
{
    hid_t id, type;
    struct error *e = open_attribute(f, object, name, &id, &type);
    if (e)
        return e;
    bool is_kind = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && H5Tget_size(type) <= (size_t)f->n_bytes;
    char *to = is_kind ? arena_alloc(arena, H5Tget_size(type) + 1) : NULL;
    if (is_kind && !to)
        e = error_memory();
    e = error_first(e, close_attribute(f, object, name, id, type, is_kind, !to || H5Aread(id, type, to) >= 0));
    if (!e)
        *text = to;
    return e;
}

struct error *store_get_i64(struct store_file *f, const char *object, const char *name, int64_t *value)
{
    hid_t id, type;
    struct error *e = open_attribute(f, object, name, &id, &type);
    if (e)
        return e;
    int64_t read = 0;
    bool is_kind = H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) <= sizeof read;
    e = close_attribute(f, object, name, id, type, is_kind, is_kind && H5Aread(id, H5T_NATIVE_INT64, &read) >= 0);
    if (!e)
        *value = read;
    return e;
}

struct error *store_get_f64(struct store_file *f, const char *object, const char *name, double *value)
{
    hid_t id, type;
    struct error *e = open_attribute(f, object, name, &id, &type);
    if (e)
        return e;
    double read = 0;
    bool is_kind = H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) <= sizeof read;
    e = close_attribute(f, object, name, id, type, is_kind, is_kind && H5Aread(id, H5T_NATIVE_DOUBLE, &read) >= 0);
    if (!e)
        *value = read;
    return e;
}

bool hdf5_plain_type(hid_t type, enum store_type *found, size_t *text_bytes)
{
    *text_bytes = 0;
    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0) {
        *found = STORE_TEXT;
        *text_bytes = H5Tget_size(type);
        return *text_bytes > 0;
    }
    for (int t = STORE_U8; t <= STORE_F64; t++) {
        hid_t ours = hdf5_type(&(struct store_set){.type = (enum store_type)t});
        htri_t same = H5Tequal(type, ours);
        H5Tclose(ours);
        if (same > 0) {
            *found = (enum store_type)t;
            return true;
        }
    }
    return false;
}

static bool describe_type(hid_t type, struct store_set *set)
{
    if (H5Tget_class(type) != H5T_COMPOUND)
        return hdf5_plain_type(type, &set->type, &set->text_bytes);
    set->type = STORE_TABLE;
    set->row_bytes = H5Tget_size(type);
    set->n_members = H5Tget_nmembers(type);
    return set->row_bytes > 0 && set->n_members > 0;
}

static bool describe_space(hid_t space, struct store_set *set, int64_t *n_items)
{
    hsize_t dims[STORE_DIMS];
    int n_dims = H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : -1;
    if (n_dims < 1 || n_dims > STORE_DIMS || H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        return false;
    *n_items = 1;
    for (int i = 0; i < n_dims; i++) {
        if (dims[i] > INT64_MAX || __builtin_mul_overflow(*n_items, (int64_t)dims[i], n_items))
            return false;
        set->dims[i] = (int64_t)dims[i];
    }
    set->n_dims = n_dims;
    return true;
}

struct error *hdf5_describe(struct store_file *f, hid_t data, const char *path, struct store_set *set, int64_t *offset,
                            int64_t *bytes)
{
    struct store_set found = {0};
    int64_t n_items = 0, n_bytes = 0;
    hid_t type = H5Dget_type(data), space = H5Dget_space(data), creation = H5Dget_create_plist(data);
    bool known = type >= 0 && describe_type(type, &found);
    bool sized = space >= 0 && describe_space(space, &found, &n_items);
    bool plain = creation >= 0 && H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_external_count(creation) == 0;
    if (creation >= 0)
        H5Pclose(creation);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    size_t item = found.type == STORE_TABLE ? found.row_bytes : store_type_bytes(found.type, found.text_bytes);
    if (!known || !sized || !plain || item > INT64_MAX || __builtin_mul_overflow(n_items, (int64_t)item, &n_bytes))
        return hdf5_error(ERROR_DATA, NULL, "'%s' of '%s' is not laid out as retort does it", path, f->path);
    haddr_t at = n_bytes ? H5Dget_offset(data) : 0;
    if (at == HADDR_UNDEF || at > (haddr_t)f->n_bytes || n_bytes > f->n_bytes - (int64_t)at)
        return hdf5_error(ERROR_DATA, store_damaged_fix, "'%s' of '%s' reaches beyond the end of the file", path, f->path);
    *set = found;
    *offset = (int64_t)at;
    *bytes = n_bytes;
    return NULL;
}

struct error *hdf5_open_dataset(struct store_file *f, const char *path, hid_t *data)
{
    if (!is_there(f, path))
        return missing(f, path);
    *data = H5Dopen2(f->id, path, H5P_DEFAULT);
    if (*data >= 0)
        return NULL;
    H5O_info_t info; // dear, and so asked for only where something is wrong
    struct error *e = hdf5_error(ERROR_DATA, store_damaged_fix, "cannot open '%s' of '%s'", path, f->path);
    if (H5Oget_info_by_name(f->id, path, &info, H5P_DEFAULT) < 0 || info.type == H5O_TYPE_DATASET) {
        H5Eclear2(H5E_DEFAULT);
        return e;
    }
    error_free(e);
    return error_plain(ERROR_DATA, "'%s' of '%s' is not a dataset", path, f->path);
}

struct error *store_describe(struct store_file *f, const char *path, struct store_set *set, int64_t *offset, int64_t *bytes)
{
    hid_t data;
    hdf5_quiet();
    if (!f->described.path[0] || strcmp(f->described.path, path)) {
        f->described.path[0] = '\0';
        struct error *e = hdf5_open_dataset(f, path, &data);
        if (e)
            return e;
        e = hdf5_describe(f, data, path, &f->described.set, &f->described.offset, &f->described.bytes);
        H5Dclose(data);
        if (e)
            return e;
        strcpy(f->described.path, path); // it is there, and so no longer than that
    }
    *set = f->described.set;
    *offset = f->described.offset;
    *bytes = f->described.bytes;
    return NULL;
}

struct names {
    struct arena *arena;
    const char **names;
    int n, capacity;
    bool failed;
};

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *self)
{
    (void)group;
    (void)info;
    struct names *list = self;
    if (list->n == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 16;
        void *grown = capacity > INT_MAX / 4
                          ? NULL
                          : arena_grow(list->arena, list->names, (size_t)list->n, (size_t)capacity, sizeof *list->names);
        if (!grown) {
            list->failed = true;
            return -1;
        }
        list->names = grown;
        list->capacity = capacity;
    }
    list->names[list->n] = arena_strdup(list->arena, name);
    list->failed = !list->names[list->n++];
    return list->failed ? -1 : 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct error *store_list(struct store_file *f, const char *group, struct arena *arena, const char *const **names, int *n_names)
{
    hdf5_quiet();
    if (!is_there(f, group))
        return missing(f, group);
    struct names list = {.arena = arena};
    if (H5Literate_by_name(f->id, group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_name, &list, H5P_DEFAULT) < 0) {
        if (list.failed) {
            H5Eclear2(H5E_DEFAULT);
            return error_memory();
        }
        return hdf5_error(ERROR_DATA, store_damaged_fix, "cannot list '%s' of '%s'", group, f->path);
    }
    if (list.n)
        qsort(list.names, (size_t)list.n, sizeof *list.names, by_bytes);
    *names = list.names;
    *n_names = list.n;
    return NULL;
}
