// bpe_merge.c - the most frequent pair, again and again, with exact counts.
//
// All different pieces of the text, the words, lie one after the other in one array of cells, a cell a byte. A token covers as
// many cells as it has bytes; nothing ever moves. A pair knows its count over all words and the places where it stands (or once
// did), so a merge costs what it changes, however long the words are.
//
//     cell      0   1   2   3   4   5   6            the word "lowered" as low|er|e|d, its word number in every cell
//     id      low   -  ~low er ~er  e   d            first cell: the id; last cell of a longer token: ~id, to walk back by
//
// Merging (a,b) into n goes through the places of (a,b) in ascending order and skips those where a and b no longer stand. Every
// replacement between neighbours x and y changes the counts by
//     (x,a) -1   (x,n) +1   if there is an x in the word, which may be an n just made
//     (b,y) -1   (n,y) +1   if there is a y
// times the word's count, and (a,b) itself ends at 0.
//
// Invariants
//  1. after each merge the count of every pair is its number of neighbouring places, overlaps included
//  2. a pair gains only in the merge that makes its younger id: gains all hold n. So a pair enters the heap once, with its
//     highest count; an entry on top that is out of date goes back with the count of now, and the top that is up to date is
//     the maximum
//  3. the pairs that a merge makes are found by two arrays over ids (x -> (x,n), y -> (n,y)); the hash table holds those of
//     earlier merges, which only lose
//  4. the places of a pair ascend: a merge that makes it goes upwards. So (a,a) in aaa is replaced from left to right
//
// The lists of one merge are made together at its end, each in one piece: the events (pair, place) wait in a buffer until the
// lengths are known. All lists together have at most three entries a byte of distinct pieces: the pairs at the start, and two for
// each replacement, which takes away one token.
#include "core/text/bpe_merge.h"

#include "core/base/stop.h"
#include "core/text/piece_key.h"

#include <assert.h>

enum { CHUNK = 1 << 12, AHEAD = 16, BYTE_PAIRS = 256 * 256 };
static const int32_t COVERED = INT32_MIN; // inside a token: no id, and no complement of one

struct cell {
    int32_t id;
    uint32_t word;
};

struct pair {
    int64_t count;
    int32_t left, right;
    uint32_t *places; // cells where left begins, in the arena of lists
    uint32_t n_places;
};

struct heap_entry {
    int64_t count;
    uint64_t key; // left and right in one number: smaller is first among equals
};

struct pair_slot {
    uint64_t key; // 0: free; (0,0) is stored as its complement
    uint32_t pair;
};

struct event {
    uint32_t pair, place;
};

struct merger {
    struct cell *cells;
    int64_t *counts; // by word
    size_t n_words, n_cells;
    uint32_t *length; // bytes of a token, by id

    struct pair *pairs;
    size_t n_pairs, pairs_capacity;

    struct pair_slot *slots;
    size_t n_used, n_slots; // n_slots is a power of two

    struct heap_entry *heap;
    size_t n_heap, heap_capacity;

    uint32_t *as_left, *as_right; // 1 + the pair (id,new) or (new,id) of this merge, by id; 0 for none
    struct event *events;
    size_t n_events, events_capacity;

    struct arena lists;
};

static uint64_t key_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

// Room for n more items behind n_now of a growing block.
static bool reserve(void **block, size_t n_now, size_t *capacity, size_t n, size_t item_bytes)
{
    if (n_now + n <= *capacity)
        return true;
    size_t next = *capacity + *capacity / 2 + n + 1024;
    void *p = block_resize(*block, n_now * item_bytes, next * item_bytes);
    if (!p)
        return false;
    *block = p;
    *capacity = next;
    return true;
}

static bool reserve_pairs(struct merger *m, size_t n)
{
    void *block = m->pairs;
    bool ok = reserve(&block, m->n_pairs, &m->pairs_capacity, n, sizeof *m->pairs);
    m->pairs = block;
    return ok;
}

