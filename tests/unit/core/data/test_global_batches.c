// test_global_batches.c - 1, 2 and 4 ranks, each reading only its canonical groups, and any device_batch, read the same global batches.
//
// A rank of W has groups g with g * W / 8 equal to its number, and cuts each into micro-batches of device_batch rows, as gradient.c
// does. What it reads it writes into a file at the rows' places, which is held against one of every row read by itself, in order.
#include "tests/unit/folder.h"

#include "core/base/arena.h"
#include "core/data/row_mix.h"

enum { T = 24, DOCUMENTS = 82, TEXTS = 2, BATCHES = 12, R = 22, VOCAB = 5000 };

struct texts {
    struct arena arena;
    struct token_list lists[TEXTS];
    struct rows rows[TEXTS];
    struct row_mix mix;
    struct best_fit plan;
    struct rows packed, some_packed[TEXTS];
    struct row_mix packed_mix;
};

struct reader {
    const char *name;
    struct error *(*read)(struct texts *t, int64_t first, int64_t n, int32_t *inputs, int32_t *targets);
};

static struct error *read_flat(struct texts *t, int64_t first, int64_t n, int32_t *inputs, int32_t *targets)
{
    return rows_read(&t->rows[0], first, n, inputs, targets);
}

static struct error *read_mix(struct texts *t, int64_t first, int64_t n, int32_t *inputs, int32_t *targets)
{
    return row_mix_read(&t->mix, first, n, inputs, targets);
}

static struct error *read_best_fit(struct texts *t, int64_t first, int64_t n, int32_t *inputs, int32_t *targets)
{
    return rows_read(&t->packed, first, n, inputs, targets);
}

// Each text of a mix by its own plan, or flat.
static struct error *read_packed_mix(struct texts *t, int64_t first, int64_t n, int32_t *inputs, int32_t *targets)
{
    return row_mix_read(&t->packed_mix, first, n, inputs, targets);
}

static const struct reader readers[] = {
    {"flat", read_flat}, {"mix", read_mix}, {"best-fit", read_best_fit}, {"packed-mix", read_packed_mix}};

// Documents of 1 to 60 tokens; each token tells where it is from.
static void write_text(const char *path, int text)
{
    struct token_writer w = {.n_vocab = VOCAB};
    int32_t ids[60];
    int next = 2500 * text;
    for (int d = 0; d < DOCUMENTS / (text + 1); d++) {
        int n = 1 + d * 37 % 60;
        for (int i = 0; i < n; i++)
            ids[i] = next++ % VOCAB;
        assert_good(token_writer_add(&w, ids, n));
    }
    assert_good(token_writer_save(&w, path, NULL, 0));
    token_writer_release(&w);
}

// Whether a second epoch begins behind the first row of a group: there a read of several rows has some of both.
static bool begins_inside(int64_t N)
{
    int64_t begin, end, at = N % R;
    bool inside = N < (BATCHES - 1) * R;
    for (int g = 0; g < ROW_GROUPS; g++) {
        group_bounds(R, g, &begin, &end);
        inside &= at != begin;
    }
    return inside;
}

static void open_texts(struct texts *t)
{
    static const char *const paths[TEXTS] = {"0.h5", "1.h5"};
    static const double shares[TEXTS] = {0.6, 0.4};
    *t = (struct texts){0};
    for (int i = 0; i < TEXTS; i++) {
        write_text(paths[i], i);
        assert_good(token_list_open(&t->lists[i], &paths[i], 1, &t->arena));
        assert_good(rows_open(&t->rows[i], &t->lists[i], T, 11));
        assert_true(begins_inside(t->rows[i].N));
    }
    assert_good(row_mix_open(&t->mix, t->rows, shares, TEXTS, &t->arena));
    assert_good(best_fit_make(&t->plan, &t->lists[0], T, "plan.h5", NULL, NULL));
    assert_good(best_fit_save(&t->plan, "plan.h5", NULL, 0));
    best_fit_release(&t->plan);
    assert_good(best_fit_open(&t->plan, "plan.h5", &t->lists[0], T));
    assert_good(rows_open_packed(&t->packed, &t->lists[0], &t->plan, 11));
    assert_true(begins_inside(t->packed.N));
    t->some_packed[0] = t->packed;
    t->some_packed[1] = t->rows[1];
    assert_good(row_mix_open(&t->packed_mix, t->some_packed, shares, TEXTS, &t->arena));
}

