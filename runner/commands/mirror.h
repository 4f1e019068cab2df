// mirror.h - what `run` does about a mirror: bring back with --from, copy beside the run, wait for the rest at its end, say what lacks.
#ifndef RUNNER_COMMANDS_MIRROR_H
#define RUNNER_COMMANDS_MIRROR_H

#include "runner/commands/load.h"
#include "runner/graph/mirror.h"

// Brings back what the plan lacks, telling it; the plan must be made anew.
struct error *CHECKED mirror_bring(const struct call *call, const struct plan *plan, const char *address);

// Starts the copying; number: of the run, 0: none goes on. What keeps it from starting is told, and ends nothing.
void mirror_begin(struct mirror *mirror, const struct call *call, const struct plan *plan, int number);

// Waits until the copying is done or given up, telling how far it is. stopped: the run was asked to stop, and the user waits. A Ctrl-C then
// leaves the rest to the next run. *state (arena): how it stands.
struct error *CHECKED mirror_end(struct mirror *mirror, const struct call *call, const struct plan *plan, bool stopped,
                                 struct mirror_state *state);

// What is there and what is not, in a line or some.
void mirror_print(const struct mirror_state *state, const char *recipe_path);

// ERROR_NOT_BUILT where a file there is of a newer format, and was left as it is.
struct error *CHECKED mirror_refused(const struct mirror_state *state);

// `retort _mirror`, the process that copies; returns the exit status.
int mirror_process(void);

#endif
