// mix.c - learned numbers on the residual stream, smear, value embeddings.
//
// Of a gate s = sigmoid(a) the derivative is s (1 - s).
#include "kernels/ref/ref.h"

#include <math.h>

static double sigmoid_of(const double *gate, const double *x, int64_t K)
{
    double sum = 0;
    for (int64_t k = 0; k < K; k++)
        sum += gate[k] * x[k];
    return 1 / (1 + exp(-sum));
}

static double number_of(struct tensor t)
{
    return t.rows ? *row(t, 0) : 1;
}

void ref_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign)
{
    (void)dev;
    for (int64_t i = 0; i < x.rows * x.cols; i++)
        row(y, 0)[i] = number_of(a) * row(x, 0)[i] + sign * *row(b, 0) * row(z, 0)[i];
}

void ref_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db, struct tensor dy,
                  struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T)
{
    (void)dev;
    (void)T; // the order of the sum over rows is of no consequence here
    for (int64_t i = 0; i < dy.rows * dy.cols; i++) {
        double d = row(dy, 0)[i];
        if (da.rows)
            *row(da, 0) += d * row(x, 0)[i];
        *row(db, 0) += sign * d * row(z, 0)[i];
        row(dz, 0)[i] += sign * *row(b, 0) * d;
        row(dx, 0)[i] = number_of(a) * d;
    }
}

void ref_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
               struct tensor lambda, int T)
{
    (void)dev;
    for (int64_t n = 0; n < e.rows; n++) {
        *row(s, n) = n % T ? sigmoid_of(row(gate->master, 0), row(e, n), gate->master.cols) : 0;
        for (int64_t c = 0; c < e.cols; c++)
            row(x, n)[c] = row(e, n)[c] + (n % T ? *row(lambda, 0) * *row(s, n) * row(e, n - 1)[c] : 0);
    }
}

void ref_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                    struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T)
{
    double l = *row(lambda, 0);
    ref_copy(dev, de, dx);
    for (int64_t n = 0; n < e.rows; n++) {
        double g = *row(s, n), along = 0;
        if (n % T == 0)
            continue;
        for (int64_t c = 0; c < e.cols; c++) {
            along += row(dx, n)[c] * row(e, n - 1)[c];
            row(de, n - 1)[c] += l * g * row(dx, n)[c];
        }
        *row(dlambda, 0) += g * along;
        for (int64_t k = 0; k < dgate.cols; k++) {
            row(dgate, 0)[k] += l * g * (1 - g) * along * row(e, n)[k];
            row(de, n)[k] += l * g * (1 - g) * along * row(gate->master, 0)[k];
        }
    }
}

void ref_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                     struct tensor ids, const struct weight *gate, float gain)
{
    (void)dev;
    int64_t H = s.cols, D = v.cols / H;
    for (int64_t n = 0; n < x.rows; n++)
        for (int64_t h = 0; h < H; h++) {
            double g = row(s, n)[h] = sigmoid_of(row(gate->master, h), row(x, n), gate->master.cols);
            for (int64_t i = h * D; i < (h + 1) * D; i++)
                row(v, n)[i] = gain * g * row(table->master, id_at(ids, n))[i];
        }
}

void ref_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate, struct tensor dv,
                          struct tensor s, struct tensor x, const struct weight *table, struct tensor ids,
                          const struct weight *gate, float gain, int T)
{
    (void)dev;
    (void)T;
    int64_t H = s.cols, D = dv.cols / H;
    for (int64_t n = 0; n < x.rows; n++)
        for (int64_t h = 0; h < H; h++) {
            double g = row(s, n)[h], along = 0;
            for (int64_t i = h * D; i < (h + 1) * D; i++) {
                along += row(dv, n)[i] * row(table->master, id_at(ids, n))[i];
                row(dtable, id_at(ids, n))[i] += gain * g * row(dv, n)[i];
            }
            for (int64_t k = 0; k < dgate.cols; k++) {
                row(dgate, h)[k] += gain * g * (1 - g) * along * row(x, n)[k];
                row(dx, n)[k] += gain * g * (1 - g) * along * row(gate->master, h)[k];
            }
        }
}
