// test_keys.c - what the key of a result depends on, and what it does not.
#include "place.h"

#include "core/base/hash.h"

static void payload_is_canonical(void **state)
{
    struct place_of_test *p = *state;
    make_graph(p, RECIPE);
    const struct graph_node *tokenizer = graph_find(&p->graph, "tokenizer"), *base = graph_find(&p->graph, "base");
    char a[SHA256_HEX], b[SHA256_HEX], key[SHA256_HEX];
    no_error(sha256_bytes("one text\n", 9, a));
    no_error(sha256_bytes("another text\n", 13, b));
    const char *expected = arena_printf(&p->arena,
                                        "{\"data\":[{\"form\":\"text\",\"sha256\":\"%s\"},{\"form\":\"text\",\"sha256\":\"%s\"}],"
                                        "\"fields\":{\"chars\":10000,\"doc_cap\":10000,\"seed\":42,\"vocab\":300},\"inputs\":{},"
                                        "\"kind\":\"tokenizer\",\"version\":%d}",
                                        a, b, kind_version(KIND_TOKENIZER));
    assert_string_equal(tokenizer->payload, expected);
    no_error(sha256_bytes(expected, strlen(expected), key));
    assert_string_equal(tokenizer->key, key);

    const struct graph_node *tokens = graph_find(&p->graph, "web.tokens");
    assert_non_null(tokens);
    assert_int_equal(tokens->n_parts, 3);
    assert_true(tokens->parts[2].validation);
    const char *inputs =
        arena_printf(&p->arena, "\"inputs\":{\"tokenizer\":\"%s\",\"tokens\":[\"%s\",\"%s\"],\"validation\":[\"%s\"]}", key,
                     tokens->parts[0].key, tokens->parts[1].key, tokens->parts[2].key);
    assert_non_null(strstr(base->payload, inputs));
    assert_non_null(strstr(base->payload, "\"matrix_lr\":0.02,"));
    assert_non_null(strstr(base->payload, "\"warmdown\":0.20000000000000001,"));
    assert_null(strstr(base->payload, "device_batch"));
    assert_null(strstr(base->payload, "web"));
}

// What was once made is found again: these keys are older than tasks and mixtures. Those of base and its evaluation are of version 2: loss
// and attention were cut into other pieces then, and sums came to other last bits.
static void keys_stay(void **state)
{
    static const struct {
        const char *name, *key;
    } cases[] = {{"tokenizer", "a20377c29cddd58d9bf88498bd119b31c2c0dbde4480721ac0b855eab579a819"},
                 {"web.tokens", "6361816e6e2aa39ab65e82d04b644e545353d803117085ac7775250c129686f2"},
                 {"base", "5a230184f4af8bec8acf42c94ac4319295a423177a8bb67aac2acefbc8995823"},
                 {"base_eval", "33e49673ca42d31485d4e01e6d1968f73f7e1a8e80ac44e3dcf5fbf467ec0c4a"}};
    struct place_of_test *p = *state;
    make_graph(p, RECIPE);
    for (size_t i = 0; i < countof(cases); i++)
        assert_string_equal(key_of(p, cases[i].name), cases[i].key);
}

// Names of all stages and the source, the order of the stages, speed fields, comments, spelling of numbers.
static void what_does_not_matter(void **state)
{
    struct place_of_test *p = *state;
    make_graph(p, RECIPE);
    const char *tokenizer = key_of(p, "tokenizer"), *base = key_of(p, "base"), *eval = key_of(p, "base_eval"),
               *tokens = key_of(p, "web.tokens");
    make_graph(p, "retort: 1\n"
                  "name: another\n"
                  "nanochat: 2025\n"
                  "seed: 42\n"
                  "stages:\n"
                  "  score: {kind: eval, suites: [bpb], eval_tokens: 1k, device_batch: 2, model: model}\n"
                  "  model: {kind: pretrain, steps: 10, batch_tokens: 1_024, seq_len: 64, depth: 2, source: text,\n"
                  "          device_batch: 3, tokenizer: words, matrix_lr: 2e-2}\n"
                  "  words: {kind: tokenizer, source: text, chars: 10_000, vocab: 300} # the same\n"
                  "sources:\n"
                  "  text: {text: \"{00..02}.txt\", validate: last}\n");
    assert_string_equal(key_of(p, "words"), tokenizer);
    assert_string_equal(key_of(p, "text.tokens"), tokens);
    assert_string_equal(key_of(p, "model"), base);
    assert_string_not_equal(key_of(p, "score"), eval); // 1k is 1000
    // In the order in which they can run.
    const char *const order[] = {"words", "text.tokens", "model", "score"};
    for (int i = 0; i < p->graph.n_nodes; i++)
        assert_string_equal(p->graph.nodes[i]->name, order[i]);
}

