// test_compare.c - two records side by side: fields that differ, tests of paired answers against known numbers, lines that fit.
#include "fake_run.h"

#include <jansson.h>

#include "runner/view/compare_print.h"
#include "runner/view/grid.h"

enum { ASKED = 100 };

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-6 * (1 + fabs(b));
}

// Published or countable: 2 (1 + 12 + 66) / 2^12; a coin that falls the same way six times; R's mcnemar exact examples.
static void p_values(void **state)
{
    (void)state;
    assert_true(near(compare_mcnemar(10, 2), 158.0 / 4096));
    assert_true(near(compare_mcnemar(2, 10), 158.0 / 4096));
    assert_true(near(compare_mcnemar(6, 0), 2.0 / 64));
    assert_true(compare_mcnemar(0, 0) == 1);
    assert_true(compare_mcnemar(5, 5) == 1);
    assert_true(compare_mcnemar(1, 0) == 1);
    double p = compare_mcnemar(5200, 4800); // near the normal law: z = 399 / 100
    assert_true(p > 6e-5 && p < 7e-5);
    p = compare_mcnemar(14000, 0);
    assert_true(p >= 0 && p < 1e-300);
    assert_true(near(compare_proportions(30, 100, 50, 100), 0.0038924));
    assert_true(compare_proportions(0, 10, 0, 10) == 1);
    assert_true(isnan(compare_proportions(0, 0, 0, 10)));
}

static const char *base_payload(struct place_of_test *p, int steps)
{
    return arena_printf(&p->arena,
                        "{\"data\":[],\"fields\":{\"matrix_lr\":0.02,\"n_layer\":4,\"steps\":%d},\"inputs\":{\"tokenizer\":\"t\","
                        "\"validation\":[\"v\"]},\"kind\":\"pretrain\",\"version\":1}",
                        steps);
}

static const char *sft_payload(struct place_of_test *p, const char *base, const char *mixture)
{
    return arena_printf(&p->arena,
                        "{\"data\":[],\"fields\":{\"mixture\":%s},\"inputs\":{\"mixture\":[[\"m%s\"]],\"model\":\"%s\"},"
                        "\"kind\":\"finetune\",\"version\":1}",
                        mixture, base, base);
}

// Answers to ASKED questions, of which `both` are right in every run, and then `from` to `to` in this one.
static void answers(struct example_score *e, const char *task, int both, int from, int to)
{
    for (int i = 0; i < ASKED; i++) {
        e[i] = (struct example_score){.row = (i * 37) % ASKED, .right = i < both || (i >= from && i < to)};
        snprintf(e[i].task, sizeof e[i].task, "%s", task);
        snprintf(e[i].expected, sizeof e[i].expected, "answer %d", i);
    }
}

static struct task_score score_of(const char *task, int right)
{
    struct task_score s = {.n = ASKED, .n_all = ASKED, .right = right, .accuracy = right / (double)ASKED};
    snprintf(s.task, sizeof s.task, "%s", task);
    return s;
}

// Run k: quiz is paired (10 against 2 alone right), sums has lost its answers in the second run, words are the same in both.
static void make_run(struct place_of_test *p, struct run *run, int k)
{
    static const char *const mixtures[] = {"[{\"epochs\":1,\"split\":\"train\",\"task\":\"talk\"},"
                                           "{\"epochs\":2,\"split\":\"train\",\"task\":\"gsm8k\"}]",
                                           "[{\"epochs\":1,\"split\":\"train\",\"task\":\"talk\"},"
                                           "{\"rows\":500,\"split\":\"train\",\"task\":\"arc\"},"
                                           "{\"epochs\":4,\"split\":\"train\",\"task\":\"gsm8k\"}]"};
    static struct example_score examples[3 * ASKED];
    struct fake_run f;
    const char *base = k ? "base2" : "base1", *sft = k ? "sft2" : "sft1";
    fake_init(&f, p, "small");
    struct run_stage *s = fake_stage(&f, "base", "pretrain", base, base_payload(p, k ? 200 : 100));
    s->tokens = k ? 2000000 : 1000000;
    s->seconds = k ? 125 : 59;
    fake_loss(&f, s, k ? 3.25 : 3.5);
    s = fake_stage(&f, "sft", "finetune", sft, sft_payload(p, base, mixtures[k]));
    fake_loss(&f, s, 2);
    if (k)
        fake_stage(&f, "rl", "grpo", "rl2", "{\"fields\":{},\"inputs\":{},\"kind\":\"grpo\",\"version\":1}");
    struct task_score tasks[] = {score_of("quiz", k ? 52 : 60), score_of("sums", k ? 50 : 30), score_of("words", 50)};
    answers(examples, "quiz", 50, k ? 60 : 50, k ? 62 : 60);
    answers(examples + ASKED, "words", 50, 0, 0);
    answers(examples + 2 * ASKED, "sums", k ? 50 : 30, 0, 0);
    const char *payload = arena_printf(&p->arena,
                                       "{\"fields\":{\"eval_tokens\":%d},\"inputs\":{\"model\":\"%s\",\"validation\":[\"v\"]},"
                                       "\"kind\":\"eval\",\"version\":1}",
                                       k ? 2048 : 1024, sft);
    fake_eval(&f, fake_stage(&f, "sft_eval", "eval", k ? "e2" : "e1", payload), tasks, 3, examples, (k ? 2 : 3) * ASKED,
              1.25 - k);
    fake_done(&f, run);
}

