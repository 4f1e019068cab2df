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
    struct horizon h = {INT64_MIN, INT64_MIN, NAN, 20, false};
    for (size_t i = 0; i < countof(known); i++) {
        assert_null(shape_from_depth(&s, known[i].depth, 65536, 2048));
        assert_int_equal(horizon_steps(&h, &s, 524288), known[i].steps);
    }
    assert_null(shape_from_depth(&s, 20, 65536, 2048));
    h = (struct horizon){INT64_MIN, INT64_MIN, 3.917670e19, NAN, false};
    assert_int_equal(horizon_steps(&h, &s, 524288), 21400);
    h = (struct horizon){INT64_MIN, 1000000, NAN, NAN, false};
    assert_int_equal(horizon_steps(&h, &s, 524288), 1);
    h = (struct horizon){17, INT64_MIN, NAN, NAN, false};
    assert_int_equal(horizon_steps(&h, &s, 524288), 17);
}

// Values computed by hand from the formulas of 2026 for 2520 steps: 1638 of them are warm-down.
static void schedule_points_2026(void **state)
{
    (void)state;
    struct schedule s = schedule_2026(2520);
    assert_true(fabs(schedule_lr(&s, 0) - 1.0 / 40) < 1e-15);
    assert_true(schedule_lr(&s, 39) == 1 && schedule_lr(&s, 882) == 1);
    assert_true(fabs(schedule_lr(&s, 883) - (1637.0 / 1638 + 0.05 / 1638)) < 1e-15);
    assert_true(fabs(schedule_lr(&s, 1701) - 0.525) < 1e-15);
    assert_true(schedule_momentum(&s, 0) == 0.85);
    assert_true(fabs(schedule_momentum(&s, 200) - 0.91) < 1e-15);
    assert_true(fabs(schedule_momentum(&s, 500) - 0.97) < 1e-15);
    assert_true(fabs(schedule_momentum(&s, 1701) - 0.935) < 1e-15);
    assert_true(schedule_decay(&s, 0) == 1);
    assert_true(fabs(schedule_decay(&s, 1260) - 0.5) < 1e-15);
    assert_true(fabs(schedule_decay(&s, 840) - 0.75) < 1e-15);
    // A short run warms up into its warm-down, and is over before the momentum is: no ramp down.
    s = schedule_2026(60);
    assert_true(fabs(schedule_lr(&s, 30) - 31.0 / 40) < 1e-15);
    assert_true(fabs(schedule_lr(&s, 40) - (20.0 / 39 + 0.05 * 19 / 39)) < 1e-15);
    assert_true(fabs(schedule_momentum(&s, 59) - (0.85 + 0.12 * 59 / 400)) < 1e-15);
    // At 2025's none of it moves.
    s = (struct schedule){.n_steps = 100, .warmdown = 0.2};
    assert_true(schedule_decay(&s, 99) == 1 && schedule_momentum(&s, 99) > 0.88);
}

// The published table of depths: vocabulary 32,768, 2,048 tokens, heads of 128, 12 tokens a scaling parameter.
static void depths_2026(void **state)
{
    (void)state;
    static const struct {
        int depth, n_embd;
        int64_t params, scaling;
        double flops;
        int log_batch;
        int64_t steps;
        double lr_scale, decay;
    } known[] = {{4, 256, 36700242, 11534384, 8.0217e7, 18, 528, 0.7071, 1.88990},
                 {6, 384, 73531538, 23199852, 1.6751e8, 18, 1062, 0.7071, 0.93961},
                 {8, 512, 125829354, 41943232, 2.9570e8, 18, 1920, 0.7071, 0.51972},
                 {10, 640, 195952986, 70123820, 4.9545e8, 19, 1605, 1, 0.43963},
                 {12, 768, 286261730, 110100912, 7.5970e8, 19, 2520, 1, 0.28},
                 {14, 896, 399114882, 164233804, 1.1285e9, 19, 3759, 1, 0.18771},
                 {16, 1024, 536871738, 234881792, 1.5855e9, 19, 5376, 1, 0.13125},
                 {18, 1152, 701891594, 324404172, 2.1800e9, 20, 3712, 1.4142, 0.13439},
                 {20, 1280, 896533746, 435160240, 2.8862e9, 20, 4980, 1.4142, 0.10019},
                 {22, 1408, 1123157490, 569509292, 3.7631e9, 20, 6517, 1.4142, 0.07655},
                 {24, 1536, 1384122122, 729810624, 4.7752e9, 20, 8352, 1.4142, 0.05974},
                 {26, 1664, 1681786938, 918423532, 5.9911e9, 20, 10510, 1.4142, 0.04747},
                 {28, 1792, 2018511234, 1137707312, 7.3657e9, 20, 13020, 1.4142, 0.03832},
                 {32, 2048, 2818575450, 1677724672, 1.0771e10, 21, 9600, 2, 0.03675}};
    struct horizon h = {INT64_MIN, INT64_MIN, NAN, 12, true};
    struct shape s, s12;
    assert_null(shape_from_depth_2026(&s12, 12, SHAPE_ASPECT_2026, SHAPE_HEAD_DIM_2026, 32768, 2048));
    for (size_t i = 0; i < countof(known); i++) {
        assert_null(shape_from_depth_2026(&s, known[i].depth, SHAPE_ASPECT_2026, SHAPE_HEAD_DIM_2026, 32768, 2048));
        assert_int_equal(s.n_embd, known[i].n_embd);
        assert_true(shape_params(&s) == known[i].params);
        assert_true(shape_scaling_params(&s) == known[i].scaling);
        assert_true(fabs(shape_flops_per_token(&s) / known[i].flops - 1) < 5.1e-5);
        struct scaling_law law = scaling_law_2026(shape_scaling_params(&s), shape_scaling_params(&s12), 12, 0);
        assert_int_equal(law.batch_tokens, (int64_t)1 << known[i].log_batch);
        assert_int_equal(horizon_steps(&h, &s, law.batch_tokens), known[i].steps);
        assert_true(fabs(law.lr_scale - known[i].lr_scale) < 5.1e-5);
        assert_true(fabs(0.28 * law.decay_scale - known[i].decay) < 5.1e-6);
    }
    // The recipe for a processor: depth 6 with heads of 64, a batch of its own.
    assert_null(shape_from_depth_2026(&s, 6, SHAPE_ASPECT_2026, 64, 32768, 512));
    assert_null(shape_from_depth_2026(&s12, 12, SHAPE_ASPECT_2026, 64, 32768, 512));
    s.window_pattern = s.window_short = 0;
    assert_null(shape_check(&s));
    assert_true(shape_params(&s) == 73531646 && shape_scaling_params(&s) == 23199960);
    assert_true(fabs(shape_flops_per_token(&s) / 1.5336e8 - 1) < 5e-5);
    struct scaling_law law = scaling_law_2026(shape_scaling_params(&s), shape_scaling_params(&s12), 12, 16384);
    assert_true(fabs(law.lr_scale - 0.17678) < 5.1e-6 && fabs(0.28 * law.decay_scale - 0.23490) < 5.1e-6);
    // Odd depths are nudged up to whole heads.
    assert_null(shape_from_depth_2026(&s, 11, SHAPE_ASPECT_2026, SHAPE_HEAD_DIM_2026, 32768, 2048));
    assert_int_equal(s.n_embd, 768);
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
    bool is_2026;
};

