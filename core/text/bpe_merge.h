// bpe_merge.h - the merges of a table of counted pieces (private to core/text; bpe_train.h is the public side).
#ifndef CORE_TEXT_BPE_MERGE_H
#define CORE_TEXT_BPE_MERGE_H

#include "core/text/bpe_train.h"
#include "core/text/piece_counts.h"

struct bpe_pair {
    int32_t left, right;
};

// Fills merges[0 .. *done-1], in order; merge i makes id 256+i. *done < n_merges when no pair is left. Empties the pieces: their
// memory is given back before the pairs are counted.
struct error *CHECKED bpe_merge(struct piece_counts *pieces, int n_merges, bpe_progress *progress, void *context,
                                struct bpe_pair *merges, int *done);

#endif
