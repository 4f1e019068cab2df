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

static double dot(const struct device *dev, const double *a, const double *b, int D)
{
    double sum = 0;
    for (int i = 0; i < D; i++)
        sum += operand(dev, a[i]) * operand(dev, b[i]);
    return sum;
}

// o = the mean of v rows first .. last, each Ckv apart, weighted by softmax(q.k / sqrt(D)). Returns the log of the denominator.
static double attend(const struct device *dev, double *o, const double *q, const double *k, const double *v, int64_t Ckv,
                     int64_t first, int64_t last, int D)
{
    double scale = 1 / sqrt(D), most = -INFINITY, sum = 0;
    for (int64_t u = first; u <= last; u++)
        most = fmax(most, dot(dev, q, k + u * Ckv, D) * scale);
    for (int64_t u = first; u <= last; u++)
        sum += exp(dot(dev, q, k + u * Ckv, D) * scale - most);
    double lse = most + log(sum);
    for (int i = 0; i < D; i++)
        o[i] = 0;
    for (int64_t u = first; u <= last; u++) {
        double p = operand(dev, exp(dot(dev, q, k + u * Ckv, D) * scale - most)) / sum;
        for (int i = 0; i < D; i++)
            o[i] += p * operand(dev, v[u * Ckv + i]);
    }
    return lse;
}

void ref_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                   struct attention a)
{
    int D = a.head_dim, group = a.n_head / a.n_kv_head;
    for (int64_t b = 0; b < a.B; b++)
        for (int h = 0; h < a.n_head; h++)
            for (int64_t t = 0; t < a.T; t++) {
                int64_t n = b * a.T + t, kv = h / group * D;
                row(lse, n)[h] = attend(dev, row(o, n) + h * D, row(q, n) + h * D, row(k, b * a.T) + kv, row(v, b * a.T) + kv,
                                        k.cols, first_key(t, a.window), t, D);
                for (int i = 0; i < D; i++)
                    row(o, n)[h * D + i] = operand(dev, row(o, n)[h * D + i]);
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
                double mean = 0;
                for (int i = 0; i < D; i++)
                    mean += row(dout, n)[at + i] * row(o, n)[at + i];
                for (int64_t u = b * a.T + first_key(t, a.window); u <= n; u++) {
                    double p = exp(dot(dev, row(q, n) + at, row(k, u) + kv, D) * scale - row(lse, n)[h]);
                    double ds = scale * p * (dot(dev, row(dout, n) + at, row(v, u) + kv, D) - mean);
                    p = operand(dev, p);
                    ds = operand(dev, ds);
                    for (int i = 0; i < D; i++) {
                        row(dv, u)[kv + i] += p * operand(dev, row(dout, n)[at + i]);
                        row(dq, n)[at + i] += ds * operand(dev, row(k, u)[kv + i]);
                        row(dk, u)[kv + i] += ds * operand(dev, row(q, n)[at + i]);
                    }
                }
            }
}

void ref_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                   int capacity)
{
    for (int64_t r = 0; r < x.rows; r++)
        for (int64_t c = 0; c < x.cols; c++)
            row(cache, id_at(slots, r) * capacity + id_at(positions, r))[c] = operand(dev, row(x, r)[c]);
}

void ref_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                          struct tensor slots, struct tensor positions, struct attention a)
{
    int D = a.head_dim, group = a.n_head / a.n_kv_head;
    for (int64_t r = 0; r < a.B; r++)
        for (int h = 0; h < a.n_head; h++) {
            int64_t t = id_at(positions, r), kv = h / group * D, first = id_at(slots, r) * a.T;
            attend(dev, row(o, r) + h * D, row(q, r) + h * D, row(k_cache, first) + kv, row(v_cache, first) + kv, k_cache.cols,
                   first_key(t, a.window), t, D);
        }
}
