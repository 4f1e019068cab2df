// stage.h - how work plugs in: one function a kind, run in a process of its own.
//
// The stage process (`retort _stage`) has read the job, holds the lock of its result and watches the lifeline; run does the work,
// polls stop_requested(), writes its result with store_save under job->out, and returns. It prints nothing.
#ifndef RUNNER_STAGES_STAGE_H
#define RUNNER_STAGES_STAGE_H

#include "core/store/store.h"
#include "runner/stages/job.h"
#include "runner/stages/live.h"

struct stage {
    const struct job *job;
    struct live *live;
    struct arena *arena;  // lives as long as the process
    const char *started;  // RFC 3339, UTC
    double start_seconds; // clock_seconds() at start
};

struct error *CHECKED stage_tokenizer(struct stage *stage); // tokenizer.c
struct error *CHECKED stage_tokens(struct stage *stage);    // tokens.c
struct error *CHECKED stage_rows(struct stage *stage);      // rows.c
struct error *CHECKED stage_pretrain(struct stage *stage);  // pretrain.c
struct error *CHECKED stage_finetune(struct stage *stage);  // finetune.c
struct error *CHECKED stage_grpo(struct stage *stage);      // grpo.c
struct error *CHECKED stage_eval(struct stage *stage);      // eval.c
struct error *CHECKED stage_import(struct stage *stage);    // import.c

// Bad rows that a stage left out (skip_bad), of all its files so far: counted, and told by a warning. skipped.c
struct skipped {
    int64_t n_rows;
    int n_files;
    char first[400]; // the first error
};
void skipped_tell(struct skipped *all, const struct stage *stage, const struct skips *of_file);

// By kind, or NULL where this version has none.
struct error *(*stage_run(enum stage_kind_id kind))(struct stage *);

// The attributes that every result has (kind key payload inputs state step n_steps seed isa build machine started seconds
// usd device_batch threads; trainings add a canary); isa may be NULL. At most STAGE_ATTRIBUTES are written to `attributes`; returns how many.
enum { STAGE_ATTRIBUTES = 24 };
int stage_attributes(const struct stage *stage, const char *state, int64_t step, int64_t n_steps, int64_t seed,
                     int64_t device_batch, const char *isa, double seconds_before, struct store_attribute *attributes);

#endif
