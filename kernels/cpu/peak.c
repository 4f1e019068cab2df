// peak.c - what the processor can do at the most: multiply-adds in registers, nothing loaded, nothing stored; of bfloat16 numbers where
// the table multiplies them.
//
// Enough sums stand side by side that none waits for itself, as many as a tile of a product has; they are looked at in the end, so
// that they cannot be left out.
#include "kernels/cpu/cpu.h"

#include <omp.h>

enum { SUMS = TILE_ROWS * TILE_VECS, ROUNDS = 1 << 14 };

// sum * a + b; of bfloat16 a * b is added to the sum, twice.
static inline vec next_sum(vec sum, vec a, vec b)
{
#if defined(CPU_AVX512BF16)
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    return sum * a + b;
#endif
}

static float multiply_add(float start)
{
    vec sum[SUMS], a = splat(start), b = splat(0.5f);
    UNROLL
    for (int i = 0; i < SUMS; i++)
        sum[i] = splat((float)i);
    for (int round = 0; round < ROUNDS; round++) {
        UNROLL
        for (int i = 0; i < SUMS; i++)
            sum[i] = next_sum(sum[i], a, b);
    }
    vec all = sum[0];
    for (int i = 1; i < SUMS; i++)
        all += sum[i];
    float lanes[LANES], total = 0;
    store(lanes, all);
    for (int i = 0; i < LANES; i++)
        total += lanes[i];
    return total;
}

double cpu_peak_flops(struct device *dev, double seconds)
{
    double begin = omp_get_wtime(), end = begin, rounds = 0, best = 0;
    volatile float kept = 0;
    while (end - begin < seconds) {
        float total = 0;
        double before = omp_get_wtime();
#pragma omp parallel num_threads(dev->n_threads) reduction(+ : total)
        for (int i = 0; i < 8; i++)
            total += multiply_add(0.25f + (float)i * 0x1p-10f);
        kept = total;
        end = omp_get_wtime();
        rounds = 8.0 * dev->n_threads * ROUNDS * SUMS * LANES * 2 * BF16_DEPTH;
        best = rounds / (end - before) > best ? rounds / (end - before) : best;
    }
    (void)kept;
    return best;
}
