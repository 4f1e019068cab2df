// logarithm.h - the natural logarithm of a positive, normal double; a few a row, so scalar.
// Error below 1e-14 (1 + |ln x|).
#ifndef KERNELS_CPU_LOGARITHM_H
#define KERNELS_CPU_LOGARITHM_H

#include <stdint.h>
#include <string.h>

// x = m 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m - 1) / (m + 1)) by its series.
static inline double natural_log(double x)
{
    if (!(x > 0) || x > 1e300)
        return x > 0 ? x : x == 0 ? -__builtin_inf() : __builtin_nan("");
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t e = (int64_t)(bits >> 52) - 1022;
    bits = (bits & 0xfffffffffffffu) | 0x3fe0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m < 0.70710678118654752) {
        m *= 2;
        e -= 1;
    }
    double s = (m - 1) / (m + 1), s2 = s * s, series = 0;
    for (int k = 19; k >= 1; k -= 2)
        series = series * s2 + 1.0 / k;
    return 2 * s * series + (double)e * 0.69314718055994530942;
}

#endif
