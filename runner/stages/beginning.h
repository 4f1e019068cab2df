// beginning.h - what a training has before its first update: initial weights, or those of a model file, with more of it or less.
//
//     e = beginning_make(&begin, &training, job->payload, arena);       // a new training, in memory that is open for it
//
// Weights   from NULL: the initial ones of the seed, of the year. Else those of the file
// Moments   takes_moments: the optimizer's moments are those of the file, and AdamW's correction counts on from the updates that made
//           them; the step is 0 and the tables are empty. The file must have them
// Going on  goes_on, of a file that has an optimizer: moments, step, tables up to it and, where both read the same rows, the place in
//           the text are those of the file; so a branch that asks for nothing else than its parent did computes what that did
// Errors    those of reading the file, which is verified whole
#ifndef RUNNER_STAGES_BEGINNING_H
#define RUNNER_STAGES_BEGINNING_H

#include "core/train/checkpoint.h"

struct beginning {
    const char *from; // model file; NULL: none
    bool goes_on, takes_moments;
    bool is_2026; // initial weights
    int64_t seed;
};

// payload: of the stage that begins, to see whether it reads the rows that the file's did.
struct error *CHECKED beginning_make(const struct beginning *b, struct training *training, const char *payload,
                                     struct arena *arena);

#endif
