// test_work.c - what a stage is said to take: counts against the specification and against what runs, times by probes and profiles.
#include "place.h"

#include <math.h>

#include "core/train/gradient.h"
#include "core/train/optimizer.h"
#include "runner/graph/work.h"

static const struct plan_stage *stage(struct place_of_test *p, const char *name)
{
    const struct plan_stage *s = plan_stage(&p->plan, name);
    assert_non_null(s);
    return s;
}

static void is_near(double value, double expected, double relative)
{
    if (!(fabs(value - expected) <= relative * fabs(expected)))
        fail_msg("%.9g is not near %.9g", value, expected);
}

// The reference's table: vocabulary 65,536, length 2,048, 20 tokens a parameter, batches of 524,288 tokens.
static void depths_of_the_reference(void **state)
{
    static const struct {
        int depth;
        int64_t params, steps, tokens;
        double flops_per_token, flops;
    } rows[] = {{4, 36700160, 1400, 734003200, 1.447e8, 1.06e17},
                {8, 92274688, 3520, 1845493760, 4.530e8, 8.36e17},
                {12, 185597952, 7080, 3711959040, 1.038e9, 3.85e18},
                {16, 335544320, 12800, 6710886400, 2.013e9, 1.35e19},
                {20, 560988160, 21400, 11219763200, 3.491758e9, 3.917670e19},
                {26, 1081999360, 41275, 21639987200, 6.900941e9, 1.493363e20},
                {30, 1578762240, 60225, 31575244800, 1.013318e10, 3.199575e20},
                {32, 1879048192, 71680, 37580963840, 1.207960e10, 4.539628e20}};
    struct place_of_test *p = *state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *text = with(&p->arena, RECIPE, "vocab: 300", "vocab: 65536");
        text = with(&p->arena, text, "    seq_len: 64\n    batch_tokens: 1024\n    steps: 10\n", "");
        text = with(&p->arena, text, "eval_tokens: 1024", "eval_tokens: 2048"); // a row at least
        make_plan(p, with(&p->arena, text, "depth: 2", arena_printf(&p->arena, "depth: %d", rows[i].depth)));
        const struct plan_stage *base = stage(p, "base");
        assert_int_equal(base->params, rows[i].params);
        assert_int_equal(base->tokens, rows[i].tokens);
        assert_int_equal(base->tokens / 524288, rows[i].steps);
        is_near(base->flops / (double)base->tokens, rows[i].flops_per_token, rows[i].depth < 20 ? 5e-4 : 5e-7);
        is_near(base->flops, rows[i].flops, rows[i].depth < 20 ? 5e-3 : 5e-7);
        // Counted, a query sees only the keys before it, and the optimizer and the evaluations are there too.
        assert_true(base->flops_counted > 0.8 * base->flops && base->flops_counted < 1.1 * base->flops);
        // Parameters, four sets of gradients, momentum and one more moment of the two embeddings at the least.
        assert_true((double)base->bytes_device > 4.0 * 6 * (double)base->params);
        assert_int_equal(base->bytes_disk, 4 * base->params);
    }
}

static struct shape small_shape(void)
{
    struct shape shape;
    no_error(shape_from_depth(&shape, 2, 300, 64));
    shape.n_layer = 3, shape.n_embd = 48, shape.n_head = shape.n_kv_head = 3, shape.head_dim = 16, shape.n_mlp = 80;
    return shape;
}

// All of an update on a device, whole: what cost.c does in parts.
static void update_on(struct device *dev, const struct cost_setup *s, struct row_source rows, struct arena *arena)
{
    struct model model;
    struct optimizer optimizer;
    struct gradient gradient;
    const struct tensor *sum;
    double loss;
    no_error(model_open(&model, dev, &s->shape, arena));
    no_error(model_reserve(&model, (int)s->batch, (int)s->T, true));
    const struct rates rates = {.matrix_lr = 1, .grad_clip = 1};
    struct optimizer_laws laws =
        s->optimizer_2026 ? optimizer_laws_2026(&s->shape, &rates, 1, 1) : optimizer_laws_2025(&s->shape, &rates);
    no_error(optimizer_open_with(&optimizer, &model, &laws));
    no_error(gradient_open(&gradient, &model, s->rows, (int)s->width, (int)s->batch));
    no_error(gradient_of_rows(&gradient, rows, 0, &loss, &sum));
    optimizer_measure(&optimizer, sum, 0, 1, 0.95, 1);
    optimizer_step(&optimizer, sum);
    no_error(error_from_fault(device_fault(dev)));
}

