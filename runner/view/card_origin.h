// card_origin.h - what a report card says of what a run stands on: data, questions that were in it, time, money and code; Markdown.
#ifndef RUNNER_VIEW_CARD_ORIGIN_H
#define RUNNER_VIEW_CARD_ORIGIN_H

#include "runner/graph/run_record.h"

#include <stdio.h>

// What making all of its results took, those that were made by earlier runs included: stages that train, and the others.
void card_totals(const struct run *run, FILE *to);

// A row a text or split of a task: form, files, tokens, and what identifies its content.
struct error *CHECKED card_data(const struct run *run, FILE *to, struct arena *arena);

// Which questions stand in the training text (graph/overlap_probe.h); where nobody looked, how to. Nothing for a run that asks none.
struct error *CHECKED card_overlap(const struct run *run, bool asks, FILE *to, struct arena *arena);

#endif
