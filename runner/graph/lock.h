// lock.h - one at a time: a flock whose file says who holds it.
//
//     e = lock_take(&lock, "results/runs/tiny/lock", "retort run recipes/tiny.yaml", &holder);
//     if (!e && !lock.taken) ...                 // holder says who has it
//     lock_release(&lock, true);                 // and removes the file
//
// Text    "HOST PID START COMMAND\n", START in RFC 3339; the lock is the flock, which dies with its process: the text is for
//         people and for `retort stop`
// Files   a lock file may be removed by its holder; a taker that finds it has locked a removed file opens the new one
// Errors  a file system whose locks fail, or are granted twice, is refused
#ifndef RUNNER_GRAPH_LOCK_H
#define RUNNER_GRAPH_LOCK_H

#include "core/base/error.h"

#include <stdbool.h>

struct lock {
    int fd;
    bool taken;
    const char *path; // borrowed
};

struct lock_holder { // empty where the text could not be read
    char host[128], start[32], command[256];
    int pid;
};

// lock->taken says whether it was to be had; if not, holder (may be NULL) says who has it.
struct error *CHECKED lock_take(struct lock *lock, const char *path, const char *command, struct lock_holder *holder);
void lock_release(struct lock *lock, bool remove_file);

// A process that forks has the lock twice: the child that keeps it names itself as the holder, the parent lets it go.
struct error *CHECKED lock_inherit(struct lock *lock, const char *command);
void lock_leave(struct lock *lock);

// Whether somebody holds it, and who: tries it for a moment, shared. A file that is not there is not held.
bool lock_held(const char *path, struct lock_holder *holder);

// The same by the text alone: whether the process lives that it names. Takes nothing; of another host there is no telling, so whoever
// is named there is taken to live.
bool lock_seen(const char *path, struct lock_holder *holder);

bool lock_on_this_host(const struct lock_holder *holder);

// ERROR_MACHINE naming the holder, and how to stop it: run is the name of the run that holds it, or NULL.
struct error *lock_error(const char *what, const struct lock_holder *holder, const char *run);

#endif
