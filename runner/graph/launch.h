// launch.h - stages as processes of their own: started, watched, asked to stop, and how each ended.
//
//     e = launch_start(&launch, &job, 2, &arena);
//     while (!launch_ended(&launch))
//         launch_wait(&launches, n, 200), launch_news(&launch, &line, &arena);
//     launch_outcome(&launch, &outcome, &arena);
//
// The child is this very binary, `retort _stage --results DIR --job FILE`, in a process group of its own, so that Ctrl-C
// reaches the runner alone. Its stdin is the lifeline: a pipe whose other end only the runner holds. A line "stop" on it, or
// its end, which comes when the runner dies, means save and stop. stdout and stderr are appended to store/KIND-KEY.log.
//
// After 0   job, checkpoint, live and log files are removed: the result is there. Otherwise all stay, for the next run and for
//           reading
// Errors    those of starting the child; how the stage itself fared is the outcome, not an error
#ifndef RUNNER_GRAPH_LAUNCH_H
#define RUNNER_GRAPH_LAUNCH_H

#include "runner/graph/lock.h"
#include "runner/stages/job.h"
#include "runner/stages/live.h"

#include <sys/types.h>

struct launch {
    const struct job *job; // borrowed
    pid_t pid;
    int lifeline;          // write end
    int status;            // of waitpid, once it has ended
    bool told, killed;     // asked to stop; ended by launch_kill
    double begin, begin_t; // monotonic, and by the wall clock
    double last_t;         // of the newest live line that was seen
    const char *live, *log;
};

struct outcome {
    int status;                 // exit status of the contract: 0, 1, 3, 4, 75; -1: crashed, or killed
    bool killed;                // by launch_kill: nobody was waiting for it any more
    bool told_why;              // the error is the stage's own; else it is all that can be said from outside
    struct error *error;        // owned: why it is not 0 (NULL for 75)
    struct live_line last;      // the last that was heard of it; texts in the arena
    const char *log, *log_tail; // the log file; its last lines, where the stage could not say itself what is wrong
    double seconds;
};

// Puts into the environment how threads that compute wait for each other, unless the user's has it; false: it is there already. libgomp
// reads it when a process begins: one that computes itself has to begin again.
bool launch_waiting(void);

// n_threads: that it computes with.
struct error *CHECKED launch_start(struct launch *launch, const struct job *job, int n_threads, struct arena *arena);

bool launch_ended(struct launch *launch);
void launch_stop(struct launch *launch); // save and stop; once is enough
void launch_kill(struct launch *launch);

// Whether there is a new line since the last call; its texts are in the arena.
bool launch_news(struct launch *launch, struct live_line *line, struct arena *arena);

// Returns when one of them has ended or is about to, when a stop is asked for (core/base/stop.h), or after so long.
void launch_wait(struct launch *const *launches, int n, int milliseconds);

// Of one that has ended; call it once.
void launch_outcome(struct launch *launch, struct outcome *outcome, struct arena *arena);

// Removes what a stage leaves beside its result, which is there: nobody holds its lock any more.
void launch_clean(const char *results, enum stage_kind_id kind, const char *key, struct arena *arena);

// "results/store/pretrain-3f9a….live" of a job; ending as for key_path.
char *launch_path(struct arena *arena, const struct job *job, const char *ending);

// The command that a stage process writes into its lock.
char *launch_command(struct arena *arena, const struct job *job);

#endif
