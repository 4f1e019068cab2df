// bf16.h - bfloat16: the upper half of a float32, 8 bits of exponent and 8 of significand; and what precision bf16 means here.
//
//     x = bf16_round(x);                 // the nearest bfloat16, as a float32
//
// Rounding   to the nearest, ties to even; below 2^-126 to a zero of the same sign; a NaN stays one. As vcvtneps2bf16 does it
// Operands   under PRECISION_BF16 everything that products and attention multiply is rounded first, also what they make on the way:
//            the weights of attention and their gradients, the gradients of logits, X, A and B of Newton-Schulz; cosines and sines
//            where the model makes its tables; rows of the embedding where they are read; keys and values where a cache stores them
// Storage    what norms, rotary norms, attention and relu, relu^2 write is rounded where it is written, whatever tensor takes it; kept
//            tensors (device_kept) hold it in 16 bits, and so do caches and the copies of weights that products read
// Sums       of products, and all that is pointwise (norms, softmax, soft cap, loss, optimizer), are float32, and so are the residual
//            stream, gradients, masters and moments. Of 2026 that is what stands beside the products: lambdas, smear and backout, gates
//            with the dozen channels that they look at, rows of value embeddings, which a gate scales before they are added to the
//            values; Muon's rows, norms and variances, and the decay. This is how compiled nanochat computes, with these differences,
//            all on the side of more digits: it rounds results of products, lambdas, gates and the residual stream too, keeps the
//            embeddings and their moments in bfloat16, and adds up their gradients in bfloat16
// Paths      a product of two bfloat16 numbers is exact in float32, so one chain of multiply-adds has the same bits whether the
//            processor multiplies bfloat16 (avx512bf16), fuses float32 (avx2, avx512) or rounds twice (portable, down to products of
//            2^-126): vdpbf16ps is two fused multiply-adds, one after the other, the upper halves first. It takes numbers below
//            2^-126 for zero and makes none, and the others do the same while they multiply bfloat16, where the processor can (x86)
#ifndef KERNELS_BF16_H
#define KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

static inline float bf16_round(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    uint32_t rounded = u + 0x7fff + (u >> 16 & 1), exponent = u & 0x7f800000, quiet = u | 0x00400000;
    u = exponent == 0 ? u & 0x80000000 : (u & 0x7fffffff) > 0x7f800000 ? quiet : rounded;
    u &= 0xffff0000;
    memcpy(&x, &u, sizeof x);
    return x;
}

// Stored: the upper half of the bits.
static inline uint16_t bf16_of(float x)
{
    uint32_t u;
    x = bf16_round(x);
    memcpy(&u, &x, sizeof u);
    return (uint16_t)(u >> 16);
}

static inline float bf16_value(uint16_t stored)
{
    uint32_t u = (uint32_t)stored << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

// The same rule on a double, without a float32 in between.
static inline double bf16_round_f64(double x)
{
    const double most = 0x1.FFp127, least = 0x1p-126; // from `most` on the nearest is infinity
    uint64_t u;
    if (x != x)
        return x;
    if (x > -least && x < least)
        return 0 * x;
    if (x >= most || x <= -most)
        return x > 0 ? __builtin_inf() : -__builtin_inf();
    memcpy(&u, &x, sizeof u);
    u += ((uint64_t)1 << 44) - 1 + (u >> 45 & 1);
    u = u >> 45 << 45;
    memcpy(&x, &u, sizeof x);
    return x;
}

#endif
