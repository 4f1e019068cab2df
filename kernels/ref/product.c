// product.c - matrix products: a triple loop each.
#include "kernels/ref/ref.h"

void ref_weight_prepare(struct device *dev, struct weight *w)
{
    (void)dev;
    (void)w; // the master is used as it is
}

void ref_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add)
{
    for (int64_t n = 0; n < x.rows; n++)
        for (int64_t o = 0; o < y.cols; o++) {
            double sum = 0;
            for (int64_t i = 0; i < x.cols; i++)
                sum += operand(dev, row(x, n)[i]) * operand(dev, row(w->master, o)[i]);
            row(y, n)[o] = (add ? row(y, n)[o] : 0) + sum;
        }
}

void ref_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w)
{
    ref_matmul(dev, r, x, w, false);
    for (int64_t i = 0; i < r.rows * r.cols; i++) {
        if (row(r, 0)[i] < 0)
            row(r, 0)[i] = 0;
        row(r, 0)[i] = operand(dev, row(r, 0)[i]);
        row(a, 0)[i] = operand(dev, row(r, 0)[i] * row(r, 0)[i]);
    }
}

void ref_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r)
{
    (void)dev;
    for (int64_t i = 0; i < r.rows * r.cols; i++)
        row(dh, 0)[i] = 2 * row(r, 0)[i] * row(da, 0)[i];
}

void ref_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add)
{
    for (int64_t n = 0; n < dx.rows; n++)
        for (int64_t i = 0; i < dx.cols; i++) {
            double sum = 0;
            for (int64_t o = 0; o < dy.cols; o++)
                sum += operand(dev, row(dy, n)[o]) * operand(dev, row(w->master, o)[i]);
            row(dx, n)[i] = (add ? row(dx, n)[i] : 0) + sum;
        }
}

void ref_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T)
{
    for (int64_t b = 0; b < x.rows; b += T)
        for (int64_t o = 0; o < dw.rows; o++)
            for (int64_t i = 0; i < dw.cols; i++) {
                double sum = 0;
                for (int64_t n = b; n < b + T; n++)
                    sum += operand(dev, row(dy, n)[o]) * operand(dev, row(x, n)[i]);
                row(dw, o)[i] += sum;
            }
}
