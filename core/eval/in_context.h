// in_context.h - scores of a model on tasks that are asked as text: choices by their losses, answers by greedy prediction.
//
//     struct in_context c = {.tasks = tasks, .n_tasks = n, .model = &model, .tokenizer = tokenizer, .n_slots = 8, .examples = &table};
//     e = in_context_open(&c);                     // reads the rows of all tasks; c.n is how many will be asked
//     e = in_context_run(&c);                      // adds the rows that are not in the table; ERROR_STOPPED: what is done is there
//     e = in_context_scores(&c, &scores);          // a struct task_score a task
//     in_context_close(&c);
//
// Table      rows of examples from `first` on, a task after the other, in the order of asking: so it also says how far the run is
// Verdict    loss: the choice of the least mean loss, the first among equals; one that has no tokens of its own has no loss, and is
//            taken where it is the first. exact_greedy: each token of the answer is the likeliest
// Cut        a prompt longer than the model's positions loses its beginning; n_cut says how many did. Its span goes with it, and where
//            that is cut too, the rest of it counts
// Bits       no example depends on another, on n_slots, on threads, or on where the run was taken up
// Errors     ERROR_DATA naming task and row: those of prompts.h, an answer that begins inside of a token; those of scorer.h
// Memory     the decoder's lives on the model's device between open and close; rows in memory of their own
// Source     nanochat 2025-10-13, core_eval; DCLM (Li et al. 2024)
#ifndef CORE_EVAL_IN_CONTEXT_H
#define CORE_EVAL_IN_CONTEXT_H

#include "core/eval/scorer.h"
#include "core/store/metrics.h"
#include "core/text/tokenizer.h"

struct in_context_task {
    const char *name;
    const char *suite; // "": none
    const struct task *task;
    const struct document_part *parts;
    int n_parts;
    int64_t most; // examples; 0: all that the task asks

    struct prompts prompts; // by in_context_open
};

struct in_context {
    struct in_context_task *tasks;
    int n_tasks;
    struct model *model;
    const struct tokenizer *tokenizer;
    int n_slots;
    struct table *examples; // struct example_score
    int64_t first;          // rows of the table that are others'
    void *self;
    void (*progress)(void *self, const char *task, int64_t done, int64_t of); // of all rows of the table; may be NULL
    struct error *(*save)(void *self); // called every so often, where examples are whole; may be NULL

    int64_t n; // examples of all tasks
    int64_t n_cut;
    int64_t n_computed, n_all; // tokens that went through, and that one forward a prompt would have taken
};

struct error *CHECKED in_context_open(struct in_context *c);
struct error *CHECKED in_context_run(struct in_context *c);

// Of what has been done. Adds to scores, which is initialised.
struct error *CHECKED in_context_scores(const struct in_context *c, struct table *scores);
void in_context_close(struct in_context *c);

#endif
