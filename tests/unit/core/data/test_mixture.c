// test_mixture.c - the order of a published mixture, shares, and rows for training against slow copies of their definition.
#include "tests/unit/core/data/made_rows.h"

#include <jansson.h>
#include <math.h>

#include "core/data/mixture.h"

enum { PAD = 99 };

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

// ---- shares and orders: no tokens are needed ----

static void shares(void **state)
{
    (void)state;
    assert_int_equal(mixture_part_examples(10, 1, -1), 10);
    assert_int_equal(mixture_part_examples(10, 2.5, -1), 25);
    assert_int_equal(mixture_part_examples(7, 0.5, -1), 3);
    assert_int_equal(mixture_part_examples(10, 2.3, -1), 23);
    assert_int_equal(mixture_part_examples(100, 0.29, -1), 29);
    assert_int_equal(mixture_part_examples(100, 1.15, -1), 115);
    assert_int_equal(mixture_part_examples(100, 0.2899, -1), 28);
    assert_int_equal(mixture_part_examples(460341, 0.001, -1), 460);
    assert_int_equal(mixture_part_examples(10, 0.01, -1), 0);
    assert_int_equal(mixture_part_examples(0, 3, -1), 0);
    assert_int_equal(mixture_part_examples(10, 3, 4), 4);
    assert_int_equal(mixture_part_examples(10, 3, 10), 10);
    assert_int_equal(mixture_part_examples(10, 3, 0), 0);
    assert_int_equal(mixture_part_examples(10, 3, 11), -1);
    assert_int_equal(mixture_part_examples(10, -1, -1), 0);
    assert_int_equal(mixture_part_examples(10, NAN, -1), 0);
    assert_int_equal(mixture_part_examples(10, INFINITY, -1), INT64_MAX);
    for (int percent = 1; percent <= 300; percent++)
        for (int n = 1; n < 2000; n += 37)
            assert_int_equal(mixture_part_examples(n, percent / 100.0, -1), (int64_t)percent * n / 100);
}

static void passes_go_over_the_permutation(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct mixture m;
    const struct task_rows ten = {.n = 10}, four = {.n = 4}, empty = {0};
    const struct mixture_part parts[] = {
        {"ten", &ten, 2.5, -1}, {"empty", &empty, 2, -1}, {"four", &four, 0, 3}, {"ten", &ten, 0.3, -1}, {"four", &four, 1, 0}};
    int64_t order10[10], order4[4];
    assert_good(task_rows_order(10, order10));
    assert_good(task_rows_order(4, order4));
    assert_good(mixture_open(&m, parts, countof(parts), 42, MIXTURE_IN_ORDER, &arena));
    assert_int_equal(m.n, 25 + 3 + 3);
    for (int64_t i = 0; i < m.n; i++) {
        struct mixture_example x = mixture_at(&m, i);
        assert_int_equal(x.part, i < 25 ? 0 : i < 28 ? 2 : 3);
        assert_int_equal(x.row, i < 25 ? order10[i % 10] : i < 28 ? order4[i - 25] : order10[i - 28]);
    }
    // The shuffle is of the list as a whole, and of the seed.
    struct mixture a, b, c;
    int64_t seen[3][10] = {0}, moved = 0;
    assert_good(mixture_open(&a, parts, countof(parts), 42, MIXTURE_SHUFFLED, &arena));
    assert_good(mixture_open(&b, parts, countof(parts), 42, MIXTURE_SHUFFLED, &arena));
    assert_good(mixture_open(&c, parts, countof(parts), 43, MIXTURE_SHUFFLED, &arena));
    assert_int_equal(a.n, m.n);
    assert_memory_equal(a.row, b.row, (size_t)a.n * sizeof *a.row);
    assert_memory_equal(a.part, b.part, (size_t)a.n * sizeof *a.part);
    for (int64_t i = 0; i < a.n; i++) {
        struct mixture_example x = mixture_at(&a, i), y = mixture_at(&c, i);
        seen[x.part == 0 ? 0 : x.part - 1][x.row]++;
        moved += x.part != y.part || x.row != y.row;
    }
    assert_true(moved > a.n / 2);
    for (int64_t k = 0; k < 10; k++)
        assert_int_equal(seen[0][order10[k]], k < 5 ? 3 : 2);
    arena_release(&arena);
}

