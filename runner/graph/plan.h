// plan.h - what would run, and why: the one place that decides, and it explains in the same breath.
//
//     struct plan plan;
//     e = plan_build(&plan, &graph, "results", &arena);      // graph with keys (keys.h)
//     for (int i = 0; i < plan.n_stages; i++) ... plan.stages[i].state, .reasons ...
//
// plan prints it, run carries it out, why and status ask it, and its reasons are stored with the run. So what plan says is what
// run does.
//
// States     PLAN_CACHED   the result of this key is there (of a token stage: every part that is wanted is, or nothing that
//                          will run needs it: token files and plans of rows that were cleared away are not made again for their own
//                          sake)
//            PLAN_RESUME   it is not, but a checkpoint of this key is: run goes on from it; or one of another key that this training
//                          passes through (trunk.h): run begins there
//            PLAN_RUN      it is not
//            PLAN_UNKNOWN  the key cannot be known: a data file is missing, here or in a stage before, and no list of fetched files
//                          says what it holds
// Reasons    why a stage is not what it was when this recipe was last run (the newest record in results/runs/NAME; its payload
//            is held against the new one):
//            field     a field has another value: name, place in the recipe, old and new value, by whom; of a mixture the entry
//                      that does, "mixture[1].epochs" (explain.h)
//            input     a stage before it makes something else: name of that stage
//            data      a file has another content, or is missing, or not fetched yet: name of the file, or its address; or a task
//                      file says something else
//            version   the code of this kind of stage changed what it computes
//            missing   nothing changed, but the result is not there, or damaged, or not finished: name of the file, new = what
//                      is wrong, or where the checkpoint stands
//            fresh     it was never made here under this recipe's name
//            A cached stage has reasons too when it differs from the last run's; none means: as it was
// Numbers    parameters, tokens and FLOPs of training as core/model/shape counts them, of this stage whole, whether cached or
//            not; -1 and NaN are unknown. seconds and usd: what making the result took, of a cached one; of one to run what it
//            took in the last run if that had the same key, else what work.h foresees; of one that goes on, of what is left
// Hardware   that of the recipe, which need not be there: a plan is a question
// Ownership  everything lives in the arena
// Errors     those of reading results, of share.h and of work.h; ERROR_RECIPE for a device that is not in hardware.h; ERROR_NOT_BUILT
//            for a stage of which the store has a file that a newer retort wrote (result_spare): it is not made anew. A damaged result is
//            no error, it is a reason
#ifndef RUNNER_GRAPH_PLAN_H
#define RUNNER_GRAPH_PLAN_H

#include "runner/graph/graph.h"
#include "runner/graph/run_record.h"

enum plan_state { PLAN_CACHED, PLAN_RUN, PLAN_RESUME, PLAN_UNKNOWN, PLAN_STATE_COUNT };

enum reason_kind { REASON_FIELD, REASON_INPUT, REASON_DATA, REASON_VERSION, REASON_MISSING, REASON_FRESH, REASON_COUNT };

struct reason {
    enum reason_kind kind;
    const char *name;
    struct place at;       // of a field; else nowhere
    const char *old, *new; // NULL: not known, or not set
    const char *by;        // of a field: "recipe", "-s", "default", ...; else NULL
};

struct work_setting; // work.h
struct result_names; // result.h

// An entry of the mixture that a finetune or grpo stage trains on (share.h).
struct plan_share {
    const char *task, *split;
    double passes;        // over the split; NaN: so many rows were asked for
    int64_t rows, tokens; // examples, and their tokens; -1: unknown
    double share;         // of the mixture's tokens, or of its rows where those alone are known; NaN: unknown
};

// A text that a pretraining reads (text_share.h): a source, alone or of a mix.
struct plan_text {
    const char *source;
    double share;   // of the tokens
    int64_t rows;   // of the training; -1: unknown
    int64_t tokens; // of the text; -1: unknown, its token files are not there
    double epochs;  // how often its rows are read; NaN: unknown
    double dropped; // share of its tokens that no row has; of the flat stream 0; NaN: unknown
};

