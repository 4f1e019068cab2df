// lock.c - flock, and a line of text in the file.
//
// lock_held takes the lock for a moment, shared; a taker therefore tries for a tenth of a second before it gives up.
#include "runner/graph/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { TRIES = 10, TRY_NS = 10 * 1000 * 1000 };

static void read_holder(int fd, struct lock_holder *holder)
{
    char text[512];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    *holder = (struct lock_holder){0};
    if (n <= 0)
        return;
    text[n] = '\0';
    if (sscanf(text, "%127s %d %31s %255[^\n]", holder->host, &holder->pid, holder->start, holder->command) < 3)
        *holder = (struct lock_holder){0};
}

static bool write_holder(int fd, const char *command)
{
    char host[128] = "unknown", start[CLOCK_TEXT], text[512];
    if (!gethostname(host, sizeof host))
        host[sizeof host - 1] = '\0';
    clock_text(clock_unix(), start);
    int n = snprintf(text, sizeof text, "%s %d %s %.255s\n", host, (int)getpid(), start, command);
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

// Whether path still names the file behind fd.
static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

struct error *lock_take(struct lock *lock, const char *path, const char *command, struct lock_holder *holder)
{
    *lock = (struct lock){.fd = -1, .path = path};
    for (int i = 0; i < TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return error_system(ERROR_MACHINE, errno, "cannot open '%s'", path);
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            if (same_file(fd, path)) {
                if (!write_holder(fd, command)) {
                    struct error *e = error_system(ERROR_MACHINE, errno, "cannot write '%s'", path);
                    close(fd);
                    return e;
                }
                lock->fd = fd;
                lock->taken = true;
                return NULL;
            }
        } else if (errno != EWOULDBLOCK && errno != EINTR) {
            struct error *e = error_new(ERROR_MACHINE, NOWHERE, "put the results on a file system with locks",
                                        "cannot lock '%s': %s", path, strerror(errno));
            close(fd);
            return e;
        } else if (holder) {
            read_holder(fd, holder);
        }
        close(fd);
        nanosleep(&(struct timespec){.tv_nsec = TRY_NS}, NULL);
    }
    return NULL;
}

void lock_release(struct lock *lock, bool remove_file)
{
    if (!lock->taken)
        return;
    if (remove_file)
        unlink(lock->path);
    close(lock->fd);
    *lock = (struct lock){.fd = -1};
}

bool lock_held(const char *path, struct lock_holder *holder)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (held && holder)
        read_holder(fd, holder);
    close(fd);
    return held;
}

struct error *lock_error(const char *what, const struct lock_holder *holder)
{
    if (!holder->pid)
        return error_new(ERROR_MACHINE, NOWHERE, "wait until it is done", "%s is in use by another process", what);
    return error_new(ERROR_MACHINE, NOWHERE, "wait until it is done, or stop it with `retort stop`",
                     "%s is in use by process %d on %s since %s: %s", what, holder->pid, holder->host, holder->start,
                     holder->command);
}
