// test_scores.c - a run's scores as a table: a column a model, capped scores apart, means over tasks.
#include "fake_run.h"

#include "runner/view/card.h"
#include "runner/view/scores.h"

static int row_named(const struct scores *s, const char *label)
{
    for (int i = 0; i < s->n_rows; i++)
        if (!strcmp(s->rows[i].label, label))
            return i;
    return -1;
}

static void load_all(const struct run *run, struct run_tables *tables, struct arena *arena)
{
    for (int i = 0; i < run->n_stages; i++)
        no_error(run_tables_load(&tables[i], run->path, arena_printf(arena, "/stage/%s", run->stages[i].name)));
}

static void a_column_a_model(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run run;
    struct run_tables tables[FAKE_STAGES];
    struct scores s;
    fake_init(&f, p, "small");
    // sft stands before base_eval here, and base first of all: columns keep the order of the run, not of the evaluations.
    fake_stage(&f, "base", "pretrain", "aa", "{\"fields\":{}}");
    fake_stage(&f, "sft", "finetune", "bb", "{\"fields\":{}}");
    struct task_score of_sft[] = {
        {.task = "quiz", .n = 100, .n_all = 100, .right = 64, .accuracy = 0.64, .baseline = 0.25, .centered = 0.52},
        {.task = "sums", .n = 50, .n_all = 50, .right = 5, .accuracy = 0.1, .baseline = 0, .centered = 0.1}};
    struct task_score of_base[] = {
        {.task = "quiz", .n = 20, .n_all = 100, .right = 5, .accuracy = 0.25, .baseline = 0.25, .centered = 0},
        {.task = "sums", .n = 50, .n_all = 50, .right = 0, .accuracy = 0, .baseline = 0, .centered = 0}};
    fake_eval(&f, fake_stage(&f, "sft_eval", "eval", "cc", "{\"inputs\":{\"model\":\"bb\"}}"), of_sft, 2, NULL, 0, NAN);
    fake_eval(&f, fake_stage(&f, "base_eval", "eval", "dd", "{\"inputs\":{\"model\":\"aa\"}}"), of_base, 2, NULL, 0, 1.25);
    fake_eval(&f, fake_stage(&f, "lost_eval", "eval", "ee", "{\"inputs\":{\"model\":\"ff\"}}"), of_base, 2, NULL, 0, 1.5);
    fake_done(&f, &run);
    load_all(&run, tables, &p->arena);
    no_error(scores_collect(&s, &run, tables, &p->arena));
    assert_int_equal(s.n_models, 2);
    assert_string_equal(s.models[0], "base");
    assert_string_equal(s.models[1], "sft");

    int bpb = row_named(&s, "bpb"), quiz = row_named(&s, "quiz"), capped = row_named(&s, "quiz (20 of 100)");
    int sums = row_named(&s, "sums"), mean = row_named(&s, "ChatCORE (2 tasks)"),
        cut = row_named(&s, "ChatCORE (2 tasks, capped)");
    assert_int_equal(s.n_rows, 6);
    assert_int_equal(bpb, 0);
    assert_true(quiz > 0 && capped > 0 && sums > 0 && mean > sums && cut > sums);
    assert_true(s.rows[bpb].less_is_better && !s.rows[bpb].is_accuracy);
    assert_true(s.rows[bpb].value[0] == 1.25 && isnan(s.rows[bpb].value[1]));
    assert_true(isnan(s.rows[quiz].value[0]) && s.rows[quiz].value[1] == 0.64);
    assert_true(fabs(s.rows[quiz].deviation[1] - 0.048) < 1e-12); // sqrt(0.64 * 0.36 / 100)
    assert_true(s.rows[capped].value[0] == 0.25 && isnan(s.rows[capped].value[1]));
    assert_true(s.rows[sums].value[0] == 0 && s.rows[sums].value[1] == 0.1);
    assert_true(fabs(s.rows[mean].value[1] - 0.31) < 1e-12 && isnan(s.rows[mean].value[0]));
    assert_true(s.rows[cut].value[0] == 0 && isnan(s.rows[cut].value[1]) && isnan(s.rows[cut].deviation[0]));
    assert_int_equal(s.rows[quiz].n[1], 100);
    assert_int_equal(s.rows[quiz].n[0], 0);
    assert_int_equal(s.rows[quiz].stage[1], 2);
    assert_int_equal(s.rows[quiz].stage[0], -1);
    assert_int_equal(s.rows[bpb].stage[0], 3);

    char text[32];
    assert_string_equal(score_text(text, sizeof text, &s.rows[quiz], 0.624), "62.4 %");
    assert_string_equal(score_text(text, sizeof text, &s.rows[bpb], 1.25), "1.2500");
    assert_string_equal(score_text(text, sizeof text, &s.rows[bpb], NAN), "-");
    for (int i = 0; i < run.n_stages; i++)
        run_tables_release(&tables[i]);
}

