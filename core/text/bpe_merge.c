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
//  2. a pair gains only in the merge that makes its younger id: gains all hold n. A merge makes new pairs and takes from old ones,
//     and what an old pair loses is what a new one gains: (x,a) loses what (x,n) gets, (b,y) what (n,y) gets. So losses are taken at
//     the end of a merge, once a new pair, however many places it has; (n,n) alone takes from another new pair, (n,a)
//  3. the pairs that a merge makes are found by two arrays over ids (x -> (x,n), y -> (n,y)); the hash table holds those of
//     earlier merges, which only lose
//  4. the places of a pair ascend: a merge that makes it goes upwards. So (a,a) in aaa is replaced from left to right
//  5. the heap holds every pair that counts `hot` or more. An entry on top that is out of date goes back with the count of now, or out
//     when that is below `hot`; the top that is up to date is the maximum. When none is left, `hot` sinks and the pairs above it are
//     gathered anew: nearly all pairs never come that far, and cost the heap nothing
//
// The lists of one merge are made together at its end, each in one piece: the events (pair, place) wait in a buffer until the
// lengths are known. All lists together have at most three entries a byte of distinct pieces: the pairs at the start, and two for
// each replacement, which takes away one token.
#include "core/text/bpe_merge.h"

#include "core/base/stop.h"
#include "core/text/piece_key.h"

#include <assert.h>

enum { CHUNK = 1 << 12, AHEAD = 16, TOGETHER = 32, BYTE_PAIRS = 256 * 256, TELL_PLACES = 1 << 18 };
static const int32_t COVERED = INT32_MIN; // inside a token: no id, and no complement of one

struct cell {
    int32_t id;
    uint32_t word;
};

struct pair {
    int32_t left, right;
    uint32_t *places; // cells where left begins, in the arena of lists
    uint32_t n_places;
};

struct heap_entry {
    int64_t count;
    uint64_t key; // left and right in one number: smaller is first among equals
    uint32_t pair;
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
    int64_t *words; // their counts
    size_t n_words, n_cells;
    uint32_t *length; // bytes of a token, by id

    struct pair *pairs;
    int64_t *counts; // of the pairs
    size_t n_pairs, pairs_capacity, counts_capacity;

    struct pair_slot *slots;
    size_t n_used, n_slots; // n_slots is a power of two

    struct heap_entry *heap;
    size_t n_heap, heap_capacity;
    int64_t hot;

    uint32_t *as_left, *as_right; // 1 + the pair (id,new) or (new,id) of this merge, by id; 0 for none
    struct event *events;
    size_t n_events, events_capacity;

