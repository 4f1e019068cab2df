// tokenize.c - batches of text go through a ring: read, encoded part by part, appended in order. Every thread does whatever is due next, so
// that none waits for another as long as there is something to do.
//
// A batch is an array of parts, each a document or, of a long one, a stretch of it that is cut where a piece ends whatever stands
// around (split.h). So neither one long document nor the reader keeps the other threads waiting, and the ids are the same however
// many there are: a part's ids depend on the part alone. A world's documents are not read: who encodes one writes it first. Batches are
// small, so that ids are still in the cache when they are used next; a thread claims several parts, whose ids lie in one block. Text that
// stays where it was read is not copied: a batch keeps the page that its parts lie in.
#include "core/data/tokenize.h"

#include <omp.h>
#include <pthread.h>

#include "core/base/stop.h"
#include "core/text/split.h"

enum {
    LEAST_BATCHES = 16,
    BATCH_PARTS = 1024,
    BATCH_BYTES = 1 << 17,
    PART_BYTES = 1 << 16,
    CLAIM_BYTES = 1 << 14,
    CLAIM_DOCUMENTS = 16
};

struct claim { // parts that a thread has taken together
    int first, end;
    struct ids ids; // of one part after the other
};

struct part {
    const uint8_t *text; // where it stays; NULL: at `copied` of the batch's own bytes
    size_t copied, n;
    bool begins; // a document; else goes on with that of the part before
    size_t n_ids;
};

struct batch {
    struct part parts[BATCH_PARTS];
    struct bytes copies;
    struct page_block *kept; // where texts lie that stay; or NULL
    size_t n_bytes;          // of all parts
    struct claim claims[BATCH_PARTS];
    int n, n_claims;                   // n 0: there are no more
    int claimed, done;                 // parts that are given to a thread; that are encoded
    const struct document_part *world; // parts are its documents from `first` on; NULL: parts of the text
    int64_t first;
};

struct reader {
    const struct document_part *world; // NULL: documents are read
    int64_t next;                      // of the world
    struct documents *documents;
    const uint8_t *text; // of the document that is being read, or NULL
    size_t n, at;
};

// The next n bytes of the document, as the batch's next part. *full: they lie in another page than what the batch keeps, and go into the
// next one.
static struct error *add_part(struct batch *b, struct reader *r, size_t n, bool *full)
{
    struct part *part = &b->parts[b->n];
    const uint8_t *text = r->text + r->at;
    struct page_block *block;
    struct error *e = NULL;
    bool stays = documents_stays(r->documents, (const char *)text, &block);
    *full = stays && block && b->kept && b->kept != block;
    if (*full)
        return NULL;
    *part = (struct part){.n = n, .begins = r->at == 0};
    if (stays) {
        part->text = text;
        if (block && !b->kept)
            page_block_keep(b->kept = block);
    } else {
        part->copied = b->copies.n;
        e = bytes_append(&b->copies, text, n);
    }
    b->n++;
    b->n_bytes += n;
    r->at += n;
    if (r->at == r->n)
        r->text = NULL;
    return e;
}

