// philox.c - ten rounds of two 32x32 products; Weyl-sequence key schedule.
#include "core/base/philox.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925;

void philox_4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

struct philox philox_for(uint64_t seed, enum philox_purpose purpose)
{
    // A Philox block keyed by the seed gives the key, so that (seed, purpose) pairs never meet by addition.
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)purpose, 0, 0, 0x52455452u};
    uint32_t words[4];
    philox_4x32(key, counter, words);
    return (struct philox){{words[0], words[1]}};
}

void philox_words(struct philox p, uint64_t stream, uint64_t counter, uint32_t out[4])
{
    const uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    philox_4x32(p.key, c, out);
}

static double unit(uint32_t high, uint32_t low)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

double philox_uniform(struct philox p, uint64_t stream, uint64_t counter)
{
    uint32_t w[4];
    philox_words(p, stream, counter, w);
    return unit(w[0], w[1]);
}

void philox_normals(struct philox p, uint64_t stream, int64_t first, int64_t n, float *out)
{
    for (int64_t i = first; i < first + n;) {
        uint32_t w[4];
        philox_words(p, stream, (uint64_t)(i / 2), w);
        double u = 1.0 - unit(w[0], w[1]); // in (0,1], so the logarithm is finite
        double radius = sqrt(-2.0 * log(u)), angle = TWO_PI * unit(w[2], w[3]);
        if (i % 2 == 0) {
            *out++ = (float)(radius * cos(angle));
            i++;
            if (i == first + n)
                break;
        }
        *out++ = (float)(radius * sin(angle));
        i++;
    }
}
