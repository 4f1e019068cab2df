// text_inputs.h - what training and measuring read: a tokenizer, and rows of token files.
//
// Ownership  in the arena; text_inputs_close lets go of the files
// Errors     ERROR_DATA for files that do not fit together (another vocabulary)
#ifndef RUNNER_STAGES_TEXT_INPUTS_H
#define RUNNER_STAGES_TEXT_INPUTS_H

#include "core/data/row_mix.h"
#include "core/text/tokenizer.h"
#include "core/train/gradient.h"
#include "runner/stages/job.h"

struct text_rows {
    struct token_list list;
    struct best_fit plan; // of rows that are packed
    struct rows rows;
    int64_t n_rows; // 0: there are none
};

struct text_inputs {
    struct tokenizer *tokenizer;
    struct text_rows training, validation; // roles "tokens" and "validation"; each may be absent
    struct text_rows *mixed;               // [n_mixed] of a mix, which is there instead of "tokens"
    int n_mixed;
    struct row_mix mix;
};

// Loads the tokenizer from the first path of `role` ("tokenizer" or "model"), and opens what else the job names.
struct error *CHECKED text_inputs_open(struct text_inputs *inputs, const struct job *job, const char *role, int64_t seq_len,
                                       uint64_t seed, struct arena *arena);
void text_inputs_close(struct text_inputs *inputs);

struct row_source text_rows(struct text_rows *rows);

// What is trained on: the mix, or else the text.
struct row_source text_training(struct text_inputs *inputs);

#endif
