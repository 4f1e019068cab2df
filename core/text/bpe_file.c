// bpe_file.c - pieces to plain arrays and back.
#include "core/text/bpe_file.h"

#include "core/text/bpe_inside.h"

enum { TOTALS = 4, SETS = 4 };

struct error *bpe_counts_sets(const struct bpe_trainer *t, struct arena *arena, const struct store_set **sets, int *n_sets)
{
    struct bpe_totals totals = bpe_trainer_totals(t);
    size_t n = (size_t)totals.distinct, i = 0, at = 0;
    uint8_t *bytes = arena_array(arena, (size_t)totals.distinct_bytes + 1, 1);
    uint32_t *lengths = arena_array(arena, n + 1, sizeof *lengths);
    int64_t *counts = arena_array(arena, n + 1, sizeof *counts), *sums = arena_array(arena, TOTALS, sizeof *sums);
    struct store_set *made = arena_array(arena, SETS, sizeof *made);
    if (!bytes || !lengths || !counts || !sums || !made)
        return error_memory();
    for (int part = 0; part < BPE_PARTS; part++) {
        const uint8_t *p;
        for (size_t slot = 0, length;
             (p = piece_counts_next(&bpe_counter_parts(t->counter)[part], &slot, &length, &counts[i]));) {
            memcpy(bytes + at, p, length);
            lengths[i++] = (uint32_t)length;
            at += length;
        }
    }
    memcpy(sums, (int64_t[TOTALS]){totals.documents, totals.chars, totals.bytes, totals.pieces}, TOTALS * sizeof *sums);
    made[0] = (struct store_set){.path = "/counts/bytes", .type = STORE_U8, .n_dims = 1, .dims = {(int64_t)at}, .data = bytes};
    made[1] =
        (struct store_set){.path = "/counts/lengths", .type = STORE_U32, .n_dims = 1, .dims = {(int64_t)n}, .data = lengths};
    made[2] = (struct store_set){.path = "/counts/counts", .type = STORE_I64, .n_dims = 1, .dims = {(int64_t)n}, .data = counts};
    made[3] = (struct store_set){.path = "/counts/totals", .type = STORE_I64, .n_dims = 1, .dims = {TOTALS}, .data = sums};
    *sets = made;
    *n_sets = SETS;
    return NULL;
}

static struct error *impossible(void)
{
    return error_new(ERROR_DATA, NOWHERE, "remove the checkpoint", "the counts of a checkpoint are not possible");
}

static struct error *put_all(struct bpe_counter *c, const uint8_t *bytes, int64_t n_bytes, const uint32_t *lengths,
                             const int64_t *counts, int64_t n)
{
    int64_t at = 0;
    struct error *e = bpe_counter_reserve(c, (size_t)n);
    for (int64_t i = 0; i < n && !e; i++) {
        if (lengths[i] < 1 || lengths[i] > n_bytes - at || counts[i] < 1)
            return impossible();
        e = bpe_counter_put(c, bytes + at, lengths[i], (size_t)(n_bytes - at), counts[i]);
        at += lengths[i];
    }
    return e || at == n_bytes ? e : impossible();
}

struct error *bpe_counts_load(struct bpe_trainer *t, struct store_file *file)
{
    const void *bytes, *lengths, *counts;
    int64_t n_bytes, n, n_counts, sums[TOTALS];
    struct error *e = store_map(file, "/counts/bytes", STORE_U8, &bytes, &n_bytes);
    if (!e)
        e = store_map(file, "/counts/lengths", STORE_U32, &lengths, &n);
    if (!e)
        e = store_map(file, "/counts/counts", STORE_I64, &counts, &n_counts);
    if (!e)
        e = store_read(file, "/counts/totals", STORE_I64, 0, TOTALS, sums);
    if (!e && n != n_counts)
        e = impossible();
    if (!e)
        e = put_all(t->counter, bytes, n_bytes, lengths, counts, n);
    if (e)
        return e;
    t->totals = (struct bpe_totals){.documents = sums[0], .chars = sums[1], .bytes = sums[2]};
    e = bpe_trainer_count(t);
    t->totals.pieces = sums[3];
    return e;
}
