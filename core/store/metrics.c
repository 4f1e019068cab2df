// metrics.c - member tables, and rows in one block that doubles.
#include "core/store/metrics.h"

#include <stddef.h>
#include <string.h>

#define MEMBER(row, member, kind)                                                                                                \
    {                                                                                                                            \
#member, kind, offsetof(struct row, member), 0                                                                           \
    }
#define TEXT_MEMBER(row, member, bytes)                                                                                          \
    {                                                                                                                            \
#member, STORE_TEXT, offsetof(struct row, member), bytes                                                                 \
    }

const struct store_member metric_train_members[METRIC_TRAIN_MEMBERS] = {
    MEMBER(metric_train, step, STORE_I64),     MEMBER(metric_train, tokens, STORE_I64),
    MEMBER(metric_train, loss, STORE_F64),     MEMBER(metric_train, grad_norm, STORE_F64),
    MEMBER(metric_train, lr_scale, STORE_F64), MEMBER(metric_train, momentum, STORE_F64)};

const struct store_member metric_val_members[METRIC_VAL_MEMBERS] = {
    MEMBER(metric_val, step, STORE_I64), MEMBER(metric_val, tokens, STORE_I64), MEMBER(metric_val, bpb, STORE_F64),
    MEMBER(metric_val, nats, STORE_F64), MEMBER(metric_val, bytes, STORE_I64)};

const struct store_member timing_train_members[TIMING_TRAIN_MEMBERS] = {
    MEMBER(timing_train, step, STORE_I64),   MEMBER(timing_train, seconds, STORE_F64), MEMBER(timing_train, data_s, STORE_F64),
    MEMBER(timing_train, save_s, STORE_F64), MEMBER(timing_train, tok_s, STORE_F64),   MEMBER(timing_train, mfu, STORE_F64)};

const struct store_member event_members[EVENT_MEMBERS] = {MEMBER(event, step, STORE_I64), MEMBER(event, time, STORE_F64),
                                                          TEXT_MEMBER(event, kind, EVENT_KIND),
                                                          TEXT_MEMBER(event, text, EVENT_TEXT)};

const struct store_member sample_members[SAMPLE_MEMBERS] = {
    MEMBER(sample, step, STORE_I64), MEMBER(sample, temperature, STORE_F64), TEXT_MEMBER(sample, prompt, SAMPLE_PROMPT),
    TEXT_MEMBER(sample, text, SAMPLE_TEXT)};

const struct store_member task_score_members[TASK_SCORE_MEMBERS] = {
    TEXT_MEMBER(task_score, task, SCORE_NAME), TEXT_MEMBER(task_score, grader, SCORE_GRADER),
    MEMBER(task_score, n, STORE_I64),          MEMBER(task_score, n_all, STORE_I64),
    MEMBER(task_score, right, STORE_I64),      MEMBER(task_score, accuracy, STORE_F64),
    MEMBER(task_score, baseline, STORE_F64),   MEMBER(task_score, centered, STORE_F64),
    MEMBER(task_score, deviation, STORE_F64),  MEMBER(task_score, low, STORE_F64),
    MEMBER(task_score, high, STORE_F64),       TEXT_MEMBER(task_score, suite, SCORE_NAME)};

const struct store_member suite_score_members[SUITE_SCORE_MEMBERS] = {
    TEXT_MEMBER(suite_score, suite, SCORE_NAME), TEXT_MEMBER(suite_score, title, SCORE_NAME),
    MEMBER(suite_score, n, STORE_I64),           MEMBER(suite_score, n_all, STORE_I64),
    MEMBER(suite_score, capped, STORE_I64),      MEMBER(suite_score, value, STORE_F64),
    MEMBER(suite_score, deviation, STORE_F64),   MEMBER(suite_score, low, STORE_F64),
    MEMBER(suite_score, high, STORE_F64),        TEXT_MEMBER(suite_score, missing, SUITE_MISSING)};

const struct store_member example_score_members[EXAMPLE_SCORE_MEMBERS] = {
    TEXT_MEMBER(example_score, task, SCORE_NAME), MEMBER(example_score, row, STORE_I64), MEMBER(example_score, right, STORE_I64),
    TEXT_MEMBER(example_score, expected, EXAMPLE_EXPECTED), TEXT_MEMBER(example_score, answer, EXAMPLE_ANSWER)};

