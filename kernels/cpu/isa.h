// isa.h - what one instruction set looks like to the cpu table's sources, which are compiled once for each.
//
// CPU_ISA (portable, avx2, avx512, avx512bf16) comes from the build and ends every symbol's name; the vector length follows from the
// compiler's own macros. Arithmetic is written with vector extensions, a*b + c is fused where the processor can, and no libm is
// called.
//
// Errors, measured on every seventh float of either sign: vec_exp 1.1 ulp, vec_tanh 2.7 ulp.
#ifndef KERNELS_CPU_ISA_H
#define KERNELS_CPU_ISA_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// CPU_AVX512_IN_C, CPU_BF16_IN_C: of tests, whose build includes functions that stand for what the processor lacks.
#if defined(__AVX512F__) || defined(CPU_AVX512_IN_C)
#define CPU_AVX512
#endif
#if defined(__AVX512BF16__) || defined(CPU_BF16_IN_C)
#define CPU_AVX512BF16
#endif

#define CPU_JOIN2(a, b) a##_##b
#define CPU_JOIN(a, b) CPU_JOIN2(a, b)
#define CPU_NAME(name) CPU_JOIN(name, CPU_ISA)
#define CPU_TEXT2(a) #a
#define CPU_TEXT(a) CPU_TEXT2(a)

// LANES floats in a vector; a tile of a product is TILE_ROWS x TILE_COLS, all of it in registers.
#if defined(CPU_AVX512)
enum { LANES = 16, TILE_ROWS = 8, TILE_VECS = 2 };
#elif defined(__AVX2__)
enum { LANES = 8, TILE_ROWS = 6, TILE_VECS = 2 };
#else
enum { LANES = 4, TILE_ROWS = 6, TILE_VECS = 2 };
#endif
enum { TILE_COLS = LANES * TILE_VECS };

// How many bfloat16 numbers a lane multiplies at once; 1: none, they are float32 numbers.
#if defined(CPU_AVX512BF16)
enum { BF16_DEPTH = 2 };
#else
enum { BF16_DEPTH = 1 };
#endif

// Before a loop of constant length over an array of vectors, which must be unrolled whole for the array to live in registers.
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
typedef uint32_t uvec __attribute__((vector_size(LANES * 4)));
typedef float vec_unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t halves __attribute__((vector_size(LANES * 2)));
typedef uint16_t halves_unaligned __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

static inline vec load(const float *p)
{
    return *(const vec_unaligned *)p;
}

static inline void store(float *p, vec v)
{
    *(vec_unaligned *)p = v;
}

// n < LANES elements, the others `fill`.
static inline vec load_part(const float *p, int64_t n, float fill)
{
    float t[LANES];
    for (int i = 0; i < LANES; i++)
        t[i] = i < n ? p[i] : fill;
    return load(t);
}

static inline void store_part(float *p, vec v, int64_t n)
{
    float t[LANES];
    store(t, v);
    memcpy(p, t, (size_t)n * sizeof *t);
}

static inline vec splat(float x)
{
    return x - (vec){0};
}

// Where an argument is NaN both give the second, so that vec_max(limit, x) lets a NaN in x through.
static inline vec vec_max(vec a, vec b)
{
#if defined(CPU_AVX512)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    ivec m = a > b;
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
#endif
}

static inline vec vec_min(vec a, vec b)
{
#if defined(CPU_AVX512)
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    ivec m = a < b;
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
#endif
}

// The nearest bfloat16 numbers, as bf16_round has them.
static inline vec vec_bf16(vec x)
{
#if defined(CPU_AVX512BF16)
    return (vec)_mm512_cvtpbh_ps(_mm512_cvtneps_pbh((__m512)x));
#else
    uvec u = (uvec)x, rounded = u + 0x7fff + ((u >> 16) & 1);
    uvec small = (uvec)((u & 0x7f800000) == 0), nan = (uvec)((u & 0x7fffffff) > 0x7f800000);
    rounded = (rounded & ~nan) | ((u | 0x00400000) & nan);
    rounded = (rounded & ~small) | (u & 0x80000000 & small);
    return (vec)(rounded & 0xffff0000);
#endif
}

// LANES stored bfloat16 numbers (bf16.h), and back.
static inline vec load_bf16(const uint16_t *p)
{
    halves stored = *(const halves_unaligned *)p;
    return (vec)(__builtin_convertvector(stored, uvec) << 16);
}

static inline void store_bf16(uint16_t *p, vec x)
{
    *(halves_unaligned *)p = __builtin_convertvector((uvec)vec_bf16(x) >> 16, halves);
}

static inline float vec_sum(vec v)
{
    float t[LANES];
    store(t, v);
    for (int w = LANES / 2; w; w /= 2)
        for (int i = 0; i < w; i++)
            t[i] += t[i + w];
    return t[0];
}

static inline float vec_largest(vec v)
{
    float t[LANES], most;
    store(t, v);
    most = t[0];
    for (int i = 1; i < LANES; i++)
        most = t[i] > most ? t[i] : most;
    return most;
}

// x = n ln2 + r, |r| <= ln2 / 2; *p = e^r - 1 by a minimax polynomial (3e-9), *scale = 2^n. |x| <= 87.
static inline void vec_exp_parts(vec x, vec *p, vec *scale)
{
    const vec magic = splat(0x1.8p23f); // adding it leaves n, rounded, in the low bits
    vec shifted = x * splat(0x1.715476p0f) + magic;
    vec n = shifted - magic;
    vec r = x - n * splat(0x1.62e4p-1f);
    r = r - n * splat(0x1.7f7d1cp-20f);
    vec q = splat(0x1.6a23d6p-10f);
    q = q * r + splat(0x1.123a2p-7f);
    q = q * r + splat(0x1.5558f2p-5f);
    q = q * r + splat(0x1.555492p-3f);
    q = q * r + splat(0x1.fffffcp-2f);
    *p = r + r * r * q;
    *scale = (vec)(((ivec)shifted << 23) + 0x3f800000);
}

// e^x; 0 below -87, where float leaves its normal range; x above 88 counts as 88.
static inline vec vec_exp(vec x)
{
    const vec lowest = splat(-87.0f);
    vec p, scale, in = vec_min(splat(88.0f), vec_max(lowest, x));
    vec_exp_parts(in, &p, &scale);
    vec y = p * scale + scale;
    return (vec)((ivec)y & ~(ivec)(x < lowest));
}

// tanh x = (e^2x - 1) / (e^2x - 1 + 2), the difference formed without cancellation.
static inline vec vec_tanh(vec x)
{
    vec p, scale, in = vec_min(splat(40.0f), vec_max(splat(-40.0f), x + x));
    vec_exp_parts(in, &p, &scale);
    vec e = p * scale + (scale - 1.0f);
    return e / (e + 2.0f);
}

#endif
