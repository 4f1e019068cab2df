// parquet_delta.c - numbers as their differences (Encodings.md, "Delta Encoding", DELTA_BINARY_PACKED).
//
// A head: values a block, miniblocks a block, values in all, the first value. Then blocks: the smallest difference, a width for
// each miniblock, the miniblocks, which are what differences are above the smallest, packed in so many bits. Sums wrap.
#include "core/data/parquet_inside.h"
#include "core/data/thrift.h"

enum { MOST_VALUES = 1 << 20, MOST_BITS = 64 }; // values of a block; writers use 128 to 256

bool parquet_deltas_begin(struct parquet_deltas *d, const uint8_t *at, const uint8_t *end)
{
    *d = (struct parquet_deltas){.at = at, .end = end};
    if (at == end) // a page of nulls may have no values at all
        return true;
    struct thrift t = {.at = at, .end = end};
    uint64_t n_block = thrift_varint(&t), n_minis = thrift_varint(&t), n = thrift_varint(&t);
    int64_t first = thrift_int(&t);
    if (t.failed || n_block == 0 || n_block % 128 || n_block > MOST_VALUES || n_minis == 0 || n_minis > n_block ||
        n_block % n_minis || n_block / n_minis % 32 || n > INT32_MAX)
        return false;
    d->at = t.at;
    d->n_left = (int64_t)n;
    d->value = (uint64_t)first;
    d->n_minis = d->i_mini = (uint32_t)n_minis;
    d->n_mini = (uint32_t)(n_block / n_minis);
    return true;
}

static bool begin_mini(struct parquet_deltas *d)
{
    if (d->i_mini == d->n_minis) {
        struct thrift t = {.at = d->at, .end = d->end};
        d->smallest = (uint64_t)thrift_int(&t);
        if (t.failed || (size_t)(t.end - t.at) < d->n_minis)
            return false;
        d->widths = t.at;
        d->at = t.at + d->n_minis;
        d->i_mini = 0;
    }
    d->bits = d->widths[d->i_mini++];
    size_t n_bytes = (size_t)d->n_mini / 8 * d->bits;
    if (d->bits > MOST_BITS || n_bytes > (size_t)(d->end - d->at))
        return false;
    d->mini = d->at;
    d->at += n_bytes;
    d->bit = 0;
    d->n_mini_left = d->n_mini;
    return true;
}

bool parquet_deltas_next(struct parquet_deltas *d, int64_t *value)
{
    if (d->n_left == 0)
        return false;
    if (d->begun) {
        if (d->n_mini_left == 0 && !begin_mini(d))
            return false;
        d->n_mini_left--;
        d->value += d->smallest + parquet_bits(d->mini, d->at, d->bit, d->bits);
        d->bit += d->bits;
    }
    d->begun = true;
    d->n_left--;
    *value = (int64_t)d->value;
    return true;
}

bool parquet_deltas_end(const struct parquet_deltas *deltas, const uint8_t **end)
{
    struct parquet_deltas d = *deltas;
    for (int64_t left = d.n_left - 1; left > 0; left -= d.n_mini)
        if (!begin_mini(&d))
            return false;
    *end = d.at;
    return true;
}