// Trains a tiny model, of 2025 or with all that 2026 adds, and returns all its parameters, in a block; *loss is the last one.
static float *train(struct course course, struct row_source rows, int threads, int device_batch, double *loss, size_t *n_values)
{
    struct fault fault;
    struct arena arena = {0};
    struct device *dev = device_open(DEVICE_CPU, threads, &fault);
    assert_non_null(dev);
    device_set_alone(dev, 0);
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
    if (course.is_2026) {
        assert_null(shape_from_depth_2026(&shape, 3, 16, 16, V, T));
        shape.window_short = 7;
        rates.scalar_lr = 0.5;
        rates.weight_decay = 0.28;
    }
    struct optimizer_laws laws = course.is_2026 ? optimizer_laws_2026(&shape, &rates, 1, 1) : optimizer_laws_2025(&shape, &rates);
    assert_null(model_open(&m, dev, &shape, &arena));
    if (course.is_2026)
        model_init_weights_2026(&m, 5);
    else
        model_init_weights(&m, 5);
    assert_null(model_reserve(&m, device_batch, T, true));
    assert_null(optimizer_open_with(&o, &m, &laws));
    assert_null(gradient_open(&g, &m, R, T, device_batch));
    struct trainer t = {.stop_at = 3};
    t.loop = (struct loop){.model = &m,
                           .optimizer = &o,
                           .gradient = &g,
                           .rows = rows,
                           .schedule = course.is_2026 ? schedule_2026(course.steps)
                                                       : (struct schedule){.n_steps = course.steps, .warmdown = 0.2},
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
    check_cuts((struct course){PRECISION_F32, 7, false}, (struct row_source){.read = read_rows}, log(V));
    check_cuts((struct course){PRECISION_F32, 7, true}, (struct row_source){.read = read_rows}, log(V));
}

static void cuts_and_threads_leave_the_bits_of_bf16(void **state)
{
    (void)state;
    check_cuts((struct course){PRECISION_BF16, 30, false}, (struct row_source){.read = read_rows}, log(V));
    check_cuts((struct course){PRECISION_BF16, 7, true}, (struct row_source){.read = read_rows}, log(V));
}

// The width of a micro-batch is that of its longest row, so the cut decides how far the others are padded.
static void padding_leaves_the_bits(void **state)
{
    (void)state;
    check_cuts((struct course){PRECISION_F32, 7, false}, ragged, 2 * log(V));
    check_cuts((struct course){PRECISION_F32, 7, true}, ragged, 2 * log(V));
    check_cuts((struct course){PRECISION_BF16, 7, false}, ragged, 2 * log(V));
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
                                       cmocka_unit_test(schedule_points_2026),
                                       cmocka_unit_test(depths_2026),
                                       cmocka_unit_test(cuts_and_threads_leave_the_bits),
                                       cmocka_unit_test(cuts_and_threads_leave_the_bits_of_bf16),
                                       cmocka_unit_test(padding_leaves_the_bits),
                                       cmocka_unit_test(ragged_rows_count_targets),
                                       cmocka_unit_test(a_loss_that_is_not_finite_stops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
