// resume.h - the parts by which a stage that was stopped or killed goes on: OUT.part.h5, and OUT.part.prev.h5, the one before it.
//
//     e = resume_find(&r, stage);                            // r.file: where to go on from, open; NULL: from the beginning
//     e = resume_device(&r, precision, &dev);                // computes as the part did, if this processor can
//     if (resume_due(&r))
//         e = resume_save(&r, attributes, n_attributes, sets, n_sets);
//     resume_forget(&r);                                     // the result is saved
//     resume_close(&r);
//
// When       every RETORT_CHECKPOINT_SECONDS, 10 by default
// Ownership  paths and texts live in the stage's arena; the file until resume_close
// Errors     those of the store, but for a full disk: see resume_unsaved; a part that is damaged, or of another key, is none: it is
//            renamed to OUT.part.damaged.h5, and `note` says so
#ifndef RUNNER_STAGES_RESUME_H
#define RUNNER_STAGES_RESUME_H

#include "runner/stages/stage.h"

#include <stdbool.h>

struct resume {
    struct stage *stage;
    const char *part, *prev;
    struct store_file *file;
    bool trunk;               // `file` is none of its own parts but job->trunk: a checkpoint that this training passes through
    const char *note;         // what the record should say of going on, or NULL
    double seconds;           // that the work took before; 0 where it begins
    double every_s, saved_at; // saved_at: clock_seconds() up to which nothing can be lost any more
    double tried_at;          // of the last save that failed; 0: none since the last
};

struct error *CHECKED resume_find(struct resume *r, struct stage *stage);

// precision: "f32" or "bf16". The instruction-set path of the part is taken again; where that cannot be, the note says that bits may
// differ.
struct error *CHECKED resume_device(struct resume *r, const char *precision, struct device **dev);

bool resume_due(const struct resume *r);
struct error *CHECKED resume_save(struct resume *r, const struct store_attribute *attributes, int n_attributes,
                                  const struct store_set *sets, int n_sets);

// A checkpoint that cannot be written ends nothing as long as the stage can go on: the last one stays, the live file warns, and the
// next try comes as the next save would have. NULL then; e itself where it is not about the machine, or a stop waits for the save.
struct error *CHECKED resume_unsaved(struct resume *r, struct error *e);

// For those who write the part themselves (core/train/background.h): it is there, with all that was done by clock_seconds() `at`.
void resume_saved(struct resume *r, double at);
void resume_forget(const struct resume *r);
void resume_close(struct resume *r);

#endif
