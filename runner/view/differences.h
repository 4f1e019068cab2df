// differences.h - what was asked differently in runs that lie side by side, read out of the payloads of their keys.
//
//     struct differences d;
//     e = differences_collect(&d, runs, n_runs, arena);
//     for (i ...) d.rows[i].stage, .field, .text[r]           // "sft", "mixture[1].epochs", "2"; NULL: not there in run r
//
// Stages     are matched by name; of one that only some runs have, its kind is the only row
// Fields     under their name; task.prompt of a task's file; version, where the code computes something else; data[3].sha256 of what
//            is read, with `of` telling how many parts of that list differ (the first is shown)
// Lists      entries of a mixture are matched by task and split and numbered as in the first run that has them; an entry that only
//            some have is shown whole, "gsm8k x2"; the same entries in another order, as lists. Of words: whole lists
// Inputs     follow from the stages that they come from, which are shown; an input is a row only where it comes from a stage of
//            another name, or where nothing before it differs
// Published  runs (reference.h) tell some of what was asked: what they do not tell is no difference
// Limits     DIFFERENCES_MOST rows; n_left_out counts the others
// Ownership  in the arena; names of stages in the runs
// Errors     ERROR_DATA for a payload that is not JSON
#ifndef RUNNER_VIEW_DIFFERENCES_H
#define RUNNER_VIEW_DIFFERENCES_H

#include "runner/graph/run_record.h"

enum { DIFFERENCES_MOST = 1000, DIFFERENCES_RUNS = 8 };

struct difference {
    const char *stage, *field;
    const char *text[DIFFERENCES_RUNS]; // for people: reals in the fewest digits, hashes cut short
    const char *json[DIFFERENCES_RUNS]; // the value itself
    int of;
};

struct differences {
    struct difference *rows;
    int n_rows, n_left_out;
    int n_runs;
};

// n_runs: at most DIFFERENCES_RUNS.
struct error *CHECKED differences_collect(struct differences *d, const struct run *runs, int n_runs, struct arena *arena);

#endif
