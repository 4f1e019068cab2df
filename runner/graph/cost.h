// cost.h - what the work of a stage comes to, by running it on a device that computes nothing and counts.
//
//     struct costs costs = {.arena = &arena, .rates = rates};          // rates {0}: no time is told
//     struct cost_setup setup = {.shape = shape, .batch = 2, .T = 256, .trains = true, .rows = 16, .width = 256};
//     e = cost_of(&costs, &setup, &cost);                    // cost.update.flops, cost.memory_bytes, ...
//
// The code that runs is that of core/model, core/train and core/infer, in the order in which a stage opens its parts; so what is counted
// cannot drift from what is done. Setups that were counted once are remembered.
//
// Rows       an update of many rows is counted from as many as make eight whole micro-batches, one for each canonical group
//            (gradient.h), and one more micro-batch for each that is missing: the same FLOPs as all of it, in a moment
// Memory     the high water of the device with everything open that the stage has open; in bf16 as this processor computes it, as such
//            or emulated (device_emulates)
// Ownership  everything that is kept lives in the arena
// Errors     ERROR_MACHINE for tensors beyond all memory
#ifndef RUNNER_GRAPH_COST_H
#define RUNNER_GRAPH_COST_H

#include "core/model/shape.h"
#include "kernels/kernels.h"

struct cost_setup {
    struct shape shape;
    int64_t batch; // rows that go through the model at once; 0: no row is trained on or measured
    int64_t T;     // longest of them
    bool trains;
    bool optimizer_2026;     // else that of 2025
    int64_t rows, width;     // of an update: rows, and how long those of a micro-batch are (T, where all are full)
    int64_t slots, capacity; // that decode together, and their positions; 0: nothing is written
    bool copies;             // weights are copied for decoding (model_copy_weights), as on this machine
    int64_t prompt;          // tokens of a prompt that goes in at once; 0: prompts go in token by token
    enum precision precision;
};

struct cost {
    struct device_counts update;  // of the parameters, with its gradient; memory_bytes is not told here
    struct device_counts forward; // losses of `batch` rows of `width`, without a gradient
    struct device_counts step;    // a token into each slot, seen by a whole cache of keys: the most it takes
    struct device_counts prefill; // a prompt into each slot
    int64_t memory_bytes;         // of the device, at the most
    int64_t activation_bytes;     // of these, what grows with the batch
};

struct known_cost;

struct costs {
    struct arena *arena;
    struct device_rates rates;
    int threads; // of the device; 0: as many as the process may use
    struct known_cost *known;
    int n_counted; // setups that had to be counted
};

struct error *CHECKED cost_of(struct costs *costs, const struct cost_setup *setup, struct cost *cost);

#endif
