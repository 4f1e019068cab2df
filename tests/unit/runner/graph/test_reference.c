// test_reference.c - published runs: the shipped ones, what a run of one says, and files with mistakes.
#include "place.h"

#include "runner/graph/reference.h"

static const char GOOD[] =
    "reference: 1\n"
    "name: mine\n"
    "date: 2025-10-13\n"
    "source: \"a paper\"\n"
    "usd: 92.4\n"
    "stages:\n"
    "  base: {kind: pretrain, params: 561M, fields: {depth: 20, matrix_lr: 0.02}, core: 0.2219, bpb: 0.8, over: x}\n"
    "  sft: {kind: finetune, tasks: {arc_easy: {accuracy: 0.4, n: 100, baseline: 0.25}}}\n";

static struct error *read_text(struct place_of_test *p, struct run *run, const char *text)
{
    no_error(folder_make(arena_printf(&p->arena, "%s/results/reference", p->folder)));
    put_file(p, "results/reference/mine.yaml", text);
    return reference_read(run, arena_printf(&p->arena, "%s/reference/mine.yaml", p->results), &p->arena);
}

static void every_shipped_one_is_right(void **state)
{
    struct place_of_test *p = *state;
    const char **names;
    int n;
    no_error(reference_names(p->results, &p->arena, &names, &n));
    assert_true(n >= 7);
    for (int i = 0; i < n; i++) {
        struct run run;
        const char *path;
        no_error(reference_find(p->results, names[i], &p->arena, &path));
        assert_non_null(path);
        assert_true(reference_is(path));
        no_error(reference_read(&run, path, &p->arena));
        assert_string_equal(run.name, names[i]);
        assert_true(run.source && strlen(run.source) > 10 && strlen(run.started) >= 7);
        assert_true(run.n_stages > 0);
    }
}

static void what_is_not_written_is_not_known(void **state)
{
    struct place_of_test *p = *state;
    struct run run;
    no_error(read_text(p, &run, GOOD));
    assert_true(run.usd == 92.4 && isnan(run.seconds) && !run.note && run.number == 0);
    const struct run_stage *base = run_stage(&run, "base"), *sft = run_stage(&run, "sft");
    assert_true(base->params == 561000000 && base->tokens == -1 && isnan(base->usd));
    assert_string_equal(base->payload, "{\"fields\":{\"depth\":20,\"matrix_lr\":0.02},\"kind\":\"pretrain\"}");
    assert_true(base->published->core == 0.2219 && isnan(sft->published->core));
    struct run_tables tables;
    no_error(run_stage_tables(&tables, &run, sft));
    assert_int_equal(tables.tasks.n, 1);
    const struct task_score *task = tables.tasks.rows;
    assert_true(task->n == 100 && task->n_all == 100 && task->right == 40 && fabs(task->centered - 0.2) < 1e-12);
    assert_int_equal(tables.scores.n, 0);
    run_tables_release(&tables);
    no_error(run_stage_tables(&tables, &run, base));
    assert_int_equal(tables.scores.n, 1);
    run_tables_release(&tables);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *from, *to, *says;
    } bad[] = {
        {"reference: 1", "reference: 2", "not built"},
        {"name: mine", "name: other", "name is 'other'"},
        {"date: 2025-10-13\n", "", "'date' is missing"},
        {"source: \"a paper\"\n", "", "'source' is missing"},
        {"usd: 92.4", "usd: -1", "usd is -1"},
        {"usd: 92.4", "usd: [1]", "usd is no text"},
        {"usd: 92.4", "usb: 92.4", "unknown key 'usb'"},
        {"kind: pretrain", "kind: eval", "kind is 'eval'"},
        {"params: 561M", "params: -5", "below 0"},
        {"depth: 20", "dpeth: 20", "has no field 'dpeth'"},
        {"depth: 20", "depth: many", "not a number"},
        {"core: 0.2219", "core: 22", "not between"},
        {", over: x", "", "'over' is missing"},
        {"accuracy: 0.4", "accuracy: 40", "not between"},
        {"n: 100", "n: 0", "lacks accuracy or n"},
        {"arc_easy:", "Arc-Easy:", "not the name of a task"},
        {"  sft:", "  Sft:", "not the name of a stage"},
        {"tasks: {arc_easy: {accuracy: 0.4, n: 100, baseline: 0.25}}", "tasks: 3", "tasks is not a map"},
    };
    struct place_of_test *p = *state;
    for (size_t i = 0; i < countof(bad); i++) {
        struct run run;
        struct error *e = read_text(p, &run, with(&p->arena, GOOD, bad[i].from, bad[i].to));
        bool said = false;
        for (struct error *each = e; each; each = each->next)
            said |= strstr(each->what, bad[i].says) != NULL;
        if (!said)
            print_error("%s: %s\n", bad[i].says, e ? e->what : "no error");
        assert_true(said);
        error_free(e);
    }
    struct run run;
    static const char *const worse[] = {"", "[]", "reference: 1\n", "reference: 1\nstages: {}\n", "\x01", "stages: &a {}\n"};
    for (size_t i = 0; i < countof(worse); i++) {
        struct error *e = read_text(p, &run, worse[i]);
        assert_non_null(e);
        error_free(e);
    }
}

static void names_are_names(void **state)
{
    struct place_of_test *p = *state;
    const char *path;
    struct run run;
    no_error(read_text(p, &run, GOOD));
    no_error(reference_find(p->results, "mine", &p->arena, &path));
    assert_non_null(path);
    static const char *const none[] = {"", ".mine", "../reference/mine", "nobody"};
    for (size_t i = 0; i < countof(none); i++) {
        no_error(reference_find(p->results, none[i], &p->arena, &path));
        assert_null(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_shipped_one_is_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_written_is_not_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
