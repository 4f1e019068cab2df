// Advantages and rows of rollouts: by hand, as the reference has them, and their gradient against finite differences.
#include "core/train/rollouts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/philox.h"

enum { T = 12, V = 40, PAD = V - 1, QUESTIONS = 3, SAMPLES = 4, R = QUESTIONS * SAMPLES };

static const int32_t prompt[] = {7, 8, 9};

// Sample s of question q is 2q+s tokens long, of which every third is forced. Question 1 has equal rewards.
static void fill(struct rollouts *r, struct arena *arena)
{
    assert_null(rollouts_open(r, arena, QUESTIONS, SAMPLES, T, PAD));
    for (int q = QUESTIONS - 1; q >= 0; q--)
        for (int s = 0; s < SAMPLES; s++) {
            int32_t ids[2 * QUESTIONS + SAMPLES];
            uint8_t mask[2 * QUESTIONS + SAMPLES];
            int n = 2 * q + s;
            for (int i = 0; i < n; i++) {
                ids[i] = (11 * q + 5 * s + 3 * i) % PAD;
                mask[i] = i % 3 != 2;
            }
            rollouts_set(r, q, s, prompt, 3, ids, mask, n, q == 1 ? 0.1 : s == 1 || q + s == 5);
        }
    rollouts_finish(r);
}

static void by_hand(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct rollouts r;
    fill(&r, &arena);
    struct row_source rows = rollouts_rows(&r);
    for (int i = 0; i < 2 * R; i++) { // the second half: those of the next update
        int q = i % R / SAMPLES, s = i % SAMPLES, n = 2 * q + s;
        double advantage = q == 1 ? 0 : q == 2 ? (s % 2 ? 0.5 : -0.5) : s == 1 ? 0.75 : -0.25;
        assert_true(rows.weight(rows.self, i) == advantage);
        assert_int_equal(rows.n_targets(rows.self, i), n - n / 3);
        // An answer of no tokens has an advantage and nothing to compute.
        assert_int_equal(rows.width(rows.self, i), q == 1 || n == 0 ? 0 : 3 + n - 1);
    }
    int32_t inputs[2][T], targets[2][T];
    assert_null(rows.read(rows.self, R + 9, 2, T, inputs[0], targets[0])); // question 2, samples 1 and 2
    static const int32_t expected[] = {7, 8, 9, 27, 30, 33, 36, 0, PAD, PAD, PAD, PAD};
    static const int32_t sampled[] = {-1, -1, 27, 30, -1, 36, 0, -1, -1, -1, -1, -1};
    assert_memory_equal(inputs[0], expected, sizeof expected);
    assert_memory_equal(targets[0], sampled, sizeof sampled);
    assert_int_equal(inputs[1][3], 32);
    assert_null(rows.read(rows.self, 9, 1, 5, inputs[0], targets[0])); // narrower
    assert_memory_equal(inputs[0], expected, 5 * sizeof *expected);
    assert_memory_equal(targets[0], sampled, 5 * sizeof *sampled);
    arena_release(&arena);
}

static void cut(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct rollouts r;
    int32_t ids[30], inputs[T], targets[T];
    uint8_t mask[30];
    for (int i = 0; i < 30; i++) {
        ids[i] = i + 1;
        mask[i] = 1;
    }
    assert_null(rollouts_open(&r, &arena, 1, 2, T, PAD));
    rollouts_set(&r, 0, 0, prompt, 3, ids, mask, 30, 1);
    rollouts_set(&r, 0, 1, ids, T + 5, ids, mask, 30, 0); // not even the prompt fits
    rollouts_finish(&r);
    struct row_source rows = rollouts_rows(&r);
    assert_int_equal(rows.width(rows.self, 0), T);
    assert_int_equal(rows.n_targets(rows.self, 0), T + 1 - 3);
    assert_int_equal(rows.width(rows.self, 1), 0);
    assert_int_equal(rows.n_targets(rows.self, 1), 0);
    assert_null(rows.read(rows.self, 0, 1, T, inputs, targets));
    assert_int_equal(inputs[T - 1], T - 3);
    assert_int_equal(targets[T - 1], T - 2);

    // What was longer before leaves nothing behind.
    rollouts_set(&r, 0, 0, prompt, 3, ids, mask, 1, 1);
    assert_null(rows.read(rows.self, 0, 1, T, inputs, targets));
    assert_int_equal(rows.n_targets(rows.self, 0), 1);
    assert_int_equal(targets[2], 1);
    for (int t = 3; t < T; t++)
        assert_int_equal(targets[t], -1);
    for (int t = 4; t < T; t++)
        assert_int_equal(inputs[t], PAD);
    arena_release(&arena);
}

struct tiny {
    struct arena arena;
    struct device *dev;
    struct model model;
};

