// row_mix.c - one division a text: rows before, rounded, of what the texts before left over.
//
// 1. taken(m) grows by 0 or 1 from m to m+1, since w <= w + v: row m is of the text where it grows, and then its taken(m)-th.
// 2. Weights are at most 10^9 in sum and m is split by that sum, so that no product leaves 64 bits however long a run is.
#include "core/data/row_mix.h"

#include <math.h>

#include "core/base/arena.h"

static const double WEIGHTS = 1e9;

struct error *row_mix_open(struct row_mix *mix, const struct rows *rows, const double *shares, int n, struct arena *arena)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (!(shares[i] > 0) || !isfinite(shares[i]) || rows[i].T != rows[0].T)
            return error_plain(ERROR_FAILED, "a mix of share %g and rows of %lld tokens", shares[i], (long long)rows[i].T);
        sum += shares[i];
    }
    if (n < 1)
        return error_plain(ERROR_FAILED, "a mix of nothing");
    *mix = (struct row_mix){.rows = rows,
                            .n = n,
                            .weights = arena_array(arena, (size_t)n, sizeof *mix->weights),
                            .behind = arena_array(arena, (size_t)n, sizeof *mix->behind)};
    if (!mix->weights || !mix->behind)
        return error_memory();
    int64_t behind = 0;
    for (int i = n - 1; i >= 0; i--) {
        int64_t weight = llround(shares[i] / sum * WEIGHTS);
        mix->weights[i] = weight > 0 ? weight : 1;
        mix->behind[i] = behind;
        behind += mix->weights[i];
    }
    return NULL;
}

// Of m rows that text i and those behind it have, how many are of text i.
static int64_t taken(const struct row_mix *mix, int i, int64_t m)
{
    int64_t w = mix->weights[i], all = w + mix->behind[i];
    return m / all * w + (2 * (m % all) * w + all) / (2 * all);
}

int row_mix_place(const struct row_mix *mix, int64_t r, int64_t *row)
{
    for (int i = 0; i + 1 < mix->n; i++) {
        int64_t before = taken(mix, i, r);
        if (taken(mix, i, r + 1) > before) {
            *row = before;
            return i;
        }
        r -= before;
    }
    *row = r;
    return mix->n - 1;
}

int64_t row_mix_count(const struct row_mix *mix, int text, int64_t n_rows)
{
    for (int i = 0; i < text; i++)
        n_rows -= taken(mix, i, n_rows);
    return taken(mix, text, n_rows);
}

struct error *row_mix_read(const struct row_mix *mix, int64_t first, int64_t n, int32_t *inputs, int32_t *targets)
{
    const int64_t T = mix->rows[0].T;
    for (int64_t i = 0; i < n; i++) {
        int64_t row;
        int text = row_mix_place(mix, first + i, &row);
        struct error *e = rows_read(&mix->rows[text], row, 1, inputs + i * T, targets + i * T);
        if (e)
            return e;
    }
    return NULL;
}
