// schedule.h - how long a training runs, and what its learning rate and momentum are at each step.
//
// Source  nanochat 2025-10-13 (base_train): no warm-up, flat, linear warm-down over the last fifth to zero
#ifndef CORE_TRAIN_SCHEDULE_H
#define CORE_TRAIN_SCHEDULE_H

#include "core/model/shape.h"

struct schedule {
    int64_t n_steps;
    double warmup, warmdown; // shares of n_steps
    double final_lr;         // multiplier that the warm-down ends at
    int64_t n_updates;       // that are done of n_steps; 0: all (the reference's SFT leaves before the last)
    double momentum;         // Muon's, constant; 0: the ramp of schedule_momentum
};

// Multiplier of all learning rates at the update numbered step (0 is the first).
double schedule_lr(const struct schedule *schedule, int64_t step);

// Muon's momentum: constant, or 0.85 rising to 0.95 over 300 steps.
double schedule_momentum(const struct schedule *schedule, int64_t step);

// Updates that are done.
int64_t schedule_updates(const struct schedule *schedule);

struct horizon { // exactly one is given; the others are INT64_MIN or NaN
    int64_t steps, tokens;
    double flops, ratio; // ratio: tokens a parameter
};

// Steps of batch_tokens each: as given; round(flops / (flops a token * batch_tokens)); tokens / batch_tokens; ratio * params / batch_tokens.
// 0 if that is less than one step.
int64_t horizon_steps(const struct horizon *horizon, const struct shape *shape, int64_t batch_tokens);

#endif
