// task_inputs.h - what stages that read tasks open: the model's tokenizer and shape, and the rows of the tasks that the job names.
//
//     e = task_inputs_open(&inputs, job, model_path, arena);
//     e = task_inputs_parts(&inputs, "mixture", arena, &parts, &n_parts);      // for mixture_open; NULL of a role that has none
//     task_inputs_close(&inputs);
//
// Ownership  in the arena; task_inputs_close lets go of the files
// Errors     ERROR_DATA for files that do not fit together (another vocabulary)
#ifndef RUNNER_STAGES_TASK_INPUTS_H
#define RUNNER_STAGES_TASK_INPUTS_H

#include "core/data/mixture.h"
#include "core/model/shape.h"
#include "core/sandbox/sandbox.h"
#include "runner/stages/job.h"

struct task_inputs {
    const struct job *job;
    struct tokenizer *tokenizer;
    struct task_rows *rows; // one a task of the job
};

struct error *CHECKED task_inputs_open(struct task_inputs *inputs, const struct job *job, const char *model, struct arena *arena);

// The tasks of a role, in order.
struct error *CHECKED task_inputs_parts(const struct task_inputs *inputs, const char *role, struct arena *arena,
                                        struct mixture_part **parts, int *n_parts);

// Where an answer to a task of the job is graded by running it: what it is run in, for sandbox_close; else *sandbox is NULL.
struct error *CHECKED task_inputs_sandbox(const struct job *job, struct sandbox **sandbox);

struct error *CHECKED task_inputs_shape(const char *model, struct shape *shape);
void task_inputs_close(struct task_inputs *inputs);

#endif
