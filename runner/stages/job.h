// job.h - what a stage process is told: everything it needs, so that it reads no recipe.
//
// The runner writes store/KIND-KEY.job (JSON) and executes `retort _stage --results DIR --job FILE`; the stage reads it back.
//
//   {"retort":1,"name":"base","kind":"pretrain","key":"3f9a…","payload":"…","options":{"seq_len":"256",…},
//    "places":[{"field":"seq_len","file":"tiny.yaml","line":20,"column":31}],
//    "tasks":[{"role":"mixture","name":"gsm8k","split":"train","epochs":2,"rows":null,"grader":"number","baseline":0,"paths":["…h5"]}],
//    "out":"…/pretrain-3f9a.h5","lock":"…","inputs":{"tokenizer":["…h5"],"tokens":["…h5",…],"validation":[…]},
//    "suites":[{"name":"core","title":"CORE","tasks":22,"missing":"core/squad core/coqa"}],
//    "mix":[{"share":0.7,"rows":null,"paths":["…h5"]}],"parts":[{…}],
//    "kept":[{"step":500,"optim":true}],"until":null,"trunk":null,"from_start":false,"again":false,
//    "usd_per_hour":24,"peak_flops":1.8e11,"runner":1234}
//
// options are all set fields as recipe text (lists as lists of texts), read through the table of fields; payload is the canonical
// text that was hashed; a mixture is no option, it stands under tasks. A token stage makes one file a part, each with a key and a
// payload of its own; where it is of a task, the part has the task whole under "task". An evaluation's parts are the rows of tasks that
// are asked as text; those of one task follow one another.
//
// Ownership  what job_read fills in lives in the arena
// Errors     ERROR_DATA for a job file that is not one (the runner and the stage are of different builds, or it was cut)
#ifndef RUNNER_STAGES_JOB_H
#define RUNNER_STAGES_JOB_H

#include "core/data/documents.h"
#include "core/data/task.h"
#include "runner/recipe/options.h"

struct job_input {
    const char *role; // "tokenizer", "tokens", "validation", "model"; "rows", "validation_rows": the plans of those texts
    const char *const *paths;
    int n_paths;
};

// Documents that the stage reads itself: the tokenizer's training text (all parts in order), or the files of a token stage.
struct job_part {
    struct document_part part; // world: path is set, world is NULL until source_part.h compiles it
    const char *identity;      // canonical JSON of what is read: sha256 of the file, form, column, range
    const char *key, *out;     // token stage: the key and file of the tokens of this part; else NULL
    const char *payload;       // token stage: the canonical text of that key; else NULL
    const struct task *task;   // token stage of a task: what its rows are; else NULL
    const char *split;         // of the task
    const char *suite;         // of an evaluation's task: that it is asked in, or NULL
};

// A task that the stage reads as tokens (core/data/task_rows.h).
struct job_task {
    const char *role; // "mixture"; "test": of the mixture, to validate with; "suite": to score by
    const char *name, *split;
    double epochs; // of a mixture; NaN where rows is given
    int64_t rows;  // -1: by epochs
    enum task_grader grader;
    double baseline;
    const char *const *paths;
    int n_paths;
    const char *suite; // of "suite": the file of suites that it is asked in, or NULL
};

// What others read of a training beside its result, and what is kept for them.
struct job_kept {
    int64_t step; // -1: the end, which is the result
    bool optim;   // with the optimizer
};

// A text of the mix that a pretraining reads, as token files.
struct job_mixed {
    const char *source;
    double share;
    const char *rows; // the plan of its rows; NULL: flat
    const char *const *paths;
    int n_paths;
};

// A file of suites whose tasks are scored together.
struct job_suite {
    const char *name, *title;
    int64_t n_all;       // tasks of it
    const char *missing; // names of those left out for want of data, blanks between; "": none
};

// Where the recipe says something of a field; of the field "" where the stage stands.
struct job_place {
    const char *field;
    struct place at;
};

struct job {
    const char *name; // as the user calls it: "base", "town.tokens"
    enum stage_kind_id kind;
    const char *key, *payload;
    void *options;            // the kind's struct of options.h
    struct job_place *places; // for errors; in no key
    int n_places;
    const char *results, *out; // out: store/KIND-KEY.h5 (token stage: NULL)
    const char *lock;          // file whose lock the stage process holds; token stages of one tokenizer share one
    struct job_input *inputs;
    int n_inputs;
    struct job_part *parts;
    int n_parts;
    struct job_task *tasks; // in the order of the recipe
    int n_tasks;
    struct job_suite *suites;
    int n_suites;
    struct job_mixed *mix; // instead of the input "tokens"; in the order of the recipe
    int n_mix;
    struct job_kept *kept; // of a training; `keep` and `keep_every` of its options come to these
    int n_kept;
    int64_t until;     // the step at which it ends without a result, which is there already; -1: it goes to its end
    const char *trunk; // a checkpoint of another training, or kept of this one, where it begins, for it passes there; NULL: none
    bool from_start;   // its own checkpoints are too late for what has to be kept
    bool again;        // its result was there when it was planned: what lacks is a step of it, or its optimizer
    double usd_per_hour; // NaN: unknown
    double
        peak_flops; // FLOP/s that this machine was measured to do at the most, in the stage's precision; NaN: it was not measured
    int64_t runner; // process id of the runner, for the text of the lock
};

struct error *CHECKED job_write(const struct job *job, const char *path);
struct error *CHECKED job_read(struct job *job, const char *path, struct arena *arena);

// An error about a field, which knows no place, gets that of the field, or of the stage. NULL stays NULL; consumes e.
struct error *CHECKED job_error(const struct job *job, const char *field, struct error *e);

// The paths of a role; an error if the job has none.
struct error *CHECKED job_paths(const struct job *job, const char *role, const char *const **paths, int *n_paths);

#endif
