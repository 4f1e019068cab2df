// row_mix.h - rows of several texts by shares: which row of which text row r of a run is, as a pure function of the shares and r.
//
//     struct row_mix mix;
//     e = row_mix_open(&mix, rows, shares, 2, &arena);        // struct rows rows[2]; shares {0.7, 0.3}
//     e = row_mix_read(&mix, first, 8, inputs, targets);      // rows first .. first+7 of the run; there is no last row
//     row_mix_place(&mix, r, &j)                              // 0 or 1: row r of the run is row j of that text
//
// Shares     of rows, which are all of T tokens: so of tokens. Only their ratios count; they are held as whole billionths of their sum
// Order      of m rows that are divided between a text of weight w and the others of weight v together, the first m rows hold
//            floor((2mw + w + v) / 2(w + v)) of that text: m times its share, rounded. Text 0 is divided from texts 1, 2, ... like this,
//            then, among the rows of those, text 1 from texts 2, ..., and so on. So each text comes as evenly as it can: at
//            any row it has had its share of the rows before to within half a row where there are two, to within three of hundreds
// Epochs     row j of a text is row j of rows.h: each text goes through its own epochs, however long the others are
// Errors     ERROR_FAILED for no text, a share that is not above 0, and texts of different T; reading as in rows.h
// Ownership  arrays in the arena; rows stay the caller's
// Threads    immutable once open
#ifndef CORE_DATA_ROW_MIX_H
#define CORE_DATA_ROW_MIX_H

#include "core/data/rows.h"

struct row_mix {
    const struct rows *rows;
    int n;
    int64_t *weights; // [n]
    int64_t *behind;  // [n]: weight of the texts behind it
};

struct error *CHECKED row_mix_open(struct row_mix *mix, const struct rows *rows, const double *shares, int n,
                                   struct arena *arena);

int row_mix_place(const struct row_mix *mix, int64_t r, int64_t *row);

// How many of the first n_rows rows of the run are of a text.
int64_t row_mix_count(const struct row_mix *mix, int text, int64_t n_rows);

struct error *CHECKED row_mix_read(const struct row_mix *mix, int64_t first, int64_t n, int32_t *inputs, int32_t *targets);

#endif
