// background.h - one checkpoint on its way to the disk while the training goes on.
//
//     struct background b = {0};
//     background_start(&b, copy, "X.part.h5", "X.part.prev.h5");        // takes copy over
//     if (background_ended(&b))                                         // now and then
//         e = background_finish(&b, &step);                             // how it went, and of which step it was
//
// Errors     those of the store, from background_finish; where no thread can be had it is written before background_start returns
// Threads    one of its own a checkpoint. While it writes, nothing else in the process may use the store: finish first
#ifndef CORE_TRAIN_BACKGROUND_H
#define CORE_TRAIN_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/train/checkpoint.h"

struct background {
    struct checkpoint *copy; // owned; NULL: nothing is on its way
    const char *part, *prev;
    pthread_t thread;
    bool is_thread;
    atomic_bool ended;
    struct error *error;
    double began, seconds; // clock_seconds() when the copy was there; what writing it took
};

// part and prev are borrowed until it is finished. There must be none on its way.
void background_start(struct background *b, struct checkpoint *copy, const char *part, const char *prev);
bool background_busy(const struct background *b);                             // started and not finished
bool background_ended(const struct background *b);                            // busy, and finishing it takes no time
struct error *CHECKED background_finish(struct background *b, int64_t *step); // NULL where there is none; waits

#endif
