// whole_rows.c - which examples make which row is decided once, from their lengths alone.
//
// Invariant: the buffer is sorted by length, and of equals the earliest is the last, so that what is to be taken is the last one that
// fits, and is found by halving.
#include <string.h>

#include "core/base/stop.h"
#include "core/data/mixture.h"
#include "core/data/task_rows_inside.h"

enum { BUFFER = 100, STOP_ROWS = 1 << 12 };

struct waiting {
    int64_t example;
    int32_t length; // its inputs: a token less than it has
};

struct packing {
    const int32_t *lengths; // [n]
    int64_t n, next;        // examples, and the first that has not come yet
    struct waiting waiting[BUFFER];
    int n_waiting;
};

// How many of the buffer have at most so many inputs.
static int up_to(const struct packing *p, int64_t length)
{
    int low = 0, high = p->n_waiting;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (p->waiting[middle].length <= length)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void refill(struct packing *p)
{
    for (; p->n_waiting < BUFFER && p->next < p->n; p->next++) {
        int32_t length = p->lengths[p->next];
        int at = up_to(p, (int64_t)length - 1); // in front of its equals, which came before it
        memmove(p->waiting + at + 1, p->waiting + at, (size_t)(p->n_waiting++ - at) * sizeof *p->waiting);
        p->waiting[at] = (struct waiting){.example = p->next, .length = length};
    }
}

// Takes out the longest that has at most so many tokens, the earliest of equals; -1: there is none.
static int64_t take(struct packing *p, int64_t most)
{
    int at = up_to(p, most - 1) - 1;
    if (at < 0)
        return -1;
    int64_t taken = p->waiting[at].example;
    p->n_waiting--;
    memmove(p->waiting + at, p->waiting + at + 1, (size_t)(p->n_waiting - at) * sizeof *p->waiting);
    return taken;
}

// Fills the next row of T + 1 tokens; its examples go into `row` (may be NULL). Returns how many; *left: tokens without one.
static int64_t fill_row(struct packing *p, int64_t T, int64_t *row, int64_t *left)
{
    int64_t n = 0, taken;
    for (*left = T + 1; (taken = take(p, *left)) >= 0; refill(p)) {
        if (row)
            row[n] = taken;
        n++;
        *left -= p->lengths[taken] + 1;
    }
    return n;
}

struct error *whole_rows_count(const int32_t *lengths, int64_t n, int64_t T, int64_t *n_rows)
{
    struct packing p = {.lengths = lengths, .n = n};
    int64_t left;
    *n_rows = 0;
    for (refill(&p); p.n_waiting; ++*n_rows) {
        fill_row(&p, T, NULL, &left);
        if (*n_rows % STOP_ROWS == STOP_ROWS - 1 && stop_requested())
            return error_stopped();
    }
    return NULL;
}

struct error *whole_rows_open(struct whole_rows *w, const struct mixture *m, int64_t T, int32_t bos, struct arena *arena)
{
    *w = (struct whole_rows){0};
    struct error *e = padded_rows_open(&w->each, m, T, bos, arena);
    if (e)
        return e;
    size_t n = (size_t)w->each.n_rows;
    int64_t *first = arena_array(arena, n + 1, sizeof *first), *example = arena_array(arena, n, sizeof *example), placed = 0,
            left;
    int32_t *lengths = arena_array(arena, n, sizeof *lengths), *n_targets = arena_array(arena, n, sizeof *n_targets);
    if (!first || !example || !lengths || !n_targets)
        return error_memory();
    struct packing p = {.lengths = w->each.lengths, .n = w->each.n_rows};
    for (refill(&p); p.n_waiting; w->n_rows++) {
        first[w->n_rows] = placed;
        int64_t end = placed + fill_row(&p, T, example + placed, &left);
        for (; placed < end; placed++)
            n_targets[w->n_rows] += w->each.n_targets[example[placed]];
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
