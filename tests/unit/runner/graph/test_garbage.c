// test_garbage.c - what nothing refers to is found and goes; everything else stays.
#include "place.h"

#include <fcntl.h>
#include <unistd.h>

#include "runner/graph/garbage.h"

static struct garbage found(struct place_of_test *p, const struct graph *const *graphs, int n_graphs)
{
    struct garbage g;
    no_error(garbage_find(&g, p->results, graphs, n_graphs, &p->arena));
    return g;
}

static bool is_there(struct place_of_test *p, const char *name)
{
    return file_exists(arena_printf(&p->arena, "%s/store/%s", p->results, name));
}

static void put_store(struct place_of_test *p, const char *name, const char *text)
{
    put_file(p, arena_printf(&p->arena, "results/store/%s", name), text);
}

static void made(struct place_of_test *p)
{
    make_plan(p, RECIPE);
    finish_all(p);
    record_all(p);
}

static void a_recorded_run_needs_everything_of_it(void **state)
{
    struct place_of_test *p = *state;
    made(p);
    struct garbage g = found(p, NULL, 0);
    assert_int_equal(g.n_results, 0);
    assert_int_equal(g.n_runs, 1);
    assert_int_equal(g.n_kept, 3 + 3); // three stages, three token files
}

static void a_forgotten_run_needs_nothing(void **state)
{
    struct place_of_test *p = *state;
    made(p);
    no_error(run_forget(p->results, "small", 1, &p->arena));
    struct garbage g = found(p, NULL, 0);
    assert_int_equal(g.n_results, 6);
    assert_int_equal(g.n_kept, 0);
    bool base = false;
    for (int i = 0; i < g.n_results; i++) {
        assert_string_equal(g.results[i].run, "small");
        assert_int_equal(g.results[i].number, 1);
        assert_true(g.results[i].seconds == 2.5);
        base |= g.results[i].stage && !strcmp(g.results[i].stage, "base");
    }
    assert_true(base);

    const char *out = plan_stage(&p->plan, "base")->out;
    put_store(p, "notes.txt", "mine");
    put_store(p, "pretrain-0123456789abcdef.h5.bak", "mine");
    put_store(p, "other-0123456789abcdef.h5", "mine");
    put_store(p, "pretrain-0123456789ABCDEF.h5", "mine");
    assert_int_equal(symlink("notes.txt", arena_printf(&p->arena, "%s/store/eval-0123456789abcdef.h5", p->results)), 0);
    assert_true(file_exists(out));
    no_error(garbage_remove(&g));
    assert_false(file_exists(out));
    assert_int_equal(found(p, NULL, 0).n_results, 0);
    assert_true(is_there(p, "notes.txt") && is_there(p, "pretrain-0123456789abcdef.h5.bak"));
    assert_true(is_there(p, "other-0123456789abcdef.h5") && is_there(p, "pretrain-0123456789ABCDEF.h5"));
    assert_true(is_there(p, "eval-0123456789abcdef.h5"));

    struct run run = {.name = "small"};
    no_error(run_create(&run, p->results, &p->arena)); // the number of the forgotten run is not used again
    assert_int_equal(run.number, 2);
}

// The log goes out of sight with its run, and for good with gc; so does one whose record is gone.
static void logs_go_with_their_runs(void **state)
{
    struct place_of_test *p = *state;
    made(p);
    record_all(p);
    put_file(p, "results/runs/small/0001.log", "said");
    put_file(p, "results/runs/small/0002.log", "said");
    put_file(p, "results/runs/small/0009.log", "of a run whose record somebody removed");
    put_file(p, "results/runs/small/notes.log", "mine");
    const char *const logs[] = {"0001.log", "0001.gone.log", "0002.log", "0009.log", "notes.log"};
    static const bool forgotten[] = {false, true, true, true, true}, removed[] = {false, false, true, false, true};
    no_error(run_forget(p->results, "small", 1, &p->arena));
    for (int acted = 0; acted < 2; acted++) {
        struct garbage g = found(p, NULL, 0);
        assert_int_equal(g.n_forgotten, acted ? 0 : 2);
        for (size_t i = 0; i < countof(logs); i++) {
            const char *path = arena_printf(&p->arena, "%s/runs/small/%s", p->results, logs[i]);
            assert_int_equal(file_exists(path), (acted ? removed : forgotten)[i]);
        }
        no_error(garbage_remove(&g));
    }
    assert_true(file_exists(run_path(&p->arena, p->results, "small", 2)));
}

static void what_another_run_or_a_recipe_needs_stays(void **state)
{
    struct place_of_test *p = *state;
    made(p);
    make_plan(p, with(&p->arena, RECIPE, "steps: 10", "steps: 20"));
    finish_all(p);
    record_all(p);
    no_error(run_forget(p->results, "small", 1, &p->arena));
    struct garbage g = found(p, NULL, 0);
    assert_int_equal(g.n_results, 2); // base and base_eval; tokenizer and tokens are those of run 2 as well
    for (int i = 0; i < g.n_results; i++)
        assert_true(g.results[i].kind == KIND_PRETRAIN || g.results[i].kind == KIND_EVAL);

    no_error(run_forget(p->results, "small", 2, &p->arena));
    make_graph(p, RECIPE);
    const struct graph *graphs[] = {&p->graph};
    g = found(p, graphs, 1);
    assert_int_equal(g.n_results, 2); // those of 20 steps
    for (int i = 0; i < g.n_results; i++)
        assert_int_equal(g.results[i].number, 2);

    unlink(arena_printf(&p->arena, "%s/01.txt", p->folder));
    make_graph(p, RECIPE);
    struct error *e = garbage_find(&g, p->results, graphs, 1, &p->arena);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_MACHINE);
    assert_non_null(strstr(e->what, "cannot be known"));
    error_free(e);
}

