// bf16.c - panels and tiles of bfloat16 operands.
//
// Without an instruction for it a rounded number stays a float32, and the tile is that of product.c. vdpbf16ps takes two k's a lane,
// and fuses them into the sum one after the other, the upper half first; so a pair has the earlier k in its upper half, and the sum
// is the same chain (bf16.h):
//
//     panel row j:   [ k = 2j | k = 2j + 1 ] of column 0, of column 1, ..      (upper half | lower half)
#include "kernels/bf16.h"

#include "kernels/cpu/cpu.h"

void cpu_round(float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(x + i, vec_bf16(load(x + i)));
    for (; i < n; i++)
        x[i] = bf16_round(x[i]);
}

void cpu_widen(float *to, const uint16_t *from, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(to + i, load_bf16(from + i));
    for (; i < n; i++)
        to[i] = bf16_value(from[i]);
}

void cpu_narrow(uint16_t *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store_bf16(to + i, load(from + i));
    for (; i < n; i++)
        to[i] = bf16_of(from[i]);
}

enum { CHUNK_K = 64 }; // of K: its float32 panel stays in the nearest cache

#if defined(CPU_AVX512BF16)

// Rows of `width` floats to half as many of pairs, K of them, an even number.
static inline __attribute__((always_inline)) void pair(float *to, const float *from, int64_t K, const int width)
{
    uint16_t order[32]; // where the halves of the pairs come from: rows of 16 side by side, or of 8 four at a time
    for (int i = 0; i < 16; i++) {
        int first = width == 8 ? i / 8 * 16 + i % 8 : i;
        order[2 * i] = (uint16_t)(first + (width == 8 ? 8 : 16));
        order[2 * i + 1] = (uint16_t)first;
    }
    const __m512i at = _mm512_loadu_si512(order);
    const int64_t next = width == 8 ? 16 : width; // from the first sixteen numbers to those that go with them
    int64_t step = width == 8 ? 32 : 2 * width;
    for (int64_t i = 0; i < K * width; i += step)
        for (int64_t j = 0; j < step / 2; j += 16) {
            const float *a = from + i + j;
            __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)load(a + next), (__m512)load(a));
            _mm512_storeu_si512(to + i / 2 + j, _mm512_permutexvar_epi16(at, both));
        }
}

static inline __attribute__((always_inline)) void pack(float *to, const float *from, int64_t i_stride, int64_t k_stride,
                                                       int64_t n, int64_t K, const int width)
{
    float chunk[CHUNK_K * TILE_COLS], last[CHUNK_K / 2 * TILE_COLS];
    for (int64_t k0 = 0; k0 < K; k0 += CHUNK_K) {
        int64_t k = min_i64(CHUNK_K, K - k0), whole = round_up(k, 4);
        (width == TILE_ROWS ? cpu_pack_rows : cpu_pack_cols)(chunk, from + k0 * k_stride, i_stride, k_stride, n, k);
        for (int64_t i = k * width; i < whole * width; i++)
            chunk[i] = width == TILE_ROWS ? -0.0f : 0; // -0 * 0 is what leaves every sum as it is, -0 too
        float *pairs = to + k0 / 2 * width;
        pair(whole == k ? pairs : last, chunk, whole, width);
        if (whole != k)
            memcpy(pairs, last, (size_t)((k + 1) / 2 * width) * sizeof *pairs);
    }
}

void cpu_pack_rows_bf16(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack(to, from, i_stride, k_stride, n, K, TILE_ROWS);
}

void cpu_pack_cols_bf16(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack(to, from, i_stride, k_stride, n, K, TILE_COLS);
}

static inline uint32_t pair_of(uint16_t first, uint16_t second)
{
    return (uint32_t)first << 16 | second;
}

// Two rows of eight numbers that lie side by side, an earlier k and the next, to eight pairs.
static inline void pair_rows(float *to, const uint16_t *first, const uint16_t *second)
{
    __m256i upper = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)first));
    __m256i lower = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)second));
    _mm256_storeu_si256((__m256i *)to, _mm256_or_si256(_mm256_slli_epi32(upper, 16), lower));
}

// last: what stands in for the k behind an odd number of them (see pack).
static inline __attribute__((always_inline)) void pack_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride,
                                                            int64_t n, int64_t K, const int width, uint16_t last)
{
    uint32_t *pairs = (uint32_t *)to;
    int64_t k = 0, even = K / 2 * 2;
    if (n < width)
        memset(to, 0, (size_t)((K + 1) / 2 * width) * sizeof *to);
    if (i_stride == 1 && n == width) {
        for (; k < even; k += 2)
            for (int i = 0; i < width; i += 8)
                pair_rows(to + k / 2 * width + i, from + k * k_stride + i, from + (k + 1) * k_stride + i);
    } else if (k_stride == 1 && i_stride % 2 == 0 && (uintptr_t)from % 4 == 0 && even) {
        // Two neighbours are a float to be moved; the earlier one is its lower half, and has to be the upper.
        (width == TILE_ROWS ? cpu_pack_rows : cpu_pack_cols)(to, (const float *)(const void *)from, i_stride / 2, 1, n, even / 2);
        for (int64_t i = 0; i < even / 2 * width; i += 8) {
            __m256i both = _mm256_loadu_si256((const __m256i *)(to + i));
            _mm256_storeu_si256((__m256i *)(to + i), _mm256_rol_epi32(both, 16));
        }
        k = even;
    }
    for (; k < K; k += 2)
        for (int64_t i = 0; i < n; i++) {
            const uint16_t *x = from + i * i_stride + k * k_stride;
            pairs[k / 2 * width + i] = pair_of(x[0], k + 1 < K ? x[k_stride] : last);
        }
}

