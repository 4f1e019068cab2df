// chat_eval.h - scores of a chat model on tasks: choices by the logits of their letters, numbers and texts by greedy generation.
//
//     struct chat_eval chat = {.tasks = tasks, .n_tasks = n, .engine = &engine, .max_tokens = 512, ...};
//     chat_eval_init(&chat);                                    // and, to go on, table_load of chat.examples and .programs
//     e = engine_open(&engine, &model, tokenizer, n_slots, chat_eval_capacity(&chat, model.n_positions));
//     e = chat_eval_run(&chat);                                 // ERROR_STOPPED: chat.examples has what is done so far
//     e = chat_eval_scores(&chat, &scores);                     // a row a task
//
// Examples   the first n of the task's fixed permutation (task_rows_order), one after the other; chat.examples has a row an example in
//            that order, so it is also how far it is: rows that are there are not done again
// Choice     of the logits behind the prompt (assistant_start) those of the question's letters; the largest, the first among equals
// Number     greedy, max_tokens, the calculator in it; graded by the text of the whole answer, forced output included
// Programs   an answer that is graded by python_tests is written as one of numbers is, and run with its tests: chat.programs has a row for
//            each, in the same order as the examples
// Table      the answer's text is cut in the middle where it is too long for its column; it is graded whole
// Errors     ERROR_DATA naming task and row for one that cannot be asked or graded; those of the engine
// Bits       no example depends on another, or on how many are done at once
// Source     nanochat 2025-10-13, chat_eval
#ifndef CORE_EVAL_CHAT_EVAL_H
#define CORE_EVAL_CHAT_EVAL_H

#include "core/data/task_rows.h"
#include "core/infer/engine.h"
#include "core/sandbox/sandbox.h"
#include "core/store/metrics.h"

struct chat_eval_task {
    const char *name;
    enum task_grader grader; // not GRADER_NONE
    double baseline;
    const struct task_rows *rows;
    int64_t n_examples; // at most rows->n
    const char *suite;  // that it is asked in; NULL: none
};

struct chat_eval {
    const struct chat_eval_task *tasks;
    int n_tasks;
    struct engine *engine;
    int64_t prompt_tokens; // prompts are cut to so many
    int max_tokens;
    struct sandbox *sandbox;         // where a task is graded by python_tests; else NULL
    struct table examples, programs; // struct example_score, struct program_score
    void *self;
    void (*progress)(void *self, const char *task, int64_t done, int64_t of); // of all tasks; may be NULL
    struct error *(*save)(void *self); // called every so often, where examples are whole; may be NULL
};

void chat_eval_init(struct chat_eval *eval);

// Positions that the engine needs for the longest prompt, and its answer where one is written; at most n_positions.
int chat_eval_capacity(const struct chat_eval *eval, int n_positions);
struct error *CHECKED chat_eval_run(struct chat_eval *eval);

// Of what has been done: a row a task, struct task_score. scores need not be initialised; table_release it.
struct error *CHECKED chat_eval_scores(const struct chat_eval *eval, struct table *scores);

// How many of the task's programs ended so; chat.programs is looked at.
int64_t chat_eval_programs(const struct chat_eval *eval, const char *task, enum sandbox_verdict verdict);
void chat_eval_release(struct chat_eval *eval);

#endif