static const struct difference *asked(const struct comparison *c, const char *stage, const char *field)
{
    for (int i = 0; i < c->differences.n_rows; i++)
        if (!strcmp(c->differences.rows[i].stage, stage) && !strcmp(c->differences.rows[i].field, field))
            return &c->differences.rows[i];
    fail_msg("%s.%s is not there", stage, field);
    return NULL;
}

static const struct compare_score *score(const struct comparison *c, const char *label)
{
    for (int i = 0; i < c->n_scores; i++)
        if (!strcmp(c->scores[i].label, label))
            return &c->scores[i];
    fail_msg("%s is not there", label);
    return NULL;
}

static const struct compare_measure *measure(const struct comparison *c, const char *stage, const char *name)
{
    for (int i = 0; i < c->n_measures; i++)
        if (!strcmp(c->measures[i].stage, stage) && !strcmp(c->measures[i].name, name))
            return &c->measures[i];
    return NULL;
}

static void what_differs(void **state)
{
    struct place_of_test *p = *state;
    struct run runs[2];
    struct comparison c;
    make_run(p, &runs[0], 0);
    make_run(p, &runs[1], 1);
    no_error(compare_runs(&c, runs, 2, &p->arena));
    const struct difference *d = asked(&c, "base", "steps");
    assert_string_equal(d->text[0], "100");
    assert_string_equal(d->json[1], "200");
    d = asked(&c, "sft", "mixture[1].epochs"); // of gsm8k, which is entry 2 of the second
    assert_string_equal(d->text[0], "2");
    assert_string_equal(d->text[1], "4");
    d = asked(&c, "sft", "mixture[1]");
    assert_null(d->text[0]);
    assert_string_equal(d->text[1], "arc 500 rows");
    d = asked(&c, "rl", "kind");
    assert_null(d->text[0]);
    assert_string_equal(d->text[1], "grpo");
    asked(&c, "sft_eval", "eval_tokens");
    assert_int_equal(c.differences.n_rows, 5); // inputs follow

    assert_true(measure(&c, "base", "loss")->value[1] == 3.25);
    assert_true(measure(&c, "base", "tokens")->value[0] == 1e6);
    assert_null(measure(&c, "sft", "loss"));
    assert_null(measure(&c, "base", "cost"));
    assert_non_null(measure(&c, "rl", "time"));
}

static void what_is_noise(void **state)
{
    struct place_of_test *p = *state;
    struct run runs[2];
    struct comparison c;
    make_run(p, &runs[0], 0);
    make_run(p, &runs[1], 1);
    no_error(compare_runs(&c, runs, 2, &p->arena));
    const struct compare_score *s = score(&c, "quiz");
    assert_int_equal(s->test, COMPARE_MCNEMAR);
    assert_int_equal(s->pairs, ASKED);
    assert_int_equal(s->only_first, 10);
    assert_int_equal(s->only_second, 2);
    assert_true(near(s->p, 158.0 / 4096) && near(s->difference, -0.08));
    assert_true(s->best[0] && !s->best[1]);
    s = score(&c, "sums");
    assert_int_equal(s->test, COMPARE_PROPORTIONS);
    assert_true(near(s->p, 0.0038924));
    s = score(&c, "words");
    assert_true(s->p == 1 && s->pairs == ASKED && !s->best[0] && !s->best[1]);
    s = score(&c, "bpb"); // over another number of tokens: not the same measure
    assert_true(s->value[0] == 1.25 && isnan(s->value[1]) && isnan(s->difference));
    s = score(&c, "bpb, other count");
    assert_true(isnan(s->value[0]) && s->value[1] == 0.25 && isnan(s->p));
}

