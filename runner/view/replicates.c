// replicates.c - groups by what was asked, then sums.
#include "runner/view/replicates.h"

#include <math.h>
#include <string.h>

enum { TERMS_MOST = 500 };

static bool is_seed(const char *field)
{
    size_t n = strlen(field);
    return !strcmp(field, "seed") || (n > 5 && !strcmp(field + n - 5, ".seed"));
}

// Whether two runs were asked the same but for seeds; *same: seeds, too.
static struct error *compare(const struct run *a, const struct run *b, bool *alike, bool *same, struct arena *arena)
{
    const struct run pair[2] = {*a, *b};
    struct differences d;
    *alike = !a->source && !b->source;
    *same = *alike;
    if (!*alike)
        return NULL;
    struct error *e = differences_collect(&d, pair, 2, arena);
    for (int i = 0; i < d.n_rows && !e; i++) {
        *same = false;
        *alike = *alike && is_seed(d.rows[i].field);
    }
    *alike = *alike && !e && !d.n_left_out;
    return e;
}

struct error *replicates_find(struct replicates *r, const struct run *runs, int n_runs, struct arena *arena)
{
    *r = (struct replicates){.n_runs = n_runs};
    for (int i = 0; i < n_runs; i++) {
        r->group[i] = -1;
        for (int k = 0; k < i && !r->again[i]; k++) {
            bool alike, same;
            struct error *e = compare(&runs[k], &runs[i], &alike, &same, arena);
            if (e)
                return e;
            if (alike && r->group[i] < 0)
                r->group[i] = r->group[k];
            r->again[i] = same && r->group[k] == r->group[i];
        }
        if (r->group[i] < 0)
            r->group[i] = r->n_groups++;
    }
    return NULL;
}

// The incomplete beta function I_x(a, b), by Lentz's way through the continued fraction.
static double incomplete_beta(double x, double a, double b)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    if (x > (a + 1) / (a + b + 2)) // where it converges fast
        return 1 - incomplete_beta(1 - x, b, a);
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a;
    double c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), value = d;
    for (int m = 1; m < TERMS_MOST; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / (1 + even * d);
        c = 1 + even / c;
        value *= c * d;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / (1 + odd * d);
        c = 1 + odd / c;
        value *= c * d;
        if (fabs(c * d - 1) < 1e-15)
            break;
    }
    return front * value;
}

double replicates_t(double t, double degrees)
{
    if (isnan(t) || !(degrees > 0))
        return NAN;
    return isinf(t) ? 0 : incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

// Of two groups.
static double welch(const struct replicates_row *row)
{
    double difference = row->mean[1] - row->mean[0];
    int several = row->n[0] > 1 ? 0 : 1, other = 1 - several;
    if (row->n[several] < 2 || row->n[other] < 1)
        return NAN;
    double va = row->deviation[several] * row->deviation[several], na = row->n[several], nb = row->n[other];
    double vb = nb > 1 ? row->deviation[other] * row->deviation[other] : va;
    double error = va / na + vb / nb, degrees = na - 1;
    if (nb > 1)
        degrees = error * error / (va * va / (na * na * (na - 1)) + vb * vb / (nb * nb * (nb - 1)));
    double whole = fmax(fabs(row->mean[0]), fabs(row->mean[1]));
    if (!(error > 1e-24 * whole * whole)) // seeds that change nothing but the last bit of a mean
        return difference == 0 ? 1 : NAN;
    return replicates_t(difference / sqrt(error), degrees);
}

void replicates_test(const struct replicates *r, const double *values, struct replicates_row *row)
{
    *row = (struct replicates_row){.difference = NAN, .p = NAN};
    for (int g = 0; g < r->n_groups; g++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < r->n_runs; i++)
            if (r->group[i] == g && !r->again[i] && !isnan(values[i]))
                sum += values[i], row->n[g]++;
        row->mean[g] = row->n[g] ? sum / row->n[g] : NAN;
        for (int i = 0; i < r->n_runs; i++)
            if (r->group[i] == g && !r->again[i] && !isnan(values[i]))
                squares += (values[i] - row->mean[g]) * (values[i] - row->mean[g]);
        row->deviation[g] = row->n[g] > 1 ? sqrt(squares / (row->n[g] - 1)) : NAN;
    }
    if (r->n_groups != 2)
        return;
    row->difference = row->mean[1] - row->mean[0];
    row->p = welch(row);
}