static void odd_mixtures(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct mixture m;
    const struct task_rows ten = {.n = 10, .n_vocab = 5}, other = {.n = 10, .n_vocab = 6}, empty = {.n_vocab = 5};
    const struct mixture_part beyond = {"ten", &ten, 1, 11}, nothing = {"empty", &empty, 3, -1},
                              endless = {"ten", &ten, 1e300, -1}, none = {"ten", &ten, 1, 0}, many = {"ten", &ten, 3e8, -1};
    assert_error(mixture_open(&m, &beyond, 1, 42, MIXTURE_SHUFFLED, &arena), ERROR_DATA,
                 "11 rows of 'ten' are asked for, and it has 10");
    assert_error(mixture_open(&m, &nothing, 1, 42, MIXTURE_SHUFFLED, &arena), ERROR_DATA, "the mixture has no examples");
    assert_error(mixture_open(&m, &none, 1, 42, MIXTURE_IN_ORDER, &arena), ERROR_DATA, "the mixture has no examples");
    assert_error(mixture_open(&m, NULL, 0, 42, MIXTURE_IN_ORDER, &arena), ERROR_DATA, "the mixture has no examples");
    assert_error(mixture_open(&m, &endless, 1, 42, MIXTURE_SHUFFLED, &arena), ERROR_DATA, "more than 4294967295 examples");
    assert_error(mixture_open(&m, (struct mixture_part[]){many, many}, 2, 42, MIXTURE_SHUFFLED, &arena), ERROR_DATA,
                 "more than 4294967295 examples");
    assert_error(mixture_open(&m, (struct mixture_part[]){none, {"other", &other, 1, -1}}, 2, 42, MIXTURE_SHUFFLED, &arena),
                 ERROR_DATA, "'other' has a vocabulary of 6, and 'ten' one of 5");
    arena_release(&arena);
}

// ---- rows for training from made rows ----

enum { FIRST_ROWS = 90, SECOND_ROWS = 33, THIRD_ROWS = 40 };

// Two tasks, the first in two files; the second's rows are made rows from 1,000 on.
struct made {
    struct arena arena;
    struct task_rows a, b;
    struct mixture_part parts[3];
    struct mixture m;
};

static void open_made(struct made *x, int64_t n_vocab)
{
    *x = (struct made){0};
    save_made_rows("a.h5", 0, FIRST_ROWS, n_vocab);
    save_made_rows("b.h5", FIRST_ROWS, SECOND_ROWS, n_vocab);
    save_made_rows("c.h5", 1000, THIRD_ROWS, n_vocab);
    assert_good(task_rows_open(&x->a, (const char *const[]){"a.h5", "b.h5"}, 2, &x->arena));
    assert_good(task_rows_open(&x->b, (const char *const[]){"c.h5"}, 1, &x->arena));
    x->parts[0] = (struct mixture_part){"a", &x->a, 1.5, -1};
    x->parts[1] = (struct mixture_part){"b", &x->b, 2, -1};
    x->parts[2] = (struct mixture_part){"a", &x->a, 0, 10};
    assert_good(mixture_open(&x->m, x->parts, 3, 42, MIXTURE_SHUFFLED, &x->arena));
}

static void close_made(struct made *x)
{
    task_rows_close(&x->a);
    task_rows_close(&x->b);
    arena_release(&x->arena);
}