static struct error *read_zeros(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    (void)self, (void)first;
    memset(inputs, 0, (size_t)n * (size_t)T * sizeof *inputs);
    memset(targets, 0, (size_t)n * (size_t)T * sizeof *targets);
    return NULL;
}

static void parts_make_the_whole(void **state)
{
    static const int64_t rows[] = {1, 5, 8, 16, 24, 100};
    struct place_of_test *p = *state;
    struct fault fault;
    struct shape of_2026;
    no_error(shape_from_depth_2026(&of_2026, 3, 16, 16, 300, 64));
    for (size_t i = 0; i < 2 * countof(rows); i++)
        for (int64_t batch = 1; batch <= 3; batch++) {
            bool is_2026 = i % 2;
            struct cost_setup s = {.shape = is_2026 ? of_2026 : small_shape(),
                                   .batch = batch,
                                   .T = 64,
                                   .trains = true,
                                   .optimizer_2026 = is_2026,
                                   .rows = rows[i / 2],
                                   .width = 64};
            struct costs costs = {.arena = &p->arena, .threads = 2};
            struct cost cost;
            no_error(cost_of(&costs, &s, &cost));
            struct device *dev = device_open(DEVICE_COUNT, 2, &fault);
            update_on(dev, &s, (struct row_source){0}, &p->arena);
            is_near(cost.update.flops, device_counts(dev).flops, 1e-12);
            is_near(cost.update.flops_of[COUNT_ATTENTION], device_counts(dev).flops_of[COUNT_ATTENTION], 1e-12);
            // Where groups have fewer rows than a micro-batch may have, an evaluation needs more workspace than the update.
            assert_true(cost.memory_bytes >= device_counts(dev).memory_bytes);
            if (s.rows >= 8 * batch)
                assert_int_equal(cost.memory_bytes, device_counts(dev).memory_bytes);
            device_close(dev);
        }
}

// The device that computes needs what was foreseen; its workspace depends on the instruction set.
static void memory_is_what_is_taken(void **state)
{
    struct place_of_test *p = *state;
    struct fault fault;
    struct cost_setup setups[2] = {
        {.shape = small_shape(), .batch = 2, .T = 64, .trains = true, .rows = 20, .width = 64},
        {.batch = 2, .T = 64, .trains = true, .optimizer_2026 = true, .rows = 20, .width = 64},
    };
    no_error(shape_from_depth_2026(&setups[1].shape, 3, 16, 16, 300, 64));
    for (size_t i = 0; i < 3 * countof(setups); i++) {
        struct cost_setup s = setups[i / 3];
        bool is_bf16 = i % 3 > 0;
        if (i % 3 == 2) // without an instruction for it, on a processor that may have one
            setenv("RETORT_ISA", "avx2", 1);
        struct costs costs = {.arena = &p->arena, .threads = 1};
        struct cost cost, plain;
        no_error(cost_of(&costs, &s, &plain));
        s.precision = is_bf16 ? PRECISION_BF16 : PRECISION_F32;
        no_error(cost_of(&costs, &s, &cost));
        assert_true(is_bf16 ? cost.activation_bytes < 0.8 * plain.activation_bytes : costs.n_counted == 1);
        struct device *dev = device_open(DEVICE_CPU, 1, &fault);
        device_set_precision(dev, s.precision);
        update_on(dev, &s, (struct row_source){.read = read_zeros}, &p->arena);
        is_near((double)cost.memory_bytes, (double)device_counts(dev).memory_bytes, 0.1);
        device_close(dev);
        unsetenv("RETORT_ISA");
    }
    // So is the copy of the weights that those who write text make.
    struct costs writing = {.arena = &p->arena, .threads = 1};
    struct cost copied, as_they_lie;
    struct cost_setup writer = {.shape = small_shape(), .slots = 3, .capacity = 40, .prompt = 20, .copies = true};
    no_error(cost_of(&writing, &writer, &copied));
    writer.copies = false;
    no_error(cost_of(&writing, &writer, &as_they_lie));
    int64_t C = 48, weights = 3 * (4 * C * C + 2 * 80 * C) + 300 * C; // of four bytes; rows are filled up to whole panels
    int64_t more = copied.memory_bytes - as_they_lie.memory_bytes;
    assert_true(more >= 4 * weights && more < 6 * weights);
    // In bf16 they are there from the beginning where the processor multiplies it; where it does not, nothing is until they are made.
    setenv("RETORT_ISA", "avx2", 1);
    struct costs emulated = {.arena = &p->arena, .threads = 1};
    writer.precision = PRECISION_BF16;
    no_error(cost_of(&emulated, &writer, &as_they_lie));
    writer.copies = true;
    no_error(cost_of(&emulated, &writer, &copied));
    unsetenv("RETORT_ISA");
    more = copied.memory_bytes - as_they_lie.memory_bytes;
    assert_true(more >= 4 * weights && more < 6 * weights);
    // The variances of the matrices are part of it.
    struct costs costs = {.arena = &p->arena, .threads = 1};
    struct cost with_them, without;
    struct cost_setup old = setups[1];
    old.optimizer_2026 = false;
    no_error(cost_of(&costs, &setups[1], &with_them));
    no_error(cost_of(&costs, &old, &without));
    assert_true(with_them.memory_bytes > without.memory_bytes);
    assert_true(with_them.update.flops > without.update.flops);
}

