// mix.c - learned numbers on the residual stream, smear, value embeddings.
//
// Backwards each works in two passes. Rows by themselves, on threads: gradients of rows, and of each row the one number that it adds
// to a sum. Then the sums, a sequence after the other, inside one row after row, in double: an order that neither threads nor the
// cut of a batch change.
#include "kernels/cpu/cpu.h"

#include <omp.h>

static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + vec_exp(splat(-x))[0]);
}

static inline float number_of(struct tensor t)
{
    return t.rows ? *(const float *)t.data : 1;
}

void cpu_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign)
{
    float *to = y.data, wx = number_of(a), wz = sign * number_of(b);
    const float *x_ = x.data, *z_ = z.data;
    int64_t C = x.cols;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, x.rows * C * WORK_ELEMENT))
    for (int64_t n = 0; n < x.rows; n++)
        for (int64_t i = n * C; i < (n + 1) * C; i++)
            to[i] = wx * x_[i] + wz * z_[i];
}

// *sum += the numbers of each sequence
static void add_sequences(float *sum, const float *numbers, int64_t N, int T)
{
    for (int64_t b = 0; b < N; b += T) {
        double of_sequence = 0;
        for (int64_t n = b; n < b + T; n++)
            of_sequence += (double)numbers[n];
        *sum += (float)of_sequence;
    }
}

void cpu_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db, struct tensor dy,
                  struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T)
{
    int64_t N = dy.rows, C = dy.cols;
    bool has_a = da.rows > 0;
    float *along_x = device_workspace(dev, 2 * (size_t)N * sizeof(float), "mix_back"), *along_z = along_x + N;
    if (!along_x)
        return;
    float *dx_ = dx.data, *dz_ = dz.data, wx = number_of(a), wz = sign * number_of(b);
    const float *dy_ = dy.data, *x_ = x.data, *z_ = z.data;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * C * WORK_ELEMENT))
    for (int64_t n = 0; n < N; n++) {
        const float *d = dy_ + n * C;
        along_z[n] = sign * cpu_dot(d, z_ + n * C, C);
        if (has_a)
            along_x[n] = cpu_dot(d, x_ + n * C, C);
        for (int64_t c = 0; c < C; c++) {
            float dc = d[c];
            dz_[n * C + c] += wz * dc;
            dx_[n * C + c] = wx * dc;
        }
    }
    if (has_a)
        add_sequences(da.data, along_x, N, T);
    add_sequences(db.data, along_z, N, T);
}

void cpu_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
               struct tensor lambda, int T)
{
    const float *e_ = e.data, *g = gate->master.data;
    float *x_ = x.data, *kept = s.data, l = number_of(lambda);
    int64_t C = e.cols, K = gate->master.cols;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, e.rows * C * WORK_ELEMENT))
    for (int64_t n = 0; n < e.rows; n++) {
        const float *own = e_ + n * C, *before = own - C;
        float *to = x_ + n * C;
        kept[n] = 0;
        if (n % T == 0) {
            memcpy(to, own, (size_t)C * sizeof *to);
            continue;
        }
        kept[n] = sigmoid(cpu_dot(g, own, K));
        float share = l * kept[n];
        for (int64_t c = 0; c < C; c++)
            to[c] = own[c] + share * before[c];
    }
}

// sum[K] += numbers[n] * x[n,:K], the rows of each sequence first; doubles [K] of scratch
static void add_weighted_rows(float *sum, const float *numbers, int64_t stride, const float *x, int64_t C, int64_t K, int64_t N,
                              int T, double *scratch)
{
    for (int64_t b = 0; b < N; b += T) {
        for (int64_t k = 0; k < K; k++)
            scratch[k] = 0;
        for (int64_t n = b; n < b + T; n++)
            for (int64_t k = 0; k < K; k++)
                scratch[k] += (double)numbers[n * stride] * (double)x[n * C + k];
        for (int64_t k = 0; k < K; k++)
            sum[k] += (float)scratch[k];
    }
}

void cpu_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                    struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T)
{
    int64_t N = e.rows, C = e.cols, K = gate->master.cols;
    double *scratch = device_workspace(dev, (size_t)K * sizeof(double) + 2 * (size_t)N * sizeof(float), "smear_back");
    if (!scratch)
        return;
    float *to_lambda = (float *)(scratch + K), *to_gate = to_lambda + N;
    float *de_ = de.data, l = number_of(lambda);
    const float *dx_ = dx.data, *e_ = e.data, *kept = s.data, *g = gate->master.data;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * C * WORK_ELEMENT))
    for (int64_t n = 0; n < N; n++) {
        const float *d = dx_ + n * C;
        float *to = de_ + n * C;
        memcpy(to, d, (size_t)C * sizeof *to);
        to_lambda[n] = to_gate[n] = 0;
        if (n % T) {
            float along = cpu_dot(d, e_ + (n - 1) * C, C), share = kept[n];
            to_lambda[n] = share * along;
            to_gate[n] = l * share * (1 - share) * along;
            for (int64_t k = 0; k < K; k++)
                to[k] += to_gate[n] * g[k];
        }
        if ((n + 1) % T) {
            float share = l * kept[n + 1];
            for (int64_t c = 0; c < C; c++)
                to[c] += share * d[C + c];
        }
    }
    add_sequences(dlambda.data, to_lambda, N, T);
    add_weighted_rows(dgate.data, to_gate, 1, e_, C, K, N, T, scratch);
}

