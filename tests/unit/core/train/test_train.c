// Schedules at listed points; gradients and training that cannot tell how a batch is cut or how many threads there are.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/train/loop.h"

enum { T = 24, V = 50, R = 13 };

static void schedule_points(void **state)
{
    (void)state;
    struct schedule s = {.n_steps = 21400, .warmup = 0, .warmdown = 0.2, .final_lr = 0};
    assert_true(schedule_lr(&s, 0) == 1);
    assert_true(schedule_lr(&s, 17120) == 1);
    assert_true(fabs(schedule_lr(&s, 17121) - 4279.0 / 4280) < 1e-15);
    assert_true(fabs(schedule_lr(&s, 21399) - 1.0 / 4280) < 1e-15);
    s.warmup = 0.1;
    s.final_lr = 0.5;
    assert_true(fabs(schedule_lr(&s, 0) - 1.0 / 2140) < 1e-15);
    assert_true(fabs(schedule_lr(&s, 21400 - 2140) - 0.75) < 1e-15);
    assert_true(schedule_momentum(&s, 0) == 0.85);
    assert_true(fabs(schedule_momentum(&s, 150) - 0.9) < 1e-15);
    assert_true(schedule_momentum(&s, 5000) == 0.95);
}

static void horizons(void **state)
{
    (void)state;
    static const struct {
        int depth;
        int64_t steps;
    } known[] = {{4, 1400}, {8, 3520}, {12, 7080}, {16, 12800}, {20, 21400}, {26, 41275}, {30, 60225}, {32, 71680}};
    struct shape s;
    struct horizon h = {INT64_MIN, INT64_MIN, NAN, 20};
    for (size_t i = 0; i < countof(known); i++) {
        assert_null(shape_from_depth(&s, known[i].depth, 65536, 2048));
        assert_int_equal(horizon_steps(&h, &s, 524288), known[i].steps);
    }
    assert_null(shape_from_depth(&s, 20, 65536, 2048));
    h = (struct horizon){INT64_MIN, INT64_MIN, 3.917670e19, NAN};
    assert_int_equal(horizon_steps(&h, &s, 524288), 21400);
    h = (struct horizon){INT64_MIN, 1000000, NAN, NAN};
    assert_int_equal(horizon_steps(&h, &s, 524288), 1);
    h = (struct horizon){17, INT64_MIN, NAN, NAN};
    assert_int_equal(horizon_steps(&h, &s, 524288), 17);
}

// Row i of an endless made-up text.
static struct error *read_rows(void *self, int64_t first, int n, int width, int32_t *inputs, int32_t *targets)
{
    (void)self;
    (void)width;
    for (int64_t i = 0; i < (int64_t)n * T; i++) {
        uint64_t at = (uint64_t)(first * T + i);
        inputs[i] = (int32_t)(at * 2654435761u >> 7) % V;
        targets[i] = (int32_t)((at + 1) * 2654435761u >> 7) % V;
        inputs[i] = inputs[i] < 0 ? -inputs[i] : inputs[i];
        targets[i] = targets[i] < 0 ? -targets[i] : targets[i];
    }
    return NULL;
}

struct trainer {
    struct loop loop;
    int n_evaluated, n_saved;
    int64_t stop_at; // ask to save before this step, -1: never
    double last_loss;
};

static struct error *evaluate(void *self, int64_t step)
{
    (void)step;
    ((struct trainer *)self)->n_evaluated++;
    return NULL;
}

static bool save_due(void *self)
{
    struct trainer *t = self;
    return t->loop.step == t->stop_at;
}

static struct error *save(void *self, int64_t step)
{
    (void)step;
    ((struct trainer *)self)->n_saved++;
    return NULL;
}

// The same rows cut to different lengths and weighted, every fifth of them left out, as answers and rollouts are.
static int ragged_width(void *self, int64_t row)
{
    (void)self;
    return row % 5 == 3 ? 0 : 1 + (int)(row * 7 % T);
}

static int ragged_targets(void *self, int64_t row)
{
    (void)self;
    int width = 1 + (int)(row * 7 % T);
    return (width + 1) / 2;
}

static double ragged_weight(void *self, int64_t row)
{
    (void)self;
    return row % 5 == 3 ? 0 : (double)(row % 3) - 0.5;
}

static struct error *read_ragged(void *self, int64_t first, int n, int width, int32_t *inputs, int32_t *targets)
{
    int32_t whole[2][T];
    for (int i = 0; i < n; i++) {
        struct error *e = read_rows(self, first + i, 1, T, whole[0], whole[1]);
        if (e)
            return e;
        int end = ragged_width(self, first + i);
        assert_true(end > 0 && end <= width);
        for (int t = 0; t < width; t++) {
            inputs[i * width + t] = t < end ? whole[0][t] : V - 1;
            targets[i * width + t] = t < end && t % 2 == 0 ? whole[1][t] : -1;
        }
    }
    return NULL;
}

