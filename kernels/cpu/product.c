// product.c - the matrix product: packed panels, tiles in registers.
//
//     for n0, BLOCK_N columns of c                      all threads:
//         for k0, BLOCK_K of K, never across a segment    pack b[k0.., n0..] into panels of TILE_COLS; a barrier
//             tasks: BLOCK_M rows x some columns          pack a[m0.., k0..] into a thread's own panels of TILE_ROWS; run tiles
//
// 1. An element of c is the sum over blocks of K, in order; in a block it is one chain of multiply-adds in a register. Blocks
//    are cut by K and segment alone. So its bits depend on its row of a and its column of b, and on nothing else.
// 2. Panels at the edge are filled with zeros and go through the same tiles.
// 3. With few rows, as in decoding, time goes to reading b: there a thread packs a panel of b for itself and uses it at once,
//    with the same blocks of K and the same tiles, hence the same bits.
// 4. Of a symmetric product the tiles that touch the lower triangle are computed, and the rest is mirrored.
// Source: the blocking of Goto & van de Geijn 2008, with BLIS's names for the loops turned into ours.
#include "kernels/cpu/cpu.h"

#include <omp.h>

enum {
    BLOCK_M = TILE_ROWS * 24,  // a block of a stays in the second-level cache
    GOOD_M = TILE_ROWS * 16,   // still enough to a panel of b
    BLOCK_N = TILE_COLS * 128, // a block of b in the third
    TASKS_PER_THREAD = 4,
    NARROW_M = TILE_ROWS * 4,
    NARROW_PANELS = 4, // in a task
    SOME_K = 16,
};

// R rows of a tile, R a constant: the arithmetic of an element is the same for every R.
static inline __attribute__((always_inline)) void tile_rows(int64_t K, const float *restrict a, const float *restrict b, float *c,
                                                            int64_t c_stride, int rows, int cols, bool add, const int R)
{
    UNROLL
    for (int i = 0; i < R; i++)
        UNROLL
    for (int j = 0; j < TILE_VECS; j++)
        __builtin_prefetch(c + (i < rows ? i : 0) * c_stride + j * LANES, 1);
    vec sum[TILE_ROWS][TILE_VECS];
    UNROLL
    for (int i = 0; i < R; i++)
        UNROLL
    for (int j = 0; j < TILE_VECS; j++)
        sum[i][j] = (vec){0};
    for (int64_t k = 0; k < K; k++) {
        vec bk[TILE_VECS];
        UNROLL
        for (int j = 0; j < TILE_VECS; j++)
            bk[j] = load(b + j * LANES);
        UNROLL
        for (int i = 0; i < R; i++)
            UNROLL
        for (int j = 0; j < TILE_VECS; j++)
            sum[i][j] += bk[j] * a[i];
        a += TILE_ROWS;
        b += TILE_COLS;
    }
    if (rows == R && cols == TILE_COLS) {
        UNROLL
        for (int i = 0; i < R; i++)
            UNROLL
        for (int j = 0; j < TILE_VECS; j++) {
            float *to = c + i * c_stride + j * LANES;
            store(to, add ? load(to) + sum[i][j] : sum[i][j]);
        }
        return;
    }
    float edge[TILE_ROWS][TILE_COLS];
    UNROLL
    for (int i = 0; i < R; i++)
        UNROLL
    for (int j = 0; j < TILE_VECS; j++)
        store(&edge[i][j * LANES], sum[i][j]);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            c[i * c_stride + j] = add ? c[i * c_stride + j] + edge[i][j] : edge[i][j];
}

void cpu_tile(int64_t K, const float *a, const float *b, float *c, int64_t c_stride, int rows, int cols, bool add)
{
    if (rows == 1)
        tile_rows(K, a, b, c, c_stride, rows, cols, add, 1);
    else if (rows <= TILE_ROWS / 2)
        tile_rows(K, a, b, c, c_stride, rows, cols, add, TILE_ROWS / 2);
    else
        tile_rows(K, a, b, c, c_stride, rows, cols, add, TILE_ROWS);
}

// The second half of op_matmul_relu2 on a piece of c that is still in the cache. A NaN stays one.
static void square_positive(float *r, float *squares, int64_t stride, int rows, int cols)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            float x = r[i * stride + j];
            x = x < 0 ? 0 : x;
            r[i * stride + j] = x;
            squares[i * stride + j] = x * x;
        }
}

