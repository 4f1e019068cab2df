// total.c - one pass over the stages.
#include "runner/graph/total.h"

#include <math.h>

static double known(double value)
{
    return isfinite(value) ? value : 0;
}

struct plan_total plan_total(const struct plan *plan)
{
    struct plan_total t = {0};
    for (int i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *s = &plan->stages[i];
        bool trains = s->node->kind == KIND_PRETRAIN || s->node->kind == KIND_FINETUNE, cached = s->state == PLAN_CACHED;
        double most = plan->graph->recipe->usd_per_hour * s->seconds_most / 3600;
        t.tokens += trains && s->tokens > 0 ? s->tokens : 0;
        t.bytes_disk += s->bytes_disk > 0 ? s->bytes_disk : 0;
        t.flops += known(s->flops);
        t.seconds += known(s->seconds);
        t.usd += known(s->usd);
        t.usd_most += isfinite(s->usd) ? s->usd : known(most);
        if (cached)
            continue;
        t.bytes_checkpoints = s->bytes_checkpoints > t.bytes_checkpoints ? s->bytes_checkpoints : t.bytes_checkpoints;
        t.bytes_device = s->bytes_device > t.bytes_device ? s->bytes_device : t.bytes_device;
        t.to_come_s += known(s->seconds);
        t.to_come_usd += known(s->usd);
        t.n_unknown += !isfinite(s->seconds);
        t.n_unbound += !isfinite(s->seconds) && !isfinite(s->seconds_most);
        t.too_large |= s->too_large;
        t.never_fits |= s->too_large && !s->device_batch_fits && trains;
    }
    return t;
}
