// schedule.h - carries a plan out: stages as processes, side by side where they fit, the record rewritten as each one ends.
//
//     e = schedule_run(&result, &plan, selected, &record, &hooks, 0, &arena);
//
// A stage starts when its inputs are there, in the order of the graph. A stage that fails does not end the run: stages that need it
// are skipped, others go on. A stop request ends it after the running stages have saved; stop_at_once() (core/base/stop.h) ends them
// as they are. Inputs are checked before anything starts: schedule_check.
//
// Side by side  cores are those this process may use, or OMP_NUM_THREADS. A stage that trains takes all of them. Evaluations that are
//               ready together divide them, for small models use many cores badly; tokenizer and token stages take one. Bits do not
//               depend on it. With `jobs` given as many stages of any kind run at once, and divide the cores
// Elsewhere     a stage whose lock is held, by another run or by a stage whose runner died, waits, and its result is taken when it is
//               there; stages that do not need it go on
// Errors        what keeps the runner itself from going on; failures of stages are in the result. A record that cannot be written
//               (a full disk) is tried again at the next end of a stage: only the last try counts
#ifndef RUNNER_GRAPH_SCHEDULE_H
#define RUNNER_GRAPH_SCHEDULE_H

#include "runner/graph/launch.h"
#include "runner/graph/plan.h"

struct schedule_hooks { // each may be NULL; i of n counts the stages that run
    void *self;
    void (*begin)(void *self, const struct plan_stage *stage, int i, int n);
    void (*progress)(void *self, const struct plan_stage *stage, const struct live_line *line);
    void (*waiting)(void *self, const struct plan_stage *stage, const struct lock_holder *holder);
    void (*found)(void *self, const struct plan_stage *stage); // after waiting: it has been made meanwhile
    void (*end)(void *self, const struct plan_stage *stage, const struct outcome *outcome);
    void (*stopping)(void *self); // a stop was asked for: running stages have been told to save
    void (*tick)(void *self);     // a few times a second
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

// Removes what stages that are done have left beside their results because they, or their runners, were killed at the very end: checkpoints
// among it, which are large. What somebody holds the lock of stays, and so does a checkpoint that is newer than the result: of a training
// that was running again for the sake of a step.
void schedule_tidy(const struct plan *plan, struct arena *arena);

// Fills in the stages of a record from the plan: states cached and waiting, keys, payloads, reasons.
struct error *CHECKED schedule_record(struct run *record, const struct plan *plan, struct arena *arena);

// jobs: how many stages at once; 0: as they fit.
struct error *CHECKED schedule_run(struct schedule_result *result, struct plan *plan, const bool *selected, struct run *record,
                                   const struct schedule_hooks *hooks, int jobs, struct arena *arena);

#endif
