// bpe_inside.h - what a trainer is made of (private to core/text).
#ifndef CORE_TEXT_BPE_INSIDE_H
#define CORE_TEXT_BPE_INSIDE_H

#include "core/text/bpe_count.h"
#include "core/text/bpe_train.h"

struct bpe_trainer {
    int64_t doc_cap, max_chars;
    struct bpe_totals totals;
    struct bpe_counter *counter;
    bool counted;
};

#endif
