// reference.h - published runs: small YAML files that compare, report and ls read like runs.
//
//     results/reference/NAME.yaml of the results folder, else of this build or installation:
//
//     reference: 1
//     name: nanochat-d20                    # as the file is called
//     date: 2025-10-13                      # when it was published
//     source: "where the numbers stand"
//     note: "what to know of them"          # optional
//     machine: "8 x H100 80 GB"             # optional, as are seconds and usd, of the whole run
//     stages:
//       base:
//         kind: pretrain                    # or finetune, grpo
//         params: 560988160                 # optional, as are tokens, flops, seconds, usd
//         fields: {depth: 20}               # what is known of what was asked: fields of that kind
//         bpb: 0.81                         # bits per byte, with over: what text, tokenizer and count
//         core: 0.2219                      # and core_deviation: of several runs
//         tasks: {arc_easy: {accuracy: 0.3561, n: 2376, baseline: 0.25}}
//
// What is not written is not known; numbers are read as in recipes. Only what was published stands here, or its
// median, saying so.
//
// Limits     those of yaml.h; 64 stages, 64 tasks a stage
// Ownership  everything lives in the arena
// Errors     ERROR_RECIPE with places, all at once
#ifndef RUNNER_GRAPH_REFERENCE_H
#define RUNNER_GRAPH_REFERENCE_H

#include "runner/graph/run_record.h"

#include <stdbool.h>

// The file of a published run by its name; *path NULL: there is none.
struct error *CHECKED reference_find(const char *results, const char *name, struct arena *arena, const char **path);

// Names of all, each once, sorted.
struct error *CHECKED reference_names(const char *results, struct arena *arena, const char ***names, int *n_names);

// Whether a YAML file says that it is one.
bool reference_is(const char *path);

struct error *CHECKED reference_read(struct run *run, const char *path, struct arena *arena);

#endif
