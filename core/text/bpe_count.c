// bpe_count.c - batches go from the caller to the counting threads and back, by two stacks under one lock.
#include "core/text/bpe_count.h"

#include "core/base/stop.h"
#include "core/text/bpe_merge.h"
#include "core/text/split.h"

#include <omp.h>
#include <pthread.h>

enum {
    BATCH_BYTES = 1 << 20,
    BATCH_DOCUMENTS = 1 << 12,
    BATCHES = 2,          // a thread
    OWN_PIECES = 1 << 16, // smaller ones are handed over too often: 1 << 13 took twice the time of 1 << 15
    OWN_BYTES = 1 << 20,
    TOGETHER = 32,
    POLL_BYTES = 1 << 22,
    PART_BITS = 6,
};
_Static_assert(BPE_PARTS == 1 << PART_BITS, "a part is chosen by the upper bits of the hash");

struct batch {
    struct bytes text;
    size_t n, end[BATCH_DOCUMENTS]; // where the documents end
    struct batch *next;
};

// What a thread counts in before it goes over to the parts.
struct own {
    struct piece_counts counts;
    int64_t pieces;
};

struct part {
    _Alignas(64) pthread_mutex_t lock;
};

struct bpe_counter {
    int n_threads;
    int64_t memory_bytes;
    struct piece_counts parts[BPE_PARTS];
    struct part locks[BPE_PARTS];
    struct own own; // of the caller's thread
    struct batch *filling;

    // Of all threads, under the lock.
    pthread_mutex_t lock;
    pthread_cond_t some_full;
    struct batch *full, *empty;
    bool ending, giving_up;
    struct error *failed; // the first that a thread met
    int64_t pieces;
    size_t distinct, distinct_bytes;

    pthread_t *threads;
    int n_started;
};

// The counts of a thread over to the parts. Both are in the order of hashes, so each lock is taken about once.
static struct error *hand_over(struct bpe_counter *c, struct own *own)
{
    const uint8_t *p;
    int64_t count;
    int at = -1;
    size_t n_before = 0, bytes_before = 0, distinct = 0, bytes = 0;
    struct error *e = NULL;
    for (size_t i = 0, n; !e && (p = piece_counts_next(&own->counts, &i, &n, &count));) {
        struct piece_key k = piece_key(p, n, n > SHORT_PIECE ? n : SHORT_PIECE);
        uint64_t hash = piece_key_hash(k);
        int part = (int)(hash >> (64 - PART_BITS));
        if (part != at) {
            if (at >= 0) {
                distinct += c->parts[at].n - n_before;
                bytes += c->parts[at].n_bytes - bytes_before;
                pthread_mutex_unlock(&c->locks[at].lock);
            }
            at = part;
            pthread_mutex_lock(&c->locks[at].lock);
            n_before = c->parts[at].n;
            bytes_before = c->parts[at].n_bytes;
        }
        e = piece_counts_add(&c->parts[at], k, hash, p, count);
    }
    if (at >= 0) {
        distinct += c->parts[at].n - n_before;
        bytes += c->parts[at].n_bytes - bytes_before;
        pthread_mutex_unlock(&c->locks[at].lock);
    }
    piece_counts_clear(&own->counts);
    pthread_mutex_lock(&c->lock);
    c->pieces += own->pieces;
    c->distinct += distinct;
    c->distinct_bytes += bytes;
    distinct = c->distinct;
    bytes = c->distinct_bytes;
    pthread_mutex_unlock(&c->lock);
    own->pieces = 0;
    return e ? e : bpe_memory_check(distinct, bytes, c->memory_bytes);
}

struct found {
    const uint8_t *p;
    struct piece_key key;
    uint64_t hash;
};

static struct error *count_found(struct bpe_counter *c, struct own *own, const struct found *found, size_t n)
{
    struct error *e = NULL;
    for (size_t i = 0; i < n && !e; i++)
        e = piece_counts_add(&own->counts, found[i].key, found[i].hash, found[i].p, 1);
    own->pieces += (int64_t)n;
    if (!e && (own->counts.n >= OWN_PIECES || own->counts.longer.n >= OWN_BYTES))
        e = hand_over(c, own);
    return e;
}

