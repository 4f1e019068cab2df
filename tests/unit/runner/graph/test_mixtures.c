// test_mixtures.c - tasks in the graph: their token stages, their keys, what runs again when a mixture changes, and what is said.
#include "place.h"

#include "runner/graph/share.h"
#include "runner/stages/job.h"

#define FIXTURES RETORT_SOURCE "/tests/fixtures/parquet/"

static const char *const WORLD = "world: 1\n"
                                 "sets: {person: [Ada, Ben, Cy, Dan, Eve], thing: [kite, drum, cup, hat]}\n"
                                 "facts: {owns: {of: person, is: thing}}\n"
                                 "documents: [\"{p:person} has {t:owns.of(p)}.\"]\n"
                                 "records:\n"
                                 "  quiz:\n"
                                 "    - question: \"{=p:person}What has {p}?\"\n"
                                 "      right: \"{owns.of(p)}\"\n"
                                 "      wrong: [stone, tree, car]\n"
                                 "  sums: [{question: \"What has {p:person}?\", answer: \"{owns.of(p)}\"}]\n";

static const char *const QUIZ = "task: quiz\n"
                                "source: {world: ../w.yaml, records: quiz}\n"
                                "splits: {train: {rows: 60}, test: {rows: 10}}\n"
                                "fields: {question: question, right: right, wrong: wrong}\n"
                                "choices: {line: \"- {choice}={letter}\\n\", letters: [A, B, C, D]}\n"
                                "prompt: \"{question}\\n{choices}\"\n"
                                "grader: choice\n"
                                "baseline: 0.25\n";

static const char *const SUMS = "task: sums\n"
                                "source: {world: ../w.yaml, records: sums}\n"
                                "splits: {train: {rows: 40}, test: {rows: 20}}\n"
                                "fields: {question: question, answer: answer}\n"
                                "grader: exact\n";

static const char *const MIXED =
    "retort: 1\n"
    "name: mixed\n"
    "nanochat: 2025\n"
    "seed: 42\n"
    "sources:\n"
    "  web: {text: \"{00..02}.txt\", validate: last}\n"
    "stages:\n"
    "  tokenizer: {kind: tokenizer, source: web, vocab: 300, chars: 10k}\n"
    "  base: {kind: pretrain, tokenizer: tokenizer, source: web, depth: 2, seq_len: 64, batch_tokens: 1024,\n"
    "         steps: 10}\n"
    "  mid:\n"
    "    kind: finetune\n"
    "    preset: mid\n"
    "    model: base\n"
    "    batch_tokens: 128\n"
    "    mixture:\n"
    "      - {task: quiz}\n"
    "      - {task: sums, epochs: 2}\n"
    "  rl: {kind: grpo, model: mid, mixture: [{task: sums}], eval_every: 0}\n"
    "  chat_eval: {kind: eval, model: [mid, rl], suites: [bpb, quiz, sums]}\n"
    "  base_eval: {kind: eval, model: base, suites: [bpb]}\n";

static int set_up_tasks(void **state)
{
    int rc = set_up(state);
    struct place_of_test *p = *state;
    if (rc || mkdir(arena_printf(&p->arena, "%s/tasks", p->folder), 0700))
        return -1;
    put_file(p, "w.yaml", WORLD);
    put_file(p, "tasks/quiz.yaml", QUIZ);
    put_file(p, "tasks/sums.yaml", SUMS);
    return 0;
}

static void has_state(struct place_of_test *p, const char *name, enum plan_state state)
{
    const struct plan_stage *s = plan_stage(&p->plan, name);
    if (!s)
        fail_msg("there is no stage '%s'", name);
    if (s->state != state)
        fail_msg("'%s' is %s", name, plan_state_name(s->state));
}

// "field mixture[1].epochs 2 3; input base - -", of the last part of paths.
static const char *reasons_of(struct place_of_test *p, const char *name)
{
    const struct plan_stage *s = plan_stage(&p->plan, name);
    const char *text = "";
    assert_non_null(s);
    for (int i = 0; i < s->n_reasons; i++) {
        const struct reason *r = &s->reasons[i];
        const char *slash = strrchr(r->name, '/');
        bool values = r->kind == REASON_FIELD;
        text = arena_printf(&p->arena, "%s%s%s %s%s%s%s%s", text, i ? "; " : "", reason_kind_name(r->kind),
                            slash ? slash + 1 : r->name, values ? " " : "", values ? r->old ? r->old : "-" : "",
                            values ? " " : "", values ? r->new ? r->new : "-" : "");
    }
    return text;
}

