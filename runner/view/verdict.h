// verdict.h - a run that was made again, held against what was recorded of it.
//
//     e = verdict_collect(&v, &recorded, "results", &again, &plan, &arena);    // plan: that again was made by
//
// Bits       where both results are there their files are compared whole (store/same.h), else the numbers of the two records
// Same       canary, instruction set and build are those that were recorded, or else were not recorded: then bits must be the same.
//            Of tokenizers, tokens and what they count, always: nothing in them is rounded
// Tolerance  elsewhere, since rounding differs in the last digit and a training spreads it: the loss, a mean over the last tenth of the
//            steps, within 2 %; bits per byte within 1 %; accuracies by a test of two proportions, not told apart at 0.01; the mean reward of
//            the last tenth of the updates within 0.1. Single losses, samples and answers are not judged then
// Ownership  in the arena; the runs are borrowed
// Errors     ERROR_DATA for records that are damaged
#ifndef RUNNER_VIEW_VERDICT_H
#define RUNNER_VIEW_VERDICT_H

#include "core/base/json.h"
#include "runner/graph/plan.h"
#include "runner/view/parting.h"

enum verdict { VERDICT_SAME_BITS, VERDICT_SAME_NUMBERS, VERDICT_WITHIN, VERDICT_DIFFERS, VERDICT_NOT_MADE, VERDICTS };

const char *verdict_name(enum verdict verdict); // "same bits", "within tolerance", ...

struct verdict_measure {
    const char *name;                // "loss", "bpb", "town_quiz"
    double recorded, now, tolerance; // tolerance: relative, absolute, or of a test the p below which two are told apart
    const char *unit;                // "relative", "absolute", "p"
    bool holds;
};

struct verdict_stage {
    enum verdict verdict;
    const struct parting *parting;
    bool same_maker;  // computed as it was
    const char *what; // "same 12 datasets", "/model/lm_head differs"; NULL: no files to compare
    struct verdict_measure *measures;
    int n_measures;
};

struct verdicts {
    struct partings partings;
    struct verdict_stage *stages; // that were made in the recorded run, in its order
    int n;
    enum verdict all; // the worst
};

struct error *CHECKED verdict_collect(struct verdicts *v, const struct run *recorded, const char *results,
                                      const struct run *again, const struct plan *plan, struct arena *arena);

#endif
