// tokenize.c - reads a batch of documents, encodes them side by side, appends their ids in order; then the next batch.
#include "core/data/tokenize.h"

#include <omp.h>

#include "core/base/stop.h"

enum { BATCH_DOCUMENTS = 1024, BATCH_BYTES = 4 << 20 };

struct batch {
    struct bytes text;
    size_t start[BATCH_DOCUMENTS + 1];
    struct ids ids[BATCH_DOCUMENTS];
    int n;
};

static struct error *fill(struct batch *b, struct documents *documents, bool *end)
{
    b->n = 0;
    b->text.n = 0;
    while (b->n < BATCH_DOCUMENTS && b->text.n < BATCH_BYTES) {
        const char *text;
        size_t n;
        struct error *e = documents_next(documents, &text, &n);
        if (!e && !text)
            *end = true;
        if (e || *end)
            return e;
        b->start[b->n++] = b->text.n;
        if ((e = bytes_append(&b->text, text, n)))
            return e;
        b->start[b->n] = b->text.n;
    }
    return NULL;
}

static struct error *encode(struct batch *b, const struct tokenizer *t, struct encoder *encoders, int threads)
{
    int32_t bos = tokenizer_special(t, "<|bos|>");
    struct error *first = NULL;
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int i = 0; i < b->n; i++) {
        b->ids[i].n = 0;
        struct error *e = ids_push(&b->ids[i], bos);
        if (!e)
            e = encoder_encode(&encoders[omp_get_thread_num()], b->text.byte + b->start[i], b->start[i + 1] - b->start[i],
                               &b->ids[i]);
        if (e) {
#pragma omp critical
            first = error_first(first, e);
        }
    }
    return first;
}

struct error *tokenize_documents(const struct document_part *part, const struct tokenizer *t, int threads,
                                 void (*show)(void *self, int64_t documents), void *self, struct token_writer *w)
{
    struct arena arena = {0};
    struct documents *documents = NULL;
    if (threads <= 0)
        threads = omp_get_max_threads();
    struct batch *b = arena_alloc(&arena, sizeof *b);
    struct encoder *encoders = arena_array(&arena, (size_t)threads, sizeof *encoders);
    struct error *e = b && encoders ? documents_open(&documents, part) : error_memory();
    int n_encoders = 0;
    for (; !e && n_encoders < threads; n_encoders++)
        e = encoder_init(&encoders[n_encoders], t);
    int64_t done = 0;
    for (bool end = false; !e && !end;) {
        if (stop_requested())
            e = error_stopped();
        if (!e)
            e = fill(b, documents, &end);
        if (!e)
            e = encode(b, t, encoders, threads);
        for (int i = 0; !e && i < b->n; i++)
            e = token_writer_add(w, b->ids[i].id, (int64_t)b->ids[i].n);
        if (!e && show)
            show(self, done += b->n);
    }
    for (int i = 0; i < n_encoders; i++)
        encoder_release(&encoders[i]);
    if (b) {
        bytes_release(&b->text);
        for (int i = 0; i < BATCH_DOCUMENTS; i++)
            ids_release(&b->ids[i]);
    }
    documents_close(documents);
    arena_release(&arena);
    return e;
}
