// product.c - the matrix product: packed panels, tiles in registers.
//
//     for n0, block_n columns of c                      all threads:
//         for k0, a group of blocks of K                  pack b[k0.., n0..] into panels of TILE_COLS; a barrier
//             tasks: block_m rows x some columns          for each block: pack a[m0.., k0..] into a thread's own panels of TILE_ROWS; run tiles
//
// 1. An element of c is the sum over blocks of K, in order; in a block it is one chain of multiply-adds in a register. Blocks are
//    cut by BLOCK_K and segment alone. So its bits depend on its row of a and its column of b, and on nothing else: not on how many
//    blocks make a group, which only saves barriers where c is narrow.
// 2. Panels at the edge are filled with zeros and go through the same tiles.
// 3. With few rows, as in decoding, time goes to reading b: there a thread packs a panel of b for itself and uses it at once,
//    with the same blocks of K and the same tiles, hence the same bits. What is prepared (cpu_weight_prepare) is read as it lies.
// 4. Of a symmetric product the tiles that touch the lower triangle are computed, and the rest is mirrored.
// Source: the blocking of Goto & van de Geijn 2008, with BLIS's names for the loops turned into ours.
#include "kernels/cpu/cpu.h"

#include <omp.h>

static const struct tile_size tile_of_isa = {TILE_ROWS, TILE_COLS};

