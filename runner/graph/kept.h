// kept.h - steps of a training that are kept beside its result, KIND-KEY@STEP.h5, for those who read them.
//
//     e = kept_lacks(&lacks, plan, stage, &arena);       // what stages that will run read of it, and is not there
//     e = kept_for(&kept, &n, plan, stage, &arena);      // what its process is told to keep: job.h
//
// Read       `model: base@500` needs the weights of step 500; `from: base@500` the optimizer too; `from: base`, and a fine-tuning of base
//            that takes its moments, that of the end
// Kept       is also what the fields keep, keep_every and keep_optim ask for. Nobody needs that: it makes no stage run
// Ownership  in the arena
// Errors     those of reading results
#ifndef RUNNER_GRAPH_KEPT_H
#define RUNNER_GRAPH_KEPT_H

#include "runner/graph/plan.h"
#include "runner/stages/job.h"

struct kept_lacks {
    int n;
    int64_t first, last;             // steps; the end, whatever number that has, is INT64_MAX
    const char *path;                // of the first
    bool optim;                      // what lacks there is the optimizer
    const struct graph_node *reader; // of it
};

// What a training begins with, and whether with the optimizer of that, too; NULL: with initial weights.
const struct graph_input *kept_begins(const struct graph_node *node, bool *optim);

// The file that an input is read from: the result, or KIND-KEY@STEP.h5. In the arena; NULL: its key is not known, or memory ran out.
const char *kept_file(const struct plan *plan, const struct graph_input *input, struct arena *arena);

// Steps that are read or are to be kept, and are behind the last; a training that goes on from behind its own end. ERROR_RECIPE.
struct error *CHECKED kept_check(const struct plan *plan, const struct plan_stage *stage);

// How many files the fields of a training keep beside the result of so many updates.
int64_t kept_count(const struct graph_node *node, int64_t updates);

// In how many files a training leaves its optimizer: by keep_optim, and for those who read it.
int64_t kept_optimizers(const struct graph *graph, const struct graph_node *node);

// Readers count whose state is not PLAN_CACHED; where the result is there, of those only that are selected (plan_select).
struct error *CHECKED kept_lacks(struct kept_lacks *lacks, const struct plan *plan, const struct plan_stage *stage,
                                 struct arena *arena);

struct error *CHECKED kept_for(struct job_kept **kept, int *n, const struct plan *plan, const struct plan_stage *stage,
                               struct arena *arena);

#endif
