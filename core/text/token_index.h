// token_index.h - finds the id of a byte string among the tokens that merges may make (private to core/text).
//
// Tokens of two bytes have a table of their own, by these bytes. The others: open addressing at half load or less; a slot holds the
// key (piece_key.h), so that only tokens of more than 16 bytes need a look at the table itself. Special tokens are not in it: their
// names in a text are text.
#ifndef CORE_TEXT_TOKEN_INDEX_H
#define CORE_TEXT_TOKEN_INDEX_H

#include "core/text/piece_key.h"
#include "core/text/token_table.h"

struct token_slot {
    uint64_t a, b;
    uint32_t n; // 0: the slot is free
    int32_t id;
};

struct token_index {
    const struct token_table *table;
    const int32_t *pairs; // [65536], first byte + 256 * second: the id, or -1
    const struct token_slot *slots;
    size_t mask;
    const uint64_t *filter; // a bit for every hash that a token has: most strings that are no token stop here, in a near cache
    size_t filter_mask;     // bits - 1
    size_t longest;         // bytes of the longest token
};

// The table must have passed token_table_check and stay; slots live in the arena. ERROR_DATA for two equal tokens.
struct error *CHECKED token_index_init(struct token_index *index, const struct token_table *table, struct arena *arena);

static inline size_t token_filter_bit(const struct token_index *index, uint64_t hash)
{
    return hash >> 32 & index->filter_mask;
}

// The id of the token with these n >= 1 bytes, or -1. readable as in piece_key().
static inline int32_t token_find(const struct token_index *index, const uint8_t *p, size_t n, size_t readable)
{
    if (n == 2)
        return index->pairs[p[0] | p[1] << 8];
    if (n > index->longest)
        return -1;
    struct piece_key k = piece_key(p, n, readable);
    uint64_t hash = piece_key_hash(k);
    size_t bit = token_filter_bit(index, hash);
    if (!(index->filter[bit / 64] >> bit % 64 & 1))
        return -1;
    for (size_t i = hash & index->mask;; i = (i + 1) & index->mask) {
        const struct token_slot *s = &index->slots[i];
        if (s->n == 0)
            return -1;
        if (s->a == k.a && s->b == k.b && s->n == k.n &&
            (n <= SHORT_PIECE || memcmp(index->table->bytes + index->table->offsets[s->id], p, n) == 0))
            return s->id;
    }
}

#endif
