// test_years.c - recipes of nanochat 2026: every row of its depth table as plan tells it, what a stage's optimizer comes to, keys, and
// either half of a year alone.
#include "place.h"

#include <math.h>

#include "runner/stages/hyperparameters.h"

// nanochat 2026-07-03 at a vocabulary of 32,768, 2,048 tokens, heads of 128 and 12 tokens a scaling parameter; what Muon's decay and the
// width do to rates beside it.
static const struct {
    int depth;
    int64_t params, scaling_params;
    double flops_per_token;
    int log_batch;
    int64_t steps;
    double batch_scale, weight_decay, width_scale;
} table[] = {
    {4, 36700242, 11534384, 8.0217e7, 18, 528, 0.7071, 1.88990, 1.73205},
    {6, 73531538, 23199852, 1.6751e8, 18, 1062, 0.7071, 0.93961, 1.41421},
    {8, 125829354, 41943232, 2.9570e8, 18, 1920, 0.7071, 0.51972, 1.22475},
    {10, 195952986, 70123820, 4.9545e8, 19, 1605, 1, 0.43963, 1.09545},
    {12, 286261730, 110100912, 7.5970e8, 19, 2520, 1, 0.28000, 1},
    {14, 399114882, 164233804, 1.1285e9, 19, 3759, 1, 0.18771, 0.92582},
    {16, 536871738, 234881792, 1.5855e9, 19, 5376, 1, 0.13125, 0.86603},
    {18, 701891594, 324404172, 2.1800e9, 20, 3712, 1.4142, 0.13439, 0.81650},
    {20, 896533746, 435160240, 2.8862e9, 20, 4980, 1.4142, 0.10019, 0.77460},
    {22, 1123157490, 569509292, 3.7631e9, 20, 6517, 1.4142, 0.07655, 0.73855},
    {24, 1384122122, 729810624, 4.7752e9, 20, 8352, 1.4142, 0.05974, 0.70711},
    {26, 1681786938, 918423532, 5.9911e9, 20, 10510, 1.4142, 0.04747, 0.67937},
    {28, 2018511234, 1137707312, 7.3657e9, 20, 13020, 1.4142, 0.03832, 0.65465},
    {32, 2818575450, 1677724672, 1.0771e10, 21, 9600, 2, 0.03675, 0.61237},
};

// The shortest recipe that pretrains: all else is the row of 2026.
static const char *const RECIPE_2026 = "retort: 1\n"
                                       "name: small\n"
                                       "nanochat: 2026\n"
                                       "sources:\n"
                                       "  web: {text: \"{00..02}.txt\", validate: last}\n"
                                       "stages:\n"
                                       "  tokenizer: {kind: tokenizer, source: web}\n"
                                       "  base: {kind: pretrain, tokenizer: tokenizer, source: web}\n";

static void near(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted)))
        fail_msg("%.9g, wanted %.9g", got, wanted);
}

// A plan of a recipe with settings; the stage base of it.
static const struct plan_stage *plan_with(struct place_of_test *p, const char *text, const char *const *settings, int n)
{
    no_error(try_graph(p, text, settings, n));
    no_error(plan_build(&p->plan, &p->graph, p->results, &p->arena));
    return plan_stage(&p->plan, "base");
}

static const struct pretrain_options *options_of(const struct plan_stage *s)
{
    return s->node->options;
}

static void table_of_depths(void **state)
{
    struct place_of_test *p = *state;
    for (size_t i = 0; i < countof(table); i++) {
        const char *setting = arena_printf(&p->arena, "base.depth=%d", table[i].depth);
        const struct plan_stage *s = plan_with(p, RECIPE_2026, &setting, 1);
        int64_t batch = (int64_t)1 << table[i].log_batch;
        assert_int_equal(s->params, table[i].params);
        assert_int_equal(s->scaling_params, table[i].scaling_params);
        near(s->flops_per_token, table[i].flops_per_token, 1e-4);
        assert_int_equal(s->batch_tokens, batch);
        assert_int_equal(options_of(s)->batch_tokens, batch);
        assert_int_equal(s->steps, table[i].steps);
        assert_int_equal(s->tokens, table[i].steps * batch);
        near(s->flops, s->flops_per_token * (double)s->tokens, 1e-12);
        struct shape shape;
        struct optimizer_laws laws;
        no_error(shape_of(&shape, options_of(s), 32768));
        no_error(pretrain_laws(&laws, options_of(s), &shape));
        double lr = table[i].batch_scale, wide = lr * table[i].width_scale;
        near(laws.muon.lr, 0.02 * lr, 1e-4);
        near(laws.muon.weight_decay, table[i].weight_decay, 1e-4);
        near(laws.adamw[PARAM_EMBEDDING].lr, 0.3 * wide, 1e-4);
        near(laws.adamw[PARAM_UNEMBEDDING].lr, 0.008 * wide, 1e-4);
        near(laws.adamw[PARAM_VALUE_EMBEDDING].lr, 0.15 * wide, 1e-4);
        near(laws.adamw[PARAM_X0_LAMBDAS].lr, 0.5 * lr, 1e-4);
        near(laws.adamw[PARAM_RESIDUAL_LAMBDAS].lr, 0.005 * lr, 1e-4);
        near(laws.adamw[PARAM_SCALARS].lr, 0.2, 1e-12);
    }
}