// All parameters differ from zero: those that begin there would hide the gradients of others.
static void tiny_open(struct tiny *m)
{
    struct fault fault;
    struct shape shape = {.n_layer = 1,
                          .n_embd = 16,
                          .n_head = 2,
                          .n_kv_head = 1,
                          .head_dim = 8,
                          .n_mlp = 24,
                          .n_vocab = V,
                          .n_vocab_padded = V,
                          .seq_len = T,
                          .norm_eps = 0x1p-23,
                          .rope_base = 10000,
                          .softcap = 15};
    *m = (struct tiny){.dev = device_open(DEVICE_REF, 1, &fault)};
    assert_non_null(m->dev);
    assert_null(model_open(&m->model, m->dev, &shape, &m->arena));
    struct philox random = philox_for(3, PHILOX_INIT);
    for (int i = 0; i < m->model.n_params; i++) {
        struct param *p = &m->model.params[i];
        float *values = arena_array(&m->arena, (size_t)(p->rows * p->cols), sizeof *values);
        philox_normals(random, (uint64_t)i, 0, p->rows * p->cols, values);
        for (int64_t k = 0; k < p->rows * p->cols; k++)
            values[k] *= 0.3f;
        device_put(m->dev, p->w.master, 0, p->rows * p->cols, values);
    }
    model_prepare(&m->model);
    assert_null(model_reserve(&m->model, R, T, true));
}

static void tiny_close(struct tiny *m)
{
    device_close(m->dev);
    arena_release(&m->arena);
}

// The loss as it is defined, from the rollouts as they were set: no row of theirs is read.
static double loss_of(struct tiny *m, const struct rollouts *r)
{
    double sum = 0, losses[T];
    int64_t n = 0;
    model_prepare(&m->model);
    for (int row = 0; row < R; row++) {
        const int32_t *ids = r->ids + row * (T + 1);
        int n_answer = r->lengths[row] - 3;
        double mean = 0;
        for (int s = 0; s < SAMPLES; s++)
            mean += r->reward[row / SAMPLES * SAMPLES + s] / SAMPLES;
        if (n_answer) {
            struct batch batch = {.B = 1, .T = r->lengths[row] - 1, .inputs = ids, .targets = ids + 1};
            model_loss(&m->model, batch, NULL);
            model_losses(&m->model, batch, losses);
        }
        for (int i = 0; i < n_answer; i++) {
            bool forced = i % 3 == 2;
            n += !forced;
            sum += forced ? 0 : losses[2 + i] * (r->reward[row] - mean);
        }
    }
    return sum / (double)n;
}

static void gradient_is_that_of_the_loss(void **state)
{
    (void)state;
    struct tiny m;
    struct rollouts r;
    struct gradient g;
    const struct tensor *sum;
    double loss;
    tiny_open(&m);
    fill(&r, &m.arena);
    assert_null(gradient_open(&g, &m.model, R, T, 3));
    assert_null(gradient_of_rows(&g, rollouts_rows(&r), 5 * R, &loss, &sum));
    assert_true(fabs(loss - loss_of(&m, &r)) < 1e-6);
    int64_t n_targets = 0;
    for (int row = 0; row < R; row++)
        n_targets += r.n_targets[row];
    assert_int_equal(g.n_targets, n_targets);

    const double step = 1e-3;
    struct philox random = philox_for(4, PHILOX_INIT);
    for (int i = 0; i < m.model.n_params; i++) {
        const struct param *p = &m.model.params[i];
        int64_t n = p->rows * p->cols;
        float *values = arena_array(&m.arena, (size_t)n, sizeof *values),
              *moved = arena_array(&m.arena, (size_t)n, sizeof *moved);
        float *direction = arena_array(&m.arena, (size_t)n, sizeof *direction), *d = arena_array(&m.arena, (size_t)n, sizeof *d);
        double expected = 0, size = 0, sides[2];
        device_get(m.dev, values, p->w.master, 0, n);
        device_get(m.dev, d, sum[i], 0, n);
        philox_normals(random, (uint64_t)i, 0, n, direction);
        for (int64_t k = 0; k < n; k++) {
            expected += (double)d[k] * (double)direction[k];
            size += (double)d[k] * (double)d[k];
        }
        assert_true(size > 0);
        for (int side = 0; side < 2; side++) {
            for (int64_t k = 0; k < n; k++)
                moved[k] = values[k] + (float)(side ? step : -step) * direction[k];
            device_put(m.dev, p->w.master, 0, n, moved);
            sides[side] = loss_of(&m, &r);
        }
        device_put(m.dev, p->w.master, 0, n, values);
        double found = (sides[1] - sides[0]) / (2 * step);
        if (fabs(found - expected) > 2e-3 * sqrt(size))
            fail_msg("%s: the gradient along a direction is %g, the difference %g", p->name, expected, found);
    }
    tiny_close(&m);
}

