// Bits per byte: the sum by hand, and sums that were cut anywhere and taken up again.
#include "core/eval/bpb.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/core/eval/small_model.h"

enum { T = 16, ROWS = 11 };

static struct error *read_rows(void *self, int64_t first, int n, int width, int32_t *inputs, int32_t *targets)
{
    (void)self;
    (void)width;
    for (int i = 0; i < n * T; i++) {
        uint64_t at = (uint64_t)(first * T + i);
        inputs[i] = (int32_t)(golden_mix(800, at) % SMALL_V);
        targets[i] = at % 7 == 3 ? -1 : (int32_t)(golden_mix(800, at + 1) % SMALL_V);
    }
    return NULL;
}

// Rows of 1 .. T inputs, padded with targets that do not count.
static int short_width(void *self, int64_t row)
{
    (void)self;
    return 1 + (int)(row * 5 % T);
}

static struct error *read_short(void *self, int64_t first, int n, int width, int32_t *inputs, int32_t *targets)
{
    int32_t all_inputs[T], all_targets[T];
    for (int b = 0; b < n; b++) {
        struct error *e = read_rows(self, first + b, 1, T, all_inputs, all_targets);
        if (e)
            return e;
        for (int t = 0; t < width; t++) {
            bool in = t < short_width(self, first + b);
            inputs[b * width + t] = in ? all_inputs[t] : 0;
            targets[b * width + t] = in ? all_targets[t] : -1;
        }
    }
    return NULL;
}

static struct error *stop_at_once(void *self)
{
    ++*(int *)self;
    return error_stopped();
}

static struct bpb measure(struct small_model *s, int device_batch)
{
    struct bpb result;
    assert_null(model_reserve(&s->model, device_batch, T, false));
    assert_null(bpb_measure(&s->model, (struct row_source){.read = read_rows}, ROWS, T, device_batch, s->tokenizer->token_bytes,
                            NULL, NULL, &result));
    return result;
}

static void by_hand(void **state)
{
    (void)state;
    struct small_model s;
    small_model_open(&s);
    struct bpb all = measure(&s, 4);
    double nats = 0, losses[T];
    int64_t n_bytes = 0, n_targets = 0;
    for (int r = 0; r < ROWS; r++) {
        int32_t inputs[T], targets[T];
        assert_null(read_rows(NULL, r, 1, T, inputs, targets));
        struct batch batch = {.B = 1, .T = T, .inputs = inputs, .targets = targets};
        model_loss(&s.model, batch, NULL);
        model_losses(&s.model, batch, losses);
        for (int i = 0; i < T; i++) {
            int bytes = targets[i] < 0 ? 0 : s.tokenizer->token_bytes[targets[i]];
            nats += bytes ? losses[i] : 0;
            n_bytes += bytes;
            n_targets += targets[i] >= 0;
        }
    }
    assert_int_equal(all.bytes, n_bytes);
    assert_int_equal(all.tokens, n_targets);
    assert_int_equal(all.rows, ROWS);
    assert_true(fabs(all.nats - nats) < 1e-9 * nats);
    assert_true(all.bpb == all.nats / (log(2) * (double)n_bytes));
    small_model_close(&s);
}

static void cuts_leave_the_bits(void **state)
{
    (void)state;
    struct small_model s;
    small_model_open(&s);
    struct bpb all = measure(&s, 4);
    for (int device_batch = 1; device_batch <= ROWS + 1; device_batch += 3) {
        struct bpb sums = measure(&s, device_batch);
        assert_memory_equal(&sums, &all, sizeof all);
        sums = (struct bpb){0};
        int n_saved = 0, n_runs = 0;
        struct error *e;
        do {
            e = bpb_go_on(&s.model, (struct row_source){.read = read_rows}, ROWS, T, device_batch, s.tokenizer->token_bytes,
                          (struct bpb_hooks){.self = &n_saved, .save = stop_at_once}, &sums);
            assert_true(!e || e->kind == ERROR_STOPPED);
            assert_int_equal(sums.rows, ++n_runs * device_batch < ROWS ? n_runs * device_batch : ROWS);
            error_free(e);
        } while (sums.rows < ROWS);
        assert_int_equal(n_saved, n_runs);
        assert_memory_equal(&sums, &all, sizeof all);
        assert_null(bpb_go_on(&s.model, (struct row_source){.read = read_rows}, ROWS, T, device_batch, s.tokenizer->token_bytes,
                              (struct bpb_hooks){0}, &sums)); // nothing is left
        assert_memory_equal(&sums, &all, sizeof all);
    }
    small_model_close(&s);
}

static void padding_leaves_the_bits(void **state)
{
    (void)state;
    struct small_model s;
    struct bpb first = {0}, result;
    small_model_open(&s);
    assert_null(model_reserve(&s.model, ROWS, T, false));
    for (int device_batch = 1; device_batch <= ROWS; device_batch += 2) {
        assert_null(bpb_measure(&s.model, (struct row_source){.read = read_short, .width = short_width}, ROWS, T, device_batch,
                                s.tokenizer->token_bytes, NULL, NULL, &result));
        if (device_batch == 1)
            first = result;
        assert_true(result.tokens > ROWS && result.tokens < ROWS * T);
        assert_memory_equal(&result, &first, sizeof first);
    }
    small_model_close(&s);
}

static void no_bytes(void **state)
{
    (void)state;
    struct small_model s;
    struct bpb result;
    small_model_open(&s);
    assert_null(
        bpb_measure(&s.model, (struct row_source){.read = read_rows}, 0, T, 1, s.tokenizer->token_bytes, NULL, NULL, &result));
    assert_true(isinf(result.bpb));
    small_model_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(cuts_leave_the_bits),
                                       cmocka_unit_test(padding_leaves_the_bits), cmocka_unit_test(no_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
