// best_fit.h - rows of pretraining that begin with a document and waste no place: best-fit packing, planned from lengths alone.
//
//     struct best_fit plan;
//     e = best_fit_make(&plan, lengths, n_documents, T, n_rows);      // what every row is made of
//     e = best_fit_read(&plan, &list, first, 8, inputs, targets);     // rows first .. first+7, no search through the plan
//     best_fit_release(&plan);
//
// Rows       of T + 1 tokens: T inputs, and T targets one token on. Nothing carries over from row to row
// Algorithm  documents come in their order, over and over; a buffer takes slices of 128 of them until it has at least 1,000. Into what
//            is left of a row goes the longest document of the buffer that fits, the earliest among equals; if none fits, the first
//            tokens of the shortest, earliest among equals, whose rest is dropped, and the row is full. Empty documents are passed over.
//            The reference's slices end with row groups of its files; these run on over the borders of files and of epochs
// Cost       a placement looks at a bitmap of the lengths in the buffer: microseconds whatever T is
// Memory     12 bytes a segment and 8 a row; a row has some four segments
// Errors     ERROR_DATA when no document has a token, and for a plan that does not belong to the tokens; ERROR_STOPPED; memory
// Ownership  a plan owns its arrays: best_fit_release
// Threads    a made plan is immutable
// Source     nanochat 2026-07-03, the packing of its pretraining; the name from bin packing, Johnson 1973
#ifndef CORE_DATA_BEST_FIT_H
#define CORE_DATA_BEST_FIT_H

#include "core/data/tokens.h"

struct best_fit {
    int64_t T, n_rows, n_segments;
    int64_t *first;     // [n_rows + 1]: segments first[r] .. first[r+1]-1 make row r
    int64_t *documents; // [n_segments], below n_documents
    int32_t *tokens;    // [n_segments]: how many of the document's first tokens
    int64_t segment_capacity;
    int64_t n_taken, n_dropped; // documents that were placed; tokens of them that no row has
    int64_t n_read;             // documents that were read, those still in the buffer included: by n_documents, the epochs
};

// lengths [n_documents]: tokens of each document, its BOS included.
struct error *CHECKED best_fit_make(struct best_fit *plan, const int64_t *lengths, int64_t n_documents, int64_t T,
                                    int64_t n_rows);

// Rows wrap around behind the last: row r is row r % n_rows.
struct error *CHECKED best_fit_read(const struct best_fit *plan, const struct token_list *list, int64_t first, int64_t n,
                                    int32_t *inputs, int32_t *targets);

void best_fit_release(struct best_fit *plan);

#endif