static bool reserve_events(struct merger *m, size_t n)
{
    void *block = m->events;
    bool ok = reserve(&block, m->n_events, &m->events_capacity, n, sizeof *m->events);
    m->events = block;
    return ok;
}

static bool reserve_heap(struct merger *m, size_t n)
{
    void *block = m->heap;
    bool ok = reserve(&block, m->n_heap, &m->heap_capacity, n, sizeof *m->heap);
    m->heap = block;
    return ok;
}

static uint64_t slot_key(uint64_t key)
{
    return key ? key : UINT64_MAX;
}

static void put_slot(struct pair_slot *slots, size_t n_slots, uint64_t key, uint32_t pair)
{
    size_t i = hash_word(key) & (n_slots - 1);
    while (slots[i].key)
        i = (i + 1) & (n_slots - 1);
    slots[i] = (struct pair_slot){key, pair};
}

// Room for n more pairs at a load of two thirds or less.
static bool reserve_slots(struct merger *m, size_t n)
{
    size_t wanted = m->n_slots ? m->n_slots : 1024;
    while ((m->n_used + n) * 3 > wanted * 2)
        wanted *= 2;
    if (wanted == m->n_slots)
        return true;
    struct pair_slot *slots = block_alloc(wanted * sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0, wanted * sizeof *slots);
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].key)
            put_slot(slots, wanted, m->slots[i].key, m->slots[i].pair);
    block_free(m->slots);
    m->slots = slots;
    m->n_slots = wanted;
    return true;
}

// The pair must be there: it has, or had, an occurrence.
static struct pair *find_pair(const struct merger *m, uint64_t key)
{
    key = slot_key(key);
    for (size_t i = hash_word(key) & (m->n_slots - 1);; i = (i + 1) & (m->n_slots - 1)) {
        assert(m->slots[i].key);
        if (m->slots[i].key == key)
            return &m->pairs[m->slots[i].pair];
    }
}

static bool before(const struct heap_entry *x, const struct heap_entry *y)
{
    return x->count != y->count ? x->count > y->count : x->key < y->key;
}

static void heap_down(struct merger *m, size_t i)
{
    struct heap_entry moved = m->heap[i];
    for (size_t first; (first = 4 * i + 1) < m->n_heap;) {
        size_t best = first, end = first + 4 < m->n_heap ? first + 4 : m->n_heap;
        for (size_t child = first + 1; child < end; child++)
            if (before(&m->heap[child], &m->heap[best]))
                best = child;
        if (!before(&m->heap[best], &moved))
            break;
        m->heap[i] = m->heap[best];
        i = best;
    }
    m->heap[i] = moved;
}

static void heap_push(struct merger *m, struct heap_entry entry)
{
    size_t i = m->n_heap++;
    for (; i > 0 && before(&entry, &m->heap[(i - 1) / 4]); i = (i - 1) / 4)
        m->heap[i] = m->heap[(i - 1) / 4];
    m->heap[i] = entry;
}

static void heap_drop_top(struct merger *m)
{
    m->heap[0] = m->heap[--m->n_heap];
    if (m->n_heap > 1)
        heap_down(m, 0);
}

// The most frequent pair of now, taken off the heap, or NULL.
static struct pair *take_best(struct merger *m)
{
    while (m->n_heap) {
        struct pair *p = find_pair(m, m->heap[0].key);
        if (p->count == m->heap[0].count) {
            heap_drop_top(m);
            return p;
        }
        if (p->count > 0) {
            m->heap[0].count = p->count;
            heap_down(m, 0);
        } else {
            heap_drop_top(m);
        }
    }
    return NULL;
}

