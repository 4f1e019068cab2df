// scores.h - what a share of right answers says: above chance, how surely, and of several tasks together.
//
//     score_finish(&row);                                         // a struct task_score with its counts and baseline
//     score_of_suite(&suite, rows, n_rows);                       // the mean over the rows of suite.suite
//
// Centered   (accuracy - baseline) / (1 - baseline): 0 by guessing, 1 if all is right
// Deviation  sqrt(p (1-p) / n) of an accuracy; of a suite sqrt(sum over tasks of (deviation / (1 - baseline))^2) / tasks
// Interval   95 %: of an accuracy Wilson's, which also holds for few examples and shares near 0 and 1; of a suite value -+ 1.96
//            deviations. Both are about the examples that were drawn, not about what another seed would have trained
// None       of no examples accuracy, centered and deviation are NaN, and the interval is 0 .. 1
// Source     Wilson 1927, "Probable inference"; nanochat 2025-10-13, core_eval
#ifndef CORE_EVAL_SCORES_H
#define CORE_EVAL_SCORES_H

#include "core/store/metrics.h"

// Fills in what follows from n, right and baseline.
void score_finish(struct task_score *score);

void score_interval(int64_t right, int64_t n, double *low, double *high);

// Fills in n, capped, value, deviation, low and high from the rows whose suite is suite->suite.
void score_of_suite(struct suite_score *suite, const struct task_score *rows, int64_t n_rows);

#endif
