// reasons.h - reasons of a plan as sentences.
//
// Short, for the table of `plan`:  "vocab 512 -> 400"
// Long, for `why`:                 "vocab: 512 -> 400    recipes/tiny.yaml:16 (recipe)"
#ifndef RUNNER_VIEW_REASONS_H
#define RUNNER_VIEW_REASONS_H

#include "runner/graph/plan.h"

// All reasons in one short text, "" for none; in the arena, NULL when memory runs out.
const char *reasons_short(const struct plan_stage *stage, struct arena *arena);
const char *reason_long(const struct reason *reason, struct arena *arena);

// What a training begins with where that is more or less than a model's weights and nothing else: the name of a stage, "base@500", and
// what of it, "weights, fresh moments". NULL: there is nothing to tell, or no memory.
const char *begins_with(const struct graph_node *node, const char **what, struct arena *arena);

#endif
