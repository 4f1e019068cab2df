// rows.h - data order is arithmetic: which tokens row r of a run is, as a pure function of (tokens, T, packing, seed, r).
//
//     struct rows rows;
//     e = rows_open(&rows, &list, 512, seed);                 // of the flat stream
//     e = rows_open_packed(&rows, &list, &plan, seed);        // or those of a plan (best_fit.h)
//     e = rows_read(&rows, first, 8, inputs, targets);        // rows first .. first+7; there is no last row
//
// Flat       N = floor((n_tokens - 1) / T); row i of the stream is tokens iT .. iT+T: T inputs, and T targets one token on. Tokens
//            behind row N-1 are not used
// Packed     N and row i are those of the plan: one pass over the documents
// Order      row r of a run belongs to epoch e = r / N and is the (r % N)-th of it. Epoch 0 takes the order above; epoch e >= 1
//            takes row order_place(seed, e, r % N, N)
// Permuting  a Feistel network on h bits a half, 2h being the smallest even number of bits with 2^(2h) >= N: x = (left, right), left
//            being the high half; eight rounds j = 0..7 of (left, right) -> (right, left ^ F(right)); a result of N or more goes
//            through the network again until it is below N. F(right) is the low h bits of word 0 of
//            philox_words(philox_for(seed, PHILOX_ORDER), stream e, counter j * 2^32 + right)
// Units      rows and tokens count from 0; inputs and targets are [n,T] int32, row-major
// Errors     ERROR_DATA for fewer than T+1 tokens; reading as in tokens.h
// Threads    immutable once open
// Source     Luby and Rackoff 1988, "How to construct pseudorandom permutations"; cycle-walking: Black and Rogaway 2002, "Ciphers with
//            arbitrary finite domains"
#ifndef CORE_DATA_ROWS_H
#define CORE_DATA_ROWS_H

#include "core/data/best_fit.h"

struct rows {
    const struct token_list *list;
    const struct best_fit *plan; // NULL: flat
    int64_t T, N;
    uint64_t seed;
};

struct error *CHECKED rows_open(struct rows *rows, const struct token_list *list, int64_t T, uint64_t seed);

// T is the plan's; list and plan stay the caller's.
struct error *CHECKED rows_open_packed(struct rows *rows, const struct token_list *list, const struct best_fit *plan,
                                       uint64_t seed);

// The row of the stream that row r of the run is.
int64_t rows_place(const struct rows *rows, int64_t r);

struct error *CHECKED rows_read(const struct rows *rows, int64_t first, int64_t n, int32_t *inputs, int32_t *targets);

// What stands at index (0 <= index < N) of epoch e: a permutation of 0 .. N-1 for each (seed, e); epoch 0 is the identity.
int64_t order_place(uint64_t seed, int64_t epoch, int64_t index, int64_t N);

// Canonical group g (0 .. 7) of a global batch of R rows: rows *first .. *end-1, which may be none.
enum { ROW_GROUPS = 8 };
void group_bounds(int64_t R, int g, int64_t *first, int64_t *end);

#endif
