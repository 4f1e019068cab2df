// compare.h - runs side by side: what was asked differently, how training went, what the models score, and which differences of
// scores are more than noise.
//
//     e = compare_runs(&c, runs, n_runs, arena);            // two to COMPARE_RUNS records
//     e = compare_print(&c, stdout, 80, arena);             // compare_print.h
//     compare_json(&c, &j);                                 // adds to an open object
//
// Measures   of each stage that trains: last loss, bits per byte, reward, share of questions with a right answer among k (pass@k),
//            time, cost, tokens, parameters; only those that differ. Of each model that is scored what it took with all that was made
//            before it ("FLOPs in all", "cost in all"), and its mean score, or where it has none its accuracies in points, per dollar and
//            per exaFLOP, 10^18
// Scores     a row a model and measure (scores.h), a column a run. Models are matched by the name of their stage
// Comparable numbers alone share a row (basis.h): a loss with another tokenizer, a bpb over another text, answers to other questions and
//            capped scores have rows of their own, whose labels say why ("bpb, other text"); `why` says it alone
// Noise      of two runs, for accuracies only. Where both were asked the same examples (task, row and expected answer agree in all):
//            the exact two-sided McNemar test, the binomial probability that of the examples which just one of the two got right so
//            few or fewer fall to the worse one. Else the z test of two proportions with the pooled standard error. Below
//            COMPARE_NOISE a difference is told from noise; one measure in twenty is by chance. What another seed would have
//            given is not in it. Bits per byte and means over tasks have no p
// Seeds      runs that differ in nothing but seeds are replicates (replicates.h): mean, deviation, number, and of two groups whether they can
//            be told apart
// JSON       null: not known, not there, not asked
//            runs:   [{name, number, source, path, state, started, seconds, usd, recipe, machine, build}]
//            fields: [{stage, field, values: [any, one a run], of}]          differences.h; fields_left_out counts others
//            stages: [{stage, measure, why, values: [number]}]               seconds, usd and counts are plain numbers
//            scores: [{model, score, why, values, deviations, lows, highs, n: [examples], best: [runs, from 0], difference, p, test,
//                    pairs, only_first, only_second}]     test: "mcnemar", "proportions"; pairs: examples both were asked, only_first:
//                    right in the first run alone; difference and what follows are null unless there are two runs
//            groups: [[runs, from 0]] by replicates; seeds: [{stage, measure, mean, deviation, n: [one a group], difference, p}]
// Ownership  in the arena; the runs are borrowed as long as the comparison is used
// Errors     ERROR_DATA for a damaged record
// Source     McNemar 1947, "Note on the sampling error of the difference between correlated proportions", in its exact form
#ifndef RUNNER_VIEW_COMPARE_H
#define RUNNER_VIEW_COMPARE_H

#include "core/base/json.h"
#include "runner/graph/run_record.h"
#include "runner/view/basis.h"
#include "runner/view/differences.h"
#include "runner/view/replicates.h"
#include "runner/view/scores.h"

#include <stdbool.h>

enum { COMPARE_RUNS = DIFFERENCES_RUNS };

#define COMPARE_NOISE 0.05

enum compare_unit { COMPARE_REAL, COMPARE_SECONDS, COMPARE_USD, COMPARE_COUNT, COMPARE_BIG, COMPARE_RATIO };
enum compare_test { COMPARE_UNTESTED, COMPARE_MCNEMAR, COMPARE_PROPORTIONS };

struct compare_measure {
    const char *stage, *name; // "base", "loss"
    const char *why;          // it has a row of its own; NULL: it is the first
    enum compare_unit unit;
    double value[COMPARE_RUNS]; // NaN: not known
};

struct compare_score {
    const char *model, *label;
    const char *name; // the label without why
    const char *why;  // it has a row of its own; NULL: it is the first
    struct basis basis;
    bool is_accuracy, less_is_better;
    double value[COMPARE_RUNS], deviation[COMPARE_RUNS]; // NaN: not asked; not known
    double low[COMPARE_RUNS], high[COMPARE_RUNS];        // 95 % confidence interval; NaN: not known
    int64_t n[COMPARE_RUNS];                             // examples asked, 0 of other measures
    bool best[COMPARE_RUNS];                             // none where all are equal
    double difference, p;                                // of two runs, second less first; NaN: not known
    enum compare_test test;
    int64_t pairs, only_first, only_second; // of COMPARE_MCNEMAR
};

struct compare_seed { // of replicates (replicates.h): a measure or score over seeds
    const char *stage, *name;
    bool is_accuracy;
    struct replicates_row row;
};

struct comparison {
    const struct run *runs;
    int n_runs;
    struct differences differences;
    struct compare_measure *measures;
    int n_measures;
    struct compare_score *scores;
    int n_scores;
    struct replicates replicates;
    struct compare_seed *seeds; // none where no run is another's replicate
    int n_seeds;
};

struct error *CHECKED compare_runs(struct comparison *c, const struct run *runs, int n_runs, struct arena *arena);

// Adds runs, fields, fields_left_out, stages and scores.
void compare_json(const struct comparison *c, struct json *json);

// The exact test: of only_first + only_second examples that one of two got right, each alike likely to be either's. 1 where there
// are none.
double compare_mcnemar(int64_t only_first, int64_t only_second);

// The z test of right_a of n_a against right_b of n_b, two-sided; 1 where nothing can be told, NaN without examples.
double compare_proportions(double right_a, int64_t n_a, double right_b, int64_t n_b);

#endif
