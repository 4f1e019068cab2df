// overlap_probe.h - how many questions of a recipe's evaluations stand in what its models are trained on (core/eval/overlap.h).
//
//     e = overlap_probe(&report, &graph, tell, self, &arena);     // reads all of the training text, once
//     e = overlap_save(&report, &graph, "results", &arena);
//     e = overlap_load(&report, &run, &arena);                    // of a run of the same keys; n_tasks 0: nobody measured it
//
// Questions  the rows of every task that an evaluation of the recipe asks, each split once: question, choices and answer in a row
// Text       the training parts of every source that a pretraining reads, never its validation text; and by itself the rows of what
//            fine-tunings and practice learn from: the whole split, be it asked for in part
// Kept       results/overlap/HEX.json, HEX being of the keys of what is trained and evaluated: another text or another question is another
//            file. It is measured when asked for, not with every run: it reads the whole text, which training may not
// Errors     ERROR_MACHINE for data that is not there; those of reading it; ERROR_STOPPED
#ifndef RUNNER_GRAPH_OVERLAP_PROBE_H
#define RUNNER_GRAPH_OVERLAP_PROBE_H

#include "core/base/json.h"
#include "runner/graph/graph.h"
#include "runner/graph/run_record.h"

enum { OVERLAP_ROWS = 5 };

struct overlap_task {
    const char *name;                   // "mmlu test"
    int64_t n, n_short;                 // questions; of them too short to tell
    int64_t in_text, in_mixtures;       // that stand there
    int64_t rows[OVERLAP_ROWS], n_rows; // some of those in either
};

struct overlap_report {
    struct overlap_task *tasks;
    int n_tasks;
    int64_t n_documents, n_bytes; // of the text, mixtures included
    double seconds;
};

struct error *CHECKED overlap_probe(struct overlap_report *report, const struct graph *graph,
                                    void (*tell)(void *self, int64_t bytes), void *self, struct arena *arena);
struct error *CHECKED overlap_save(const struct overlap_report *report, const struct graph *graph, const char *results,
                                   struct arena *arena);
struct error *CHECKED overlap_load(struct overlap_report *report, const struct run *run, struct arena *arena);

// Adds `overlap` to an open object.
void overlap_to_json(struct json *j, const struct overlap_report *report);

#endif
