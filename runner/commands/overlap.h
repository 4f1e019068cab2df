// overlap.h - `retort check RECIPE --overlap`: which questions of its evaluations stand in what its models are trained on.
#ifndef RUNNER_COMMANDS_OVERLAP_H
#define RUNNER_COMMANDS_OVERLAP_H

#include "runner/commands/load.h"

// Reads all of the training text, prints what was found, and keeps it for `report`. The recipe and the graph are loaded.
struct error *CHECKED overlap_command(struct loaded *loaded, struct call *call);

#endif
