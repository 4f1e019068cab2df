// optimizer.h - Muon for the matrices of the blocks, AdamW for all else: embeddings, unembedding, single numbers.
//
// What a step does to a group is data: 2025 and 2026 differ in numbers and switches of these structs, and in nothing else.
//
// Source  nanochat 2025-10-13: AdamW rates times (n_embd / 768)^-0.5, betas 0.8 and 0.95, eps 1e-10; Muon unscaled, Nesterov
//         nanochat 2026-07-03: as optimizer_laws_2026 says
#ifndef CORE_TRAIN_OPTIMIZER_H
#define CORE_TRAIN_OPTIMIZER_H

#include "core/model/model.h"

struct rates {
    double matrix_lr, embedding_lr, unembedding_lr, weight_decay; // as in the recipe: not yet scaled by width
    double scalar_lr;                                             // of the lambdas of 2026
    double grad_clip;                                             // 0: none
};

struct optimizer_laws {
    struct adamw adamw[PARAM_GROUPS]; // PARAM_MATRIX has muon instead
    struct muon muon;
    double grad_clip;
};

// What 2025 does not have goes with the unembedding.
struct optimizer_laws optimizer_laws_2025(const struct shape *shape, const struct rates *rates);

// lr_scale multiplies all rates but those of smear and backout, decay_scale Muon's weight decay (scaling_law in schedule.h). Value
// embeddings have half the rate of the embedding, x0 lambdas scalar_lr, residual lambdas a hundredth of that, smear and backout 0.2.
struct optimizer_laws optimizer_laws_2026(const struct shape *shape, const struct rates *rates, double lr_scale,
                                          double decay_scale);

struct optimizer {
    struct model *model;
    struct optimizer_laws laws;
    struct tensor *first;         // a parameter: AdamW's m, Muon's momentum
    struct tensor *second;        // AdamW's v, NorMuon's variance; no data, rows 0 where there is none
    struct muon_matrix *matrices; // scratch, one a parameter
    int64_t n_before; // updates that made the moments before step 0 of this training: AdamW's correction counts on from there
};

// With the laws of 2025.
struct error *CHECKED optimizer_open(struct optimizer *o, struct model *model, const struct rates *rates);
struct error *CHECKED optimizer_open_with(struct optimizer *o, struct model *model, const struct optimizer_laws *laws);

// Measures the gradients' norm (device_grad_norm). Call before optimizer_step, in the same step. decay_scale multiplies Muon's decay.
void optimizer_measure(struct optimizer *o, const struct tensor *gradients, int64_t step, double lr_scale, double momentum,
                       double decay_scale);

// One update of all parameters; prepares the weights for the next forward pass. Gradients are used up.
void optimizer_step(struct optimizer *o, const struct tensor *gradients);

#endif