static void close_texts(struct texts *t)
{
    for (int i = 0; i < TEXTS; i++)
        token_list_close(&t->lists[i]);
    best_fit_release(&t->plan);
    arena_release(&t->arena);
}

// Every row by itself, whatever groups are.
static void read_one_by_one(struct texts *t, const struct reader *reader, const char *path)
{
    int32_t inputs[T], targets[T];
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int64_t row = 0; row < BATCHES * R; row++) {
        assert_good(reader->read(t, row, 1, inputs, targets));
        assert_int_equal(fwrite(inputs, sizeof *inputs, T, f), T);
        assert_int_equal(fwrite(targets, sizeof *targets, T, f), T);
    }
    fclose(f);
}

// One rank's part of all global batches, in the file's places of these rows; n_read[R * BATCHES] counts them.
static void read_rank(struct texts *t, const struct reader *reader, int rank, int ranks, int device_batch, const char *path,
                      int *n_read)
{
    static int32_t inputs[R * T], targets[R * T];
    FILE *f = fopen(path, rank ? "r+" : "w");
    assert_non_null(f);
    for (int64_t batch = 0; batch < BATCHES; batch++)
        for (int g = 0; g < ROW_GROUPS; g++) {
            int64_t begin, end;
            group_bounds(R, g, &begin, &end);
            if (g * ranks / ROW_GROUPS != rank)
                continue;
            for (int64_t row = begin; row < end; row += device_batch) {
                int64_t n = end - row < device_batch ? end - row : device_batch, at = batch * R + row;
                assert_good(reader->read(t, at, n, inputs, targets));
                assert_int_equal(fseek(f, at * 2 * T * (long)sizeof *inputs, SEEK_SET), 0);
                for (int64_t i = 0; i < n; i++) {
                    n_read[at + i]++;
                    assert_int_equal(fwrite(inputs + i * T, sizeof *inputs, T, f), T);
                    assert_int_equal(fwrite(targets + i * T, sizeof *targets, T, f), T);
                }
            }
        }
    fclose(f);
}

static void ranks_and_micro_batches_cannot_be_seen(void **state)
{
    (void)state;
    static const int device_batches[] = {1, 4, 16};
    struct texts t;
    open_texts(&t);
    for (size_t k = 0; k < countof(readers); k++) {
        read_one_by_one(&t, &readers[k], "one");
        for (int ranks = 1; ranks <= 4; ranks *= 2)
            for (size_t b = 0; b < countof(device_batches); b++) {
                int n_read[BATCHES * R] = {0};
                for (int rank = 0; rank < ranks; rank++)
                    read_rank(&t, &readers[k], rank, ranks, device_batches[b], "many", n_read);
                for (int row = 0; row < BATCHES * R; row++)
                    assert_int_equal(n_read[row], 1); // by one rank, once
                if (system("cmp one many"))
                    fail_msg("%s: %d ranks with device_batch %d read something else", readers[k].name, ranks, device_batches[b]);
            }
        assert_int_equal(rename("one", readers[k].name), 0);
    }
    assert_int_not_equal(system("cmp -s flat mix"), 0);
    assert_int_not_equal(system("cmp -s flat best-fit"), 0);
    assert_int_not_equal(system("cmp -s mix packed-mix"), 0);
    close_texts(&t);
}

// A run that goes on at batch 5 reads what one from the start reads there: nothing is replayed.
static void a_resume_replays_nothing(void **state)
{
    (void)state;
    struct texts t;
    static int32_t all[BATCHES * R * T], targets[BATCHES * R * T], some[R * T], next[R * T];
    open_texts(&t);
    for (size_t k = 0; k < countof(readers); k++) {
        assert_good(readers[k].read(&t, 0, BATCHES * R, all, targets));
        close_texts(&t);
        open_texts(&t);
        assert_good(readers[k].read(&t, 5 * R, R, some, next));
        assert_memory_equal(some, all + 5 * R * T, sizeof some);
        assert_memory_equal(next, targets + 5 * R * T, sizeof next);
    }
    close_texts(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks_and_micro_batches_cannot_be_seen),
                                       cmocka_unit_test(a_resume_replays_nothing)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
