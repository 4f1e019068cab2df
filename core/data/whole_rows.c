// whole_rows.c - which examples make which row is decided once, from their lengths alone; a buffer of 100 is small enough to look through.
#include <string.h>

#include "core/base/stop.h"
#include "core/data/mixture.h"
#include "core/data/task_rows_inside.h"

enum { BUFFER = 100, STOP_ROWS = 1 << 12 };

struct packing {
    const struct padded_rows *each;
    int64_t waiting[BUFFER]; // examples of `each`, in the order in which they came
    int n_waiting;
    int64_t next; // of `each`
};

static void refill(struct packing *p)
{
    while (p->n_waiting < BUFFER && p->next < p->each->n_rows)
        p->waiting[p->n_waiting++] = p->next++;
}

// Takes out the longest that has at most so many tokens, the earliest of equals; -1: there is none.
static int64_t take(struct packing *p, int64_t most)
{
    int best = -1;
    for (int i = 0; i < p->n_waiting; i++) {
        int32_t length = p->each->lengths[p->waiting[i]];
        if (length + 1 <= most && (best < 0 || length > p->each->lengths[p->waiting[best]]))
            best = i;
    }
    if (best < 0)
        return -1;
    int64_t taken = p->waiting[best];
    p->n_waiting--;
    memmove(p->waiting + best, p->waiting + best + 1, (size_t)(p->n_waiting - best) * sizeof *p->waiting);
    return taken;
}

struct error *whole_rows_open(struct whole_rows *w, const struct mixture *m, int64_t T, int32_t bos, struct arena *arena)
{
    *w = (struct whole_rows){0};
    struct error *e = padded_rows_open(&w->each, m, T, bos, arena);
    if (e)
        return e;
    size_t n = (size_t)w->each.n_rows;
    int64_t *first = arena_array(arena, n + 1, sizeof *first), *example = arena_array(arena, n, sizeof *example), placed = 0;
    int32_t *lengths = arena_array(arena, n, sizeof *lengths), *n_targets = arena_array(arena, n, sizeof *n_targets);
    if (!first || !example || !lengths || !n_targets)
        return error_memory();
    struct packing p = {.each = &w->each};
    for (refill(&p); p.n_waiting; w->n_rows++) {
        int64_t left = T + 1, taken;
        first[w->n_rows] = placed;
        for (; (taken = take(&p, left)) >= 0; refill(&p)) {
            example[placed++] = taken;
            left -= w->each.lengths[taken] + 1;
            n_targets[w->n_rows] += w->each.n_targets[taken];
        }
        lengths[w->n_rows] = (int32_t)(T - left);
        if (w->n_rows % STOP_ROWS == STOP_ROWS - 1 && stop_requested())
            return error_stopped();
    }
    first[w->n_rows] = placed;
    w->first = first;
    w->example = example;
    w->lengths = lengths;
    w->n_targets = n_targets;
    return NULL;
}

// An example from position `at` on; its last token is an input only where another follows in the row.
static void put(const struct whole_rows *w, int64_t i, int64_t at, int64_t end, int32_t *inputs, int32_t *targets)
{
    const struct mixture *m = w->each.mixture;
    int64_t length = w->each.lengths[i];
    padded_rows_example(&w->each, i, inputs + at, targets + at);
    if (at + length < end) {
        struct mixture_example x = mixture_at(m, w->each.example[i]);
        task_rows_span(m->parts[x.part].rows, x.row, length, 1, inputs + at + length);
        targets[at + length] = -1; // the next example's first token
    }
}

struct error *whole_rows_read(const struct whole_rows *w, int64_t first, int64_t n, int64_t width, int32_t *inputs,
                              int32_t *targets)
{
    if (first < 0 || n < 0 || first > INT64_MAX - n)
        return error_plain(ERROR_FAILED, "%lld rows from row %lld on are asked for", (long long)n, (long long)first);
    for (int64_t row = first; row < first + n; row++, inputs += width, targets += width) {
        int64_t r = row % w->n_rows, at = 0, end = w->lengths[r];
        if (end > width)
            return error_plain(ERROR_FAILED, "row %lld has %lld inputs, more than the %lld that there is room for",
                               (long long)row, (long long)end, (long long)width);
        for (int64_t k = w->first[r]; k < w->first[r + 1]; at += w->each.lengths[w->example[k++]] + 1)
            put(w, w->example[k], at, end, inputs, targets);
        for (int64_t t = end; t < width; t++) {
            inputs[t] = w->each.pad;
            targets[t] = -1;
        }
    }
    return NULL;
}
