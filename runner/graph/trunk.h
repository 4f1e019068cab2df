// trunk.h - a checkpoint that a training passes through, be it of another training: where it can begin instead of at its beginning.
//
//     struct trunks *trunks = NULL;                                      // what was read of the store, for one search after the other
//     e = trunk_find(&trunk, &trunks, &names, "results", node, INT64_MAX, &arena);       // trunk.path NULL: there is none
//
// Trunk      two pretrainings whose payloads differ in nothing but how long they are and how their learning rates move (steps, tokens,
//            flops, ratio, warmup, warmup_steps, warmdown, final_lr) read the same rows, and are one as long as learning rate, momentum and decay
//            are the same in each step, which is looked at step by step. So a longer training goes on from where a shorter one began
//            to lower its rates, if that was kept (keep_optim: warmdown), or from its last checkpoint before that
// Own        steps that were kept of the very same training count too, of every kind
// Result     the bits of a training from the beginning
// Store      is listed by the first search, if `names` are not there by then, and a file read when the first training may come from it:
//            whoever lets time pass, or removes something, sets *trunks to NULL
// Ownership  in the arena, *trunks too
// Errors     those of reading the store; files that are damaged or newer are no trunk
#ifndef RUNNER_GRAPH_TRUNK_H
#define RUNNER_GRAPH_TRUNK_H

#include "runner/graph/result.h"

struct trunk {
    const char *path;
    int64_t step, n_steps; // n_steps: of the training that it is of
    bool own;              // of this training's own key
};

struct trunks;

// The one that stands latest, at most at step `most`.
struct error *CHECKED trunk_find(struct trunk *trunk, struct trunks **trunks, struct result_names *names, const char *results,
                                 const struct graph_node *node, int64_t most, struct arena *arena);

#endif