static void made_example(const struct made *x, int64_t i, int64_t n_vocab, struct made_row *row)
{
    struct mixture_example e = mixture_at(&x->m, i);
    make_row(row, e.part == 1 ? 1000 + e.row : e.row, n_vocab);
}

static void packed_of(const struct made *x, int64_t n_vocab, int64_t T)
{
    struct arena arena = {0};
    struct packed_rows p;
    assert_good(packed_rows_open(&p, &x->m, T, &arena));
    int32_t *stream = arena_array(&arena, (size_t)(x->a.n_tokens * 3 + x->b.n_tokens * 2), sizeof *stream);
    int64_t n = 0;
    for (int64_t i = 0; i < x->m.n; i++) {
        struct made_row row;
        made_example(x, i, n_vocab, &row);
        int64_t here = row.row.n < T ? row.row.n : T;
        memcpy(stream + n, row.ids, (size_t)here * sizeof *stream);
        n += here;
        assert_int_equal(p.ends[i], n);
    }
    assert_int_equal(p.n_tokens, n);
    assert_int_equal(p.n_rows, (n - 1) / T);
    int64_t step = T < 8 ? 101 : 1;
    int32_t *inputs = arena_array(&arena, (size_t)(3 * T), sizeof *inputs), *targets = arena_array(&arena, (size_t)(3 * T), 4);
    for (int64_t first = 0; first < 2 * p.n_rows; first += step) { // twice over the order
        assert_good(packed_rows_read(&p, first, 3, inputs, targets));
        for (int64_t r = 0; r < 3; r++) {
            const int32_t *at = stream + (first + r) % p.n_rows * T;
            assert_memory_equal(inputs + r * T, at, (size_t)T * sizeof *at);
            assert_memory_equal(targets + r * T, at + 1, (size_t)T * sizeof *at);
        }
    }
    assert_good(packed_rows_read(&p, (int64_t)1 << 62, 1, inputs, targets));
    assert_error(packed_rows_read(&p, -1, 1, inputs, targets), ERROR_FAILED, "are asked for");
    assert_error(packed_rows_read(&p, INT64_MAX, 1, inputs, targets), ERROR_FAILED, "are asked for");
    arena_release(&arena);
}

static void packed(void **state)
{
    (void)state;
    const int64_t n_vocabs[] = {300, 70000}, Ts[] = {1, 2, 7, 64, 128, 256, 512, 2048};
    for (size_t v = 0; v < countof(n_vocabs); v++) {
        struct made x;
        open_made(&x, n_vocabs[v]);
        for (size_t t = 0; t < countof(Ts); t++)
            packed_of(&x, n_vocabs[v], Ts[t]);
        struct packed_rows p;
        assert_error(packed_rows_open(&p, &x.m, 1 << 30, &x.arena), ERROR_DATA, "and one row of 1073741824 needs 1073741825");
        assert_error(packed_rows_open(&p, &x.m, 0, &x.arena), ERROR_FAILED, "rows of 0 tokens");
        close_made(&x);
    }
}

