// estimate.h - what a stage comes to before it runs: parameters, tokens, FLOPs, bytes on disk.
//
// By the formulas of core/model/shape, from the options alone; the horizon is computed as the stage computes it
// (stages/shape_of.h).
//
// pretrain   tokens = steps * batch_tokens; FLOPs of the updates (6 a matrix parameter and token, and attention)
// eval       tokens looked at; a third of the training FLOPs a token: there is no backward pass
// Others     unknown: how many tokens a text has shows when it is encoded
// Errors     ERROR_RECIPE for shapes that cannot be and for a training of no step, at the place of the stage
#ifndef RUNNER_GRAPH_ESTIMATE_H
#define RUNNER_GRAPH_ESTIMATE_H

#include "runner/graph/graph.h"

struct estimate {
    int64_t params, tokens, bytes_disk; // -1: unknown
    double flops;                       // NaN: unknown
};

struct error *CHECKED estimate_stage(struct estimate *estimate, const struct graph_node *node);

#endif