static const char *printed(struct place_of_test *p, const struct comparison *c)
{
    char *text = arena_alloc(&p->arena, 8000);
    FILE *f = tmpfile();
    no_error(compare_print(c, f, 80, &p->arena));
    rewind(f);
    text[fread(text, 1, 7999, f)] = '\0';
    fclose(f);
    return text;
}

// Two runs are tested, of more the best is marked.
static void what_is_shown(void **state)
{
    struct place_of_test *p = *state;
    struct run runs[3];
    struct comparison c;
    make_run(p, &runs[0], 0);
    make_run(p, &runs[1], 1);
    make_run(p, &runs[2], 1);
    no_error(compare_runs(&c, runs, 2, &p->arena));
    const char *text = printed(p, &c);
    assert_non_null(strstr(text, "sft  quiz                60.0 %  52.0 %   -8.0 pts  p 0.039\n"));
    assert_non_null(strstr(text, "sft  sums                30.0 %  50.0 %  +20.0 pts  p 0.004, unpaired\n"));
    assert_non_null(strstr(text, "sft  words               50.0 %  50.0 %   +0.0 pts  within noise\n"));
    assert_non_null(strstr(text, "sft       mixture[1].epochs     2             4\n"));
    no_error(compare_runs(&c, runs, 3, &p->arena));
    text = printed(p, &c);
    assert_non_null(strstr(text, "sft  quiz                *60.0 %   52.0 %   52.0 %\n"));
    assert_null(strstr(text, "B - A"));
    assert_non_null(strstr(text, "A  small/0001, finished after 10m00s"));
}

static void the_same_is_the_same(void **state)
{
    struct place_of_test *p = *state;
    struct run runs[2];
    struct comparison c;
    make_run(p, &runs[0], 0);
    make_run(p, &runs[1], 0);
    assert_int_equal(runs[1].number, 2);
    no_error(compare_runs(&c, runs, 2, &p->arena));
    assert_int_equal(c.differences.n_rows, 0);
    assert_int_equal(c.n_measures, 0);
    const char *text = printed(p, &c);
    assert_non_null(strstr(text, "no difference in what was asked"));
    assert_non_null(strstr(text, "within noise"));
}

// Inputs are told where nothing else does; the same entries in another order, as lists.
static void no_difference_is_lost(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run runs[2];
    struct differences d;
    static const char *const payloads[][2] = {
        {"{\"fields\":{},\"inputs\":{\"tokens\":[\"a\",\"b\"]}}", "{\"fields\":{},\"inputs\":{\"tokens\":[\"a\",\"c\"]}}"},
        {"{\"fields\":{\"mixture\":[{\"epochs\":1,\"task\":\"x\"},{\"epochs\":1,\"task\":\"y\"}]}}",
         "{\"fields\":{\"mixture\":[{\"epochs\":1,\"task\":\"y\"},{\"epochs\":1,\"task\":\"x\"}]}}"},
        {"{\"fields\":{\"suites\":[\"bpb\"]}}", "{\"fields\":{\"suites\":[\"bpb\",\"quiz\"]}}"},
        {"{\"data\":[{\"sha256\":\"1\"},{\"sha256\":\"2\"}]}", "{\"data\":[{\"sha256\":\"3\"},{\"sha256\":\"4\"}]}"},
        {"{\"data\":[{\"sha256\":\"1\"}]}", "{\"data\":[{\"sha256\":\"1\"},{\"sha256\":\"4\"}]}"},
        {"{\"grading\":[{\"baseline\":0.25,\"grader\":\"choice\",\"task\":\"x\"}]}",
         "{\"grading\":[{\"baseline\":0.5,\"grader\":\"choice\",\"task\":\"x\"}]}"},
        {"{\"kind\":\"eval\"}", "{\"grading\":[{\"grader\":\"choice\",\"task\":\"x\"}],\"kind\":\"eval\"}"},
        {"{\"fields\":{\"seed\":9007199254740992}}", "{\"fields\":{\"seed\":9007199254740993}}"}, // alike as doubles
        {"{\"fields\":3}", "{}"}};
    static const char *const names[] = {"tokens", "mixture", "suites", "data[0].sha256", "data", "grading[0].baseline",
                                        "grading", "seed"};
    for (size_t i = 0; i < countof(payloads); i++) {
        for (int r = 0; r < 2; r++) {
            fake_init(&f, p, "odd");
            fake_stage(&f, "x", "pretrain", r ? "k1" : "k2", payloads[i][r]);
            fake_done(&f, &runs[r]);
        }
        no_error(differences_collect(&d, runs, 2, &p->arena));
        assert_int_equal(d.n_rows, 1);
        if (i < countof(names))
            assert_string_equal(d.rows[0].field, names[i]);
        if (i == 6)
            assert_string_equal(d.rows[0].text[0] ? d.rows[0].text[0] : d.rows[0].text[1], "x");
        assert_int_equal(d.rows[0].of, i == 3 ? 2 : 1);
    }
    fake_init(&f, p, "odd");
    fake_stage(&f, "x", "pretrain", "k", "[");
    fake_done(&f, &runs[0]);
    struct error *e = differences_collect(&d, runs, 2, &p->arena);
    assert_int_equal(error_exit_status(e), 1);
    error_free(e);
}

