// compression.c - each text is encoded as one document, without special tokens.
#include "runner/stages/compression.h"

#include <stdio.h>
#include <string.h>

#include "core/text/sample_texts.h"
#include "core/text/utf8.h"
#include "runner/stages/source_part.h"

enum { OWN_BYTES = 1 << 20 };

struct table compression_table(void)
{
    return (struct table){
        .members = metric_text_members, .n_members = METRIC_TEXT_MEMBERS, .row_bytes = sizeof(struct metric_text)};
}

// Bad rows are told where the text was counted.
static struct error *own_part(struct bytes *own, int64_t *chars, const struct document_part *from,
                              const struct tokenizer_options *options, struct arena *arena)
{
    struct documents *documents = NULL;
    struct source_part part;
    struct error *e = source_part_open(&part, from, arena);
    if (!e)
        e = documents_open(&documents, &part.documents);
    while (!e && own->n < OWN_BYTES && *chars <= options->chars) {
        const char *text;
        size_t n, taken;
        e = documents_next(documents, &text, &n);
        if (e || !text)
            break;
        n = utf8_first((const uint8_t *)text, n, (size_t)options->doc_cap, &taken);
        *chars += (int64_t)taken;
        e = bytes_append(own, text, n);
    }
    documents_close(documents);
    source_part_close(&part);
    return e;
}

struct error *compression_own(struct bytes *own, const struct stage *stage, const struct tokenizer_options *options)
{
    const struct job *job = stage->job;
    int64_t chars = 0;
    struct identities *ids;
    struct error *e = source_identities(&ids, job, stage->arena);
    for (int i = 0; i < job->n_parts && !e && own->n < OWN_BYTES && chars <= options->chars; i++) {
        e = own_part(own, &chars, &job->parts[i].part, options, stage->arena);
        if (!e)
            e = source_part_check(&job->parts[i], ids);
    }
    return e;
}

static struct error *measure(struct table *texts, struct encoder *enc, struct sample_text about, const uint8_t *text, size_t n)
{
    struct metric_text row = {.bytes = (int64_t)n, .gpt2 = about.gpt2, .gpt4 = about.gpt4};
    struct ids ids = {0};
    snprintf(row.text, sizeof row.text, "%s", about.name);
    struct error *e = encoder_encode(enc, text, n, &ids);
    row.tokens = (int64_t)ids.n;
    ids_release(&ids);
    return e ? e : table_add(texts, &row);
}

struct error *compression_measure(struct table *texts, const struct tokenizer *t, const uint8_t *own, size_t n_own)
{
    struct encoder enc;
    struct error *e = encoder_init(&enc, t);
    if (e)
        return e;
    for (int i = 0; i < SAMPLE_TEXTS && !e; i++)
        e = measure(texts, &enc, sample_texts[i], (const uint8_t *)sample_texts[i].text, strlen(sample_texts[i].text));
    if (!e && n_own)
        e = measure(texts, &enc, (struct sample_text){.name = "training text", .gpt2 = -1, .gpt4 = -1}, own, n_own);
    encoder_release(&enc);
    return e;
}

int compression_sets(struct store_set all[COMPRESSION_SETS], const struct store_set *sets, int n, const struct table *texts)
{
    memcpy(all, sets, (size_t)n * sizeof *sets);
    all[n] = table_set(texts, "/metrics/text");
    return n + 1;
}