static void made(struct place_of_test *p, const char *text)
{
    make_plan(p, text);
    finish_all(p);
    record_all(p);
    make_plan(p, text);
    assert_int_equal(p->plan.n_cached, p->plan.n_stages);
}

static void nodes_and_roles(void **state)
{
    struct place_of_test *p = *state;
    make_graph(p, MIXED);
    const struct graph_node *mid = graph_find(&p->graph, "mid"), *eval = graph_find(&p->graph, "chat_eval@rl");
    static const char *const expected[][2] = {{"model", "base"},
                                              {"tokenizer", "tokenizer"},
                                              {"mixture", "quiz.train.tokens"},
                                              {"mixture", "sums.train.tokens"},
                                              {"test", "quiz.test.tokens"},
                                              {"test", "sums.test.tokens"}};
    assert_non_null(mid);
    assert_int_equal(mid->n_inputs, (int)countof(expected));
    for (int i = 0; i < mid->n_inputs; i++) {
        assert_string_equal(mid->inputs[i].role, expected[i][0]);
        assert_string_equal(mid->inputs[i].node->name, expected[i][1]);
        assert_int_equal(mid->inputs[i].use != NULL, !strcmp(expected[i][0], "mixture"));
    }
    assert_ptr_equal(graph_input(graph_find(&p->graph, "rl"), "mixture"), graph_find(&p->graph, "sums.train.tokens"));
    assert_null(graph_input(graph_find(&p->graph, "rl"), "test")); // eval_every: 0
    assert_string_equal(graph_input(eval, "suite")->name, "quiz.test.tokens");
    assert_string_equal(graph_input(eval, "validation")->name, "web.tokens");

    const struct graph_node *tokens = graph_find(&p->graph, "sums.train.tokens");
    assert_int_equal(tokens->kind, KIND_TOKENS);
    assert_int_equal(tokens->n_parts, 1);
    assert_string_equal(tokens->task->name, "sums");
    assert_string_equal(tokens->parts[0].part.records, "sums");
    assert_int_equal(tokens->parts[0].part.n, 40);
    assert_int_equal(tokens->parts[0].part.seed, 42);
    assert_true(tokens->parts[0].wanted);
    assert_non_null(strstr(tokens->parts[0].identity, ",\"n\":40,\"records\":\"sums\",\"seed\":42,\"sha256\":\""));

    // Two tokenizers, and one task twice.
    make_graph(
        p, with(&p->arena, MIXED, "  rl: {",
                "  other: {kind: tokenizer, source: web, vocab: 301, chars: 10k}\n"
                "  small: {kind: pretrain, tokenizer: other, source: web, depth: 1, seq_len: 64, batch_tokens: 1024, steps: 1}\n"
                "  tune: {kind: finetune, preset: sft, model: small, mixture: [{task: sums}, {task: sums, rows: 3}]}\n"
                "  rl: {"));
    assert_non_null(graph_find(&p->graph, "sums.train.tokens@tokenizer"));
    const struct graph_node *twice = graph_find(&p->graph, "sums.train.tokens@other"), *tune = graph_find(&p->graph, "tune");
    assert_non_null(twice);
    assert_non_null(graph_find(&p->graph, "quiz.train.tokens"));
    assert_ptr_equal(tune->inputs[2].node, twice);
    assert_ptr_equal(tune->inputs[3].node, twice);
    assert_int_equal(tune->n_inputs, 5);
}

