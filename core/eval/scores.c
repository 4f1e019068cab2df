// scores.c - formulas only.
#include "core/eval/scores.h"

#include <math.h>
#include <string.h>

static const double Z = 1.959963984540054; // of the normal distribution 95 % lies within so many deviations

void score_interval(int64_t right, int64_t n, double *low, double *high)
{
    *low = 0;
    *high = 1;
    if (n <= 0)
        return;
    double N = (double)n, p = (double)right / N, z2 = Z * Z;
    double middle = (p + z2 / (2 * N)) / (1 + z2 / N), half = Z / (1 + z2 / N) * sqrt(p * (1 - p) / N + z2 / (4 * N * N));
    *low = right > 0 ? middle - half : 0; // exact at both ends, but for rounding
    *high = right < n ? middle + half : 1;
}

void score_finish(struct task_score *s)
{
    double n = (double)s->n;
    s->accuracy = (double)s->right / n;
    s->centered = (s->accuracy - s->baseline) / (1 - s->baseline);
    s->deviation = sqrt(s->accuracy * (1 - s->accuracy) / n);
    score_interval(s->right, s->n, &s->low, &s->high);
}

void score_of_suite(struct suite_score *suite, const struct task_score *rows, int64_t n_rows)
{
    double sum = 0, variance = 0;
    suite->n = suite->capped = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        if (strcmp(rows[i].suite, suite->suite))
            continue;
        double deviation = rows[i].deviation / (1 - rows[i].baseline);
        sum += rows[i].centered;
        variance += deviation * deviation;
        suite->n++;
        suite->capped += rows[i].n < rows[i].n_all;
    }
    double n = (double)suite->n;
    suite->value = sum / n;
    suite->deviation = sqrt(variance) / n;
    suite->low = suite->value - Z * suite->deviation;
    suite->high = suite->value + Z * suite->deviation;
}
