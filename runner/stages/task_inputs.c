// task_inputs.c - a task that the job names twice is opened twice: both are the same mapping.
#include "runner/stages/task_inputs.h"

#include <string.h>

#include "core/model/model_file.h"
#include "core/text/tokenizer_file.h"

struct error *task_inputs_open(struct task_inputs *in, const struct job *job, const char *model, struct arena *arena)
{
    struct store_file *file = NULL;
    *in = (struct task_inputs){.job = job, .rows = arena_array(arena, (size_t)job->n_tasks + 1, sizeof *in->rows)};
    struct error *e = in->rows ? store_open(&file, model) : error_memory();
    if (!e)
        e = tokenizer_load(file, arena, &in->tokenizer);
    store_close(file);
    for (int i = 0; i < job->n_tasks && !e; i++) {
        const struct job_task *task = &job->tasks[i];
        e = task_rows_open(&in->rows[i], task->paths, task->n_paths, arena);
        if (!e && in->rows[i].n_vocab != in->tokenizer->n_vocab)
            e = error_plain(ERROR_DATA, "the tokens have a vocabulary of %lld, the tokenizer one of %lld",
                            (long long)in->rows[i].n_vocab, (long long)in->tokenizer->n_vocab);
        e = error_while(e, NOWHERE, "opening the tokens of task '%s', split '%s'", task->name, task->split);
    }
    return e;
}

struct error *task_inputs_parts(const struct task_inputs *in, const char *role, struct arena *arena, struct mixture_part **parts,
                                int *n_parts)
{
    const struct job *job = in->job;
    *n_parts = 0;
    *parts = arena_array(arena, (size_t)job->n_tasks + 1, sizeof **parts);
    if (!*parts)
        return error_memory();
    for (int i = 0; i < job->n_tasks; i++)
        if (!strcmp(job->tasks[i].role, role))
            (*parts)[(*n_parts)++] = (struct mixture_part){
                .name = job->tasks[i].name, .rows = &in->rows[i], .epochs = job->tasks[i].epochs, .n_rows = job->tasks[i].rows};
    return NULL;
}

struct error *task_inputs_sandbox(const struct job *job, struct sandbox **sandbox)
{
    *sandbox = NULL;
    for (int i = 0; i < job->n_tasks; i++)
        if (job->tasks[i].grader == GRADER_PYTHON_TESTS)
            return error_while(sandbox_open(sandbox, NULL), NOWHERE, "preparing to run answers to task '%s'", job->tasks[i].name);
    return NULL;
}

struct error *task_inputs_shape(const char *model, struct shape *shape)
{
    struct store_file *file = NULL;
    struct error *e = store_open(&file, model);
    if (!e)
        e = model_file_shape(file, shape);
    store_close(file);
    return e;
}

void task_inputs_close(struct task_inputs *in)
{
    for (int i = 0; in->rows && i < in->job->n_tasks; i++)
        task_rows_close(&in->rows[i]);
}
