// encoder.c - pieces to ids, by the rank of joined bytes.
//
// Three ways, from the most to the least frequent piece:
//   cache   a piece of up to 16 bytes and 3 ids that was seen before: one look at a cache line, which holds two such pieces
//   short   up to 64 bytes: a bit and a rank a byte, the lowest rank found by looking at all of them
//   long    parts are a linked list over the bytes of the piece, ranks are the leaves of a tree of minima
// Pieces are cut a batch ahead, and the lines that they need are asked for: by the time they are looked at they are there.
//
// The short way: bit i of starts says that a part starts at byte i; rank[i] is the id that this part and its successor make
// together, over i itself, so that the lowest of all is the leftmost of the lowest.
// The long way: part i starts at byte i; next[i] and prev[i] are the neighbours' starts; rank[i] is the id that part i and its
// successor make together, NONE where they make none or i starts no part. Sixteen ranks, a cache line, have their lowest in the
// level above, and so on; a merge changes three ranks and goes up as far as a minimum changes, and the next one is found from the
// top, to the left among equals. Merges of one rank go from left to right, so what is near in the piece is near in memory.
#include "core/text/tokenizer.h"

#include "core/base/stop.h"
#include "core/text/split.h"
#include "core/text/token_index.h"

enum { SHORT = 64, CACHED_IDS = 3, CACHE_LINES = 1 << 16, BATCH = 32, LINE = 16, MINIMA_LEVELS = 8, POLL_BYTES = 1 << 20 };
static const int32_t NONE = INT32_MAX;
static const uint32_t NO_RANK = UINT32_MAX;

struct cache_slot { // 32 bytes
    uint64_t a, b;
    uint8_t n, n_ids; // n = 0: free
    int32_t id[CACHED_IDS];
};

// A new piece takes the second place, and one that is seen again the first: what is frequent stays.
struct cache_line {
    struct cache_slot slots[2];
};

struct encoder_cache {
    struct cache_line lines[CACHE_LINES];
};

struct piece {
    size_t at, n;
    struct piece_key key;    // where n <= SHORT_PIECE
    struct cache_line *line; // NULL: too long for the cache
};

struct error *encoder_init(struct encoder *enc, const struct tokenizer *t)
{
    struct encoder_cache *cache = block_alloc(sizeof *cache);
    if (!cache)
        return error_memory();
    memset(cache, 0, sizeof *cache);
    *enc = (struct encoder){.tokenizer = t, .cache = cache};
    return NULL;
}

void encoder_release(struct encoder *enc)
{
    block_free(enc->cache);
    block_free(enc->scratch);
    *enc = (struct encoder){0};
}

static int32_t joined(const struct token_index *index, const uint8_t *p, size_t n, size_t readable)
{
    int32_t id = token_find(index, p, n, readable);
    return id < 0 ? NONE : id;
}

static inline uint32_t short_rank(const struct token_index *index, const uint8_t *p, size_t from, size_t to)
{
    int32_t id = token_find(index, p + from, to - from, SHORT_PIECE);
    return id < 0 ? NO_RANK : (uint32_t)id << 6 | (uint32_t)from;
}

// 2 <= n <= SHORT bytes at p, which is followed by SHORT_PIECE readable bytes. Returns the number of ids.
static size_t merge_short(const struct token_index *index, const uint8_t *p, size_t n, int32_t id[SHORT])
{
    uint32_t rank[SHORT];
    uint64_t starts = UINT64_MAX >> (SHORT - n);
    for (size_t i = 0; i + 1 < n; i++) {
        id[i] = p[i];
        rank[i] = short_rank(index, p, i, i + 2);
    }
    id[n - 1] = p[n - 1];
    rank[n - 1] = NO_RANK;
    for (;;) {
        uint32_t lowest = rank[0];
        for (size_t i = 1; i < n; i++)
            lowest = rank[i] < lowest ? rank[i] : lowest;
        if (lowest == NO_RANK)
            break;
        size_t i = lowest % SHORT;
        uint64_t behind = starts & (~(uint64_t)1 << i), below = starts & (((uint64_t)1 << i) - 1);
        size_t gone = (size_t)__builtin_ctzll(behind);
        behind &= behind - 1;
        starts &= ~((uint64_t)1 << gone);
        size_t end = behind ? (size_t)__builtin_ctzll(behind) : n;
        id[i] = (int32_t)(lowest / SHORT);
        rank[gone] = rank[i] = NO_RANK;
        if (behind) {
            behind &= behind - 1;
            rank[i] = short_rank(index, p, i, behind ? (size_t)__builtin_ctzll(behind) : n);
        }
        if (below) {
            size_t before = 63 - (size_t)__builtin_clzll(below);
            rank[before] = short_rank(index, p, before, end);
        }
    }
    size_t n_ids = 0;
    for (; starts; starts &= starts - 1)
        id[n_ids++] = id[__builtin_ctzll(starts)];
    return n_ids;
}

