// grader.h - is an answer right?
//
// number  what stands behind the first "#### " of the answer (-, digits, dots, commas; commas are then dropped) is the same text as in
//         the reference; both without such a mark are the same
// exact   the answer is the reference, blanks at both ends aside
// choice  is decided by logits (chat_eval.h), or, of a written answer, as exact
// none    nothing is right
//
// Means   of nothing (n = 0) are NaN
// Source  nanochat 2025-10-13, GSM8K
#ifndef CORE_EVAL_GRADER_H
#define CORE_EVAL_GRADER_H

#include "core/data/task.h"

// The number of an answer: *n bytes of out, commas dropped; false: there is none. out holds n_text bytes.
bool grade_number(const char *text, size_t n_text, char *out, size_t *n);

bool grade(enum task_grader grader, const char *reference, size_t n_reference, const char *answer, size_t n_answer);

// Mean over tasks of (accuracy - baseline) / (1 - baseline).  Source: nanochat 2025-10-13, ChatCORE
double centered_mean(const double *accuracy, const double *baseline, int n);

// pass[k-1] = share of the n problems of which one of the first k samples is right; right [n, n_samples].
void pass_at_k(const uint8_t *right, int64_t n, int n_samples, double *pass);

#endif
