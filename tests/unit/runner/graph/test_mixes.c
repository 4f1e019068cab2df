// test_mixes.c - pretraining on shares of several sources: what it reads, its keys, its reasons and its epochs.
#include "place.h"

static const char *const MIX = "retort: 1\n"
                               "name: small\n"
                               "nanochat: 2025\n"
                               "seed: 42\n"
                               "sources:\n"
                               "  web: {text: \"{00..01}.txt\", validate: last}\n"
                               "  notes: {text: \"02.txt\", validate: none}\n"
                               "  both: {mix: [{source: web, share: 0.75}, {source: notes, share: 0.25}], validate: web}\n"
                               "stages:\n"
                               "  tokenizer: {kind: tokenizer, source: web, vocab: 300, chars: 10k}\n"
                               "  base:\n"
                               "    kind: pretrain\n"
                               "    tokenizer: tokenizer\n"
                               "    source: both\n"
                               "    depth: 2\n"
                               "    seq_len: 64\n"
                               "    batch_tokens: 1024\n"
                               "    steps: 10\n"
                               "  base_eval: {kind: eval, model: base, suites: [bpb], eval_tokens: 1024}\n";

static const struct graph_node *node(struct place_of_test *p, const char *name)
{
    const struct graph_node *found = graph_find(&p->graph, name);
    assert_non_null(found);
    return found;
}

static void reads_each_source(void **state)
{
    struct place_of_test *p = *state;
    make_graph(p, MIX);
    const struct graph_node *base = node(p, "base");
    assert_int_equal(base->n_inputs, 4);
    assert_string_equal(base->inputs[1].role, "mix");
    assert_string_equal(base->inputs[1].node->name, "web.tokens");
    assert_true(base->inputs[1].share->share == 0.75);
    assert_string_equal(base->inputs[2].node->name, "notes.tokens");
    assert_ptr_equal(graph_input(base, "validation"), node(p, "web.tokens"));
    assert_ptr_equal(graph_input(node(p, "base_eval"), "validation"), node(p, "web.tokens"));
    assert_null(graph_find(&p->graph, "both.tokens"));
    assert_non_null(strstr(base->payload, "\"inputs\":{\"mix\":[[\""));
    assert_non_null(strstr(base->payload, "\"kind\":\"pretrain\",\"shares\":[0.75,0.25],\"version\""));
}

static void keys(void **state)
{
    struct place_of_test *p = *state;
    make_graph(p, MIX);
    const char *base = key_of(p, "base"), *web = key_of(p, "web.tokens");
    make_graph(p, with(&p->arena, with(&p->arena, MIX, "0.75", "0.5"), "0.25", "0.5"));
    assert_string_not_equal(key_of(p, "base"), base);
    assert_string_equal(key_of(p, "web.tokens"), web);
    make_graph(p, with(&p->arena, with(&p->arena, MIX, "notes", "other"), "both", "all"));
    assert_string_equal(key_of(p, "base"), base); // names do not count
    // A mix of one is that one.
    make_graph(p, with(&p->arena, MIX, "{source: web, share: 0.75}, {source: notes, share: 0.25}", "{source: web, share: 1}"));
    base = key_of(p, "base");
    make_graph(p, with(&p->arena, MIX, "source: both", "source: web"));
    assert_string_equal(key_of(p, "base"), base);
}