static void equal_rewards_teach_nothing(void **state)
{
    (void)state;
    struct tiny m;
    struct rollouts r;
    struct gradient g;
    const struct tensor *sum;
    double loss;
    tiny_open(&m);
    fill(&r, &m.arena);
    for (int row = 0; row < R; row++)
        r.reward[row] = 0.1 * (1 + row / SAMPLES);
    rollouts_finish(&r);
    assert_null(gradient_open(&g, &m.model, R, T, 3));
    assert_null(gradient_of_rows(&g, rollouts_rows(&r), 0, &loss, &sum));
    assert_true(loss == 0);
    assert_true(g.n_targets > 0);
    for (int i = 0; i < m.model.n_params; i++) {
        float d[64];
        int64_t n = m.model.params[i].rows * m.model.params[i].cols;
        device_get(m.dev, d, sum[i], 0, n < 64 ? n : 64);
        for (int k = 0; k < 64 && k < n; k++)
            assert_true(d[k] == 0);
    }
    tiny_close(&m);
}

static void golden_advantages(const json_t *input, const json_t *expected)
{
    struct arena arena = {0};
    struct rollouts r;
    int n = (int)json_array_size(input);
    assert_null(rollouts_open(&r, &arena, 1, n, T, PAD));
    for (int s = 0; s < n; s++)
        rollouts_set(&r, 0, s, prompt, 3, prompt, (uint8_t[]){1, 1, 1}, 3, json_number_value(json_array_get(input, (size_t)s)));
    rollouts_finish(&r);
    for (int s = 0; s < n; s++)
        assert_true(r.advantage[s] == json_number_value(json_array_get(expected, (size_t)s)));
    arena_release(&arena);
}

// The reference divides by the targets of a pass, its passes and examples; here all targets of the update do. What is divided, and what
// counts as a target, must be the same.
static void golden_pass(const json_t *input, const json_t *expected)
{
    enum { LENGTH = 256 };
    static int32_t ids[LENGTH];
    static uint8_t mask[LENGTH];
    const json_t *rewards = json_object_get(input, "rewards_all"), *nll = json_object_get(input, "token_nll");
    const json_t *advantages = json_object_get(expected, "advantages");
    int n_prompt = (int)json_integer_value(json_object_get(input, "prompt_length"));
    int first = (int)json_integer_value(json_object_get(input, "first_row")), n = (int)json_array_size(rewards);
    struct arena arena = {0};
    struct rollouts r;
    assert_in_range(n_prompt, 1, LENGTH);
    memset(mask, 1, sizeof mask);
    assert_null(rollouts_open(&r, &arena, 1, n, LENGTH + n_prompt, PAD));
    for (int s = 0; s < n; s++) { // those of other passes may have any length
        int row = s - first, n_answer = row >= 0 ? (int)json_array_size(json_array_get(nll, (size_t)row)) : 1;
        assert_in_range(n_answer, 0, LENGTH);
        rollouts_set(&r, 0, s, ids, n_prompt, ids, mask, n_answer, json_number_value(json_array_get(rewards, (size_t)s)));
    }
    rollouts_finish(&r);
    struct row_source rows = rollouts_rows(&r);
    double sum = 0;
    int64_t n_targets = 0;
    for (size_t i = 0; i < json_array_size(nll); i++) {
        const json_t *losses = json_array_get(nll, i);
        double advantage = rows.weight(rows.self, first + (int)i);
        assert_true(fabs(advantage - json_number_value(json_array_get(advantages, i))) < 1e-12);
        n_targets += rows.n_targets(rows.self, first + (int)i);
        for (size_t t = 0; t < json_array_size(losses); t++)
            sum += json_number_value(json_array_get(losses, t)) * advantage;
    }
    assert_int_equal(n_targets, json_integer_value(json_object_get(expected, "valid")));
    double divisor = (double)n_targets * (double)json_integer_value(json_object_get(input, "passes")) *
                     (double)json_integer_value(json_object_get(input, "examples_per_rank"));
    assert_true(fabs(sum / divisor - json_number_value(json_object_get(expected, "loss"))) < 2e-6);
    arena_release(&arena);
}

static void golden(void **state)
{
    (void)state;
    FILE *file = fopen(RETORT_SHARED "/golden/chat-2025.jsonl", "r");
    if (!file) {
        print_message("skipped: no " RETORT_SHARED "/golden/chat-2025.jsonl\n");
        skip();
    }
    int n = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line)) {
        const char *name = json_string_value(json_object_get(line, "case"));
        const json_t *input = json_object_get(line, "input"), *expected = json_object_get(line, "expected");
        bool advantages = !strcmp(name, "advantages"), pass = !strcmp(name, "rl_pass");
        if (advantages)
            golden_advantages(input, expected);
        if (pass)
            golden_pass(input, expected);
        n += advantages || pass;
    }
    fclose(file);
    print_message("%d golden cases\n", n);
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(cut),
                                       cmocka_unit_test(gradient_is_that_of_the_loss),
                                       cmocka_unit_test(equal_rewards_teach_nothing), cmocka_unit_test(golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
