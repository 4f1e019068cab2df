// gradient.h - the gradient of a global batch, the same bits however the batch is cut.
//
// A global batch of R rows is eight canonical groups (group_bounds in core/data/rows.h). Inside a group, rows
// are summed one after the other; the groups' sums are added as one fixed binary tree. Micro-batches of at most device_batch rows
// are cut inside groups, so neither their size nor, later, the number of ranks can be seen in the result.
//
// Rows may be shorter than T (width) and of different weight; the loss is the weighted sum over all targets of the batch divided by
// their number, wherever they stand: a long row counts for more than a short one.
//
// With `ahead` the next micro-batch is read while this one is computed, also the first of the update that follows.
//
// On a device that does not compute no row is read: a source {0} of rows of T will do, and the loss is 0.
//
// Errors  those of the rows' reader; ERROR_STOPPED between micro-batches
#ifndef CORE_TRAIN_GRADIENT_H
#define CORE_TRAIN_GRADIENT_H

#include "core/model/model.h"
#include "core/train/prefetch.h"

enum { GRADIENT_SETS = 5 }; // of gradients that live at a time

struct gradient {
    struct model *model;
    int64_t R;
    int T, device_batch;
    int64_t n_targets;               // of the batch at hand
    int32_t *inputs[2], *targets[2]; // one micro-batch that is computed, one that is read meanwhile
    int i_buffer;                    // of the next
    struct prefetch *ahead;          // of the caller, on the rows that it gives; NULL: rows are read when they are needed
    float *weights;
    double *losses; // [device_batch,T] and then [R]: the sum of each row
    struct tensor *sets[GRADIENT_SETS];
    int n_sets;
};

struct error *CHECKED gradient_open(struct gradient *g, struct model *model, int64_t R, int T, int device_batch);

// Gradient of sum(weight * loss) / n over the n targets of rows first .. first+R-1; *loss is that, in nats a token. *sum, one tensor a
// parameter, is valid until the next call.
struct error *CHECKED gradient_of_rows(struct gradient *g, struct row_source rows, int64_t first, double *loss,
                                       const struct tensor **sum);

#endif
