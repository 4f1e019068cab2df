// task_rows.h - a task's rows as tokens: rendered once, read by fine-tuning, by rollouts and by evaluations alike.
//
// Writing:
//     e = task_rows_write(&task, &part, tokenizer, path, attributes, n_attributes, &hooks);    // reads, renders, saves
// Reading:
//     struct task_rows rows;
//     e = task_rows_open(&rows, paths, n_paths, arena);                   // the parts of one split, one after the other
//     n = task_rows_read(&rows, i, max_tokens, ids, mask);                // row i cut to max_tokens, rendered as in chat.h
//     n = task_rows_prompt(&rows, i, max_tokens, ids);                    // for completion: up to max_tokens, and assistant_start
//     struct task_answer a = task_rows_answer(&rows, i);
//     task_rows_close(&rows);
//
// Rows stand in the order of the data set; its fixed permutation is arithmetic on top (task_rows_order), so that neither epochs nor
// orders ever tokenize again. Nothing is cut when it is written.
//
// Layout     /tokens u16 (u32 above 65,536) [n], /mask u8 [n], /rows i64 [d+1]; /prompts i64 [d]: how many tokens of a row are its
//            prompt, the last assistant_start included (0: the last message is not the assistant's); /answers u8 and /answer_ends i64
//            [d+1]: the text that is graded against; /letters i32 and /letter_ends i64 [d+1]: the token of each letter of a choice;
//            /right i32 [d]: index of the right letter, or -1. Attributes of "/": n, d, n_vocab, assistant_start; the caller adds what
//            made it
// Ownership  a writer holds its part in memory; rows map their files until task_rows_close
// Errors     ERROR_DATA naming task and row: those of record.h, task.h and chat.h, a letter that is not one token. Opening reads a
//            file whole and refuses a damaged one, and files of different tokenizers; reading then cannot fail
// Threads    open rows are immutable: any thread may read
#ifndef CORE_DATA_TASK_ROWS_H
#define CORE_DATA_TASK_ROWS_H

#include "core/data/task.h"
#include "core/store/store.h"

struct task_rows_hooks { // each may be NULL
    void *self;
    void (*show)(void *self, int64_t rows); // is told the rows done so far
    struct error *(*all_read)(void *self);  // all are read and nothing is saved yet: with an error nothing will be
};

// hooks may be NULL.
struct error *CHECKED task_rows_write(const struct task *task, const struct document_part *part,
                                      const struct tokenizer *tokenizer, const char *path,
                                      const struct store_attribute *attributes, int n_attributes,
                                      const struct task_rows_hooks *hooks);

struct task_rows_file; // one part

struct task_rows {
    struct task_rows_file *files;
    int n_files;
    int64_t n, n_tokens, n_vocab; // rows and tokens of all parts
    int32_t assistant_start;
};

struct task_answer {
    const char *text; // n_text bytes, not terminated
    size_t n_text;
    const int32_t *letters; // tokens
    int n_letters, right;   // right -1: no choices
};

struct error *CHECKED task_rows_open(struct task_rows *rows, const char *const *paths, int n_paths, struct arena *arena);
void task_rows_close(struct task_rows *rows);

int64_t task_rows_length(const struct task_rows *rows, int64_t i); // tokens of row i, uncut

// ids and mask (either may be NULL) hold max_tokens; returns how many were written.
int64_t task_rows_read(const struct task_rows *rows, int64_t i, int64_t max_tokens, int32_t *ids, uint8_t *mask);

// ids (may be NULL) holds max_tokens + 1; returns how many; 0 where there is nothing to complete.
int64_t task_rows_prompt(const struct task_rows *rows, int64_t i, int64_t max_tokens, int32_t *ids);

struct task_answer task_rows_answer(const struct task_rows *rows, int64_t i);

// The fixed permutation of a task's rows, order[n]: numpy's of seed 42 (shuffle.h), as the reference loads every data set.
struct error *CHECKED task_rows_order(int64_t n, int64_t *order);

#endif