static void padded_of(const struct made *x, int64_t n_vocab, int64_t T)
{
    struct arena arena = {0};
    struct padded_rows p;
    assert_good(padded_rows_open(&p, &x->m, T, PAD, &arena));
    int64_t kept = 0, width = T + 5;
    int32_t *inputs = arena_array(&arena, (size_t)(2 * width), sizeof *inputs),
            *targets = arena_array(&arena, (size_t)(2 * width), 4);
    for (int64_t i = 0; i < x->m.n; i++) {
        struct made_row row;
        made_example(x, i, n_vocab, &row);
        int64_t n = row.row.n < T ? row.row.n : T, n_targets = 0;
        for (int64_t t = 1; t < n; t++)
            n_targets += row.mask[t];
        if (!n_targets)
            continue;
        assert_true(kept < p.n_rows);
        assert_int_equal(p.example[kept], i);
        assert_int_equal(p.lengths[kept], n - 1);
        assert_int_equal(p.n_targets[kept], n_targets);
        const int64_t widths[] = {n - 1, n, width};
        for (size_t w = 0; w < countof(widths); w++) { // a wider row has the same beginning
            memset(inputs, 0xFF, (size_t)(2 * width) * sizeof *inputs);
            assert_good(padded_rows_read(&p, kept + (int64_t)w * p.n_rows, 1, widths[w], inputs, targets));
            for (int64_t t = 0; t < widths[w]; t++) {
                assert_int_equal(inputs[t], t < n - 1 ? row.ids[t] : PAD);
                assert_int_equal(targets[t], t < n - 1 && row.mask[t + 1] ? row.ids[t + 1] : -1);
            }
            assert_int_equal(inputs[widths[w]], -1);
        }
        if (n > 2)
            assert_error(padded_rows_read(&p, kept, 1, n - 2, inputs, targets), ERROR_FAILED, "more than the");
        kept++;
    }
    assert_int_equal(kept, p.n_rows);
    assert_int_equal(p.n_dropped, x->m.n - kept);
    assert_true(p.n_dropped > 0);
    // Rows side by side, over the end of the order.
    int32_t one[2][1024];
    assert_true(width <= 1024);
    assert_good(padded_rows_read(&p, p.n_rows - 1, 2, width, inputs, targets));
    for (int64_t r = 0; r < 2; r++) {
        assert_good(padded_rows_read(&p, r ? 0 : p.n_rows - 1, 1, width, one[0], one[1]));
        assert_memory_equal(one[0], inputs + r * width, (size_t)width * sizeof *inputs);
        assert_memory_equal(one[1], targets + r * width, (size_t)width * sizeof *targets);
    }
    assert_error(padded_rows_read(&p, -1, 1, width, inputs, targets), ERROR_FAILED, "are asked for");
    arena_release(&arena);
}

static void padded(void **state)
{
    (void)state;
    const int64_t n_vocabs[] = {300, 70000}, Ts[] = {3, 20, 128, 256, 512};
    for (size_t v = 0; v < countof(n_vocabs); v++) {
        struct made x;
        open_made(&x, n_vocabs[v]);
        for (size_t t = 0; t < countof(Ts); t++)
            padded_of(&x, n_vocabs[v], Ts[t]);
        struct padded_rows p, shorter, longer;
        assert_error(padded_rows_open(&p, &x.m, 1, PAD, &x.arena), ERROR_DATA, "has a token to learn within 1 tokens");
        assert_error(padded_rows_open(&p, &x.m, 0, PAD, &x.arena), ERROR_FAILED, "rows of 0 tokens");
        assert_good(padded_rows_open(&shorter, &x.m, 128, PAD, &x.arena));
        assert_good(padded_rows_open(&longer, &x.m, 512, PAD, &x.arena));
        assert_true(shorter.n_dropped > longer.n_dropped); // prompts longer than the cut
        close_made(&x);
    }
}

