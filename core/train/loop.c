// loop.c - one pass of the loop is: hooks that are due, then one update.
//
// Invariants: whatever is saved at step s has all hooks of steps < s, and those of step s if evaluated_step / sampled_step say so;
// parameters change only between the check of the loss and the report of the step; what is saved or finished is finite, since an
// update can spoil the parameters after its loss was checked.
#include "core/train/loop.h"

#include <math.h>

#include "core/base/clock.h"
#include "core/base/stop.h"

// A loss of twice that of guessing evenly, after the first steps, is not coming back.
static const double EXPLODED = 2;
enum { SETTLED_STEPS = 10, PIECE = 1 << 14 };

static const char fix[] = "lower the learning rates or look at these rows; the last checkpoint is intact";

static struct error *hooks(struct loop *l, bool last)
{
    struct error *e = NULL;
    bool eval_due = l->evaluate && l->eval_every >= 0 && (last || (l->eval_every > 0 && l->step % l->eval_every == 0));
    if (eval_due && l->evaluated_step != l->step) {
        if ((e = l->evaluate(l->self, l->step)))
            return e;
        l->evaluated_step = l->step;
    }
    bool sample_due =
        l->sample && l->sample_every >= 0 && (last || (l->step > 0 && l->sample_every > 0 && l->step % l->sample_every == 0));
    if (sample_due && l->sampled_step != l->step) {
        if ((e = l->sample(l->self, l->step)))
            return e;
        l->sampled_step = l->step;
    }
    return NULL;
}

// The first row of the update that makes step s + 1.
static long long row_of(const struct loop *l, int64_t s)
{
    return l->first_row + s * l->gradient->R;
}

static bool is_finite(const struct loop *l, struct tensor tensor)
{
    float piece[PIECE];
    int64_t n_all = tensor.rows * tensor.cols;
    for (int64_t first = 0; first < n_all; first += PIECE) {
        int64_t n = n_all - first < PIECE ? n_all - first : PIECE;
        device_get(l->model->dev, piece, tensor, first, n);
        for (int64_t i = 0; i < n; i++)
            if (!isfinite(piece[i]))
                return false;
    }
    return true;
}

// The first parameter with a value that is not finite; NULL: there is none.
static const char *bad_parameter(const struct loop *l)
{
    for (int i = 0; i < l->model->n_params; i++)
        if (!is_finite(l, l->model->params[i].w.master))
            return l->model->params[i].name;
    return NULL;
}

static const char *bad_gradient(const struct loop *l, const struct tensor *gradients)
{
    for (int i = 0; i < l->model->n_params; i++)
        if (!is_finite(l, gradients[i]))
            return l->model->params[i].name;
    return NULL;
}

static struct error *check_parameters(const struct loop *l)
{
    const char *bad = bad_parameter(l);
    return bad ? error_new(ERROR_FAILED, NOWHERE, fix, "the values of %s are not finite after step %lld (rows %lld to %lld)", bad,
                           (long long)l->step, row_of(l, l->step - 1), row_of(l, l->step) - 1)
               : NULL;
}

static struct error *check_loss(const struct loop *l, const struct tensor *gradients, double loss, double norm)
{
    long long first = row_of(l, l->step), end = row_of(l, l->step + 1) - 1, step = l->step + 1;
    if (!isfinite(loss) || !isfinite(norm)) {
        // Values come first: where one is bad, gradients are so because of it.
        const char *value = bad_parameter(l), *gradient = value ? NULL : bad_gradient(l, gradients);
        return error_new(ERROR_FAILED, NOWHERE, fix, "the %s is not finite at step %lld (rows %lld to %lld); %s%s",
                         isfinite(loss) ? "norm of the gradients" : "loss", step, first, end,
                         value      ? "the first bad tensor holds the values of "
                         : gradient ? "the first bad tensor is the gradient of "
                                    : "all values and gradients of the parameters are finite",
                         value      ? value
                         : gradient ? gradient
                                    : "");
    }
    if (l->step >= SETTLED_STEPS && loss > EXPLODED * log(l->model->shape.n_vocab))
        return error_new(ERROR_FAILED, NOWHERE, fix, "the loss has exploded to %.3g at step %lld (rows %lld to %lld)", loss, step,
                         first, end);
    return NULL;
}

static struct error *update(struct loop *l)
{
    double start = clock_seconds();
    struct step_report r = {.lr_scale = schedule_lr(&l->schedule, l->step), .momentum = schedule_momentum(&l->schedule, l->step)};
    const struct tensor *gradients;
    struct error *e = l->prepare ? l->prepare(l->self, l->step) : NULL;
    if (!e)
        e = gradient_of_rows(l->gradient, l->rows, row_of(l, l->step), &r.loss, &gradients);
    if (e)
        return e;
    optimizer_measure(l->optimizer, gradients, l->step, r.lr_scale, r.momentum, schedule_decay(&l->schedule, l->step));
    r.grad_norm = device_grad_norm(l->model->dev);
    if ((e = check_loss(l, gradients, r.loss, r.grad_norm)))
        return e;
    optimizer_step(l->optimizer, gradients);
    if ((e = error_from_fault(device_fault(l->model->dev))))
        return e;
    r.step = ++l->step;
    r.tokens = l->gradient->n_targets;
    r.seconds = clock_seconds() - start;
    return l->report(l->own, &r);
}

static struct error *save(struct loop *l)
{
    struct error *e = check_parameters(l);
    return e ? e : l->save(l->own, l->step);
}

static struct error *keep(struct loop *l)
{
    struct error *e = check_parameters(l);
    return e ? e : l->keep(l->own, l->step);
}

// A stop inside a hook or a step: the parameters are those of l->step, so they can be saved as they are.
static struct error *save_on_stop(struct loop *l, struct error *e)
{
    if (e->kind != ERROR_STOPPED)
        return e;
    struct error *failed = save(l);
    if (!failed)
        return e;
    error_free(e);
    return failed;
}

struct error *loop_run(struct loop *l)
{
    for (;;) {
        bool last = l->step == schedule_updates(&l->schedule);
        struct error *e = last ? check_parameters(l) : NULL;
        if (!e)
            e = hooks(l, last);
        if (!e && l->keep_due && l->keep_due(l->own, l->step))
            e = keep(l);
        if (!e && (last || (l->until > 0 && l->step >= l->until)))
            return NULL;
        bool stop = stop_requested(); // once: one that comes behind it is met in the next step, which saves
        if (!e && (stop || l->save_due(l->own)))
            e = save(l);
        if (!e && stop)
            return error_stopped();
        if (!e)
            e = update(l);
        if (e)
            return save_on_stop(l, e);
    }
}