// Splits of a world share no row: each goes on where those before it end; what is held out is a sequence of its own.
static void splits_are_apart(void **state)
{
    struct place_of_test *p = *state;
    put_file(p, "tasks/sums.yaml",
             with(&p->arena, SUMS, "{train: {rows: 40}, test: {rows: 20}}",
                  "{train: {rows: 40}, far: {rows: 7, held_out: true}, dev: {rows: 5}, test: {rows: 20, held_out: true},\n"
                  "         last: {rows: 2}}"));
    make_graph(p, with(&p->arena, MIXED, "      - {task: sums, epochs: 2}\n",
                       "      - {task: sums}\n      - {task: sums, split: far}\n      - {task: sums, split: dev}\n"
                       "      - {task: sums, split: last}\n"));
    static const struct {
        const char *name;
        int64_t first, n;
    } splits[] = {{"sums.train.tokens", 0, 40},
                  {"sums.far.tokens", 0, 7},
                  {"sums.dev.tokens", 40, 5},
                  {"sums.test.tokens", 7, 20},
                  {"sums.last.tokens", 45, 2}};
    for (size_t i = 0; i < countof(splits); i++) {
        const struct graph_node *tokens = graph_find(&p->graph, splits[i].name);
        assert_non_null(tokens);
        assert_int_equal(tokens->parts[0].part.first, splits[i].first);
        assert_int_equal(tokens->parts[0].part.n, splits[i].n);
    }
    assert_non_null(strstr(graph_find(&p->graph, "sums.dev.tokens")->parts[0].identity, "{\"first\":40,"));
}

static void payloads(void **state)
{
    struct place_of_test *p = *state;
    make_graph(p, MIXED);
    const struct graph_node *mid = graph_find(&p->graph, "mid"), *eval = graph_find(&p->graph, "chat_eval@mid");
    const char *quiz = graph_find(&p->graph, "quiz.train.tokens")->parts[0].key,
               *sums = graph_find(&p->graph, "sums.train.tokens")->parts[0].key,
               *quiz_test = graph_find(&p->graph, "quiz.test.tokens")->parts[0].key,
               *sums_test = graph_find(&p->graph, "sums.test.tokens")->parts[0].key;
    assert_non_null(strstr(mid->payload, "\"mixture\":[{\"epochs\":1,\"split\":\"train\",\"task\":\"quiz\"},"
                                         "{\"epochs\":2,\"split\":\"train\",\"task\":\"sums\"}]"));
    assert_non_null(
        strstr(mid->payload, arena_printf(&p->arena,
                                          "\"inputs\":{\"mixture\":[[\"%s\"],[\"%s\"]],\"model\":\"%s\",\"test\":[[\"%s\"],"
                                          "[\"%s\"]],\"tokenizer\":",
                                          quiz, sums, key_of(p, "base"), quiz_test, sums_test)));
    assert_non_null(strstr(eval->payload, arena_printf(&p->arena, "\"suite\":[[\"%s\"],[\"%s\"]],", quiz_test, sums_test)));
    assert_non_null(strstr(eval->payload, "\"suites\":[\"bpb\",\"quiz\",\"sums\"]"));
    const char *payload = graph_find(&p->graph, "quiz.train.tokens")->payload;
    assert_non_null(strstr(payload, "\"kind\":\"tokens\",\"task\":{"));
    assert_null(strstr(payload, "grader")); // how answers are graded is in the keys of those who grade
    assert_null(strstr(payload, "baseline"));
    assert_null(strstr(mid->payload, "\"grading\""));
    assert_non_null(strstr(eval->payload, ",\"grading\":[{\"baseline\":0.25,\"grader\":\"choice\",\"task\":\"quiz\"},"
                                          "{\"baseline\":0,\"grader\":\"exact\",\"task\":\"sums\"}],\"inputs\":"));
    assert_non_null(strstr(graph_find(&p->graph, "rl")->payload, ",\"grading\":[{\"grader\":\"exact\",\"task\":\"sums\"}],"));
    assert_null(strstr(graph_find(&p->graph, "base_eval")->payload, "grading"));

    make_graph(p, with(&p->arena, MIXED, "epochs: 2", "rows: 30"));
    assert_non_null(strstr(graph_find(&p->graph, "mid")->payload, "{\"rows\":30,\"split\":\"train\",\"task\":\"sums\"}"));
    assert_string_equal(graph_find(&p->graph, "sums.train.tokens")->parts[0].key, sums);
}

