// piece_counts.h - how often each different piece of a text occurs (private to core/text).
//
//     struct piece_counts c = {0};
//     e = piece_counts_add(&c, piece, n, readable, 1);
//     for (size_t i = 0, n; (p = piece_counts_next(&c, &i, &n, &count));) ...
//     piece_counts_release(&c);
//
// Open addressing at half load or less, 32 bytes a slot: pieces of up to 16 bytes live in their slot (piece_key.h), longer ones
// in one growing buffer of bytes. So a piece that was seen costs one look into memory.
#ifndef CORE_TEXT_PIECE_COUNTS_H
#define CORE_TEXT_PIECE_COUNTS_H

#include "core/text/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct piece_slot;

struct piece_counts {
    struct piece_slot *slots;
    size_t capacity; // a power of two, or 0
    size_t n;        // different pieces
    size_t n_bytes;  // of all different pieces
    struct bytes longer;
};

// readable: bytes that may be read from p on, at least n. 1 <= n < 2^32.
struct error *CHECKED piece_counts_add(struct piece_counts *c, const uint8_t *p, size_t n, size_t readable, int64_t count);

// The piece in slot *at or the first one behind it; NULL at the end. *at then is the slot to go on with. The bytes are borrowed
// until the next add.
const uint8_t *piece_counts_next(const struct piece_counts *c, size_t *at, size_t *n, int64_t *count);

void piece_counts_release(struct piece_counts *c);

#endif
