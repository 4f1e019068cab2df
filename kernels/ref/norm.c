// norm.c - the norm, alone and behind the rotation.
//
// With z = x * r, r = (mean(x^2) + eps)^(-1/2) the gradient is dx = r * (dz - z * mean(dz * z)); z is at hand as the saved
// output, so x is not needed. Behind a rotation y = s * z: then z = y / s, dz = s * dy, and the gradient is turned back by
// the angle.
#include "kernels/ref/ref.h"

#include <math.h>

// What bf16 rounds where it is written.
static void round_row(const struct device *dev, double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = operand(dev, y[i]);
}

static double norm_row(double *y, const double *x, int64_t C, double eps)
{
    double sum = 0;
    for (int64_t c = 0; c < C; c++)
        sum += x[c] * x[c];
    double rstd = 1 / sqrt(sum / (double)C + eps);
    for (int64_t c = 0; c < C; c++)
        y[c] = x[c] * rstd;
    return rstd;
}

void ref_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps)
{
    for (int64_t n = 0; n < x.rows; n++) {
        *row(rstd, n) = norm_row(row(y, n), row(x, n), x.cols, eps);
        round_row(dev, row(y, n), x.cols);
    }
}

void ref_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd)
{
    (void)dev;
    for (int64_t n = 0; n < dy.rows; n++) {
        double mean = 0;
        for (int64_t c = 0; c < dy.cols; c++)
            mean += row(dy, n)[c] * row(y, n)[c] / (double)dy.cols;
        for (int64_t c = 0; c < dy.cols; c++)
            row(dx, n)[c] += *row(rstd, n) * (row(dy, n)[c] - row(y, n)[c] * mean);
    }
}

void ref_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                     struct tensor sine, struct tensor positions, int n_head, float eps, float scale)
{
    int64_t D = x.cols / n_head, half = D / 2;
    for (int64_t n = 0; n < x.rows; n++)
        for (int h = 0; h < n_head; h++) {
            const double *in = row(x, n) + h * D;
            double *out = row(y, n) + h * D;
            for (int64_t i = 0; i < half; i++) {
                double cs = row(cosine, id_at(positions, n))[i], sn = row(sine, id_at(positions, n))[i];
                double a = in[i], b = in[half + i];
                out[i] = a * cs + b * sn;
                out[half + i] = -a * sn + b * cs;
            }
            row(rstd, n)[h] = norm_row(out, out, D, eps);
            for (int64_t i = 0; i < D; i++)
                out[i] = operand(dev, scale * out[i]);
        }
}

void ref_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                          struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale)
{
    (void)dev;
    int64_t D = y.cols / n_head, half = D / 2;
    for (int64_t n = 0; n < y.rows; n++)
        for (int h = 0; h < n_head; h++) {
            const double *out = row(y, n) + h * D, *dout = row(dy, n) + h * D;
            double *din = row(dx, n) + h * D, r = row(rstd, n)[h], mean = 0;
            for (int64_t i = 0; i < D; i++)
                mean += scale * dout[i] * (out[i] / scale) / (double)D;
            for (int64_t i = 0; i < half; i++) {
                double cs = row(cosine, id_at(positions, n))[i], sn = row(sine, id_at(positions, n))[i];
                double da = r * (scale * dout[i] - out[i] / scale * mean);
                double db = r * (scale * dout[half + i] - out[half + i] / scale * mean);
                din[i] = da * cs - db * sn;
                din[half + i] = da * sn + db * cs;
            }
        }
}
