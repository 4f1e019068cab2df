// shuffle.h - the orders that numpy and Python draw, so that tasks come in the order a published run had.
//
//     e = shuffle_numpy(42, n_rows, order);          // numpy.random.default_rng(42).permutation(n_rows)
//     e = shuffle_python(42, n_rows, order);         // random.Random(42).shuffle(list(range(n_rows)))
//     e = shuffle_sample(1234, n_rows, 10, shots);   // random.Random(1234).sample(range(n_rows), 10)
//     seed = shuffle_rl_seed(step, example, pass);   // hash((step, example, pass)) & 0x7FFFFFFF
//
// An order lists indices: order[0] is the row that comes first. Few-shot examples of row i are drawn from all other rows: sample
// from n_rows - 1, then add 1 to the indices from i on. Our own streams are philox.h's; this is only for what others have drawn.
//
// Seeds      numpy's from 0 to 2^64-1; Python takes the absolute value of its seed: give that one
// Limits     2^32 - 1 rows
// Ownership  order and out are the caller's
// Errors     ERROR_DATA where a count is out of range; stopping; memory (shuffle_sample only)
// Bits       integers only: the same on every machine
// Source     O'Neill 2014, "PCG: a family of simple fast space-efficient statistically good algorithms" (XSL-RR 128/64); NumPy
//            NEP 19 and its SeedSequence; Matsumoto, Nishimura 1998, "Mersenne twister", with init_by_array of 2002; Python's
//            modules random and tuple (the lanes of xxHash)
#ifndef CORE_BASE_SHUFFLE_H
#define CORE_BASE_SHUFFLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

struct error *CHECKED shuffle_numpy(uint64_t seed, int64_t n, int64_t *order);  // order[n]
struct error *CHECKED shuffle_python(uint64_t seed, int64_t n, int64_t *order); // order[n]

// k different ones of 0..n-1 in the order of the draws; k <= n.
struct error *CHECKED shuffle_sample(uint64_t seed, int64_t n, int64_t k, int64_t *out); // out[k]

// Python's hash of a tuple of three integers from 0 to 2^61-2, cut to 31 bits: the seeds of the reference's rollouts. Ours
// draw from philox.h; this is for comparing.
uint32_t shuffle_rl_seed(uint64_t step, uint64_t example, uint64_t pass);

// The generators behind them, to be held to published numbers.
struct numpy_random {                // PCG64
    uint64_t state[2], increment[2]; // low half, high half
    uint32_t held;                   // the high half of an output, of which the low half was drawn
    bool has_held;
};

struct python_random { // MT19937
    uint32_t state[624];
    int next;
};

void numpy_random_init(struct numpy_random *r, uint64_t seed);
uint64_t numpy_random_u64(struct numpy_random *r);
uint32_t numpy_random_u32(struct numpy_random *r);

void python_random_init(struct python_random *r, uint64_t seed);
uint32_t python_random_u32(struct python_random *r);

#endif
