// mirror.h - the copy of a run's results elsewhere, made beside the run by a process of its own; and what it says of itself.
//
//     e = mirror_start(&mirror, &job, &arena);           // `retort _mirror`, in the background, at the lowest priority
//     ...                                                // it looks at the store by itself, about once a second
//     mirror_finish(&mirror, MIRROR_TRIES);              // no more is made: copy what is left, then end
//     while (!mirror_ended(&mirror)) ...
//     e = mirror_read(&state, "results", "tiny", &arena);
//
// Copied     of the recipe's stages, which have their keys for names: every finished result, kept weights, and the newest checkpoint of what
//            is not finished; of its runs the records. Not token files and plans of rows: they are made again from the text, with the same
//            bits
// Names      MIRROR/store/KIND-KEY.h5, beside it KIND-KEY.h5.sha256 (as sha256sum reads it); KIND-KEY.part@STEP.h5 of checkpoints, of which
//            older ones are removed once a newer one was verified; MIRROR/runs/NAME/NNNN.h5. A mirror is also a results folder
// Process    its stdin is a pipe: the job, then "finish TRIES". Its end, which comes when the runner dies, means: leave at once. It holds no
//            lock, and may be one of many with the same mirror: what has a name there is whole
// Told       results/runs/NAME/mirror.json, rewritten as things change, is how it stands: for status, and for the runner when it has ended
// Secrets    come with the environment; neither job nor state has any
#ifndef RUNNER_GRAPH_MIRROR_H
#define RUNNER_GRAPH_MIRROR_H

#include "core/base/json.h"
#include "runner/graph/plan.h"

#include <sys/types.h>

enum { MIRROR_TRIES = 4, MIRROR_TRIES_STOPPED = 2 };

struct mirror_stage {
    const char *name, *kind, *key;
};

struct mirror_job {
    const char *results, *address, *name; // name: of the recipe
    int number;                           // of the run that goes on; 0: none does
    struct mirror_stage *stages;          // with known keys, without what nobody writes
    int n_stages;
};

struct mirror_missing {
    const char *stage, *file, *why; // stage: or "record of run 0003"; why: NULL, it was not its turn yet
};

struct mirror_state {
    const char *address; // NULL: nothing is known
    int number;          // of the run
    int64_t pid;
    bool ended; // else it goes on, or was killed
    int n_files, n_there;
    int64_t bytes_left, bytes_sent; // of the files that are not there; of the one on its way
    int n_pushed;                   // files that this process brought there
    const char *now;                // the file that is on its way, or NULL
    const char *warning;            // what is in the way, or NULL
    const char *newer;              // that a file there is of a newer format, and so was left alone; or NULL
    struct mirror_missing *missing;
    int n_missing;
};

struct mirror {
    pid_t pid;                    // -1: none
    int lifeline, status, number; // number: of the run
    bool told;
};

struct error *CHECKED mirror_job_make(struct mirror_job *job, const struct plan *plan, int number, struct arena *arena);
struct error *CHECKED mirror_job_read(struct mirror_job *job, const char *text, struct arena *arena);

struct error *CHECKED mirror_start(struct mirror *mirror, const struct mirror_job *job, struct arena *arena);
void mirror_finish(struct mirror *mirror, int tries);
bool mirror_ended(struct mirror *mirror); // also where none was started
void mirror_kill(struct mirror *mirror);

// Of the newest run of that name with a mirror; a file that is not there, or no such, gives address NULL.
struct error *CHECKED mirror_read(struct mirror_state *state, const char *results, const char *name, struct arena *arena);
struct error *CHECKED mirror_write(const struct mirror_state *state, const char *results, const char *name);

// As status --json has it.
void mirror_to_json(struct json *j, const struct mirror_state *state);

// "pretrain-3f9a12…", what all its files begin with, here and there; in the arena.
char *mirror_stem(const char *kind, const char *key, struct arena *arena);

// STEP of "STEM.part@STEP.h5", or -1.
int64_t mirror_step(const char *file, const char *stem);

#endif