// The rows by their definition: a list of what waits, looked through for each place.
static void whole_of(const struct made *x, int64_t n_vocab, int64_t T)
{
    struct arena arena = {0};
    struct whole_rows w;
    assert_good(whole_rows_open(&w, &x->m, T, PAD, &arena));
    const struct padded_rows *each = &w.each;
    int64_t waiting[100], n_waiting = 0, next = 0, r = 0, width = T + 3, n_seen = 0;
    int32_t *ids = arena_array(&arena, (size_t)T + 1, 4), *inputs = arena_array(&arena, (size_t)width, 4),
            *targets = arena_array(&arena, (size_t)width, 4);
    uint8_t *mask = arena_array(&arena, (size_t)T + 1, 1);
    while (next < each->n_rows && n_waiting < 100)
        waiting[n_waiting++] = next++;
    for (; n_waiting; r++) {
        int64_t n = 0, n_targets = 0;
        for (;;) {
            int64_t best = -1;
            for (int64_t i = 0; i < n_waiting; i++)
                if (n + each->lengths[waiting[i]] + 1 <= T + 1 &&
                    (best < 0 || each->lengths[waiting[i]] > each->lengths[waiting[best]]))
                    best = i;
            if (best < 0)
                break;
            struct made_row row;
            made_example(x, each->example[waiting[best]], n_vocab, &row);
            for (int64_t t = 0; t <= each->lengths[waiting[best]]; t++, n++) {
                ids[n] = row.ids[t];
                mask[n] = t ? row.mask[t] : 0;
                n_targets += mask[n];
            }
            n_seen++;
            for (int64_t i = best; i < n_waiting - 1; i++)
                waiting[i] = waiting[i + 1];
            n_waiting--;
            if (next < each->n_rows)
                waiting[n_waiting++] = next++;
        }
        assert_true(r < w.n_rows);
        assert_int_equal(w.lengths[r], n - 1);
        assert_int_equal(w.n_targets[r], n_targets);
        assert_true(n_targets > 0 && n <= T + 1);
        const int64_t widths[] = {n - 1, width};
        for (size_t k = 0; k < countof(widths); k++) {
            memset(inputs, 0xFF, (size_t)width * sizeof *inputs);
            assert_good(whole_rows_read(&w, r + (int64_t)k * w.n_rows, 1, widths[k], inputs, targets));
            for (int64_t t = 0; t < widths[k]; t++) {
                assert_int_equal(inputs[t], t < n - 1 ? ids[t] : PAD);
                assert_int_equal(targets[t], t < n - 1 && mask[t + 1] ? ids[t + 1] : -1);
            }
            if (widths[k] < width)
                assert_int_equal(inputs[widths[k]], -1);
        }
        if (n > 2)
            assert_error(whole_rows_read(&w, r, 1, n - 2, inputs, targets), ERROR_FAILED, "more than the");
    }
    assert_int_equal(r, w.n_rows);
    assert_int_equal(n_seen, each->n_rows);
    assert_good(whole_rows_count(each->lengths, each->n_rows, T, &r));
    assert_int_equal(r, w.n_rows);
    assert_error(whole_rows_read(&w, -1, 1, width, inputs, targets), ERROR_FAILED, "are asked for");
    arena_release(&arena);
}

static void whole(void **state)
{
    (void)state;
    const int64_t n_vocabs[] = {300, 70000}, Ts[] = {3, 20, 128, 512, 2048};
    for (size_t v = 0; v < countof(n_vocabs); v++) {
        struct made x;
        open_made(&x, n_vocabs[v]);
        for (size_t t = 0; t < countof(Ts); t++)
            whole_of(&x, n_vocabs[v], Ts[t]);
        struct whole_rows w;
        assert_error(whole_rows_open(&w, &x.m, 1, PAD, &x.arena), ERROR_DATA, "has a token to learn within 1 tokens");
        close_made(&x);
    }
}

// ---- golden cases ----

// Rows such that MIXTURE_IN_ORDER gives them in the order of the list: row order[k] of the file is rows[k].
static void open_in_order(struct arena *arena, struct task_rows *rows, struct mixture *m, const struct task_row *list, int64_t n)
{
    const char *const path = "golden.h5";
    int64_t *order = arena_array(arena, (size_t)n, sizeof *order);
    struct task_row *placed = arena_array(arena, (size_t)n, sizeof *placed);
    assert_good(task_rows_order(n, order));
    for (int64_t k = 0; k < n; k++)
        placed[order[k]] = list[k];
    save_rows(path, 1000, placed, n);
    assert_good(task_rows_open(rows, &path, 1, arena));
    assert_good(mixture_open(m, &(struct mixture_part){"golden", rows, 1, -1}, 1, 0, MIXTURE_IN_ORDER, arena));
}