void cpu_pack_rows_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack_kept(to, from, i_stride, k_stride, n, K, TILE_ROWS, 0x8000);
}

void cpu_pack_cols_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack_kept(to, from, i_stride, k_stride, n, K, TILE_COLS, 0);
}

static inline __m512bh pairs_at(const float *p)
{
    return (__m512bh)_mm512_loadu_ps(p);
}

static inline __attribute__((always_inline)) void tile_rows(int64_t K, const float *restrict a, const float *restrict b, float *c,
                                                            int64_t c_stride, int rows, int cols, bool add, const int R)
{
    UNROLL
    for (int i = 0; i < R; i++)
        UNROLL
    for (int j = 0; j < TILE_VECS; j++)
        __builtin_prefetch(c + (i < rows ? i : 0) * c_stride + j * LANES, 1);
    __m512 sum[TILE_ROWS][TILE_VECS];
    UNROLL
    for (int i = 0; i < R; i++)
        UNROLL
    for (int j = 0; j < TILE_VECS; j++)
        sum[i][j] = _mm512_setzero_ps();
    for (int64_t k = 0; k < K; k += 2) {
        __m512bh bk[TILE_VECS];
        UNROLL
        for (int j = 0; j < TILE_VECS; j++)
            bk[j] = pairs_at(b + j * LANES);
        UNROLL
        for (int i = 0; i < R; i++) {
            __m512bh ai = (__m512bh)_mm512_set1_ps(a[i]);
            UNROLL
            for (int j = 0; j < TILE_VECS; j++)
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], ai, bk[j]);
        }
        a += TILE_ROWS;
        b += TILE_COLS;
    }
    if (rows == R && cols == TILE_COLS) {
        UNROLL
        for (int i = 0; i < R; i++)
            UNROLL
        for (int j = 0; j < TILE_VECS; j++) {
            float *to = c + i * c_stride + j * LANES;
            store(to, add ? load(to) + (vec)sum[i][j] : (vec)sum[i][j]);
        }
        return;
    }
    float edge[TILE_ROWS][TILE_COLS];
    UNROLL
    for (int i = 0; i < R; i++)
        UNROLL
    for (int j = 0; j < TILE_VECS; j++)
        store(&edge[i][j * LANES], (vec)sum[i][j]);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            c[i * c_stride + j] = add ? c[i * c_stride + j] + edge[i][j] : edge[i][j];
}

// Not inlined: nothing of it may leave the place where its mode is set.
static __attribute__((noinline)) void tile(int64_t K, const float *a, const float *b, float *c, int64_t c_stride, int rows,
                                           int cols, bool add)
{
    if (rows == 1)
        tile_rows(K, a, b, c, c_stride, rows, cols, add, 1);
    else if (rows <= TILE_ROWS / 2)
        tile_rows(K, a, b, c, c_stride, rows, cols, add, TILE_ROWS / 2);
    else
        tile_rows(K, a, b, c, c_stride, rows, cols, add, TILE_ROWS);
}

#else

void cpu_pack_rows_bf16(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    cpu_pack_rows(to, from, i_stride, k_stride, n, K);
    cpu_round(to, K * TILE_ROWS);
}

void cpu_pack_cols_bf16(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    cpu_pack_cols(to, from, i_stride, k_stride, n, K);
    cpu_round(to, K * TILE_COLS);
}

// Widened a piece at a time, and packed from there.
static inline __attribute__((always_inline)) void pack_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride,
                                                            int64_t n, int64_t K, const int width)
{
    float chunk[CHUNK_K * TILE_COLS];
    for (int64_t k0 = 0; k0 < K; k0 += CHUNK_K) {
        int64_t k = min_i64(CHUNK_K, K - k0);
        bool along_i = i_stride == 1;
        if (along_i)
            for (int64_t j = 0; j < k; j++)
                cpu_widen(chunk + j * TILE_COLS, from + (k0 + j) * k_stride, n);
        else
            for (int64_t i = 0; i < n; i++)
                cpu_widen(chunk + i * CHUNK_K, from + i * i_stride + k0, k);
        (width == TILE_ROWS ? cpu_pack_rows : cpu_pack_cols)(to + k0 * width, chunk, along_i ? 1 : CHUNK_K,
                                                             along_i ? TILE_COLS : 1, n, k);
    }
}

void cpu_pack_rows_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack_kept(to, from, i_stride, k_stride, n, K, TILE_ROWS);
}

void cpu_pack_cols_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    pack_kept(to, from, i_stride, k_stride, n, K, TILE_COLS);
}

static void tile(int64_t K, const float *a, const float *b, float *c, int64_t c_stride, int rows, int cols, bool add)
{
    cpu_tile(K, a, b, c, c_stride, rows, cols, add);
}

#endif

// Subnormal numbers count as zeros while a tile runs, as they do for vdpbf16ps whatever the mode.
void cpu_tile_bf16(int64_t K, const float *a, const float *b, float *c, int64_t c_stride, int rows, int cols, bool add)
{
#if defined(__SSE2__)
    enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
#endif
    tile(K, a, b, c, c_stride, rows, cols, add);
#if defined(__SSE2__)
    __builtin_ia32_ldmxcsr(before);
#endif
}
