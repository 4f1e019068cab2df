// token_index.c - fills the table of token_index.h.
#include "core/text/token_index.h"

enum { PAIRS = 1 << 16, FILTER_BITS = 8 }; // bits a slot

struct error *token_index_init(struct token_index *index, const struct token_table *table, struct arena *arena)
{
    int32_t n = table->n - table->n_special;
    size_t capacity = 1024;
    while (capacity < 2 * (size_t)n)
        capacity *= 2;
    struct token_slot *slots = arena_array(arena, capacity, sizeof *slots);
    int32_t *pairs = arena_array(arena, PAIRS, sizeof *pairs);
    uint64_t *filter = arena_array(arena, capacity * FILTER_BITS / 64, sizeof *filter);
    if (!slots || !pairs || !filter)
        return error_memory();
    memset(pairs, 0xFF, PAIRS * sizeof *pairs); // -1
    struct token_index made = {.table = table,
                               .pairs = pairs,
                               .slots = slots,
                               .mask = capacity - 1,
                               .longest = SIZE_MAX,
                               .filter = filter,
                               .filter_mask = capacity * FILTER_BITS - 1};
    size_t longest = 0;
    for (int32_t id = 0; id < n; id++) {
        size_t length;
        const uint8_t *p = token_table_bytes(table, id, &length);
        size_t readable = table->n_bytes - (size_t)table->offsets[id];
        int32_t other = token_find(&made, p, length, readable);
        if (other >= 0)
            return error_plain(ERROR_DATA, "tokens %d and %d of the vocabulary are the same %zu bytes", other, id, length);
        if (length == 2) {
            pairs[p[0] | p[1] << 8] = id;
        } else {
            struct piece_key k = piece_key(p, length, readable);
            uint64_t hash = piece_key_hash(k);
            size_t i = hash & made.mask, bit = token_filter_bit(&made, hash);
            filter[bit / 64] |= (uint64_t)1 << bit % 64;
            while (slots[i].n)
                i = (i + 1) & made.mask;
            slots[i] = (struct token_slot){.a = k.a, .b = k.b, .n = k.n, .id = id};
        }
        if (length > longest)
            longest = length;
    }
    made.longest = longest;
    *index = made;
    return NULL;
}
