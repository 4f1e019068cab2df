// replicates.h - runs that differ in nothing but the seed are one thing done several times: mean, deviation, and whether two such groups can
// be told apart.
//
//     e = replicates_find(&r, runs, n_runs, arena);            // r.n_groups < n_runs: some belong together
//     replicates_test(&r, values, &row);                       // one number a run, NaN where there is none
//
// Groups     in the order of their first runs; a run belongs to the first whose first run was asked the same but for seeds (differences.h).
//            One that was asked the very same counts once: it must give the same bits, and says nothing of noise
// Deviation  of the sample, sqrt(sum (x - mean)^2 / (n - 1)); NaN of one
// Test       of exactly two groups of which one has several: Welch's t test, two-sided; where the other is a single run, whether it could be
//            one more of the several (t with n - 1 degrees, the deviation times sqrt(1 + 1/n)). NaN else. From REPLICATES_NOISE on two groups
//            cannot be told from noise. What two seeds give is little to go by: p says so
// Source     Welch 1947, "The generalization of 'Student's' problem"; the distribution of t by the incomplete beta function, by its
//            continued fraction (DLMF 8.17.22)
#ifndef RUNNER_VIEW_REPLICATES_H
#define RUNNER_VIEW_REPLICATES_H

#include "runner/view/differences.h"

#include <stdbool.h>

#define REPLICATES_NOISE 0.05

struct replicates {
    int n_runs, n_groups;
    int group[DIFFERENCES_RUNS];  // of each run
    bool again[DIFFERENCES_RUNS]; // it is an earlier one once more
};

struct replicates_row {
    double mean[DIFFERENCES_RUNS], deviation[DIFFERENCES_RUNS]; // a group each
    int n[DIFFERENCES_RUNS];
    double difference, p; // of two groups, the second less the first
};

struct error *CHECKED replicates_find(struct replicates *r, const struct run *runs, int n_runs, struct arena *arena);

void replicates_test(const struct replicates *r, const double *values, struct replicates_row *row);

// The probability of a t so far from 0 or farther, on either side.
double replicates_t(double t, double degrees);

#endif
