// atomic.c - write beside it, fsync, rename, fsync the folder.
//
// Two processes may write the same small file at once. Both would use PATH.tmp, so it is locked while it is written; who gets the lock
// looks whether the name still means the file that was locked, since the one before has renamed it away.
#include "core/store/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/point.h"

const char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == path ? "/" : slash ? arena_strndup(arena, path, (size_t)(slash - path)) : ".";
}

struct error *folder_make(const char *path)
{
    struct arena arena = {0};
    char *part = arena_strdup(&arena, path);
    struct error *e = part ? NULL : error_memory();
    for (char *c = part; !e && *c; c++) {
        // A part ends before a slash and at the end; an empty one is the root or a doubled slash.
        char next = c[1];
        if (*c == '/' || (next != '/' && next != '\0'))
            continue;
        c[1] = '\0';
        if (mkdir(part, 0777) && errno != EEXIST)
            e = errno == ENOENT ? error_new(ERROR_MACHINE, NOWHERE, "put back or mount the folder above it, then run it again",
                                            "cannot make the folder '%s': what is above it is gone", part)
                                : error_system(ERROR_MACHINE, errno, "cannot make the folder '%s'", part);
        c[1] = next;
    }
    struct stat st;
    if (!e && path[0] && (stat(path, &st) || !S_ISDIR(st.st_mode)))
        e = error_system(ERROR_MACHINE, ENOTDIR, "cannot make the folder '%s'", path);
    arena_release(&arena);
    return e;
}

static struct error *sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return error_system(ERROR_MACHINE, errno, "cannot open '%s'", path);
    // Some file systems cannot sync a folder and say EINVAL; there is nothing more to do for them.
    struct error *e = NULL;
    if (fsync(fd) && !(errno == EINVAL && flags))
        e = error_system(ERROR_MACHINE, errno, "cannot write '%s'", path);
    close(fd);
    return e;
}

static struct error *sync_folder_of(const char *path)
{
    struct arena arena = {0};
    const char *folder = folder_of(&arena, path);
    struct error *e = folder ? sync_path(folder, O_DIRECTORY) : error_memory();
    arena_release(&arena);
    return e;
}

struct error *atomic_publish(const char *from, const char *to)
{
    struct error *e = sync_path(from, 0);
    return e ? e : atomic_rename(from, to);
}

struct error *atomic_rename(const char *from, const char *to)
{
    if (rename(from, to))
        return error_system(ERROR_MACHINE, errno, "cannot rename '%s' to '%s'", from, to);
    point("atomic.renamed");
    return sync_folder_of(to);
}

static struct error *open_locked(const char *tmp, int *fd)
{
    for (;;) {
        *fd = open(tmp, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (*fd < 0)
            return error_system(ERROR_MACHINE, errno, "cannot create '%s'", tmp);
        int locked;
        while ((locked = flock(*fd, LOCK_EX)) && errno == EINTR)
            ;
        struct stat ours, named;
        // Where there are no locks the last writer wins.
        if (locked || (!fstat(*fd, &ours) && !stat(tmp, &named) && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev))
            return NULL;
        close(*fd);
    }
}

struct error *file_write(int fd, const char *path, const void *from, int64_t bytes, int64_t offset)
{
    const char *at = from;
    while (bytes > 0) {
        ssize_t n = pwrite(fd, at, (size_t)(bytes < LARGEST_TRANSFER ? bytes : LARGEST_TRANSFER), offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_system(ERROR_MACHINE, n < 0 ? errno : EIO, "cannot write '%s'", path);
        at += n;
        bytes -= n;
        offset += n;
    }
    return NULL;
}

static struct error *write_file(int fd, const char *tmp, const struct atomic_piece *pieces, int n)
{
    if (ftruncate(fd, 0))
        return error_system(ERROR_MACHINE, errno, "cannot write '%s'", tmp);
    struct error *e = NULL;
    int64_t at = 0;
    for (int i = 0; i < n && !e; at += (int64_t)pieces[i++].n_bytes)
        e = file_write(fd, tmp, pieces[i].data, (int64_t)pieces[i].n_bytes, at);
    return e;
}

struct error *atomic_write_pieces(const char *path, const struct atomic_piece *pieces, int n)
{
    struct arena arena = {0};
    char *tmp = arena_printf(&arena, "%s.tmp", path);
    if (!tmp)
        return error_memory();
    int fd;
    struct error *e = open_locked(tmp, &fd);
    if (!e) {
        e = write_file(fd, tmp, pieces, n);
        if (!e)
            point("atomic.written");
        if (!e)
            e = atomic_publish(tmp, path);
        if (e)
            unlink(tmp);
        close(fd);
    }
    arena_release(&arena);
    return e;
}

struct error *atomic_write(const char *path, const void *data, size_t n_bytes)
{
    return atomic_write_pieces(path, &(struct atomic_piece){data, n_bytes}, 1);
}

static struct error *too_large(const char *path, size_t limit)
{
    return error_plain(ERROR_DATA, "'%s' is larger than %zu bytes", path, limit);
}

static struct error *read_growing(int fd, const char *path, size_t limit, char **block, size_t *n_bytes)
{
    size_t capacity = 0, n = 0;
    struct stat st;
    if (fstat(fd, &st))
        return error_system(ERROR_MACHINE, errno, "cannot read '%s'", path);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
        return too_large(path, limit);
    for (;;) {
        if (n == capacity) {
            // One byte more than is expected, which shows the end without growing again.
            capacity = capacity ? 2 * capacity : (size_t)(S_ISREG(st.st_mode) ? st.st_size : 4096) + 1;
            char *grown = block_resize(*block, n, capacity);
            if (!grown)
                return error_memory();
            *block = grown;
        }
        ssize_t got = read(fd, *block + n, capacity - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(ERROR_MACHINE, errno, "cannot read '%s'", path);
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > limit)
            return too_large(path, limit);
    }
    *n_bytes = n;
    return NULL;
}

struct error *file_read(const char *path, size_t limit, struct arena *arena, char **text, size_t *n_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_system(ERROR_MACHINE, errno, "cannot open '%s'", path);
    char *block = NULL;
    size_t n = 0;
    struct error *e = read_growing(fd, path, limit, &block, &n);
    close(fd);
    char *copy = e ? NULL : arena_strndup(arena, block, n);
    if (!e && !copy)
        e = error_memory();
    block_free(block);
    if (e)
        return e;
    *text = copy;
    *n_bytes = n;
    return NULL;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}
