// save.c - writing a result: HDF5 lays the file out, plain pwrite fills it.
//
// Invariants
// 1. HDF5 never writes contents: it makes groups, attributes and empty contiguous datasets, and closes. It is asked for room only
//    after statvfs has said that there is enough, since it is not to be trusted on a full disk.
// 2. The name X.h5 is touched by the rename alone; whatever fails before leaves X.h5 as it was, and X.tmp.h5 is removed.
// 3. The file's bytes are a function of what is handed in: no times, packed rows, one layout.
//
//     0        superblock, headers      dataset        headers    dataset ...          /checksums    end
//     |--------- gap ----------|--- 4 MiB pieces ---|--- gap ---|--- pieces ---| ... |-- not in it --|
#include "core/store/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "core/base/point.h"
#include "core/store/atomic.h"

// Datasets start at multiples of ALIGNMENT, so that a mapped one can be used as it lies. ROOM_FOR_TABLES: HDF5's headers of an
// ordinary file take some 100 KB. ATTEMPTS, EXACT_ATTEMPTS: see lay_out_until_it_fits. WRITERS: a core copies into the page cache and
// sums at some 2.5 GB/s, and disks are faster; a thread more for every BYTES_A_WRITER.
enum { ALIGNMENT = 64, ROOM_FOR_TABLES = 1 << 20, ATTEMPTS = 8, EXACT_ATTEMPTS = 4, WRITERS = 4, BYTES_A_WRITER = 64 << 20 };

struct extent {
    int64_t offset, bytes;
    int i_set; // -1: between the datasets
};

struct plan {
    const char *path, *tmp, *aside; // aside: the new name of what is called path, or NULL
    const struct store_attribute *attributes;
    int n_attributes;
    const struct store_set *sets;
    int n_sets;

    struct extent *extents; // of the sets with contents, then with the gaps; by offset once sorted
    int n_extents;
    struct extent checksums;
    int64_t n_rows, n_spare, n_bytes; // rows of /checksums, and how many of them too many; size of the file
    struct checksum_row *rows;
    const char **from; // of each row: what is to be written there; NULL: what HDF5 has written
    struct arena arena;
};

struct writing { // of several threads
    struct plan *plan;
    int fd;
    atomic_long next; // row that nobody has begun with
    pthread_mutex_t lock;
    struct error *error; // under the lock
};

static int64_t pieces_of(int64_t bytes)
{
    return bytes / STORE_PIECE + (bytes % STORE_PIECE != 0);
}

static int by_offset(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

// Makes the groups of path: those above it, and with_last path itself.
static bool make_groups(hid_t file, hid_t creation, const char *path, bool with_last, char *scratch)
{
    size_t n = strlen(path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && !(with_last && i == n && n > 1))
            continue;
        memcpy(scratch, path, i);
        scratch[i] = '\0';
        htri_t exists = H5Lexists(file, scratch, H5P_DEFAULT);
        if (exists < 0)
            return false;
        if (exists)
            continue;
        hid_t group = H5Gcreate2(file, scratch, H5P_DEFAULT, creation, H5P_DEFAULT);
        if (group < 0 || H5Gclose(group) < 0)
            return false;
    }
    return true;
}

static hid_t group_creation(void)
{
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    if (creation >= 0 && H5Pset_obj_track_times(creation, false) < 0) {
        H5Pclose(creation);
        return -1;
    }
    return creation;
}

