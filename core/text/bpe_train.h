// bpe_train.h - learns the merges of a byte-pair vocabulary from documents.
//
//     e = bpe_trainer_new(&t, 10000, 2000000000);                   // characters a document, characters in all
//     while (!bpe_trainer_full(t) && next_document(&text, &n))
//         if ((e = bpe_trainer_add(t, text, n, NULL))) ...
//     e = bpe_trainer_count(t);                                     // may be left out: merging does it
//     e = bpe_trainer_merge(t, 65536 - 256 - TOKEN_SPECIALS, show, context, arena, &table);
//     bpe_trainer_free(t);
//
// Algorithm  every document is cut to its first doc_cap characters and split (split.h); equal pieces are counted together. Then,
//            merge by merge: the pair of neighbours with the highest count over all pieces, among equals the one with the smaller
//            left id, then the smaller right id; its occurrences are replaced from left to right in every piece. Counts are
//            exact and signed 64 bits; overlapping neighbours all count (aaa holds (a,a) twice)
// Stop       the document that takes the count of characters above max_chars is still added; then bpe_trainer_full is true
// Units      characters are code points (utf8.h: an ill-formed part is one); counts are occurrences
// Order      the merges depend on the multiset of cut documents, not on their order, and not on the number of threads
// Memory     grows with the bytes of the distinct pieces, not with the text: 30 to 46 bytes each at the most, in the middle of the
//            merges (measured), and BPE_BYTES_A_BYTE are reckoned with. English text of 59 MB has 367,000 distinct pieces of 3.0
//            MB, and 6 times as many for 18 times the text: 2e9 characters have some 3 million of 28 MB, and take 1.3 GB. Text in
//            which nothing comes twice takes 40 times its size: what would not fit into memory is refused while it is counted.
//            While counting, besides, 7 MiB a thread, or more for documents above a mebibyte (bpe_count.h)
// Ownership  the trainer is owned: bpe_trainer_free. The table lives in the arena given to bpe_trainer_merge
// Errors     memory; stop_requested(); ERROR_RECIPE when the text does not have that many merges (it names the largest vocabulary
//            that can be had); ERROR_MACHINE when the pieces would take more memory than may be had; ERROR_DATA when two merges
//            make the same bytes, or for 4 GiB of distinct pieces. An error of a counting thread may come with a later call
// Threads    one trainer, one caller; counting starts threads of its own, merging is done by the caller's
// Source     nanochat 2025-10-13, training of its tokenizer; rustbpe is the peer of tests/parity/test_text.py
#ifndef CORE_TEXT_BPE_TRAIN_H
#define CORE_TEXT_BPE_TRAIN_H

#include "core/text/token_table.h"

#include <stdbool.h>

enum { BPE_BYTES_A_BYTE = 48 };

struct bpe_trainer;

struct bpe_totals {
    int64_t documents, chars, bytes; // what was taken of the documents, after cutting
    int64_t pieces, distinct;        // all pieces, different pieces; 0 until bpe_trainer_count
    int64_t distinct_bytes;          // of the different pieces
    int64_t replaced;                // places where two tokens became one; 0 until bpe_trainer_merge
};

// Called about every hundredth of the merges, oftener while they take long, and at the end.
typedef void bpe_progress(void *context, int64_t done, int64_t total);

struct error *CHECKED bpe_trainer_new(struct bpe_trainer **out, int64_t doc_cap, int64_t max_chars);
void bpe_trainer_free(struct bpe_trainer *t);

// Before the first document: the threads that count, and the memory that learning may take. 0, as without this call: all threads
// that the process may use; the memory that the process may have.
struct error *CHECKED bpe_trainer_use(struct bpe_trainer *t, int threads, int64_t memory_bytes);

// Adds a document; *n_chars (may be NULL) is how many of its characters were taken. Adds to a full trainer too: stopping is the
// caller's. After an error the trainer can only be freed.
struct error *CHECKED bpe_trainer_add(struct bpe_trainer *t, const uint8_t *text, size_t n, int64_t *n_chars);

bool bpe_trainer_full(const struct bpe_trainer *t);
struct bpe_totals bpe_trainer_totals(const struct bpe_trainer *t);

// Ends the adding: everything is counted when it returns. Again it does nothing.
struct error *CHECKED bpe_trainer_count(struct bpe_trainer *t);

// Makes the table of 256 bytes and n_merges merges, without special tokens. Uses up the documents: the trainer can then only be
// freed. progress may be NULL.
struct error *CHECKED bpe_trainer_merge(struct bpe_trainer *t, int n_merges, bpe_progress *progress, void *context,
                                        struct arena *arena, struct token_table *out);

#endif
