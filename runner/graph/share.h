// share.h - what a mixture comes to: examples and tokens of each entry, as far as they are known before anything runs.
//
//     e = shares_make(&plan, stage, &lengths, &arena);  // stage->shares, ->training_rows, of a finetune or grpo stage; none of others
//
// Rows       are known from a world's task file, from the footers of parquet files, or from the token files once they are there; an
//            entry's are its epochs of them, or as many as it asks for
// Tokens     are those of exactly these examples, each cut to the stage's seq_len; known once the token files are there
// Training   the rows that a finetune stage makes of it, as it packs them: of best_fit by packing the lengths, in the training's order
//            (of more than a million examples, of a million); of a conversation a row those that have a target. Known once the token
//            files are there; of a conversation a row, and of GRPO, the examples as soon as those are
// Share      of the tokens of the mixture where all are known, else of its rows where those are
// Ownership  everything lives in the arena
// Errors     ERROR_RECIPE at the entry: `rows` beyond what its task has, `epochs` that are not one row of it, more than
//            SHARE_ROWS_MOST examples in all; at a suite of which no row is there. Data that cannot be read is not known
//            here: the stage that reads it will say so
#ifndef RUNNER_GRAPH_SHARE_H
#define RUNNER_GRAPH_SHARE_H

#include "runner/graph/lengths.h"
#include "runner/graph/plan.h"

enum { SHARE_ROWS_MOST = 1 << 28 }; // an example takes 36 bytes while a mixture is opened

// The mixture that a stage trains on; NULL for stages that have none.
const struct mixture_uses *node_mixture(const struct graph_node *node);

// lengths: also how long the rows of one pass are, once the token files are there; .most is set by the caller.
struct error *CHECKED shares_make(const struct plan *plan, struct plan_stage *stage, struct lengths *lengths,
                                  struct arena *arena);

// Examples and tokens of all entries together, of stage->shares; -1: not known of all.
void shares_sum(const struct plan_stage *stage, int64_t *n_examples, int64_t *n_tokens);

// Of an evaluation: how many questions have choices and how many an answer that is written, -1 where it is not known of all, and how
// long they are, once the token files are there. plan NULL: results are not looked at.
struct error *CHECKED shares_questions(const struct plan *plan, const struct plan_stage *stage, struct lengths *lengths,
                                       int64_t *n_choices, int64_t *n_written);

// Its errors alone, as far as they show without results.
struct error *CHECKED shares_check(const struct graph_node *node, struct arena *arena);

#endif
