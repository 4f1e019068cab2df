// card.h - the report card of a run: short, as `run` ends with it, and as Markdown for `report`.
#ifndef RUNNER_VIEW_CARD_H
#define RUNNER_VIEW_CARD_H

#include "runner/graph/run_record.h"

#include <stdbool.h>
#include <stdio.h>

// Stages with times and scores, and what the model wrote last; at most 80 columns.
struct error *CHECKED card_print(const struct run *run, FILE *to, struct arena *arena);

// Title, machine and build; stages with time, parameters, tokens, loss and bits per byte; samples; the recipe.
struct error *CHECKED card_markdown(const struct run *run, FILE *to, struct arena *arena);

// The last loss and bits per byte of a stage's tables; NaN: none, and of GRPO, whose loss says nothing.
double card_loss(const struct run_tables *tables);
double card_bpb(const struct run_tables *tables);

// Of them those over validation text, and those of a fine-tuning, which are over the test splits of its mixture: not to be compared.
double card_text_bpb(const struct run_stage *stage, const struct run_tables *tables);
double card_val(const struct run_stage *stage, const struct run_tables *tables);

// Whether it is of a kind that trains a model.
bool card_trains(const struct run_stage *stage);

// Tokens and FLOPs that a stage went through. Records have what was planned, which is not known to have come out of one that was stopped or
// failed: -1, NaN.
int64_t card_tokens(const struct run_stage *stage);
double card_flops(const struct run_stage *stage);

#endif