    struct arena lists;
    int64_t n_replaced;
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
    void *pairs = m->pairs, *counts = m->counts;
    bool ok = reserve(&pairs, m->n_pairs, &m->pairs_capacity, n, sizeof *m->pairs) &&
              reserve(&counts, m->n_pairs, &m->counts_capacity, n, sizeof *m->counts);
    m->pairs = pairs;
    m->counts = counts;
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
static uint32_t find_pair(const struct merger *m, uint64_t key)
{
    for (size_t i = hash_word(key) & (m->n_slots - 1);; i = (i + 1) & (m->n_slots - 1)) {
        assert(m->slots[i].key);
        if (m->slots[i].key == key)
            return m->slots[i].pair;
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

// Every pair from `first` on that counts enough.
static struct error *gather(struct merger *m, size_t first)
{
    for (size_t i = first; i < m->n_pairs; i++) {
        if (m->counts[i] < m->hot)
            continue;
        if (!reserve_heap(m, 1))
            return error_memory();
        heap_push(m, (struct heap_entry){m->counts[i], key_of(m->pairs[i].left, m->pairs[i].right), (uint32_t)i});
    }
    return NULL;
}

// The most frequent pair of now, taken off the heap; false where no two tokens are neighbours any more.
static struct error *take_best(struct merger *m, size_t *best, bool *found)
{
    for (;;) {
        while (m->n_heap) {
            struct heap_entry *top = &m->heap[0];
            int64_t count = m->counts[top->pair];
            *best = top->pair;
            *found = count == top->count;
            if (count < m->hot || *found) {
                heap_drop_top(m);
            } else {
                top->count = count;
                heap_down(m, 0);
            }
            if (*found)
                return NULL;
        }
        int64_t most = 0;
        for (size_t i = 0; i < m->n_pairs; i++)
            most = m->counts[i] > most ? m->counts[i] : most;
        if (!most)
            return NULL;
        m->hot = most / 2 > 1 ? most / 2 : 1;
        struct error *e = gather(m, 0);
        if (e)
            return e;
    }
}

// The pieces of two bytes and more; the tables are gone afterwards.
static struct error *load_words(struct merger *m, struct piece_counts *parts, int n_parts)
{
    size_t n_words = 0, n_bytes = 0;
    for (int i = 0; i < n_parts; i++) {
        n_words += parts[i].n;
        n_bytes += parts[i].n_bytes;
    }
    if (n_bytes >= UINT32_MAX)
        return error_new(ERROR_DATA, NOWHERE, "lower max_chars or doc_cap",
                         "the distinct pieces of the text have %zu bytes, more than 4 GiB", n_bytes);
    m->words = block_alloc(n_words * sizeof *m->words);
    m->cells = block_alloc(n_bytes * sizeof *m->cells);
    if (!m->words || !m->cells)
        return error_memory();
    for (int i = 0; i < n_parts; i++) {
        const uint8_t *p;
        int64_t count;
        for (size_t at = 0, n; (p = piece_counts_next(&parts[i], &at, &n, &count));) {
            if (n < 2)
                continue;
            for (size_t j = 0; j < n; j++)
                m->cells[m->n_cells++] = (struct cell){p[j], (uint32_t)m->n_words};
            m->words[m->n_words++] = count;
        }
        piece_counts_release(&parts[i]);
    }
    return NULL;
}

// The pair that loses what pair i gains in the merge of a and b.
static uint64_t loser_of(const struct pair *p, int32_t a, int32_t b, int32_t made)
{
    return slot_key(p->right == made ? key_of(p->left, a) : key_of(b, p->right));
}

// Takes from the old pairs what the new ones, from `first` on, have gained; gives those their slots. Memory is asked for some pairs
// ahead, since every one of them stands somewhere else.
static void settle_counts(struct merger *m, size_t first, int32_t a, int32_t b, int32_t made)
{
    size_t mask = m->n_slots - 1, end;
    int64_t twice = 0;
    for (size_t i = first; i < m->n_pairs; i = end) {
        uint64_t loser[TOGETHER];
        uint32_t old[TOGETHER];
        end = i + TOGETHER < m->n_pairs ? i + TOGETHER : m->n_pairs;
        for (size_t j = i; j < end; j++) {
            loser[j - i] = loser_of(&m->pairs[j], a, b, made);
            __builtin_prefetch(&m->slots[hash_word(loser[j - i]) & mask]);
            __builtin_prefetch(&m->slots[hash_word(key_of(m->pairs[j].left, m->pairs[j].right)) & mask], 1);
        }
        for (size_t j = i; j < end; j++) {
            if (m->pairs[j].left == made && m->pairs[j].right == made)
                continue;
            old[j - i] = find_pair(m, loser[j - i]);
            __builtin_prefetch(&m->counts[old[j - i]], 1);
        }
        for (size_t j = i; j < end; j++) {
            put_slot(m->slots, m->n_slots, key_of(m->pairs[j].left, m->pairs[j].right), (uint32_t)j);
            if (m->pairs[j].left == made && m->pairs[j].right == made)
                twice = m->counts[j];
            else
                m->counts[old[j - i]] -= m->counts[j];
        }
    }
    m->n_used += m->n_pairs - first;
    if (twice)
        m->counts[m->as_right[a] - 1] -= twice;
}

// Gives the pairs from `first` on their lists, with room for all places.
static struct error *settle_lists(struct merger *m, size_t first, size_t n_places)
{
    uint32_t *lists = arena_array(&m->lists, n_places, sizeof *lists);
    if (!lists)
        return error_memory();
    for (size_t i = first; i < m->n_pairs; i++) {
        m->pairs[i].places = lists;
        lists += m->pairs[i].n_places;
        m->pairs[i].n_places = 0;
    }
    return NULL;
}

// Ends a merge: counts, slots, lists and heap are as they should be again.
static struct error *settle(struct merger *m, size_t first, int32_t a, int32_t b, int32_t made)
{
    if (!reserve_slots(m, m->n_pairs - first))
        return error_memory();
    settle_counts(m, first, a, b, made);
    for (size_t i = first; i < m->n_pairs; i++) {
        if (m->pairs[i].right == made)
            m->as_left[m->pairs[i].left] = 0;
        else
            m->as_right[m->pairs[i].right] = 0;
    }
    struct error *e = settle_lists(m, first, m->n_events);
    if (e)
        return e;
    for (size_t i = 0; i < m->n_events; i++) {
        struct pair *p = &m->pairs[m->events[i].pair];
        p->places[p->n_places++] = m->events[i].place;
    }
    m->n_events = 0;
    return gather(m, first);
}

// `count` more of pair number *slot - 1, which is made where there is none yet. The room was reserved.
static void gain(struct merger *m, uint32_t *slot, int32_t left, int32_t right, int64_t count)
{
    if (!*slot) {
        m->pairs[m->n_pairs] = (struct pair){.left = left, .right = right};
        m->counts[m->n_pairs++] = 0;
        *slot = (uint32_t)m->n_pairs;
    }
    m->counts[*slot - 1] += count;
    m->pairs[*slot - 1].n_places++;
}

static void gain_at(struct merger *m, uint32_t *slot, int32_t left, int32_t right, int64_t count, size_t place)
{
    gain(m, slot, left, right, count);
    m->events[m->n_events++] = (struct event){*slot - 1, (uint32_t)place};
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

// The pairs of bytes, in two walks: how many there are of each, then where.
static struct error *count_bytes(struct merger *m, uint32_t *slots)
{
    if (!reserve_pairs(m, BYTE_PAIRS))
        return error_memory();
    size_t n = 0;
    for (size_t i = 0; i + 1 < m->n_cells; i++) {
        const struct cell *c = &m->cells[i];
        if (c[0].word == c[1].word) {
            gain(m, &slots[c[0].id * 256 + c[1].id], c[0].id, c[1].id, m->words[c[0].word]);
            n++;
        }
        if (i % (CHUNK * CHUNK) == 0 && stop_requested())
            return error_stopped();
    }
    struct error *e = settle_lists(m, 0, n);
    if (e)
        return e;
    for (size_t i = 0; i + 1 < m->n_cells; i++) {
        const struct cell *c = &m->cells[i];
        if (c[0].word == c[1].word) {
            struct pair *p = &m->pairs[slots[c[0].id * 256 + c[1].id] - 1];
            p->places[p->n_places++] = (uint32_t)i;
        }
    }
    if (!reserve_slots(m, m->n_pairs))
        return error_memory();
    for (size_t i = 0; i < m->n_pairs; i++)
        put_slot(m->slots, m->n_slots, slot_key(key_of(m->pairs[i].left, m->pairs[i].right)), (uint32_t)i);
    m->n_used = m->n_pairs;
    return NULL;
}

static struct error *count_pairs(struct merger *m)
{
    uint32_t *slots = block_alloc(BYTE_PAIRS * sizeof *slots);
    if (!slots)
        return error_memory();
    memset(slots, 0, BYTE_PAIRS * sizeof *slots);
    struct error *e = count_bytes(m, slots);
    block_free(slots);
    m->hot = INT64_MAX;
    return e;
}

struct merge {
    int32_t a, b, made;
    uint32_t n_a, n_b; // bytes
};

// Replaces (a,b) at cell p, if it still stands there.
static void replace(struct merger *m, const struct merge *g, size_t p)
{
    struct cell *c = m->cells;
    size_t q = p + g->n_a;
    if (c[p].id != g->a || q >= m->n_cells || c[q].id != g->b || c[q].word != c[p].word)
        return;
    uint32_t word = c[p].word;
    int64_t count = m->words[word];
    size_t after = q + g->n_b;
    if (p > 0 && c[p - 1].word == word) {
        int32_t last = c[p - 1].id, x = last < 0 ? ~last : last;
        gain_at(m, &m->as_left[x], x, g->made, count, p - m->length[x]);
    }
    if (after < m->n_cells && c[after].word == word) {
        int32_t y = c[after].id;
        gain_at(m, &m->as_right[y], g->made, y, count, p);
    }
    c[p].id = g->made;
    c[q].id = COVERED;
    c[after - 1].id = ~g->made;
    m->n_replaced++;
}

static struct error *merge_pair(struct merger *m, size_t best, int32_t made)
{
    // The pairs move when they grow, and their lists do not.
    const struct pair chosen = m->pairs[best];
    const struct merge g = {chosen.left, chosen.right, made, m->length[chosen.left], m->length[chosen.right]};
    size_t first = m->n_pairs;
    m->length[made] = g.n_a + g.n_b;
    for (uint32_t i = 0; i < chosen.n_places; i++) {
        if (i + AHEAD < chosen.n_places)
            __builtin_prefetch(&m->cells[chosen.places[i + AHEAD]], 1);
        if (i + AHEAD / 2 < chosen.n_places)
            __builtin_prefetch(&m->words[m->cells[chosen.places[i + AHEAD / 2]].word]);
        struct error *e = i % CHUNK == 0 ? reserve_chunk(m) : NULL;
        if (e)
            return e;
        replace(m, &g, chosen.places[i]);
    }
    struct error *e = settle(m, first, g.a, g.b, made);
    m->counts[best] = 0;
    return e;
}

static struct error *merge_all(struct merger *m, int n_merges, bpe_progress *progress, void *context, struct bpe_pair *merges,
                               int *done)
{
    size_t n_ids = (size_t)n_merges + 256, best, n_places = 0;
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
        bool found = false;
        struct error *e = take_best(m, &best, &found);
        if (e || !found)
            return e;
        merges[*done] = (struct bpe_pair){m->pairs[best].left, m->pairs[best].right};
        n_places += m->pairs[best].n_places;
        if ((e = merge_pair(m, best, 256 + *done)))
            return e;
        ++*done;
        if (progress && (*done % step == 0 || *done == n_merges || n_places >= TELL_PLACES)) {
            progress(context, *done, n_merges);
            n_places = 0;
        }
    }
    return NULL;
}

struct error *bpe_memory_check(size_t n_pieces, size_t n_bytes, int64_t memory_bytes)
{
    double needed = (double)BPE_BYTES_A_BYTE * (double)n_bytes;
    if (needed <= (double)memory_bytes)
        return NULL;
    return error_new(ERROR_MACHINE, NOWHERE, "lower chars or doc_cap, or take a machine with more memory",
                     "the text has too many different pieces: to learn from the first %zu takes %.1f GB of memory, and there are "
                     "%.1f GB",
                     n_pieces, needed / 1e9, (double)memory_bytes / 1e9);
}

struct error *bpe_merge(struct piece_counts *parts, int n_parts, int n_merges, bpe_progress *progress, void *context,
                        struct bpe_pair *merges, int *done, int64_t *replaced)
{
    struct merger m = {0};
    struct error *e = load_words(&m, parts, n_parts);
    if (!e)
        e = count_pairs(&m);
    if (!e)
        e = merge_all(&m, n_merges, progress, context, merges, done);
    *replaced = m.n_replaced;
    block_free(m.cells);
    block_free(m.words);
    block_free(m.length);
    block_free(m.pairs);
    block_free(m.counts);
    block_free(m.slots);
    block_free(m.heap);
    block_free(m.as_left);
    block_free(m.as_right);
    block_free(m.events);
    arena_release(&m.lists);
    return e;
}
