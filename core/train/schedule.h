// schedule.h - how long a training runs, and what its learning rate, momentum and weight decay are at each step.
//
// Source  nanochat 2025-10-13 (base_train): no warm-up, flat, linear warm-down over the last fifth to zero
//         nanochat 2026-07-03: schedule_2026 and scaling_law
#ifndef CORE_TRAIN_SCHEDULE_H
#define CORE_TRAIN_SCHEDULE_H

#include "core/model/shape.h"

struct schedule {
    int64_t n_steps;
    double warmup, warmdown; // shares of n_steps
    double final_lr;         // multiplier that the warm-down ends at
    int64_t n_updates;       // that are done of n_steps; 0: all (the reference's SFT leaves before the last)
    double momentum;         // Muon's, constant; 0: the ramp of schedule_momentum

    // 2026; 0: as in 2025
    int64_t warmup_steps; // however many steps there are; instead of the share
    int64_t ramp_steps;   // of the ramp, instead of 300
    double ramp_to;       // instead of 0.95
    double ramp_down;     // behind the ramp, the warm-down takes the momentum on to this
    bool decays;          // Muon's weight decay falls to 0 by half a cosine over n_steps
};

// 40 steps of warm-up, the last 65 % down to 5 %; momentum 0.85 to 0.97 in 400 steps and to 0.90 in the warm-down; decay falls.
struct schedule schedule_2026(int64_t n_steps);

// Multiplier of all learning rates at the update numbered step (0 is the first).
double schedule_lr(const struct schedule *schedule, int64_t step);

// Muon's momentum: constant, or 0.85 rising to 0.95 over 300 steps.
double schedule_momentum(const struct schedule *schedule, int64_t step);

// Multiplier of Muon's weight decay.
double schedule_decay(const struct schedule *schedule, int64_t step);

// The step up to which learning rates do not fall: updates before it know nothing of the warm-down. All, where there is none.
int64_t schedule_constant(const struct schedule *schedule);

// Updates that are done.
int64_t schedule_updates(const struct schedule *schedule);

struct horizon { // exactly one is given; the others are INT64_MIN or NaN
    int64_t steps, tokens;
    double flops, ratio; // ratio: tokens a parameter
    bool counts_scaling; // the ratio is to shape_scaling_params (2026), not to all
};

// Steps of batch_tokens each: as given; round(flops / (flops a token * batch_tokens)); tokens / batch_tokens; ratio * params / batch_tokens.
// 0 if that is less than one step.
int64_t horizon_steps(const struct horizon *horizon, const struct shape *shape, int64_t batch_tokens);

// From size to batch, rates and decay, measured at depth 12 and 2^19 tokens a batch: with D = ratio * params (scaling parameters) and D12
// that of the model of 12 layers, B = 2^round(log2(2^19 (D / D12)^0.383)); rates go with sqrt(B / 2^19), Muon's weight decay with
// sqrt(B / 2^19) * D12 / D, which keeps B / (lr * decay * D).
struct scaling_law {
    int64_t batch_tokens;
    double lr_scale, decay_scale;
};

// params12: of shape_from_depth_2026(12) with the same aspect, head_dim, vocabulary and length. batch_tokens 0: by the law.
struct scaling_law scaling_law_2026(int64_t params, int64_t params12, double ratio, int64_t batch_tokens);

#endif
