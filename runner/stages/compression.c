// compression.c - each text is encoded as one document, without special tokens.
#include "runner/stages/compression.h"

#include <stdio.h>
#include <string.h>

#include "core/text/sample_texts.h"

struct table compression_table(void)
{
    return (struct table){
        .members = metric_text_members, .n_members = METRIC_TEXT_MEMBERS, .row_bytes = sizeof(struct metric_text)};
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
