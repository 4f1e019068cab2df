// test_plan.c - what is promised: what runs, what does not, and the reasons given.
#include "place.h"

#include <math.h>

#include "runner/graph/schedule.h"
#include "runner/graph/trunk.h"

static const struct plan_stage *stage(struct place_of_test *p, const char *name)
{
    const struct plan_stage *s = plan_stage(&p->plan, name);
    assert_non_null(s);
    return s;
}

static void has_state(struct place_of_test *p, const char *name, enum plan_state state)
{
    assert_string_equal(plan_state_name(stage(p, name)->state), plan_state_name(state));
}

static const struct reason *only_reason(struct place_of_test *p, const char *name, enum reason_kind kind)
{
    const struct plan_stage *s = stage(p, name);
    assert_int_equal(s->n_reasons, 1);
    assert_string_equal(reason_kind_name(s->reasons[0].kind), reason_kind_name(kind));
    return &s->reasons[0];
}

static void nothing_is_there(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    assert_int_equal(p->plan.n_stages, 4);
    assert_int_equal(p->plan.n_cached, 0);
    for (int i = 0; i < p->plan.n_stages; i++) {
        has_state(p, p->plan.stages[i].node->name, PLAN_RUN);
        only_reason(p, p->plan.stages[i].node->name, REASON_FRESH);
    }
    const struct plan_stage *base = stage(p, "base");
    assert_int_equal(base->tokens, 10 * 1024);
    assert_int_equal(base->params, 2 * 300 * 128 + 2 * 12 * 128 * 128);
    assert_true(base->flops > 1e10 && base->flops < 1e11);
    assert_true(isnan(base->seconds));
}

static void everything_is_there(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    finish_all(p);
    record_all(p);
    make_plan(p, RECIPE);
    assert_int_equal(p->plan.n_cached, 4);
    assert_int_equal(schedule_count(&p->plan, NULL), 0);
    for (int i = 0; i < p->plan.n_stages; i++)
        assert_int_equal(p->plan.stages[i].n_reasons, 0);
    assert_true(stage(p, "base")->seconds == 2.5);
    assert_int_equal(stage(p, "web.tokens")->tokens, 3000);
}

static void a_changed_field(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    finish_all(p);
    record_all(p);
    make_plan(p, with(&p->arena, RECIPE, "vocab: 300", "vocab: 301"));
    const struct reason *r = only_reason(p, "tokenizer", REASON_FIELD);
    assert_string_equal(r->name, "vocab");
    assert_string_equal(r->old, "300");
    assert_string_equal(r->new, "301");
    assert_string_equal(r->by, "recipe");
    assert_int_equal(r->at.line, 8);
    assert_string_equal(only_reason(p, "web.tokens", REASON_INPUT)->name, "tokenizer");
    assert_string_equal(stage(p, "base")->reasons[0].name, "tokenizer");
    assert_string_equal(stage(p, "base")->reasons[1].name, "web.tokens");
    assert_int_equal(stage(p, "base")->n_reasons, 2);
    has_state(p, "base_eval", PLAN_RUN);

    // A change of the evaluation alone; reals in few digits.
    make_plan(p, with(&p->arena, RECIPE, "eval_tokens: 1024", "eval_tokens: 2048"));
    has_state(p, "base", PLAN_CACHED);
    has_state(p, "base_eval", PLAN_RUN);
    assert_string_equal(only_reason(p, "base_eval", REASON_FIELD)->name, "eval_tokens");
    make_plan(p, with(&p->arena, RECIPE, "steps: 10", "steps: 10\n    matrix_lr: 0.03"));
    r = only_reason(p, "base", REASON_FIELD);
    assert_string_equal(r->old, "0.02");
    assert_string_equal(r->new, "0.03");

    // And back: everything is still there.
    make_plan(p, RECIPE);
    assert_int_equal(p->plan.n_cached, 4);
}

