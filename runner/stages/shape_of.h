// shape_of.h - what the options of a stage come to: the shape and the number of steps of a pretraining, the schedules of fine-tuning and
// GRPO, the slots of GRPO.
//
// plan and the stages both ask here, so that what plan prints is what the stage does.
//
// Errors  ERROR_RECIPE for widths that heads do not divide, ERROR_NOT_BUILT for shapes this version does not run
#ifndef RUNNER_STAGES_SHAPE_OF_H
#define RUNNER_STAGES_SHAPE_OF_H

#include "core/train/schedule.h"
#include "runner/recipe/options.h"

// From depth, or from the six sizes; n_vocab is the tokenizer's. Sizes that are given replace what depth leads to.
struct error *CHECKED shape_of(struct shape *shape, const struct pretrain_options *options, int64_t n_vocab);

// By the one of steps, tokens, flops and ratio that is given; ERROR_RECIPE when that is less than one step.
struct error *CHECKED steps_of(int64_t *n_steps, const struct pretrain_options *options, const struct shape *shape);

// Over n_rows rows, packed or a conversation each. n_steps is whole batches of one pass, times epochs. Of padded rows all but the last
// are made, as in the reference, unless there is one step alone or `steps` is given; ERROR_RECIPE when there is no whole batch.
struct error *CHECKED finetune_schedule(struct schedule *schedule, const struct finetune_options *options, int64_t n_rows);

struct schedule grpo_schedule(int64_t n_steps);

// "bf16", or float32 for any other name and NULL: a checked recipe has no third.
enum precision precision_of(const char *name);

// Answers of GRPO that are written at the same time, each with keys and values of so many positions.
int64_t slots_of(const struct grpo_options *options, const struct shape *shape, int64_t capacity);

#endif
