// hyperparameters.h - what the options of a training come to: its number of steps, its schedule of learning rates, momentum and decay, what
// its optimizer does to each group of parameters, its precision, the rows of a fine-tuning, the slots of GRPO. (The shape and
// the scaling law: recipe/laws.h.)
//
//     e = steps_of(&n_steps, options, &shape);
//     loop.schedule = pretrain_schedule(options, n_steps);
//     e = pretrain_laws(&laws, options, &shape);
//
// plan and the stages both ask here, so that what plan prints is what the stage does.
//
// Errors  those of laws.h
#ifndef RUNNER_STAGES_HYPERPARAMETERS_H
#define RUNNER_STAGES_HYPERPARAMETERS_H

#include "core/train/optimizer.h"
#include "runner/recipe/laws.h"

// By the one of steps, tokens, flops and ratio that is given; ERROR_RECIPE when that is less than one step.
struct error *CHECKED steps_of(int64_t *n_steps, const struct pretrain_options *options, const struct shape *shape);

// Momentum and weight decay as the optimizer's year has them.
struct schedule pretrain_schedule(const struct pretrain_options *options, int64_t n_steps);

// Rows of a fine-tuning: its mixture as one stream; whole conversations packed; a conversation each.
enum finetune_form { FINETUNE_FLAT, FINETUNE_BEST_FIT, FINETUNE_A_ROW };
enum finetune_form finetune_form(const struct finetune_options *options);

// Over n_rows rows, packed or a conversation each. n_steps is whole batches of one pass, times epochs. Of padded rows all but the last
// are made, as in the reference, unless there is one step alone or `steps` is given; ERROR_RECIPE when there is no whole batch.
struct error *CHECKED finetune_schedule(struct schedule *schedule, const struct finetune_options *options, int64_t n_rows);

struct schedule grpo_schedule(int64_t n_steps);

// What the optimizer of the stage does to each group of parameters: rates by the scaling law, times lr_frac where there is one. Fine-tuning
// and GRPO have no law of size, as in the reference.
struct error *CHECKED pretrain_laws(struct optimizer_laws *laws, const struct pretrain_options *options,
                                    const struct shape *shape);
struct optimizer_laws finetune_laws(const struct finetune_options *options, const struct shape *shape);
struct optimizer_laws grpo_laws(const struct grpo_options *options, const struct shape *shape);

// "bf16", or float32 for any other name and NULL: a checked recipe has no third.
enum precision precision_of(const char *name);

// That of a stage; float32 where its kind has none.
enum precision stage_precision(enum stage_kind_id kind, const void *options);

// Answers of GRPO that are written at the same time, each with keys and values of so many positions.
int64_t slots_of(const struct grpo_options *options, const struct shape *shape, int64_t capacity);

#endif
