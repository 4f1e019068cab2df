// shuffle.c - numpy's and Python's generators, and how each library makes an order of them.
//
// Both shuffle from the end (Fisher and Yates: element i changes place with one of 0..i) and both draw a bounded number by
// rejection. They differ in the generator and in which bits are kept: numpy masks the low ones, Python shifts the high ones down
// and asks for a bit more when the bound is a power of two. Results hang on every draw, so nothing here may be made smarter.
#include "core/base/shuffle.h"

#include <string.h>

#include "core/base/stop.h"

__extension__ typedef unsigned __int128 u128;

enum { POOL = 4, MT_WORDS = 624, MT_FAR = 397 };

static u128 join(const uint64_t halves[2])
{
    return (u128)halves[1] << 64 | halves[0];
}

static void split(u128 value, uint64_t halves[2])
{
    halves[0] = (uint64_t)value;
    halves[1] = (uint64_t)(value >> 64);
}

static u128 pcg_next(u128 state, u128 increment)
{
    const uint64_t multiplier[2] = {0x4385DF649FCCF645u, 0x2360ED051FC65DA4u};
    return state * join(multiplier) + increment;
}

// SeedSequence: `hash` runs on from one call to the next and stirs each word differently.
static uint32_t stir(uint32_t value, uint32_t *hash)
{
    value ^= *hash;
    *hash *= 0x931E8875u;
    value *= *hash;
    return value ^ value >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
    uint32_t value = x * 0xCA01F9DDu - y * 0x4973F715u;
    return value ^ value >> 16;
}

void numpy_random_init(struct numpy_random *r, uint64_t seed)
{
    const uint32_t entropy[POOL] = {(uint32_t)seed, (uint32_t)(seed >> 32)}; // words that are missing count as zeros
    uint32_t pool[POOL], words[8], hash = 0x43B0D7E5u;
    for (int i = 0; i < POOL; i++)
        pool[i] = stir(entropy[i], &hash);
    for (int from = 0; from < POOL; from++)
        for (int to = 0; to < POOL; to++)
            if (from != to)
                pool[to] = mix(pool[to], stir(pool[from], &hash));
    hash = 0x8B51F9DDu;
    for (int i = 0; i < 8; i++) { // out of the pool by the same stirring, with constants of its own
        uint32_t value = pool[i % POOL] ^ hash;
        hash *= 0x58F38DEDu;
        value *= hash;
        words[i] = value ^ value >> 16;
    }
    uint64_t quads[4];
    for (int i = 0; i < 4; i++)
        quads[i] = (uint64_t)words[2 * i + 1] << 32 | words[2 * i];
    u128 start = (u128)quads[0] << 64 | quads[1], sequence = (u128)quads[2] << 64 | quads[3];
    u128 increment = sequence << 1 | 1;
    u128 state = pcg_next(pcg_next(0, increment) + start, increment);
    *r = (struct numpy_random){.has_held = false};
    split(state, r->state);
    split(increment, r->increment);
}

uint64_t numpy_random_u64(struct numpy_random *r)
{
    split(pcg_next(join(r->state), join(r->increment)), r->state);
    uint64_t folded = r->state[0] ^ r->state[1];
    unsigned turn = (unsigned)(r->state[1] >> 58);
    return folded >> turn | folded << (-turn & 63);
}

uint32_t numpy_random_u32(struct numpy_random *r)
{
    r->has_held = !r->has_held;
    if (!r->has_held)
        return r->held;
    uint64_t word = numpy_random_u64(r);
    r->held = (uint32_t)(word >> 32);
    return (uint32_t)word;
}

