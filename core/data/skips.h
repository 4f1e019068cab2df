// skips.h - how many malformed rows of a file may be left out (skip_bad), and how many were.
//
//     struct skips skips = {.most = 10};
//     part.skips = &skips;                                 // documents.h and record.h then leave such rows out by themselves
//     ...
//     if (skips.n > 0) ... skips.first ...
//     skips_release(&skips);
//
// A row is bad where it alone is wrong: a line that is no JSON, a field that is missing or of another kind, a row that is no
// example of its task. Damage to a file, a line too long and lack of memory are never skipped.
#ifndef CORE_DATA_SKIPS_H
#define CORE_DATA_SKIPS_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct skips {
    int64_t most, n;
    struct error *first; // of the rows skipped; owned
};

// Takes the error of a bad row: NULL where it is skipped, else what there is to say. skips may be NULL: nothing is.
struct error *CHECKED skips_take(struct skips *skips, struct error *e);

void skips_release(struct skips *skips);

#endif
