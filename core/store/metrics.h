// metrics.h - the tables of numbers that a stage keeps: rows that grow in memory and are written whole with every checkpoint.
//
//     struct table losses = {.members = metric_train_members, .n_members = METRIC_TRAIN_MEMBERS, .row_bytes = sizeof(struct metric_train)};
//     e = table_add(&losses, &(struct metric_train){.step = 1, .loss = 5.5});
//     sets[n++] = table_set(&losses, "/metrics/train");
//     table_release(&losses);
//
// step counts updates done: row s of /metrics/train is the update that made s; /metrics/val stands at step 0 too.
// Bit comparisons cover /metrics and /samples; /timing and /events hold times and are outside.
#ifndef CORE_STORE_METRICS_H
#define CORE_STORE_METRICS_H

#include "core/store/store.h"

struct metric_train { // /metrics/train
    int64_t step, tokens;
    double loss, grad_norm, lr_scale, momentum;
};

struct metric_val { // /metrics/val; nats and bytes are sums
    int64_t step, tokens;
    double bpb, nats;
    int64_t bytes;
};

struct timing_train { // /timing/train
    int64_t step;
    double seconds, data_s, save_s, tok_s, mfu;
};

enum { EVENT_KIND = 16, EVENT_TEXT = 112, SAMPLE_PROMPT = 64, SAMPLE_TEXT = 2048 };

struct event { // /events: "start", "resumed", "saved", "unsaved", "kept", "unkept", "done"; "note": what a reader should know
    int64_t step;
    double time; // unix
    char kind[EVENT_KIND], text[EVENT_TEXT];
};

struct sample { // /samples: what the model wrote at a step; temperature 0 is greedy; an empty prompt is a new document
    int64_t step;
    double temperature;
    char prompt[SAMPLE_PROMPT], text[SAMPLE_TEXT];
};

enum {
    SCORE_NAME = 40,
    SCORE_GRADER = 16,
    SCORE_VERDICT = 16,
    PROGRAM_ERROR = 160,
    SUITE_MISSING = 448,
    EXAMPLE_EXPECTED = 64,
    EXAMPLE_ANSWER = 448,
    ROLLOUT_PROMPT = 448,
    ROLLOUT_TEXT = 896
};

struct task_score { // /scores/tasks: a row a task of an evaluation
    char task[SCORE_NAME], grader[SCORE_GRADER];
    int64_t n, n_all, right; // n of the task's n_all examples were asked, n < n_all: the score is capped
    double accuracy, baseline, centered;
    double deviation, low, high; // of the accuracy: standard error, and 95 % confidence interval
    char suite[SCORE_NAME];      // that it is asked in; "": none
};

struct suite_score { // /scores/suites: a row a suite of an evaluation, the mean over its tasks of what is above chance
    char suite[SCORE_NAME], title[SCORE_NAME];
    int64_t n, n_all;            // n of the suite's n_all tasks were asked
    int64_t capped;              // tasks of which not all examples were asked
    double value, deviation;     // mean of centered, and its standard error
    double low, high;            // 95 % confidence interval
    char missing[SUITE_MISSING]; // names of the tasks that were not asked for want of their data, blanks between
};

struct example_score { // /examples: a row an example, in the order in which they were asked
    char task[SCORE_NAME];
    int64_t row, right; // row of the task's data set; right 0 or 1
    char expected[EXAMPLE_EXPECTED], answer[EXAMPLE_ANSWER];
};

struct program_score { // /programs: a row an example that is graded by running a program, in the order of /examples: how it ended
    char task[SCORE_NAME];
    int64_t row;
    char verdict[SCORE_VERDICT]; // "passed", "failed", "timeout", "memory", "ended"
    char error[PROGRAM_ERROR];   // "AssertionError: ..."
};

struct metric_rollouts {            // /metrics/rollouts: a row an update of GRPO; means over its rollouts
    int64_t step, rollouts, tokens; // tokens: sampled ones, which the loss is over
    double reward, length;          // length: prompt and answer, tokens
    int64_t mixed;                  // questions whose answers were not all right or all wrong: the others teach nothing
};

struct metric_pass { // /metrics/pass: share of the questions of which one of the first k answers was right
    int64_t step, k, n;
    double pass;
};

struct rollout {                    // /rollouts: some of them, to read
    int64_t step, question, sample; // question: row of the task's data set
    double reward, advantage;
    char prompt[ROLLOUT_PROMPT], text[ROLLOUT_TEXT];
};

struct metric_text { // /metrics/text: what a tokenizer makes of a text; gpt2, gpt4: tokens of their vocabularies, -1: not known
    char text[SCORE_NAME];
    int64_t bytes, tokens, gpt2, gpt4;
};

enum { METRIC_TEXT_MEMBERS = 5 };

extern const struct store_member metric_text_members[METRIC_TEXT_MEMBERS];

enum {
    TASK_SCORE_MEMBERS = 12,
    SUITE_SCORE_MEMBERS = 10,
    EXAMPLE_SCORE_MEMBERS = 5,
    PROGRAM_SCORE_MEMBERS = 4,
    METRIC_ROLLOUTS_MEMBERS = 6,
    METRIC_PASS_MEMBERS = 4,
    ROLLOUT_MEMBERS = 7
};

extern const struct store_member task_score_members[TASK_SCORE_MEMBERS], suite_score_members[SUITE_SCORE_MEMBERS],
    example_score_members[EXAMPLE_SCORE_MEMBERS], program_score_members[PROGRAM_SCORE_MEMBERS],
    metric_rollouts_members[METRIC_ROLLOUTS_MEMBERS], metric_pass_members[METRIC_PASS_MEMBERS], rollout_members[ROLLOUT_MEMBERS];

enum { METRIC_TRAIN_MEMBERS = 6, METRIC_VAL_MEMBERS = 5, TIMING_TRAIN_MEMBERS = 6, EVENT_MEMBERS = 4, SAMPLE_MEMBERS = 4 };

extern const struct store_member metric_train_members[METRIC_TRAIN_MEMBERS], metric_val_members[METRIC_VAL_MEMBERS],
    timing_train_members[TIMING_TRAIN_MEMBERS], event_members[EVENT_MEMBERS], sample_members[SAMPLE_MEMBERS];

struct table {
    const struct store_member *members;
    int n_members;
    size_t row_bytes;
    void *rows; // owned
    int64_t n, capacity;
};

// Text into a member of a row, cut at a character where it is too long.
void table_text(char *to, size_t size, const char *text, size_t n);

struct error *CHECKED table_add(struct table *table, const void *row);

// Room for n rows in all; beyond them the table grows as it needs to.
struct error *CHECKED table_reserve(struct table *table, int64_t n);
struct store_set table_set(const struct table *table, const char *path);

// Replaces the rows by those of the file; a missing dataset leaves the table empty.
struct error *CHECKED table_load(struct table *table, struct store_file *file, const char *path);
void table_release(struct table *table);

#endif
