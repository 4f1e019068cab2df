// schedule.c - the reference rounds as Python does, to even: rint.
#include "core/train/schedule.h"

#include <math.h>

double schedule_lr(const struct schedule *s, int64_t step)
{
    int64_t up = (int64_t)rint(s->warmup * (double)s->n_steps), down = (int64_t)rint(s->warmdown * (double)s->n_steps);
    if (step < up)
        return (double)(step + 1) / (double)up;
    if (step <= s->n_steps - down)
        return 1;
    double left = (double)(s->n_steps - step) / (double)down;
    return left + (1 - left) * s->final_lr;
}

double schedule_momentum(const struct schedule *s, int64_t step)
{
    if (s->momentum > 0)
        return s->momentum;
    double share = fmin((double)step / 300, 1);
    return (1 - share) * 0.85 + share * 0.95;
}

int64_t horizon_steps(const struct horizon *h, const struct shape *shape, int64_t batch_tokens)
{
    double steps;
    if (h->steps != INT64_MIN)
        return h->steps;
    if (h->tokens != INT64_MIN)
        return h->tokens / batch_tokens;
    if (!isnan(h->flops))
        steps = rint(h->flops / (shape_flops_per_token(shape) * (double)batch_tokens));
    else
        steps = floor(h->ratio * (double)shape_params(shape) / (double)batch_tokens);
    return steps >= 1 && steps < 1e15 ? (int64_t)steps : 0;
}

int64_t schedule_updates(const struct schedule *s)
{
    return s->n_updates ? s->n_updates : s->n_steps;
}
