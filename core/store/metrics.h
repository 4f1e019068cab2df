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

struct event { // /events: "start", "resumed", "saved", "stopped", "done"
    int64_t step;
    double time; // unix
    char kind[EVENT_KIND], text[EVENT_TEXT];
};

struct sample { // /samples: what the model wrote at a step; temperature 0 is greedy; an empty prompt is a new document
    int64_t step;
    double temperature;
    char prompt[SAMPLE_PROMPT], text[SAMPLE_TEXT];
};

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

struct error *CHECKED table_add(struct table *table, const void *row);
struct store_set table_set(const struct table *table, const char *path);

// Replaces the rows by those of the file; a missing dataset leaves the table empty.
struct error *CHECKED table_load(struct table *table, struct store_file *file, const char *path);
void table_release(struct table *table);

#endif
