// estimate.h - what a stage comes to before it runs: parameters, tokens, FLOPs, bytes on disk.
//
// By the formulas of core/model/shape, from the options alone; the horizon is computed as the stage computes it
// (stages/hyperparameters.h). What counting finds beside them is in work.h.
//
// pretrain   tokens = steps * batch_tokens, of the steps that it makes itself; FLOPs of the updates (6 a matrix parameter and token,
//            and attention)
// finetune   the same where rows are packed and steps are given; else the tokens of the mixture's examples (estimate_mixture)
// eval       tokens looked at for bpb; a third of the training FLOPs a token: there is no backward pass. Unknown with tasks
// import     parameters of a model, by its config.json
// Others     unknown: how many tokens a text has shows when it is encoded, and an answer when it is sampled
// Errors     ERROR_RECIPE for shapes that cannot be and for a training of no step, at the place of the stage
#ifndef RUNNER_GRAPH_ESTIMATE_H
#define RUNNER_GRAPH_ESTIMATE_H

#include "core/model/shape.h"
#include "runner/graph/graph.h"

struct estimate {
    int64_t params, tokens, bytes_disk;   // -1: unknown
    int64_t scaling_params, batch_tokens; // of a pretraining; scaling_params: those that the scaling laws of 2026 count
    int64_t steps;                        // of a pretraining, with those of the one that it goes on from
    double flops, flops_per_token;        // NaN: unknown
};

// The shape of the model that a stage makes or reads, with the rows that it has there; *known = false where it is of another kind, or
// of a vocabulary that only the file of an import tells.
struct error *CHECKED estimate_shape(const struct graph_node *node, struct shape *shape, bool *known);

struct error *CHECKED estimate_stage(struct estimate *estimate, const struct graph_node *node);

// Where a pretraining begins: at 0, or at the step of the one that it goes on from; -1: not known.
int64_t estimate_begin(const struct graph_node *node);

// For a finetune stage whose tokens are not known yet: n_examples with n_tokens are one pass over its mixture, which makes n_rows rows
// (share.h; -1: not known). Where rows are packed it is whole batches, as the stage makes them; where a conversation is a row and steps
// are given, rows of the average length.
void estimate_mixture(struct estimate *estimate, const struct graph_node *node, int64_t n_examples, int64_t n_tokens,
                      int64_t n_rows);

// Updates that a training makes; -1: not known. Of finetune and grpo, whose mixture makes n_rows rows (-1: not known).
int64_t estimate_steps(const struct graph_node *node, int64_t n_rows);

#endif
