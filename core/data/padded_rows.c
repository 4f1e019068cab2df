// padded_rows.c - masks are counted once, so that the rows without a target are known before the first step.
#include <string.h>

#include "core/base/stop.h"
#include "core/data/mixture.h"
#include "core/data/task_rows_inside.h"

enum { CHUNK_EXAMPLES = 1 << 14 };

// Tokens of example i within the cut; *n_targets: how many of them are learned, of which the first token never is.
static int32_t measure(const struct mixture *m, int64_t i, int64_t T, int32_t *n_targets)
{
    struct mixture_example x = mixture_at(m, i);
    const struct task_rows *rows = m->parts[x.part].rows;
    int64_t length = task_rows_length(rows, x.row), n = length < T ? length : T;
    const uint8_t *mask = task_rows_mask(rows, x.row);
    int32_t count = 0;
    for (int64_t t = 1; t < n; t++)
        count += mask[t];
    *n_targets = count;
    return (int32_t)n;
}

// Measures all examples and moves those with a target to the front; returns how many, or -1 where it was asked to stop.
static int64_t keep_learned(const struct mixture *m, int64_t T, int64_t *example, int32_t *lengths, int32_t *n_targets)
{
    int64_t n = 0;
    for (int64_t first = 0; first < m->n; first += CHUNK_EXAMPLES) {
        if (stop_requested())
            return -1;
        int64_t end = m->n - first < CHUNK_EXAMPLES ? m->n : first + CHUNK_EXAMPLES;
#pragma omp parallel for schedule(dynamic, 64)
        for (int64_t i = first; i < end; i++)
            lengths[i] = measure(m, i, T, &n_targets[i]) - 1;
        for (int64_t i = first; i < end; i++)
            if (n_targets[i] > 0) { // n <= i: what is overwritten was looked at
                example[n] = i;
                lengths[n] = lengths[i];
                n_targets[n++] = n_targets[i];
            }
    }
    return n;
}

struct error *padded_rows_open(struct padded_rows *p, const struct mixture *m, int64_t T, int32_t assistant_end,
                               struct arena *arena)
{
    *p = (struct padded_rows){0};
    if (T < 1 || T > INT32_MAX)
        return error_plain(ERROR_FAILED, "rows of %lld tokens are asked for", (long long)T);
    int64_t *example = arena_array(arena, (size_t)m->n, sizeof *example);
    int32_t *lengths = arena_array(arena, (size_t)m->n, sizeof *lengths);
    int32_t *n_targets = arena_array(arena, (size_t)m->n, sizeof *n_targets);
    if (!example || !lengths || !n_targets)
        return error_memory();
    int64_t n = keep_learned(m, T, example, lengths, n_targets);
    if (n < 0)
        return error_stopped();
    if (n == 0)
        return error_new(ERROR_DATA, NOWHERE, "raise seq_len, or mix in shorter ones",
                         "none of the mixture's %lld examples has a token to learn within %lld tokens", (long long)m->n,
                         (long long)T);
    *p = (struct padded_rows){.mixture = m,
                              .T = T,
                              .n_rows = n,
                              .n_dropped = m->n - n,
                              .example = example,
                              .lengths = lengths,
                              .n_targets = n_targets,
                              .pad = assistant_end};
    return NULL;
}

void padded_rows_example(const struct padded_rows *p, int64_t i, int32_t *inputs, int32_t *targets)
{
    struct mixture_example x = mixture_at(p->mixture, p->example[i]);
    const struct task_rows *rows = p->mixture->parts[x.part].rows;
    const uint8_t *mask = task_rows_mask(rows, x.row);
    int64_t length = p->lengths[i];
    task_rows_span(rows, x.row, 0, length, inputs);
    task_rows_span(rows, x.row, 1, length, targets);
    for (int64_t t = 0; t < length; t++)
        if (!mask[t + 1])
            targets[t] = -1;
}

struct error *padded_rows_read(const struct padded_rows *p, int64_t first, int64_t n, int64_t width, int32_t *inputs,
                               int32_t *targets)
{
    if (first < 0 || n < 0 || first > INT64_MAX - n)
        return error_plain(ERROR_FAILED, "%lld rows from row %lld on are asked for", (long long)n, (long long)first);
    for (int64_t r = first; r < first + n; r++, inputs += width, targets += width) {
        int64_t i = r % p->n_rows;
        if (p->lengths[i] > width)
            return error_plain(ERROR_FAILED, "row %lld has %d inputs, more than the %lld that there is room for", (long long)r,
                               p->lengths[i], (long long)width);
        padded_rows_example(p, i, inputs, targets);
        for (int64_t t = p->lengths[i]; t < width; t++) {
            inputs[t] = p->pad;
            targets[t] = -1;
        }
    }
    return NULL;
}
