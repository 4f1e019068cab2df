// scores.h - what a run's models score, as a table: a column a model, in the order of the run, a row a measure.
//
//     e = scores_collect(&scores, &run, tables, arena);
//     for (r ...) for (m ...) scores.rows[r].value[m]                 // NaN: this model was not asked
//
// Rows       bits per byte, then the tasks in order of first mention, then means over tasks of one evaluation of (accuracy - baseline) /
//            (1 - baseline): of each suite, by its title, and ChatCORE, of what is asked in a chat and in no suite. A suite of which not
//            all tasks were asked says so: "CORE (18 of 22 tasks, capped)". A capped score, asked of some examples only, has a row
//            of its own and says so in its label; it never shares one with a full score. Nor do numbers over another basis (basis.h):
//            "bpb, other text"
// Source     a value of several evaluations of one model is that of the last; `stage` says which that was
// Noise      deviation is the standard error of an accuracy, sqrt(p (1-p) / n), and of a suite's mean; low and high are the 95 %
//            confidence interval (core/eval/scores.h); NaN of other measures
// Ownership  in the arena
#ifndef RUNNER_VIEW_SCORES_H
#define RUNNER_VIEW_SCORES_H

#include "runner/graph/run_record.h"
#include "runner/view/basis.h"

struct score_row {
    const char *name;    // "town_quiz", "mmlu (100 of 14042)", "bpb"
    const char *label;   // the name, and why the row is not the first of that name: "bpb, other text"
    struct basis basis;  // that all its values have
    bool is_accuracy;    // shown in percent
    const char *suite;   // whose mean it is; NULL: of none
    const char *missing; // tasks of the suite that were not asked for want of data, blanks between; NULL: none
    bool less_is_better;
    double *value, *deviation, *low, *high; // [n_models]
    int64_t *n;                             // [n_models] examples asked; 0 of other measures
    int *stage;                             // [n_models] of the run's stages the one that measured it; -1: none
};

struct scores {
    const char **models; // names of stages, with the step where it is none of its end: "base@500"
    int n_models;
    struct score_row *rows;
    int n_rows;
};

// tables: one a stage of the run.
struct error *CHECKED scores_collect(struct scores *scores, const struct run *run, const struct run_tables *tables,
                                     struct arena *arena);

// "0.2086", "62.4 %", "-".
const char *score_text(char *text, size_t size, const struct score_row *row, double value);

#endif
