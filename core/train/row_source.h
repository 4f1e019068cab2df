// row_source.h - where the rows of a training come from: rows first .. first+n-1 of the run, numbered from 0 without end.
#ifndef CORE_TRAIN_ROW_SOURCE_H
#define CORE_TRAIN_ROW_SOURCE_H

#include "core/base/error.h"

#include <stdint.h>

struct row_source {
    void *self;
    // inputs and targets [n,T], T at least the rows' widths; a target of -1 is not counted. Without `width` T is the whole length.
    struct error *(*read)(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets);

    // The three below are NULL where each row has T inputs, T targets and weight 1.
    int (*width)(void *self, int64_t row);     // inputs of the row; 0: its gradient is zero, and it is not computed
    int (*n_targets)(void *self, int64_t row); // that are counted, also where the width is 0
    double (*weight)(void *self, int64_t row); // of its losses: the advantage
};

#endif
