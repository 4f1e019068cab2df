// loop.c - one pass of the loop is: hooks that are due, then one update.
//
// Invariants: whatever is saved at step s has all hooks of steps < s, and those of step s if evaluated_step / sampled_step say so;
// parameters change only between the check of the loss and the report of the step.
#include "core/train/loop.h"

#include <math.h>

#include "core/base/clock.h"
#include "core/base/stop.h"

// A loss of twice that of guessing evenly, after the first steps, is not coming back.
static const double EXPLODED = 2;
enum { SETTLED_STEPS = 10 };

static struct error *hooks(struct loop *l, bool last)
{
    struct error *e = NULL;
    bool eval_due = last || (l->eval_every > 0 && l->step % l->eval_every == 0);
    if (eval_due && l->evaluated_step != l->step) {
        if ((e = l->evaluate(l->self, l->step)))
            return e;
        l->evaluated_step = l->step;
    }
    bool sample_due = l->sample_every >= 0 && (last || (l->step > 0 && l->sample_every > 0 && l->step % l->sample_every == 0));
    if (sample_due && l->sampled_step != l->step) {
        if ((e = l->sample(l->self, l->step)))
            return e;
        l->sampled_step = l->step;
    }
    return NULL;
}

static struct error *check_loss(const struct loop *l, double loss, double norm)
{
    int64_t first = l->step * l->gradient->R;
    const char *fix = "lower the learning rates or look at these rows; the last checkpoint is intact";
    if (!isfinite(loss) || !isfinite(norm))
        return error_new(ERROR_FAILED, NOWHERE, fix, "the %s is not finite at step %lld (rows %lld to %lld)",
                         isfinite(loss) ? "norm of the gradients" : "loss", (long long)l->step + 1, (long long)first,
                         (long long)(first + l->gradient->R - 1));
    if (l->step >= SETTLED_STEPS && loss > EXPLODED * log(l->model->shape.n_vocab))
        return error_new(ERROR_FAILED, NOWHERE, fix, "the loss has exploded to %.3g at step %lld (rows %lld to %lld)", loss,
                         (long long)l->step + 1, (long long)first, (long long)(first + l->gradient->R - 1));
    return NULL;
}

static struct error *update(struct loop *l)
{
    double start = clock_seconds();
    struct step_report r = {.lr_scale = schedule_lr(&l->schedule, l->step), .momentum = schedule_momentum(l->step)};
    const struct tensor *gradients;
    struct error *e = gradient_of_rows(l->gradient, l->rows, l->step * l->gradient->R, &r.loss, &gradients);
    if (e)
        return e;
    optimizer_measure(l->optimizer, gradients, l->step, r.lr_scale, r.momentum);
    r.grad_norm = device_grad_norm(l->model->dev);
    if ((e = check_loss(l, r.loss, r.grad_norm)))
        return e;
    optimizer_step(l->optimizer, gradients);
    if ((e = error_from_fault(device_fault(l->model->dev))))
        return e;
    r.step = ++l->step;
    r.seconds = clock_seconds() - start;
    return l->report(l->self, &r);
}

// A stop inside a hook or a step: the parameters are those of l->step, so they can be saved as they are.
static struct error *save_on_stop(struct loop *l, struct error *e)
{
    if (e->kind != ERROR_STOPPED)
        return e;
    struct error *failed = l->save(l->self, l->step);
    if (!failed)
        return e;
    error_free(e);
    return failed;
}

struct error *loop_run(struct loop *l)
{
    for (;;) {
        bool last = l->step == l->schedule.n_steps;
        struct error *e = hooks(l, last);
        if (!e && last)
            return NULL;
        if (!e && (stop_requested() || l->save_due(l->self)))
            e = l->save(l->self, l->step);
        if (!e && stop_requested())
            return error_stopped();
        if (!e)
            e = update(l);
        if (e)
            return save_on_stop(l, e);
    }
}