// The heart of it: another epochs of one task makes mid and what needs mid, and nothing else.
static void other_epochs(void **state)
{
    struct place_of_test *p = *state;
    made(p, MIXED);
    make_plan(p, with(&p->arena, MIXED, "epochs: 2", "epochs: 3.5"));
    static const char *const again[] = {"mid", "rl", "chat_eval@mid", "chat_eval@rl"};
    for (size_t i = 0; i < countof(again); i++)
        has_state(p, again[i], PLAN_RUN);
    assert_int_equal(p->plan.n_stages - p->plan.n_cached, (int)countof(again));
    assert_string_equal(reasons_of(p, "mid"), "field mixture[1].epochs 2 3.5");
    const struct reason *r = &plan_stage(&p->plan, "mid")->reasons[0];
    assert_int_equal(r->at.line, 18);
    assert_string_equal(r->by, "recipe");
    assert_string_equal(reasons_of(p, "rl"), "input mid");
    assert_string_equal(reasons_of(p, "chat_eval@mid"), "input mid");

    const char *setting = "mid.mixture[1].epochs=3";
    no_error(try_graph(p, MIXED, &setting, 1));
    no_error(plan_build(&p->plan, &p->graph, p->results, &p->arena));
    assert_string_equal(reasons_of(p, "mid"), "field mixture[1].epochs 2 3");
    assert_string_equal(plan_stage(&p->plan, "mid")->reasons[0].by, "-s");
}

