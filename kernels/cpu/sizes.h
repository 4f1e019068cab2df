// sizes.h - how much workspace the cpu table asks for, as functions of the tile: the cpu table has one of each instruction set, and
// count (kernels/count) foresees the widest, that of 512-bit vectors.
#ifndef KERNELS_CPU_SIZES_H
#define KERNELS_CPU_SIZES_H

#include <stdint.h>

struct tile_size {
    int rows, cols;
};

enum {
    BLOCK_K = 256,         // of K, summed in registers before it is added to memory
    QUERIES = 64,          // attention: queries of a task
    RELU2_ROWS = 1024,     // of op_matmul_relu2 under bf16, whose sums are float32 and whose results are not
    SHARED_ROWS = 1 << 16, // floats: rows of a narrow product that are packed once for all threads
    FLAT_BLOCK = 4096,     // elementwise work is cut so, whatever the threads, hence an element's place in its vector is fixed
    LOSS_ROWS = 512,       // loss: rows of a tile
    LOSS_WORDS = 128,      // loss: a block's logits, and what its products read, stay in the second-level cache of a core
    LOSS_SLICES = 16,      // loss: as many threads as find work in the backward pass
    MUON_APART = 1 << 20,  // Muon: up to so many elements a thread works on a matrix alone
};

static inline int64_t block_m(struct tile_size t)
{
    return t.rows * 24; // a block of a stays in the second-level cache
}

static inline int64_t block_n(struct tile_size t)
{
    return t.cols * 128; // a block of b in the third
}

// Floats of panels of b that are packed before they are used: of one block of K, or of several where that is little.
static inline int64_t group_floats(struct tile_size t)
{
    return (int64_t)BLOCK_K * t.cols * 64;
}

static inline int64_t narrow_m(struct tile_size t)
{
    return t.rows * 4; // a product of no more rows reads b once, as decoding does
}

static inline int64_t keys_of(struct tile_size t)
{
    return t.rows * 16; // attention: keys of a block
}

static inline int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// The longest block of K, where blocks begin anew every `segment` (0: never).
static inline int64_t longest_block(int64_t K, int64_t segment)
{
    return min_i64(segment ? min_i64(segment, K) : K, BLOCK_K);
}

// Floats of b's panels; longest: that of longest_block.
static inline int64_t product_b_floats(struct tile_size t, int64_t N, int64_t K, int64_t longest)
{
    int64_t wide = round_up(min_i64(N, block_n(t)), t.cols), one = longest * wide;
    return max_i64(one, min_i64(K * wide, group_floats(t)));
}

// Of a product of [M,K] and [K,N] whose blocks of K begin anew every `segment` (0: never). Enough for all of as many rows or fewer: fewer
// can be cut into longer blocks, or be narrow, and need more.
static inline int64_t product_floats(struct tile_size t, int n_threads, int64_t M, int64_t N, int64_t K, int64_t segment)
{
    int64_t longest = longest_block(K, segment);
    int64_t a_floats = round_up(round_up(min_i64(M, block_m(t)), t.rows) * longest, 16);
    int64_t shared = min_i64(round_up(round_up(min_i64(M, narrow_m(t)), t.rows) * K, 16), SHARED_ROWS);
    int64_t narrow = n_threads * longest * t.cols;
    return max_i64(product_b_floats(t, N, K, longest), narrow) + n_threads * a_floats + shared;
}

// How many of n equal matrices Muon moves a thread each, a multiple of the threads.
static inline int muon_apart(int n, int64_t elements, int n_threads)
{
    return elements <= MUON_APART && n_threads > 1 ? n / n_threads * n_threads : 0;
}

// Of a sequence's keys and values as operands, times the sequences packed at a time, and of each thread's tile.
static inline int64_t attention_floats(struct tile_size t, int n_threads, int64_t B, int64_t T, int64_t D, int64_t n_head,
                                       int64_t n_kv_head)
{
    int64_t D_rows = round_up(D, t.rows), tiles = n_head * ((T + QUERIES - 1) / QUERIES);
    int64_t packed = n_kv_head * (round_up(round_up(T, t.rows) * D, 16) + round_up(D_rows * T, 16));
    int64_t batch = min_i64(B, (16 * n_threads + tiles - 1) / tiles);
    return batch * packed + n_threads * QUERIES * (D + D_rows + keys_of(t));
}

#endif
