// result.h - is a finished result there, and is it the one that was asked for?
//
// A quick look at attributes, not a reading of everything: opening finds files that are cut or foreign, the key one of another
// content.
#ifndef RUNNER_GRAPH_RESULT_H
#define RUNNER_GRAPH_RESULT_H

#include "core/base/error.h"

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

#endif