static void other_entries(void **state)
{
    struct place_of_test *p = *state;
    const char *first = "      - {task: quiz}\n", *second = "      - {task: sums, epochs: 2}\n";
    const char *both = arena_printf(&p->arena, "%s%s", first, second);
    made(p, MIXED);
    const struct {
        const char *to, *reasons;
    } cases[] = {
        {"      - {task: quiz}\n      - {task: sums, rows: 7}\n", "field mixture[1].epochs 2 -; field mixture[1].rows - 7"},
        {"      - {task: quiz}\n      - {task: sums, split: test, epochs: 2}\n", "field mixture[1].split train test"},
        {"      - {task: sums, epochs: 2}\n      - {task: quiz}\n", "field mixture[0] quiz sums; field mixture[1] sums quiz"},
        {"      - {task: sums, epochs: 2}\n", "field mixture[0] quiz -"},
        {"      - {task: quiz}\n", "field mixture[1] sums -"},
        {"      - {task: quiz}\n      - {task: quiz}\n      - {task: sums, epochs: 2}\n", "field mixture[1] - quiz"},
        {"      - {task: quiz}\n      - {task: sums, epochs: 2}\n      - {task: sums}\n", "field mixture[2] - sums"},
        {"      - {task: quiz, epochs: 0.5}\n      - {task: sums, epochs: 4}\n",
         "field mixture[0].epochs 1 0.5; field mixture[1].epochs 2 4"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        make_plan(p, with(&p->arena, MIXED, both, cases[i].to));
        has_state(p, "mid", PLAN_RUN);
        assert_string_equal(reasons_of(p, "mid"), cases[i].reasons);
    }
    make_plan(p, with(&p->arena, MIXED, "suites: [bpb, quiz, sums]", "suites: [sums, quiz]"));
    has_state(p, "chat_eval@mid", PLAN_RUN);
    assert_non_null(strstr(reasons_of(p, "chat_eval@mid"), "field suites"));
    has_state(p, "base_eval", PLAN_CACHED);
}

static void other_tasks_and_data(void **state)
{
    struct place_of_test *p = *state;
    made(p, MIXED);
    put_file(p, "tasks/sums.yaml", with(&p->arena, SUMS, "grader: exact\n", "grader: exact\nprompt: \"Say: {question}\"\n"));
    make_plan(p, MIXED);
    has_state(p, "quiz.train.tokens", PLAN_CACHED);
    has_state(p, "sums.train.tokens", PLAN_RUN);
    assert_string_equal(reasons_of(p, "sums.train.tokens"), "data sums.yaml");
    const struct reason *r = &plan_stage(&p->plan, "sums.train.tokens")->reasons[0];
    assert_null(r->old);
    assert_string_equal(r->new, "prompt \"Say: {question}\"");
    assert_string_equal(reasons_of(p, "mid"), "input sums.train.tokens; input sums.test.tokens");
    assert_string_equal(reasons_of(p, "chat_eval@rl"), "input rl; input sums.test.tokens");
    has_state(p, "base_eval", PLAN_CACHED);

    put_file(p, "tasks/sums.yaml", with(&p->arena, SUMS, "rows: 40", "rows: 41"));
    make_plan(p, MIXED);
    assert_string_equal(reasons_of(p, "sums.train.tokens"), "data w.yaml");
    assert_string_equal(plan_stage(&p->plan, "sums.train.tokens")->reasons[0].new, "rows 41");
    assert_string_equal(plan_stage(&p->plan, "sums.test.tokens")->reasons[0].new, "first 41"); // it goes on where that ends
    assert_string_equal(reasons_of(p, "mid"), "input sums.train.tokens; input sums.test.tokens");

    // A split that is there no more.
    put_file(p, "tasks/sums.yaml", with(&p->arena, SUMS, ", test: {rows: 20}", ""));
    make_plan(p, with(&p->arena, MIXED, "[bpb, quiz, sums]", "[bpb, quiz]"));
    assert_string_equal(reasons_of(p, "mid"), "input test");
}

// Neither tokens nor models depend on how answers are graded; scores do, and models that learn by them.
static void other_grading(void **state)
{
    struct place_of_test *p = *state;
    made(p, MIXED);
    put_file(p, "tasks/quiz.yaml", with(&p->arena, QUIZ, "0.25", "0.26"));
    make_plan(p, MIXED);
    assert_int_equal(p->plan.n_stages - p->plan.n_cached, 2);
    has_state(p, "chat_eval@mid", PLAN_RUN);
    has_state(p, "chat_eval@rl", PLAN_RUN);
    assert_string_equal(reasons_of(p, "chat_eval@rl"), "data quiz.yaml");
    const struct reason *r = &plan_stage(&p->plan, "chat_eval@rl")->reasons[0];
    assert_string_equal(r->old, "baseline 0.25");
    assert_string_equal(r->new, "baseline 0.26");
    put_file(p, "tasks/quiz.yaml", QUIZ);

    put_file(p, "tasks/sums.yaml", with(&p->arena, SUMS, "exact\n", "exact\nbaseline: 0.1\n"));
    make_plan(p, MIXED);
    has_state(p, "rl", PLAN_CACHED);
    assert_string_equal(reasons_of(p, "chat_eval@mid"), "data sums.yaml");

    put_file(p, "tasks/sums.yaml", with(&p->arena, SUMS, "exact", "number"));
    make_plan(p, with(&p->arena, MIXED, "mixture: [{task: sums}]", "mixture: [{task: sums}, {task: sums}]"));
    has_state(p, "mid", PLAN_CACHED);
    has_state(p, "sums.train.tokens", PLAN_CACHED);
    assert_string_equal(reasons_of(p, "rl"), "field mixture[1] - sums; data sums.yaml");
    assert_string_equal(plan_stage(&p->plan, "rl")->reasons[1].new, "grader \"number\"");
    assert_string_equal(reasons_of(p, "chat_eval@mid"), "data sums.yaml");
    assert_string_equal(reasons_of(p, "chat_eval@rl"), "data sums.yaml; input rl");
}

static void missing_files(void **state)
{
    struct place_of_test *p = *state;
    put_file(p, "tasks/sums.yaml",
             "task: sums\nsource: {jsonl: \"{split}.jsonl\"}\nsplits: [train, test]\n"
             "fields: {question: question, answer: answer}\ngrader: exact\n");
    const char *text = with(&p->arena, MIXED, "seed: 42\n", arena_printf(&p->arena, "seed: 42\ndata: \"%s\"\n", p->folder));
    put_file(p, "test.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n");
    make_plan(p, text);
    has_state(p, "sums.train.tokens", PLAN_UNKNOWN);
    has_state(p, "sums.test.tokens", PLAN_RUN);
    has_state(p, "mid", PLAN_UNKNOWN);
    has_state(p, "base", PLAN_RUN);
    assert_string_equal(reasons_of(p, "sums.train.tokens"), "data train.jsonl");
    struct error *e = schedule_check(&p->plan, NULL);
    assert_non_null(e);
    assert_int_equal(error_exit_status(e), 3);
    assert_non_null(strstr(e->what, "train.jsonl"));
    error_free(e);
}

// The token file of a task's split, as far as the plan looks: n rows of so many tokens, whose last is the answer.
static void put_rows(struct place_of_test *p, const char *name, int64_t n, int64_t length)
{
    const struct plan_stage *s = plan_stage(&p->plan, name);
    int64_t *ends = arena_array(&p->arena, (size_t)n + 1, sizeof *ends);
    int64_t *prompts = arena_array(&p->arena, (size_t)n + 1, sizeof *prompts);
    uint8_t *mask = arena_array(&p->arena, (size_t)(n * length), 1);
    for (int64_t i = 0; i <= n; i++) {
        ends[i] = i * length;
        prompts[i] = i % 2 ? length - 1 : 0; // no prompt: the user has the last word
        if (i < n)
            mask[ends[i] + length - 1 - (i % 2 ? 0 : length / 2)] = 1;
    }
    const struct store_attribute attributes[] = {store_text("/", "key", s->node->parts[0].key),
                                                 store_text("/", "state", "finished"), store_i64("/", "n", ends[n])};
    const struct store_set sets[] = {{.path = "/rows", .type = STORE_I64, .n_dims = 1, .dims = {n + 1}, .data = ends},
                                     {.path = "/prompts", .type = STORE_I64, .n_dims = 1, .dims = {n}, .data = prompts},
                                     {.path = "/mask", .type = STORE_U8, .n_dims = 1, .dims = {n * length}, .data = mask}};
    no_error(store_save(s->part_out[0], attributes, countof(attributes), sets, countof(sets)));
}

// The second of two files is damaged behind what the plan looks at first: rows are counted as those of the source.
static void half_damaged(void **state)
{
    struct place_of_test *p = *state;
    put_file(p, "tasks/sums.yaml",
             "task: sums\nsource: {parquet: \"{split}-{0..1}.parquet\"}\nsplits: [train]\n"
             "fields: {question: text, answer: word}\ngrader: exact\n");
    static const char *const files[] = {FIXTURES "zstd_plain.parquet", FIXTURES "delta.parquet"}; // 60 rows and 30
    for (int i = 0; i < 2; i++)
        assert_int_equal(symlink(files[i], arena_printf(&p->arena, "%s/train-%d.parquet", p->folder, i)), 0);
    const char *text = with(&p->arena, MIXED, "seed: 42\n", arena_printf(&p->arena, "seed: 42\ndata: \"%s\"\n", p->folder));
    text = with(&p->arena, with(&p->arena, text, "[bpb, quiz, sums]", "[bpb, quiz]"), "      - {task: quiz}\n", "");
    text =
        with(&p->arena, text, "preset: mid\n    model: base\n    batch_tokens: 128", "preset: sft\n    model: base\n    rows: 1");
    make_plan(p, text);
    make_store(p);
    const struct plan_stage *tokens = plan_stage(&p->plan, "sums.train.tokens");
    assert_int_equal(tokens->node->n_parts, 2);
    put_rows(p, "sums.train.tokens", 60, 10);
    make_file(tokens->part_out[1], tokens->node->parts[1].key, "finished", 1);
    make_plan(p, text);
    const struct plan_stage *mid = plan_stage(&p->plan, "mid");
    assert_int_equal(plan_stage(&p->plan, "sums.train.tokens")->n_done, 2);
    assert_int_equal(mid->n_shares, 1);
    assert_int_equal(mid->shares[0].rows, 2 * 90);
    assert_int_equal(mid->shares[0].tokens, -1);
    assert_int_equal(mid->training_rows, 2 * 90);
}

static void shares(void **state)
{
    struct place_of_test *p = *state;
    make_plan(p, MIXED);
    const struct plan_stage *mid = plan_stage(&p->plan, "mid");
    assert_int_equal(mid->n_shares, 2);
    assert_string_equal(mid->shares[1].task, "sums");
    assert_int_equal(mid->shares[0].rows, 60);
    assert_int_equal(mid->shares[1].rows, 80);
    assert_int_equal(mid->shares[0].tokens, -1);
    assert_true(fabs(mid->shares[0].share - 60. / 140) < 1e-12);
    assert_int_equal(mid->tokens, -1);
    assert_int_equal(mid->params, plan_stage(&p->plan, "base")->params);
    assert_int_equal(plan_stage(&p->plan, "rl")->shares[0].rows, 40);

    make_store(p);
    put_rows(p, "quiz.train.tokens", 60, 10);
    put_rows(p, "sums.train.tokens", 40, 100); // of which 64 count
    make_plan(p, with(&p->arena, MIXED, "epochs: 2", "epochs: 1.5"));
    mid = plan_stage(&p->plan, "mid");
    assert_int_equal(mid->shares[0].tokens, 600);
    assert_int_equal(mid->shares[1].rows, 60);
    assert_int_equal(mid->shares[1].tokens, 60 * 64);
    assert_true(fabs(mid->shares[1].share - 3840. / 4440) < 1e-12);
    assert_int_equal(mid->tokens, 4439 / 64 / 2 * 128); // whole batches
    assert_true(mid->flops > 0);
    assert_int_equal(mid->training_rows, 4439 / 64);

    // A row each: of the rows of 100 tokens every other has its answer behind the cut.
    const char *each = with(&p->arena, MIXED, "preset: mid\n    model: base\n    batch_tokens: 128",
                            "preset: sft\n    model: base\n    rows: 4");
    make_plan(p, each);
    mid = plan_stage(&p->plan, "mid");
    assert_int_equal(mid->shares[1].rows, 80);
    assert_int_equal(mid->training_rows, 60 + 2 * 20);
    assert_int_equal(mid->updates, 100 / 4 - 1);

    // Whole ones packed into rows of 65 tokens: those of 64 fill one each, and six of 10 another.
    make_plan(p, with(&p->arena, MIXED, "batch_tokens: 128", "batch_tokens: 128\n    packing: best_fit"));
    mid = plan_stage(&p->plan, "mid");
    assert_int_equal(mid->training_rows, 2 * 20 + 60 / 6);
    assert_int_equal(mid->updates, 50 / 2);
    assert_int_equal(mid->tokens, 50 / 2 * 128);
}

// What a task has shows at the latest when its token files are there.
static void too_many_rows(void **state)
{
    struct place_of_test *p = *state;
    put_file(p, "tasks/sums.yaml",
             "task: sums\nsource: {jsonl: \"{split}.jsonl\"}\nsplits: [train]\n"
             "fields: {question: question, answer: answer}\ngrader: exact\n");
    put_file(p, "train.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n");
    const char *text = with(&p->arena, MIXED, "seed: 42\n", arena_printf(&p->arena, "seed: 42\ndata: \"%s\"\n", p->folder));
    text = with(&p->arena, with(&p->arena, text, "epochs: 2", "rows: 41"), "[bpb, quiz, sums]", "[bpb, quiz]");
    make_plan(p, text);
    assert_int_equal(plan_stage(&p->plan, "mid")->shares[1].rows, 41);
    make_store(p);
    put_rows(p, "sums.train.tokens", 40, 10);
    make_graph(p, text);
    struct error *e = plan_build(&p->plan, &p->graph, p->results, &p->arena);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_RECIPE);
    assert_int_equal(e->at.line, 19);
    assert_string_equal(e->what, "rows of 'sums' is 41, but its split 'train' has 40");
    error_free(e);
    make_plan(p, with(&p->arena, text, "rows: 41", "rows: 40"));
}

