// garbage.h - what is in the store and nothing refers to: found by what is needed, never by age.
//
//     struct garbage g;
//     e = garbage_lock(&locks, "results", &arena);                   // to remove; not to look
//     e = garbage_find(&g, "results", graphs, n_graphs, &arena);
//     e = garbage_remove(&g);
//     garbage_unlock(&locks);
//
// A result    is all files of one key: results/store/KIND-KEY.h5, its checkpoints, kept weights, half-written files, live file, log, job
//             and lock. Files with other names, and whatever is no plain file, are not looked at
// Needed      are the keys that a run record names as of its stages or their inputs; those of stages that are running now (their lock is
//             held), and of the inputs of these; and those of all stages of the given recipes, with keys
// Whose       a forgotten record (run_record.h) tells which run and stage a result was of; else nothing does
// Newer       results of which a newer retort wrote a file are not garbage, whoever needs them; nor is there any while there is a run record
//             of a newer retort, for what it needs is not known (ERROR_NOT_BUILT)
// Locks       garbage_lock takes the locks of all recipes that have runs, so that none begins meanwhile; of one that is running the
//             record must be there to say what it needs. A result goes under its own lock, or stays if that is held (busy)
// Errors      ERROR_DATA for a record that cannot be read: what it needs is not known; ERROR_MACHINE for a run that is just beginning, and
//             for a file that cannot be removed
#ifndef RUNNER_GRAPH_GARBAGE_H
#define RUNNER_GRAPH_GARBAGE_H

#include "runner/graph/graph.h"
#include "runner/graph/lock.h"

enum { GARBAGE_KEY = 16 };

struct garbage_result {
    enum stage_kind_id kind;
    char key[GARBAGE_KEY + 1];
    const char **files; // paths
    int n_files;
    int64_t bytes;
    const char *state;   // of the newest readable file: "finished", "running", ...; NULL: none is readable
    double seconds, usd; // what making it took, of a checkpoint so far; NaN: not known
    const char *lock;    // path
    const char *run;     // name of the recipe whose forgotten run it was of, or NULL
    int number;          // of that run
    const char *stage;   // of that run, or NULL
    bool busy, removed;
};

struct garbage {
    struct garbage_result *results; // by run and stage, those of no known run last
    int n_results;
    int64_t bytes;      // of them
    int n_kept, n_runs; // results that are needed; records that say so
    int64_t kept_bytes;
    int n_newer; // results that nothing here needs, but that a newer retort wrote: they stay
    int64_t newer_bytes;
    const char **forgotten; // records that nothing is left of but themselves and what is found here; logs of runs without a record
    int n_forgotten;
};

struct garbage_locks {
    struct lock *locks;
    int n;
};

// Takes all or none.
struct error *CHECKED garbage_lock(struct garbage_locks *locks, const char *results, struct arena *arena);
void garbage_unlock(struct garbage_locks *locks);

struct error *CHECKED garbage_find(struct garbage *g, const char *results, const struct graph *const *graphs, int n_graphs,
                                   struct arena *arena);

// Removes what was found, forgotten records but the newest of each recipe (whose number is not to be used again), and logs without
// a record.
struct error *CHECKED garbage_remove(struct garbage *g);

#endif
