// sampling.h - the next token, drawn from logits.
//
//     id = sample_token(logits, n_vocab, (struct sampling){.temperature = 1, .top_k = 50}, random, stream, counter, scratch);
//
// Bits   a function of its arguments; the random number is the one at (stream, counter), and temperature 0 takes none
// Cost   one pass over the logits to find the largest, one to find the top_k; only those are weighed
#ifndef CORE_INFER_SAMPLING_H
#define CORE_INFER_SAMPLING_H

#include "core/base/philox.h"

struct sampling {
    double temperature; // 0: the most likely token, ties to the lowest id
    int top_k;          // 0: all tokens
};

// Draws from softmax(logits / temperature) cut to the top_k largest (ties: lower ids first), with the number at (stream, counter).
// scratch holds n_vocab floats.
int32_t sample_token(const float *logits, int n_vocab, struct sampling sampling, struct philox random, uint64_t stream,
                     uint64_t counter, float *scratch);

#endif