static void answers_are_json(void **state)
{
    struct place_of_test *p = *state;
    struct run runs[2];
    struct comparison c;
    struct json j = {0};
    json_error_t problem;
    make_run(p, &runs[0], 0);
    make_run(p, &runs[1], 1);
    no_error(compare_runs(&c, runs, 2, &p->arena));
    json_open(&j, '{');
    compare_json(&c, &j);
    json_close(&j, '}');
    json_t *all = json_loads(json_text(&j), 0, &problem);
    assert_non_null(all);
    assert_int_equal(json_array_size(json_object_get(all, "runs")), 2);
    assert_int_equal(json_array_size(json_object_get(all, "fields")), 5);
    json_t *first = json_array_get(json_object_get(all, "fields"), 0);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(first, "values"), 1)), 200);
    json_t *bpb = json_array_get(json_object_get(all, "scores"), 0);
    assert_string_equal(json_string_value(json_object_get(bpb, "score")), "bpb");
    assert_true(json_is_null(json_array_get(json_object_get(bpb, "values"), 1)));
    assert_true(json_is_null(json_object_get(bpb, "p")));
    json_decref(all);
    json_release(&j);
}

// Long names, long values, control characters, and one to eight runs.
static void lines_fit(void **state)
{
    struct place_of_test *p = *state;
    struct run runs[COMPARE_RUNS];
    struct comparison c;
    for (int r = 0; r < COMPARE_RUNS; r++) {
        struct fake_run f;
        char task[] = "a_task_of_a_really_long_name_of_words";
        fake_init(&f, p, "small");
        f.run.machine = "a machine with a name that goes on and on \033[31m "
                        "and_has_a_word_that_is_longer_than_a_whole_line_of_a_terminal_can_be";
        f.run.build = arena_printf(&p->arena, "build-%d", r);
        const char *payload =
            arena_printf(&p->arena,
                         "{\"fields\":{\"long\":\"%d some text\\nwith_lines and more of it, as prompts of tasks have"
                         " them %s\",\"short\":%d,\"middling\":\"%d, twenty wide.......\"}}",
                         r, p->folder, r, r);
        fake_loss(&f, fake_stage(&f, "a_stage_with_quite_a_long_name_that_somebody_chose", "finetune", "k", payload), 3.0 + r);
        struct task_score tasks[] = {score_of(task, 10 + 5 * r), score_of("quiz", 50)};
        tasks[0].n_all = 1000000;
        fake_eval(&f, fake_stage(&f, "e", "eval", arena_printf(&p->arena, "e%d", r), "{\"inputs\":{\"model\":\"k\"}}"), tasks, 2,
                  NULL, 0, 1.5);
        fake_done(&f, &runs[r]);
    }
    for (int n = 2; n <= COMPARE_RUNS; n++) {
        no_error(compare_runs(&c, runs, n, &p->arena));
        for (int width = 72; width <= 120; width += 8) {
            char line[1024];
            FILE *f = tmpfile();
            no_error(compare_print(&c, f, width, &p->arena));
            rewind(f);
            while (fgets(line, sizeof line, f)) {
                line[strcspn(line, "\n")] = '\0';
                assert_null(strchr(line, '\033'));
                if (text_width(line) > width)
                    fail_msg("%d columns: %s", text_width(line), line);
            }
            fclose(f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_values),
        cmocka_unit_test_setup_teardown(what_differs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_noise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_difference_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_are_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_fit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