static bool create_dataset(hid_t file, const struct store_set *set, struct extent *extent)
{
    hsize_t dims[STORE_DIMS];
    int64_t n_items, n_bytes;
    if (!store_sizes(set, &n_items, &n_bytes))
        return false;
    for (int i = 0; i < set->n_dims; i++)
        dims[i] = (hsize_t)set->dims[i];
    hid_t type = hdf5_type(set), space = H5Screate_simple(set->n_dims, dims, NULL), data = -1;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    bool good = type >= 0 && space >= 0 && creation >= 0 && H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
                H5Pset_alloc_time(creation, n_items ? H5D_ALLOC_TIME_EARLY : H5D_ALLOC_TIME_LATE) >= 0 &&
                H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 && H5Pset_obj_track_times(creation, false) >= 0;
    if (good)
        data = H5Dcreate2(file, set->path, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    good = data >= 0;
    *extent = (struct extent){.bytes = n_bytes};
    if (good && n_bytes) {
        haddr_t offset = H5Dget_offset(data);
        good = offset != HADDR_UNDEF && offset % ALIGNMENT == 0;
        extent->offset = (int64_t)offset;
    }
    if (data >= 0 && H5Dclose(data) < 0)
        good = false;
    if (creation >= 0)
        H5Pclose(creation);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return good;
}

static bool create_attribute(hid_t file, const struct store_attribute *a)
{
    size_t length = a->type == STORE_TEXT ? strlen(a->text) : 0;
    // HDF5 knows no string of size 0: an empty text is one zero byte.
    struct store_set as_set = {.type = a->type, .text_bytes = length ? length : 1};
    const void *value = a->type == STORE_TEXT ? (const void *)a->text : a->type == STORE_I64 ? (const void *)&a->i64 : &a->f64;
    hid_t object = H5Oopen(file, a->object, H5P_DEFAULT), type = hdf5_type(&as_set), space = H5Screate(H5S_SCALAR), id = -1;
    if (object >= 0 && type >= 0 && space >= 0)
        id = H5Acreate2(object, a->name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = id >= 0 && H5Awrite(id, type, value) >= 0;
    if (id >= 0 && H5Aclose(id) < 0)
        good = false;
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    if (object >= 0)
        H5Oclose(object);
    return good;
}

static hid_t create_file(const char *tmp)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE), file = -1;
    // Version 1.10 of the format: headers carry checksums. The upper bound keeps newer libraries to the same bytes.
    if (access >= 0 && creation >= 0 && H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 &&
        H5Pset_alignment(access, 1, ALIGNMENT) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
        H5Pset_file_locking(access, false, true) >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        file = H5Fcreate(tmp, H5F_ACC_TRUNC, creation, access);
    if (access >= 0)
        H5Pclose(access);
    if (creation >= 0)
        H5Pclose(creation);
    return file;
}

static struct error *fill_layout(struct plan *p, hid_t file, hid_t groups)
{
    size_t longest = 1;
    for (int i = 0; i < p->n_sets; i++)
        longest = strlen(p->sets[i].path) > longest ? strlen(p->sets[i].path) : longest;
    for (int i = 0; i < p->n_attributes; i++)
        longest = strlen(p->attributes[i].object) > longest ? strlen(p->attributes[i].object) : longest;
    char *scratch = arena_alloc(&p->arena, longest + 1);
    if (!scratch)
        return error_memory();
    p->n_extents = 0;
    for (int i = 0; i < p->n_sets; i++) {
        struct extent *extent = &p->extents[p->n_extents];
        if (!make_groups(file, groups, p->sets[i].path, false, scratch) || !create_dataset(file, &p->sets[i], extent))
            return hdf5_error(ERROR_MACHINE, NULL, "cannot lay out '%s' of '%s'", p->sets[i].path, p->path);
        extent->i_set = i;
        p->n_extents += extent->bytes > 0;
    }
    struct store_attribute format = store_i64("/", "retort_format", STORE_FORMAT);
    for (int i = -1; i < p->n_attributes; i++) {
        const struct store_attribute *a = i < 0 ? &format : &p->attributes[i];
        if (!make_groups(file, groups, a->object, true, scratch) || !create_attribute(file, a))
            return hdf5_error(ERROR_MACHINE, NULL, "cannot write attribute '%s' of '%s' in '%s'", a->name, a->object, p->path);
    }
    struct store_set checksums = {.path = STORE_CHECKSUMS,
                                  .type = STORE_TABLE,
                                  .n_dims = 1,
                                  .dims = {p->n_rows},
                                  .members = checksum_members,
                                  .n_members = countof(checksum_members)};
    if (!create_dataset(file, &checksums, &p->checksums))
        return hdf5_error(ERROR_MACHINE, NULL, "cannot lay out the checksums of '%s'", p->path);
    return NULL;
}

// Adds what lies between the datasets to the extents and counts the rows that /checksums must have.
static int64_t add_gaps(struct plan *p)
{
    int n_sets = p->n_extents;
    p->extents[p->n_extents++] = p->checksums;
    qsort(p->extents, (size_t)p->n_extents, sizeof *p->extents, by_offset);
    int64_t at = 0, n_rows = 0;
    for (int i = 0; i <= n_sets + 1; i++) {
        int64_t end = i <= n_sets ? p->extents[i].offset : p->n_bytes;
        if (end > at) {
            p->extents[p->n_extents++] = (struct extent){.offset = at, .bytes = end - at, .i_set = -1};
            n_rows += pieces_of(end - at);
        }
        if (i <= n_sets) {
            at = end + p->extents[i].bytes;
            if (p->extents[i].offset != p->checksums.offset)
                n_rows += pieces_of(p->extents[i].bytes);
        }
    }
    qsort(p->extents, (size_t)p->n_extents, sizeof *p->extents, by_offset);
    return n_rows;
}

static struct error *lay_out(struct plan *p)
{
    hid_t file = create_file(p->tmp), groups = group_creation();
    struct error *e = NULL;
    if (file < 0)
        e = hdf5_error(ERROR_MACHINE, "look at the folder's rights and the disk", "cannot create '%s'", p->tmp);
    else if (groups < 0)
        e = hdf5_error(ERROR_MACHINE, NULL, "cannot create groups in '%s'", p->tmp);
    if (!e)
        e = fill_layout(p, file, groups);
    if (groups >= 0)
        H5Pclose(groups);
    if (file >= 0 && H5Fclose(file) < 0)
        e = error_first(e, hdf5_error(ERROR_MACHINE, "free space on the disk", "cannot write '%s'", p->tmp));
    struct stat st;
    if (!e && stat(p->tmp, &st))
        e = error_system(ERROR_MACHINE, errno, "cannot read '%s'", p->tmp);
    if (!e)
        p->n_bytes = st.st_size;
    return e;
}

// How many gaps there are is known only after the layout, whose table of checksums has a row for each: try, count, try again. The
// number moves little or not at all, since the table is the last thing in the file. It can go back and forth, where a row more or
// less opens or closes the gap before the table: then the larger table is taken, and cut has a use for its spare rows.
static struct error *lay_out_until_it_fits(struct plan *p)
{
    p->n_rows = p->n_sets + 2;
    for (int i = 0; i < p->n_sets; i++) {
        int64_t n_items, n_bytes;
        if (!store_sizes(&p->sets[i], &n_items, &n_bytes))
            return error_plain(ERROR_FAILED, "'%s' of '%s' has an impossible size", p->sets[i].path, p->path);
        p->n_rows += pieces_of(n_bytes);
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct error *e = lay_out(p);
        if (e)
            return e;
        int64_t n_rows = add_gaps(p);
        p->n_spare = p->n_rows - n_rows;
        if (!p->n_spare || (attempt >= EXACT_ATTEMPTS && p->n_spare > 0 && p->n_spare < p->extents[0].bytes))
            return NULL;
        p->n_rows = n_rows;
    }
    return error_plain(ERROR_FAILED, "the layout of '%s' does not settle", p->path);
}

static struct error *no_room(const char *path, double needed, double available)
{
    return error_new(ERROR_MACHINE, NOWHERE, "free space on the disk, or keep results on another one",
                     "no room for '%s': it takes %.1f MB, and %.1f MB are free", path, needed / 1e6, available / 1e6);
}

double store_available(const char *path)
{
    struct arena arena = {0};
    struct statvfs fs;
    const char *folder = folder_of(&arena, path);
    errno = ENOMEM;
    double available = !folder || statvfs(folder, &fs) ? NAN : (double)fs.f_bavail * (double)fs.f_frsize;
    int err = errno;
    arena_release(&arena);
    errno = err;
    return available;
}

// aside NULL: nothing is.
static struct error *set_aside(const char *path, const char *aside)
{
    struct error *e = aside && file_exists(path) ? atomic_publish(path, aside) : NULL;
    if (!e && aside)
        point("store.aside");
    return e;
}

static struct error *look_for_room(struct plan *p)
{
    double needed = ROOM_FOR_TABLES;
    for (int i = 0; i < p->n_sets; i++) {
        int64_t n_items, n_bytes;
        if (store_sizes(&p->sets[i], &n_items, &n_bytes))
            needed += (double)n_bytes;
    }
    for (int i = 0; i < p->n_attributes; i++)
        needed += p->attributes[i].type == STORE_TEXT ? (double)strlen(p->attributes[i].text) : 0;
    double available = store_available(p->tmp);
    if (isnan(available))
        return errno == ENOMEM ? error_memory() : error_system(ERROR_MACHINE, errno, "cannot write '%s'", p->path);
    if (available < needed && p->aside && file_exists(p->path) && file_exists(p->aside)) {
        struct error *e = set_aside(p->path, p->aside);
        p->aside = NULL;
        return e ? e : look_for_room(p);
    }
    return available < needed ? no_room(p->path, needed, available) : NULL;
}

// Contents of a table without the padding of the caller's struct, in the arena.
static char *packed(const struct store_set *set, int64_t n_items, struct arena *arena)
{
    size_t row = store_item_bytes(set);
    char *to = arena_array(arena, (size_t)n_items, row), *at = to;
    if (!to)
        return NULL;
    for (int64_t i = 0; i < n_items; i++)
        for (int m = 0; m < set->n_members; m++) {
            const struct store_member *member = &set->members[m];
            const char *from = (const char *)set->data + (size_t)i * set->row_bytes + member->offset;
            size_t bytes = store_type_bytes(member->type, member->text_bytes);
            // Behind a text's zero there may be anything; what is written depends on the text alone.
            size_t used = member->type == STORE_TEXT ? strnlen(from, bytes) : bytes;
            memcpy(at, from, used);
            at += bytes;
        }
    return to;
}

// Spare rows of the checksums cover the first bytes of the file, which are a gap, one each.
static struct error *cut(struct plan *p, const struct extent *extent, int64_t *n)
{
    const struct store_set *set = extent->i_set >= 0 ? &p->sets[extent->i_set] : NULL;
    int64_t n_items, n_bytes;
    const char *from = set ? set->data : NULL;
    if (set && set->type == STORE_TABLE && (!store_sizes(set, &n_items, &n_bytes) || !(from = packed(set, n_items, &p->arena))))
        return error_memory();
    for (int64_t at = 0; at < extent->bytes; at += STORE_PIECE) {
        const char *piece = set && set->pieces ? set->pieces[at / STORE_PIECE] : from ? from + at : NULL;
        int64_t bytes = extent->bytes - at < STORE_PIECE ? extent->bytes - at : STORE_PIECE;
        int64_t spare = extent->offset + at == 0 ? p->n_spare : 0;
        for (int64_t i = 0; i < spare; i++) {
            p->from[*n] = NULL;
            p->rows[(*n)++] = (struct checksum_row){.offset = (uint64_t)i, .bytes = 1};
        }
        p->from[*n] = piece;
        p->rows[(*n)++] =
            (struct checksum_row){.offset = (uint64_t)(extent->offset + at + spare), .bytes = (uint64_t)(bytes - spare)};
    }
    return NULL;
}

// Writes pieces, or reads those that HDF5 has written, and sums them, until none is left: in as many threads as run this.
static void *write_pieces(void *self)
{
    struct writing *w = self;
    char *scratch = NULL;
    struct error *e = NULL;
    for (int64_t i; !e && (i = atomic_fetch_add(&w->next, 1)) < w->plan->n_rows;) {
        struct checksum_row *row = &w->plan->rows[i];
        const char *from = w->plan->from[i];
        int64_t offset = (int64_t)row->offset, bytes = (int64_t)row->bytes;
        if (from)
            e = file_write(w->fd, w->plan->tmp, from, bytes, offset);
        else if (!scratch && !(scratch = block_alloc(STORE_PIECE)))
            e = error_memory();
        else
            e = read_all(w->fd, w->plan->tmp, scratch, bytes, offset);
        if (!e)
            row->xxh3 = xxh3(from ? from : scratch, (size_t)bytes);
    }
    block_free(scratch);
    if (e) {
        atomic_store(&w->next, w->plan->n_rows); // the others need not go on
        pthread_mutex_lock(&w->lock);
        w->error = error_first(w->error, e);
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

static struct error *write_all_pieces(struct plan *p, int fd)
{
    struct writing w = {.plan = p, .fd = fd};
    pthread_t threads[WRITERS - 1];
    int64_t n_more = p->n_bytes / BYTES_A_WRITER;
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = 0;
    pthread_mutex_init(&w.lock, NULL);
    while (n < WRITERS - 1 && n < n_more && n + 1 < n_cores && !pthread_create(&threads[n], NULL, write_pieces, &w))
        n++;
    write_pieces(&w);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&w.lock);
    return w.error;
}

static struct error *write_contents(struct plan *p, int fd)
{
    int err;
    while ((err = posix_fallocate(fd, 0, p->n_bytes)) == EINTR)
        ; // a request to stop may come right here: saving goes on
    if (err == ENOSPC || err == EDQUOT || err == EFBIG) {
        struct statvfs fs;
        double available = fstatvfs(fd, &fs) ? 0 : (double)fs.f_bavail * (double)fs.f_frsize;
        return no_room(p->path, (double)p->n_bytes, available);
    }
    // Anything else means that this file system cannot reserve; then the writes will tell.
    point("store.reserved");
    p->rows = arena_array(&p->arena, (size_t)p->n_rows, sizeof *p->rows);
    p->from = arena_array(&p->arena, (size_t)p->n_rows, sizeof *p->from);
    struct error *e = p->rows && p->from ? NULL : error_memory();
    int64_t n = 0;
    for (int i = 0; i < p->n_extents && !e; i++)
        if (p->extents[i].offset != p->checksums.offset)
            e = cut(p, &p->extents[i], &n);
    if (!e)
        e = write_all_pieces(p, fd);
    if (!e)
        e = file_write(fd, p->tmp, p->rows, p->checksums.bytes, p->checksums.offset);
    if (!e)
        point("store.written");
    return e;
}

struct error *store_spare(const char *path)
{
    struct store_file *file = NULL;
    struct error *e = file_exists(path) ? store_open(&file, path) : NULL;
    store_close(file);
    if (!e || e->kind == ERROR_NOT_BUILT || e == error_memory())
        return e;
    error_free(e); // damaged, or on a part of the disk that cannot be read: it may be replaced
    return NULL;
}

static struct error *sync_and_close(int fd, const char *tmp)
{
    struct error *e = fsync(fd) ? error_system(ERROR_MACHINE, errno, "cannot write '%s'", tmp) : NULL;
    if (!e)
        point("store.synced");
    if (close(fd) && !e)
        e = error_system(ERROR_MACHINE, errno, "cannot write '%s'", tmp);
    return e;
}

// The file called p->tmp, open; it is not there if that fails.
static struct error *write_tmp(struct plan *p, int *fd)
{
    size_t n = strlen(p->path);
    if (n < 4 || strcmp(p->path + n - 3, ".h5"))
        return error_plain(ERROR_FAILED, "'%s' does not end in '.h5'", p->path);
    struct error *e = store_spare(p->path);
    if (!e && p->aside)
        e = store_spare(p->aside);
    if (e)
        return e;
    p->tmp = arena_printf(&p->arena, "%.*s.tmp.h5", (int)(n - 3), p->path);
    // The sets, as many gaps and one, and the checksums.
    p->extents = arena_array(&p->arena, 2 * ((size_t)p->n_sets + 2), sizeof *p->extents);
    if (!p->tmp || !p->extents)
        return error_memory();
    unlink(p->tmp); // left behind by a crash, it would count as room that is taken
    if ((e = look_for_room(p)))
        return e;
    e = lay_out_until_it_fits(p);
    if (!e)
        point("store.laid_out");
    *fd = e ? -1 : open(p->tmp, O_RDWR | O_CLOEXEC);
    if (!e && *fd < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot open '%s'", p->tmp);
    if (!e)
        e = write_contents(p, *fd);
    if (e && *fd >= 0)
        close(*fd);
    if (e)
        unlink(p->tmp);
    return e;
}

// The file called tmp, open, is closed and gets its name; or it is gone.
static struct error *publish(int fd, const char *tmp, const char *path, const char *aside)
{
    struct error *e = sync_and_close(fd, tmp);
    if (!e)
        e = set_aside(path, aside);
    if (!e)
        e = atomic_rename(tmp, path);
    if (e)
        unlink(tmp);
    else
        point("store.published");
    return e;
}

struct error *store_write(struct store_written *w, const char *path, const struct store_attribute *attributes, int n_attributes,
                          const struct store_set *sets, int n_sets)
{
    struct plan p = {.path = path, .attributes = attributes, .n_attributes = n_attributes, .sets = sets, .n_sets = n_sets};
    *w = (struct store_written){.fd = -1};
    w->path = arena_strdup(&w->arena, path);
    hdf5_quiet();
    struct error *e = w->path ? write_tmp(&p, &w->fd) : error_memory();
    if (!e && !(w->tmp = arena_strdup(&w->arena, p.tmp))) {
        close(w->fd);
        unlink(p.tmp);
        e = error_memory();
    }
    arena_release(&p.arena);
    if (e)
        arena_release(&w->arena);
    return e;
}

struct error *store_publish(struct store_written *w)
{
    struct error *e = publish(w->fd, w->tmp, w->path, NULL);
    arena_release(&w->arena);
    return e;
}

struct error *store_replace(const char *path, const char *aside, const struct store_attribute *attributes, int n_attributes,
                            const struct store_set *sets, int n_sets)
{
    struct plan p = {
        .path = path, .aside = aside, .attributes = attributes, .n_attributes = n_attributes, .sets = sets, .n_sets = n_sets};
    int fd;
    hdf5_quiet();
    struct error *e = write_tmp(&p, &fd);
    if (!e)
        e = publish(fd, p.tmp, p.path, p.aside);
    arena_release(&p.arena);
    return e;
}

struct error *store_save(const char *path, const struct store_attribute *attributes, int n_attributes,
                         const struct store_set *sets, int n_sets)
{
    return store_replace(path, NULL, attributes, n_attributes, sets, n_sets);
}