static struct error *fill(struct batch *b, struct reader *r)
{
    b->n = b->n_claims = b->claimed = b->done = 0;
    b->copies.n = b->n_bytes = 0;
    if ((b->world = r->world)) {
        int64_t left = r->world->n - r->next;
        b->first = r->world->first + r->next;
        b->n = (int)(left < BATCH_PARTS ? left : BATCH_PARTS);
        r->next += b->n;
        return NULL;
    }
    bool full = false;
    while (!full && b->n < BATCH_PARTS && b->n_bytes < BATCH_BYTES) {
        if (!r->text) {
            const char *text;
            struct error *e = documents_next(r->documents, &text, &r->n);
            if (e || !text)
                return e;
            r->text = (const uint8_t *)text;
            r->at = 0;
        }
        size_t end = r->n - r->at > PART_BYTES ? split_border(r->text, r->n, r->at + PART_BYTES) : r->n;
        struct error *e = add_part(b, r, end - r->at, &full);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *encode(struct batch *b, int i, struct encoder *enc, int32_t bos, struct ids *ids)
{
    struct part *part = &b->parts[i];
    char *written = NULL;
    const uint8_t *text;
    size_t n = 0, n_before = ids->n;
    struct error *e = NULL;
    if (b->world) {
        e = world_write(b->world->world, b->world->seed, b->first + i, b->world->held_out, &written, &n);
        text = (const uint8_t *)written;
        part->begins = !e && n > 0; // an empty document is none
    } else {
        text = part->text ? part->text : b->copies.byte + part->copied;
        n = part->n;
    }
    if (!e && part->begins)
        e = ids_push(ids, bos);
    if (!e && n > 0)
        e = encoder_encode(enc, text, n, ids);
    part->n_ids = ids->n - n_before;
    block_free(written);
    return e;
}

static struct error *append(struct token_writer *w, const struct batch *b, int64_t *documents)
{
    struct error *e = NULL;
    for (int k = 0; k < b->n_claims; k++) {
        const struct claim *claim = &b->claims[k];
        const int32_t *ids = claim->ids.id;
        for (int i = claim->first; !e && i < claim->end; ids += b->parts[i++].n_ids) {
            const struct part *part = &b->parts[i];
            int64_t n = (int64_t)part->n_ids;
            e = part->begins ? token_writer_add(w, ids, n) : token_writer_extend(w, ids, n);
            *documents += part->begins;
        }
    }
    return e;
}

struct tokenize {
    const struct tokenizer *tokenizer;
    int threads;
    struct encoder *encoders; // [threads]
    struct batch *batches;    // [n_batches]
    int n_batches;
    struct page_blocks pages;
    struct arena arena;
};

struct line {
    struct reader reader;
    struct batch *batches; // [n_batches]: batch k lies at k % n_batches
    int n_batches;
    struct token_writer *writer;
    int64_t n_documents;
    void (*show)(void *self, int64_t documents);
    void *self;
    int32_t bos;

    pthread_mutex_t lock; // of what follows, and of the batches' counts
    pthread_cond_t changed;
    int64_t n_read, n_claimed, n_written, n_dropped; // batches, in order; dropped: keep no page any more
    bool is_reading, is_writing, is_end;
    struct error *error; // the first
};

static struct batch *batch_at(const struct line *l, int64_t k)
{
    return &l->batches[k % l->n_batches];
}

// Each of these is called with the lock, does its work without it, and comes back with it.

static struct error *read_batch(struct line *l)
{
    struct batch *b = batch_at(l, l->n_read);
    l->is_reading = true;
    for (; l->n_dropped < l->n_written; l->n_dropped++) {
        struct batch *done = batch_at(l, l->n_dropped);
        if (done->kept)
            page_block_drop(done->kept);
        done->kept = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    struct error *e = fill(b, &l->reader);
    pthread_mutex_lock(&l->lock);
    l->is_reading = false;
    l->is_end = !e && b->n == 0;
    l->n_read += !e && b->n > 0;
    return e;
}

static struct error *encode_some(struct line *l, struct encoder *enc)
{
    struct batch *b = batch_at(l, l->n_claimed);
    struct claim *claim = &b->claims[b->n_claims++];
    int first = b->claimed, end = first;
    size_t n_bytes = 0;
    do
        n_bytes += b->world ? CLAIM_BYTES / CLAIM_DOCUMENTS : b->parts[end].n;
    while (++end < b->n && n_bytes < CLAIM_BYTES);
    claim->first = first;
    claim->end = b->claimed = end;
    l->n_claimed += end == b->n;
    pthread_mutex_unlock(&l->lock);
    struct error *e = NULL;
    struct ids ids = claim->ids; // counted here: the claim beside it, in the same line of the cache, is another thread's
    ids.n = 0;
    for (int i = first; i < end && !e; i++)
        e = encode(b, i, enc, l->bos, &ids);
    claim->ids = ids;
    pthread_mutex_lock(&l->lock);
    b->done += end - first;
    return e;
}

static struct error *write_batch(struct line *l)
{
    l->is_writing = true;
    pthread_mutex_unlock(&l->lock);
    struct error *e = stop_requested() ? error_stopped() : append(l->writer, batch_at(l, l->n_written), &l->n_documents);
    if (!e && l->show)
        l->show(l->self, l->n_documents);
    pthread_mutex_lock(&l->lock);
    l->is_writing = false;
    l->n_written++;
    return e;
}

static bool is_whole(const struct batch *b)
{
    return b->done == b->n;
}

// Each thread makes its own encoder, while another reads the first texts: that takes as long as a megabyte of text.
static struct error *make_encoder(struct line *l, struct encoder *enc, const struct tokenizer *tokenizer)
{
    pthread_mutex_unlock(&l->lock);
    struct error *e = encoder_init(enc, tokenizer);
    pthread_mutex_lock(&l->lock);
    return e;
}

// What is furthest along goes first, but that there is always text to encode next.
static void work(struct line *l, struct encoder *enc, const struct tokenizer *tokenizer)
{
    pthread_mutex_lock(&l->lock);
    while (!l->error && !(l->is_end && l->n_written == l->n_read)) {
        bool can_read = !l->is_reading && !l->is_end && l->n_read - l->n_written < l->n_batches, told = true;
        struct error *e = NULL;
        if (!l->is_writing && l->n_written < l->n_claimed && is_whole(batch_at(l, l->n_written)))
            e = write_batch(l);
        else if (can_read && l->n_read - l->n_claimed < l->n_batches / 2)
            e = read_batch(l);
        else if (!enc->cache)
            e = make_encoder(l, enc, tokenizer);
        else if (l->n_claimed < l->n_read)
            e = encode_some(l, enc), told = e || is_whole(batch_at(l, l->n_written));
        else
            pthread_cond_wait(&l->changed, &l->lock), told = false;
        if (e)
            l->error = error_first(l->error, e);
        if (told)
            pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
}

struct error *tokenize_open(struct tokenize **out, const struct tokenizer *tokenizer, int threads)
{
    struct tokenize *t = block_alloc(sizeof *t);
    if (!t)
        return error_memory();
    *t = (struct tokenize){.tokenizer = tokenizer, .threads = threads > 0 ? threads : omp_get_max_threads()};
    t->encoders = arena_array(&t->arena, (size_t)t->threads, sizeof *t->encoders);
    t->n_batches = LEAST_BATCHES + t->threads;
    t->batches = arena_array(&t->arena, (size_t)t->n_batches, sizeof *t->batches);
    struct error *e = t->encoders && t->batches ? NULL : error_memory();
    if (e)
        tokenize_close(t);
    else
        *out = t;
    return e;
}

static void batch_release(struct batch *b)
{
    bytes_release(&b->copies);
    for (int i = 0; i < BATCH_PARTS; i++)
        ids_release(&b->claims[i].ids);
}

void tokenize_close(struct tokenize *t)
{
    if (!t)
        return;
    for (int i = 0; t->encoders && i < t->threads; i++)
        encoder_release(&t->encoders[i]);
    for (int i = 0; t->batches && i < t->n_batches; i++)
        batch_release(&t->batches[i]);
    page_blocks_release(&t->pages);
    arena_release(&t->arena);
    block_free(t);
}

struct error *tokenize_documents(struct tokenize *t, const struct document_part *part,
                                 void (*show)(void *self, int64_t documents), void *self, struct token_writer *w)
{
    struct line l = {.reader = {.world = part->form == DOCUMENT_WORLD ? part : NULL},
                     .batches = t->batches,
                     .n_batches = t->n_batches,
                     .writer = w,
                     .show = show,
                     .self = self,
                     .bos = tokenizer_special(t->tokenizer, "<|bos|>"),
                     .lock = PTHREAD_MUTEX_INITIALIZER,
                     .changed = PTHREAD_COND_INITIALIZER};
    struct error *e = l.reader.world ? NULL : documents_open(&l.reader.documents, part);
    page_blocks_drop_all(&t->pages); // of a part before that was an error
    for (int i = 0; i < t->n_batches; i++)
        t->batches[i].kept = NULL;
    if (!e && !l.reader.world)
        documents_use(l.reader.documents, &t->pages);
    if (!e) {
#pragma omp parallel num_threads(t->threads)
        work(&l, &t->encoders[omp_get_thread_num()], t->tokenizer);
        e = l.error;
    }
    documents_close(l.reader.documents);
    return e;
}