static void what_matters(void **state)
{
    struct place_of_test *p = *state;
    static const struct {
        const char *setting;
        bool tokenizer, tokens, base, eval; // changed
    } cases[] = {{"tokenizer.vocab=301", true, true, true, true},
                 {"tokenizer.chars=9999", true, true, true, true},
                 {"base.steps=11", false, false, true, true},
                 {"base.matrix_lr=0.0200001", false, false, true, true},
                 {"base.seed=43", false, false, true, true},
                 {"seed=43", true, true, true, true},
                 {"base.device_batch=1", false, false, false, false},
                 {"base_eval.device_batch=1", false, false, false, false},
                 {"base_eval.eval_tokens=2048", false, false, false, true}};
    make_graph(p, RECIPE);
    const char *tokenizer = key_of(p, "tokenizer"), *tokens = key_of(p, "web.tokens"), *base = key_of(p, "base"),
               *eval = key_of(p, "base_eval");
    for (size_t i = 0; i < countof(cases); i++) {
        no_error(try_graph(p, RECIPE, &cases[i].setting, 1));
        assert_int_equal(strcmp(key_of(p, "tokenizer"), tokenizer) != 0, cases[i].tokenizer);
        assert_int_equal(strcmp(key_of(p, "web.tokens"), tokens) != 0, cases[i].tokens);
        assert_int_equal(strcmp(key_of(p, "base"), base) != 0, cases[i].base);
        assert_int_equal(strcmp(key_of(p, "base_eval"), eval) != 0, cases[i].eval);
    }
}

// More files: the parts that were there keep their keys. Another content: one part changes.
static void parts_have_keys_of_their_own(void **state)
{
    struct place_of_test *p = *state;
    // The tokenizer reads another source here, so that it stays the same while web grows.
    const char *apart = with(&p->arena, RECIPE, "tokenizer, source: web", "tokenizer, source: words");
    const char *text = with(&p->arena, apart, "sources:\n", "sources:\n  words: {text: \"00.txt\", validate: none}\n");
    make_graph(p, text);
    const struct graph_node *tokens = graph_find(&p->graph, "web.tokens");
    const char *first = tokens->parts[0].key, *second = tokens->parts[1].key, *third = tokens->parts[2].key;
    assert_string_not_equal(first, second);
    put_file(p, "03.txt", "a fourth\n");
    make_graph(p, with(&p->arena, text, "{00..02}", "{00..03}"));
    tokens = graph_find(&p->graph, "web.tokens");
    assert_int_equal(tokens->n_parts, 4);
    assert_string_equal(tokens->parts[0].key, first);
    assert_string_equal(tokens->parts[1].key, second);
    assert_string_equal(tokens->parts[2].key, third); // it was the validation part and is read for training now: the same tokens
    put_file(p, "01.txt", "changed\n");
    make_graph(p, with(&p->arena, text, "{00..02}", "{00..03}"));
    tokens = graph_find(&p->graph, "web.tokens");
    assert_string_equal(tokens->parts[0].key, first);
    assert_string_not_equal(tokens->parts[1].key, second);
}

static void a_missing_file_makes_keys_unknown(void **state)
{
    struct place_of_test *p = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/02.txt", p->folder);
    unlink(path); // validation text: the tokenizer does not read it
    make_graph(p, RECIPE);
    assert_non_null(key_of(p, "tokenizer"));
    assert_null(key_of(p, "web.tokens"));
    assert_null(key_of(p, "base"));
    assert_null(key_of(p, "base_eval"));
    const struct graph_node *tokens = graph_find(&p->graph, "web.tokens");
    assert_string_equal(tokens->parts[2].part.path, path);
    assert_true(tokens->parts[2].is_missing && !tokens->parts[0].is_missing);
    assert_non_null(tokens->parts[0].key);
}

