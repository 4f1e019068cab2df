// mixture.h - tasks mixed: which row of which task the i-th example of a training is, and rows for training made of them.
//
//     struct mixture_part parts[] = {{"smoltalk", &smoltalk, 1, -1}, {"gsm8k", &gsm8k, 2, -1}};
//     e = mixture_open(&m, parts, 2, seed, MIXTURE_SHUFFLED, arena);          // m.n examples
//     struct mixture_example x = mixture_at(&m, i);                           // x.part, x.row: for task_rows_read
//
// Share      of each part: `epochs` passes over its fixed permutation (2.5: twice all of it and then the first half, rounded down;
//            0.29 of 100 is 29, whatever binary fractions say), or the first n_rows of it. A part given twice counts twice
// Order      the list of all (part, row) in the order of the parts, shuffled by Python's generator (shuffle.h) from seed.
//            MIXTURE_IN_ORDER leaves the list as it is
//
// Rows for training, inputs and targets as in gradient.h (row_source):
//   packed   the examples' tokens one after the other as one stream, each cut to T; every token is a target
//   padded   an example a row: targets are the tokens with mask 1, all others -1; padded with assistant_end and -1. An example that
//            has no target within the cut is not among the rows
//   whole    such examples whole, as many to a row as fit into its T + 1 tokens; the rest is padded with BOS and -1. From the next 100
//            in order the longest that fits is taken, the earliest of equals, until none fits
// All go over the same order again where rows run past the end.
//
// Ownership  lives in the arena; the task rows and the parts' names stay the caller's, the rows open
// Errors     ERROR_DATA: n_rows beyond the task's rows, a mixture of nothing or of more than 2^32 - 1 examples, parts of different
//            vocabularies, fewer tokens than one row, no row with a target; ERROR_FAILED: a width below that of a row
// Threads    immutable once open
// Source     nanochat 2025-10-13: TaskMixture, mid_train (stream), chat_sft (padding); nanochat 2026-07-03: chat_sft (whole). Its
//            examples without a target take their places in rows; here they are left out
#ifndef CORE_DATA_MIXTURE_H
#define CORE_DATA_MIXTURE_H

#include "core/data/task_rows.h"

enum mixture_order { MIXTURE_SHUFFLED, MIXTURE_IN_ORDER };

struct mixture_part {
    const char *name; // for messages
    const struct task_rows *rows;
    double epochs;  // above 0; not used where n_rows is given
    int64_t n_rows; // -1: by epochs
};

struct mixture_example {
    int part;
    int64_t row; // of the part's task_rows
};

struct mixture {
    const struct mixture_part *parts;
    int n_parts;
    int64_t n;
    const int32_t *part; // [n]
    const int64_t *row;  // [n]
};

struct error *CHECKED mixture_open(struct mixture *m, const struct mixture_part *parts, int n_parts, uint64_t seed,
                                   enum mixture_order order, struct arena *arena);
struct mixture_example mixture_at(const struct mixture *m, int64_t i);

// How many examples a part of n rows gives; -1: n_rows is beyond it.
int64_t mixture_part_examples(int64_t n, double epochs, int64_t n_rows);

// The packed stream: example i contributes its first min(length, T) tokens. Row r is tokens rT .. rT+T of the stream (T inputs, and
// T targets one token on), r modulo n_rows = floor((tokens - 1) / T).
struct packed_rows {
    const struct mixture *mixture;
    int64_t T, n_rows, n_tokens;
    const int64_t *ends; // [mixture->n]: tokens of the stream up to and with example i
};

struct error *CHECKED packed_rows_open(struct packed_rows *p, const struct mixture *m, int64_t T, struct arena *arena);
struct error *CHECKED packed_rows_read(const struct packed_rows *p, int64_t first, int64_t n, int32_t *inputs, int32_t *targets);

// One example a row, cut to T tokens (so T-1 inputs). Row r is the (r modulo n_rows)-th example of the order that has a target.
struct padded_rows {
    const struct mixture *mixture;
    int64_t T, n_rows, n_dropped; // n_dropped: examples without a target
    const int64_t *example;       // [n_rows]: index into the mixture
    const int32_t *lengths;       // [n_rows]: inputs of the row: its tokens within the cut, less one
    const int32_t *n_targets;     // [n_rows]
    int32_t pad;                  // assistant_end
};

struct error *CHECKED padded_rows_open(struct padded_rows *p, const struct mixture *m, int64_t T, int32_t assistant_end,
                                       struct arena *arena);

// What row i has of its example: lengths[i] inputs, and as many targets.
void padded_rows_example(const struct padded_rows *p, int64_t i, int32_t *inputs, int32_t *targets);

// n rows of width inputs each; width is at least the rows' lengths.
struct error *CHECKED padded_rows_read(const struct padded_rows *p, int64_t first, int64_t n, int64_t width, int32_t *inputs,
                                       int32_t *targets);

// Row r is made of the examples example[first[r]] .. example[first[r + 1] - 1], counted in the rows of `each`; r modulo n_rows.
struct whole_rows {
    struct padded_rows each; // cut to T tokens
    int64_t n_rows;
    const int64_t *first, *example;
    const int32_t *lengths, *n_targets; // [n_rows]: inputs of the row, and targets
};

struct error *CHECKED whole_rows_open(struct whole_rows *w, const struct mixture *m, int64_t T, int32_t bos, struct arena *arena);

// n_rows of whole_rows, from lengths alone: examples of lengths[i] inputs (tokens within the cut, less one), none above T - 1, in order.
struct error *CHECKED whole_rows_count(const int32_t *lengths, int64_t n, int64_t T, int64_t *n_rows);

// n rows of width inputs each; width is at least the rows' lengths.
struct error *CHECKED whole_rows_read(const struct whole_rows *w, int64_t first, int64_t n, int64_t width, int32_t *inputs,
                                      int32_t *targets);

#endif
