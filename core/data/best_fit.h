// best_fit.h - rows of pretraining that begin with a document and waste no place: best-fit packing, planned from lengths alone.
//
// Making a plan, which is kept in a file of its own:
//     struct best_fit plan;
//     e = best_fit_make(&plan, &list, T, "results/store/rows-3f9a.h5", show, self);
//     e = best_fit_save(&plan, "results/store/rows-3f9a.h5", attributes, n_attributes);
//     best_fit_release(&plan);
// Reading by it:
//     e = best_fit_open(&plan, "results/store/rows-3f9a.h5", &list, T);
//     e = best_fit_row(&plan, &list, row, inputs, targets);         // 0 <= row < plan.n_rows: no search, no scan
//     best_fit_release(&plan);
//
// Rows       of T + 1 tokens: T inputs, and T targets one token on. Every row begins with a document; nothing carries over
// Algorithm  documents come in their order; a buffer takes slices of 128 of them until it has at least 1,000. Into what is left of a row
//            goes the longest document of the buffer that fits, the earliest among equals; if none fits, the first tokens of the
//            shortest, earliest among equals, whose rest is dropped, and the row is full. Empty documents are passed over
// One pass   at the end of the documents the buffer runs empty, so that a plan places each document once; what does not fill a row is
//            dropped. The reference goes on with the next pass while the last one's are in its buffer: from there on its rows are
//            others. Here later passes read the same rows in another order (rows.h), so that a plan depends on the text alone, not on
//            how long somebody trains, and texts of fewer documents than the buffer holds do not meet themselves in a row.
//            The reference's slices end with row groups of its files; these run on over the borders of files
// Dropped    n_tokens - n_rows (T + 1): about a third of web text at T = 2,048, more where documents are long beside T
// Layout     /first i64 [n_rows+1]: segments first[r] .. first[r+1]-1 make row r; /starts i64 [s]: the token of the text that a segment
//            begins at; /tokens i32 [s]: how many it has. Attributes of "/" written here: n and d, tokens and documents of the text;
//            seq_len, n_rows; the caller adds what made it
// Cost       a placement looks at a bitmap of the lengths in the buffer: less than a microsecond. 12 bytes a segment and 8 a row, a row
//            having some four segments: 1.5 % of the token files at T = 2,048
// Memory     the buffer, and 20 T bytes: a plan that is being made grows on the disk, one that is open is mapped
// Errors     ERROR_DATA for a text that does not fill one row, for a plan that is damaged (opening reads it whole against its checksums)
//            or of another text, by its name; ERROR_MACHINE for a full disk; ERROR_STOPPED
// Threads    a made or open plan is immutable: any thread may read
// Source     nanochat 2026-07-03, the packing of its pretraining; the name from bin packing, Johnson 1973
#ifndef CORE_DATA_BEST_FIT_H
#define CORE_DATA_BEST_FIT_H

#include "core/data/tokens.h"
#include "core/store/spill.h"

enum { BEST_FIT_SETS = 3 };

struct best_fit {
    int64_t T, n_rows, n_segments;
    int64_t n_tokens, n_documents; // of the text
    const int64_t *first;          // [n_rows + 1]
    const int64_t *starts;         // [n_segments]
    const int32_t *tokens;         // [n_segments]

    struct spill made[BEST_FIT_SETS]; // what the arrays are in, of a plan that was made here
    struct store_file *file;          // of one that was opened: detached
    const char *path;                 // for messages: borrowed
};

// path: where it will be saved. show (may be NULL) is told how many documents have been read.
struct error *CHECKED best_fit_make(struct best_fit *plan, const struct token_list *list, int64_t T, const char *path,
                                    void (*show)(void *self, int64_t documents), void *self);
struct error *CHECKED best_fit_save(const struct best_fit *plan, const char *path, const struct store_attribute *attributes,
                                    int n_attributes);

struct error *CHECKED best_fit_open(struct best_fit *plan, const char *path, const struct token_list *list, int64_t T);
struct error *CHECKED best_fit_row(const struct best_fit *plan, const struct token_list *list, int64_t row, int32_t *inputs,
                                   int32_t *targets);

void best_fit_release(struct best_fit *plan); // {0} is fine

#endif
