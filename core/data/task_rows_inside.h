// task_rows_inside.h - what the files of task_rows and of rows for training share, and a writer that needs no data set.
//
//     struct task_row_writer w = {.n_vocab = 65536, .assistant_start = 65530};
//     e = task_row_writer_add(&w, &row);                             // any number of times; the row is borrowed for the call
//     e = task_row_writer_save(&w, path, attributes, n_attributes);  // layout: task_rows.h
//     task_row_writer_release(&w);
//
// Ownership  a writer owns its buffers, which hold the whole file
// Errors     ERROR_FAILED for a row that no reader would take; memory; those of store_save
#ifndef CORE_DATA_TASK_ROWS_INSIDE_H
#define CORE_DATA_TASK_ROWS_INSIDE_H

#include "core/data/task_rows.h"
#include "core/data/tokens.h"

struct task_row {
    const int32_t *ids;
    const uint8_t *mask; // one of each token, 0 or 1
    int64_t n, n_prompt;
    struct task_answer answer;
};

struct task_row_writer {
    int64_t n_vocab; // set by the caller
    int32_t assistant_start;

    struct token_writer tokens;
    struct bytes mask, answers;
    struct bytes prompts, answer_ends, letter_ends; // of int64_t
    struct bytes letters, right;                    // of int32_t
};

struct error *CHECKED task_row_writer_add(struct task_row_writer *w, const struct task_row *row);
struct error *CHECKED task_row_writer_save(struct task_row_writer *w, const char *path, const struct store_attribute *attributes,
                                           int n_attributes);
void task_row_writer_release(struct task_row_writer *w);

// Tokens first .. first+n-1 of row i; they must be there.
void task_rows_span(const struct task_rows *rows, int64_t i, int64_t first, int64_t n, int32_t *ids);

// The mask of row i, task_rows_length of them.
const uint8_t *task_rows_mask(const struct task_rows *rows, int64_t i);

#endif