// The pieces of two bytes and more; the table is gone afterwards.
static struct error *load_words(struct merger *m, struct piece_counts *pieces)
{
    if (pieces->n_bytes >= UINT32_MAX)
        return error_new(ERROR_DATA, NOWHERE, "lower max_chars or doc_cap",
                         "the distinct pieces of the text have %zu bytes, more than 4 GiB", pieces->n_bytes);
    m->counts = block_alloc(pieces->n * sizeof *m->counts);
    m->cells = block_alloc(pieces->n_bytes * sizeof *m->cells);
    if (!m->counts || !m->cells)
        return error_memory();
    const uint8_t *p;
    int64_t count;
    for (size_t i = 0, n; (p = piece_counts_next(pieces, &i, &n, &count));) {
        if (n < 2)
            continue;
        for (size_t j = 0; j < n; j++)
            m->cells[m->n_cells++] = (struct cell){p[j], (uint32_t)m->n_words};
        m->counts[m->n_words++] = count;
    }
    piece_counts_release(pieces);
    return NULL;
}

// Gives the pairs from `first` on, those of this merge, their lists, their slots and their places in the heap.
static struct error *settle_pairs(struct merger *m, size_t first)
{
    size_t n_new = m->n_pairs - first;
    uint32_t *lists = arena_array(&m->lists, m->n_events, sizeof *lists);
    if (!lists || !reserve_slots(m, n_new) || !reserve_heap(m, n_new))
        return error_memory();
    for (size_t i = first; i < m->n_pairs; i++) {
        struct pair *p = &m->pairs[i];
        p->places = lists;
        lists += p->n_places;
        p->n_places = 0;
        if (p->count > 0) {
            uint64_t key = key_of(p->left, p->right);
            put_slot(m->slots, m->n_slots, slot_key(key), (uint32_t)i);
            m->n_used++;
            heap_push(m, (struct heap_entry){p->count, key});
        }
    }
    for (size_t i = 0; i < m->n_events; i++) {
        struct pair *p = &m->pairs[m->events[i].pair];
        p->places[p->n_places++] = m->events[i].place;
    }
    m->n_events = 0;
    return NULL;
}

// `count` more, at `place`, of pair number *slot - 1, which is made where there is none yet. The room was reserved.
static void gain(struct merger *m, uint32_t *slot, int32_t left, int32_t right, int64_t count, uint32_t place)
{
    if (!*slot) {
        m->pairs[m->n_pairs++] = (struct pair){.left = left, .right = right};
        *slot = (uint32_t)m->n_pairs;
    }
    struct pair *p = &m->pairs[*slot - 1];
    p->count += count;
    p->n_places++;
    m->events[m->n_events++] = (struct event){*slot - 1, place};
}

// Room for what one chunk of places can bring: two gains each.
static struct error *reserve_chunk(struct merger *m)
{
    if (stop_requested())
        return error_stopped();
    if (m->n_pairs >= UINT32_MAX - 2 * CHUNK)
        return error_plain(ERROR_DATA, "the text has more than 2^32 different pairs");
    return reserve_pairs(m, 2 * CHUNK) && reserve_events(m, 2 * CHUNK) ? NULL : error_memory();
}

static struct error *count_bytes(struct merger *m)
{
    uint32_t *slots = block_alloc(BYTE_PAIRS * sizeof *slots);
    if (!slots)
        return error_memory();
    memset(slots, 0, BYTE_PAIRS * sizeof *slots);
    struct error *e = NULL;
    for (size_t i = 0; !e && i + 1 < m->n_cells; i++) {
        const struct cell *c = &m->cells[i];
        if (i % CHUNK == 0)
            e = reserve_chunk(m);
        if (!e && c[0].word == c[1].word)
            gain(m, &slots[c[0].id * 256 + c[1].id], c[0].id, c[1].id, m->counts[c[0].word], (uint32_t)i);
    }
    block_free(slots);
    return e ? e : settle_pairs(m, 0);
}

