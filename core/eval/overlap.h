// overlap.h - which questions of an evaluation stand in the training text, by runs of 13 words that both have.
//
//     overlap_init(&o, &arena);
//     e = overlap_item(&o, texts, n_texts, &i);       // each question, once: all its texts in a row
//     e = overlap_index(&o);                          // no more questions
//     e = overlap_read(&o, document, n_bytes);        // each document, from any thread
//     overlap_found(&o, i)                            // whether any 13 words in a row of it stand in a document
//
// Words      between white space; letters of ASCII in lower case, punctuation of ASCII left out wherever it stands ("don't" is "dont"), so
//            that typography does not hide a copy; dashes, quotes and blanks beyond ASCII (U+2000 to U+206F, U+00A0, U+3000) likewise: dashes
//            and blanks part words, the others are left out. All other bytes stand for themselves
// Exact      runs are found by a hash, and each find is compared word for word: nothing is told that is not there
// Short      questions of fewer than 13 words have no such run: overlap_words tells which were not looked for
// Memory     that of the questions' words and some 120 bytes a word; documents pass by
// Threads    overlap_read from any number at once; all else from one
// Errors     memory
// Source     Brown et al. 2020, "Language Models are Few-Shot Learners", appendix C: 13-grams, without regard to case and punctuation. There
//            N is between 8 and 13 by the lengths of a task's questions; here it is 13 for all
#ifndef CORE_EVAL_OVERLAP_H
#define CORE_EVAL_OVERLAP_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { OVERLAP_WORDS = 13 };

struct overlap_text {
    const char *text;
    size_t n;
};

struct overlap {
    struct arena *arena;
    char *bytes; // block: words of all questions, each with a blank behind it
    size_t n_bytes, bytes_capacity;
    uint64_t *words; // block: hashes of the words, in a row
    uint32_t *at;    // block: where each begins in bytes
    int64_t n_words, words_capacity;
    int64_t *first; // block: of question i the first word; [n_items + 1]
    int64_t n_items, items_capacity;

    // by overlap_index
    uint64_t *bits; // one for some runs each: whether there can be one of that hash
    unsigned bits_shift;
    struct overlap_run *runs; // open addressing by hash, one for all questions that have the same words
    struct overlap_link *links;
    uint64_t n_runs; // power of two
    int64_t n_links;
    unsigned char *found; // [n_items], set from any thread
};

void overlap_init(struct overlap *o, struct arena *arena);
void overlap_release(struct overlap *o);

struct error *CHECKED overlap_item(struct overlap *o, const struct overlap_text *texts, int n_texts, int64_t *i);
struct error *CHECKED overlap_index(struct overlap *o);
struct error *CHECKED overlap_read(struct overlap *o, const char *text, size_t n);

// The questions stay, what was found of them is forgotten: for another text.
void overlap_forget(struct overlap *o);

bool overlap_found(const struct overlap *o, int64_t i);
int64_t overlap_words(const struct overlap *o, int64_t i); // words of a question

#endif
