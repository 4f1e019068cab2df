// lock.c - flock, and a line of text in the file.
//
// lock_held takes the lock for a moment, shared; a taker therefore tries for a tenth of a second before it gives up.
#include "runner/graph/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { TRIES = 10, TRY_NS = 10 * 1000 * 1000, FIELDS_TO_START = 19, CLOCKS_APART_S = 5 };

static const char no_locks_fix[] = "keep results on a file system with working locks, a local one: --results FOLDER";

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

static struct error *write_holder(int fd, const char *path, const char *command)
{
    char host[128] = "unknown", start[CLOCK_TEXT], text[512];
    if (!gethostname(host, sizeof host))
        host[sizeof host - 1] = '\0';
    clock_text(clock_unix(), start);
    int n = snprintf(text, sizeof text, "%s %d %s %.255s\n", host, (int)getpid(), start, command);
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
        return error_system(ERROR_MACHINE, errno, "cannot write '%s'", path);
    return NULL;
}

// Whether path still names the file behind fd.
static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static struct error *no_locks(const char *path, const char *why)
{
    return error_new(ERROR_MACHINE, NOWHERE, no_locks_fix, "cannot lock '%s': %s", path, why);
}

// Some network and user-space file systems grant every lock. Then a second one, of the same file opened again, is granted too.
static struct error *check_refused(const char *path)
{
    int again = open(path, O_RDONLY | O_CLOEXEC);
    bool granted = again >= 0 && flock(again, LOCK_SH | LOCK_NB) == 0;
    if (again >= 0)
        close(again);
    return granted ? no_locks(path, "its file system grants the same lock twice") : NULL;
}

// Once; lock->taken says whether it is ours.
static struct error *try_lock(struct lock *lock, int fd, const char *command, struct lock_holder *holder)
{
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return no_locks(lock->path, strerror(errno));
        if (holder)
            read_holder(fd, holder);
        return NULL;
    }
    if (!same_file(fd, lock->path))
        return NULL;
    struct error *e = check_refused(lock->path);
    if (!e)
        e = write_holder(fd, lock->path, command);
    lock->taken = !e;
    return e;
}

struct error *lock_take(struct lock *lock, const char *path, const char *command, struct lock_holder *holder)
{
    *lock = (struct lock){.fd = -1, .path = path};
    for (int i = 0; i < TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return error_system(ERROR_MACHINE, errno, "cannot open '%s'", path);
        struct error *e = try_lock(lock, fd, command, holder);
        if (lock->taken) {
            lock->fd = fd;
            return NULL;
        }
        close(fd);
        if (e)
            return e;
        nanosleep(&(struct timespec){.tv_nsec = TRY_NS}, NULL);
    }
    return NULL;
}

struct error *lock_inherit(struct lock *lock, const char *command)
{
    return write_holder(lock->fd, lock->path, command);
}

void lock_leave(struct lock *lock)
{
    close(lock->fd);
    *lock = (struct lock){.fd = -1};
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

// When a process began, by the wall clock; 0: it is not there, or is dead and was not waited for yet; -1: there is no telling.
static double process_began(int pid)
{
    char path[64], text[1024], state = 0;
    unsigned long long ticks = 0;
    struct timespec up;
    if (kill(pid, 0) && errno == ESRCH)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    const char *at = strrchr(text, ')'); // "PID (NAME) STATE ...", the name may hold anything
    if (!at || sscanf(at + 1, " %c", &state) != 1)
        return -1;
    if (state == 'Z' || state == 'X')
        return 0;
    at++;
    for (int field = 0; at && field < FIELDS_TO_START; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &ticks) != 1 || clock_gettime(CLOCK_BOOTTIME, &up))
        return -1;
    return clock_unix() - (double)up.tv_sec + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

// Process numbers are given out again: one that began after the lock was taken is another.
static bool holder_lives(const struct lock_holder *holder)
{
    double began = process_began(holder->pid), taken = clock_of_text(holder->start);
    return began > 0 && isfinite(taken) ? began <= taken + CLOCKS_APART_S : began != 0;
}

bool lock_on_this_host(const struct lock_holder *holder)
{
    char host[128] = "unknown";
    if (!gethostname(host, sizeof host))
        host[sizeof host - 1] = '\0';
    return !strcmp(host, holder->host);
}

bool lock_seen(const char *path, struct lock_holder *holder)
{
    *holder = (struct lock_holder){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    read_holder(fd, holder);
    close(fd);
    return holder->pid > 0 && (!lock_on_this_host(holder) || holder_lives(holder));
}

struct error *lock_error(const char *what, const struct lock_holder *holder, const char *run)
{
    char fix[512];
    if (!holder->pid)
        return error_new(ERROR_MACHINE, NOWHERE, "wait until it is done", "%s is in use by another process", what);
    snprintf(fix, sizeof fix, "wait until it is done, or stop it with `retort stop%s%s`", run ? " " : "", run ? run : "");
    return error_new(ERROR_MACHINE, NOWHERE, fix, "%s is in use by process %d on %s since %s: %s", what, holder->pid,
                     holder->host, holder->start, holder->command);
}
