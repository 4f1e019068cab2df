// run_record.h - one file a run: what was asked, what was made, why, and how it went; small enough to mail.
//
// results/runs/NAME/NNNN.h5, made exclusively (numbers never collide), written anew at the end of each stage.
//
// Layout  / attributes: kind="run", name, number, state (running, finished, failed, stopped, died), started, ended (RFC 3339, UTC),
//         seconds, usd, recipe_path, settings (JSON list of the -s), host, pid, machine, build, code, exit_status (-1 until it ends),
//         id (16 digits at random: what tells it from a run of this number on another machine)
//         recipe_bytes (of /recipe/text the recipe file itself; what it includes and other recipes stand behind it)
//         /recipe/text, /recipe/resolved       the recipe file, and every value with who set it (text)
//         /stages                              table: name kind key state seconds usd params tokens flops, and of the result that
//                                              it has isa build machine canary threads; a row a node in order; state: cached,
//                                              finished, failed, stopped, skipped, waiting, running, interrupted (its runner
//                                              died: died.h), unknown
//         /stage/NAME/payload, .../reasons     canonical payload of the key; why it ran (JSON, as plan --json has it)
//         /stage/NAME/error                    of a failed stage: what it said
//         /stage/NAME/metrics/train, .../metrics/val, .../metrics/rollouts, .../metrics/pass, .../timing/train, .../samples,
//         .../metrics/text, .../rollouts, .../scores/bpb, .../scores/tasks, .../scores/suites, .../examples, .../programs, .../events
//                                              copies of the result's small tables (core/store/metrics.h); of the events all
//                                              but each "saved"
// Errors  ERROR_DATA for a record that is damaged, ERROR_NOT_BUILT for one of a newer retort; run_newest passes over those
#ifndef RUNNER_GRAPH_RUN_RECORD_H
#define RUNNER_GRAPH_RUN_RECORD_H

#include "core/base/error.h"
#include "core/store/metrics.h"

#include <stdbool.h>
#include <stdint.h>

// What was published of a stage of a run that is no record (reference.h).
struct run_published {
    const struct task_score *tasks;
    int n_tasks;
    double bpb, core, core_deviation; // NaN: not known
    const char *over;                 // what bpb is over
};

struct run_stage {
    const char *name, *kind, *key; // key "": unknown
    const char *state;
    double seconds, usd;                        // NaN: unknown
    int64_t params, tokens;                     // -1: unknown
    double flops;                               // NaN: unknown
    const char *payload, *reasons, *error;      // NULL: none
    const char *isa, *build, *machine, *canary; // who made it; "": not known, or none
    int64_t threads;                            // 0: not known
    const char *file;                           // to copy tables from at run_save, or NULL; not kept
    bool recorded;                              // tables that no file gives are taken over from the record as it is; not kept
    const struct run_published *published;      // NULL: of a record
};

struct run {
    const char *path; // results/runs/NAME/NNNN.h5, or of a published run its file
    const char *name;
    int number;                // 0: there is no run, or it is a published one
    const char *source, *note; // of a published run: where its numbers stand, and what to know of them; else NULL
    const char *state, *started, *ended, *recipe_path, *settings, *host, *machine, *build, *code,
        *id;                  // code, id: NULL: of an earlier version
    int64_t pid, exit_status; // exit_status -1: it has not ended, or is of a version that did not keep it
    double seconds, usd;
    const char *recipe_text, *resolved;
    int64_t recipe_bytes; // of recipe_text the recipe file itself; 0: it is of a version that did not keep it
    struct run_stage *stages;
    int n_stages;
};

// The small tables of one stage, of a record or of a result file.
struct run_tables {
    struct table train, val, timing, samples, scores; // scores: of bpb
    struct table tasks, suites, examples, programs;   // of an evaluation on tasks
    struct table rewards, pass, rollouts;             // of GRPO
    struct table texts;                               // of a tokenizer
    struct table events;
};

enum { RUN_TABLES = 14 };

// Takes the next free number of results/runs/NAME and its file; fills in path, number and id of *run, whose name is set.
struct error *CHECKED run_create(struct run *run, const char *results, struct arena *arena);

// Writes it whole, with the tables of the stages whose `file` is set.
struct error *CHECKED run_save(const struct run *run);

struct error *CHECKED run_read(struct run *run, const char *path, struct arena *arena);

// The newest readable run of that name; run->number is 0 if there is none.
struct error *CHECKED run_newest(struct run *run, const char *results, const char *name, struct arena *arena);

// The state as it is now: that of the record, but "died" where that says "running" and its process holds the lock no more.
const char *run_state(const struct run *run, const char *results, struct arena *arena);

const struct run_stage *run_stage(const struct run *run, const char *name);

// Whether its result was there when the run ended, made by it or before.
bool run_stage_made(const struct run_stage *stage);

// Names of recipes with runs; numbers of the runs of one, ascending. In the arena.
struct error *CHECKED run_names(const char *results, struct arena *arena, const char ***names, int *n_names);
struct error *CHECKED run_numbers(const char *results, const char *name, struct arena *arena, int **numbers, int *n_numbers);
char *run_path(struct arena *arena, const char *results, const char *name, int number);

// What a run in the background says: results/runs/NAME/NNNN.log.
char *run_log_path(struct arena *arena, const char *results, const char *name, int number);

// Forgets a run: its record becomes NNNN.gone.h5, which only gc reads, to say whose results were, and its log NNNN.gone.log; renamed
// back, it is a run again. Its number is not used again.
struct error *CHECKED run_forget(const char *results, const char *name, int number, struct arena *arena);
struct error *CHECKED run_forgotten(const char *results, const char *name, struct arena *arena, int **numbers, int *n_numbers);
char *run_forgotten_path(struct arena *arena, const char *results, const char *name, int number);
char *run_forgotten_log_path(struct arena *arena, const char *results, const char *name, int number);

// Logs of runs that are forgotten, or have no record any more. In the arena.
struct error *CHECKED run_logs_left(const char *results, const char *name, struct arena *arena, const char ***paths,
                                    int *n_paths);

// Loads what is there of the tables under prefix: "/stage/base" in a record, "" in a result file. Release them.
struct error *CHECKED run_tables_load(struct run_tables *tables, const char *path, const char *prefix);

// Of a file that is open losses, rewards and bits per byte alone, for a glance at many stages: train, val, scores and rewards; the
// others stay empty.
struct error *CHECKED run_tables_glance(struct run_tables *tables, struct store_file *file, const char *prefix);

// Those of a stage of a run, of a record or published.
struct error *CHECKED run_stage_tables(struct run_tables *tables, const struct run *run, const struct run_stage *stage);
void run_tables_release(struct run_tables *tables);

// Table i < RUN_TABLES, and the name under which a record and a result keep it: "metrics/train".
const struct table *run_table(const struct run_tables *tables, int i, const char **name);

#endif
