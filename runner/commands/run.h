// run.h - carrying a plan out under the lock of its recipe's name, for `run` and for what runs a recipe on the way to something else.
#ifndef RUNNER_COMMANDS_RUN_H
#define RUNNER_COMMANDS_RUN_H

#include "runner/commands/load.h"

enum run_says {
    RUN_SAYS_ALL,      // progress and the report card; with --json the answer
    RUN_SAYS_PROGRESS, // lines about stages as they come, nothing at the end; with --json nothing
};

// selected: one a stage of the plan. The results folder is that of the call. call->status is that of the contract: 0, 1, 75 ...
struct error *CHECKED run_plan(struct loaded *loaded, struct call *call, const bool *selected, struct plan_stage *fresh, int jobs,
                               enum run_says says);

#endif
