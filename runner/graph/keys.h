// keys.h - the name of a result: a hash of everything that it is made from.
//
// The canonical payload of a node is JSON with sorted keys and no blanks,
//
//   {"data":[{"column":"text","form":"parquet","sha256":"…"}],"fields":{"seed":42,"vocab":512},"inputs":{"tokenizer":"3f9a…"},
//    "kind":"tokenizer","version":1}
//
// data      what the node reads by itself, part by part: the content of files, never their names; for a world the content of
//           its file, the generator's version, the seed and the range of documents
// fields    the RESULT fields that are set and not left out (fields.h), integers in decimal, reals as %.17g; names of
//           stages and sources are left out; a mixture is a list of {"epochs":2,"split":"train","task":"gsm8k"}, or "rows" for
//           "epochs". Of an evaluation max_tokens is left out where nothing is asked in a chat, and examples where it asks nothing
// grading   of an evaluation on tasks, and of grpo: a list of {"baseline":0.25,"grader":"choice","task":"quiz"}, one an entry; grpo,
//           whose rewards do not depend on chance, is without baselines
// inputs    key by role; for "tokens" and "validation" the list of the keys of the parts; for "mix", "mixture", "test" and "suite"
//           such a list an entry; for "mix_rows" a list of keys
// shares    of a pretraining on a mix: a list of its sources' shares, as they came to be in mixes of mixes
// steps     of a stage that reads another as it was at a step: {"from":500} or {"model":500}
// suites    of an evaluation that asks tasks as text or in a suite: a list of {"files":2,"name":"core/copa","suite":"core","task":{…},
//           "title":"CORE"}, one a task; `files` of `data`, in its order; of a task that is left out "left_out":true instead
// task      of a token stage of a task: what the task is (task_file.h: content), TASK_VERSION of core/data/task.h among it
// version   of the kind (kind_version)
//
// The key is its SHA-256. So the order of the recipe, the names in it, who set a value, and speed and display fields do not
// matter; and two keys can be explained against each other by comparing two payloads. A result's file is KIND-first16hex.h5.
// A part of a token stage has a payload and a key of its own; the node's own are those of all its wanted parts together.
//
// Fetched files are known by what NAME.data.yaml says of their address (recipe/pins.h), be they there or not.
//
// Errors  a file that cannot be read, or is not what is written down of its address; one that is not there is no error: where nothing
//         says what it holds, keys that depend on it stay NULL (unknown)
#ifndef RUNNER_GRAPH_KEYS_H
#define RUNNER_GRAPH_KEYS_H

#include "runner/graph/graph.h"

// Fills in identities, payloads and keys of all nodes. Hashes of files are kept under `results` (core/store/identity.h).
struct error *CHECKED keys_make(struct graph *graph, const char *results);

// "results/store/pretrain-3f9a12….h5"; ending: ".h5", ".part.h5", ".live", ".lock", ".log", ".job". In the arena.
char *key_path(struct arena *arena, const char *results, enum stage_kind_id kind, const char *key, const char *ending);

// Of the name of such a file, "KIND-first16hex…": its kind, the digits, and the ending behind them. KIND_COUNT: it is none.
enum { KEY_PATH_DIGITS = 16 };
enum stage_kind_id key_parse(const char *name, const char **key, const char **ending);

#endif