const struct store_member program_score_members[PROGRAM_SCORE_MEMBERS] = {
    TEXT_MEMBER(program_score, task, SCORE_NAME), MEMBER(program_score, row, STORE_I64),
    TEXT_MEMBER(program_score, verdict, SCORE_VERDICT), TEXT_MEMBER(program_score, error, PROGRAM_ERROR)};

const struct store_member metric_text_members[METRIC_TEXT_MEMBERS] = {
    TEXT_MEMBER(metric_text, text, SCORE_NAME), MEMBER(metric_text, bytes, STORE_I64), MEMBER(metric_text, tokens, STORE_I64),
    MEMBER(metric_text, gpt2, STORE_I64), MEMBER(metric_text, gpt4, STORE_I64)};

const struct store_member metric_rollouts_members[METRIC_ROLLOUTS_MEMBERS] = {
    MEMBER(metric_rollouts, step, STORE_I64),   MEMBER(metric_rollouts, rollouts, STORE_I64),
    MEMBER(metric_rollouts, tokens, STORE_I64), MEMBER(metric_rollouts, reward, STORE_F64),
    MEMBER(metric_rollouts, length, STORE_F64), MEMBER(metric_rollouts, mixed, STORE_I64)};

const struct store_member metric_pass_members[METRIC_PASS_MEMBERS] = {
    MEMBER(metric_pass, step, STORE_I64), MEMBER(metric_pass, k, STORE_I64), MEMBER(metric_pass, n, STORE_I64),
    MEMBER(metric_pass, pass, STORE_F64)};

const struct store_member rollout_members[ROLLOUT_MEMBERS] = {
    MEMBER(rollout, step, STORE_I64),        MEMBER(rollout, question, STORE_I64),  MEMBER(rollout, sample, STORE_I64),
    MEMBER(rollout, reward, STORE_F64),      MEMBER(rollout, advantage, STORE_F64), TEXT_MEMBER(rollout, prompt, ROLLOUT_PROMPT),
    TEXT_MEMBER(rollout, text, ROLLOUT_TEXT)};

void table_text(char *to, size_t size, const char *text, size_t n)
{
    size_t length = n < size - 1 ? n : size - 1;
    while (length < n && length > 0 && (text[length] & 0xC0) == 0x80)
        length--;
    memset(to, 0, size);
    memcpy(to, text, length);
}

struct error *table_reserve(struct table *t, int64_t n)
{
    if (n <= t->capacity)
        return NULL;
    void *rows = block_resize(t->rows, (size_t)t->n * t->row_bytes, (size_t)n * t->row_bytes);
    if (!rows)
        return error_memory();
    t->rows = rows;
    t->capacity = n;
    return NULL;
}

struct error *table_add(struct table *t, const void *row)
{
    struct error *e = t->n == t->capacity ? table_reserve(t, t->capacity ? 2 * t->capacity : 64) : NULL;
    if (e)
        return e;
    memcpy((char *)t->rows + (size_t)t->n++ * t->row_bytes, row, t->row_bytes);
    return NULL;
}

struct store_set table_set(const struct table *t, const char *path)
{
    return (struct store_set){.path = path,
                              .type = STORE_TABLE,
                              .n_dims = 1,
                              .dims = {t->n},
                              .data = t->rows,
                              .members = t->members,
                              .n_members = t->n_members,
                              .row_bytes = t->row_bytes};
}

struct error *table_load(struct table *t, struct store_file *file, const char *path)
{
    t->n = 0;
    if (!store_has(file, path))
        return NULL;
    struct arena arena = {0};
    void *rows;
    int64_t n;
    struct error *e = store_read_table(file, path, t->members, t->n_members, t->row_bytes, &arena, &rows, &n);
    for (int64_t i = 0; !e && i < n; i++)
        e = table_add(t, (char *)rows + (size_t)i * t->row_bytes);
    arena_release(&arena);
    return e;
}

void table_release(struct table *t)
{
    block_free(t->rows);
    t->rows = NULL;
    t->n = t->capacity = 0;
}