// Addresses are known by what is written down of them, else by the files that lie where they are fetched to.
static void addresses(void **state)
{
    struct place_of_test *p = *state;
    const char *text = with(&p->arena, RECIPE, "\"{00..02}.txt\"", "\"https://host/{00..02}.txt\"");
    char sha[3][SHA256_HEX], list[1024] = "retort: 1\nfiles:\n";
    make_graph(p, RECIPE);
    const char *tokenizer = key_of(p, "tokenizer"), *base = key_of(p, "base");
    make_graph(p, text);
    assert_null(key_of(p, "tokenizer"));
    const struct graph_part *part = &graph_find(&p->graph, "web.tokens")->parts[2];
    assert_string_equal(part->url, "https://host/02.txt");
    assert_string_equal(part->part.path, arena_printf(&p->arena, "%s/data/host/02.txt", p->results));
    assert_true(part->is_missing);
    for (int i = 0; i < 3; i++) {
        no_error(sha256_file(arena_printf(&p->arena, "%s/0%d.txt", p->folder, i), sha[i]));
        snprintf(list + strlen(list), sizeof list - strlen(list), "  - {url: \"https://host/0%d.txt\", sha256: \"%s\"}\n", i,
                 sha[i]);
    }
    put_file(p, "small.data.yaml", list);
    make_plan(p, text);
    assert_string_equal(key_of(p, "tokenizer"), tokenizer);
    assert_string_equal(key_of(p, "base"), base);
    int n;
    assert_string_equal(plan_lacks(plan_stage(&p->plan, "tokenizer"), &n)->url, "https://host/00.txt");
    assert_int_equal(n, 2);
    assert_null(plan_lacks(plan_stage(&p->plan, "base"), &n));

    // Without the list the files themselves say it; with it they must be what it says.
    no_error(folder_make(arena_printf(&p->arena, "%s/data/host", p->results)));
    for (int i = 0; i < 3; i++)
        assert_int_equal(link(arena_printf(&p->arena, "%s/0%d.txt", p->folder, i),
                              arena_printf(&p->arena, "%s/data/host/0%d.txt", p->results, i)),
                         0);
    unlink(arena_printf(&p->arena, "%s/small.data.yaml", p->folder));
    make_graph(p, text);
    assert_string_equal(key_of(p, "base"), base);
    memcpy(strstr(list, sha[1]), sha[2], SHA256_HEX - 1);
    put_file(p, "small.data.yaml", list);
    struct error *e = try_graph(p, text, NULL, 0);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    assert_int_equal(e->at.line, 4);
    error_free(e);
}

static void worlds_have_two_parts(void **state)
{
    struct place_of_test *p = *state;
    put_file(p, "w.yaml",
             "world: 1\nsets: {person: [Ada, Ben, Cy], thing: [kite, drum, cup]}\n"
             "facts: {owns: {of: person, is: thing, hold_out: 0.3}}\n"
             "documents: [\"{p:person} has {t:owns.of(p)}.\"]\n");
    const char *text = with(&p->arena, RECIPE, "web: {text: \"{00..02}.txt\", validate: last}",
                            "web: {world: w.yaml, documents: 20k, validate: held_out}");
    make_graph(p, text);
    const struct graph_node *tokens = graph_find(&p->graph, "web.tokens"), *tokenizer = graph_find(&p->graph, "tokenizer");
    assert_int_equal(tokenizer->n_parts, 1);
    assert_int_equal(tokens->n_parts, 2);
    assert_int_equal(tokens->parts[0].part.n, 20000);
    assert_false(tokens->parts[0].part.held_out);
    assert_int_equal(tokens->parts[1].part.n, 400);
    assert_true(tokens->parts[1].part.held_out);
    assert_non_null(strstr(tokens->parts[1].identity, "{\"first\":0,\"form\":\"world\",\"generator\":"));
    assert_non_null(strstr(tokens->parts[1].identity, ",\"held_out\":true,\"n\":400,\"seed\":42,\"sha256\":\""));
    make_graph(p, with(&p->arena, text, "20k", "900"));
    assert_int_equal(graph_find(&p->graph, "web.tokens")->parts[1].part.n, 200);
}

static void lists_of_models_are_split(void **state)
{
    struct place_of_test *p = *state;
    const char *text = with(&p->arena, RECIPE, "  base_eval: {kind: eval, model: base,",
                            "  more: {kind: pretrain, tokenizer: other, source: web, depth: 2, seq_len: 64, batch_tokens: 1024,\n"
                            "         steps: 3}\n"
                            "  other: {kind: tokenizer, source: web, vocab: 400, chars: 10k}\n"
                            "  base_eval: {kind: eval, model: [base, more],");
    make_graph(p, text);
    assert_null(graph_find(&p->graph, "base_eval"));
    assert_non_null(graph_find(&p->graph, "base_eval@base"));
    assert_non_null(graph_find(&p->graph, "base_eval@more"));
    assert_string_not_equal(key_of(p, "base_eval@base"), key_of(p, "base_eval@more"));
    // Two tokenizers on one source.
    assert_null(graph_find(&p->graph, "web.tokens"));
    assert_non_null(graph_find(&p->graph, "web.tokens@tokenizer"));
    assert_non_null(graph_find(&p->graph, "web.tokens@other"));
    // One model alone, written as a stage, is the same result.
    const char *split = key_of(p, "base_eval@base");
    make_graph(p, RECIPE);
    assert_string_equal(key_of(p, "base_eval"), split);
}

static void bpb_needs_validation_text(void **state)
{
    struct place_of_test *p = *state;
    struct error *e = try_graph(p, with(&p->arena, RECIPE, "validate: last", "validate: none"), NULL, 0);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_RECIPE);
    assert_int_equal(e->at.line, 17);
    error_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(payload_is_canonical, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_matters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_have_keys_of_their_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_file_makes_keys_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worlds_have_two_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_of_models_are_split, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bpb_needs_validation_text, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
