// parquet_levels.c - the hybrid of runs and packed bits (Encodings.md, "Run Length Encoding / Bit-Packing Hybrid").
//
// A varint head: even, its half is the length of a run of one value; odd, its half is the number of groups of eight values,
// packed from the lowest bit on. Some writers cut the last group short, so bits are checked as they are read, not by the group.
#include "core/data/parquet_inside.h"

void parquet_runs_begin(struct parquet_runs *r, const uint8_t *at, const uint8_t *end, int bits)
{
    *r = (struct parquet_runs){.at = at, .end = end, .bits = bits};
}

static bool begin_run(struct parquet_runs *r)
{
    uint64_t head = 0;
    for (int shift = 0;; shift += 7) {
        if (r->at == r->end || shift > 35)
            return false;
        uint8_t b = *r->at++;
        head |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80))
            break;
    }
    uint64_t n = head >> 1;
    size_t left = (size_t)(r->end - r->at);
    r->packed = head & 1;
    if (r->packed) {
        uint64_t n_bytes = n * (uint64_t)r->bits; // below 2^42 * 2^5
        r->n_left = (int64_t)(n * 8);
        r->group = r->at;
        r->at += n_bytes < left ? (size_t)n_bytes : left;
        r->group_end = r->at;
        r->bit = 0;
        return true;
    }
    size_t n_bytes = (size_t)(r->bits + 7) / 8;
    if (n_bytes > left)
        return false;
    r->value = 0;
    for (size_t i = 0; i < n_bytes; i++)
        r->value |= (uint32_t)r->at[i] << 8 * i;
    r->at += n_bytes;
    r->n_left = (int64_t)n;
    return true;
}

bool parquet_runs_next(struct parquet_runs *r, uint32_t *value)
{
    while (r->n_left == 0)
        if (!begin_run(r))
            return false;
    r->n_left--;
    if (!r->packed) {
        *value = r->value;
        return true;
    }
    if ((r->bit + (size_t)r->bits + 7) >> 3 > (size_t)(r->group_end - r->group))
        return false;
    *value = (uint32_t)parquet_bits(r->group, r->group_end, r->bit, (size_t)r->bits);
    r->bit += (size_t)r->bits;
    return true;
}