static void mixes_of_mixes(void **state)
{
    struct place_of_test *p = *state;
    make_graph(p,
               with(&p->arena, MIX, "  both: {mix: [{source: web, share: 0.75}, {source: notes, share: 0.25}], validate: web}\n",
                    "  both: {mix: [{source: half, share: 0.5}, {source: web, share: 0.5}], validate: half}\n"
                    "  half: {mix: [{source: notes, share: 0.5}, {source: web, share: 0.5}], validate: web}\n"));
    const struct graph_node *base = node(p, "base");
    assert_string_equal(base->inputs[1].node->name, "notes.tokens");
    assert_true(base->inputs[1].share->share == 0.25);
    assert_true(base->inputs[2].share->share == 0.75);
    assert_ptr_equal(graph_input(base, "validation"), node(p, "web.tokens"));
    // Very many ways to one source.
    const char *text = "validate: none}\n";
    for (int i = 0; i < 60; i++)
        text = arena_printf(&p->arena, "%s  m%d: {mix: [{source: %s, share: 0.5}, {source: %s, share: 0.5}], validate: none}\n",
                            text, i, i ? arena_printf(&p->arena, "m%d", i - 1) : "both",
                            i > 1 ? arena_printf(&p->arena, "m%d", i - 2) : "both2");
    text = arena_printf(&p->arena, "validate: web}\n  both2: {mix: [{source: notes, share: 1}], %s", text);
    text = with(&p->arena, with(&p->arena, MIX, "validate: web}\n", text), "source: both\n", "source: m59\n");
    make_graph(p, with(&p->arena, text, "suites: [bpb]", "suites: [bpb], source: web"));
    double sum = 0;
    for (int i = 0; i < node(p, "base")->n_inputs; i++)
        sum += node(p, "base")->inputs[i].share ? node(p, "base")->inputs[i].share->share : 0;
    assert_true(fabs(sum - 1) < 1e-12);
}

static void a_file_to_validate_on(void **state)
{
    struct place_of_test *p = *state;
    put_file(p, "03.txt", "for validation\n");
    make_graph(p, with(&p->arena, MIX, "validate: web", "validate: \"03.txt\""));
    const struct graph_node *tokens = node(p, "both.tokens");
    assert_int_equal(tokens->n_parts, 1);
    assert_true(tokens->parts[0].validation && tokens->parts[0].wanted);
    assert_ptr_equal(graph_input(node(p, "base"), "validation"), tokens);
    make_graph(p, with(&p->arena, MIX, "validate: web", "validate: \"01.txt\"")); // which web holds back
    struct error *e = try_graph(p, with(&p->arena, MIX, "validate: web", "validate: \"02.txt\""), NULL, 0);
    assert_non_null(e);
    assert_string_equal(e->what, "the validation file is also read for training, as part of 'notes'");
    error_free(e);
    e = try_graph(p, with(&p->arena, MIX, "validate: web", "validate: \"x.parquet\""), NULL, 0);
    assert_non_null(e);
    assert_non_null(strstr(e->what, "none of these ends in '.parquet'"));
    error_free(e);
}

static void epochs_and_reasons(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, MIX);
    const struct plan_stage *base = plan_stage(&p->plan, "base");
    assert_int_equal(base->n_texts, 2);
    assert_int_equal(base->texts[0].rows, 120); // of 160
    assert_int_equal(base->texts[1].rows, 40);
    assert_int_equal(base->texts[0].tokens, -1);
    assert_true(isnan(base->texts[0].epochs));
    finish_all(p);
    record_all(p);
    make_plan(p, MIX);
    base = plan_stage(&p->plan, "base");
    assert_int_equal(base->texts[0].tokens, 1000); // one file a source to train on, each of 1,000 tokens: 15 rows of 64
    assert_true(base->texts[0].epochs == 8);
    assert_true(base->texts[1].epochs == 40. / 15);
    make_plan(p, with(&p->arena, with(&p->arena, MIX, "0.75", "0.5"), "0.25", "0.5"));
    base = plan_stage(&p->plan, "base");
    assert_int_equal(base->n_reasons, 2);
    assert_string_equal(base->reasons[0].name, "share of web");
    assert_string_equal(base->reasons[0].old, "0.75");
    assert_string_equal(base->reasons[0].new, "0.5");
    assert_int_equal(base->reasons[0].at.line, 8);
    put_file(p, "02.txt", "changed\n");
    make_plan(p, MIX);
    base = plan_stage(&p->plan, "base");
    assert_int_equal(base->n_reasons, 1);
    assert_int_equal(base->reasons[0].kind, REASON_INPUT);
    assert_string_equal(base->reasons[0].name, "notes.tokens");
    make_plan(p, RECIPE);
    assert_true(isnan(plan_stage(&p->plan, "base")->texts[0].epochs) && plan_stage(&p->plan, "base")->n_texts == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_each_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mixes_of_mixes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_to_validate_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(epochs_and_reasons, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