// Why a stage ran is kept with the run, in the words of the plan that it was run by.
static void reasons_are_kept_with_the_run(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    finish_all(p);
    record_all(p);
    make_plan(p, with(&p->arena, RECIPE, "vocab: 300", "vocab: 301"));
    const char *told = reasons_json(stage(p, "tokenizer")->reasons, stage(p, "tokenizer")->n_reasons, &p->arena);
    const char *of_base = reasons_json(stage(p, "base")->reasons, stage(p, "base")->n_reasons, &p->arena);
    record_all(p);
    struct run run;
    no_error(run_newest(&run, p->results, "small", &p->arena));
    assert_int_equal(run.number, 2);
    assert_string_equal(run_stage(&run, "tokenizer")->reasons, told);
    assert_non_null(strstr(told, "\"kind\":\"field\",\"name\":\"vocab\""));
    assert_non_null(strstr(told, "\"line\":8,\"old\":\"300\",\"new\":\"301\",\"by\":\"recipe\""));
    assert_string_equal(run_stage(&run, "base")->reasons, of_base);
    assert_non_null(strstr(of_base, "\"kind\":\"input\",\"name\":\"tokenizer\""));
}

static void a_changed_file(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    finish_all(p);
    record_all(p);
    put_file(p, "00.txt", "other words\n");
    make_plan(p, RECIPE);
    const struct reason *r = only_reason(p, "tokenizer", REASON_DATA);
    assert_non_null(strstr(r->name, "/00.txt"));
    assert_non_null(strstr(r->old, "sha256 "));
    has_state(p, "web.tokens", PLAN_RUN);

    char path[128];
    snprintf(path, sizeof path, "%s/02.txt", p->folder);
    unlink(path);
    make_plan(p, RECIPE);
    has_state(p, "web.tokens", PLAN_UNKNOWN);
    has_state(p, "base", PLAN_UNKNOWN);
    const struct plan_stage *tokens = stage(p, "web.tokens");
    assert_string_equal(tokens->reasons[tokens->n_reasons - 1].name, path);
    struct error *e = schedule_check(&p->plan, NULL);
    assert_non_null(e);
    assert_int_equal(error_exit_status(e), 3);
    assert_non_null(strstr(e->what, path));
    error_free(e);
}

static void a_missing_result(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    finish_all(p);
    record_all(p);
    const char *out = stage(p, "base")->out;
    unlink(out);
    make_plan(p, RECIPE);
    has_state(p, "base", PLAN_RUN);
    has_state(p, "base_eval", PLAN_CACHED);
    assert_string_equal(only_reason(p, "base", REASON_MISSING)->name, out);

    // Cut, foreign, of another key, not finished: all named, none taken.
    put_file(p, strstr(out, "results"), "not a result");
    make_plan(p, RECIPE);
    has_state(p, "base", PLAN_RUN);
    assert_non_null(strstr(only_reason(p, "base", REASON_MISSING)->new, "damaged"));
    make_file(out, "0000", "finished", 10);
    make_plan(p, RECIPE);
    has_state(p, "base", PLAN_RUN);
    make_file(out, stage(p, "base")->node->key, "running", 10);
    make_plan(p, RECIPE);
    has_state(p, "base", PLAN_RUN);
    finish(p, "base");
    make_plan(p, RECIPE);
    assert_int_equal(p->plan.n_cached, 4);
}

static void a_checkpoint(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    make_store(p);
    finish(p, "tokenizer");
    const struct graph_node *base = stage(p, "base")->node;
    make_file(key_path(&p->arena, p->results, KIND_PRETRAIN, base->key, ".part.prev.h5"), base->key, "running", 4);
    make_plan(p, RECIPE);
    has_state(p, "base", PLAN_RESUME);
    assert_int_equal(stage(p, "base")->step, 4);
    make_file(key_path(&p->arena, p->results, KIND_PRETRAIN, base->key, ".part.h5"), base->key, "stopped", 7);
    make_plan(p, RECIPE);
    assert_int_equal(stage(p, "base")->step, 7);
    assert_int_equal(stage(p, "base")->n_steps, 10);
    finish(p, "base");
    make_plan(p, RECIPE);
    has_state(p, "base", PLAN_CACHED);
}

