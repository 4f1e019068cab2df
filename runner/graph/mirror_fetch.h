// mirror_fetch.h - back from a mirror (mirror.h): what a recipe would have to make again, on a machine that lost it or never had it.
//
//     e = mirror_fetch(&fetched, &plan, "s3://bucket/runs", &hooks, &arena);      // then make the plan anew
//
// Brought    of each stage whose result is not here: the result; where the mirror has none, the newest checkpoint that is whole, if it is
//            newer than the one here; before them its kept weights (KIND-KEY@STEP.h5). Records of runs, where this machine has none of that
//            number
// Verified   by the file's own checksums and its key, before it gets its name. A damaged one is told and passed over: the next older
//            checkpoint, or the stage runs
// Locks      each file under the lock of its stage; what another run makes at this moment is left to it
// Errors     ERROR_MACHINE, ERROR_USAGE of the mirror; ERROR_STOPPED; ERROR_NOT_BUILT for a result or a checkpoint that a newer retort
//            wrote: what was made here instead would replace it there. Its records are told and passed over
#ifndef RUNNER_GRAPH_MIRROR_FETCH_H
#define RUNNER_GRAPH_MIRROR_FETCH_H

#include "runner/graph/mirror.h"

struct mirror_hooks {
    void *self;
    void (*begin)(void *self, const char *what, int64_t bytes);    // "base", "base at step 200"
    void (*progress)(void *self, int64_t bytes);                   // a few times a second
    void (*passed)(void *self, const char *what, const char *why); // it was not taken
};

struct mirror_fetched {
    int n_results, n_checkpoints, n_kept, n_records, n_damaged;
    int64_t bytes;
};

struct error *CHECKED mirror_fetch(struct mirror_fetched *fetched, const struct plan *plan, const char *address,
                                   const struct mirror_hooks *hooks, struct arena *arena);

#endif
