// compression.h - how many tokens a tokenizer makes of texts: /metrics/text of its result.
//
//     struct table texts = compression_table();
//     e = compression_own(&own, stage, options);                        // of a tokenizer that was trained
//     e = compression_measure(&texts, tokenizer, own.byte, own.n);
//     n_sets = compression_sets(all, sets, n_sets, &texts);             // those of tokenizer_sets, and this one
//     table_release(&texts);
#ifndef RUNNER_STAGES_COMPRESSION_H
#define RUNNER_STAGES_COMPRESSION_H

#include "core/store/metrics.h"
#include "core/text/tokenizer.h"
#include "runner/stages/stage.h"

enum { COMPRESSION_SETS = 8 };

// An empty table of struct metric_text.
struct table compression_table(void);

// Appends the beginning of the text that a tokenizer is trained on, a megabyte or what there is, each document cut as in training. It
// is read for itself, so that it is the same however the training was stopped and went on.
struct error *CHECKED compression_own(struct bytes *own, const struct stage *stage, const struct tokenizer_options *options);

// Adds the sample texts (core/text/sample_texts.h) and, where n_own is not 0, "training text".
struct error *CHECKED compression_measure(struct table *texts, const struct tokenizer *t, const uint8_t *own, size_t n_own);

// n < COMPRESSION_SETS sets with that of the table behind them; returns how many.
int compression_sets(struct store_set all[COMPRESSION_SETS], const struct store_set *sets, int n, const struct table *texts);

#endif
