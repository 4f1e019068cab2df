// test_prefetch.c - what is taken is what was asked for, read elsewhere; what was not asked for is read all the same.
#include "tests/unit/folder.h"

#include <pthread.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/model/model.h"
#include "core/train/gradient.h"
#include "tests/unit/core/eval/small_model.h"

enum { T = 4, WIDTH = 12, BAD_ROW = 1000 };

struct source {
    pthread_t by;    // who read last
    int64_t n_reads; // so far
    bool is_slow;
};

static struct error *read_rows(void *self, int64_t first, int n, int width, int32_t *inputs, int32_t *targets)
{
    struct source *s = self;
    s->by = pthread_self();
    s->n_reads++;
    if (s->is_slow)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (first >= BAD_ROW)
        return error_plain(ERROR_DATA, "row %lld is bad", (long long)first);
    for (int i = 0; i < n * width; i++) {
        inputs[i] = (int32_t)(first * width + i);
        targets[i] = inputs[i] + 1;
    }
    return NULL;
}

static void holds(const int32_t *inputs, const int32_t *targets, int64_t first, int n)
{
    for (int i = 0; i < n * T; i++) {
        assert_int_equal(inputs[i], first * T + i);
        assert_int_equal(targets[i], inputs[i] + 1);
    }
}

static void what_was_asked_for_is_read_by_the_thread(void **state)
{
    (void)state;
    struct source source = {.is_slow = true};
    int32_t inputs[2][3 * T], targets[2][3 * T];
    struct prefetch *p;
    assert_good(prefetch_open(&p, (struct row_source){.self = &source, .read = read_rows}));
    assert_good(prefetch_take(p, 5, 3, T, inputs[0], targets[0]));
    assert_true(pthread_equal(source.by, pthread_self())); // nobody had asked
    holds(inputs[0], targets[0], 5, 3);
    prefetch_ask(p, 8, 2, T, inputs[1], targets[1]);
    holds(inputs[0], targets[0], 5, 3); // the other pair is left alone
    assert_good(prefetch_take(p, 8, 2, T, inputs[1], targets[1]));
    assert_false(pthread_equal(source.by, pthread_self()));
    holds(inputs[1], targets[1], 8, 2);
    assert_int_equal(source.n_reads, 2);
    prefetch_close(p);
    prefetch_close(NULL);
}

static void what_is_not_taken_is_dropped(void **state)
{
    (void)state;
    struct source source = {.is_slow = true};
    int32_t inputs[2 * T], targets[2 * T];
    struct prefetch *p;
    assert_good(prefetch_open(&p, (struct row_source){.self = &source, .read = read_rows}));
    static const struct {
        int64_t first;
        int n;
    } others[] = {{7, 2}, {6, 1}};
    for (size_t i = 0; i < countof(others); i++) {
        prefetch_ask(p, 6, 2, T, inputs, targets);
        assert_good(prefetch_take(p, others[i].first, others[i].n, T, inputs, targets));
        holds(inputs, targets, others[i].first, others[i].n);
    }
    prefetch_ask(p, 6, 2, T, inputs, targets);
    prefetch_ask(p, 9, 1, T, inputs, targets);
    assert_good(prefetch_take(p, 9, 1, T, inputs, targets));
    holds(inputs, targets, 9, 1);
    assert_int_equal(source.n_reads, 6);
    prefetch_ask(p, 6, 2, T, inputs, targets); // closed while it reads
    prefetch_close(p);
}

static void errors_come_with_their_rows(void **state)
{
    (void)state;
    struct source source = {0};
    int32_t inputs[T], targets[T];
    struct prefetch *p;
    assert_good(prefetch_open(&p, (struct row_source){.self = &source, .read = read_rows}));
    prefetch_ask(p, BAD_ROW, 1, T, inputs, targets);
    assert_error(prefetch_take(p, BAD_ROW, 1, T, inputs, targets), ERROR_DATA, "row 1000 is bad");
    prefetch_ask(p, BAD_ROW, 1, T, inputs, targets);
    assert_good(prefetch_take(p, 1, 1, T, inputs, targets)); // the bad row was not wanted in the end
    holds(inputs, targets, 1, 1);
    assert_error(prefetch_take(p, BAD_ROW + 1, 1, T, inputs, targets), ERROR_DATA, "row 1001 is bad");
    prefetch_ask(p, BAD_ROW, 1, T, inputs, targets); // nor taken at all
    prefetch_close(p);
}

// Rows of widths 0 to T, as fine-tuning has them.
static int ragged_width(void *self, int64_t row)
{
    (void)self;
    return (int)(row * 7 % (WIDTH + 1));
}

static struct error *read_ragged(void *self, int64_t first, int n, int width, int32_t *inputs, int32_t *targets)
{
    struct source *s = self;
    s->n_reads++;
    for (int64_t row = first; row < first + n; row++)
        for (int t = 0; t < width; t++, inputs++, targets++) {
            bool there = t < ragged_width(self, row);
            *inputs = there ? (int32_t)((row * 31 + t * 7) % SMALL_V) : 0;
            *targets = there ? (int32_t)((row * 31 + t * 7 + 7) % SMALL_V) : -1;
        }
    return NULL;
}

// The loss of some batches with a little of their gradients, and how often rows were read.
static void train(double *losses, int n, bool ahead, int device_batch, int64_t *n_reads)
{
    enum { R = 19 };
    struct small_model f;
    struct gradient gradient;
    struct source source = {0};
    struct row_source rows = {.self = &source, .read = read_ragged, .width = ragged_width, .n_targets = ragged_width};
    small_model_open(&f);
    assert_good(model_reserve(&f.model, device_batch, WIDTH, true));
    assert_good(gradient_open(&gradient, &f.model, R, WIDTH, device_batch));
    if (ahead)
        assert_good(prefetch_open(&gradient.ahead, rows));
    for (int step = 0; step < n; step++) {
        const struct tensor *sum;
        assert_good(gradient_of_rows(&gradient, rows, step * R, &losses[step], &sum));
        float some[8];
        device_get(f.model.dev, some, sum[0], 0, countof(some));
        for (size_t i = 0; i < countof(some); i++)
            losses[step] += (double)some[i];
    }
    prefetch_close(gradient.ahead);
    *n_reads = source.n_reads;
    small_model_close(&f);
}

static void gradients_are_the_same(void **state)
{
    (void)state;
    enum { STEPS = 4 };
    for (int device_batch = 1; device_batch <= 4; device_batch++) {
        double plain[STEPS], ahead[STEPS];
        int64_t n_plain, n_ahead;
        train(plain, STEPS, false, device_batch, &n_plain);
        train(ahead, STEPS, true, device_batch, &n_ahead);
        assert_memory_equal(plain, ahead, sizeof plain);
        assert_int_equal(n_ahead, n_plain + 1); // each asked for as it was taken; the one behind the end was read for nothing
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_asked_for_is_read_by_the_thread),
                                       cmocka_unit_test(what_is_not_taken_is_dropped),
                                       cmocka_unit_test(errors_come_with_their_rows), cmocka_unit_test(gradients_are_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
