// keeping.c - what is kept follows from the job alone, so that a training that goes on keeps what one that was left alone would have.
#include "runner/stages/keeping.h"

#include <string.h>

#include "core/store/atomic.h"
#include "core/store/store.h"

static bool keeps_optimizer(const struct job *job, const char *when)
{
    const char *const *choice = field_value(job->kind, job->options, "keep_optim");
    return choice && *choice && !strcmp(*choice, when);
}

bool keeping_due(const struct job *job, const struct schedule *schedule, int64_t step, bool *optim)
{
    const struct field_list *keep = field_value(job->kind, job->options, "keep");
    const int64_t *every = field_value(job->kind, job->options, "keep_every");
    int64_t last = schedule_updates(schedule), falls = schedule_constant(schedule);
    *optim = keeps_optimizer(job, "warmdown") && step == falls && step < last && step > 0;
    bool kept = *optim || (every && *every > 0 && step > 0 && step < last && step % *every == 0);
    for (int i = 0; keep && i < keep->n; i++)
        kept |= keep->ints[i] == step;
    for (int i = 0; i < job->n_kept; i++) {
        kept |= job->kept[i].step == step;
        *optim |= job->kept[i].step == step && job->kept[i].optim;
    }
    return kept;
}

bool keeping_at_end(const struct job *job, const struct schedule *schedule)
{
    bool optim = keeps_optimizer(job, "last") ||
                 (keeps_optimizer(job, "warmdown") && schedule_constant(schedule) >= schedule_updates(schedule));
    for (int i = 0; i < job->n_kept; i++)
        optim |= job->kept[i].step < 0 && job->kept[i].optim;
    return optim;
}

const char *keeping_path(const struct job *job, int64_t step, struct arena *arena)
{
    return arena_printf(arena, "%.*s@%lld.h5", (int)(strlen(job->out) - strlen(".h5")), job->out, (long long)step);
}

bool keeping_is_there(const char *path, bool optim)
{
    struct store_file *file = NULL;
    if (!file_exists(path))
        return false;
    struct error *e = store_open(&file, path);
    if (!e)
        e = store_verify(file);
    bool there = !e && (!optim || store_has(file, "/optim"));
    store_close(file);
    error_free(e);
    return there;
}
