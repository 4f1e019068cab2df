// encoder.c - pieces to ids, by the rank of joined bytes.
//
// Three ways, from the most to the least frequent piece:
//   cache   a piece of up to 16 bytes and 11 ids that was seen before: one look at one cache line
//   short   up to 64 bytes: parts in a small array, the lowest rank found by looking at all of them
//   long    parts are a linked list over the bytes of the piece, ranks wait in a heap
// The long way: part i starts at byte i; next[i] and prev[i] are the neighbours' starts; rank[i] is the id that part i and its
// successor make together, NONE where they make none or i starts no part. The heap holds (rank, i); an entry is valid while
// rank[i] still is that rank: a part only ever grows, so a rank that it lost cannot come back. Among equal ranks the lower i
// comes first. A merge takes one entry out and puts at most two in, so 2 n entries are enough.
#include "core/text/tokenizer.h"

#include "core/base/stop.h"
#include "core/text/split.h"
#include "core/text/token_index.h"

enum { SHORT = 64, CACHED_IDS = 11, CACHE_SLOTS = 1 << 14, POLL_BYTES = 1 << 20 };
static const int32_t NONE = INT32_MAX;

struct cache_slot { // 64 bytes, a cache line
    uint64_t a, b;
    uint16_t n, n_ids; // n = 0: free
    int32_t id[CACHED_IDS];
};

struct encoder_cache {
    struct cache_slot slots[CACHE_SLOTS];
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

// 2 <= n <= SHORT bytes at p, which is followed by SHORT_PIECE readable bytes. Returns the number of ids.
static size_t merge_short(const struct token_index *index, const uint8_t *p, size_t n, int32_t id[SHORT])
{
    uint8_t start[SHORT + 1];
    int32_t rank[SHORT]; // of parts i and i+1
    size_t parts = n;
    for (size_t i = 0; i < n; i++) {
        start[i] = (uint8_t)i;
        id[i] = p[i];
        rank[i] = i + 1 < n ? joined(index, p + i, 2, SHORT_PIECE) : NONE;
    }
    start[n] = (uint8_t)n;
    while (parts > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < parts; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == NONE)
            break;
        id[best] = rank[best];
        memmove(&id[best + 1], &id[best + 2], (parts - best - 2) * sizeof *id);
        memmove(&rank[best + 1], &rank[best + 2], (parts - best - 2) * sizeof *rank);
        memmove(&start[best + 1], &start[best + 2], parts - best - 1);
        parts--;
        rank[best] = best + 1 < parts ? joined(index, p + start[best], (size_t)start[best + 2] - start[best], SHORT_PIECE) : NONE;
        if (best > 0)
            rank[best - 1] = joined(index, p + start[best - 1], (size_t)start[best + 1] - start[best - 1], SHORT_PIECE);
    }
    return parts;
}

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= moved)
            break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static void heap_push(uint64_t *heap, size_t *n, int32_t rank, uint32_t at)
{
    uint64_t entry = (uint64_t)rank << 32 | at;
    size_t i = (*n)++;
    for (; i > 0 && heap[(i - 1) / 2] > entry; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = entry;
}

static struct error *merge_long(struct encoder *enc, const uint8_t *p, uint32_t n, size_t readable, struct ids *out)
{
    const struct token_index *index = enc->tokenizer->index;
    size_t wanted = (size_t)n * (2 * sizeof(uint64_t) + 4 * sizeof(uint32_t));
    if (wanted > enc->scratch_bytes) {
        void *grown = block_alloc(wanted + wanted / 4);
        if (!grown)
            return error_memory();
        block_free(enc->scratch);
        enc->scratch = grown;
        enc->scratch_bytes = wanted + wanted / 4;
    }
    uint64_t *heap = enc->scratch;
    uint32_t *next = (uint32_t *)(heap + 2 * (size_t)n), *prev = next + n;
    int32_t *rank = (int32_t *)(prev + n), *id = rank + n;
    size_t waiting = 0;
    for (uint32_t i = 0; i < n; i++) {
        next[i] = i + 1;
        prev[i] = i - 1;
        id[i] = p[i];
        rank[i] = i + 1 < n ? joined(index, p + i, 2, readable - i) : NONE;
        if (rank[i] != NONE)
            heap[waiting++] = (uint64_t)rank[i] << 32 | i;
    }
    for (size_t i = waiting / 2; i-- > 0;)
        sift_down(heap, waiting, i);
    for (size_t turn = 1; waiting > 0; turn++) {
        if (turn % POLL_BYTES == 0 && stop_requested())
            return error_stopped();
        uint32_t i = (uint32_t)heap[0];
        int32_t lowest = (int32_t)(heap[0] >> 32);
        heap[0] = heap[--waiting];
        if (waiting > 1)
            sift_down(heap, waiting, 0);
        if (rank[i] != lowest)
            continue;
        uint32_t gone = next[i], after = next[gone];
        id[i] = lowest;
        rank[gone] = NONE;
        next[i] = after;
        rank[i] = NONE;
        if (after < n) {
            prev[after] = i;
            rank[i] = joined(index, p + i, next[after] - i, readable - i);
            if (rank[i] != NONE)
                heap_push(heap, &waiting, rank[i], i);
        }
        if (i > 0) {
            uint32_t before = prev[i];
            rank[before] = joined(index, p + before, after - before, readable - before);
            if (rank[before] != NONE)
                heap_push(heap, &waiting, rank[before], before);
        }
    }
    struct error *e = NULL;
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

static struct error *encode_piece(struct encoder *enc, const uint8_t *p, size_t n, size_t readable, struct ids *out)
{
    const struct token_index *index = enc->tokenizer->index;
    int32_t id[SHORT];
    if (n <= SHORT_PIECE) {
        struct piece_key k = piece_key(p, n, readable);
        struct cache_slot *slot = &enc->cache->slots[piece_key_hash(k) % CACHE_SLOTS];
        if (slot->a == k.a && slot->b == k.b && slot->n == k.n)
            return ids_append(out, slot->id, slot->n_ids);
        size_t n_ids = encode_short(index, p, n, id);
        if (n_ids <= CACHED_IDS) {
            *slot = (struct cache_slot){.a = k.a, .b = k.b, .n = (uint16_t)n, .n_ids = (uint16_t)n_ids};
            memcpy(slot->id, id, n_ids * sizeof *id);
        }
        return ids_append(out, id, n_ids);
    }
    if (n <= SHORT) {
        size_t n_ids = encode_short(index, p, n, id);
        return ids_append(out, id, n_ids);
    }
    int32_t whole = token_find(index, p, n, readable);
    if (whole >= 0)
        return ids_push(out, whole);
    if (n > INT32_MAX)
        return error_plain(ERROR_DATA, "a run of %zu bytes without a break is too long to encode", n);
    return merge_long(enc, p, (uint32_t)n, readable, out);
}

struct error *encoder_encode(struct encoder *enc, const uint8_t *text, size_t n, struct ids *out)
{
    struct error *e = NULL;
    size_t n_before = out->n;
    for (size_t at = 0, end, polled = 0; !e && at < n; at = end) {
        end = split_next(text, n, at);
        e = encode_piece(enc, text + at, end - at, n - at, out);
        if (!e && end - polled >= POLL_BYTES) {
            polled = end;
            if (stop_requested())
                e = error_stopped();
        }
    }
    if (e)
        out->n = n_before;
    return e;
}