static void some_token_files(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    make_store(p);
    const struct plan_stage *tokens = stage(p, "web.tokens");
    make_file(tokens->part_out[0], tokens->node->parts[0].key, "finished", 1);
    make_plan(p, RECIPE);
    tokens = stage(p, "web.tokens");
    has_state(p, "web.tokens", PLAN_RUN);
    assert_int_equal(tokens->n_done, 1);
    assert_int_equal(tokens->n_wanted, 3);
    assert_string_equal(tokens->reasons[0].new, "1 of 3 files done");

    // Cleared away when nothing that runs needs them: not made again for their own sake.
    finish_all(p);
    unlink(tokens->part_out[1]);
    make_plan(p, RECIPE);
    has_state(p, "web.tokens", PLAN_CACHED);
    unlink(stage(p, "base")->out);
    make_plan(p, RECIPE);
    has_state(p, "web.tokens", PLAN_RUN);
}

static void forgetting(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, RECIPE);
    finish_all(p);
    make_plan(p, RECIPE);
    struct plan_stage *base = plan_stage(&p->plan, "base");
    no_error(plan_forget(&p->plan, base, &p->arena));
    has_state(p, "base", PLAN_RUN);
    assert_false(file_exists(base->out));
    assert_int_equal(schedule_count(&p->plan, NULL), 1);
}

// Searches that share the names of the store's files list them once, and a checkpoint to begin from is found by them.
static void the_store_is_listed_once(void **state)
{
    struct place_of_test *p = *state;
    struct result_names names = {0};
    struct trunks *trunks = NULL;
    struct trunk trunk;
    char file[128];
    no_error(folder_make(arena_printf(&p->arena, "%s/store", p->results)));
    snprintf(file, sizeof file, "%s/store/pretrain-0123456789abcdef.h5", p->results);
    put_file(p, "results/store/pretrain-0123456789abcdef.h5", "none");
    put_file(p, "results/store/pretrain-0123456789abcdef.tmp.h5", "none");
    make_plan(p, RECIPE);
    no_error(trunk_find(&trunk, &trunks, &names, p->results, stage(p, "base")->node, INT64_MAX, &p->arena));
    assert_null(trunk.path);
    assert_int_equal(names.n, 1);
    assert_int_equal(unlink(file), 0);
    no_error(result_names_read(&names, p->results));
    assert_int_equal(names.n, 1);
    assert_null(p->plan.names); // those of the plan have gone with it
    result_names_release(&names);
    no_error(result_names_read(&names, p->results));
    assert_int_equal(names.n, 0);
    result_names_release(&names);
}

static void reasons_as_json(void **state)
{
    struct place_of_test *p = *state;
    const struct reason reasons[] = {
        {.kind = REASON_FIELD, .name = "vocab", .at = {"a\"b.yaml", 3, 1, 1}, .old = "1", .by = "recipe"},
        {.kind = REASON_FRESH, .name = "x"}};
    assert_string_equal(
        reasons_json(reasons, 2, &p->arena),
        "[{\"kind\":\"field\",\"name\":\"vocab\",\"file\":\"a\\\"b.yaml\",\"line\":3,\"old\":\"1\",\"new\":null,"
        "\"by\":\"recipe\"},{\"kind\":\"fresh\",\"name\":\"x\",\"file\":null,\"line\":null,\"old\":null,\"new\":null,"
        "\"by\":null}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(everything_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_field, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reasons_are_kept_with_the_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_result, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(some_token_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgetting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_store_is_listed_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reasons_as_json, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
