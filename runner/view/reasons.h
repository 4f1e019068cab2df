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

#endif
