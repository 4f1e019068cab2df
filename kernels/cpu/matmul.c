// matmul.c - the products of kernels.h, as strides of the one product. Masters are used as they lie: nothing is prepared.
#include "kernels/cpu/cpu.h"

static void run(struct device *dev, struct product p, const char *op)
{
    void *workspace = device_workspace(dev, cpu_product_bytes(dev, &p), op);
    if (workspace)
        cpu_product(dev, &p, workspace);
}

void cpu_weight_prepare(struct device *dev, struct weight *w)
{
    (void)dev;
    (void)w;
}

// y [N,O] = x [N,I] * w[O,I]^T
static struct product forward(struct tensor y, struct tensor x, const struct weight *w)
{
    return (struct product){
        .M = y.rows,
        .N = y.cols,
        .K = x.cols,
        .a = x.data,
        .a_m = x.cols,
        .a_k = 1,
        .b = w->master.data,
        .b_k = 1,
        .b_n = x.cols,
        .c = y.data,
        .c_m = y.cols,
    };
}

void cpu_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add)
{
    struct product p = forward(y, x, w);
    p.add = add;
    run(dev, p, "matmul");
}

void cpu_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w)
{
    struct product p = forward(r, x, w);
    p.squares = a.data;
    run(dev, p, "matmul_relu2");
}

void cpu_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add)
{
    run(dev,
        (struct product){
            .M = dx.rows,
            .N = dx.cols,
            .K = dy.cols,
            .a = dy.data,
            .a_m = dy.cols,
            .a_k = 1,
            .b = w->master.data,
            .b_k = dx.cols,
            .b_n = 1,
            .c = dx.data,
            .c_m = dx.cols,
            .add = add,
        },
        "matmul_dx");
}

void cpu_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T)
{
    run(dev,
        (struct product){
            .M = dw.rows,
            .N = dw.cols,
            .K = x.rows,
            .segment = T,
            .a = dy.data,
            .a_m = 1,
            .a_k = dy.cols,
            .b = x.data,
            .b_k = x.cols,
            .b_n = 1,
            .c = dw.data,
            .c_m = dw.cols,
            .add = true,
        },
        "matmul_dw");
}
