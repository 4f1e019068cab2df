// lz4.c - a block is sequences: a token, literals, and a copy of what was written before; the last one has no copy.
//
// The token's halves are the two lengths; 15 is continued by bytes, of which the last is below 255.
#include "core/data/lz4.h"

#include <string.h>

enum { SHORTEST_COPY = 4, CONTINUED = 15 };

// Adds the bytes that continue a length; false at the end of the input.
static bool continue_length(const uint8_t **in, const uint8_t *end, size_t *length)
{
    uint8_t b = 255;
    while (b == 255) {
        if (*in == end)
            return false;
        b = *(*in)++;
        *length += b; // bounded by 255 times the input
    }
    return true;
}

// What is copied may be what the copy itself writes: then it repeats.
static void copy_back(uint8_t *to, size_t distance, size_t n)
{
    const uint8_t *from = to - distance;
    if (distance >= n)
        memcpy(to, from, n);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
}

bool lz4_unpack(uint8_t *out, size_t n_out, const uint8_t *in, size_t n)
{
    uint8_t *to = out, *const out_end = out + n_out;
    const uint8_t *const end = in + n;
    while (in < end) {
        size_t n_literals = *in >> 4, n_copy = *in & 15;
        in++;
        if (n_literals == CONTINUED && !continue_length(&in, end, &n_literals))
            return false;
        if (n_literals > (size_t)(end - in) || n_literals > (size_t)(out_end - to))
            return false;
        memcpy(to, in, n_literals);
        to += n_literals;
        in += n_literals;
        if (in == end)
            return to == out_end && n_copy == 0;
        if (end - in < 2)
            return false;
        size_t distance = (size_t)in[0] | (size_t)in[1] << 8;
        in += 2;
        if (n_copy == CONTINUED && !continue_length(&in, end, &n_copy))
            return false;
        n_copy += SHORTEST_COPY;
        if (distance == 0 || distance > (size_t)(to - out) || n_copy > (size_t)(out_end - to))
            return false;
        copy_back(to, distance, n_copy);
        to += n_copy;
    }
    return false; // the last sequence ends with its literals
}
