// result.h - is a finished result there, and is it the one that was asked for?
//
// A quick look at attributes, not a reading of everything: opening finds files that are cut or foreign, the key one of another
// content.
//
// Newer   a file of a format that a newer retort writes is neither: it is never made anew nor set aside, and so an error
// Errors  ERROR_NOT_BUILT for such a file, ERROR_MACHINE where it cannot be looked at
#ifndef RUNNER_GRAPH_RESULT_H
#define RUNNER_GRAPH_RESULT_H

#include "runner/graph/keys.h"

#include <stdbool.h>
#include <stdint.h>

enum result_state { RESULT_ABSENT, RESULT_WHOLE, RESULT_DAMAGED };

struct result {
    enum result_state state;
    const char *problem;   // RESULT_DAMAGED: what is wrong with it, in the arena
    double seconds, usd;   // what making it took; NaN: unknown
    int64_t step, n_steps; // of a checkpoint, where it stands; -1: unknown
    int64_t tokens;        // of a token file, or of the text that a plan of rows is of; -1: none
    int64_t rows, seq_len; // of a plan of rows; -1: none
    int64_t bytes;         // of the file
    bool optim;            // the optimizer is in it
};

// key NULL: any. finished false: a checkpoint will do.
struct error *CHECKED result_look(struct result *result, const char *path, const char *key, bool finished, struct arena *arena);

// The files of stages in the store that somebody reads: results, checkpoints, steps that were kept. Listed once, when somebody asks first,
// for all who ask while no time passes; begins as all zero.
struct result_names {
    struct arena arena;
    const char *folder; // NULL: not listed yet
    const char **names; // [n], sorted
    size_t n;
};
struct error *CHECKED result_names_read(struct result_names *names, const char *results);
void result_names_release(struct result_names *names);

// Whether anything of a stage is in the store that a newer retort wrote: its result, a checkpoint, a step that was kept. It would have
// to be replaced if the stage ran, and so the stage is refused: ERROR_NOT_BUILT.
struct error *CHECKED result_spare(const struct result_names *names, enum stage_kind_id kind, const char *key);

// The same, of the store as it is now.
struct error *CHECKED result_spare_now(const char *results, enum stage_kind_id kind, const char *key);

#endif
