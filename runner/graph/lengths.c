// lengths.c - a class stands for the mean of its rows, so that the mean of all is exact.
#include "runner/graph/lengths.h"

#include <math.h>

void lengths_add(struct lengths *l, int64_t length, double times)
{
    int64_t i = l->most > 0 ? (int64_t)((double)length / (double)(l->most + 1) * LENGTH_CLASSES) : 0;
    i = i < 0 ? 0 : i < LENGTH_CLASSES ? i : LENGTH_CLASSES - 1;
    l->n[i] += times;
    l->sum[i] += times * (double)length;
    l->rows += times;
    l->tokens += times * (double)length;
    l->longest = length > l->longest ? length : l->longest;
}

double lengths_widest(const struct lengths *l, int64_t B)
{
    double before = 0, seen = 0, widest = 0;
    for (int i = 0; i < LENGTH_CLASSES; i++) {
        if (!(l->n[i] > 0))
            continue;
        seen += l->n[i];
        double now = pow(fmin(seen / l->rows, 1), (double)B);
        widest += l->sum[i] / l->n[i] * (now - before);
        before = now;
    }
    return l->rows > 0 ? widest : NAN;
}

double lengths_mean(const struct lengths *l)
{
    return l->rows > 0 ? l->tokens / l->rows : NAN;
}
