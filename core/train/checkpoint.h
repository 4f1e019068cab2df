// checkpoint.h - everything a training is, at one step: parameters, moments, place in the data, metrics so far.
//
// A checkpoint and a finished result have one layout (store.h, model_file.h, metrics.h); a result drops /optim.
//
//   attributes   those of the caller, and of /model
//   /model       parameters        /optim    moments            /tokenizer   as given by the caller
//   /data        rows i64 [1]: rows of the run that were trained on
//   /metrics/train /metrics/val /timing/train /events /samples
//
// X.h5 is the finished result, X.part.h5 the latest checkpoint, X.part.prev.h5 the one before: checkpoint_find takes the newest that
// verifies, so a damaged one costs an interval and no more.
//
// While a training goes on it is copied first (checkpoint_copy) and the copy written by a thread (background.h): it waits for the copy
// alone. A copy is as large as parameters and moments together.
#ifndef CORE_TRAIN_CHECKPOINT_H
#define CORE_TRAIN_CHECKPOINT_H

#include "core/model/model_file.h"
#include "core/store/metrics.h"
#include "core/train/optimizer.h"

enum { TRAINING_MORE = 4 };

struct kept_table { // a table of the kind of training, under its path
    const char *path;
    struct table *table;
};

struct training {
    struct model *model;
    struct optimizer *optimizer;
    int64_t step, rows;
    struct table train, val, timing, events, samples;
    struct kept_table more[TRAINING_MORE]; // saved and loaded with the others; whose they are is the caller's
    int n_more;
    const struct store_set *extra; // datasets written with every checkpoint, borrowed: the tokenizer
    int n_extra;
};

void training_init(struct training *t, struct model *model, struct optimizer *optimizer);
void training_release(struct training *t);

struct error *CHECKED training_event(struct training *t, const char *kind, const char *text);

// Writes path whole. with_optim false: a result.
struct error *CHECKED checkpoint_save(const struct training *t, const char *path, bool with_optim,
                                      const struct store_attribute *attributes, int n_attributes);

// A training as it was at one step, and nothing of what it goes on with. t->extra is borrowed, the rest copied.
struct checkpoint;

struct error *CHECKED checkpoint_copy(struct checkpoint **copy, const struct training *t, bool with_optim,
                                      const struct store_attribute *attributes, int n_attributes);
int64_t checkpoint_step(const struct checkpoint *copy);
// aside: the file that was there keeps its contents under that name (store_replace); NULL: it goes.
struct error *CHECKED checkpoint_write(const struct checkpoint *copy, const char *path, const char *aside);
void checkpoint_free(struct checkpoint *copy); // NULL is fine

// The newest of the two files that verifies and is of this key (NULL: any), open; *file NULL if there is none. What is passed over is
// renamed to X.part.damaged.h5, since it is the user's to throw away, and *note (arena) says so; else it is NULL. Errors that do not
// tell what a file is (ERROR_MACHINE) pass nothing over.
struct error *CHECKED checkpoint_find(const char *part, const char *prev, const char *key, struct arena *arena,
                                      struct store_file **file, const char **note);

// Fills model, optimizer, step, rows and tables from an open checkpoint.
struct error *CHECKED checkpoint_load(struct training *t, struct store_file *file);

// Of a checkpoint, or a result that has its optimizer, the moments alone: the training stays at its own step.
struct error *CHECKED checkpoint_load_moments(struct training *t, struct store_file *file);

// Of what was loaded takes away what the step that it stands at has beyond its update (validation, samples), for hooks that are to do
// it again, and the events of the training that it was of.
void checkpoint_trim(struct training *t);

#endif