// Bits per byte of another text, or of more of it, have rows of their own; a model that stands twice has one column.
static void texts_stay_apart(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run run;
    struct run_tables tables[FAKE_STAGES];
    struct scores s;
    fake_init(&f, p, "small");
    fake_stage(&f, "base", "pretrain", "aa", "{\"fields\":{}}");
    fake_stage(&f, "sft", "finetune", "bb", "{\"fields\":{}}");
    fake_stage(&f, "again", "pretrain", "aa", "{\"fields\":{}}");
    static const char *const payloads[] = {
        "{\"fields\":{\"eval_tokens\":1024},\"inputs\":{\"model\":\"aa\",\"validation\":\"11\"}}",
        "{\"fields\":{\"eval_tokens\":1024},\"inputs\":{\"model\":\"bb\",\"validation\":\"11\"}}",
        "{\"fields\":{\"eval_tokens\":2048},\"inputs\":{\"model\":\"aa\",\"validation\":\"11\"}}",
        "{\"fields\":{\"eval_tokens\":1024},\"inputs\":{\"model\":\"bb\",\"validation\":\"22\"}}"};
    for (int i = 0; i < 4; i++)
        fake_eval(&f,
                  fake_stage(&f, arena_printf(&p->arena, "eval_%d", i), "eval", arena_printf(&p->arena, "c%d", i), payloads[i]),
                  NULL, 0, NULL, 0, 1 + i);
    fake_done(&f, &run);
    load_all(&run, tables, &p->arena);
    no_error(scores_collect(&s, &run, tables, &p->arena));
    assert_int_equal(s.n_models, 2);
    assert_int_equal(s.n_rows, 3);
    assert_true(s.rows[0].value[0] == 1 && s.rows[0].value[1] == 2);
    assert_string_equal(s.rows[0].label, "bpb");
    assert_true(s.rows[1].value[0] == 3 && isnan(s.rows[1].value[1]));
    assert_string_equal(s.rows[1].label, "bpb, other count");
    assert_true(isnan(s.rows[2].value[0]) && s.rows[2].value[1] == 4);
    assert_string_equal(s.rows[2].label, "bpb, other text");
    for (int i = 0; i < run.n_stages; i++)
        run_tables_release(&tables[i]);
}

