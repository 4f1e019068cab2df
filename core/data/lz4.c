// lz4.c - a block is sequences: a token, literals, and a copy of what was written before; the last one has no copy.
//
// The token's halves are the two lengths; 15 is continued by bytes, of which the last is below 255.
#include "core/data/lz4.h"

#include <string.h>

enum { SHORTEST_COPY = 4, CONTINUED = 15, STRIDE = 16 };

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

// Most copies are of a few bytes, and some too many cost less than a call: up to STRIDE more are written, and read.
static void copy_strides(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i += STRIDE)
        memcpy(to + i, from + i, STRIDE);
}

static void copy_literals(uint8_t *to, size_t room, const uint8_t *from, size_t n_from, size_t n)
{
    if (n + STRIDE <= room && n + STRIDE <= n_from)
        copy_strides(to, from, n);
    else
        memcpy(to, from, n);
}

// What is copied may be what the copy itself writes: then it repeats.
static void copy_back(uint8_t *to, size_t room, size_t distance, size_t n)
{
    const uint8_t *from = to - distance;
    if (distance >= STRIDE && n + STRIDE <= room)
        copy_strides(to, from, n);
    else if (distance >= n)
        memcpy(to, from, n);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
}

// A block into out, which has room for `most` bytes; *n_out is what it came to.
static bool unpack_block(uint8_t *out, size_t most, size_t *n_out, const uint8_t *in, size_t n)
{
    uint8_t *to = out, *const out_end = out + most;
    const uint8_t *const end = in + n;
    while (in < end) {
        size_t n_literals = *in >> 4, n_copy = *in & 15;
        in++;
        if (n_literals == CONTINUED && !continue_length(&in, end, &n_literals))
            return false;
        if (n_literals > (size_t)(end - in) || n_literals > (size_t)(out_end - to))
            return false;
        copy_literals(to, (size_t)(out_end - to), in, (size_t)(end - in), n_literals);
        to += n_literals;
        in += n_literals;
        if (in == end) {
            *n_out = (size_t)(to - out);
            return n_copy == 0;
        }
        if (end - in < 2)
            return false;
        size_t distance = (size_t)in[0] | (size_t)in[1] << 8;
        in += 2;
        if (n_copy == CONTINUED && !continue_length(&in, end, &n_copy))
            return false;
        n_copy += SHORTEST_COPY;
        if (distance == 0 || distance > (size_t)(to - out) || n_copy > (size_t)(out_end - to))
            return false;
        copy_back(to, (size_t)(out_end - to), distance, n_copy);
        to += n_copy;
    }
    return false; // the last sequence ends with its literals
}

bool lz4_unpack(uint8_t *out, size_t n_out, const uint8_t *in, size_t n)
{
    size_t length;
    return unpack_block(out, n_out, &length, in, n) && length == n_out;
}

// Four bytes, the highest first, at the beginning of what is left; false: there are not so many.
static bool take_u32(const uint8_t **in, const uint8_t *end, size_t *value)
{
    const uint8_t *at = *in;
    if (end - at < 4)
        return false;
    *value = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    *in += 4;
    return true;
}

bool lz4_unpack_frames(uint8_t *out, size_t n_out, const uint8_t *in, size_t n)
{
    uint8_t *to = out, *const out_end = out + n_out;
    const uint8_t *const end = in + n;
    while (in < end) {
        size_t n_left, n_block, length;
        if (!take_u32(&in, end, &n_left) || n_left > (size_t)(out_end - to))
            return false;
        for (; n_left > 0; n_left -= length) {
            if (!take_u32(&in, end, &n_block) || n_block > (size_t)(end - in) ||
                !unpack_block(to, n_left, &length, in, n_block) || length == 0)
                return false;
            in += n_block;
            to += length;
        }
    }
    return to == out_end;
}
