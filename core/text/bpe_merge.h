// bpe_merge.h - the merges of tables of counted pieces (private to core/text; bpe_train.h is the public side).
#ifndef CORE_TEXT_BPE_MERGE_H
#define CORE_TEXT_BPE_MERGE_H

#include "core/text/bpe_train.h"
#include "core/text/piece_counts.h"

struct bpe_pair {
    int32_t left, right;
};

// Fills merges[0 .. *done-1], in order; merge i makes id 256+i. *done < n_merges when no pair is left. No piece is in two parts. They
// are emptied: their memory is given back before the pairs are counted. *replaced: places where two tokens became one.
struct error *CHECKED bpe_merge(struct piece_counts *parts, int n_parts, int n_merges, bpe_progress *progress, void *context,
                                struct bpe_pair *merges, int *done, int64_t *replaced);

// Refuses pieces that take more than memory_bytes to count and to merge.
struct error *CHECKED bpe_memory_check(size_t n_pieces, size_t n_bytes, int64_t memory_bytes);

#endif
