// decoder.h - the model one token at a time: slots, each with the keys and values of a row and a position of its own.
//
//     e = decoder_open(&d, model, n_slots, capacity);
//     decoder_restart(&d);                                 // all slots are empty
//     e = decoder_step(&d, slots, ids, n, logits);         // a token each into n slots; logits [n, n_vocab] of the next ones out
//     e = decoder_extend(&d, slots, ids, n, wanted, n_wanted, logits);  // any number of tokens into any of the slots, at once
//     next = sample_token(logits + r * V, V, sampling, random, stream, position, scratch);
//
//     e = decoder_reserve(&d);                             // once, for whole prompts:
//     e = decoder_prefill(&d, slots, prompts, lengths, n, logits);
//     decoder_copy(&d, slots[0], slot, lengths[0]);        // one more row that begins with the same prompt
//
// Bits     what a step makes of a slot depends on the tokens in that slot and on how they came in (prefilled or one by one, which
//          round differently), not on the other slots, on their order, or on the prompts that are prefilled at the same time
// Memory   caches and activations live on the model's device until it is reset or closed. A prefill uses the activations that the
//          model has reserved where they are large enough; they must not be needed at the same time. Else it has its own, of no
//          more than DECODER_PREFILL_TOKENS or one full slot
// Errors   ERROR_STOPPED between two parts of a prefill; ERROR_FAILED for a full slot
#ifndef CORE_INFER_DECODER_H
#define CORE_INFER_DECODER_H

#include "core/infer/sampling.h"
#include "core/model/model.h"

enum { DECODER_PREFILL_TOKENS = 2048 };

struct decoder {
    struct model *model;
    int n_slots, capacity;
    int n_rows;                       // tokens that go through at once
    int32_t *position;                // [n_slots]: tokens stored
    int32_t *tokens;                  // [n_slots * capacity]: which, where a smear will look back; else NULL
    struct tensor *k_cache, *v_cache; // a layer: [n_slots * capacity, Hkv*D]
    struct tensor slots, ids, positions, x, n, rstd, q, k, v, rstd_q, rstd_k, o, a, r, logits; // of a step, up to n_rows rows
    struct tensor x0, kept, gates;                          // with lambdas, backout, value embeddings
    struct tensor pairs, pair_e, pair_rstd, pair_x, pair_s; // with smear: up to 2 n_rows rows
    int32_t *host_ids, *host_positions;                     // [2 n_rows], [n_rows]

    int prefill_tokens;                   // at once, 0 before decoder_reserve
    bool has_own;                         // activations
    struct saved own;                     // valid with has_own
    struct tensor prefill_slots, counted; // ids [prefill_tokens], [capacity] 0, 1, 2 ..
    int32_t *host_tokens, *host_slots;    // [prefill_tokens]
};

struct error *CHECKED decoder_open(struct decoder *decoder, struct model *model, int n_slots, int capacity);

// The same for decoder_extend of up to n_rows tokens at once, n_rows >= n_slots.
struct error *CHECKED decoder_open_wide(struct decoder *decoder, struct model *model, int n_slots, int n_rows, int capacity);
void decoder_restart(struct decoder *decoder);

// slots: n different ones. Rows of the logits are in the order of slots. logits NULL: they stay on the device.
struct error *CHECKED decoder_step(struct decoder *decoder, const int32_t *slots, const int32_t *ids, int n, float *logits);

// n tokens, at most n_rows, each into its slot behind what is there: of one slot in the order in which they stand. What comes of a
// token is what decoder_step makes of it, token by token. logits [n_wanted, n_vocab] of what follows the tokens wanted[i], indices
// that grow; the others are not computed.
struct error *CHECKED decoder_extend(struct decoder *decoder, const int32_t *slots, const int32_t *ids, int n,
                                     const int32_t *wanted, int n_wanted, float *logits);

struct error *CHECKED decoder_reserve(struct decoder *decoder);

// Empties n different slots, n at most n_slots, and puts prompts of 1 .. capacity tokens into them; logits [n, n_vocab] are those
// behind each prompt, or NULL. slots NULL: logits only, nothing is kept.
struct error *CHECKED decoder_prefill(struct decoder *decoder, const int32_t *slots, const int32_t *const *prompts,
                                      const int *lengths, int n, float *logits);

// Slot `to` then has the first n tokens of slot `from`.
void decoder_copy(struct decoder *decoder, int from, int to, int n);

#endif