static struct task_row read_row(struct arena *arena, const json_t *ids, const json_t *mask)
{
    size_t n = json_array_size(ids);
    int32_t *to = arena_array(arena, n, sizeof *to);
    uint8_t *to_mask = arena_array(arena, n, 1);
    for (size_t t = 0; t < n; t++) {
        to[t] = (int32_t)json_integer_value(json_array_get(ids, t));
        to_mask[t] = json_integer_value(json_array_get(mask, t)) != 0;
    }
    return (struct task_row){.ids = to, .mask = to_mask, .n = (int64_t)n, .answer = {.text = "", .right = -1}};
}

static void check_order(const json_t *input, const json_t *expected)
{
    const json_t *lengths = json_object_get(input, "lengths"), *first = json_object_get(expected, "first");
    enum { PARTS = 16 };
    struct arena arena = {0};
    struct task_rows rows[PARTS] = {0};
    struct mixture_part parts[PARTS];
    int64_t *orders[PARTS];
    int n = (int)json_array_size(lengths);
    assert_true(n <= PARTS);
    for (int i = 0; i < n; i++) {
        rows[i].n = json_integer_value(json_array_get(lengths, (size_t)i));
        parts[i] = (struct mixture_part){"golden", &rows[i], 1, -1};
        orders[i] = arena_array(&arena, (size_t)rows[i].n + 1, sizeof *orders[i]);
        assert_good(task_rows_order(rows[i].n, orders[i]));
    }
    struct mixture m;
    assert_good(mixture_open(&m, parts, n, 42, MIXTURE_SHUFFLED, &arena));
    assert_int_equal(m.n, number(expected, "size"));
    for (size_t i = 0; i < json_array_size(first); i++) {
        const json_t *pair = json_array_get(first, i);
        struct mixture_example x = mixture_at(&m, (int64_t)i);
        assert_int_equal(x.part, json_integer_value(json_array_get(pair, 0)));
        assert_int_equal(x.row, orders[x.part][json_integer_value(json_array_get(pair, 1))]);
    }
    arena_release(&arena);
}

// Batches of the reference, row by row. Its rows without a target, which no loss sees, are not among ours.
static void check_sft(const json_t *input, const json_t *expected)
{
    const json_t *given = json_object_get(input, "rows");
    struct arena arena = {0};
    struct task_rows rows;
    struct mixture m;
    struct padded_rows p;
    int64_t n = (int64_t)json_array_size(given), at = number(input, "rank");
    struct task_row *list = arena_array(&arena, (size_t)n, sizeof *list);
    for (int64_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(given, (size_t)i);
        list[i] = read_row(&arena, json_object_get(row, "ids"), json_object_get(row, "mask"));
    }
    open_in_order(&arena, &rows, &m, list, n);
    assert_good(padded_rows_open(&p, &m, 2048, (int32_t)number(input, "pad"), &arena));
    for (size_t b = 0; b < json_array_size(expected); b++) {
        const json_t *batch = json_array_get(expected, b);
        const json_t *inputs = json_object_get(batch, "inputs"), *targets = json_object_get(batch, "targets");
        for (size_t r = 0; r < json_array_size(inputs); r++, at += number(input, "world")) {
            const json_t *in = json_array_get(inputs, r), *out = json_array_get(targets, r);
            int64_t width = (int64_t)json_array_size(in), ours = 0;
            int32_t ids[64], wanted[64];
            while (ours < p.n_rows && p.example[ours] != at % n)
                ours++;
            if (ours < p.n_rows)
                assert_good(padded_rows_read(&p, ours, 1, width, ids, wanted));
            for (size_t t = 0; t < (size_t)width; t++) {
                assert_int_equal(ours < p.n_rows ? wanted[t] : -1, json_integer_value(json_array_get(out, t)));
                if (ours < p.n_rows)
                    assert_int_equal(ids[t], json_integer_value(json_array_get(in, t)));
            }
        }
    }
    task_rows_close(&rows);
    arena_release(&arena);
}

