// test_records.c - run records come back as they were written; locks are held by one.
#include "place.h"

#include <math.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "runner/graph/lock.h"
#include "runner/graph/run_record.h"

static void a_record_comes_back(void **state)
{
    struct place_of_test *p = *state;
    const char *store = arena_printf(&p->arena, "%s/result.h5", p->folder);
    struct metric_train rows[] = {{.step = 1, .tokens = 10, .loss = 3.5}, {.step = 2, .tokens = 20, .loss = 3.25}};
    struct store_set set = {.path = "/metrics/train",
                            .type = STORE_TABLE,
                            .n_dims = 1,
                            .dims = {2},
                            .data = rows,
                            .members = metric_train_members,
                            .n_members = METRIC_TRAIN_MEMBERS,
                            .row_bytes = sizeof *rows};
    no_error(store_save(store, NULL, 0, &set, 1));
    char *payload = arena_alloc(&p->arena, 100001); // larger than an attribute may be
    memset(payload, 'x', 100000);
    struct run_stage stages[] = {{.name = "base",
                                  .kind = "pretrain",
                                  .key = "abc",
                                  .state = "finished",
                                  .seconds = 2,
                                  .usd = NAN,
                                  .params = 5,
                                  .tokens = -1,
                                  .flops = 1e9,
                                  .payload = payload,
                                  .reasons = "[]",
                                  .file = store},
                                 {.name = "web.tokens@words", .kind = "tokens", .key = "", .state = "failed", .error = "no"}};
    struct run run = {.name = "small",
                      .state = "failed",
                      .started = "s",
                      .ended = "e",
                      .recipe_path = "r",
                      .settings = "[]",
                      .host = "h",
                      .machine = "m",
                      .build = "b",
                      .pid = 77,
                      .seconds = 3,
                      .usd = NAN,
                      .recipe_text = "text\n",
                      .recipe_bytes = 3,
                      .resolved = "all\n",
                      .stages = stages,
                      .n_stages = 2};
    no_error(run_create(&run, p->results, &p->arena));
    assert_int_equal(run.number, 1);
    no_error(run_save(&run));
    no_error(run_save(&run)); // again, over the first

    struct run back;
    no_error(run_newest(&back, p->results, "small", &p->arena));
    assert_int_equal(back.number, 1);
    assert_int_equal(back.pid, 77);
    assert_string_equal(back.recipe_text, "text\n");
    assert_int_equal(back.recipe_bytes, 3);
    assert_string_equal(back.resolved, "all\n");
    assert_int_equal(back.n_stages, 2);
    assert_string_equal(back.stages[0].payload, payload);
    assert_string_equal(back.stages[1].error, "no");
    assert_string_equal(back.stages[1].name, "web.tokens@words");
    assert_null(back.stages[1].payload);
    assert_int_equal(back.stages[0].params, 5);
    assert_true(isnan(back.stages[0].usd));
    struct run_tables tables;
    no_error(run_tables_load(&tables, back.path, "/stage/base"));
    assert_int_equal(tables.train.n, 2);
    assert_true(((struct metric_train *)tables.train.rows)[1].loss == 3.25);
    assert_int_equal(tables.samples.n, 0);
    run_tables_release(&tables);
    struct store_file *file;
    no_error(store_open(&file, back.path));
    no_error(run_tables_glance(&tables, file, "/stage/base"));
    assert_int_equal(tables.train.n, 2);
    assert_int_equal(tables.timing.n, 0);
    run_tables_release(&tables);
    no_error(run_tables_glance(&tables, file, "/stage/bas"));
    assert_int_equal(tables.train.n, 0);
    store_close(file);
}

// An empty file that a crash left, and one that is no record, are passed over; their numbers are not used again.
static void damaged_records_are_passed_over(void **state)
{
    struct place_of_test *p = *state;
    struct run run = {.name = "small",
                      .state = "running",
                      .started = "s",
                      .recipe_path = "r",
                      .settings = "[]",
                      .host = "h",
                      .machine = "m",
                      .build = "b"},
               back;
    no_error(run_newest(&back, p->results, "small", &p->arena));
    assert_int_equal(back.number, 0);
    no_error(run_create(&run, p->results, &p->arena));
    no_error(run_save(&run));
    no_error(run_create(&run, p->results, &p->arena)); // and not saved
    assert_int_equal(run.number, 2);
    put_file(p, "results/runs/small/0007.h5", "not a record");
    no_error(run_newest(&back, p->results, "small", &p->arena));
    assert_int_equal(back.number, 1);
    no_error(run_create(&run, p->results, &p->arena));
    assert_int_equal(run.number, 8);
    const char **names;
    int n;
    no_error(run_names(p->results, &p->arena, &names, &n));
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "small");
}

