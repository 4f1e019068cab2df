// text_share.h - how often a pretraining reads its texts: the epochs of a source alone, or of each of a mix.
//
//     e = texts_make(&plan, stage, &arena);        // stage->texts, of a pretraining; none of other kinds
//
// Rows       of the training, divided as row_mix.h divides them
// Epochs     these by the rows that the text has, known once its token files, or the plan of its rows, are there. There is
//            no end: what is read to its end is read again in another order (rows.h)
// Ownership  in the arena
#ifndef RUNNER_GRAPH_TEXT_SHARE_H
#define RUNNER_GRAPH_TEXT_SHARE_H

#include "runner/graph/plan.h"

// stage->tokens is what the training trains on.
struct error *CHECKED texts_make(const struct plan *plan, struct plan_stage *stage, struct arena *arena);

#endif
