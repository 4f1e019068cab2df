// gradient.h - the gradient of a global batch, the same bits however the batch is cut.
//
// A global batch of R rows is eight canonical groups (group_bounds in core/data/rows.h). Inside a group, rows
// are summed one after the other; the groups' sums are added as one fixed binary tree. Micro-batches of at most device_batch rows
// are cut inside groups, so neither their size nor, later, the number of ranks can be seen in the result.
//
// Errors  those of the rows' reader; ERROR_STOPPED between micro-batches
#ifndef CORE_TRAIN_GRADIENT_H
#define CORE_TRAIN_GRADIENT_H

#include "core/model/model.h"

enum { GRADIENT_SETS = 5 }; // of gradients that live at a time

// Where rows come from: inputs and targets [n,T] of rows first .. first+n-1 of the run, numbered from 0 without end.
struct row_source {
    void *self;
    struct error *(*read)(void *self, int64_t first, int n, int32_t *inputs, int32_t *targets);
};

struct gradient {
    struct model *model;
    int64_t R;
    int T, device_batch;
    int32_t *inputs, *targets;
    float *weights;
    double *losses; // [device_batch,T] and then [R]: the sum of each row
    struct tensor *sets[GRADIENT_SETS];
    int n_sets;
};

struct error *CHECKED gradient_open(struct gradient *g, struct model *model, int64_t R, int T, int device_batch);

// Gradient of the mean loss over rows first .. first+R-1; *loss is that mean, in nats a token. *sum is valid until the next call.
struct error *CHECKED gradient_of_rows(struct gradient *g, struct row_source rows, int64_t first, double *loss,
                                       const struct tensor **sum);

#endif
