// test_metrics.c - rows of every table, through a file and back.
#include "tests/unit/folder.h"

#include "core/store/metrics.h"

static void tables_come_back(void **state)
{
    (void)state;
    struct table train = {
        .members = metric_train_members, .n_members = METRIC_TRAIN_MEMBERS, .row_bytes = sizeof(struct metric_train)};
    struct table events = {.members = event_members, .n_members = EVENT_MEMBERS, .row_bytes = sizeof(struct event)};
    struct table samples = {.members = sample_members, .n_members = SAMPLE_MEMBERS, .row_bytes = sizeof(struct sample)};
    struct table val = {.members = metric_val_members, .n_members = METRIC_VAL_MEMBERS, .row_bytes = sizeof(struct metric_val)};
    struct table timing = {
        .members = timing_train_members, .n_members = TIMING_TRAIN_MEMBERS, .row_bytes = sizeof(struct timing_train)};
    for (int i = 0; i < 300; i++)
        assert_good(
            table_add(&train, &(struct metric_train){.step = i + 1, .tokens = 512 * i, .loss = 9.0 / i, .momentum = 0.95}));
    assert_good(table_add(&events, &(struct event){.time = 1.5, .kind = "start"}));
    assert_good(table_add(&samples, &(struct sample){.step = 7, .prompt = "Once", .text = "upon a time"}));
    struct store_set sets[] = {table_set(&train, "/metrics/train"), table_set(&val, "/metrics/val"),
                               table_set(&timing, "/timing/train"), table_set(&events, "/events"),
                               table_set(&samples, "/samples")};
    assert_good(store_save("m.h5", NULL, 0, sets, countof(sets)));
    struct store_file *file;
    assert_good(store_open(&file, "m.h5"));
    struct table again = {
        .members = metric_train_members, .n_members = METRIC_TRAIN_MEMBERS, .row_bytes = sizeof(struct metric_train)};
    assert_good(table_load(&again, file, "/metrics/train"));
    assert_int_equal(again.n, 300);
    assert_memory_equal(again.rows, train.rows, 300 * sizeof(struct metric_train));
    assert_good(table_load(&again, file, "/metrics/none"));
    assert_int_equal(again.n, 0);
    assert_good(table_load(&samples, file, "/samples"));
    assert_int_equal(samples.n, 1);
    assert_string_equal(((struct sample *)samples.rows)->text, "upon a time");
    assert_good(table_load(&val, file, "/metrics/val"));
    assert_int_equal(val.n, 0);
    store_close(file);
    table_release(&train);
    table_release(&events);
    table_release(&samples);
    table_release(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables_come_back)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