// Some pieces at a time: their slots come from memory while the next are being cut off.
static struct error *count_document(struct bpe_counter *c, struct own *own, const uint8_t *text, size_t n)
{
    struct found found[TOGETHER];
    for (size_t at = 0, end, polled = 0; at < n;) {
        size_t n_found = 0;
        for (; n_found < TOGETHER && at < n; at = end) {
            end = split_next(text, n, at);
            if (end - at > UINT32_MAX)
                return error_plain(ERROR_DATA, "a run of %zu bytes without a break is too long to learn from", end - at);
            struct found *f = &found[n_found++];
            f->p = text + at;
            f->key = piece_key(text + at, end - at, n - at);
            f->hash = piece_key_hash(f->key);
            piece_counts_prefetch(&own->counts, f->hash);
        }
        struct error *e = count_found(c, own, found, n_found);
        if (e)
            return e;
        if (at - polled >= POLL_BYTES) {
            polled = at;
            if (stop_requested())
                return error_stopped();
        }
    }
    return NULL;
}

static struct error *count_batch(struct bpe_counter *c, struct own *own, struct batch *b)
{
    struct error *e = NULL;
    for (size_t i = 0, at = 0; !e && i < b->n; at = b->end[i++])
        e = count_document(c, own, b->text.byte + at, b->end[i] - at);
    b->n = b->text.n = 0;
    return e;
}

static void push(struct batch **stack, struct batch *b)
{
    b->next = *stack;
    *stack = b;
}

static struct batch *pop(struct batch **stack)
{
    struct batch *b = *stack;
    if (b)
        *stack = b->next;
    return b;
}

// The next full batch, or NULL when there will be none.
static struct batch *next_full(struct bpe_counter *c)
{
    struct batch *b;
    pthread_mutex_lock(&c->lock);
    while (!(b = pop(&c->full)) && !c->ending)
        pthread_cond_wait(&c->some_full, &c->lock);
    pthread_mutex_unlock(&c->lock);
    return b;
}

// A thread that met an error only takes the batches away.
static void *work(void *self)
{
    struct bpe_counter *c = self;
    struct own own = {0};
    struct error *e = NULL;
    for (struct batch *b; (b = next_full(c));) {
        if (!e)
            e = stop_requested() ? error_stopped() : count_batch(c, &own, b);
        pthread_mutex_lock(&c->lock);
        push(&c->empty, b);
        c->giving_up |= e != NULL;
        pthread_mutex_unlock(&c->lock);
    }
    if (!e)
        e = hand_over(c, &own);
    pthread_mutex_lock(&c->lock);
    c->failed = error_first(c->failed, e);
    pthread_mutex_unlock(&c->lock);
    piece_counts_release(&own.counts);
    return NULL;
}

static struct batch *batch_new(void)
{
    struct batch *b = block_alloc(sizeof *b);
    if (b) {
        b->text = (struct bytes){0};
        b->n = 0;
    }
    return b;
}

static struct error *start_threads(struct bpe_counter *c)
{
    c->threads = block_alloc((size_t)c->n_threads * sizeof *c->threads);
    if (!c->threads)
        return error_memory();
    for (int i = 0; i < BATCHES * (c->n_threads - 1); i++) {
        struct batch *b = batch_new();
        if (!b)
            return error_memory();
        push(&c->empty, b);
    }
    for (; c->n_started < c->n_threads - 1; c->n_started++) {
        int err = pthread_create(&c->threads[c->n_started], NULL, work, c);
        if (err && c->n_started == 0)
            return error_system(ERROR_MACHINE, err, "cannot start a thread");
        if (err)
            break; // fewer will do
    }
    return NULL;
}

