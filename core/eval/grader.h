// grader.h - is an answer right?
//
// number  what stands behind the first "#### " of the answer (-, digits, dots, commas; commas are then dropped) is the same text as in
//         the reference; both without such a mark are the same
// exact   the answer is the reference, blanks at both ends aside
// choice  is decided by logits (chat_eval.h), or, of a written answer, as exact
// none    nothing is right
// python_tests is decided by running a program: grade_program
//
// Means   of nothing (n = 0) are NaN
// Source  nanochat 2025-10-13, GSM8K and HumanEval
#ifndef CORE_EVAL_GRADER_H
#define CORE_EVAL_GRADER_H

#include "core/data/task.h"
#include "core/sandbox/sandbox.h"

// The number of an answer: *n bytes of out, commas dropped; false: there is none. out holds n_text bytes.
bool grade_number(const char *text, size_t n_text, char *out, size_t *n);

// Not of python_tests.
bool grade(enum task_grader grader, const char *reference, size_t n_reference, const char *answer, size_t n_answer);

// Runs the code of the answer with the tests of the reference (core/data/program.h): right where outcome->verdict is SANDBOX_PASSED.
// Errors: those of sandbox_run. A program that ends near the limit of time may end otherwise the next time, and so may
// one that asks a clock or for random numbers; no other does
struct error *CHECKED grade_program(struct sandbox *sandbox, const char *reference, size_t n_reference, const char *answer,
                                    size_t n_answer, struct sandbox_outcome *outcome);

// Mean over tasks of (accuracy - baseline) / (1 - baseline).  Source: nanochat 2025-10-13, ChatCORE
double centered_mean(const double *accuracy, const double *baseline, int n);

// pass[k-1] = share of the n problems of which one of the first k samples is right; right [n, n_samples].
void pass_at_k(const uint8_t *right, int64_t n, int n_samples, double *pass);

#endif
