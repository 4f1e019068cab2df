// keeping.h - which steps of a training are kept beside its result, OUT@STEP.h5, and whether with the optimizer.
//
//     if (keeping_due(job, &schedule, step, &optim) && !keeping_is_there(keeping_path(job, step, arena), optim))
//         ... write it
//
// Asked for  by the fields keep, keep_every and keep_optim, and by stages that read a step or the optimizer (job.h: kept). The end, which is
//            the result, is kept beside it only where it is asked for by its number
#ifndef RUNNER_STAGES_KEEPING_H
#define RUNNER_STAGES_KEEPING_H

#include "core/train/schedule.h"
#include "runner/stages/job.h"

bool keeping_due(const struct job *job, const struct schedule *schedule, int64_t step, bool *optim);

// Whether the result has the optimizer.
bool keeping_at_end(const struct job *job, const struct schedule *schedule);

// In the arena; NULL: no memory.
const char *keeping_path(const struct job *job, int64_t step, struct arena *arena);

// Whether the file of a kept step is there, whole, and has what is asked for.
bool keeping_is_there(const char *path, bool optim);

#endif
