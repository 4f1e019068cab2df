// optimizer.h - Muon for the matrices of the blocks, AdamW for embedding and unembedding.
//
// Source  nanochat 2025-10-13: AdamW rates times (n_embd / 768)^-0.5, betas 0.8 and 0.95, eps 1e-10; Muon unscaled, Nesterov
#ifndef CORE_TRAIN_OPTIMIZER_H
#define CORE_TRAIN_OPTIMIZER_H

#include "core/model/model.h"

struct rates {
    double matrix_lr, embedding_lr, unembedding_lr, weight_decay; // as in the recipe: not yet scaled by width
    double grad_clip;                                             // 0: none
};

struct optimizer {
    struct model *model;
    struct rates rates;
    struct tensor *first, *second; // a parameter: AdamW's m and v; Muon's momentum, and no second (data NULL)
    struct muon_matrix *matrices;  // scratch, one a parameter
};

struct error *CHECKED optimizer_open(struct optimizer *o, struct model *model, const struct rates *rates);

// Measures the gradients' norm (device_grad_norm). Call before optimizer_step, in the same step.
void optimizer_measure(struct optimizer *o, const struct tensor *gradients, int64_t step, double lr_scale, double momentum);

// One update of all parameters; prepares the weights for the next forward pass. Gradients are used up.
void optimizer_step(struct optimizer *o, const struct tensor *gradients);

#endif
