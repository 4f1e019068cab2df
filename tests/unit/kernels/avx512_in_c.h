// avx512_in_c.h - what the cpu table uses of AVX-512 and AVX-512 BF16, written in C, for processors that have neither: the logic of those
// paths is tested everywhere. Compiled with -DCPU_AVX512_IN_C for AVX2, where a vector of 512 bits is two of 256.
//
// vdpbf16ps as measured (kernels/bf16.h): two fused multiply-adds, the upper halves first; subnormal numbers are left to the mode that
// cpu_tile_bf16 sets. A product of two bfloat16 numbers is exact, so that fusing does not show.
#ifndef TESTS_KERNELS_AVX512_IN_C_H
#define TESTS_KERNELS_AVX512_IN_C_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/bf16.h"

typedef float in_c_floats __attribute__((vector_size(64)));
typedef int32_t in_c_ints __attribute__((vector_size(64)));
typedef uint32_t in_c_bits __attribute__((vector_size(64)));
typedef uint16_t in_c_halves __attribute__((vector_size(64)));
typedef uint16_t in_c_half_row __attribute__((vector_size(32)));
typedef uint32_t in_c_bits_256 __attribute__((vector_size(32)));

static inline in_c_floats in_c_choose(in_c_ints mask, in_c_floats yes, in_c_floats no)
{
    return (in_c_floats)(((in_c_ints)yes & mask) | ((in_c_ints)no & ~mask));
}

static inline __m512 in_c_max(__m512 a, __m512 b)
{
    return (__m512)in_c_choose((in_c_floats)a > (in_c_floats)b, (in_c_floats)a, (in_c_floats)b);
}

static inline __m512 in_c_min(__m512 a, __m512 b)
{
    return (__m512)in_c_choose((in_c_floats)a < (in_c_floats)b, (in_c_floats)a, (in_c_floats)b);
}

static inline in_c_half_row in_c_round(__m512 x)
{
    in_c_half_row y;
    for (int i = 0; i < 16; i++)
        y[i] = bf16_of(((in_c_floats)x)[i]);
    return y;
}

static inline __m512 in_c_widen(in_c_half_row x)
{
    return (__m512)(__builtin_convertvector(x, in_c_bits) << 16);
}

// The first argument's numbers are the upper half.
static inline __m512i in_c_round_2(__m512 upper, __m512 lower)
{
    in_c_half_row y[2] = {in_c_round(lower), in_c_round(upper)};
    in_c_halves both;
    memcpy(&both, y, sizeof both);
    return (__m512i)both;
}

static inline __m512i in_c_permute(__m512i at, __m512i x)
{
    in_c_halves from = (in_c_halves)x, order = (in_c_halves)at, y;
    for (int i = 0; i < 32; i++)
        y[i] = from[order[i] & 31];
    return (__m512i)y;
}

static inline __m512i in_c_load(const void *from)
{
    in_c_bits x;
    memcpy(&x, from, sizeof x);
    return (__m512i)x;
}

static inline void in_c_store(void *to, __m512i x)
{
    memcpy(to, &x, sizeof x);
}

static inline __m512 in_c_multiply_add(__m512 sum, in_c_bits a, in_c_bits b)
{
    in_c_floats upper = (in_c_floats)(a & 0xffff0000) * (in_c_floats)(b & 0xffff0000) + (in_c_floats)sum;
    return (__m512)((in_c_floats)(a << 16) * (in_c_floats)(b << 16) + upper);
}

static inline __m256i in_c_rotate(__m256i x, int by)
{
    in_c_bits_256 bits = (in_c_bits_256)x;
    return (__m256i)(bits << by | bits >> (32 - by));
}

// A compiler may have some of these as macros.
#undef _mm512_max_ps
#undef _mm512_min_ps
#undef _mm512_cvtneps_pbh
#undef _mm512_cvtpbh_ps
#undef _mm512_cvtne2ps_pbh
#undef _mm512_permutexvar_epi16
#undef _mm512_loadu_si512
#undef _mm512_storeu_si512
#undef _mm512_loadu_ps
#undef _mm512_set1_ps
#undef _mm512_setzero_ps
#undef _mm512_dpbf16_ps
#undef _mm256_rol_epi32

#define _mm512_max_ps(a, b) in_c_max(a, b)
#define _mm512_min_ps(a, b) in_c_min(a, b)
#define _mm512_cvtneps_pbh(x) in_c_round(x)
#define _mm512_cvtpbh_ps(x) in_c_widen(x)
#define _mm512_cvtne2ps_pbh(upper, lower) in_c_round_2(upper, lower)
#define _mm512_permutexvar_epi16(at, x) in_c_permute(at, x)
#define _mm512_loadu_si512(from) in_c_load(from)
#define _mm512_storeu_si512(to, x) in_c_store(to, x)
#define _mm512_loadu_ps(from) ((__m512)in_c_load(from))
#define _mm512_set1_ps(x) ((__m512)((x) - (in_c_floats){0}))
#define _mm512_setzero_ps() ((__m512)(in_c_floats){0})
#define _mm512_dpbf16_ps(sum, a, b) in_c_multiply_add(sum, (in_c_bits)(a), (in_c_bits)(b))
#define _mm256_rol_epi32(x, by) in_c_rotate(x, by)

#endif
