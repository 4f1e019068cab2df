// worth.c - keys of inputs stand in the payload of what is made from them.
#include "runner/view/worth.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runner/view/card.h"

// Marks stage i and those before it. Stages stand in an order in which each comes after its inputs.
static void mark(const struct run *run, int i, bool *in)
{
    in[i] = true;
    for (int k = i; k >= 0; k--)
        for (int j = 0; j < k && in[k]; j++)
            in[j] =
                in[j] || (run->stages[k].payload && run->stages[j].key[0] && strstr(run->stages[k].payload, run->stages[j].key));
}

struct error *worth_of(struct worth *w, const struct run *run, int i, struct arena *arena)
{
    bool *in = arena_array(arena, (size_t)run->n_stages + 1, sizeof *in);
    *w = (struct worth){0};
    if (!in)
        return error_memory();
    mark(run, i, in);
    for (int k = 0; k < run->n_stages; k++) {
        const struct run_stage *s = &run->stages[k];
        bool trains = card_trains(s);
        if (!in[k])
            continue;
        w->usd += trains || isfinite(s->usd) ? s->usd : 0;
        w->flops += trains ? card_flops(s) : 0;
    }
    return NULL;
}
