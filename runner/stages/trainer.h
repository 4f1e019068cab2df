// trainer.h - what pretraining, fine-tuning and GRPO have in common as stages: device, model, optimizer, loop, checkpoints, resuming.
//
//     struct trainer t;
//     trainer_init(&t, stage);
//     e = trainer_open(&t, &setup);       // device, model, optimizer, gradient; the newest checkpoint that verifies is found
//     e = trainer_note(&t, "3 of 40 conversations have nothing to learn within 160 tokens");     // what a reader should know
//     t.loop.rows = ...; t.loop.evaluate = ...; t.loop.self = ...; t.training.more[...] = ...;
//     e = trainer_run(&t);                // goes on from the checkpoint, or begins (beginning.h); loops; writes the result
//     trainer_close(&t);
//
// Files   OUT.h5 is the result; OUT.part.h5 and OUT.part.prev.h5 are checkpoints, made every RETORT_CHECKPOINT_SECONDS or as often as
//         keeps the time for writing them under a fiftieth. The training waits for the copy alone: a thread writes it, and while it
//         does so the store is its own
// Kept    OUT@STEP.h5 (keeping.h). A step that is there is left as it is. One that cannot be written ends nothing: it is told
// Hooks   keep_due, keep, save_due, save and report of the loop are the trainer's own. prepare, evaluate and sample are the caller's,
//         with loop.self; NULL where there is nothing to do
#ifndef RUNNER_STAGES_TRAINER_H
#define RUNNER_STAGES_TRAINER_H

#include "core/text/tokenizer.h"
#include "core/train/background.h"
#include "core/train/canary.h"
#include "core/train/loop.h"
#include "runner/stages/beginning.h"
#include "runner/stages/resume.h"

struct trainer_setup {
    const struct shape *shape;
    struct beginning begin; // without its seed, which is the training's
    const struct tokenizer *tokenizer;
    const char *precision; // "f32" or "bf16"
    struct optimizer_laws laws;
    struct schedule schedule;
    int64_t seed, rows;               // rows of an update
    int seq_len;                      // longest row
    int64_t device_batch;             // as asked; no more than there are rows is taken
    int64_t eval_rows;                // most rows that an evaluation computes at once
    int64_t eval_every, sample_every; // 0: never
};

struct trainer {
    struct stage *stage;
    struct device *dev;
    struct model model;
    struct optimizer optimizer;
    struct gradient gradient;
    struct training training;
    struct loop loop;
    struct resume resume; // its file: until trainer_run
    struct background background;
    struct beginning begin;
    bool reads_ahead; // set by the caller: its rows are there before their update is prepared, and any thread may read them
    void (*resumed)(void *self); // of the caller, with loop.self: the tables are those of the checkpoint by now; may be NULL
    int64_t seed, tokens;        // tokens: targets trained on so far
    int device_batch;
    double save_s, tok_s, step_s;
    char canary[CANARY_HEX]; // what computes here
    double bpb;              // for the display: set by the caller's evaluate
    char text[160];          // for the display: what else there is to say, or ""
};

struct error *CHECKED trainer_init(struct trainer *t, struct stage *stage);
struct error *CHECKED trainer_open(struct trainer *t, const struct trainer_setup *setup);
// Told in /events and in the live file. After going on from a checkpoint /events are those of the checkpoint, with its notes.
struct error *CHECKED trainer_note(struct trainer *t, const char *text);
struct error *CHECKED trainer_run(struct trainer *t);

void trainer_close(struct trainer *t);

// A line of the live file about where the training is.
struct live_line trainer_line(const struct trainer *t, const char *event);

#endif