// Where rows of a lie side by side in memory, some k of all panels before the next: a line of memory has parts of several panels.
static void pack_block(const struct product *p, float *a_panels, int64_t m0, int64_t m1, int64_t k0, int64_t K)
{
    int64_t some = p->a_m == 1 && !p->bf16 ? SOME_K : K;
    for (int64_t k = 0; k < K; k += some)
        for (int64_t m = m0; m < m1; m += TILE_ROWS)
            (p->bf16 ? cpu_pack_rows_bf16 : cpu_pack_rows)(a_panels + (m - m0) * panel_depth(p->bf16, K) + k * TILE_ROWS,
                                                           p->a + m * p->a_m + (k0 + k) * p->a_k, p->a_m, p->a_k,
                                                           min_i64(TILE_ROWS, m1 - m), min_i64(some, K - k));
}

// The panel of b that begins at column n and ends before n1.
static void pack_panel(const struct product *p, float *to, int64_t n, int64_t n1, int64_t k0, int64_t K)
{
    (p->bf16 ? cpu_pack_cols_bf16 : cpu_pack_cols)(to, p->b + k0 * p->b_k + n * p->b_n, p->b_n, p->b_k,
                                                   min_i64(TILE_COLS, n1 - n), K);
}

// Rows m0..m1 and columns n0..n1 of c, one block of K; the panels begin at m0 and n0.
static void run_tiles(const struct product *p, const float *a_panels, const float *b_panels, int64_t m0, int64_t m1, int64_t n0,
                      int64_t n1, int64_t k0, int64_t K)
{
    bool add = p->add || k0 > 0, last = k0 + K == p->K;
    int64_t depth = panel_depth(p->bf16, K);
    for (int64_t n = n0; n < n1; n += TILE_COLS)
        for (int64_t m = p->symmetric && n > m0 ? m0 + (n - m0) / TILE_ROWS * TILE_ROWS : m0; m < m1; m += TILE_ROWS) {
            int rows = (int)min_i64(TILE_ROWS, m1 - m), cols = (int)min_i64(TILE_COLS, n1 - n);
            float *c = p->c + m * p->c_m + n;
            (p->bf16 ? cpu_tile_bf16 : cpu_tile)(K, a_panels + (m - m0) * depth, b_panels + (n - n0) * depth, c, p->c_m, rows,
                                                 cols, add);
            if (p->squares && last)
                square_positive(c, p->squares + m * p->c_m + n, p->c_m, rows, cols);
        }
}

static int64_t longest_block(const struct product *p)
{
    int64_t longest = p->segment ? min_i64(p->segment, p->K) : p->K;
    return min_i64(longest, BLOCK_K);
}

static int64_t block_at(const struct product *p, int64_t k0)
{
    int64_t K = min_i64(BLOCK_K, p->K - k0);
    return p->segment ? min_i64(K, p->segment - k0 % p->segment) : K;
}

// How the work is cut, and where in the workspace panels go; in floats.
struct plan {
    bool parallel, narrow;
    int64_t rows, n_row_blocks;
    int64_t a_floats, b_floats; // a: of each thread; b: shared, or of each thread when narrow
};

static struct plan plan_of(const struct device *dev, const struct product *p)
{
    struct plan plan = {.parallel = dev->n_threads > 1 && worth_threads(dev, (p->M + WORK_ELEMENT) * p->N * p->K),
                        .narrow = p->M <= NARROW_M};
    int64_t n_blocks = (p->M + BLOCK_M - 1) / BLOCK_M, longest = longest_block(p);
    int64_t n_good = min_i64(plan.parallel ? TASKS_PER_THREAD * dev->n_threads : 1, p->M / GOOD_M);
    n_blocks = n_good > n_blocks ? n_good : n_blocks; // rather than columns cut, for each of which a is packed anew
    plan.rows = round_up((p->M + n_blocks - 1) / n_blocks, TILE_ROWS);
    plan.n_row_blocks = (p->M + plan.rows - 1) / plan.rows;
    plan.a_floats = round_up(plan.rows * longest, 16);
    plan.b_floats = longest * (plan.narrow ? TILE_COLS : round_up(min_i64(p->N, BLOCK_N), TILE_COLS));
    return plan;
}

static void narrow_product(struct device *dev, const struct product *p, struct plan plan, float *workspace)
{
    enum { TASK_COLS = NARROW_PANELS * TILE_COLS };
#pragma omp parallel for num_threads(dev->n_threads) schedule(dynamic, 1) if (plan.parallel)
    for (int64_t n0 = 0; n0 < p->N; n0 += TASK_COLS) {
        float *a_panels = workspace + omp_get_thread_num() * (plan.a_floats + plan.b_floats);
        float *b_panel = a_panels + plan.a_floats;
        for (int64_t k0 = 0, K; k0 < p->K; k0 += K) {
            K = block_at(p, k0);
            pack_block(p, a_panels, 0, p->M, k0, K);
            for (int64_t n = n0; n < min_i64(n0 + TASK_COLS, p->N); n += TILE_COLS) {
                int64_t end = min_i64(n + TILE_COLS, p->N);
                pack_panel(p, b_panel, n, end, k0, K);
                run_tiles(p, a_panels, b_panel, 0, p->M, n, end, k0, K);
            }
        }
    }
}

