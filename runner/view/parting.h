// parting.h - where the numbers of two runs part, stage by stage, and what is recorded that tells them apart before that.
//
//     struct partings p;
//     e = partings_collect(&p, &a, &b, arena);         // stages that both runs have, in the order of the first
//     for (i ...) p.rows[i].table ...                  // NULL: all that is recorded of both is the same, bit for bit
//
// Numbers    those of the tables of a record that do not tell of time: losses and what stands beside them, validation, scores, examples,
//            samples, rollouts. Rows are held against each other from the first on; where one run has more, the others' count
// First      of several tables the one that parts at the earliest step; a row of no step (a score) comes last
// Causes     in the order in which they would show: another key (differences.h says what was asked), an input that parted before,
//            another canary, instruction set, build or machine, a resume that says that bits may differ. Threads are told, and are none:
//            on a processor bits do not depend on them. Of the same key, canary, instruction set and build there should be no parting
// Ownership  in the arena; the runs are borrowed
// Errors     ERROR_DATA for a damaged record
#ifndef RUNNER_VIEW_PARTING_H
#define RUNNER_VIEW_PARTING_H

#include "runner/graph/run_record.h"

#include <stdbool.h>

enum parting_cause {
    PARTING_UNKNOWN, // nothing that is recorded tells
    PARTING_ASKED,   // the stage itself was asked something else
    PARTING_INPUT,   // what it reads parted before
    PARTING_CANARY,
    PARTING_ISA,
    PARTING_BUILD,
    PARTING_MACHINE,
    PARTING_RESUMED,
    PARTING_CAUSES
};

struct parting {
    const char *stage, *kind;
    const struct run_stage *a, *b;
    bool same_key, made;        // made: both have the result
    const char *table, *member; // where they part first: "metrics/train", "loss"; NULL: nowhere
    int64_t row, step;          // of that table; step -1: its rows have none
    double x, y;                // the values, NaN of texts
    const char *text[2];        // of texts, cut short; NULL of numbers
    int64_t n_rows, n_common;   // rows of all tables: of the longer, and that both have
    int64_t n_steps[2];         // of metrics/train
    enum parting_cause cause;
    const char *why[2]; // of the cause: a value each, or NULL
    const char *input;  // of PARTING_INPUT: the stage
};

struct partings {
    struct parting *rows;
    int n;
    int first; // of rows, the first that parts; -1: none does
};

struct error *CHECKED partings_collect(struct partings *p, const struct run *a, const struct run *b, struct arena *arena);

const char *parting_cause_name(enum parting_cause cause); // "canary", "asked", "unknown", ...

#endif
