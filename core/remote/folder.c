// folder.c - a mirror that is a folder: another disk, a mounted network drive.
//
// What was written is read back after its pages were dropped from the cache, so that what is compared came from the disk where the
// system lets go of them. The folder itself is made only where the one above it is there, and never again once it was seen: a disk that
// was taken away must not be filled up again in the folder that it was mounted on.
#include "core/remote/remote_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/point.h"
#include "core/store/atomic.h"
#include "core/store/store.h"

enum { PIECE = 1 << 20 };

struct folder {
    const char *path;
    bool seen;
};

static struct error *folder_open(struct remote *r)
{
    struct folder *f = arena_alloc(r->arena, sizeof *f);
    if (!f)
        return error_memory();
    f->path = r->address;
    r->own = f;
    return NULL;
}

static struct error *look(struct folder *f)
{
    struct stat st;
    bool there = stat(f->path, &st) == 0;
    int err = there && !S_ISDIR(st.st_mode) ? ENOTDIR : errno;
    if (there && S_ISDIR(st.st_mode)) {
        f->seen = true;
        return NULL;
    }
    if (!there && err == ENOENT && !f->seen && mkdir(f->path, 0777) == 0) {
        f->seen = true;
        return NULL;
    }
    if (!there && err == ENOENT)
        return error_new(ERROR_MACHINE, NOWHERE,
                         f->seen ? "mount it, or put it back" : "make the folder above it, or mount its disk",
                         "the mirror '%s' %s", f->path, f->seen ? "is gone" : "is not there");
    return error_system(ERROR_MACHINE, err, "cannot use the mirror '%s'", f->path);
}

static char *path_of(const struct remote *r, const char *name, struct arena *arena)
{
    return arena_printf(arena, "%s/%s", r->address, name);
}

static struct error *make_folder(struct remote *r, const char *name)
{
    struct arena arena = {0};
    char *path = path_of(r, name, &arena);
    struct error *e = path ? look(r->own) : error_memory();
    if (!e)
        e = folder_make(path);
    arena_release(&arena);
    return e;
}

static struct error *folder_list(struct remote *r, const char *folder, const char *prefix, struct arena *arena,
                                 struct remote_entry **entries, int *n)
{
    char *path = path_of(r, folder, arena);
    struct error *e = NULL;
    DIR *dir = path ? opendir(path) : NULL;
    struct stat st;
    if (!path)
        return error_memory();
    if (!dir && errno == ENOENT) { // no such folder in a mirror is an empty one; no mirror is an error
        if (stat(r->address, &st))
            return error_system(ERROR_MACHINE, errno, "cannot read the mirror '%s'", r->address);
        return NULL;
    }
    if (!dir)
        return error_system(ERROR_MACHINE, errno, "cannot read the mirror '%s'", path);
    for (const struct dirent *each; !e && (each = readdir(dir));) {
        if (strncmp(each->d_name, prefix, strlen(prefix)) || fstatat(dirfd(dir), each->d_name, &st, 0) || !S_ISREG(st.st_mode))
            continue;
        e = remote_add(arena, entries, n, each->d_name, strlen(each->d_name), st.st_size);
    }
    closedir(dir);
    return e;
}

static struct error *copy(int from, int to, int64_t n, const char *path, const struct remote_watch *watch)
{
    char *piece = block_alloc(PIECE);
    struct error *e = piece ? NULL : error_memory();
    int64_t at = 0;
    while (!e && at < n) {
        int64_t left = n - at;
        ssize_t got = pread(from, piece, left < PIECE ? (size_t)left : PIECE, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            e = got ? error_system(ERROR_MACHINE, errno, "cannot read a file") : error_plain(ERROR_DATA, "a file ends early");
        if (!e)
            e = file_write(to, path, piece, got, at);
        at += got;
        if (!e && !remote_goes_on(watch, at))
            e = error_stopped();
    }
    block_free(piece);
    return e;
}

// Room is taken first, where the file system can do that: a full disk shows before the first byte.
static struct error *take_room(int fd, int64_t n, const char *path)
{
    if (store_available(path) < (double)n) // false where that cannot be told
        return error_system(ERROR_MACHINE, ENOSPC, "cannot write '%s'", path);
    if (n > 0 && fallocate(fd, 0, 0, n) && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return error_system(ERROR_MACHINE, errno, "cannot write '%s'", path);
    return NULL;
}

static struct error *verify(int fd, int64_t n, const char *sha256, const char *path)
{
    char found[SHA256_HEX];
    struct stat st;
    if (fsync(fd) || fstat(fd, &st))
        return error_system(ERROR_MACHINE, errno, "cannot write '%s'", path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (st.st_size != n)
        return error_plain(ERROR_DATA, "'%s' has %lld bytes, not %lld", path, (long long)st.st_size, (long long)n);
    struct error *e = hash_range(fd, 0, n, found, NULL);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (!e && strcmp(found, sha256))
        e = error_plain(ERROR_DATA, "what was read back of '%s' is not what was written", path);
    return e;
}

static struct error *folder_put(struct remote *r, const char *name, int fd, int64_t n, const char *sha256,
                                const struct remote_watch *watch)
{
    struct arena arena = {0};
    char *path = path_of(r, name, &arena), *tmp = path ? remote_temporary(&arena, path) : NULL;
    struct error *e = tmp ? look(r->own) : error_memory();
    int to = e ? -1 : open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (!e && to < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot create '%s'", tmp);
    if (to >= 0) {
        if (!(e = take_room(to, n, path)) && !(e = copy(fd, to, n, path, watch)) && !(e = verify(to, n, sha256, path))) {
            point("remote.copied");
            e = atomic_rename(tmp, path);
        }
        close(to);
        if (e)
            unlink(tmp);
    }
    arena_release(&arena);
    return e;
}

static struct error *folder_get(struct remote *r, const char *name, int fd, int64_t most, const struct remote_watch *watch)
{
    struct arena arena = {0};
    struct stat st;
    char *path = path_of(r, name, &arena);
    int from = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct error *e = !path ? error_memory() : NULL;
    if (!e && from < 0)
        e = error_system(errno == ENOENT ? ERROR_DATA : ERROR_MACHINE, errno, "cannot open '%s'", path);
    else if (!e && (fstat(from, &st) || !S_ISREG(st.st_mode) || st.st_size > most))
        e = error_plain(ERROR_DATA, "'%s' is no file of at most %lld bytes", path, (long long)most);
    if (!e)
        e = copy(from, fd, st.st_size, path, watch);
    if (from >= 0)
        close(from);
    arena_release(&arena);
    return e;
}

static struct error *folder_remove(struct remote *r, const char *name)
{
    struct arena arena = {0};
    char *path = path_of(r, name, &arena);
    struct error *e = !path                             ? error_memory()
                      : unlink(path) && errno != ENOENT ? error_system(ERROR_MACHINE, errno, "cannot remove '%s'", path)
                                                        : NULL;
    arena_release(&arena);
    return e;
}

const struct remote_kind remote_folder = {NULL,        folder_open, NULL,       make_folder,
                                          folder_list, folder_put,  folder_get, folder_remove};