static const struct row_source ragged = {
    .read = read_ragged, .width = ragged_width, .n_targets = ragged_targets, .weight = ragged_weight};

static struct error *report(void *self, const struct step_report *r)
{
    ((struct trainer *)self)->last_loss = r->loss;
    return NULL;
}

struct course {
    enum precision precision;
    int steps;
};

// Trains a tiny model and returns all its parameters, in a block; *loss is the last one.
static float *train(struct course course, struct row_source rows, int threads, int device_batch, double *loss, size_t *n_values)
{
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_CPU, threads, &fault);
    assert_non_null(dev);
    device_set_precision(dev, course.precision);
    struct shape shape = {.n_layer = 2,
                          .n_embd = 48,
                          .n_head = 3,
                          .n_kv_head = 3,
                          .head_dim = 16,
                          .n_mlp = 96,
                          .n_vocab = V,
                          .n_vocab_padded = V,
                          .seq_len = T,
                          .norm_eps = 0x1p-23,
                          .rope_base = 10000,
                          .softcap = 15};
    struct model m;
    struct optimizer o;
    struct gradient g;
    struct rates rates = {.matrix_lr = 0.02, .embedding_lr = 0.2, .unembedding_lr = 0.004, .grad_clip = 1};
    assert_null(model_open(&m, dev, &shape, &arena));
    model_init_weights(&m, 5);
    assert_null(model_reserve(&m, device_batch, T, true));
    assert_null(optimizer_open(&o, &m, &rates));
    assert_null(gradient_open(&g, &m, R, T, device_batch));
    struct trainer t = {.stop_at = 3};
    t.loop = (struct loop){.model = &m,
                           .optimizer = &o,
                           .gradient = &g,
                           .rows = rows,
                           .schedule = {.n_steps = course.steps, .warmdown = 0.2},
                           .eval_every = 2,
                           .sample_every = -1,
                           .self = &t,
                           .own = &t,
                           .evaluate = evaluate,
                           .save_due = save_due,
                           .save = save,
                           .report = report,
                           .evaluated_step = -1,
                           .sampled_step = -1};
    assert_null(loop_run(&t.loop));
    assert_int_equal(t.n_evaluated, (course.steps + 1) / 2 + 1); // 0 2 4 6 and the end, 7
    assert_int_equal(t.n_saved, 1);
    *loss = t.last_loss;
    *n_values = (size_t)shape_params(&shape);
    float *values = block_alloc(*n_values * sizeof *values), *to = values;
    for (int i = 0; i < m.n_params; i++) {
        int64_t n = m.params[i].rows * m.params[i].cols;
        device_get(dev, to, m.params[i].w.master, 0, n);
        to += n;
    }
    device_close(dev);
    arena_release(&arena);
    return values;
}

static void check_cuts(struct course course, struct row_source rows, double most_loss)
{
    double loss, other_loss;
    size_t n, other_n;
    float *whole = train(course, rows, 1, R, &loss, &n);
    assert_true(isfinite(loss) && loss < most_loss);
    static const int cuts[][2] = {{1, 1}, {2, 2}, {3, 4}, {3, 5}, {2, R}};
    for (size_t i = 0; i < countof(cuts); i++) {
        float *other = train(course, rows, cuts[i][0], cuts[i][1], &other_loss, &other_n);
        assert_true(n == other_n);
        assert_true(loss == other_loss);
        assert_memory_equal(whole, other, n * sizeof *whole);
        block_free(other);
    }
    block_free(whole);
}

static void cuts_and_threads_leave_the_bits(void **state)
{
    (void)state;
    check_cuts((struct course){PRECISION_F32, 7}, (struct row_source){.read = read_rows}, log(V));
}

static void cuts_and_threads_leave_the_bits_of_bf16(void **state)
{
    (void)state;
    check_cuts((struct course){PRECISION_BF16, 30}, (struct row_source){.read = read_rows}, log(V));
}

// The width of a micro-batch is that of its longest row, so the cut decides how far the others are padded.
static void padding_leaves_the_bits(void **state)
{
    (void)state;
    check_cuts((struct course){PRECISION_F32, 7}, ragged, 2 * log(V));
    check_cuts((struct course){PRECISION_BF16, 7}, ragged, 2 * log(V));
}

