// why_runs.h - `retort why RUN RUN`: what was asked differently, where the numbers part, and what is recorded that explains it.
#ifndef RUNNER_COMMANDS_WHY_RUNS_H
#define RUNNER_COMMANDS_WHY_RUNS_H

#include "runner/commands/command.h"

struct error *CHECKED why_runs(struct call *call);

#endif
