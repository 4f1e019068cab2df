// workplace.c - folders are emptied from the top: what is in one is moved up, so that no depth is too deep and no path too long.
#include "core/sandbox/workplace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char beginning[] = "retort-python-", work[] = "/work";

enum { TRIES = 3 };

// The folder's own entries, or NULL.
static DIR *list_of(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && !fchmodat(folder, name, 0700, 0))
        fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list && fd >= 0)
        close(fd);
    return list;
}

static const struct dirent *next_of(DIR *list)
{
    const struct dirent *each;
    while ((each = readdir(list)) && (!strcmp(each->d_name, ".") || !strcmp(each->d_name, "..")))
        ;
    return each;
}

static bool drop(int folder, const char *name)
{
    return !unlinkat(folder, name, 0) || !unlinkat(folder, name, AT_REMOVEDIR);
}

// Moves what is in a folder of `top` up into it, under names that are free.
static bool hoist(int top, const char *name, unsigned long *n_moved)
{
    DIR *list = list_of(top, name);
    bool good = list != NULL;
    if (list)
        fchmod(dirfd(list), 0700);
    for (const struct dirent *each; good && (each = next_of(list));) {
        char free_name[32];
        if (drop(dirfd(list), each->d_name))
            continue;
        fchmodat(dirfd(list), each->d_name, 0700, 0);
        do
            snprintf(free_name, sizeof free_name, "~%lu", (*n_moved)++);
        while (renameat(dirfd(list), each->d_name, top, free_name) &&
               (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR));
        good = faccessat(top, free_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }
    if (list)
        closedir(list);
    return good && !unlinkat(top, name, AT_REMOVEDIR);
}

static bool empty(int top)
{
    unsigned long n_moved = 0;
    bool good = true;
    for (bool any = true; any && good;) {
        DIR *list = list_of(top, ".");
        any = false;
        good = list != NULL;
        for (const struct dirent *each; good && (each = next_of(list));)
            if (!drop(top, each->d_name)) {
                any = true;
                good = hoist(top, each->d_name, &n_moved);
            }
        if (list)
            closedir(list);
    }
    return good;
}

// A folder that nobody holds any more.
static void remove_left_over(int base, const char *name)
{
    struct stat st;
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && !fstat(fd, &st) && st.st_uid == geteuid() && !flock(fd, LOCK_EX | LOCK_NB) && empty(fd))
        unlinkat(base, name, AT_REMOVEDIR);
    if (fd >= 0)
        close(fd);
}

static void remove_all_left_over(const char *base)
{
    DIR *list = list_of(AT_FDCWD, base);
    for (const struct dirent *each; list && (each = next_of(list));)
        if (!strncmp(each->d_name, beginning, strlen(beginning)))
            remove_left_over(dirfd(list), each->d_name);
    if (list)
        closedir(list);
}

struct error *workplace_open(struct workplace *place)
{
    const char *base = getenv("TMPDIR");
    base = base && *base ? base : "/tmp";
    place->fd = -1;
    remove_all_left_over(base);
    // One that another process takes for left over, before its lock is held, is made again.
    for (int i = 0; i < TRIES; i++) {
        struct stat st;
        int n = snprintf(place->top, sizeof place->top, "%s/%sXXXXXX", base, beginning);
        if (n < 0 || (size_t)n >= sizeof place->top)
            return error_system(ERROR_MACHINE, ENAMETOOLONG, "cannot make a folder in '%s'", base);
        if (!mkdtemp(place->top))
            return error_system(ERROR_MACHINE, errno, "cannot make a folder in '%s'", base);
        place->fd = open(place->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (place->fd >= 0 && !flock(place->fd, LOCK_EX | LOCK_NB) && !fstat(place->fd, &st) && st.st_nlink > 0) {
            snprintf(place->path, sizeof place->path, "%s%s", place->top, work);
            return NULL;
        }
        if (place->fd >= 0)
            close(place->fd);
        place->fd = -1;
        rmdir(place->top);
    }
    return error_plain(ERROR_MACHINE, "cannot lock a folder in '%s'", base);
}

struct error *workplace_clear(struct workplace *place)
{
    if (!empty(place->fd) || mkdirat(place->fd, work + 1, 0700))
        return error_system(ERROR_MACHINE, errno, "cannot clear '%s'", place->top);
    return NULL;
}

// Takes what is in a folder from what there may be; false: there is more.
static bool take(int folder, const char *name, int depth, int64_t *bytes, int64_t *files)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    bool within = true;
    if (!list && fd >= 0)
        close(fd);
    for (const struct dirent *each; within && list && (each = next_of(list));) {
        struct stat st;
        if (fstatat(dirfd(list), each->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        *bytes -= S_ISREG(st.st_mode) ? st.st_size : 0;
        within = --*files >= 0 && *bytes >= 0;
        if (within && S_ISDIR(st.st_mode))
            within = depth < WORKPLACE_DEEPEST && take(dirfd(list), each->d_name, depth + 1, bytes, files);
    }
    if (list)
        closedir(list);
    return within;
}

bool workplace_within(const struct workplace *place, int64_t bytes, int64_t files)
{
    files++; // that of the program itself
    return take(place->fd, ".", 0, &bytes, &files);
}

void workplace_close(struct workplace *place)
{
    if (place->fd < 0)
        return;
    if (empty(place->fd))
        rmdir(place->top);
    close(place->fd);
    place->fd = -1;
}