// The reference takes B*T + 1 tokens a batch and goes on behind them; end to end they are the stream that our rows are cut from.
static void check_mid(const json_t *input, const json_t *expected)
{
    const json_t *given = json_object_get(input, "conversations");
    struct arena arena = {0};
    struct task_rows rows;
    struct mixture m;
    struct packed_rows p;
    int64_t n = (int64_t)json_array_size(given), cursor = number(input, "rank"), world = number(input, "world"), n_stream = 0;
    struct task_row *list = arena_array(&arena, (size_t)(3 * n), sizeof *list);
    for (int64_t k = 0; k < 3 * n; k++, cursor = (cursor + world) % n) // what the rank reads, long enough
        list[k] = read_row(&arena, json_array_get(given, (size_t)cursor), NULL);
    open_in_order(&arena, &rows, &m, list, 3 * n);
    enum { T = 8, MOST = 512 };
    assert_good(packed_rows_open(&p, &m, T, &arena));
    assert_true(p.n_rows * T <= MOST);
    int32_t inputs[MOST], targets[MOST];
    assert_good(packed_rows_read(&p, 0, p.n_rows, inputs, targets));
    for (size_t b = 0; b < json_array_size(expected); b++) {
        const json_t *batch = json_array_get(expected, b), *last = NULL;
        for (size_t r = 0; r < json_array_size(json_object_get(batch, "inputs")); r++) {
            const json_t *in = json_array_get(json_object_get(batch, "inputs"), r);
            last = json_array_get(json_object_get(batch, "targets"), r);
            for (size_t t = 0; t < json_array_size(in); t++) {
                assert_int_equal(inputs[n_stream], json_integer_value(json_array_get(in, t)));
                assert_int_equal(targets[n_stream++], json_integer_value(json_array_get(last, t)));
            }
        }
        assert_int_equal(inputs[n_stream++], json_integer_value(json_array_get(last, json_array_size(last) - 1)));
    }
    assert_true(n_stream <= p.n_rows * T);
    task_rows_close(&rows);
    arena_release(&arena);
}

// Views of the reference from the first row on are our first n_rows.
static bool check_view(const json_t *input, const json_t *expected)
{
    const json_t *stop = json_object_get(input, "stop");
    if (number(input, "start") || json_object_get(input, "step"))
        return false;
    assert_int_equal(mixture_part_examples(number(input, "rows"), 1, stop ? json_integer_value(stop) : -1),
                     json_integer_value(expected));
    return true;
}

static void golden(void **state)
{
    (void)state;
    FILE *file = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!file) {
        print_message("skipped: no " RETORT_SHARED "/golden/chat-2025.jsonl\n");
        skip();
    }
    int n_orders = 0, n_sft = 0, n_mid = 0, n_views = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line)) {
        const char *name = json_string_value(json_object_get(line, "case"));
        const json_t *input = json_object_get(line, "input"), *expected = json_object_get(line, "expected");
        if (strcmp(name, "mixture_order") == 0) {
            check_order(input, expected);
            n_orders++;
        } else if (strcmp(name, "sft_batches") == 0) {
            check_sft(input, expected);
            n_sft++;
        } else if (strcmp(name, "mid_batches") == 0) {
            check_mid(input, expected);
            n_mid++;
        } else if (strcmp(name, "view_length") == 0) {
            n_views += check_view(input, expected);
        }
    }
    fclose(file);
    print_message("%d orders, %d batches of SFT and %d of mid-training, %d views\n", n_orders, n_sft, n_mid, n_views);
    assert_true(n_orders && n_sft && n_mid && n_views);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shares),       cmocka_unit_test(passes_go_over_the_permutation),
                                       cmocka_unit_test(odd_mixtures), cmocka_unit_test(packed),
                                       cmocka_unit_test(padded),       cmocka_unit_test(whole),
                                       cmocka_unit_test(golden)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