// Bits per byte by longer rows as well.
static void rows_stay_apart(void **state)
{
    struct place_of_test *p = *state;
    static const char *const models[] = {"aa", "bb", "cc"}, *const labels[] = {"bpb", "bpb, other rows", "bpb, other rows"};
    struct fake_run f;
    struct run run;
    struct run_tables tables[FAKE_STAGES];
    struct scores s;
    fake_init(&f, p, "small");
    fake_stage(&f, "base", "pretrain", "aa", "{\"fields\":{\"seq_len\":128}}");
    fake_stage(&f, "sft", "finetune", "bb", "{\"fields\":{\"seq_len\":64},\"inputs\":{\"model\":\"aa\"}}");
    fake_stage(&f, "rl", "grpo", "cc", "{\"fields\":{},\"inputs\":{\"model\":\"bb\"}}");
    for (size_t i = 0; i < countof(models); i++) {
        const char *payload = arena_printf(&p->arena, "{\"inputs\":{\"model\":\"%s\",\"validation\":\"11\"}}", models[i]);
        const char *name = arena_printf(&p->arena, "eval%zu", i);
        fake_eval(&f, fake_stage(&f, name, "eval", name, payload), NULL, 0, NULL, 0, 1 + (double)i);
    }
    fake_done(&f, &run);
    load_all(&run, tables, &p->arena);
    no_error(scores_collect(&s, &run, tables, &p->arena));
    assert_int_equal(s.n_rows, 2);
    for (int i = 0; i < (int)countof(models); i++) {
        const struct score_row *row = &s.rows[row_named(&s, labels[i])];
        assert_string_equal(row->name, "bpb");
        assert_true(row->value[i] == 1 + i);
    }
    for (int i = 0; i < run.n_stages; i++)
        run_tables_release(&tables[i]);
}

// One task has no mean over tasks; of two evaluations of a model the last one counts.
static void one_task_has_no_mean(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run run;
    struct run_tables tables[FAKE_STAGES];
    struct scores s;
    fake_init(&f, p, "small");
    fake_stage(&f, "sft", "finetune", "bb", NULL);
    struct task_score first = {.task = "quiz", .n = 10, .n_all = 10, .right = 4, .accuracy = 0.4}, second = first;
    second.accuracy = 0.5;
    fake_eval(&f, fake_stage(&f, "one", "eval", "cc", "{\"inputs\":{\"model\":\"bb\"}}"), &first, 1, NULL, 0, NAN);
    fake_eval(&f, fake_stage(&f, "two", "eval", "dd", "{\"inputs\":{\"model\":\"bb\"}}"), &second, 1, NULL, 0, NAN);
    fake_eval(&f, fake_stage(&f, "bad", "eval", "ee", "no JSON"), &first, 1, NULL, 0, NAN);
    fake_done(&f, &run);
    load_all(&run, tables, &p->arena);
    no_error(scores_collect(&s, &run, tables, &p->arena));
    assert_int_equal(s.n_models, 1);
    assert_int_equal(s.n_rows, 1);
    assert_true(s.rows[0].value[0] == 0.5);
    assert_int_equal(s.rows[0].stage[0], 2);
    for (int i = 0; i < run.n_stages; i++)
        run_tables_release(&tables[i]);
}

// Notes of a stage are in the record, and on both cards; its many saves are not.
static void notes_are_told(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run run;
    struct run_tables tables;
    struct event events[6] = {
        {.kind = "note",
         .text = "3 of 40 conversations\nhave \033nothing to learn within 2048 tokens, and that is a line too long"},
        {.kind = "start"},
        {.step = 5}};
    for (int i = 2; i < 5; i++)
        strcpy(events[i].kind, "saved");
    strcpy(events[5].kind, "done");
    fake_init(&f, p, "small");
    struct store_set set = rows_set("/events", event_members, EVENT_MEMBERS, sizeof *events, events, countof(events));
    fake_result(&f, fake_stage(&f, "sft", "finetune", "bb", NULL), &set, 1);
    fake_done(&f, &run);
    load_all(&run, &tables, &p->arena);
    assert_int_equal(tables.events.n, 3);
    assert_string_equal(((const struct event *)tables.events.rows)[2].kind, "done");
    run_tables_release(&tables);
    for (int k = 0; k < 2; k++) {
        char *text = NULL;
        size_t n;
        FILE *to = open_memstream(&text, &n);
        no_error((k ? card_markdown : card_print)(&run, to, &p->arena));
        fclose(to);
        assert_non_null(strstr(text, "\nsft:\n  3 of 40 conversations have ?nothing to learn within 2048 tokens, and that"));
        assert_non_null(strstr(text, k ? "that is a line too long\n" : "that is\n  a line too long\n"));
        free(text);
    }
}

