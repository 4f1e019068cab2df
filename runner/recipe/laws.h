// laws.h - what the options of a pretraining come to: its shape, and by the scaling law its batch, learning rates and weight decay.
//
//     e = shape_of(&shape, options, n_vocab);           // the tokenizer's vocabulary
//     e = law_of(&law, options, &shape);                // law.batch_tokens: as given, or by the law
//
// The reader of recipes, plan and the stages all ask here, so that what plan prints is what the stage does.
//
// Law     scaling_law_2026 of core/train/schedule.h, beside the model of 12 layers of the same architecture, aspect, head size, vocabulary
//         and seq_len. Of optimizer 2025 it says the batch alone, where none is given
// Errors  ERROR_RECIPE for widths that heads do not divide, and for a model so far off that the law says no batch
#ifndef RUNNER_RECIPE_LAWS_H
#define RUNNER_RECIPE_LAWS_H

#include "core/train/schedule.h"
#include "runner/recipe/options.h"

// Whether a field that takes 2025 or 2026 says 2026; NULL is 2025.
bool is_2026(const char *year);

// From depth, or from the six sizes; n_vocab is the tokenizer's. Sizes that are given replace what depth leads to.
struct error *CHECKED shape_of(struct shape *shape, const struct pretrain_options *options, int64_t n_vocab);

struct error *CHECKED law_of(struct scaling_law *law, const struct pretrain_options *options, const struct shape *shape);

#endif
