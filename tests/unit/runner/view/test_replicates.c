// test_replicates.c - which runs are one thing done several times, and numbers against those of numeric integration.
#include "fake_run.h"

#include "runner/view/compare_print.h"
#include "runner/view/worth.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-6 * (1 + fabs(b));
}

static void t_distribution(void **state)
{
    (void)state;
    assert_true(near(replicates_t(2, 10), 0.0733880347));
    assert_true(near(replicates_t(-2, 10), 0.0733880347));
    assert_true(near(replicates_t(0.5, 1), 0.7048327647)); // Cauchy
    assert_true(near(replicates_t(5, 2.5), 0.0234511900));
    assert_true(near(replicates_t(2.776445105, 4), 0.05)); // the tables' own
    assert_true(near(replicates_t(1.959963985, 1e7), 0.05));
    assert_true(near(replicates_t(0, 3), 1));
    assert_true(isnan(replicates_t(NAN, 3)));
    assert_true(isnan(replicates_t(1, 0)));
}

static void groups_of_numbers(void **state)
{
    const struct replicates two = {.n_runs = 7, .n_groups = 2, .group = {0, 0, 0, 1, 1, 1, 1}};
    const struct replicates one = {.n_runs = 4, .n_groups = 2, .group = {0, 0, 0, 1}};
    struct replicates_row row;
    (void)state;
    replicates_test(&two, (const double[]){1, 2, 3, 2, 4, 6, 8}, &row);
    assert_true(near(row.mean[0], 2) && near(row.mean[1], 5) && near(row.difference, 3));
    assert_true(near(row.deviation[0], 1) && near(row.deviation[1], sqrt(20.0 / 3)));
    assert_true(row.n[0] == 3 && row.n[1] == 4 && near(row.p, 0.0999128643));
    replicates_test(&one, (const double[]){1, 2, 3, 5}, &row); // t = 3 / (1 sqrt(4/3)) with 2 degrees
    assert_true(row.n[1] == 1 && isnan(row.deviation[1]) && near(row.p, replicates_t(3 / sqrt(4.0 / 3), 2)));
    replicates_test(&two, (const double[]){1, NAN, NAN, 2, NAN, NAN, NAN}, &row);
    assert_true(row.n[0] == 1 && isnan(row.p) && near(row.difference, 1));
    replicates_test(&two, (const double[]){1, 1, 1, 1, 1, 1, 1}, &row);
    assert_true(row.p == 1);
    replicates_test(&two, (const double[]){0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1}, &row);
    assert_true(isnan(row.p));
    replicates_test(&two, (const double[]){1, 1, 1, 2, 2, 2, 2}, &row); // seeds that change nothing tell nothing
    assert_true(isnan(row.p));
}

static const char *payload(struct place_of_test *p, int seed, double lr)
{
    return arena_printf(
        &p->arena,
        "{\"data\":[],\"fields\":{\"matrix_lr\":%g,\"seed\":%d},\"inputs\":{\"tokenizer\":\"tok\"},\"kind\":\"pretrain\","
        "\"version\":1}",
        lr, seed);
}

static void make(struct place_of_test *p, struct run *run, int seed, double lr, double loss)
{
    struct fake_run f;
    fake_init(&f, p, "r");
    fake_loss(&f, fake_stage(&f, "base", "pretrain", arena_printf(&p->arena, "key%d%g", seed, lr), payload(p, seed, lr)), loss);
    fake_done(&f, run);
}

// Seeds 1, 2, 3 and the first again; then another rate with seeds 1 and 2.
static void seeds_of_runs(void **state)
{
    struct place_of_test *p = *state;
    struct run runs[6];
    struct comparison c;
    char *text;
    make(p, &runs[0], 1, 0.02, 3.0);
    make(p, &runs[1], 2, 0.02, 3.1);
    make(p, &runs[2], 3, 0.02, 3.2);
    make(p, &runs[3], 1, 0.02, 3.0);
    make(p, &runs[4], 1, 0.04, 3.05);
    make(p, &runs[5], 2, 0.04, 3.2);
    assert_null(compare_runs(&c, runs, 6, &p->arena));
    assert_int_equal(c.replicates.n_groups, 2);
    assert_true(c.replicates.again[3] && !c.replicates.again[4]);
    assert_int_equal(c.n_seeds, 1);
    assert_int_equal(c.seeds[0].row.n[0], 3);
    assert_int_equal(c.seeds[0].row.n[1], 2);
    assert_true(near(c.seeds[0].row.mean[0], 3.1) && near(c.seeds[0].row.deviation[0], 0.1));
    size_t n;
    FILE *to = open_memstream(&text, &n);
    assert_null(compare_print(&c, to, 80, &p->arena));
    fclose(to);
    assert_non_null(strstr(text, "A B C"));
    assert_non_null(strstr(text, "within noise"));
    assert_non_null(strstr(text, "E F"));
    free(text);
    assert_null(compare_runs(&c, &runs[3], 2, &p->arena)); // no replicates, nothing to say
    assert_int_equal(c.n_seeds, 0);
}

// A model is paid for with all that it was made from, and with nothing else.
static void worth_of_models(void **state)
{
    struct run_stage stages[] = {
        {.name = "tok", .kind = "tokenizer", .key = "aaaa", .state = "cached", .usd = 1, .flops = NAN, .payload = "{}"},
        {.name = "base",
         .kind = "pretrain",
         .key = "bbbb",
         .state = "finished",
         .usd = 10,
         .flops = 5,
         .payload = "{\"inputs\":{\"t\":\"aaaa\"}}"},
        {.name = "other",
         .kind = "pretrain",
         .key = "cccc",
         .state = "finished",
         .usd = 100,
         .flops = 50,
         .payload = "{\"inputs\":{\"t\":\"aaaa\"}}"},
        {.name = "sft",
         .kind = "finetune",
         .key = "dddd",
         .state = "finished",
         .usd = 1000,
         .flops = 500,
         .payload = "{\"model\":\"bbbb\"}"},
    };
    const struct run run = {.stages = stages, .n_stages = 4};
    struct arena arena = {0};
    struct worth w;
    (void)state;
    assert_null(worth_of(&w, &run, 3, &arena));
    assert_true(w.usd == 1011 && w.flops == 505);
    assert_null(worth_of(&w, &run, 2, &arena));
    assert_true(w.usd == 101 && w.flops == 50);
    stages[1].usd = NAN;
    assert_null(worth_of(&w, &run, 3, &arena));
    assert_true(isnan(w.usd) && w.flops == 505);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_distribution),
        cmocka_unit_test(groups_of_numbers),
        cmocka_unit_test_setup_teardown(seeds_of_runs, set_up, tear_down),
        cmocka_unit_test(worth_of_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
