// bpe_count.h - counts the pieces of documents on several threads (private to core/text; bpe_train.h is the public side).
//
//     e = bpe_counter_new(&c, threads, memory_bytes);
//     while (more) e = bpe_counter_add(c, text, n);       // copies
//     e = bpe_counter_end(c);                             // everything is counted, the threads are gone
//     ... c's parts (bpe_counter_parts), which together hold every piece once ...
//     bpe_counter_free(c);
//
// Threads  documents are put together to batches of a mebibyte. The caller's thread fills them, the others count them, and where all
//          batches are full the caller counts one itself. Threads start with the second batch: small texts do without
// Counts   every thread has a table of its own that fits its cache. What it holds goes over to the common ones when it is full: those
//          are shared out by the hash of the piece, each behind a lock, so that two threads seldom meet. Sums do not depend on order
// Memory   the common tables, 64 to 128 bytes a different piece and the bytes of those above 16; a thread has 4 MiB, and two batches
//          of a mebibyte, or of one document where that is longer
// Errors   memory; stop_requested(); ERROR_MACHINE when learning from the pieces would take more than memory_bytes; ERROR_DATA for a
//          piece of 4 GiB. What a thread meets is returned by a later call, at the latest by bpe_counter_end
#ifndef CORE_TEXT_BPE_COUNT_H
#define CORE_TEXT_BPE_COUNT_H

#include "core/text/piece_counts.h"

enum { BPE_PARTS = 64 };

struct bpe_counter;

// threads <= 0: as many as the process may use.
struct error *CHECKED bpe_counter_new(struct bpe_counter **out, int threads, int64_t memory_bytes);
struct error *CHECKED bpe_counter_add(struct bpe_counter *c, const uint8_t *text, size_t n);

// Pieces by themselves, from counts that were kept; n different ones in all.
struct error *CHECKED bpe_counter_reserve(struct bpe_counter *c, size_t n);
struct error *CHECKED bpe_counter_put(struct bpe_counter *c, const uint8_t *piece, size_t n, size_t readable, int64_t count);

struct error *CHECKED bpe_counter_end(struct bpe_counter *c);

// After bpe_counter_end: BPE_PARTS tables, which the caller may empty, and how many pieces were counted.
struct piece_counts *bpe_counter_parts(struct bpe_counter *c);
int64_t bpe_counter_pieces(const struct bpe_counter *c);

void bpe_counter_free(struct bpe_counter *c); // NULL is fine

#endif
