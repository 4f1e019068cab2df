// piece_counts.h - how often each different piece of a text occurs (private to core/text).
//
//     struct piece_counts c = {0};
//     struct piece_key k = piece_key(piece, n, readable);
//     e = piece_counts_add(&c, k, piece_key_hash(k), piece, 1);
//     for (size_t i = 0, n; (p = piece_counts_next(&c, &i, &n, &count));) ...
//     piece_counts_release(&c);
//
// Open addressing at half load or less, 32 bytes a slot: pieces of up to 16 bytes live in their slot (piece_key.h), longer ones
// in one growing buffer of bytes. So a piece that was seen costs one look into memory.
//
// Order  slots follow the hashes, upwards: a walk over one table that adds to another, or to several that share the hashes among
//        them (skip), goes through theirs in order too, and memory is read ahead. Whoever adds many in order reserves first: a
//        small table would fill from one end, and searches through that end take long
#ifndef CORE_TEXT_PIECE_COUNTS_H
#define CORE_TEXT_PIECE_COUNTS_H

#include "core/text/buffer.h"
#include "core/text/piece_key.h"

struct piece_slot;

struct piece_counts {
    struct piece_slot *slots;
    size_t capacity; // a power of two, or 0
    size_t n;        // different pieces
    size_t n_bytes;  // of all different pieces
    struct bytes longer;
    int skip; // upper bits of the hash that all pieces of this table have in common; 0 for a table of all
};

// Room for n pieces in all.
struct error *CHECKED piece_counts_reserve(struct piece_counts *c, size_t n);

// The piece with that key and hash, whose k.n bytes are at p; 1 <= k.n < 2^32.
struct error *CHECKED piece_counts_add(struct piece_counts *c, struct piece_key k, uint64_t hash, const uint8_t *p,
                                       int64_t count);

// Asks memory for the slot of a piece that comes soon.
void piece_counts_prefetch(const struct piece_counts *c, uint64_t hash);

// The piece in slot *at or the first one behind it; NULL at the end. *at then is the slot to go on with. The bytes are borrowed
// until the next add; 16 or more may be read.
const uint8_t *piece_counts_next(const struct piece_counts *c, size_t *at, size_t *n, int64_t *count);

// Empties it and keeps the memory.
void piece_counts_clear(struct piece_counts *c);

void piece_counts_release(struct piece_counts *c);

#endif