// The loss of a batch of ragged rows is the sum of weight * loss over its targets by their number, those of left-out rows included.
static void ragged_rows_count_targets(void **state)
{
    (void)state;
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_REF, 1, &fault);
    struct shape shape;
    struct model m;
    struct gradient g;
    const struct tensor *sum;
    double loss, expected = 0, losses[T];
    int64_t n_targets = 0;
    int32_t inputs[T], targets[T];
    assert_null(shape_from_depth(&shape, 1, V, T));
    assert_null(model_open(&m, dev, &shape, &arena));
    model_init_weights(&m, 5);
    float head[64];
    for (int i = 0; i < 64; i++)
        head[i] = (float)(i % 7 - 3) / 8;
    device_put(dev, m.params[m.lm_head].w.master, 0, 64, head); // else all losses are log V
    model_prepare(&m);
    assert_null(model_reserve(&m, 3, T, true));
    assert_null(gradient_open(&g, &m, R, T, 3));
    assert_null(gradient_of_rows(&g, ragged, 11, &loss, &sum));
    for (int64_t row = 11; row < 11 + R; row++) {
        n_targets += ragged_targets(NULL, row);
        int width = ragged_width(NULL, row);
        if (!width)
            continue;
        assert_null(read_ragged(NULL, row, 1, width, inputs, targets));
        struct batch batch = {.B = 1, .T = width, .inputs = inputs, .targets = targets};
        model_loss(&m, batch, NULL);
        model_losses(&m, batch, losses);
        for (int t = 0; t < width; t++)
            expected += ragged_weight(NULL, row) * losses[t];
    }
    assert_int_equal(g.n_targets, n_targets);
    assert_true(fabs(loss - expected / (double)n_targets) < 1e-12);
    device_close(dev);
    arena_release(&arena);
}

static struct error *bad_rows(void *self, int64_t first, int n, int width, int32_t *inputs, int32_t *targets)
{
    struct trainer *t = self;
    struct error *e = read_rows(NULL, first, n, width, inputs, targets);
    if (t->loop.step == 2) { // poison the parameters, as a diverging run would
        float nan = NAN;
        device_put(t->loop.model->dev, t->loop.model->params[0].w.master, 0, 1, &nan);
        inputs[0] = 0;
    }
    return e;
}

static void a_loss_that_is_not_finite_stops(void **state)
{
    (void)state;
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_CPU, 1, &fault);
    struct shape shape;
    struct model m;
    struct optimizer o;
    struct gradient g;
    struct rates rates = {.matrix_lr = 0.02, .embedding_lr = 0.2, .unembedding_lr = 0.004, .grad_clip = 1};
    assert_null(shape_from_depth(&shape, 1, V, T));
    assert_null(model_open(&m, dev, &shape, &arena));
    model_init_weights(&m, 5);
    assert_null(model_reserve(&m, 2, T, true));
    assert_null(optimizer_open(&o, &m, &rates));
    assert_null(gradient_open(&g, &m, 2, T, 2));
    struct trainer t = {.stop_at = -1};
    t.loop = (struct loop){.model = &m,
                           .optimizer = &o,
                           .gradient = &g,
                           .rows = {.self = &t, .read = bad_rows},
                           .schedule = {.n_steps = 7},
                           .sample_every = -1,
                           .self = &t,
                           .own = &t,
                           .evaluate = evaluate,
                           .save_due = save_due,
                           .save = save,
                           .report = report,
                           .evaluated_step = -1,
                           .sampled_step = -1};
    struct error *e = loop_run(&t.loop);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_FAILED);
    assert_non_null(strstr(e->what, "not finite at step 3 (rows 4 to 5)"));
    assert_non_null(strstr(e->what, "the values of transformer.wte"));
    assert_int_equal(t.n_saved, 0);
    error_free(e);

    // What an update spoiled is neither saved nor finished, though no loss has shown it yet.
    float nan = NAN;
    model_init_weights(&m, 5);
    device_put(dev, m.params[m.lm_head].w.master, 7, 1, &nan);
    t.loop.step = t.stop_at = 5;
    t.loop.evaluated_step = -1;
    e = loop_run(&t.loop);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "the values of lm_head are not finite after step 5 (rows 8 to 9)"));
    error_free(e);
    t.loop.step = 7;
    t.n_evaluated = 0;
    e = loop_run(&t.loop);
    assert_non_null(e);
    assert_int_equal(t.n_saved + t.n_evaluated, 0);
    error_free(e);
    device_close(dev);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(schedule_points),
                                       cmocka_unit_test(horizons),
                                       cmocka_unit_test(cuts_and_threads_leave_the_bits),
                                       cmocka_unit_test(cuts_and_threads_leave_the_bits_of_bf16),
                                       cmocka_unit_test(padding_leaves_the_bits),
                                       cmocka_unit_test(ragged_rows_count_targets),
                                       cmocka_unit_test(a_loss_that_is_not_finite_stops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
