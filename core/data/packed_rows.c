// packed_rows.c - a stream that is nowhere written down: where each example ends in it, and a search for where a row begins.
#include <string.h>

#include "core/base/stop.h"
#include "core/data/mixture.h"
#include "core/data/task_rows_inside.h"

enum { STOP_EXAMPLES = 1 << 16 };

// The example that token `at` of the stream belongs to: the first that ends behind it.
static int64_t example_of(const struct packed_rows *p, int64_t at)
{
    int64_t low = 0, high = p->mixture->n - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (p->ends[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void read_stream(const struct packed_rows *p, int64_t at, int64_t n, int32_t *ids)
{
    for (int64_t i = example_of(p, at); n > 0; i++) {
        struct mixture_example x = mixture_at(p->mixture, i);
        int64_t start = i ? p->ends[i - 1] : 0, here = p->ends[i] - at < n ? p->ends[i] - at : n;
        if (here)
            task_rows_span(p->mixture->parts[x.part].rows, x.row, at - start, here, ids);
        at += here;
        ids += here;
        n -= here;
    }
}

struct error *packed_rows_open(struct packed_rows *p, const struct mixture *m, int64_t T, struct arena *arena)
{
    *p = (struct packed_rows){0};
    if (T < 1)
        return error_plain(ERROR_FAILED, "rows of %lld tokens are asked for", (long long)T);
    int64_t *ends = arena_array(arena, (size_t)m->n, sizeof *ends), n = 0;
    if (!ends)
        return error_memory();
    for (int64_t i = 0; i < m->n; i++) {
        struct mixture_example x = mixture_at(m, i);
        int64_t length = task_rows_length(m->parts[x.part].rows, x.row), here = length < T ? length : T;
        if (__builtin_add_overflow(n, here, &n))
            return error_plain(ERROR_DATA, "the mixture has more tokens than can be counted");
        ends[i] = n;
        if (i % STOP_EXAMPLES == STOP_EXAMPLES - 1 && stop_requested())
            return error_stopped();
    }
    if (n - 1 < T)
        return error_plain(ERROR_DATA, "the mixture has %lld tokens, and one row of %lld needs %lld", (long long)n, (long long)T,
                           (long long)T + 1);
    *p = (struct packed_rows){.mixture = m, .T = T, .n_rows = (n - 1) / T, .n_tokens = n, .ends = ends};
    return NULL;
}

struct error *packed_rows_read(const struct packed_rows *p, int64_t first, int64_t n, int32_t *inputs, int32_t *targets)
{
    if (first < 0 || n < 0 || first > INT64_MAX - n)
        return error_plain(ERROR_FAILED, "%lld rows from row %lld on are asked for", (long long)n, (long long)first);
    for (int64_t r = first; r < first + n; r++, inputs += p->T, targets += p->T) {
        int64_t at = r % p->n_rows * p->T;
        read_stream(p, at, p->T, inputs);
        memcpy(targets, inputs + 1, (size_t)(p->T - 1) * sizeof *targets);
        read_stream(p, at + p->T, 1, targets + p->T - 1);
    }
    return NULL;
}
