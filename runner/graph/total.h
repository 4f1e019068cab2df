// total.h - what a plan comes to: the sums that `plan` prints and that `fit` looks for.
#ifndef RUNNER_GRAPH_TOTAL_H
#define RUNNER_GRAPH_TOTAL_H

#include "runner/graph/plan.h"

// Of all stages, as far as it is known: what leaves something out is a lower bound. To come: of those that are not cached.
struct plan_total {
    int64_t tokens, bytes_disk, bytes_checkpoints, bytes_device;
    double flops, seconds, usd;
    double usd_most; // with answers that never end early, where their length is not known
    double to_come_s, to_come_usd;
    int n_unknown;   // stages to run whose time is not known
    int n_unbound;   // of these, those of which no bound is known either
    bool too_large;  // some stage does not fit the device
    bool never_fits; // nor would it with any device_batch: a training, whose model and optimizer alone are too large
};

struct plan_total plan_total(const struct plan *plan);

#endif
