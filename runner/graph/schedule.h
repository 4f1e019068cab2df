// schedule.h - carries a plan out: stage after stage, each a process, the record rewritten as each one ends.
//
//     e = schedule_run(&result, &plan, &record, &hooks, &arena);
//
// A stage that fails does not end the run: stages that need it are skipped, others go on. A stop request ends it after the
// running stage has saved. Inputs are checked before anything starts: schedule_check.
//
// Errors  what keeps the runner itself from going on (a full disk under the record); failures of stages are in the result
#ifndef RUNNER_GRAPH_SCHEDULE_H
#define RUNNER_GRAPH_SCHEDULE_H

#include "runner/graph/launch.h"
#include "runner/graph/plan.h"

struct schedule_hooks { // each may be NULL; i of n counts the stages that run
    void *self;
    void (*begin)(void *self, const struct plan_stage *stage, int i, int n);
    void (*progress)(void *self, const struct plan_stage *stage, const struct live_line *line);
    void (*waiting)(void *self, const struct plan_stage *stage, const struct lock_holder *holder);
    void (*end)(void *self, const struct plan_stage *stage, const struct outcome *outcome);
};

struct schedule_result {
    int n_done, n_failed, n_skipped;
    bool stopped;
    struct error *errors; // owned: of all stages that failed
};

// What must run: stages that are not cached and are asked for. selected: one a stage of the plan; NULL: all.
int schedule_count(const struct plan *plan, const bool *selected);

// Everything that keeps the selected stages from running at all: a missing data file, a kind that is not built, an input that
// is neither there nor going to be made.
struct error *CHECKED schedule_check(const struct plan *plan, const bool *selected);

// Fills in the stages of a record from the plan: states cached and waiting, keys, payloads, reasons.
struct error *CHECKED schedule_record(struct run *record, const struct plan *plan, struct arena *arena);

struct error *CHECKED schedule_run(struct schedule_result *result, struct plan *plan, const bool *selected, struct run *record,
                                   const struct schedule_hooks *hooks, struct arena *arena);

#endif