// The error of planning text, and of check, which sees no results.
static void refused_in(const char *stage, struct place_of_test *p, const char *text, int line, const char *what)
{
    make_graph(p, text);
    for (int check = 0; check < 2; check++) {
        const struct graph_node *node = graph_find(&p->graph, stage);
        struct error *e = check ? shares_check(node, &p->arena) : plan_build(&p->plan, &p->graph, p->results, &p->arena);
        assert_non_null(e);
        assert_null(e->next);
        assert_int_equal(e->kind, ERROR_RECIPE);
        assert_int_equal(e->at.line, line);
        assert_string_equal(e->what, what);
        assert_non_null(e->fix);
        error_free(e);
    }
}

static void refused(struct place_of_test *p, const char *text, int line, const char *what)
{
    refused_in("mid", p, text, line, what);
}

// A suite whose test split has no rows is told before anything runs, once the file says so.
static void suites_of_nothing(void **state)
{
    struct place_of_test *p = *state;
    put_file(p, "tasks/sums.yaml",
             "task: sums\nsource: {jsonl: \"{split}.jsonl\"}\nsplits: [train, test]\n"
             "fields: {question: question, answer: answer}\ngrader: exact\n");
    put_file(p, "train.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n");
    put_file(p, "test.jsonl", "");
    make_graph(p, with(&p->arena, MIXED, "seed: 42\n", arena_printf(&p->arena, "seed: 42\ndata: \"%s\"\n", p->folder)));
    for (int check = 0; check < 2; check++) {
        const struct graph_node *eval = graph_find(&p->graph, "chat_eval@mid");
        struct error *e = check ? shares_check(eval, &p->arena) : plan_build(&p->plan, &p->graph, p->results, &p->arena);
        assert_non_null(e);
        assert_int_equal(e->kind, ERROR_RECIPE);
        assert_int_equal(e->at.line, 21);
        assert_string_equal(e->what, "split 'test' of 'sums' has no rows");
        assert_null(e->next); // once, not once for each model
        error_free(e);
    }
}

