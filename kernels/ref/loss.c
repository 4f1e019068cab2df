// loss.c - soft-capped logits and their cross entropy.
//
// l = cap * tanh(z / cap), so dl/dz = 1 - (l / cap)^2; without a cap (0) l = z.
// Of the loss lse(l) - l[target], dl = softmax(l) - onehot(target).
#include "kernels/ref/ref.h"

#include <math.h>

static void capped_row(const struct device *dev, double *l, const double *x, struct tensor w, int n_vocab, double cap)
{
    for (int v = 0; v < n_vocab; v++) {
        double z = 0;
        for (int64_t c = 0; c < w.cols; c++)
            z += operand(dev, x[c]) * operand(dev, row(w, v)[c]);
        l[v] = cap > 0 ? cap * tanh(z / cap) : z;
    }
}

void ref_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap)
{
    for (int64_t n = 0; n < x.rows; n++)
        capped_row(dev, row(logits, n), row(x, n), w->master, n_vocab, cap);
}

void ref_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
              const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T)
{
    (void)T; // the order of the sum over rows is of no consequence here
    double *l = device_workspace(dev, (size_t)n_vocab * sizeof *l, "loss");
    if (!l)
        return;
    bool has_gradients = dw.rows > 0;
    if (has_gradients)
        ref_zero(dev, dx);
    for (int64_t n = 0; n < x.rows; n++) {
        int target = id_at(targets, n);
        *row(losses, n) = 0;
        if (target < 0)
            continue;
        capped_row(dev, l, row(x, n), w->master, n_vocab, cap);
        double most = -INFINITY, sum = 0;
        for (int v = 0; v < n_vocab; v++)
            most = fmax(most, l[v]);
        for (int v = 0; v < n_vocab; v++)
            sum += exp(l[v] - most);
        double lse = most + log(sum);
        *row(losses, n) = lse - l[target];
        for (int v = 0; has_gradients && v < n_vocab; v++) {
            double dl = *row(weights, n) * (exp(l[v] - lse) - (v == target));
            double dz = operand(dev, cap > 0 ? dl * (1 - l[v] / cap * (l[v] / cap)) : dl);
            for (int64_t c = 0; c < x.cols; c++) {
                row(dx, n)[c] += dz * operand(dev, row(w->master, v)[c]);
                row(dw, v)[c] += dz * operand(dev, row(x, n)[c]);
            }
        }
    }
}