void python_random_init(struct python_random *r, uint64_t seed)
{
    uint32_t *s = r->state;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t n_key = key[1] ? 2 : 1;
    s[0] = 19650218u;
    for (uint32_t i = 1; i < MT_WORDS; i++)
        s[i] = 1812433253u * (s[i - 1] ^ s[i - 1] >> 30) + i;
    uint32_t i = 1, j = 0;
    for (int round = 0; round < 2 * MT_WORDS - 1; round++) { // 624 rounds with the key, 623 without
        uint32_t before = s[i - 1] ^ s[i - 1] >> 30;
        if (round < MT_WORDS) {
            s[i] = (s[i] ^ before * 1664525u) + key[j] + j;
            j = (j + 1) % n_key;
        } else {
            s[i] = (s[i] ^ before * 1566083941u) - i;
        }
        if (++i == MT_WORDS) {
            s[0] = s[MT_WORDS - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000u;
    r->next = MT_WORDS;
}

static void twist(uint32_t s[MT_WORDS])
{
    for (int i = 0; i < MT_WORDS; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % MT_WORDS] & 0x7FFFFFFFu);
        s[i] = s[(i + MT_FAR) % MT_WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFu : 0);
    }
}

uint32_t python_random_u32(struct python_random *r)
{
    if (r->next == MT_WORDS) {
        twist(r->state);
        r->next = 0;
    }
    uint32_t y = r->state[r->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

// 0 <= result < n; n > 0.
static uint32_t random_below(struct python_random *r, uint32_t n)
{
    int bits = 0;
    while (bits < 32 && n >> bits)
        bits++;
    for (;;) {
        uint32_t value = python_random_u32(r) >> (32 - bits);
        if (value < n)
            return value;
    }
}

static struct error *check_count(int64_t n)
{
    return n < 0 || n > UINT32_MAX ? error_plain(ERROR_DATA, "cannot shuffle %lld rows; at most %lld are allowed", (long long)n,
                                                 (long long)UINT32_MAX)
                                   : NULL;
}

static bool should_stop(int64_t i)
{
    return (i & 0xFFFFF) == 0 && stop_requested();
}

static void swap(int64_t *a, int64_t *b)
{
    int64_t kept = *a;
    *a = *b;
    *b = kept;
}

struct error *shuffle_numpy(uint64_t seed, int64_t n, int64_t *order)
{
    struct error *e = check_count(n);
    if (e)
        return e;
    struct numpy_random r;
    numpy_random_init(&r, seed);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t mask = (uint32_t)i, j;
        for (int shift = 1; shift < 32; shift *= 2)
            mask |= mask >> shift;
        do
            j = numpy_random_u32(&r) & mask;
        while (j > i);
        swap(&order[i], &order[j]);
        if (should_stop(i))
            return error_stopped();
    }
    return NULL;
}

struct error *shuffle_python(uint64_t seed, int64_t n, int64_t *order)
{
    struct error *e = check_count(n);
    if (e)
        return e;
    struct python_random r;
    python_random_init(&r, seed);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        swap(&order[i], &order[random_below(&r, (uint32_t)(i + 1))]);
        if (should_stop(i))
            return error_stopped();
    }
    return NULL;
}

// Few of many: draws that repeat are drawn again. taken: an open table of 1 + index, a power of two of slots.
static struct error *sample_by_set(struct python_random *r, uint32_t n, int64_t k, int64_t *out)
{
    uint64_t n_slots = 16;
    while (n_slots < (uint64_t)k * 2)
        n_slots *= 2;
    uint64_t *taken = block_alloc(n_slots * sizeof *taken);
    if (!taken)
        return error_memory();
    memset(taken, 0, n_slots * sizeof *taken);
    for (int64_t i = 0; i < k; i++) {
        uint64_t drawn, slot;
        do {
            drawn = random_below(r, n) + UINT64_C(1);
            slot = drawn * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (n_slots - 1);
            while (taken[slot] && taken[slot] != drawn)
                slot = (slot + 1) & (n_slots - 1);
        } while (taken[slot]);
        taken[slot] = drawn;
        out[i] = (int64_t)drawn - 1;
        if (should_stop(i + 1)) {
            block_free(taken);
            return error_stopped();
        }
    }
    block_free(taken);
    return NULL;
}

// Many of few: what is taken leaves its place to the last of those left.
static struct error *sample_by_pool(struct python_random *r, uint32_t n, int64_t k, int64_t *out)
{
    uint32_t *pool = block_alloc((n ? n : 1) * sizeof *pool);
    if (!pool)
        return error_memory();
    for (uint32_t i = 0; i < n; i++)
        pool[i] = i;
    for (int64_t i = 0; i < k; i++) {
        uint32_t left = n - (uint32_t)i, j = random_below(r, left);
        out[i] = pool[j];
        pool[j] = pool[left - 1];
        if (should_stop(i + 1)) {
            block_free(pool);
            return error_stopped();
        }
    }
    block_free(pool);
    return NULL;
}

struct error *shuffle_sample(uint64_t seed, int64_t n, int64_t k, int64_t *out)
{
    struct error *e = check_count(n);
    if (e)
        return e;
    if (k < 0 || k > n)
        return error_plain(ERROR_DATA, "cannot draw %lld different ones of %lld", (long long)k, (long long)n);
    // Python's guess at the size of its set of k numbers decides between the two ways, and with it the draws.
    int64_t set_size = 21;
    if (k > 5) {
        int64_t room = 1;
        while (room < 3 * k)
            room *= 4;
        set_size += room;
    }
    struct python_random r;
    python_random_init(&r, seed);
    return n <= set_size ? sample_by_pool(&r, (uint32_t)n, k, out) : sample_by_set(&r, (uint32_t)n, k, out);
}

uint32_t shuffle_rl_seed(uint64_t step, uint64_t example, uint64_t pass)
{
    const uint64_t values[] = {step, example, pass}, start = 2870177450012600261u;
    uint64_t hash = start;
    for (size_t i = 0; i < countof(values); i++) {
        hash += values[i] * 14029467366897019727u;
        hash = hash << 31 | hash >> 33;
        hash *= 11400714785074694791u;
    }
    hash += countof(values) ^ start ^ 3527539u;
    if (hash == UINT64_MAX)
        hash = 1546275796u;
    return (uint32_t)hash & 0x7FFFFFFFu;
}
