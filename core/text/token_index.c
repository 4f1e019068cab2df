// token_index.c - fills the table of token_index.h.
#include "core/text/token_index.h"

enum { PAIRS = 1 << 16 };

struct error *token_index_init(struct token_index *index, const struct token_table *table, struct arena *arena)
{
    int32_t n = table->n - table->n_special;
    size_t capacity = 1024;
    while (capacity < 2 * (size_t)n)
        capacity *= 2;
    struct token_slot *slots = arena_array(arena, capacity, sizeof *slots);
    int32_t *pairs = arena_array(arena, PAIRS, sizeof *pairs);
    if (!slots || !pairs)
        return error_memory();
    memset(pairs, 0xFF, PAIRS * sizeof *pairs); // -1
    struct token_index made = {.table = table, .pairs = pairs, .slots = slots, .mask = capacity - 1, .longest = SIZE_MAX};
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
            size_t i = piece_key_hash(k) & made.mask;
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
