// detach.h - from here on in the background: a fork, whose child goes on in a session of its own with its output in a file.
//
//     e = detach(&detached, "results/runs/tiny/0003.log", &lock, "retort run tiny.yaml");
//     if (!e && detached.is_child)
//         write what others look for, detach_ready(&detached), go on
//     if (!e && !detached.is_child)
//         e = detach_wait(&detached), tell of detached.pid, end
//
// Lock    is the child's from then on, by its text too; the parent has let it go
// Stdout  of the child, and stderr, are the file; stdin is empty
// Errors  those before the fork; of a child that ended before it was ready, from detach_wait
#ifndef RUNNER_COMMANDS_DETACH_H
#define RUNNER_COMMANDS_DETACH_H

#include "runner/graph/lock.h"

struct detached {
    bool is_child;
    int pid;  // of the child
    int pipe; // from the child to the parent
};

struct error *CHECKED detach(struct detached *detached, const char *log_path, struct lock *lock, const char *command);
void detach_ready(struct detached *detached);
struct error *CHECKED detach_wait(struct detached *detached);

#endif
