// elementwise.c - rows of a table, sums and copies. Flat work is cut into blocks of FLAT_BLOCK elements, rows stay whole.
#include "kernels/cpu/cpu.h"

#include <omp.h>

static bool is_large(const struct device *dev, int64_t elements)
{
    return worth_threads(dev, elements * WORK_ELEMENT);
}

static int64_t elements(struct tensor t)
{
    return t.rows * t.cols;
}

static void copy_numbers(struct numbers to, struct numbers from, int64_t n)
{
    if (to.kept == from.kept)
        memcpy((void *)to.data, from.data, (size_t)n * (to.kept ? sizeof(uint16_t) : sizeof(float)));
    else if (to.kept)
        cpu_narrow((uint16_t *)to.data, from.data, n);
    else
        cpu_widen((float *)to.data, from.data, n);
}

// What products are going to multiply, or what has to be as if they did.
static void copy_row(const struct device *dev, struct numbers to, struct numbers from, int64_t n)
{
    copy_numbers(to, from, n);
    if (dev->precision == PRECISION_BF16 && !to.kept)
        cpu_round((float *)to.data, n);
}

void cpu_embed(struct device *dev, struct tensor x, const struct weight *table, struct tensor ids)
{
    const int32_t *id = ids.data;
    int64_t C = x.cols;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (is_large(dev, elements(x)))
    for (int64_t n = 0; n < x.rows; n++)
        copy_row(dev, from_number(numbers_of(x), n * C), from_number(numbers_of(table->master), id[n] * C), C);
}

// A row of the table belongs to one thread, which meets its ids in order of n.
void cpu_embed_back(struct device *dev, struct tensor dtable, struct tensor dx, struct tensor ids)
{
    const float *from = dx.data;
    const int32_t *id = ids.data;
    float *table = dtable.data;
    int64_t C = dx.cols, N = dx.rows;
#pragma omp parallel num_threads(dev->n_threads) if (is_large(dev, elements(dx)))
    {
        int mine = omp_get_thread_num(), n_threads = omp_get_num_threads();
        for (int64_t n = 0; n < N; n++) {
            if (id[n] % n_threads != mine)
                continue;
            float *to = table + id[n] * C;
            const float *d = from + n * C;
            for (int64_t c = 0; c < C; c++)
                to[c] += d[c];
        }
    }
}

void cpu_zero(struct device *dev, struct tensor y)
{
    float *to = y.data;
    int64_t N = elements(y);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (is_large(dev, N))
    for (int64_t i = 0; i < N; i += FLAT_BLOCK)
        memset(to + i, 0, (size_t)min_i64(FLAT_BLOCK, N - i) * sizeof *to);
}

void cpu_copy(struct device *dev, struct tensor y, struct tensor x)
{
    int64_t N = elements(y);
    if (y.data == x.data)
        return;
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (is_large(dev, N))
    for (int64_t i = 0; i < N; i += FLAT_BLOCK)
        copy_numbers(from_number(numbers_of(y), i), from_number(numbers_of(x), i), min_i64(FLAT_BLOCK, N - i));
}

void cpu_add(struct device *dev, struct tensor y, struct tensor x)
{
    float *to = y.data;
    const float *from = x.data;
    int64_t N = elements(y);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (is_large(dev, N))
    for (int64_t i = 0; i < N; i += FLAT_BLOCK) {
        int64_t end = min_i64(i + FLAT_BLOCK, N);
        for (int64_t j = i; j < end; j++)
            to[j] += from[j];
    }
}

void cpu_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r)
{
    float *to = dh.data;
    const float *da_ = da.data;
    int64_t N = elements(dh);
#pragma omp parallel for num_threads(dev->n_threads) schedule(static) if (is_large(dev, N))
    for (int64_t i = 0; i < N; i += FLAT_BLOCK) {
        int64_t n = min_i64(FLAT_BLOCK, N - i);
        float scratch[FLAT_BLOCK];
        const float *r_ = read_numbers(from_number(numbers_of(r), i), n, scratch);
        for (int64_t j = 0; j < n; j++)
            to[i + j] = 2.0f * r_[j] * da_[i + j];
    }
}

void cpu_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                   int capacity)
{
    const int32_t *slot = slots.data, *position = positions.data;
    for (int64_t r = 0; r < x.rows; r++) {
        int64_t at = (int64_t)slot[r] * capacity + position[r];
        copy_row(dev, from_number(numbers_of(cache), at * x.cols), from_number(numbers_of(x), r * x.cols), x.cols);
    }
}
