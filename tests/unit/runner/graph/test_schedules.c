// test_schedules.c - the schedules that recipes come to: learning rates, momenta and updates of nanochat's three later stages.
#include "place.h"

#include "runner/stages/hyperparameters.h"

static const char *const CHAT = "retort: 1\nname: chat\nnanochat: 2025\nseed: 1\n"
                                "sources:\n  web: {text: \"{00..02}.txt\", validate: last}\n"
                                "stages:\n"
                                "  tokenizer: {kind: tokenizer, source: web, vocab: 300, chars: 10k}\n"
                                "  base: {kind: pretrain, tokenizer: tokenizer, source: web, depth: 2, seq_len: 64, batch_tokens: 1024,\n"
                                "         steps: 10}\n"
                                "  mid: {kind: finetune, preset: mid, model: base, mixture: [{task: own.jsonl}], batch_tokens: 128,\n"
                                "        seq_len: 64}\n"
                                "  sft: {kind: finetune, preset: sft, model: mid, mixture: [{task: own.jsonl}], rows: 4}\n"
                                "  some: {kind: finetune, preset: sft, model: mid, mixture: [{task: own.jsonl}], rows: 4, steps: 5}\n";

static const struct finetune_options *options_of(struct place_of_test *p, const char *stage)
{
    put_file(p, "chat.yaml", CHAT);
    put_file(p, "own.jsonl", "");
    no_error(recipe_read(&p->recipe, arena_printf(&p->arena, "%s/chat.yaml", p->folder), NULL, 0, &p->arena));
    return recipe_stage(&p->recipe, stage)->options;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

// Source: nanochat, mid_train as of 2025-10-15: 1 while less than 0.8 is done, then (1 - done) / 0.2; momentum as in pretraining.
static void of_mid(void **state)
{
    struct schedule s;
    no_error(finetune_schedule(&s, options_of(*state, "mid"), 201)); // 100 batches of two rows of 64 tokens
    assert_int_equal(s.n_steps, 100);
    assert_int_equal(schedule_updates(&s), 100);
    for (int step = 0; step < 100; step++)
        assert_true(near(schedule_lr(&s, step), step < 80 ? 1 : (1 - step / 100.0) / 0.2));
    assert_true(near(schedule_momentum(&s, 0), 0.85) && near(schedule_momentum(&s, 150), 0.9) &&
                near(schedule_momentum(&s, 300), 0.95));
}

// Source: nanochat 2025-10-13, chat_sft: N is whole batches of one pass, updates 0 .. N-2 at 1 - it/N, momentum 0.95.
static void of_sft(void **state)
{
    struct schedule s;
    no_error(finetune_schedule(&s, options_of(*state, "sft"), 43));
    assert_int_equal(s.n_steps, 10);
    assert_int_equal(schedule_updates(&s), 9);
    for (int step = 0; step < 9; step++) {
        assert_true(near(schedule_lr(&s, step), (10 - step) / 10.0));
        assert_true(schedule_momentum(&s, step) == 0.95);
    }
    no_error(finetune_schedule(&s, options_of(*state, "sft"), 7)); // of one step that one
    assert_int_equal(schedule_updates(&s), 1);
    no_error(finetune_schedule(&s, options_of(*state, "some"), 43)); // as many as asked for
    assert_int_equal(schedule_updates(&s), 5);
    assert_true(near(schedule_lr(&s, 4), 0.2));
    struct error *e = finetune_schedule(&s, options_of(*state, "sft"), 3);
    assert_int_equal(error_exit_status(e), 2);
    error_free(e);
}

// Source: nanochat 2025-10-13, chat_rl: updates 0 .. N-1 at 1 - it/N, momentum 0.95.
static void of_rl(void **state)
{
    (void)state;
    struct schedule s = grpo_schedule(8);
    assert_int_equal(schedule_updates(&s), 8);
    for (int step = 0; step < 8; step++) {
        assert_true(schedule_lr(&s, step) == (8 - step) / 8.0);
        assert_true(schedule_momentum(&s, step) == 0.95);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_mid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_sft, set_up, tear_down),
        cmocka_unit_test(of_rl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
