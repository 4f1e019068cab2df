// basis.h - what a number is over, and so whether two may stand in one row.
//
//     e = basis_of_bpb(&a, &runs[0], stage_a, arena);
//     e = basis_of_bpb(&b, &runs[1], stage_b, arena);
//     why = basis_differs(&a, &b);                       // NULL: they can be compared; "other tokenizer"
//
// Loss       nats a token: the tokenizer, and of a fine-tuning which tokens count (all, or answers alone) and, of answers, whether a
//            row is a conversation or packed by best fit
// bpb        the tokenizer, the validation text in its tokens, how much of it, the length of rows and their packing, of an
//            evaluation the version of its code, of a fine-tuning which rows they are (packed or answers, by which seed). The length of
//            rows of an import is not known here, and fits any; their packing is
// Accuracy   the task and its data, and how many questions it has. A capped score says so in its label, and is a row of its own anyway
// Means      over tasks: which they are, each of them as above, and how many questions of it were asked
// Published  runs say less: what they do not say fits anything, but a published bpb, which fits only the same words
// Ownership  in the arena
#ifndef RUNNER_VIEW_BASIS_H
#define RUNNER_VIEW_BASIS_H

#include "runner/graph/run_record.h"

#include <stdbool.h>

struct basis {
    const char *tokenizer, *text, *questions, *n_questions, *rows, *count; // NULL: not known
};

struct error *CHECKED basis_of_loss(struct basis *b, const struct run *run, const struct run_stage *stage, struct arena *arena);
struct error *CHECKED basis_of_bpb(struct basis *b, const struct run *run, const struct run_stage *stage, struct arena *arena);

// Of the scores of an evaluation: of one task, or, with task NULL, of the mean over those of a suite; "": those that are asked in a chat
// and in no suite.
struct error *CHECKED basis_of_tasks(struct basis *b, const struct run *run, const struct run_stage *stage,
                                     const struct table *scores, const char *task, const char *suite, struct arena *arena);

// Whether a row of scores counts for ChatCORE: it is asked in a chat, and in no suite.
bool basis_is_chat(const struct task_score *score);

// What another that it can be compared with knows of its rows and it does not: so that a third is held against that, too.
void basis_join(struct basis *b, const struct basis *other);

// "other tokenizer", "other text", "other questions", "other rows", "other count", or NULL.
const char *basis_differs(const struct basis *a, const struct basis *b);

#endif