static void other_horizons_and_widths(void **state)
{
    struct place_of_test *p = *state;
    // The speed run: the ratio cancels in batch, rates and decay.
    const struct plan_stage *s = plan_with(p, RECIPE_2026, (const char *const[]){"base.depth=24", "base.ratio=8"}, 2);
    assert_int_equal(s->batch_tokens, 1 << 20);
    assert_int_equal(s->steps, 5568);
    near(s->flops, 2.788e19, 1e-3);
    // The laptop's run: heads of 64, all layers long, a batch and a number of steps of its own.
    s = plan_with(p, RECIPE_2026,
                  (const char *const[]){"base.depth=6", "base.head_dim=64", "base.window_pattern=L", "base.seq_len=512",
                                        "base.batch_tokens=16384", "base.steps=5000"},
                  6);
    assert_int_equal(s->params, 73531646);
    assert_int_equal(s->scaling_params, 23199960);
    near(s->flops_per_token, 1.5336e8, 1e-4);
    assert_int_equal(s->tokens, 81920000);
    struct shape shape;
    struct optimizer_laws laws;
    no_error(shape_of(&shape, options_of(s), 32768));
    no_error(pretrain_laws(&laws, options_of(s), &shape));
    near(laws.muon.weight_decay, 0.23490, 1e-4);
    near(laws.muon.lr, 0.02 * 0.17678, 1e-4);
    struct schedule schedule = pretrain_schedule(options_of(s), 5000);
    assert_true(schedule_lr(&schedule, 0) == 1 / 40.0 && schedule_lr(&schedule, 39) == 1 && schedule_lr(&schedule, 1750) == 1);
    assert_true(schedule_lr(&schedule, 1751) < 1);
    near(schedule_lr(&schedule, 4999), 0.05, 0.01);
    near(schedule_momentum(&schedule, 400), 0.97, 1e-12);
    near(schedule_momentum(&schedule, 4999), 0.90, 1e-3);
    near(schedule_decay(&schedule, 2500), 0.5, 1e-12);
    // An odd depth goes up to whole heads.
    s = plan_with(p, RECIPE_2026, (const char *const[]){"base.depth=11"}, 1);
    assert_int_equal(options_of(s)->n_embd, 768);
    // Steps by FLOPs, at the batch of the law.
    s = plan_with(p, RECIPE_2026, (const char *const[]){"base.depth=12", "base.flops=1e18"}, 2);
    assert_int_equal(s->batch_tokens, 1 << 19);
    assert_int_equal(s->steps, (int64_t)rint(1e18 / (s->flops_per_token * (1 << 19))));
}

// The defaults of a year go with the architecture and the optimizer that ask for them.
static void half_a_year(void **state)
{
    struct place_of_test *p = *state;
    const struct plan_stage *s = plan_with(p, RECIPE_2026, (const char *const[]){"base.depth=4", "base.optimizer=2025"}, 2);
    const struct pretrain_options *o = options_of(s);
    assert_true(o->embedding_lr == 0.2 && o->unembedding_lr == 0.004 && o->weight_decay == 0 && isnan(o->scalar_lr));
    assert_int_equal(o->batch_tokens, 1 << 18);
    struct shape shape;
    struct optimizer_laws laws;
    no_error(shape_of(&shape, o, 32768));
    assert_true(shape.value_embeds && shape.smear_channels && shape.window_short == 512);
    no_error(pretrain_laws(&laws, o, &shape));
    assert_true(laws.muon.lr == 0.02 && laws.muon.beta2 == 0 && laws.adamw[PARAM_SCALARS].lr > 0);

    s = plan_with(p, RECIPE_2026, (const char *const[]){"base.depth=4", "base.architecture=2025"}, 2);
    o = options_of(s);
    assert_true(o->ratio == 20 && o->embedding_lr == 0.3 && o->aspect == FIELD_UNSET_INT && !strcmp(o->window_pattern, "L"));
    no_error(shape_of(&shape, o, 32768));
    assert_true(!shape.value_embeds && !shape.smear_channels && !shape.window_short && shape.n_vocab_padded == 32768);

    const char *text = with(&p->arena, RECIPE, "    steps: 10\n", "    steps: 10\n    architecture: 2026\n    optimizer: 2026\n");
    s = plan_with(p, text, NULL, 0);
    o = options_of(s);
    assert_true(o->aspect == 64 && o->scalar_lr == 0.5 && o->weight_decay == 0.28 && o->warmup == 0);
    assert_int_equal(o->warmup_steps, FIELD_UNSET_INT);
    assert_int_equal(o->batch_tokens, 1024);
    no_error(shape_of(&shape, o, 300));
    assert_int_equal(shape.n_vocab_padded, 320);
}

// What 2025 does not have is in none of its payloads, so its results keep their keys.
static void keys_of_2025(void **state)
{
    struct place_of_test *p = *state;
    static const char *const words[] = {"architecture", "aspect",      "window_pattern", "optimizer",
                                        "scalar_lr",    "token_bytes", "warmup_steps",   "packing"};
    make_plan(p, RECIPE);
    const char *key = key_of(p, "base");
    for (int i = 0; i < p->graph.n_nodes; i++)
        for (size_t k = 0; k < countof(words); k++)
            if (p->graph.nodes[i]->payload)
                assert_null(strstr(p->graph.nodes[i]->payload, words[k]));
    make_plan(p, with(&p->arena, RECIPE, "    steps: 10\n",
                      "    steps: 10\n    architecture: 2025\n    optimizer: 2025\n    window_pattern: L\n"));
    assert_string_equal(key_of(p, "base"), key);
    make_plan(p, with(&p->arena, RECIPE, "    steps: 10\n", "    steps: 10\n    window_pattern: SL\n"));
    assert_string_not_equal(key_of(p, "base"), key);
    make_plan(p, with(&p->arena, RECIPE, "nanochat: 2025", "nanochat: 2026"));
    assert_string_not_equal(key_of(p, "base"), key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(table_of_depths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_horizons_and_widths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_a_year, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_2025, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
