// bpb.h - bits per byte: how well the model predicts text, whatever the tokenizer.
//
// nats = sum of -log p over targets with token_bytes > 0; bytes = sum of token_bytes; bpb = nats / (ln 2 * bytes). Special tokens
// have no bytes and do not count, nor do targets of -1. A fixed list of rows: sums are made row by row, so
// the batch cannot be seen in the result.
//
// Errors  those of the rows' reader; ERROR_STOPPED between batches
// Source  nanochat 2025-10-13, evaluate_bpb; token bytes as its tokenizer counts them
#ifndef CORE_EVAL_BPB_H
#define CORE_EVAL_BPB_H

#include "core/train/gradient.h"

struct bpb {
    double bpb; // infinite for no bytes
    double nats;
    int64_t bytes, tokens; // tokens: targets looked at
    int64_t rows;          // that are in the sums
};

struct bpb_hooks { // called after each batch; NULL: not asked for
    void *self;
    void (*progress)(void *self, int64_t done, int64_t of);
    struct error *(*save)(void *self); // the sums are of whole rows
};

// Rows 0 .. n_rows-1, in batches of up to the rows and the length that the model has reserved.
struct error *CHECKED bpb_measure(struct model *model, struct row_source rows, int64_t n_rows, int T, int device_batch,
                                  const int32_t *token_bytes, void (*progress)(void *self, int64_t done, int64_t of), void *self,
                                  struct bpb *result);

// The same from row sums->rows on, over sums that were kept, or {0}: the bits do not show where it was taken up.
struct error *CHECKED bpb_go_on(struct model *model, struct row_source rows, int64_t n_rows, int T, int device_batch,
                                const int32_t *token_bytes, struct bpb_hooks hooks, struct bpb *sums);

#endif
