// piece_key.h - short byte strings as two machine words, for the hash tables of the trainer and the tokenizer (private to them).
//
// A string of up to 16 bytes is its own key: its bytes, filled up with zeros, and its length. Nine of ten pieces and tokens are
// that short, and comparing them touches no other memory. A longer string has its hash and its length for a key, and whoever
// finds an equal key still has to compare the bytes.
#ifndef CORE_TEXT_PIECE_KEY_H
#define CORE_TEXT_PIECE_KEY_H

#include "core/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SHORT_PIECE = 16 };

struct piece_key {
    uint64_t a, b;
    uint32_t n;
};

// readable: bytes that may be read from p on; 16 of them or more make it fast.
static inline struct piece_key piece_key(const uint8_t *p, size_t n, size_t readable)
{
    struct piece_key k = {0, 0, (uint32_t)n};
    if (n > SHORT_PIECE) {
        k.a = xxh3(p, n);
        return k;
    }
    if (readable < SHORT_PIECE) {
        uint8_t copy[SHORT_PIECE] = {0};
        memcpy(copy, p, n);
        memcpy(&k.a, copy, 8);
        memcpy(&k.b, copy + 8, 8);
        return k;
    }
    memcpy(&k.a, p, 8);
    memcpy(&k.b, p + 8, 8);
    // Byte i of the string is bits 8i .. 8i+7: the machines we run on are little-endian.
    if (n < 8) {
        k.a &= ((uint64_t)1 << 8 * n) - 1;
        k.b = 0;
    } else if (n < 16) {
        k.b &= ((uint64_t)1 << 8 * (n - 8)) - 1;
    }
    return k;
}

static inline bool piece_key_equal(struct piece_key x, struct piece_key y)
{
    return x.a == y.a && x.b == y.b && x.n == y.n;
}

// Any 64 bits to well mixed ones: the finaliser of SplitMix64.
static inline uint64_t hash_word(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static inline uint64_t piece_key_hash(struct piece_key k)
{
    return hash_word((k.a + 0x9E3779B97F4A7C15u * k.n) ^ (k.b << 23 | k.b >> 41) * 0xD6E8FEB86659FD93u);
}

#endif