// Switches of the shape that change what a step costs make another setup.
static void switches_are_counted(void **state)
{
    struct place_of_test *p = *state;
    struct costs costs = {.arena = &p->arena};
    struct cost_setup s = {
        .shape = small_shape(), .batch = 2, .T = 64, .trains = true, .rows = 20, .width = 64, .slots = 3, .capacity = 40};
    struct cost plain, windowed, whole;
    no_error(cost_of(&costs, &s, &plain));
    s.shape.window_short = 16, s.shape.window_pattern = 3;
    no_error(cost_of(&costs, &s, &windowed));
    assert_true(windowed.update.flops_of[COUNT_ATTENTION] < 0.8 * plain.update.flops_of[COUNT_ATTENTION]);
    assert_true(windowed.step.flops_of[COUNT_ATTENTION] < 0.8 * plain.step.flops_of[COUNT_ATTENTION]);
    s.shape.value_embeds = 3, s.shape.value_gate_channels = 12, s.shape.residual_lambdas = 1, s.shape.smear_channels = 24;
    s.shape.backout = 2;
    no_error(cost_of(&costs, &s, &whole));
    assert_int_equal(costs.n_counted, 3);
    assert_true(whole.update.flops_of[COUNT_OTHER] > windowed.update.flops_of[COUNT_OTHER]);
    assert_true(whole.step.bytes > windowed.step.bytes && whole.memory_bytes > windowed.memory_bytes);
}

static void a_shape_is_counted_once(void **state)
{
    struct place_of_test *p = *state;
    struct costs costs = {.arena = &p->arena};
    struct cost_setup s = {.shape = small_shape(), .batch = 2, .T = 64, .trains = true, .rows = 20, .width = 64};
    struct cost a, b;
    no_error(cost_of(&costs, &s, &a));
    no_error(cost_of(&costs, &s, &b));
    assert_int_equal(costs.n_counted, 1);
    assert_memory_equal(&a, &b, sizeof a);
    s.rows = 21;
    no_error(cost_of(&costs, &s, &b));
    assert_int_equal(costs.n_counted, 2);
    assert_true(b.update.flops > a.update.flops);

    // A depth of 32 is counted without its memory.
    struct cost_setup large = {.batch = 32, .T = 2048, .trains = true, .rows = 256, .width = 2048};
    no_error(shape_from_depth(&large.shape, 32, 65536, 2048));
    size_t before = p->arena.used_bytes;
    no_error(cost_of(&costs, &large, &a));
    assert_true(a.memory_bytes > (int64_t)100e9);
    assert_true(p->arena.used_bytes - before < 10000);

    struct cost_setup huge = large;
    huge.batch = 1 << 20;
    huge.T = 1 << 20;
    struct error *e = cost_of(&costs, &huge, &a);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_MACHINE);
    error_free(e);
}

// A plan of many stages of one shape: learning rates do not make work.
static void many_stages(void **state)
{
    struct place_of_test *p = *state;
    const char *text = RECIPE;
    for (int i = 0; i < 60; i++)
        text = arena_printf(&p->arena,
                            "%s  b%d: {kind: pretrain, tokenizer: tokenizer, source: web, depth: %d, steps: 9, matrix_lr: %g}\n",
                            text, i, 2 + 2 * (i % 3), 0.01 + 0.001 * i);
    make_plan(p, text);
    assert_int_equal(p->plan.n_stages, 64);
    assert_true(p->plan.work->costs.n_counted <= 5);
}

