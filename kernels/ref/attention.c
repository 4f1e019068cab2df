// attention.c - softmax attention, one query at a time.
//
// Query t of a sequence sees keys first(t) .. t. With s = q.k / sqrt(D), p = exp(s - lse) and dp = do.v the gradient of a score
// is ds = p * (dp - sum_u p dp), and that sum is do.o: it is the same for all keys of a query.
#include "kernels/ref/ref.h"

#include <math.h>

static int64_t first_key(int64_t t, int window)
{
    return window && t > window ? t - window : 0;
}

static double dot(const double *a, const double *b, int D)
{
    double sum = 0;
    for (int i = 0; i < D; i++)
        sum += a[i] * b[i];
    return sum;
}

// o = the mean of v rows first .. last, each Ckv apart, weighted by softmax(q.k / sqrt(D)). Returns the log of the denominator.
static double attend(double *o, const double *q, const double *k, const double *v, int64_t Ckv, int64_t first, int64_t last,
                     int D)
{
    double scale = 1 / sqrt(D), most = -INFINITY, sum = 0;
    for (int64_t u = first; u <= last; u++)
        most = fmax(most, dot(q, k + u * Ckv, D) * scale);
    for (int64_t u = first; u <= last; u++)
        sum += exp(dot(q, k + u * Ckv, D) * scale - most);
    double lse = most + log(sum);
    for (int i = 0; i < D; i++)
        o[i] = 0;
    for (int64_t u = first; u <= last; u++) {
        double p = exp(dot(q, k + u * Ckv, D) * scale - lse);
        for (int i = 0; i < D; i++)
            o[i] += p * v[u * Ckv + i];
    }
    return lse;
}

void ref_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                   struct attention a)
{
    (void)dev;
    int D = a.head_dim, group = a.n_head / a.n_kv_head;
    for (int64_t b = 0; b < a.B; b++)
        for (int h = 0; h < a.n_head; h++)
            for (int64_t t = 0; t < a.T; t++) {
                int64_t n = b * a.T + t, kv = h / group * D;
                row(lse, n)[h] = attend(row(o, n) + h * D, row(q, n) + h * D, row(k, b * a.T) + kv, row(v, b * a.T) + kv, k.cols,
                                        first_key(t, a.window), t, D);
            }
}

void ref_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                        struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse, struct attention a)
{
    int D = a.head_dim, group = a.n_head / a.n_kv_head;
    double scale = 1 / sqrt(D);
    ref_zero(dev, dq);
    ref_zero(dev, dk);
    ref_zero(dev, dv);
    for (int64_t b = 0; b < a.B; b++)
        for (int h = 0; h < a.n_head; h++)
            for (int64_t t = 0; t < a.T; t++) {
                int64_t n = b * a.T + t, at = h * D, kv = h / group * D;
                double mean = dot(row(dout, n) + at, row(o, n) + at, D);
                for (int64_t u = b * a.T + first_key(t, a.window); u <= n; u++) {
                    double p = exp(dot(row(q, n) + at, row(k, u) + kv, D) * scale - row(lse, n)[h]);
                    double ds = p * (dot(row(dout, n) + at, row(v, u) + kv, D) - mean);
                    for (int i = 0; i < D; i++) {
                        row(dv, u)[kv + i] += p * row(dout, n)[at + i];
                        row(dq, n)[at + i] += ds * row(k, u)[kv + i] * scale;
                        row(dk, u)[kv + i] += ds * row(q, n)[at + i] * scale;
                    }
                }
            }
}

void ref_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                   int capacity)
{
    (void)dev;
    for (int64_t r = 0; r < x.rows; r++)
        for (int64_t c = 0; c < x.cols; c++)
            row(cache, id_at(slots, r) * capacity + id_at(positions, r))[c] = row(x, r)[c];
}

void ref_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                          struct tensor slots, struct tensor positions, struct attention a)
{
    (void)dev;
    int D = a.head_dim, group = a.n_head / a.n_kv_head;
    for (int64_t r = 0; r < a.B; r++)
        for (int h = 0; h < a.n_head; h++) {
            int64_t t = id_at(positions, r), kv = h / group * D, first = id_at(slots, r) * a.T;
            attend(row(o, r) + h * D, row(q, r) + h * D, row(k_cache, first) + kv, row(v_cache, first) + kv, k_cache.cols,
                   first_key(t, a.window), t, D);
        }
}
