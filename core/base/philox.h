// philox.h - random numbers as a pure function of (seed, purpose, counter): there is no generator state to save.
//
//     struct philox p = philox_for(seed, PHILOX_INIT);
//     philox_normals(p, tensor_index, first, n, out);     // numbers first .. first+n-1 of stream tensor_index
//
// Source   Philox4x32-10, Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"
// Bits     integer arithmetic and exact conversions, so the uniform numbers are the same on every machine; normals use
//          log, sqrt, sin and cos in double precision of the C library
#ifndef CORE_BASE_PHILOX_H
#define CORE_BASE_PHILOX_H

#include <stdint.h>

// One purpose, one independent family of streams. The numbers are part of results: never reuse or renumber.
enum philox_purpose {
    PHILOX_INIT = 1,    // initial weights; stream = tensor, counter = element / 4, of uniform ones the element
    PHILOX_WORLD = 2,   // world documents; stream = document, counter = draw
    PHILOX_ORDER = 3,   // permutations of rows; stream = epoch
    PHILOX_SAMPLE = 4,  // sampling; stream = sample, counter = position
    PHILOX_RECORDS = 5, // world records; stream = row of a list, counter = draw
    PHILOX_ROLLOUT = 6, // rollouts and chat; stream = row, counter = token
    PHILOX_CHOICES = 7, // order of choices, shuffled labels; stream = row
};

struct philox {
    uint32_t key[2];
};

struct philox philox_for(uint64_t seed, enum philox_purpose purpose);

// The bare function: four words from key and a counter of four words.
void philox_4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

// Four words at (stream, counter).
void philox_words(struct philox p, uint64_t stream, uint64_t counter, uint32_t out[4]);

// Uniform in [0,1), 53 bits, from words 0 and 1 at (stream, counter).
double philox_uniform(struct philox p, uint64_t stream, uint64_t counter);

// Standard normals number first .. first+n-1 of a stream (Box-Muller, two a pair of words); any cut gives the same numbers.
void philox_normals(struct philox p, uint64_t stream, int64_t first, int64_t n, float *out);

#endif
