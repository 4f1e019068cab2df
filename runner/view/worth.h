// worth.h - what a model took, all that had to be made before it included: for scores per dollar and per FLOP.
#ifndef RUNNER_VIEW_WORTH_H
#define RUNNER_VIEW_WORTH_H

#include "runner/graph/run_record.h"

struct worth {
    double flops, usd; // of training; of making. NaN: not known of one of the trainings
};

// Of stage i of a run: it and every stage whose result it was made from, by the keys in payloads; each once, by what making it took, also
// where it was cached.
struct error *CHECKED worth_of(struct worth *worth, const struct run *run, int i, struct arena *arena);

#endif