static void lengths(void **state)
{
    (void)state;
    struct lengths l = {.most = 100};
    assert_true(isnan(lengths_widest(&l, 2)));
    lengths_add(&l, 10, 1);
    lengths_add(&l, 90, 1);
    is_near(lengths_mean(&l), 50, 1e-12);
    is_near(lengths_widest(&l, 1), 50, 1e-12);
    is_near(lengths_widest(&l, 2), 0.25 * 10 + 0.75 * 90, 1e-12);
    lengths_add(&l, 100, 2); // most itself, and beyond
    lengths_add(&l, 1000, 1);
    assert_int_equal(l.longest, 1000);
    is_near(l.rows, 5, 0);
}

static struct machine measured_here(struct place_of_test *p)
{
    struct machine m;
    no_error(machine_here(&m, &p->arena));
    assert_true(m.machine[0] && m.build[0] && m.isa[0] && m.threads > 0);
    m.peak = 1e12, m.products = 5e11, m.attention = 2e11, m.bandwidth = 1e10, m.start_s = 1e-6, m.small = 2, m.large = 1;
    strcpy(m.measured, "2026-01-01T00:00:00Z");
    return m;
}

static void probes_of_a_machine(void **state)
{
    struct place_of_test *p = *state;
    struct machine m = measured_here(p), other = m, found;
    bool is_there;
    make_plan(p, RECIPE);
    assert_true(isnan(stage(p, "base")->seconds));
    assert_null(p->plan.work->measured);

    // Those of another binary or machine are not used.
    strcpy(other.build, "another build");
    no_error(machine_write(&other, p->results, &p->arena));
    strcpy(other.build, m.build);
    strcpy(other.machine, "another machine");
    no_error(machine_write(&other, p->results, &p->arena));
    no_error(machine_read(&found, p->results, &m, &is_there, &p->arena));
    assert_false(is_there);
    make_plan(p, RECIPE);
    assert_true(isnan(stage(p, "base")->seconds));

    no_error(machine_write(&m, p->results, &p->arena));
    no_error(machine_read(&found, p->results, &m, &is_there, &p->arena));
    assert_true(is_there);
    assert_string_equal(found.measured, m.measured);
    is_near(found.attention, 2e11, 0);
    make_plan(p, RECIPE);
    double before = stage(p, "base")->seconds;
    assert_true(before > 0);
    assert_true(isnan(stage(p, "base")->usd));

    // A newer one takes the place of the one before; an older one of others stays. Twice as slow takes twice as long.
    m.products /= 2, m.attention /= 2, m.bandwidth /= 2, m.start_s *= 2;
    no_error(machine_write(&m, p->results, &p->arena));
    make_plan(p, with(&p->arena, RECIPE, "seed: 42\n", "seed: 42\nhardware: {usd_per_hour: 3600}\n"));
    is_near(stage(p, "base")->seconds, 2 * before, 1e-9);
    is_near(stage(p, "base")->usd, 2 * before, 1e-9);
    no_error(machine_read(&found, p->results, &other, &is_there, &p->arena));
    assert_true(is_there);

    // One that divides by zero is none; a damaged file is named by those who read it, and no trouble to a plan.
    m.bandwidth = 0;
    no_error(machine_write(&m, p->results, &p->arena));
    make_plan(p, RECIPE);
    assert_true(isnan(stage(p, "base")->seconds));
    put_file(p, "results/machine.h5", "not a file of ours");
    struct error *e = machine_read(&found, p->results, &m, &is_there, &p->arena);
    assert_non_null(e);
    assert_non_null(strstr(e->fix, "retort bench machine"));
    error_free(e);
    make_plan(p, RECIPE);
    assert_true(isnan(stage(p, "base")->seconds));
    m.bandwidth = 1e10;
    no_error(machine_write(&m, p->results, &p->arena));
    make_plan(p, RECIPE);
    assert_true(stage(p, "base")->seconds > 0);
}

static void width_decides_the_factor(void **state)
{
    (void)state;
    struct machine m = {.small = 3, .large = 1};
    is_near(machine_factor(&m, 16), 3, 0);
    is_near(machine_factor(&m, SMALL_WIDTH), 3, 0);
    is_near(machine_factor(&m, LARGE_WIDTH), 1, 0);
    is_near(machine_factor(&m, 4096), 1, 0);
    assert_true(machine_factor(&m, 128) < 3 && machine_factor(&m, 128) > machine_factor(&m, 256));
}