struct minima {
    int32_t *level[MINIMA_LEVELS]; // level[0] are the ranks; each is filled up with NONE to whole lines
    int n_levels;                  // the last has one line
};

static int32_t lowest_of(const int32_t *line)
{
    int32_t lowest = line[0];
    for (int i = 1; i < LINE; i++)
        lowest = line[i] < lowest ? line[i] : lowest;
    return lowest;
}

// The space of n ranks with their minima.
static size_t minima_bytes(size_t n)
{
    size_t lines = 0;
    do {
        n = (n + LINE - 1) / LINE;
        lines += n;
    } while (n > 1);
    return lines * LINE * sizeof(int32_t);
}

// Lays the levels out at `space`; ranks are then written to level[0], and minima_build makes the others.
static void minima_init(struct minima *m, int32_t *space, size_t n)
{
    m->n_levels = 0;
    do {
        size_t lines = (n + LINE - 1) / LINE;
        m->level[m->n_levels++] = space;
        for (size_t i = n; i < lines * LINE; i++)
            space[i] = NONE;
        space += lines * LINE;
        n = lines;
    } while (n > 1);
}

static void minima_build(struct minima *m, size_t n)
{
    for (int k = 0; k + 1 < m->n_levels; k++) {
        n = (n + LINE - 1) / LINE;
        for (size_t i = 0; i < n; i++)
            m->level[k + 1][i] = lowest_of(m->level[k] + i * LINE);
    }
}

// After a change in a line of the ranks.
static void minima_refresh(struct minima *m, size_t line)
{
    for (int k = 0; k + 1 < m->n_levels; k++, line /= LINE) {
        int32_t lowest = lowest_of(m->level[k] + line * LINE);
        if (m->level[k + 1][line] == lowest)
            return;
        m->level[k + 1][line] = lowest;
    }
}

// The first place of the lowest rank.
static size_t minima_find(const struct minima *m, int32_t *lowest)
{
    size_t i = 0;
    *lowest = lowest_of(m->level[m->n_levels - 1]);
    for (int k = m->n_levels - 1; k >= 0; k--) {
        i *= LINE;
        while (m->level[k][i] != *lowest)
            i++;
    }
    return i;
}

static struct error *reserve_scratch(struct encoder *enc, size_t bytes)
{
    if (bytes <= enc->scratch_bytes)
        return NULL;
    void *grown = block_alloc(bytes + bytes / 4);
    if (!grown)
        return error_memory();
    block_free(enc->scratch);
    enc->scratch = grown;
    enc->scratch_bytes = bytes + bytes / 4;
    return NULL;
}

static struct error *merge_long(struct encoder *enc, const uint8_t *p, uint32_t n, size_t readable, struct ids *out)
{
    const struct token_index *index = enc->tokenizer->index;
    size_t ranks_bytes = minima_bytes(n);
    struct error *e = reserve_scratch(enc, ranks_bytes + (size_t)n * 3 * sizeof(uint32_t));
    if (e)
        return e;
    struct minima minima;
    minima_init(&minima, enc->scratch, n);
    int32_t *rank = minima.level[0], *id = rank + ranks_bytes / sizeof *rank, lowest;
    uint32_t *next = (uint32_t *)id + n, *prev = next + n;
    for (uint32_t i = 0; i < n; i++) {
        next[i] = i + 1;
        prev[i] = i - 1;
        id[i] = p[i];
        rank[i] = i + 1 < n ? joined(index, p + i, 2, readable - i) : NONE;
    }
    minima_build(&minima, n);
    for (size_t turn = 1;; turn++) {
        if (turn % POLL_BYTES == 0 && stop_requested())
            return error_stopped();
        uint32_t i = (uint32_t)minima_find(&minima, &lowest);
        if (lowest == NONE)
            break;
        uint32_t gone = next[i], after = next[gone], before = i > 0 ? prev[i] : i;
        id[i] = lowest;
        next[i] = after;
        rank[gone] = rank[i] = NONE;
        if (after < n) {
            prev[after] = i;
            rank[i] = joined(index, p + i, next[after] - i, readable - i);
        }
        if (i > 0)
            rank[before] = joined(index, p + before, after - before, readable - before);
        minima_refresh(&minima, i / LINE);
        if (gone / LINE != i / LINE)
            minima_refresh(&minima, gone / LINE);
        if (before / LINE != i / LINE)
            minima_refresh(&minima, before / LINE);
    }
    for (uint32_t i = 0; !e && i < n; i = next[i])
        e = ids_push(out, id[i]);
    return e;
}