static void entries_of_nothing(void **state)
{
    struct place_of_test *p = *state;
    refused(p, with(&p->arena, MIXED, "epochs: 2", "epochs: 0.02"), 18,
            "epochs of 'sums' is 0.02, which is none of the 40 rows of its split 'train'");
    make_plan(p, with(&p->arena, MIXED, "epochs: 2", "epochs: 0.025"));
    assert_int_equal(plan_stage(&p->plan, "mid")->shares[1].rows, 1);
}

// What can never fill a batch is told before anything runs: of rows whose tokens are not counted yet there are no more than examples.
static void less_than_a_batch(void **state)
{
    struct place_of_test *p = *state;
    const char *const small =
        with(&p->arena, with(&p->arena, MIXED, "{task: quiz}", "{task: quiz, rows: 2}"), "epochs: 2", "rows: 1");
    refused(p, with(&p->arena, small, "batch_tokens: 128", "batch_tokens: 256"), 11,
            "the mixture makes at most 3 rows, fewer than the 4 of one update");
    make_plan(p, with(&p->arena, small, "batch_tokens: 128", "batch_tokens: 192"));
    make_plan(p, with(&p->arena, small, "batch_tokens: 128", "batch_tokens: 256\n    steps: 3"));
    refused(p,
            with(&p->arena, small, "preset: mid\n    model: base\n    batch_tokens: 128",
                 "preset: sft\n    model: base\n    rows: 4"),
            11, "the mixture makes 3 rows, fewer than the 4 of one update");
    refused_in("rl", p, with(&p->arena, MIXED, "[{task: sums}]", "[{task: sums, rows: 1}], rows: 2"), 19,
               "the mixture makes 1 question, fewer than the 2 of one update");
    make_plan(p, with(&p->arena, MIXED, "[{task: sums}]", "[{task: sums, rows: 1}], rows: 2, steps: 1"));
}

