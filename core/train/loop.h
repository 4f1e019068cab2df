// loop.h - the training loop: batches in, updates out, with evaluation, samples and checkpoints in their places.
//
// The loop goes through steps step .. n_steps. Before update s (and once after the last) come the hooks that are due: evaluate
// when s % eval_every == 0 or at the end; sample when s > 0 and s % sample_every == 0 or at the end; keep when keep_due says so;
// save when the time has come (save_due), when asked to stop, never at the end (the caller writes the result). What a hook does
// must not change what the updates compute: a run that was stopped and resumed has the bits of one that was not.
//
// Row first_row + s * R is the first of update s; first_row is 0 but for a training that goes on from another.
//
// Errors  ERROR_STOPPED after saving; ERROR_FAILED for a loss that is not finite or explodes, naming step, rows and the first
//         parameter whose values or gradient are not finite, with everything before that step as it was; the same for parameters
//         that are not finite when they would be saved or finished
// Source  nanochat 2025-10-13, base_train
#ifndef CORE_TRAIN_LOOP_H
#define CORE_TRAIN_LOOP_H

#include "core/train/gradient.h"
#include "core/train/optimizer.h"
#include "core/train/schedule.h"

struct step_report {
    int64_t step; // updates done, this one included
    double loss, grad_norm, lr_scale, momentum;
    int64_t tokens; // targets of this step
    double seconds; // of this step
};

struct loop {
    struct model *model;
    struct optimizer *optimizer;
    struct gradient *gradient;
    struct row_source rows;
    struct schedule schedule;
    int64_t step;                     // updates done
    int64_t first_row;                // where row 0 of update 0 stands, or would stand
    int64_t until;                    // ends at this step, without what belongs to the end; 0: at the end
    int64_t eval_every, sample_every; // 0: only at the end; < 0: never

    void *self;                                          // handed to prepare, evaluate and sample
    struct error *(*prepare)(void *self, int64_t step);  // before the rows of an update are read; NULL: nothing to prepare
    struct error *(*evaluate)(void *self, int64_t step); // NULL: nothing to do; sample too
    struct error *(*sample)(void *self, int64_t step);
    void *own;                                 // handed to these
    bool (*keep_due)(void *own, int64_t step); // NULL: nothing is kept
    struct error *(*keep)(void *own, int64_t step);
    bool (*save_due)(void *own);
    struct error *(*save)(void *own, int64_t step);
    struct error *(*report)(void *own, const struct step_report *report);
    int64_t evaluated_step; // hooks already done at this step by the run that was resumed, -1: none
    int64_t sampled_step;
};

struct error *CHECKED loop_run(struct loop *loop);

#endif