// Up to SHORT bytes: the ids into id, their number back.
static size_t encode_short(const struct token_index *index, const uint8_t *p, size_t n, int32_t id[SHORT])
{
    uint8_t padded[SHORT + SHORT_PIECE] = {0};
    memcpy(padded, p, n);
    id[0] = token_find(index, padded, n, SHORT_PIECE);
    return id[0] >= 0 ? 1 : merge_short(index, padded, n, id);
}

// A piece that is not in the cache.
static struct error *encode_piece(struct encoder *enc, const struct piece *piece, const uint8_t *p, size_t readable,
                                  struct ids *out)
{
    const struct token_index *index = enc->tokenizer->index;
    if (piece->n <= SHORT) {
        int32_t id[SHORT];
        size_t n_ids = encode_short(index, p, piece->n, id);
        if (piece->line && n_ids <= CACHED_IDS) {
            struct cache_slot slot = {.a = piece->key.a, .b = piece->key.b, .n = (uint8_t)piece->n, .n_ids = (uint8_t)n_ids};
            memcpy(slot.id, id, n_ids * sizeof *id);
            piece->line->slots[1] = slot;
        }
        return ids_append(out, id, n_ids);
    }
    int32_t whole = token_find(index, p, piece->n, readable);
    if (whole >= 0)
        return ids_push(out, whole);
    if (piece->n > INT32_MAX)
        return error_plain(ERROR_DATA, "a run of %zu bytes without a break is too long to encode", piece->n);
    return merge_long(enc, p, (uint32_t)piece->n, readable, out);
}

// Cuts up to BATCH pieces from *at on; returns how many.
static size_t cut_pieces(struct encoder *enc, const uint8_t *text, size_t n, size_t *at, struct piece pieces[BATCH])
{
    size_t n_pieces = 0;
    for (; n_pieces < BATCH && *at < n; n_pieces++) {
        size_t end = split_next(text, n, *at);
        struct piece *piece = &pieces[n_pieces];
        *piece = (struct piece){.at = *at, .n = end - *at};
        if (piece->n <= SHORT_PIECE) {
            piece->key = piece_key(text + *at, piece->n, n - *at);
            piece->line = &enc->cache->lines[piece_key_hash(piece->key) % CACHE_LINES];
            __builtin_prefetch(piece->line);
        }
        *at = end;
    }
    return n_pieces;
}

static inline bool is_piece(const struct cache_slot *slot, const struct piece *piece)
{
    return slot->a == piece->key.a && slot->b == piece->key.b && slot->n == piece->n;
}

// Where the cache has the piece, or NULL.
static inline const struct cache_slot *cached(const struct piece *piece)
{
    if (!piece->line)
        return NULL;
    struct cache_slot *slots = piece->line->slots;
    if (is_piece(&slots[0], piece))
        return slots;
    if (!is_piece(&slots[1], piece))
        return NULL;
    struct cache_slot again = slots[1];
    slots[1] = slots[0];
    slots[0] = again;
    return slots;
}

static struct error *encode_batch(struct encoder *enc, const uint8_t *text, size_t n, const struct piece *pieces, size_t n_pieces,
                                  struct ids *out)
{
    struct error *e = ids_reserve(out, BATCH * CACHED_IDS);
    for (size_t i = 0; !e && i < n_pieces; i++) {
        const struct cache_slot *slot = cached(&pieces[i]);
        if (slot) {
            memcpy(out->id + out->n, slot->id, sizeof slot->id); // all three, for a copy of one fixed length
            out->n += slot->n_ids;
        } else {
            e = encode_piece(enc, &pieces[i], text + pieces[i].at, n - pieces[i].at, out);
            if (!e)
                e = ids_reserve(out, BATCH * CACHED_IDS);
        }
    }
    return e;
}

struct error *encoder_encode(struct encoder *enc, const uint8_t *text, size_t n, struct ids *out)
{
    struct error *e = NULL;
    size_t n_before = out->n;
    for (size_t at = 0, polled = 0; !e && at < n;) {
        struct piece pieces[BATCH];
        size_t n_pieces = cut_pieces(enc, text, n, &at, pieces);
        e = encode_batch(enc, text, n, pieces, n_pieces, out);
        if (!e && at - polled >= POLL_BYTES) {
            polled = at;
            if (stop_requested())
                e = error_stopped();
        }
    }
    if (e)
        out->n = n_before;
    return e;
}