// What could not be opened later is told before anything runs.
static void large_mixtures(void **state)
{
    struct place_of_test *p = *state;
    refused(p,
            with(&p->arena, with(&p->arena, MIXED, "{task: quiz}", "{task: quiz, epochs: 1e6}"), "epochs: 2",
                 "epochs: 1e6}\n      - {task: quiz, epochs: 1e6}\n      - {task: quiz, epochs: 1e6}\n"
                 "      - {task: quiz, epochs: 1e6"),
            21, "the mixture has 280000000 examples with 'quiz', and holds 268435456 at most");
    make_plan(p,
              with(&p->arena, with(&p->arena, MIXED, "{task: quiz}", "{task: quiz, epochs: 1e6}"), "epochs: 2", "epochs: 1e6"));
    assert_int_equal(plan_stage(&p->plan, "mid")->shares[0].rows, 60000000);
}

static void resuming(void **state)
{
    struct place_of_test *p = *state;
    static const char *const names[] = {"mid", "rl", "chat_eval@mid"};
    make_plan(p, MIXED);
    make_store(p);
    for (size_t i = 0; i < countof(names); i++) {
        const struct graph_node *node = plan_stage(&p->plan, names[i])->node;
        make_file(key_path(&p->arena, p->results, node->kind, node->key, ".part.h5"), node->key, "stopped", 3);
    }
    make_plan(p, MIXED);
    for (size_t i = 0; i < countof(names); i++) {
        has_state(p, names[i], PLAN_RESUME);
        assert_int_equal(plan_stage(&p->plan, names[i])->step, 3);
    }
    no_error(schedule_check(&p->plan, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_and_roles, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(splits_are_apart, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(payloads, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(other_epochs, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(other_entries, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(other_tasks_and_data, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(other_grading, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(missing_files, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(shares, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(half_damaged, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(too_many_rows, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(suites_of_nothing, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(entries_of_nothing, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(less_than_a_batch, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(large_mixtures, set_up_tasks, tear_down),
        cmocka_unit_test_setup_teardown(resuming, set_up_tasks, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