static void checkpoints_and_rests_go_together(void **state)
{
    struct place_of_test *p = *state;
    make_store(p);
    char key[] = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    make_file(arena_printf(&p->arena, "%s/store/pretrain-fedcba9876543210.part.h5", p->results), key, "running", 4);
    put_store(p, "pretrain-fedcba9876543210.part.prev.h5", "x");
    put_store(p, "pretrain-fedcba9876543210@100.h5", "x");
    put_store(p, "pretrain-fedcba9876543210@x.h5", "x");
    put_store(p, "pretrain-fedcba9876543210.tmp.h5", "x");
    put_store(p, "pretrain-fedcba9876543210.log", "x");
    put_store(p, "eval-fedcba9876543211.h5", "damaged");
    struct garbage g = found(p, NULL, 0);
    assert_int_equal(g.n_results, 2);
    assert_int_equal(g.results[0].n_files, 5);
    assert_string_equal(g.results[0].state, "running");
    assert_null(g.results[0].run);
    assert_null(g.results[1].state);
    no_error(garbage_remove(&g));
    assert_true(is_there(p, "pretrain-fedcba9876543210@x.h5"));
    assert_false(is_there(p, "pretrain-fedcba9876543210@100.h5") || is_there(p, "pretrain-fedcba9876543210.lock"));
}

static void a_stage_that_runs_keeps_what_it_reads(void **state)
{
    struct place_of_test *p = *state;
    struct lock lock;
    make_store(p);
    put_store(p, "tokenizer-00000000000000aa.h5", "x");
    put_store(p, "tokens-00000000000000ab.h5", "x");
    put_store(p, "tokens-00000000000000ac.h5", "x");
    put_store(p, "pretrain-00000000000000ad.part.h5", "x");
    put_store(p, "pretrain-00000000000000ad.job",
              "{\"inputs\":[{\"paths\":[\"r/store/tokens-00000000000000ab.h5\"]},{\"paths\":[\"r/store/"
              "tokenizer-00000000000000aa.h5\"]}]}");
    assert_int_equal(found(p, NULL, 0).n_results, 4);
    const char *path = arena_printf(&p->arena, "%s/store/pretrain-00000000000000ad.lock", p->results);
    no_error(lock_take(&lock, path, "a stage", NULL));
    struct garbage g = found(p, NULL, 0);
    assert_int_equal(g.n_results, 1);
    assert_string_equal(g.results[0].key, "00000000000000ac");
    lock_release(&lock, true);

    g = found(p, NULL, 0); // taken between finding and removing: left alone
    no_error(lock_take(&lock, path, "a stage", NULL));
    no_error(garbage_remove(&g));
    assert_true(is_there(p, "pretrain-00000000000000ad.part.h5"));
    assert_false(is_there(p, "tokens-00000000000000ac.h5"));
    lock_release(&lock, true);

    put_store(p, "tokens-00000000000000b1.job",
              "{\"lock\":\"tokens-00000000000000b0.lock\",\"out\":\"tokens-00000000000000b2.h5\"}");
    put_store(p, "tokens-00000000000000b2.tmp.h5", "x");
    no_error(lock_take(&lock, arena_printf(&p->arena, "%s/store/tokens-00000000000000b0.lock", p->results), "tokens", NULL));
    g = found(p, NULL, 0);
    for (int i = 0; i < g.n_results; i++)
        assert_null(strstr(g.results[i].key, "00000000000000b2"));
    lock_release(&lock, true);
}

static void nothing_goes_while_a_record_cannot_be_read(void **state)
{
    struct place_of_test *p = *state;
    struct garbage g;
    made(p);
    put_file(p, "results/runs/small/0002.h5", "damaged");
    struct error *e = garbage_find(&g, p->results, NULL, 0, &p->arena);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    assert_non_null(strstr(e->fix, "retort rm small/0002"));
    error_free(e);
    put_file(p, "results/runs/small/0002.h5", ""); // of a run that a crash ended before its first stage
    assert_int_equal(found(p, NULL, 0).n_results, 0);
}

static void a_run_that_begins_is_waited_for(void **state)
{
    struct place_of_test *p = *state;
    struct garbage_locks locks;
    struct lock lock;
    made(p);
    put_file(p, "results/runs/readme.txt", "no folder of runs");
    no_error(garbage_lock(&locks, p->results, &p->arena));
    assert_int_equal(locks.n, 1);
    garbage_unlock(&locks);
    no_error(lock_take(&lock, arena_printf(&p->arena, "%s/runs/small/lock", p->results), "retort run", NULL));
    struct error *e = garbage_lock(&locks, p->results, &p->arena); // its newest record is of a run that is over
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_MACHINE);
    error_free(e);
    lock_release(&lock, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_recorded_run_needs_everything_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forgotten_run_needs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(logs_go_with_their_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_another_run_or_a_recipe_needs_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(checkpoints_and_rests_go_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stage_that_runs_keeps_what_it_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_goes_while_a_record_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_that_begins_is_waited_for, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