static void locks(void **state)
{
    struct place_of_test *p = *state;
    const char *path = arena_printf(&p->arena, "%s/lock", p->folder);
    struct lock lock;
    struct lock_holder holder;
    assert_false(lock_held(path, &holder));
    no_error(lock_take(&lock, path, "retort run small.yaml", NULL));
    assert_true(lock.taken);
    pid_t child = fork();
    if (child == 0) {
        struct lock other;
        struct error *e = lock_take(&other, path, "another", &holder);
        bool good = !e && !other.taken && holder.pid == getppid() && !strcmp(holder.command, "retort run small.yaml");
        _exit(good && lock_held(path, NULL) ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    struct error *e = lock_error("it", &(struct lock_holder){.pid = 5, .host = "h", .start = "s", .command = "c"}, "tiny");
    assert_int_equal(error_exit_status(e), 3);
    assert_non_null(strstr(e->what, "process 5 on h"));
    assert_non_null(strstr(e->fix, "`retort stop tiny`"));
    error_free(e);
    lock_release(&lock, true);
    assert_false(file_exists(path));
    assert_false(lock_held(path, &holder));

    // A holder that dies leaves the file, not the lock.
    child = fork();
    if (child == 0) {
        struct lock other;
        _exit(lock_take(&other, path, "dies", NULL) || !other.taken);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_true(file_exists(path));
    no_error(lock_take(&lock, path, "next", NULL));
    assert_true(lock.taken);
    lock_release(&lock, false);
}

static bool seen_with(struct place_of_test *p, struct lock_holder *holder, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_file(p, "seen", text);
    return lock_seen(arena_printf(&p->arena, "%s/seen", p->folder), holder);
}

// By the text alone: a process that lives, one that has died, one whose number went to another, and one that is out of sight.
static void holders_are_seen(void **state)
{
    struct place_of_test *p = *state;
    struct lock lock;
    struct lock_holder holder;
    char host[128], now[CLOCK_TEXT];
    gethostname(host, sizeof host);
    clock_text(clock_unix(), now);
    assert_false(lock_seen("/nowhere/lock", &holder));
    assert_true(seen_with(p, &holder, "%s %d %s retort run small.yaml\n", host, (int)getpid(), now));
    assert_true(lock_on_this_host(&holder));
    assert_string_equal(holder.command, "retort run small.yaml");
    assert_false(seen_with(p, &holder, "%s %d 2001-01-01T00:00:00Z retort run small.yaml\n", host, (int)getpid()));
    assert_true(seen_with(p, &holder, "not-%s 5 2001-01-01T00:00:00Z retort run small.yaml\n", host));
    assert_false(lock_on_this_host(&holder));
    assert_false(seen_with(p, &holder, "garbage\n"));
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT); // dead, and not waited for
    assert_false(seen_with(p, &holder, "%s %d %s retort run small.yaml\n", host, (int)child, now));
    waitpid(child, NULL, 0);
    assert_false(seen_with(p, &holder, "%s %d %s retort run small.yaml\n", host, (int)child, now));

    // The child of a fork keeps the lock that its parent lets go, under its own number.
    const char *path = arena_printf(&p->arena, "%s/lock", p->folder);
    int ends[2], back[2];
    char byte = 0;
    assert_int_equal(pipe(ends) + pipe(back), 0);
    no_error(lock_take(&lock, path, "parent", NULL));
    child = fork();
    if (child == 0) {
        struct error *e = lock_inherit(&lock, "child");
        _exit(e || write(ends[1], "", 1) != 1 || read(back[0], &byte, 1) != 1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    lock_leave(&lock);
    assert_true(lock_held(path, &holder));
    assert_int_equal(holder.pid, child);
    assert_string_equal(holder.command, "child");
    assert_int_equal(write(back[1], "", 1), 1);
    waitpid(child, NULL, 0);
    assert_false(lock_held(path, NULL));
}

// A record that says "running" and whose process holds the lock no more, or holds it for a later run.
static void runs_that_died(void **state)
{
    struct place_of_test *p = *state;
    char host[128];
    gethostname(host, sizeof host);
    struct run run = {.name = "small", .state = "running", .host = host, .pid = getpid()};
    struct lock lock;
    no_error(folder_make(arena_printf(&p->arena, "%s/runs/small", p->results)));
    assert_string_equal(run_state(&run, p->results, &p->arena), "died");
    no_error(lock_take(&lock, arena_printf(&p->arena, "%s/runs/small/lock", p->results), "retort run", NULL));
    assert_string_equal(run_state(&run, p->results, &p->arena), "running");
    run.pid++;
    assert_string_equal(run_state(&run, p->results, &p->arena), "died");
    run.state = "finished";
    assert_string_equal(run_state(&run, p->results, &p->arena), "finished");
    lock_release(&lock, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_records_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(locks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(holders_are_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(runs_that_died, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
