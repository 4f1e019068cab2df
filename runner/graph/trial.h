// trial.h - training steps of a model on made-up tokens, to see how long they take.
//
//     e = trial_open(&trial, dev, &setup, &arena);          // setup as cost.h has it: shape, batch, T, rows
//     e = trial_step(&trial, &seconds);                     // a whole step: gradients of all rows, clipping, update
//
// The code that runs is that of core/model and core/train, as in a training stage. The first step is slower: memory is touched for
// the first time.
//
// Ownership  tensors go with device_reset, host buffers with the arena
// Errors     those of the device; ERROR_STOPPED between micro-batches
#ifndef RUNNER_GRAPH_TRIAL_H
#define RUNNER_GRAPH_TRIAL_H

#include "core/train/gradient.h"
#include "core/train/optimizer.h"
#include "runner/graph/cost.h"

struct trial {
    struct model model;
    struct optimizer optimizer;
    struct gradient gradient;
    int64_t rows, step;
    int n_vocab;
};

struct error *CHECKED trial_open(struct trial *trial, struct device *dev, const struct cost_setup *setup, struct arena *arena);
struct error *CHECKED trial_step(struct trial *trial, double *seconds);

#endif
