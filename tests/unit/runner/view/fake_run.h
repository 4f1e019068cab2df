// fake_run.h - runs as a test says they went: records made from result files with the tables that the test puts there.
#ifndef TESTS_UNIT_RUNNER_VIEW_FAKE_RUN_H
#define TESTS_UNIT_RUNNER_VIEW_FAKE_RUN_H

#include "../graph/place.h"

#include <math.h>

#include "runner/graph/run_record.h"

enum { FAKE_STAGES = 8 };

struct fake_run {
    struct place_of_test *place;
    struct run run;
    struct run_stage stages[FAKE_STAGES];
};

static inline void fake_init(struct fake_run *f, struct place_of_test *p, const char *name)
{
    memset(f, 0, sizeof *f);
    f->place = p;
    f->run = (struct run){.name = name,
                          .state = "finished",
                          .started = "2026-01-02T03:04:05Z",
                          .ended = "2026-01-02T03:14:05Z",
                          .recipe_path = "r.yaml",
                          .settings = "[]",
                          .host = "h",
                          .machine = "a machine",
                          .build = "b",
                          .seconds = 600,
                          .usd = NAN,
                          .stages = f->stages};
}

static inline struct run_stage *fake_stage(struct fake_run *f, const char *name, const char *kind, const char *key,
                                           const char *payload)
{
    assert_true(f->run.n_stages < FAKE_STAGES);
    struct run_stage *s = &f->stages[f->run.n_stages++];
    *s = (struct run_stage){.name = name,
                            .kind = kind,
                            .key = key,
                            .state = "finished",
                            .seconds = 10,
                            .usd = NAN,
                            .params = -1,
                            .tokens = -1,
                            .flops = NAN,
                            .payload = payload};
    return s;
}

static inline struct store_set rows_set(const char *path, const struct store_member *members, int n_members, size_t row_bytes,
                                        const void *rows, int64_t n)
{
    return (struct store_set){.path = path,
                              .type = STORE_TABLE,
                              .n_dims = 1,
                              .dims = {n},
                              .data = rows,
                              .members = members,
                              .n_members = n_members,
                              .row_bytes = row_bytes};
}

// The stage's result file with these tables.
static inline void fake_result(struct fake_run *f, struct run_stage *s, const struct store_set *sets, int n_sets)
{
    s->file = arena_printf(&f->place->arena, "%s/%s-%s.h5", f->place->folder, s->name, s->key);
    no_error(store_save(s->file, NULL, 0, sets, n_sets));
}

static inline void fake_loss(struct fake_run *f, struct run_stage *s, double loss)
{
    struct metric_train row = {.step = 1, .tokens = 10, .loss = loss};
    struct store_set set = rows_set("/metrics/train", metric_train_members, METRIC_TRAIN_MEMBERS, sizeof row, &row, 1);
    fake_result(f, s, &set, 1);
}

// The record is written and read again.
static inline void fake_done(struct fake_run *f, struct run *back)
{
    no_error(run_create(&f->run, f->place->results, &f->place->arena));
    no_error(run_save(&f->run));
    memset(back, 0, sizeof *back);
    no_error(run_read(back, f->run.path, &f->place->arena));
}

// An evaluation that asked tasks; examples may be NULL.
static inline void fake_eval(struct fake_run *f, struct run_stage *s, const struct task_score *tasks, int64_t n_tasks,
                             const struct example_score *examples, int64_t n_examples, double bpb)
{
    struct metric_val val = {.step = 1, .bpb = bpb};
    struct store_set sets[3];
    int n = 0;
    if (n_tasks)
        sets[n++] = rows_set("/scores/tasks", task_score_members, TASK_SCORE_MEMBERS, sizeof *tasks, tasks, n_tasks);
    if (examples)
        sets[n++] = rows_set("/examples", example_score_members, EXAMPLE_SCORE_MEMBERS, sizeof *examples, examples, n_examples);
    if (!isnan(bpb))
        sets[n++] = rows_set("/scores/bpb", metric_val_members, METRIC_VAL_MEMBERS, sizeof val, &val, 1);
    fake_result(f, s, sets, n);
}

#endif