struct error *bpe_counter_new(struct bpe_counter **out, int threads, int64_t memory_bytes)
{
    struct bpe_counter *c = block_alloc(sizeof *c);
    if (!c)
        return error_memory();
    *c = (struct bpe_counter){.n_threads = threads > 0 ? threads : omp_get_max_threads(), .memory_bytes = memory_bytes};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->some_full, NULL);
    for (int i = 0; i < BPE_PARTS; i++) {
        c->parts[i].skip = PART_BITS;
        pthread_mutex_init(&c->locks[i].lock, NULL);
    }
    *out = c;
    return NULL;
}

// Threads finish what is full and go.
static struct error *join(struct bpe_counter *c)
{
    pthread_mutex_lock(&c->lock);
    c->ending = true;
    pthread_cond_broadcast(&c->some_full);
    pthread_mutex_unlock(&c->lock);
    while (c->n_started > 0)
        pthread_join(c->threads[--c->n_started], NULL);
    struct error *e = c->failed;
    c->failed = NULL;
    return e;
}

// The batch that is being filled goes to the threads, or is counted here where they have enough.
static struct error *pass_on(struct bpe_counter *c)
{
    struct error *e = NULL;
    if (!c->threads && (e = start_threads(c)))
        return e;
    pthread_mutex_lock(&c->lock);
    struct batch *next = pop(&c->empty);
    if (next) {
        push(&c->full, c->filling);
        c->filling = next;
        pthread_cond_signal(&c->some_full);
    }
    bool giving_up = c->giving_up;
    pthread_mutex_unlock(&c->lock);
    if (giving_up)
        return join(c);
    return next ? NULL : count_batch(c, &c->own, c->filling);
}

struct error *bpe_counter_add(struct bpe_counter *c, const uint8_t *text, size_t n)
{
    if (c->n_threads == 1)
        return count_document(c, &c->own, text, n);
    if (!c->filling && !(c->filling = batch_new()))
        return error_memory();
    struct error *e = bytes_append(&c->filling->text, text, n);
    if (e)
        return e;
    c->filling->end[c->filling->n++] = c->filling->text.n;
    return c->filling->n == BATCH_DOCUMENTS || c->filling->text.n >= BATCH_BYTES ? pass_on(c) : NULL;
}

struct error *bpe_counter_reserve(struct bpe_counter *c, size_t n)
{
    struct error *e = NULL;
    for (int i = 0; i < BPE_PARTS && !e; i++)
        e = piece_counts_reserve(&c->parts[i], n / BPE_PARTS);
    return e;
}

struct error *bpe_counter_put(struct bpe_counter *c, const uint8_t *piece, size_t n, size_t readable, int64_t count)
{
    struct piece_key k = piece_key(piece, n, readable);
    uint64_t hash = piece_key_hash(k);
    return piece_counts_add(&c->parts[hash >> (64 - PART_BITS)], k, hash, piece, count);
}

struct error *bpe_counter_end(struct bpe_counter *c)
{
    struct error *e = c->filling ? count_batch(c, &c->own, c->filling) : NULL;
    if (!e)
        e = hand_over(c, &c->own);
    return error_first(e, join(c));
}

struct piece_counts *bpe_counter_parts(struct bpe_counter *c)
{
    return c->parts;
}

int64_t bpe_counter_pieces(const struct bpe_counter *c)
{
    return c->pieces;
}

static void free_batches(struct batch *b)
{
    for (struct batch *next; b; b = next) {
        next = b->next;
        bytes_release(&b->text);
        block_free(b);
    }
}

void bpe_counter_free(struct bpe_counter *c)
{
    if (!c)
        return;
    // Where counting was given up, threads have batches still.
    if (c->n_started > 0) {
        pthread_mutex_lock(&c->lock);
        free_batches(c->full);
        c->full = NULL;
        pthread_mutex_unlock(&c->lock);
        error_free(join(c));
    }
    if (c->filling)
        c->filling->next = NULL;
    free_batches(c->filling);
    free_batches(c->full);
    free_batches(c->empty);
    piece_counts_release(&c->own.counts);
    for (int i = 0; i < BPE_PARTS; i++) {
        piece_counts_release(&c->parts[i]);
        pthread_mutex_destroy(&c->locks[i].lock);
    }
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->some_full);
    block_free(c->threads);
    block_free(c);
}
