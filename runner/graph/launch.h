// launch.h - runs one stage as a process of its own, and says how it ended.
//
//     e = launch_job(&outcome, &job, &watch, &arena);       // returns when the stage is gone
//     if (outcome.status == 0) ...
//
// The child is this very binary, `retort _stage --results DIR --job FILE`, in a process group of its own, so that Ctrl-C
// reaches the runner alone. Its stdin is the lifeline: a pipe whose other end only the runner holds. A line "stop" on it, or
// its end, which comes when the runner dies, means save and stop. stdout and stderr are appended to store/KIND-KEY.log.
// While it runs the live file is read a few times a second for watch->progress. The first stop request (core/base/stop.h) sends
// "stop", the second SIGTERM, the third SIGKILL.
//
// After 0   job, checkpoint, live and log files are removed: the result is there. Otherwise all stay, for the next run and for
//           reading
// Errors    those of starting the child; how the stage itself fared is the outcome, not an error
#ifndef RUNNER_GRAPH_LAUNCH_H
#define RUNNER_GRAPH_LAUNCH_H

#include "runner/graph/lock.h"
#include "runner/stages/job.h"
#include "runner/stages/live.h"

struct watch {
    void *self;
    void (*progress)(void *self, const struct live_line *line);
};

struct outcome {
    int status;                 // exit status of the contract: 0, 1, 3, 4, 75; -1: crashed
    struct error *error;        // owned: why it is not 0 (NULL for 75)
    struct live_line last;      // the last that was heard of it; texts in the arena
    const char *log, *log_tail; // of a crash: the log file, and its last lines
    double seconds;
};

struct error *CHECKED launch_job(struct outcome *outcome, const struct job *job, const struct watch *watch, struct arena *arena);

// A stage process whose runner died holds its lock until it has saved. Waits for that, calling `waiting` once; an error naming
// the holder if the lock is held for a runner that lives, or on another host, or for too long.
struct error *CHECKED launch_wait(const char *lock, void (*waiting)(void *self, const struct lock_holder *holder), void *self);

// "results/store/pretrain-3f9a….live" of a job; ending as for key_path.
char *launch_path(struct arena *arena, const struct job *job, const char *ending);

// The command that a stage process writes into its lock: it names its runner, for launch_wait.
char *launch_command(struct arena *arena, const struct job *job);

#endif