// Replaces (a,b) at cell p, if it still stands there.
static void replace(struct merger *m, size_t p, int32_t a, int32_t b, int32_t made)
{
    struct cell *c = m->cells;
    size_t q = p + m->length[a];
    if (c[p].id != a || q >= m->n_cells || c[q].id != b || c[q].word != c[p].word)
        return;
    uint32_t word = c[p].word;
    int64_t count = m->counts[word];
    size_t after = q + m->length[b];
    if (p > 0 && c[p - 1].word == word) {
        int32_t last = c[p - 1].id, x = last < 0 ? ~last : last;
        if (x == made)
            m->pairs[m->as_right[a] - 1].count -= count;
        else
            find_pair(m, key_of(x, a))->count -= count;
        gain(m, &m->as_left[x], x, made, count, (uint32_t)(p - m->length[x]));
    }
    if (after < m->n_cells && c[after].word == word) {
        int32_t y = c[after].id;
        find_pair(m, key_of(b, y))->count -= count;
        gain(m, &m->as_right[y], made, y, count, (uint32_t)p);
    }
    c[p].id = made;
    c[q].id = COVERED;
    c[after - 1].id = ~made;
}

static struct error *merge_pair(struct merger *m, struct pair *best, int32_t made)
{
    // The pairs move when they grow: nothing of *best is read later.
    int32_t a = best->left, b = best->right;
    const uint32_t *places = best->places;
    uint32_t n_places = best->n_places;
    size_t self = (size_t)(best - m->pairs), first = m->n_pairs;
    m->length[made] = m->length[a] + m->length[b];
    for (uint32_t i = 0; i < n_places; i++) {
        if (i + AHEAD < n_places)
            __builtin_prefetch(&m->cells[places[i + AHEAD]]);
        if (i + AHEAD / 2 < n_places)
            __builtin_prefetch(&m->counts[m->cells[places[i + AHEAD / 2]].word]);
        struct error *e = i % CHUNK == 0 ? reserve_chunk(m) : NULL;
        if (e)
            return e;
        replace(m, places[i], a, b, made);
    }
    m->pairs[self].count = 0;
    for (size_t i = first; i < m->n_pairs; i++) {
        struct pair *p = &m->pairs[i];
        if (p->right == made)
            m->as_left[p->left] = 0;
        else
            m->as_right[p->right] = 0;
    }
    return settle_pairs(m, first);
}

static struct error *merge_all(struct merger *m, int n_merges, bpe_progress *progress, void *context, struct bpe_pair *merges,
                               int *done)
{
    size_t n_ids = (size_t)n_merges + 256;
    m->as_left = block_alloc(n_ids * sizeof *m->as_left);
    m->as_right = block_alloc(n_ids * sizeof *m->as_right);
    m->length = block_alloc(n_ids * sizeof *m->length);
    if (!m->as_left || !m->as_right || !m->length)
        return error_memory();
    for (int i = 0; i < 256; i++)
        m->length[i] = 1;
    memset(m->as_left, 0, n_ids * sizeof *m->as_left);
    memset(m->as_right, 0, n_ids * sizeof *m->as_right);
    int step = n_merges / 100 > 0 ? n_merges / 100 : 1;
    for (*done = 0; *done < n_merges;) {
        struct pair *best = take_best(m);
        if (!best)
            break;
        merges[*done] = (struct bpe_pair){best->left, best->right};
        struct error *e = merge_pair(m, best, 256 + *done);
        if (e)
            return e;
        ++*done;
        if (progress && (*done % step == 0 || *done == n_merges))
            progress(context, *done, n_merges);
    }
    return NULL;
}

struct error *bpe_merge(struct piece_counts *pieces, int n_merges, bpe_progress *progress, void *context, struct bpe_pair *merges,
                        int *done)
{
    struct merger m = {0};
    struct error *e = load_words(&m, pieces);
    if (!e)
        e = count_bytes(&m);
    if (!e)
        e = merge_all(&m, n_merges, progress, context, merges, done);
    block_free(m.cells);
    block_free(m.counts);
    block_free(m.length);
    block_free(m.pairs);
    block_free(m.slots);
    block_free(m.heap);
    block_free(m.as_left);
    block_free(m.as_right);
    block_free(m.events);
    arena_release(&m.lists);
    return e;
}