// A stage is named once above its notes, and a word without an end is cut.
static void lines_of_a_card_fit(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run run;
    struct event events[2] = {{.kind = "note", .text = "one"}, {.kind = "note", .text = "two"}};
    struct sample samples[1] = {{.step = 3}};
    memset(samples[0].text, 'x', 200);
    memcpy(samples[0].text, "\xC3\xA4 b", 4);
    fake_init(&f, p, "small");
    struct store_set sets[] = {rows_set("/events", event_members, EVENT_MEMBERS, sizeof *events, events, 2),
                               rows_set("/samples", sample_members, SAMPLE_MEMBERS, sizeof *samples, samples, 1)};
    fake_result(&f, fake_stage(&f, "base", "pretrain", "aa", "{}"), sets, 2);
    fake_done(&f, &run);
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);
    no_error(card_print(&run, to, &p->arena));
    fclose(to);
    assert_non_null(strstr(text, "\nbase:\n  one\n  two\n"));
    assert_non_null(strstr(text, "at step 3:\n  \xC3\xA4\n  bxxx"));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    free(text);
}

static const char *markdown(const struct run *run, struct place_of_test *p)
{
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);
    no_error(card_markdown(run, to, &p->arena));
    fclose(to);
    const char *copy = arena_strdup(&p->arena, text);
    free(text);
    return copy;
}

// What a model writes, and what stands in the recipe, never ends the block that it is shown in.
static void fences_hold(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run run;
    struct rollout rollouts[] = {{.prompt = "Why?", .text = "plain"}, {.prompt = "Why?", .text = "So ```` it\n  ```\n# is"}};
    fake_init(&f, p, "small");
    f.run.recipe_text = "# ```\nretort: 1\n";
    struct store_set set = rows_set("/rollouts", rollout_members, ROLLOUT_MEMBERS, sizeof *rollouts, rollouts, 2);
    fake_result(&f, fake_stage(&f, "rl", "grpo", "bb", NULL), &set, 1);
    fake_done(&f, &run);
    const char *text = markdown(&run, p);
    assert_non_null(strstr(text, "\n\n```\nplain\n```\n"));
    assert_non_null(strstr(text, "\n\n`````\nSo ```` it\n  ```\n# is\n`````\n"));
    assert_non_null(strstr(text, "\n\n````yaml\n# ```\nretort: 1\n````\n"));
}

// Validation of a fine-tuning is over another text than bpb: it has a column of its own.
static void validation_stands_apart(void **state)
{
    struct place_of_test *p = *state;
    struct fake_run f;
    struct run run;
    struct metric_val base = {.step = 9, .bpb = 1.25}, sft = {.step = 9, .bpb = 0.5};
    struct store_set sets[] = {rows_set("/metrics/val", metric_val_members, METRIC_VAL_MEMBERS, sizeof base, &base, 1),
                               rows_set("/metrics/val", metric_val_members, METRIC_VAL_MEMBERS, sizeof sft, &sft, 1)};
    char *text = NULL;
    size_t n;
    fake_init(&f, p, "small");
    fake_result(&f, fake_stage(&f, "base", "pretrain", "aa", "{}"), &sets[0], 1);
    fake_result(&f, fake_stage(&f, "sft", "finetune", "bb", "{}"), &sets[1], 1);
    fake_done(&f, &run);
    FILE *to = open_memstream(&text, &n);
    no_error(card_print(&run, to, &p->arena));
    fclose(to);
    assert_non_null(strstr(text, "loss     bpb     val\n"));
    assert_non_null(strstr(text, "-  1.2500       -\n"));
    assert_non_null(strstr(text, "-       -  0.5000\n"));
    free(text);
    const char *page = markdown(&run, p);
    assert_non_null(strstr(page, "| - | 1.2500 | - |\n"));
    assert_non_null(strstr(page, "| - | - | 0.5000 |\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_column_a_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_stay_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_stay_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_task_has_no_mean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notes_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_of_a_card_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fences_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(validation_stands_apart, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
