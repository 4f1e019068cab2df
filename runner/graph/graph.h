// graph.h - a recipe as nodes and edges: what is made from what.
//
//     struct graph g;
//     e = graph_build(&g, &recipe, &arena);        // nodes stand in an order in which each comes after its inputs
//     e = keys_make(&g, "results");                // keys.h: payloads and keys
//     e = plan_build(&plan, &g, "results", ...);   // plan.h: what would run, and why
//
// Nodes      a written stage is a node; one with a list of models is a node a model (chat_eval@mid); and between a tokenizer
//            and whatever reads text stands the token stage that nobody writes, SOURCE.tokens (SOURCE.tokens@TOKENIZER where
//            two tokenizers read one source); between it and whatever reads a task's split, TASK.SPLIT.tokens
//            and, of rows that are packed, behind that the plan of them, SOURCE.rows and SOURCE.val.rows
// Parts      text that a node reads by itself: a file, or a range of a world's documents. A tokenizer reads its source's
//            training parts; a token stage makes one token file a part, keyed on its own, so that more files reuse what is
//            there. An evaluation reads the rows of tasks that are asked as text, in the order of `suites`
// Left out   of a suite of several tasks those of which nobody knows the data: a file is not there, nor an address or a hash of it. They
//            are named in the key, the plan and the scores. Where nothing of a suite is there, nothing is left out
// Validation the part that is held back from training: `last` the last file, `file` one more file, `held_out` the world's
//            held-out documents (a fiftieth of the documents, at least 200), `none` nothing. A mix has that of the source that it names,
//            or a file, which is read as the first of its sources with such files is
// Inputs     by role: "tokenizer"; "tokens", the training parts of a token node; of a pretraining on a mix instead "mix", once for each
//            of its sources; "validation", the validation part of a token node; "model"; where rows are packed, the plans of
//            these texts: "rows", "mix_rows" in the order of "mix", "validation_rows"; and, once for each entry in the order of the
//            recipe, token nodes of tasks: "mixture", what is trained on; "test", the test split of each different task of it that has
//            one, in order of first mention; "suite", what an evaluation asks; "from", the pretraining that a pretraining goes on from.
//            "model" and "from" may be of a step, which is kept beside the result (kept.h)
// Ownership  everything lives in the arena
// Errors     ERROR_RECIPE with the place of the stage: an unknown name, a circle, a bpb without validation text
#ifndef RUNNER_GRAPH_GRAPH_H
#define RUNNER_GRAPH_GRAPH_H

#include "runner/recipe/recipe.h"

struct graph_node;

struct graph_input {
    const char *role;
    struct graph_node *node;
    int64_t step;                     // of "model" and "from": the step that is wanted; -1: the result
    const struct mixture_use *use;    // of "mixture" and "suite"; else NULL
    const struct source_share *share; // of "mix"; else NULL
};

struct graph_part {
    struct document_part part;
    bool validation;
    bool wanted;                   // of a token stage: some node reads its tokens
    const struct mixture_use *use; // of an evaluation: the task that is asked as text, whose rows these are; else NULL

    // by downloads_locate, which keys_make calls
    const char *url; // where the file is fetched from, and part.path where it lies or will; NULL: part.path is all there is

    // by keys_make
    bool is_missing;           // the file is not there
    bool left_out;             // of an evaluation: with its task, since the data is not there and other tasks of the suite are
    const char *identity;      // canonical JSON; NULL: not known, since the file is not there and nobody says what it holds
    const char *payload, *key; // of a token stage; NULL: unknown
};

struct graph_node {
    const char *name;
    enum stage_kind_id kind;
    const struct recipe_stage *stage; // NULL for a token stage
    void *options;                    // the kind's struct of options.h; of a split stage with its one model
    const struct source *source;      // the text that the parts are of, or NULL
    const struct task_file *task;     // of a token stage of a task, whose rows the parts are; else NULL
    const struct task_split *split;
    struct graph_part *parts;
    int n_parts;
    struct graph_input *inputs;
    int n_inputs;

    // by keys_make
    const char *payload, *key; // NULL: unknown, a file is missing here or before
    const char *missing;       // of an import: its file, if it is not there; else NULL
};

struct graph {
    struct arena *arena;
    const struct recipe *recipe;
    struct graph_node **nodes;
    int n_nodes;
};

struct error *CHECKED graph_build(struct graph *graph, const struct recipe *recipe, struct arena *arena);

// By name; NULL if there is none. The name of a split stage ("chat_eval") finds nothing: its nodes are chat_eval@....
struct graph_node *graph_find(const struct graph *graph, const char *name);

// The input of that role, or NULL.
struct graph_node *graph_input(const struct graph_node *node, const char *role);

// Whether a task of an evaluation is left out (keys_make).
bool graph_left_out(const struct graph_node *node, const struct mixture_use *use);

// A task whose answers the stage grades by running them as Python; NULL: it runs none.
const struct task_file *graph_python(const struct graph_node *node);

// Whether node is other, or needs it directly or through others.
bool graph_needs(const struct graph_node *node, const struct graph_node *other);

#endif