static void wide_product(struct device *dev, const struct product *p, struct plan plan, float *workspace)
{
    float *b_panels = workspace, *a_first = b_panels + plan.b_floats;
#pragma omp parallel num_threads(dev->n_threads) if (plan.parallel)
    {
        float *a_panels = a_first + omp_get_thread_num() * plan.a_floats;
        for (int64_t n0 = 0; n0 < p->N; n0 += BLOCK_N) {
            int64_t n1 = min_i64(n0 + BLOCK_N, p->N), n_panels = (n1 - n0 + TILE_COLS - 1) / TILE_COLS;
            int64_t n_tasks = plan.parallel ? TASKS_PER_THREAD * dev->n_threads : 1;
            int64_t n_cuts = (n_tasks + plan.n_row_blocks - 1) / plan.n_row_blocks;
            int64_t cut = (n_panels + n_cuts - 1) / n_cuts; // panels in a task
            n_cuts = (n_panels + cut - 1) / cut;
            for (int64_t k0 = 0, K; k0 < p->K; k0 += K) {
                K = block_at(p, k0);
                int64_t panel = TILE_COLS * panel_depth(p->bf16, K); // floats of one
#pragma omp for schedule(static)
                for (int64_t j = 0; j < n_panels; j++)
                    pack_panel(p, b_panels + j * panel, n0 + j * TILE_COLS, n1, k0, K);
#pragma omp for schedule(dynamic, 1)
                for (int64_t task = 0; task < plan.n_row_blocks * n_cuts; task++) {
                    int64_t m0 = task / n_cuts * plan.rows, m1 = min_i64(m0 + plan.rows, p->M), j = task % n_cuts * cut;
                    int64_t from = n0 + j * TILE_COLS, to = min_i64(from + cut * TILE_COLS, n1);
                    if (p->symmetric && from >= m1)
                        continue;
                    pack_block(p, a_panels, m0, m1, k0, K);
                    run_tiles(p, a_panels, b_panels + j * panel, m0, m1, from, to, k0, K);
                }
            }
        }
    }
}

static void mirror(struct device *dev, float *c, int64_t stride, int64_t side)
{
    enum { SQUARE = 32 };
#pragma omp parallel for num_threads(dev->n_threads) schedule(dynamic, 1) if (worth_threads(dev, side * side * WORK_ELEMENT))
    for (int64_t i = 0; i < side; i += SQUARE) {
        int64_t rows = min_i64(SQUARE, side - i);
        for (int64_t j = 0; j < i; j += SQUARE)
            cpu_transpose(c + j * stride + i, stride, c + i * stride + j, stride, rows, SQUARE);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t s = r + 1; s < rows; s++)
                c[(i + r) * stride + i + s] = c[(i + s) * stride + i + r];
    }
}

// Enough for all products of as many rows or fewer: fewer rows can be cut into longer blocks, or be narrow, and need more.
size_t cpu_product_bytes(const struct device *dev, const struct product *p)
{
    int64_t longest = longest_block(p), a_floats = round_up(round_up(min_i64(p->M, BLOCK_M), TILE_ROWS) * longest, 16);
    int64_t wide = round_up(min_i64(p->N, BLOCK_N), TILE_COLS), narrow = dev->n_threads * (int64_t)TILE_COLS;
    return (size_t)(longest * (wide > narrow ? wide : narrow) + dev->n_threads * a_floats) * sizeof(float);
}

void cpu_product(struct device *dev, const struct product *p, void *workspace)
{
    struct plan plan = plan_of(dev, p);
    bool timed = dev->profile.own != NULL;
    double begin = timed ? omp_get_wtime() : 0;
    struct product rounded = *p;
    rounded.bf16 = dev->precision == PRECISION_BF16;
    if (plan.narrow)
        narrow_product(dev, &rounded, plan, workspace);
    else
        wide_product(dev, &rounded, plan, workspace);
    if (p->symmetric)
        mirror(dev, p->c, p->c_m, p->M);
    if (timed)
        dev->profile.products_s += omp_get_wtime() - begin;
}
