// pack.c - operands in the order in which tiles read them.
//
// A tile wants, for each k, TILE_ROWS (or TILE_COLS) neighbours side by side. Where k runs fastest in memory that is a
// transposition, done in 8 x 8 blocks; where it does not, it is a copy.
#include "kernels/cpu/cpu.h"

typedef float vec8 __attribute__((vector_size(32)));
typedef float vec8_unaligned __attribute__((vector_size(32), aligned(4), may_alias));

// Columns 0..7 of n rows, n a constant <= 8, to 8 rows of n.
static inline __attribute__((always_inline)) void transpose_8(float *to, int64_t to_stride, const float *from,
                                                              int64_t from_stride, const int n)
{
    vec8 r[8], t[8], u[8];
    for (int i = 0; i < 8; i++)
        if (i < n)
            r[i] = *(const vec8_unaligned *)(from + i * from_stride);
        else
            r[i] = (vec8){0};
    for (int i = 0; i < 8; i += 2) {
        t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        u[i] = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        u[i + 1] = __builtin_shufflevector(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        u[i + 2] = __builtin_shufflevector(t[i + 1], t[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        u[i + 3] = __builtin_shufflevector(t[i + 1], t[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = __builtin_shufflevector(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        t[i + 4] = __builtin_shufflevector(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    for (int i = 0; i < 8; i++)
        memcpy(to + i * to_stride, &t[i], (size_t)n * sizeof *to);
}

// rows a constant <= 8
static inline __attribute__((always_inline)) void transpose_strip(float *to, int64_t to_stride, const float *from,
                                                                  int64_t from_stride, const int rows, int64_t cols)
{
    int64_t c = 0;
    for (; c + 8 <= cols; c += 8)
        transpose_8(to + c * to_stride, to_stride, from + c, from_stride, rows);
    for (; c < cols; c++)
        for (int r = 0; r < rows; r++)
            to[c * to_stride + r] = from[r * from_stride + c];
}

static void transpose_short(float *to, int64_t to_stride, const float *from, int64_t from_stride, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            to[c * to_stride + r] = from[r * from_stride + c];
}

// width: the panel's, a constant
static inline __attribute__((always_inline)) void pack(float *to, const float *from, int64_t i_stride, int64_t k_stride,
                                                       int64_t n, int64_t K, const int width)
{
    if (n < width)
        memset(to, 0, (size_t)(K * width) * sizeof *to);
    if (i_stride == 1 && n == width) {
        for (int64_t k = 0; k < K; k++)
            memcpy(to + k * width, from + k * k_stride, (size_t)width * sizeof *to);
    } else if (i_stride == 1) {
        for (int64_t k = 0; k < K; k++)
            memcpy(to + k * width, from + k * k_stride, (size_t)n * sizeof *to);
    } else if (n == width) {
        int i = 0;
        for (; i + 8 <= width; i += 8)
            transpose_strip(to + i, width, from + i * i_stride, i_stride, 8, K);
        if (width % 8)
            transpose_strip(to + i, width, from + i * i_stride, i_stride, width % 8, K);
    } else {
        cpu_transpose(to, width, from, i_stride, n, K);
    }
}

void cpu_transpose(float *to, int64_t to_stride, const float *from, int64_t from_stride, int64_t rows, int64_t cols)
{
    int64_t r = 0;
    for (; r + 8 <= rows; r += 8)
        transpose_strip(to + r, to_stride, from + r * from_stride, from_stride, 8, cols);
    transpose_short(to + r, to_stride, from + r * from_stride, from_stride, rows - r, cols);
}

void cpu_pack_rows(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack(to, from, i_stride, k_stride, n, K, TILE_ROWS);
}

void cpu_pack_cols(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack(to, from, i_stride, k_stride, n, K, TILE_COLS);
}
