// background.c - a thread a checkpoint: saves are seconds apart at least, and a thread that sleeps between them would have to be told.
#include "core/train/background.h"

#include <signal.h>

#include "core/base/clock.h"

static void *write_it(void *self)
{
    struct background *b = self;
    b->error = checkpoint_write(b->copy, b->part, b->prev);
    b->seconds = clock_seconds() - b->began;
    atomic_store(&b->ended, true);
    return NULL;
}

void background_start(struct background *b, struct checkpoint *copy, const char *part, const char *prev)
{
    b->copy = copy;
    b->part = part;
    b->prev = prev;
    b->error = NULL;
    b->began = clock_seconds();
    atomic_store(&b->ended, false);
    // Signals that ask to stop are the main thread's.
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    b->is_thread = !pthread_create(&b->thread, NULL, write_it, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!b->is_thread)
        write_it(b);
}

bool background_busy(const struct background *b)
{
    return b->copy != NULL;
}

bool background_ended(const struct background *b)
{
    return b->copy && atomic_load(&b->ended);
}

struct error *background_finish(struct background *b, int64_t *step)
{
    if (!b->copy)
        return NULL;
    if (b->is_thread)
        pthread_join(b->thread, NULL);
    *step = checkpoint_step(b->copy);
    checkpoint_free(b->copy);
    b->copy = NULL;
    return b->error;
}
