// schedule.c - the reference rounds as Python does, to even: rint.
#include "core/train/schedule.h"

#include <math.h>

struct schedule schedule_2026(int64_t n_steps)
{
    return (struct schedule){.n_steps = n_steps,
                             .warmup_steps = 40,
                             .warmdown = 0.65,
                             .final_lr = 0.05,
                             .ramp_steps = 400,
                             .ramp_to = 0.97,
                             .ramp_down = 0.90,
                             .decays = true};
}

static int64_t down_steps(const struct schedule *s)
{
    return (int64_t)rint(s->warmdown * (double)s->n_steps);
}

double schedule_lr(const struct schedule *s, int64_t step)
{
    int64_t up = s->warmup_steps ? s->warmup_steps : (int64_t)rint(s->warmup * (double)s->n_steps), down = down_steps(s);
    if (step < up)
        return (double)(step + 1) / (double)up;
    if (step <= s->n_steps - down)
        return 1;
    double left = (double)(s->n_steps - step) / (double)down;
    return left + (1 - left) * s->final_lr;
}

int64_t schedule_constant(const struct schedule *s)
{
    return s->n_steps - down_steps(s);
}

double schedule_momentum(const struct schedule *s, int64_t step)
{
    if (s->momentum > 0)
        return s->momentum;
    int64_t ramp = s->ramp_steps ? s->ramp_steps : 300, down = down_steps(s);
    double top = s->ramp_to > 0 ? s->ramp_to : 0.95;
    if (s->ramp_down > 0 && step >= ramp && step >= s->n_steps - down) {
        double share = (double)(step - (s->n_steps - down)) / (double)down;
        return (1 - share) * top + share * s->ramp_down;
    }
    double share = fmin((double)step / (double)ramp, 1);
    return (1 - share) * 0.85 + share * top;
}

double schedule_decay(const struct schedule *s, int64_t step)
{
    const double pi = 3.14159265358979323846;
    return s->decays ? 0.5 * (1 + cos(pi * (double)step / (double)s->n_steps)) : 1;
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
        steps = floor(h->ratio * (double)(h->counts_scaling ? shape_scaling_params(shape) : shape_params(shape)) /
                      (double)batch_tokens);
    return steps >= 1 && steps < 1e15 ? (int64_t)steps : 0;
}

int64_t schedule_updates(const struct schedule *s)
{
    return s->n_updates ? s->n_updates : s->n_steps;
}

struct scaling_law scaling_law_2026(int64_t params, int64_t params12, double ratio, int64_t batch_tokens)
{
    const double batch12 = 1 << 19;
    double tokens = trunc(ratio * (double)params), tokens12 = ratio * (double)params12, share = tokens / tokens12;
    if (!batch_tokens)
        batch_tokens = (int64_t)exp2(rint(log2(batch12 * pow(share, 0.383))));
    double lr_scale = sqrt((double)batch_tokens / batch12);
    return (struct scaling_law){.batch_tokens = batch_tokens, .lr_scale = lr_scale, .decay_scale = lr_scale / share};
}
