// tokenize.c - one batch of text is encoded side by side while the next one is read; ids are appended in order.
//
// A batch is an array of parts, each a document or, of a long one, a stretch of it that is cut where a piece ends whatever stands
// around (split.h). So neither one long document nor the reader keeps the other threads waiting, and the ids are the same however
// many there are: a part's ids depend on the part alone. A world's documents are not read: who encodes one writes it first.
#include "core/data/tokenize.h"

#include <omp.h>

#include "core/base/stop.h"
#include "core/text/split.h"

enum { BATCH_PARTS = 1024, BATCH_BYTES = 4 << 20, PART_BYTES = 1 << 16 };

struct batch {
    struct bytes text;
    size_t start[BATCH_PARTS + 1];
    bool begins[BATCH_PARTS]; // a document; else goes on with that of the part before
    struct ids ids[BATCH_PARTS];
    int n;                             // 0: there are no more
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

static struct error *fill(struct batch *b, struct reader *r)
{
    b->n = 0;
    b->text.n = 0;
    if ((b->world = r->world)) {
        int64_t left = r->world->n - r->next;
        b->first = r->world->first + r->next;
        b->n = (int)(left < BATCH_PARTS ? left : BATCH_PARTS);
        r->next += b->n;
        return NULL;
    }
    while (b->n < BATCH_PARTS && b->text.n < BATCH_BYTES) {
        if (!r->text) {
            const char *text;
            struct error *e = documents_next(r->documents, &text, &r->n);
            if (e || !text)
                return e;
            r->text = (const uint8_t *)text;
            r->at = 0;
        }
        size_t end = r->n - r->at > PART_BYTES ? split_border(r->text, r->n, r->at + PART_BYTES) : r->n;
        b->begins[b->n] = r->at == 0;
        b->start[b->n++] = b->text.n;
        struct error *e = bytes_append(&b->text, r->text + r->at, end - r->at);
        if (e)
            return e;
        b->start[b->n] = b->text.n;
        r->at = end;
        if (end == r->n)
            r->text = NULL;
    }
    return NULL;
}

static struct error *encode(struct batch *b, int i, struct encoder *enc, int32_t bos)
{
    char *written = NULL;
    const uint8_t *text;
    size_t n = 0;
    struct error *e = NULL;
    if (b->world) {
        e = world_write(b->world->world, b->world->seed, b->first + i, b->world->held_out, &written, &n);
        text = (const uint8_t *)written;
        b->begins[i] = !e && n > 0; // an empty document is none
    } else {
        text = b->text.byte + b->start[i];
        n = b->start[i + 1] - b->start[i];
    }
    b->ids[i].n = 0;
    if (!e && b->begins[i])
        e = ids_push(&b->ids[i], bos);
    if (!e && n > 0)
        e = encoder_encode(enc, text, n, &b->ids[i]);
    block_free(written);
    return e;
}

// Encodes the parts of one batch and reads the next.
static struct error *encode_and_read(struct batch *now, struct batch *next, struct reader *r, struct encoder *encoders,
                                     int threads)
{
    int32_t bos = tokenizer_special(encoders->tokenizer, "<|bos|>");
    struct error *first = NULL;
#pragma omp parallel for schedule(dynamic, 2) num_threads(threads)
    for (int i = -1; i < now->n; i++) {
        struct error *e = i < 0 ? fill(next, r) : encode(now, i, &encoders[omp_get_thread_num()], bos);
        if (e) {
#pragma omp critical
            first = error_first(first, e);
        }
    }
    return first;
}

static struct error *append(struct token_writer *w, const struct batch *b, int64_t *documents)
{
    struct error *e = NULL;
    for (int i = 0; !e && i < b->n; i++) {
        const struct ids *ids = &b->ids[i];
        e = b->begins[i] ? token_writer_add(w, ids->id, (int64_t)ids->n) : token_writer_extend(w, ids->id, (int64_t)ids->n);
        *documents += b->begins[i];
    }
    return e;
}

static void batch_release(struct batch *b)
{
    bytes_release(&b->text);
    for (int i = 0; i < BATCH_PARTS; i++)
        ids_release(&b->ids[i]);
}

struct error *tokenize_documents(const struct document_part *part, const struct tokenizer *t, int threads,
                                 void (*show)(void *self, int64_t documents), void *self, struct token_writer *w)
{
    struct arena arena = {0};
    struct reader reader = {.world = part->form == DOCUMENT_WORLD ? part : NULL};
    if (threads <= 0)
        threads = omp_get_max_threads();
    struct batch *batches = arena_array(&arena, 2, sizeof *batches);
    struct encoder *encoders = arena_array(&arena, (size_t)threads, sizeof *encoders);
    struct error *e = !batches || !encoders ? error_memory() : reader.world ? NULL : documents_open(&reader.documents, part);
    int n_encoders = 0;
    for (; !e && n_encoders < threads; n_encoders++)
        e = encoder_init(&encoders[n_encoders], t);
    if (!e)
        e = fill(&batches[0], &reader);
    int64_t done = 0;
    for (int turn = 0; !e && batches[turn].n > 0; turn = !turn) {
        if (stop_requested())
            e = error_stopped();
        if (!e)
            e = encode_and_read(&batches[turn], &batches[!turn], &reader, encoders, threads);
        if (!e)
            e = append(w, &batches[turn], &done);
        if (!e && show)
            show(self, done);
    }
    for (int i = 0; i < n_encoders; i++)
        encoder_release(&encoders[i]);
    for (int i = 0; batches && i < 2; i++)
        batch_release(&batches[i]);
    documents_close(reader.documents);
    arena_release(&arena);
    return e;
}
