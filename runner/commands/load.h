// load.h - from a command line to a plan: the way that check, plan, run, why and status share.
#ifndef RUNNER_COMMANDS_LOAD_H
#define RUNNER_COMMANDS_LOAD_H

#include "core/base/json.h"
#include "core/model/model.h"
#include "core/store/store.h"
#include "core/text/tokenizer.h"
#include "kernels/kernels.h"
#include "runner/commands/command.h"
#include "runner/graph/plan.h"

struct loaded {
    struct recipe recipe;
    struct graph graph;
    struct plan plan;
};

// Everything in the call's arena.
struct error *CHECKED load_recipe(struct loaded *loaded, const struct call *call, const char *path); // recipe and graph
struct error *CHECKED load_plan(struct loaded *loaded, const struct call *call, const char *path);

// A stage by the name the user gave; ERROR_USAGE as load_no_stage says it.
struct error *CHECKED load_stage(const struct loaded *loaded, const char *name, struct plan_stage **stage);

// "the recipe has no stage 'bsae'", with the nearest of its names; of a stage of a matrix its cells. list: what shows all.
struct error *load_no_stage(const char *where, const char *name, const char *const *names, int n, const char *list,
                            struct arena *arena);

// "'a', 'b' and 7 more"; in the arena, NULL when memory runs out.
const char *load_names(const char *const *names, int n, struct arena *arena);

// Whether a word of the command line is a recipe file, by its ending.
bool load_is_recipe(const char *what);

// Whether it is a file of a run, a result or another HDF5 file, by its ending.
bool load_is_h5(const char *what);

// The name under which runs are kept, of a recipe file (mistakes in the rest of it do not matter) or as it is given.
struct error *CHECKED load_name(const struct call *call, const char *what, const char **name);

// "there is no run of 'x' in 'results'", with the nearest name that has one, or what names there are; published: also of those.
struct error *load_no_run(const struct call *call, const char *what, bool published);

// The newest run of a recipe file, of a recipe's name, NAME/NUMBER, or the file of a run; else the published run of that name (reference.h).
// Its state is as run_state says, and that of stages of a run that died; of the file of a run as it stands there.
// ERROR_USAGE if there is none.
struct error *CHECKED load_run(struct run *run, const struct call *call, const char *what);

// The result file of MODEL: RECIPE.yaml:STAGE, RUN:STAGE (RUN as for load_run), either with @STEP for a kept step, or
// a file; in the arena. ERROR_USAGE for a stage that is no model or has not been made.
struct error *CHECKED load_model(const struct call *call, const char *what, const char **path);

// The tokenizer of MODEL, which may also be a stage that makes nothing else; in the arena. *of_model: a model came with it.
struct error *CHECKED load_tokenizer(const struct call *call, const char *what, struct tokenizer **tokenizer, bool *of_model);

// A model that computes in this process, in the precision in which it was made; every byte of its file is verified.
struct opened {
    struct device *dev;
    struct model model;
    struct tokenizer *tokenizer; // in the arena
};
struct error *CHECKED load_open(struct opened *opened, const char *path, struct arena *arena);
void load_close(struct opened *opened);

// Opens the object of a stage of the plan and writes what every answer says of it: name kind key state reasons.
struct error *CHECKED stage_to_json(struct json *json, const struct plan_stage *stage, struct arena *arena);

// Says which tasks the evaluations that will run are asked without, for want of their data; selected: which stages are, NULL: all. False:
// out of memory.
bool left_out_print(const struct plan *plan, const bool *selected, struct arena *arena);

// Says that this machine has no Python, where stages that will run need it; plan NULL: of all stages. False: out of memory.
bool python_print(const struct graph *graph, const struct plan *plan, struct arena *arena);

// Every value of the recipe and who set it, a line a field; in the arena.
struct error *CHECKED resolved_text(const struct recipe *recipe, struct arena *arena, const char **text);

// The same as a table, and as `values` of an open object: {name, value, by, file, line}.
struct error *CHECKED resolved_print(const struct recipe *recipe, struct arena *arena);
struct error *CHECKED resolved_json(const struct recipe *recipe, struct json *json, struct arena *arena);

#endif
