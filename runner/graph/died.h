// died.h - what became of the stages of a run whose runner died: its record, written last at the end of a stage, does not say.
//
// Of such a run (run_state: "died") a stage that the record has as running or waiting is
//   "finished"      where its result is there and was made since the run began
//   "interrupted"   where something else of it was written since then: it was under way, and the next run goes on with it
//   "waiting"       where nothing was: its turn had not come
// The run is "died", and has ended when its stages were last heard of.
#ifndef RUNNER_GRAPH_DIED_H
#define RUNNER_GRAPH_DIED_H

#include "runner/graph/run_record.h"

// Brings *run, as it was read, up to date; nothing is written. Of a run that did not die nothing changes.
struct error *CHECKED died_look(struct run *run, const char *results, struct arena *arena);

// The same for the newest run of that name, and into its record. Under the lock of the run, so that no such run goes on.
struct error *CHECKED died_record(const char *results, const char *name, struct arena *arena);

#endif