struct plan_stage {
    const struct graph_node *node;
    enum plan_state state;
    struct reason *reasons;
    int n_reasons;
    const char *out;       // the result's file; NULL for a token stage and for an unknown key
    const char **part_out; // of a token stage: the file of each of the node's parts; NULL for parts that nobody wants
    bool *part_done;
    int n_wanted, n_done;      // of a token stage: parts
    int64_t validation_tokens; // of a token stage whose validation part is there; else -1
    int64_t validation_most;   // of one that reads a world: about as many bytes as that part has, no token being shorter; else -1
    int64_t step, n_steps;     // PLAN_RESUME: where the checkpoint stands; -1: unknown
    const char *trunk;         // PLAN_RESUME from a checkpoint that is not its own, or was kept (trunk.h): its file; else NULL
    bool trunk_own;            // that was kept of this very training
    bool whole;                // the result is there: of a training that is not cached, what lacks is a step that another reads
    int64_t until;             // the result is there, but no step that another reads: run as far as this one; -1: to the end
    bool from_start;           // its own checkpoint stands behind a step that another reads, and is of no use
    bool anew;                 // plan_anew: nothing of the old is used
    struct plan_share *shares; // in the order of the mixture
    int n_shares;
    int64_t training_rows;   // that the mixture makes; -1: unknown
    struct plan_text *texts; // of a pretraining
    int n_texts;
    int64_t training_tokens; // of a token stage whose training parts are all there; else -1
    int64_t rows;            // of a plan of rows that is there; else -1
    double dropped;          // by it: share of the text's tokens that no row has; NaN: unknown

    int64_t updates;             // the last step of a training, counted from where its model began; -1: unknown
    int64_t params, tokens;      // -1: unknown
    int64_t scaling_params;      // of a pretraining, with the next three: those that the scaling laws of 2026 count
    int64_t batch_tokens, steps; // -1: unknown
    double flops_per_token;      // of training, by the reference's formula; NaN: unknown
    int64_t bytes_disk;          // of the result; -1: unknown
    int64_t bytes_checkpoints;   // of all files beside it, while it runs
    int64_t bytes_device;        // most memory that a device needs
    double flops, flops_counted; // by the reference's formula, and counted; NaN: unknown
    double seconds, usd;         // NaN: unknown
    double seconds_most;         // of answers whose length is not known: if none ends early; NaN: no bound
    bool too_large;              // for the memory of the device
    int64_t device_batch_fits;   // then: one that is not; 0: none
};

struct plan {
    const struct graph *graph;
    const char *results;
    struct run last;           // newest run of this recipe's name; number 0: none
    struct plan_stage *stages; // in the order of the graph
    int n_stages;
    int n_cached;         // how many are
    const bool *selected; // plan_select; NULL: all
    bool any_steps;       // plan_weigh
    struct work_setting *work;
    struct result_names *names; // of the store, while one looks at it
    struct trunks *trunks;      // what trunk_find read of the store; NULL: nothing yet
};

struct error *CHECKED plan_build(struct plan *plan, const struct graph *graph, const char *results, struct arena *arena);

// The same of a recipe that nobody means to run as it stands: steps that are kept or read behind the last are no error (fit).
struct error *CHECKED plan_weigh(struct plan *plan, const struct graph *graph, const char *results, struct arena *arena);

// Only some stages are asked for, one flag each, borrowed: a training that is there is not made again for what others read of it.
struct error *CHECKED plan_select(struct plan *plan, const bool *selected, struct arena *arena);

// Looks again at one stage: whether its result, its parts, its checkpoint are there by now. Its reasons stay.
struct error *CHECKED plan_look(struct plan *plan, struct plan_stage *stage, struct arena *arena);

// A stage is to run although it may be cached (run --fresh): its state, and those of the stages that it needs, whose results may not
// be there. Nothing is removed yet.
struct error *CHECKED plan_anew(struct plan *plan, struct plan_stage *stage, struct arena *arena);

// Then removes its result and its checkpoints. Under the lock of the run.
struct error *CHECKED plan_forget(struct plan *plan, struct plan_stage *stage, struct arena *arena);

// The first file that making the stage would read and that is not there, and how many there are; NULL: none.
const struct graph_part *plan_lacks(const struct plan_stage *stage, int *n);

struct plan_stage *plan_stage(const struct plan *plan, const char *name); // NULL if there is none
struct plan_stage *plan_of(const struct plan *plan, const struct graph_node *node);

const char *plan_state_name(enum plan_state state);  // "cached", "run", "resume", "unknown"
const char *reason_kind_name(enum reason_kind kind); // "field", "input", ...

// The reasons as the JSON list of formats (plan --json, run records); in the arena, NULL when memory runs out.
const char *reasons_json(const struct reason *reasons, int n_reasons, struct arena *arena);

#endif