static void other_hardware(void **state)
{
    struct place_of_test *p = *state;
    const char *text = with(&p->arena, RECIPE, "vocab: 300", "vocab: 65536");
    text = with(&p->arena, text, "    seq_len: 64\n    batch_tokens: 1024\n    steps: 10\n",
                "    device_batch: 32\n    eval_every: 0\n");
    text = with(&p->arena, text, "depth: 2", "depth: 20");
    text = with(&p->arena, text, "eval_tokens: 1024", "eval_tokens: 2048");
    const char *on = with(&p->arena, text, "seed: 42\n", "seed: 42\nhardware: {device: h100 80gb, count: 8, usd_per_hour: 24}\n");
    make_plan(p, on);
    // As 8 H100 did it: 170 to 194 minutes, of 75.4 GiB each.
    const struct plan_stage *base = stage(p, "base");
    assert_true(base->seconds > 170 * 60 && base->seconds < 194 * 60);
    is_near(base->usd, base->seconds / 150, 1e-9);
    assert_false(base->too_large);
    assert_true(base->bytes_device > (int64_t)40e9);
    double seconds = base->seconds;
    int64_t bytes = base->bytes_device;

    // Said to be float32: another peak, and larger activations. One that is too small for them is told what would do.
    make_plan(p, with(&p->arena, with(&p->arena, on, "h100 80gb", "RTX 4090"), "depth: 20", "depth: 20\n    precision: f32"));
    base = stage(p, "base");
    is_near(base->seconds, seconds * 989.4 / 82.6, 1e-9);
    assert_true(base->bytes_device > bytes && base->too_large);
    assert_true(base->device_batch_fits >= 0 && base->device_batch_fits < 32);
    make_plan(p, with(&p->arena, with(&p->arena, on, "h100 80gb", "A100-40GB"), "count: 8", "count: 1"));
    base = stage(p, "base");
    assert_true(base->too_large && base->device_batch_fits > 0);
    int64_t fits = base->device_batch_fits;
    text = with(&p->arena, with(&p->arena, on, "h100 80gb", "A100-40GB"), "count: 8", "count: 1");
    make_plan(p, with(&p->arena, text, "device_batch: 32", arena_printf(&p->arena, "device_batch: %lld", (long long)fits)));
    assert_false(stage(p, "base")->too_large);

    make_graph(p, with(&p->arena, on, "h100 80gb", "H100-80GB0"));
    struct error *e = plan_build(&p->plan, &p->graph, p->results, &p->arena);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_RECIPE);
    assert_non_null(strstr(e->fix, "RTX-3090"));
    error_free(e);
    for (int i = 0; i < n_hardware; i++)
        assert_true(hardware_is_here(&hardware_table[i]) ||
                    (hardware_table[i].bf16 > 0 && hardware_table[i].f32 > 0 && hardware_table[i].bandwidth > 0 &&
                     hardware_table[i].memory_bytes > 0 && hardware_table[i].source && hardware_table[i].mfu_source));
}

// How much validation text there is shows when it is encoded: until then the time of an evaluation is a bound.
static void a_bound(void **state)
{
    struct place_of_test *p = *state;
    struct machine m = measured_here(p);
    no_error(machine_write(&m, p->results, &p->arena));
    make_plan(p, RECIPE);
    assert_true(isnan(stage(p, "base_eval")->seconds));
    assert_true(stage(p, "base_eval")->seconds_most > 0);
    double most = stage(p, "base_eval")->seconds_most;
    make_store(p);
    finish(p, "tokenizer");
    finish(p, "web.tokens");
    make_plan(p, RECIPE);
    assert_true(isnan(stage(p, "base_eval")->seconds_most));
    assert_true(stage(p, "base_eval")->seconds > 0 && stage(p, "base_eval")->seconds <= most);

    // What is there took what it took; what goes on takes what is left.
    const struct graph_node *base = stage(p, "base")->node;
    double all = stage(p, "base")->seconds;
    make_file(key_path(&p->arena, p->results, KIND_PRETRAIN, base->key, ".part.h5"), base->key, "stopped", 7);
    make_plan(p, RECIPE);
    is_near(stage(p, "base")->seconds, 0.3 * all, 1e-9);
    finish(p, "base");
    make_plan(p, RECIPE);
    is_near(stage(p, "base")->seconds, 2.5, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(depths_of_the_reference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_make_the_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_what_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shape_is_counted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(switches_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_stages, set_up, tear_down),
        cmocka_unit_test(lengths),
        cmocka_unit_test_setup_teardown(probes_of_a_machine, set_up, tear_down),
        cmocka_unit_test(width_decides_the_factor),
        cmocka_unit_test_setup_teardown(other_hardware, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bound, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