enum {
    GOOD_M = TILE_ROWS * 16, // still enough to a panel of b
    TASKS_PER_THREAD = 4,
    NARROW_PANELS = 4, // in a task
    SOME_K = 16,
    GROUP_BLOCKS = 64, // of K, at most
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

// The same under bf16, both rounded: to where sums were, or stored as bfloat16. `at` is the number of element (0, 0) of the piece.
static void square_rounded(const struct product *p, int64_t at, int rows, int cols)
{
    const vec zero = {0};
    for (int i = 0; i < rows; i++, at += p->c_m) {
        float positive[TILE_COLS] = {0}, square[TILE_COLS];
        memcpy(positive, p->c + at, (size_t)cols * sizeof *positive);
        for (int j = 0; j < cols; j += LANES) { // what lies behind the last column comes to nothing
            vec x = vec_bf16(vec_max(zero, load(positive + j)));
            store(positive + j, x);
            store(square + j, vec_bf16(x * x));
        }
        if (p->positive16 && cols == TILE_COLS) {
            for (int j = 0; j < TILE_COLS; j += LANES) {
                store_bf16(p->positive16 + at + j, load(positive + j));
                store_bf16(p->squares16 + at + j, load(square + j));
            }
        } else if (p->positive16) {
            cpu_narrow(p->positive16 + at, positive, cols);
            cpu_narrow(p->squares16 + at, square, cols);
        } else {
            memcpy(p->c + at, positive, (size_t)cols * sizeof *positive);
            memcpy(p->squares + at, square, (size_t)cols * sizeof *square);
        }
    }
}

// Where rows of a lie side by side in memory, some k of all panels before the next: a line of memory has parts of several panels.
static void pack_block(const struct product *p, float *a_panels, int64_t m0, int64_t m1, int64_t k0, int64_t K)
{
    int64_t some = p->a_m == 1 && !p->bf16 ? SOME_K : K;
    for (int64_t k = 0; k < K; k += some)
        for (int64_t m = m0; m < m1; m += TILE_ROWS)
            pack_rows(p->bf16, a_panels + (m - m0) * panel_depth(p->bf16, K) + k * TILE_ROWS,
                      from_number(p->a, m * p->a_m + (k0 + k) * p->a_k), p->a_m, p->a_k, min_i64(TILE_ROWS, m1 - m),
                      min_i64(some, K - k));
}

// The panel of b that begins at column n and ends before n1.
static void pack_panel(const struct product *p, float *to, int64_t n, int64_t n1, int64_t k0, int64_t K)
{
    pack_cols(p->bf16, to, from_number(p->b, k0 * p->b_k + n * p->b_n), p->b_n, p->b_k, min_i64(TILE_COLS, n1 - n), K);
}

// Panels of b as they lie: the first, and how far the next is.
struct panels {
    const float *first;
    int64_t stride;
};

// Those of columns from n on that cpu_weight_prepare made, at block k0.
static struct panels prepared_at(const struct product *p, int64_t n, int64_t k0)
{
    return (struct panels){prepared_panel(p->bf16, p->panels, p->K, n, k0), TILE_COLS * panel_depth(p->bf16, p->K)};
}

// Rows m0..m1 and columns n0..n1 of c, one block of K; the panels begin at m0 and n0.
static void run_tiles(const struct product *p, const float *a_panels, struct panels b, int64_t m0, int64_t m1, int64_t n0,
                      int64_t n1, int64_t k0, int64_t K)
{
    bool add = p->add || k0 > 0, last = k0 + K == p->K;
    int64_t depth = panel_depth(p->bf16, K);
    for (int64_t n = n0; n < n1; n += TILE_COLS, b.first += b.stride)
        for (int64_t m = p->symmetric && n > m0 ? m0 + (n - m0) / TILE_ROWS * TILE_ROWS : m0; m < m1; m += TILE_ROWS) {
            int rows = (int)min_i64(TILE_ROWS, m1 - m), cols = (int)min_i64(TILE_COLS, n1 - n);
            int64_t at = m * p->c_m + n;
            run_tile(p->bf16, K, a_panels + (m - m0) * depth, b.first, p->c + at, p->c_m, rows, cols, add);
            if (last && p->squares && !p->bf16)
                square_positive(p->c + at, p->squares + at, p->c_m, rows, cols);
            else if (last && (p->squares || p->positive16))
                square_rounded(p, at, rows, cols);
        }
}

static int64_t block_at(const struct product *p, int64_t k0)
{
    int64_t K = min_i64(BLOCK_K, p->K - k0);
    return p->segment ? min_i64(K, p->segment - k0 % p->segment) : K;
}

// How the work is cut, and where in the workspace panels go; in floats.
struct plan {
    bool parallel, narrow;
    bool shares_rows; // narrow: all of a is packed once
    int64_t rows, n_row_blocks;
    int64_t a_floats, b_floats; // a: of each thread, or of all; b: shared, or of each thread when narrow
};

static struct plan plan_of(const struct device *dev, const struct product *p)
{
    struct plan plan = {.parallel = dev->n_threads > 1 && worth_threads(dev, (p->M + WORK_ELEMENT) * p->N * p->K),
                        .narrow = p->M <= narrow_m(tile_of_isa)};
    int64_t n_blocks = (p->M + block_m(tile_of_isa) - 1) / block_m(tile_of_isa), longest = longest_block(p->K, p->segment);
    int64_t n_good = min_i64(plan.parallel ? TASKS_PER_THREAD * dev->n_threads : 1, p->M / GOOD_M);
    n_blocks = n_good > n_blocks ? n_good : n_blocks; // rather than columns cut, for each of which a is packed anew
    plan.rows = round_up((p->M + n_blocks - 1) / n_blocks, TILE_ROWS);
    plan.n_row_blocks = (p->M + plan.rows - 1) / plan.rows;
    plan.shares_rows = plan.narrow && !p->segment && round_up(plan.rows * p->K, 16) <= SHARED_ROWS;
    plan.a_floats = round_up(plan.rows * (plan.shares_rows ? p->K : longest), 16);
    plan.b_floats = plan.narrow ? longest * TILE_COLS : product_b_floats(tile_of_isa, p->N, p->K, longest);
    return plan;
}

static void narrow_product(struct device *dev, const struct product *p, struct plan plan, float *workspace)
{
    enum { TASK_COLS = NARROW_PANELS * TILE_COLS };
    float *own = workspace + (plan.shares_rows ? plan.a_floats : 0);
    int64_t own_floats = plan.b_floats + (plan.shares_rows ? 0 : plan.a_floats);
    for (int64_t k0 = 0, K; plan.shares_rows && k0 < p->K; k0 += K) {
        K = block_at(p, k0);
        pack_block(p, workspace + plan.rows * panel_depth(p->bf16, k0), 0, p->M, k0, K);
    }
#pragma omp parallel for num_threads(dev->n_threads) schedule(dynamic, 1) if (plan.parallel)
    for (int64_t n0 = 0; n0 < p->N; n0 += TASK_COLS) {
        float *b_panel = own + omp_get_thread_num() * own_floats, *a_panels = b_panel + plan.b_floats;
        for (int64_t k0 = 0, K; k0 < p->K; k0 += K) {
            K = block_at(p, k0);
            if (plan.shares_rows)
                a_panels = workspace + plan.rows * panel_depth(p->bf16, k0);
            else
                pack_block(p, a_panels, 0, p->M, k0, K);
            int64_t n1 = min_i64(n0 + TASK_COLS, p->N);
            if (p->panels) {
                run_tiles(p, a_panels, prepared_at(p, n0, k0), 0, p->M, n0, n1, k0, K);
                continue;
            }
            for (int64_t n = n0; n < n1; n += TILE_COLS) {
                int64_t end = min_i64(n + TILE_COLS, n1);
                pack_panel(p, b_panel, n, end, k0, K);
                run_tiles(p, a_panels, (struct panels){b_panel, 0}, 0, p->M, n, end, k0, K);
            }
        }
    }
}

// Blocks of K whose panels of b are there at the same time.
struct group {
    int n;
    struct {
        int64_t k0, K, at; // at: where its first panel is, in floats
    } blocks[GROUP_BLOCKS];
};

static struct group group_at(const struct product *p, int64_t k0, int64_t n_panels, int64_t most_floats)
{
    struct group g = {0};
    int64_t at = 0;
    while (k0 < p->K && g.n < GROUP_BLOCKS) {
        int64_t K = block_at(p, k0), floats = n_panels * TILE_COLS * panel_depth(p->bf16, K);
        if (g.n && !p->panels && at + floats > most_floats)
            break;
        g.blocks[g.n].k0 = k0;
        g.blocks[g.n].K = K;
        g.blocks[g.n++].at = at;
        at += floats;
        k0 += K;
    }
    return g;
}

static void wide_product(struct device *dev, const struct product *p, struct plan plan, float *workspace)
{
    float *b_panels = workspace, *a_first = b_panels + plan.b_floats;
#pragma omp parallel num_threads(dev->n_threads) if (plan.parallel)
    {
        float *a_panels = a_first + omp_get_thread_num() * plan.a_floats;
        for (int64_t n0 = 0; n0 < p->N; n0 += block_n(tile_of_isa)) {
            int64_t n1 = min_i64(n0 + block_n(tile_of_isa), p->N), n_panels = (n1 - n0 + TILE_COLS - 1) / TILE_COLS;
            int64_t n_tasks = plan.parallel ? TASKS_PER_THREAD * dev->n_threads : 1;
            int64_t n_cuts = (n_tasks + plan.n_row_blocks - 1) / plan.n_row_blocks;
            int64_t cut = (n_panels + n_cuts - 1) / n_cuts; // panels in a task
            n_cuts = (n_panels + cut - 1) / cut;
            for (int64_t k0 = 0; k0 < p->K;) {
                struct group g = group_at(p, k0, n_panels, plan.b_floats);
                k0 = g.blocks[g.n - 1].k0 + g.blocks[g.n - 1].K;
                if (!p->panels) {
#pragma omp for schedule(static)
                    for (int64_t i = 0; i < g.n * n_panels; i++) {
                        int64_t j = i % n_panels, K = g.blocks[i / n_panels].K;
                        pack_panel(p, b_panels + g.blocks[i / n_panels].at + j * TILE_COLS * panel_depth(p->bf16, K),
                                   n0 + j * TILE_COLS, n1, g.blocks[i / n_panels].k0, K);
                    }
                }
#pragma omp for schedule(dynamic, 1)
                for (int64_t task = 0; task < plan.n_row_blocks * n_cuts; task++) {
                    int64_t m0 = task / n_cuts * plan.rows, m1 = min_i64(m0 + plan.rows, p->M), j = task % n_cuts * cut;
                    int64_t from = n0 + j * TILE_COLS, to = min_i64(from + cut * TILE_COLS, n1);
                    if (p->symmetric && from >= m1)
                        continue;
                    for (int i = 0; i < g.n; i++) {
                        int64_t K = g.blocks[i].K, panel = TILE_COLS * panel_depth(p->bf16, K);
                        struct panels b = {b_panels + g.blocks[i].at + j * panel, panel};
                        pack_block(p, a_panels, m0, m1, g.blocks[i].k0, K);
                        run_tiles(p, a_panels, p->panels ? prepared_at(p, from, g.blocks[i].k0) : b, m0, m1, from, to,
                                  g.blocks[i].k0, K);
                    }
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

size_t cpu_product_bytes(const struct device *dev, const struct product *p)
{
    return (size_t)product_floats(tile_of_isa, dev->n_threads, p->M, p->N, p->K, p->segment) * sizeof(float);
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
