// decoder.h - generating tokens: a batch of rows, each with a key-value cache and a position of its own.
//
//     e = decoder_open(&d, model, n_rows, capacity);
//     decoder_restart(&d);
//     e = decoder_step(&d, ids, logits);          // one token a row in; logits [n_rows, n_vocab] of the next one out
//     next = sample_token(logits + r * V, V, choice, random, stream, position);
//
// A row whose id is negative rests: its cache and position stay, its logits are not written.
//
// Memory  the caches live on the model's device until it is reset or closed
#ifndef CORE_INFER_DECODER_H
#define CORE_INFER_DECODER_H

#include "core/base/philox.h"
#include "core/model/model.h"

struct decoder {
    struct model *model;
    int n_rows, capacity;
    int32_t *position;                // [n_rows]: tokens stored
    struct tensor *k_cache, *v_cache; // a layer: [n_rows * capacity, Hkv*D]
    struct tensor ids, positions, x, n, rstd, q, k, v, rstd_q, rstd_k, o, a, r, logits;
    int32_t *host_ids;
};

struct error *CHECKED decoder_open(struct decoder *decoder, struct model *model, int n_rows, int capacity);
void decoder_restart(struct decoder *decoder);
struct error *CHECKED decoder_step(struct decoder *decoder, const int32_t *ids, float *logits);

struct sampling {
    double temperature; // 0: the most likely token, ties to the lowest id
    int top_k;          // 0: all tokens
};

// Draws from softmax(logits / temperature) cut to the top_k largest (ties: lower ids first), with the number at (stream, counter).
// scratch holds n_vocab floats.
int32_t sample_token(const float *logits, int n_vocab, struct sampling sampling, struct philox random, uint64_t stream,
                     uint64_t counter, float *scratch);

#endif