void cpu_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                     struct tensor ids, const struct weight *gate, float gain)
{
    int64_t H = s.cols, D = v.cols / H, K = gate->master.cols;
    const float *from = table->master.data, *g = gate->master.data;
    const int32_t *id = ids.data;
    float *v_ = v.data, *kept = s.data, *scratch;
    if (!rows_of_scratch(dev, x, K, &scratch, "value_embed"))
        return;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, x.rows * v.cols * WORK_ELEMENT))
    for (int64_t n = 0; n < x.rows; n++) {
        float *own_x = row_of_scratch(scratch, K, omp_get_thread_num());
        const float *first = read_numbers(from_number(numbers_of(x), n * x.cols), K, own_x);
        for (int64_t h = 0; h < H; h++) {
            const float *own = from + id[n] * v.cols + h * D;
            float *to = v_ + n * v.cols + h * D, open = sigmoid(cpu_dot(g + h * K, first, K)), share = gain * open;
            kept[n * H + h] = open;
            for (int64_t i = 0; i < D; i++)
                to[i] = share * own[i];
        }
    }
}

// A row of the table belongs to one thread, which meets its ids in order of n.
static void add_to_table(struct device *dev, float *table, struct tensor dv, struct tensor s, const int32_t *id, float gain)
{
    const float *dv_ = dv.data, *kept = s.data;
    int64_t N = dv.rows, H = s.cols, D = dv.cols / H;
#pragma omp parallel num_threads(dev->n_threads) if (worth_threads(dev, N * dv.cols * WORK_ELEMENT))
    {
        int mine = omp_get_thread_num(), n_threads = omp_get_num_threads();
        for (int64_t n = 0; n < N; n++) {
            if (id[n] % n_threads != mine)
                continue;
            for (int64_t h = 0; h < H; h++) {
                const float *d = dv_ + n * dv.cols + h * D;
                float *to = table + id[n] * dv.cols + h * D, share = gain * kept[n * H + h];
                for (int64_t i = 0; i < D; i++)
                    to[i] += share * d[i];
            }
        }
    }
}

void cpu_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate, struct tensor dv,
                          struct tensor s, struct tensor x, const struct weight *table, struct tensor ids,
                          const struct weight *gate, float gain, int T)
{
    int64_t N = x.rows, C = x.cols, H = s.cols, D = dv.cols / H, K = gate->master.cols;
    bool widens = x.dtype == DTYPE_BF16; // the channels that gates look at
    size_t scratch_bytes = (size_t)(H * K) * sizeof(double);
    double *scratch =
        device_workspace(dev, scratch_bytes + (size_t)(N * (H + (widens ? K : 0))) * sizeof(float), "value_embed_back");
    if (!scratch)
        return;
    float *to_gate = (float *)(scratch + H * K), *first = to_gate + N * H, *dx_ = dx.data, *dgate_ = dgate.data;
    const float *dv_ = dv.data, *kept = s.data, *from = table->master.data, *g = gate->master.data;
    const int32_t *id = ids.data;
    for (int64_t n = 0; n < N && widens; n++)
        cpu_widen(first + n * K, (const uint16_t *)x.data + n * C, K);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * dv.cols * WORK_ELEMENT))
    for (int64_t n = 0; n < N; n++)
        for (int64_t h = 0; h < H; h++) {
            float along = cpu_dot(dv_ + n * dv.cols + h * D, from + id[n] * dv.cols + h * D, D), open = kept[n * H + h];
            float slope = gain * open * (1 - open) * along;
            to_gate[n * H + h] = slope;
            for (int64_t k = 0; k < K; k++)
                dx_[n * C + k] += slope * g[h * K + k];
        }
    add_to_table(dev, dtable.data, dv, s, id, gain);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (worth_threads(dev, N * H * K * WORK_ELEMENT))
    for (int64_t h = 0; h < H; h++)
        add_weighted_rows(dgate_ + h * K, to_gate + h, H, widens ? first : x.data, widens ? K : C, K, N, T, scratch + h * K);
}
