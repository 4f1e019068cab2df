// piece_counts.c - the table of pieces that the trainer counts in.
#include "core/text/piece_counts.h"

// a, b: the key; of a longer piece a is its hash and b where its bytes are.
struct piece_slot {
    uint64_t a, b;
    int64_t count; // 0: the slot is free
    uint32_t n;
};

enum { FIRST_SLOTS = 1 << 12 };

static uint64_t slot_hash(const struct piece_slot *s)
{
    return piece_key_hash((struct piece_key){s->a, s->n > SHORT_PIECE ? 0 : s->b, s->n});
}

// The slot at which the search for a hash begins.
static size_t first_slot(int skip, size_t capacity, uint64_t hash)
{
    return (hash << skip) >> (64 - __builtin_ctzll(capacity));
}

static struct error *resize(struct piece_counts *c, size_t capacity)
{
    struct piece_slot *slots = block_alloc(capacity * sizeof *slots);
    if (!slots)
        return error_memory();
    memset(slots, 0, capacity * sizeof *slots);
    for (size_t i = 0; i < c->capacity; i++) {
        if (!c->slots[i].count)
            continue;
        size_t to = first_slot(c->skip, capacity, slot_hash(&c->slots[i]));
        while (slots[to].count)
            to = (to + 1) & (capacity - 1);
        slots[to] = c->slots[i];
    }
    block_free(c->slots);
    c->slots = slots;
    c->capacity = capacity;
    return NULL;
}

struct error *piece_counts_reserve(struct piece_counts *c, size_t n)
{
    size_t capacity = c->capacity ? c->capacity : FIRST_SLOTS;
    while (n > capacity / 2 && capacity <= SIZE_MAX / sizeof *c->slots / 4)
        capacity *= 2;
    return capacity > c->capacity ? resize(c, capacity) : NULL;
}

static bool is_piece(const struct piece_counts *c, const struct piece_slot *s, struct piece_key k, const uint8_t *p)
{
    if (s->a != k.a || s->n != k.n)
        return false;
    return k.n <= SHORT_PIECE ? s->b == k.b : memcmp(c->longer.byte + s->b, p, k.n) == 0;
}

struct error *piece_counts_add(struct piece_counts *c, struct piece_key k, uint64_t hash, const uint8_t *p, int64_t count)
{
    struct error *e = c->n >= c->capacity / 2 ? piece_counts_reserve(c, c->n + 1) : NULL;
    if (e)
        return e;
    size_t mask = c->capacity - 1, i = first_slot(c->skip, c->capacity, hash);
    for (; c->slots[i].count; i = (i + 1) & mask) {
        if (is_piece(c, &c->slots[i], k, p)) {
            c->slots[i].count += count;
            return NULL;
        }
    }
    if (k.n > SHORT_PIECE) {
        k.b = c->longer.n;
        if ((e = bytes_append(&c->longer, p, k.n)))
            return e;
    }
    c->slots[i] = (struct piece_slot){.a = k.a, .b = k.b, .count = count, .n = k.n};
    c->n++;
    c->n_bytes += k.n;
    return NULL;
}

void piece_counts_prefetch(const struct piece_counts *c, uint64_t hash)
{
    if (c->capacity)
        __builtin_prefetch(&c->slots[first_slot(c->skip, c->capacity, hash)], 1);
}

const uint8_t *piece_counts_next(const struct piece_counts *c, size_t *at, size_t *n, int64_t *count)
{
    for (; *at < c->capacity; ++*at) {
        const struct piece_slot *s = &c->slots[*at];
        if (s->count) {
            ++*at;
            *n = s->n;
            *count = s->count;
            // A short piece's bytes are the key itself, in memory order.
            return s->n > SHORT_PIECE ? c->longer.byte + s->b : (const uint8_t *)&s->a;
        }
    }
    return NULL;
}

void piece_counts_clear(struct piece_counts *c)
{
    if (c->n)
        memset(c->slots, 0, c->capacity * sizeof *c->slots);
    c->n = c->n_bytes = c->longer.n = 0;
}

void piece_counts_release(struct piece_counts *c)
{
    block_free(c->slots);
    bytes_release(&c->longer);
    *c = (struct piece_counts){.skip = c->skip};
}
