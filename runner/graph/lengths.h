// lengths.h - how long the rows of some text are, as shares of 64 equal classes: enough to foresee padding.
//
//     struct lengths l = {.most = 2048};                   // no row is longer
//     lengths_add(&l, 130, 2);                             // a row of 130 tokens that comes twice
//     lengths_widest(&l, 4)                                // of four rows drawn at random the longest, on average
//
// Longest of B: sum over classes of length * (F(class)^B - F(class before)^B), F being the share of rows up to it
#ifndef RUNNER_GRAPH_LENGTHS_H
#define RUNNER_GRAPH_LENGTHS_H

#include <stdint.h>

enum { LENGTH_CLASSES = 64 };

struct lengths {
    int64_t most;                                  // that a row may have
    int64_t longest;                               // of those added
    double rows, tokens;                           // added
    double n[LENGTH_CLASSES], sum[LENGTH_CLASSES]; // rows of a class, and their tokens
};

void lengths_add(struct lengths *lengths, int64_t length, double times);

// NaN where there are no rows.
double lengths_widest(const struct lengths *lengths, int64_t B);
double lengths_mean(const struct lengths *lengths);

#endif
