// stage_job.h - what the process of a planned stage is told (runner/stages/job.h): paths of inputs, parts that are not there, tasks.
//
// Ownership  the job borrows from the plan, the rest of it lies in the arena
#ifndef RUNNER_GRAPH_STAGE_JOB_H
#define RUNNER_GRAPH_STAGE_JOB_H

#include "runner/graph/plan.h"
#include "runner/stages/job.h"

struct error *CHECKED stage_job(struct job *job, const struct plan *plan, const struct plan_stage *stage, struct arena *arena);

// The lock that the stage's process holds while it makes the result. Token stages of one tokenizer share one, for their parts can be
// the same. NULL: memory ran out.
const char *stage_lock_path(const struct plan *plan, const struct graph_node *node, struct arena *arena);

#endif
