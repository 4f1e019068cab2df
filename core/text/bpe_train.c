// bpe_train.c - counting documents, and the frame around the merges (bpe_merge.c).
#include "core/text/bpe_train.h"

#include "core/text/bpe_inside.h"
#include "core/text/bpe_merge.h"
#include "core/text/token_index.h"
#include "core/text/utf8.h"
#include "kernels/memory.h"

#include <stdio.h>
#include <string.h>

struct error *bpe_trainer_new(struct bpe_trainer **out, int64_t doc_cap, int64_t max_chars)
{
    if (doc_cap < 1 || max_chars < 1)
        return error_new(ERROR_RECIPE, NOWHERE, "set both above 0",
                         "a tokenizer cannot learn from %lld characters of documents cut at %lld", (long long)max_chars,
                         (long long)doc_cap);
    struct bpe_trainer *t = block_alloc(sizeof *t);
    if (!t)
        return error_memory();
    *t = (struct bpe_trainer){.doc_cap = doc_cap, .max_chars = max_chars};
    struct error *e = bpe_trainer_use(t, 0, 0);
    if (e)
        bpe_trainer_free(t);
    else
        *out = t;
    return e;
}

void bpe_trainer_free(struct bpe_trainer *t)
{
    if (t)
        bpe_counter_free(t->counter);
    block_free(t);
}

struct error *bpe_trainer_use(struct bpe_trainer *t, int threads, int64_t memory_bytes)
{
    struct bpe_counter *counter;
    size_t most = memory_bytes > 0 ? 0 : memory_most("");
    if (memory_bytes <= 0)
        memory_bytes = most < INT64_MAX ? (int64_t)most : INT64_MAX;
    struct error *e = bpe_counter_new(&counter, threads, memory_bytes);
    if (e)
        return e;
    bpe_counter_free(t->counter);
    t->counter = counter;
    return NULL;
}

struct error *bpe_trainer_add(struct bpe_trainer *t, const uint8_t *text, size_t n, int64_t *n_chars)
{
    size_t taken;
    n = utf8_first(text, n, (uint64_t)t->doc_cap < SIZE_MAX ? (size_t)t->doc_cap : SIZE_MAX, &taken);
    struct error *e = bpe_counter_add(t->counter, text, n);
    if (e)
        return e;
    t->totals.documents++;
    t->totals.chars += (int64_t)taken;
    t->totals.bytes += (int64_t)n;
    if (n_chars)
        *n_chars = (int64_t)taken;
    return NULL;
}

struct error *bpe_trainer_count(struct bpe_trainer *t)
{
    if (t->counted)
        return NULL;
    struct error *e = bpe_counter_end(t->counter);
    if (e)
        return e;
    const struct piece_counts *parts = bpe_counter_parts(t->counter);
    t->counted = true;
    t->totals.pieces = bpe_counter_pieces(t->counter);
    for (int i = 0; i < BPE_PARTS; i++) {
        t->totals.distinct += (int64_t)parts[i].n;
        t->totals.distinct_bytes += (int64_t)parts[i].n_bytes;
    }
    return NULL;
}

bool bpe_trainer_full(const struct bpe_trainer *t)
{
    return t->totals.chars > t->max_chars;
}

struct bpe_totals bpe_trainer_totals(const struct bpe_trainer *t)
{
    return t->totals;
}

// The bytes of all tokens from the pairs they were made of.
static struct error *build_table(const struct bpe_pair *merges, int n_merges, struct arena *arena, struct token_table *out)
{
    int32_t n = 256 + n_merges;
    int64_t *offsets = arena_array(arena, (size_t)n + 1, sizeof *offsets);
    if (!offsets)
        return error_memory();
    for (int32_t id = 0; id < n; id++) {
        int64_t length = 1;
        if (id >= 256) {
            const struct bpe_pair *m = &merges[id - 256];
            length = offsets[m->left + 1] - offsets[m->left] + offsets[m->right + 1] - offsets[m->right];
        }
        offsets[id + 1] = offsets[id] + length;
        if (offsets[id + 1] > TOKEN_BYTES_MAX)
            return error_new(ERROR_DATA, NOWHERE, "lower doc_cap", "the first %d tokens alone have more than %d bytes", id,
                             TOKEN_BYTES_MAX);
    }
    uint8_t *bytes = arena_array(arena, (size_t)offsets[n], 1);
    if (!bytes)
        return error_memory();
    for (int32_t id = 0; id < n; id++) {
        uint8_t *to = bytes + offsets[id];
        if (id < 256) {
            *to = (uint8_t)id;
            continue;
        }
        const struct bpe_pair *m = &merges[id - 256];
        size_t n_left = (size_t)(offsets[m->left + 1] - offsets[m->left]);
        memcpy(to, bytes + offsets[m->left], n_left);
        memcpy(to + n_left, bytes + offsets[m->right], (size_t)(offsets[m->right + 1] - offsets[m->right]));
    }
    *out = (struct token_table){.n = n, .bytes = bytes, .n_bytes = (size_t)offsets[n], .offsets = offsets};
    return NULL;
}

struct error *bpe_trainer_merge(struct bpe_trainer *t, int n_merges, bpe_progress *progress, void *context, struct arena *arena,
                                struct token_table *out)
{
    if (n_merges < 0 || n_merges > TOKEN_TABLE_MAX - TOKEN_SPECIALS_MAX - 256)
        return error_plain(ERROR_RECIPE, "a vocabulary of %lld tokens is outside %d to %d",
                           (long long)n_merges + 256 + TOKEN_SPECIALS, 256 + TOKEN_SPECIALS,
                           TOKEN_TABLE_MAX - TOKEN_SPECIALS_MAX + TOKEN_SPECIALS);
    struct bpe_pair *merges = block_alloc((size_t)n_merges * sizeof *merges);
    struct arena scratch = {0};
    struct token_table table;
    struct token_index index;
    int done = 0;
    if (!merges)
        return error_memory();
    struct error *e = bpe_trainer_count(t);
    if (!e)
        e = bpe_merge(bpe_counter_parts(t->counter), BPE_PARTS, n_merges, progress, context, merges, &done, &t->totals.replaced);
    char too_large[80];
    snprintf(too_large, sizeof too_large, "set vocab to %d or less, or take more text", 256 + done + TOKEN_SPECIALS);
    if (!e && done < n_merges)
        e = error_new(ERROR_RECIPE, NOWHERE, too_large,
                      "the text of %lld characters has %d merges, fewer than the %d asked for: with %d special tokens the "
                      "largest vocabulary is %d",
                      (long long)t->totals.chars, done, n_merges, TOKEN_SPECIALS, 256 + done + TOKEN_SPECIALS);
    if (!e)
        e = build_table(merges, n_merges, arena, &table);
    if (!e)
        e = token_index_init(&index, &table, &scratch); // finds merges that make the same bytes
    if (!e)
        *out = table;
    arena_release(&scratch);
    block_free(merges);
    return e;
}
