// work.h - what a stage that is still to run would take: memory, disk, FLOPs, time.
//
//     struct work_setting setting = {.costs = {...}, .hardware = h, .n_devices = 8, .measured = NULL};
//     e = work_of(&work, node, &facts, &setting);
//
// FLOPs      counted (cost.h) and, beside them, by the reference's formula
// Time here  the counted operations by this machine's rates (machine.h), which are of float32: bf16 takes no longer; unknown without
//            them
// Elsewhere  FLOPs by the formula over peak * mfu * devices (hardware.h); a token that is written costs the larger of its arithmetic and of
//            reading all weights and its keys and values. In bf16, as the reference trains, unless the recipe asks for f32 itself:
//            activations then take half of what they take here
// Bounds     how long answers get is not known before, nor, until it is encoded, how much validation text there is: seconds stays unknown
//            in an evaluation or a grpo stage with such a part, or in one whose prompts are still to be made, and seconds_most is the
//            time if no answer ends before max_tokens and eval_tokens are there. Evaluations inside trainings are in their time;
//            samples, saving and starting are not
// Memory     of one device, as the stage opens it (cost.h), here in its precision, elsewhere in float32; of grpo for the longest prompt
//            that is known, else seq_len
// Errors     those of cost.h; ERROR_RECIPE of shapes
#ifndef RUNNER_GRAPH_WORK_H
#define RUNNER_GRAPH_WORK_H

#include "runner/graph/cost.h"
#include "runner/graph/graph.h"
#include "runner/graph/hardware.h"
#include "runner/graph/lengths.h"
#include "runner/graph/machine.h"
#include "runner/graph/prompt_share.h"

struct work_setting {
    struct costs costs;
    struct prompt_counts prompts;
    const struct hardware *hardware;
    int64_t n_devices;
    const struct machine *measured; // NULL: unknown
    double memory_bytes;            // of a device; 0: unknown
};

// What is known of the text that the stage reads; -1 and no rows: unknown.
struct work_facts {
    int64_t steps;                // updates that it makes
    int64_t batch_tokens;         // of a pretraining
    double flops_per_token;       // of training, by the formula
    struct lengths rows;          // of a mixture, one pass; of the questions of an evaluation
    struct prompt_guess prompted; // what an evaluation asks as text
    int64_t choices, written;     // questions of an evaluation, by whether an answer is written
    int64_t validation_tokens;    // of the text, or of the test splits
    int64_t validation_most;      // where these are unknown: no more than so many
};

struct work {
    int64_t bytes_device, bytes_checkpoints; // -1: unknown
    int64_t bytes_optimizer;                 // of one file that has it; -1: unknown
    double flops;                            // counted; NaN: unknown
    double seconds, seconds_most;            // NaN: unknown
    bool too_large;                          // for the device's memory
    int64_t device_batch_fits;               // then: one that is not; 0: none
};

struct error *CHECKED work_of(struct work *work, const struct graph_node *node, const struct work_facts *facts,
                              struct work_setting *setting);

#endif
