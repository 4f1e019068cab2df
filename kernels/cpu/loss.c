// loss.c - the soft-capped cross entropy with its gradient.
//
// Rows go by in tiles: LOSS_ROWS of them cut from the start of each sequence, or, of short sequences, as many whole ones as fit. A tile
// sees lm_head twice:
//
//     for blocks of LOSS_WORDS words       logits of the block, turned at once into u = e^(l - most) dl/dz; the sums of e^(l - most)
//     for rows                             the loss, from the sums of all blocks
//     for slices of blocks                 dz = u * (weight / sum), less the target's part; dx of this slice += dz w; dw += dz^T x
//     for rows                             dx, the sum over slices in their order
//
// 1. Only u is written to memory and read again, once each; all else stays in a core's caches.
// 2. Blocks and slices are cut by n_vocab alone, so bits depend neither on threads nor on the rows around.
// 3. dw is summed over blocks of up to BLOCK_K rows cut from the start of each sequence: the same, in the same order, however many
//    sequences come in one call.
// 4. With a cap up to EXACT_CAP no maximum is sought: e^(l - cap) is at least e^-2cap, far from underflow. Else each block of a row
//    has its own.
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/logarithm.h"

#include <omp.h>

static const float EXACT_CAP = 40;

enum { APART = 8 }; // doubles between those of two threads, which do not share a line of memory then
_Static_assert(LOSS_WORDS % TILE_COLS == 0 && LOSS_ROWS % BLOCK_K == 0, "blocks are whole panels, tiles are whole blocks");

static float largest(const float *z, int64_t n)
{
    const float lowest = -__builtin_inff();
    vec most = splat(lowest);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        most = vec_max(most, load(z + i));
    if (i < n)
        most = vec_max(most, load_part(z + i, n - i, lowest));
    return vec_largest(most);
}

// One row of a block of logits z [n]: e^(l - *most) is summed; with `keep` z becomes e^(l - *most) dl/dz. *most is found where
// `seek` says so. With a cap l = cap * t, t = tanh(z / cap), dl/dz = 1 - t^2.
static float exponentials(float *z, int64_t n, float cap, bool seek, bool keep, float *most)
{
    if (seek)
        *most = cap > 0 ? cap * vec_tanh(splat(largest(z, n) / cap))[0] : largest(z, n);
    const vec inverse = splat(cap > 0 ? 1 / cap : 0);
    vec sum = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        bool whole = i + LANES <= n;
        vec t = whole ? load(z + i) : load_part(z + i, n - i, 0), slope = splat(1);
        if (cap > 0) {
            t = vec_tanh(t * inverse);
            slope = 1.0f - t * t;
            t *= cap;
        }
        vec e = vec_exp(t - *most);
        if (!whole) {
            float last[LANES];
            store(last, e);
            e = load_part(last, n - i, 0);
            if (keep)
                store_part(z + i, e * slope, n - i);
        } else if (keep) {
            store(z + i, e * slope);
        }
        sum += e;
    }
    return vec_sum(sum);
}

// A tile of rows, and where its parts lie in the workspace.
struct tile {
    int64_t rows, C, n_vocab;
    int64_t T, first; // its first row is that of a sequence's T
    int64_t n_blocks, n_slices, slice_blocks;
    bool bf16, gradient, seek;
    float cap;
    struct numbers x;
    const float *w, *weights;
    const float *panels; // NULL, or w as cpu_weight_prepare has it
    const int32_t *targets;
    float *dx, *dw, *losses;
    float *u;                   // [n_blocks][rows][LOSS_WORDS]
    float *sums, *most;         // [n_blocks][rows]
    float *target_z, *log_sums; // [rows]
    float *x_rows, *x_cols;     // x in panels: of rows for logits, of columns for dw, segment after segment
    float *dx_parts;            // [n_slices][rows][C]
    float *own;                 // own_floats of each thread
    int64_t own_floats;
    double *other_s; // NULL, or [n_threads][APART], for the profile: seconds of each that went to something else than products
};

static int64_t panel_rows(const struct tile *t)
{
    return round_up(t->rows, TILE_ROWS);
}

static int64_t panel_cols(const struct tile *t)
{
    return round_up(t->C, TILE_COLS);
}

// How many rows from row n on are summed in a piece.
static int64_t block_at(const struct tile *t, int64_t n)
{
    return min_i64(min_i64(BLOCK_K, t->rows - n), t->T - (t->first + n) % t->T);
}

// Fills in how a tile of so many rows is cut and where its parts begin, from `base`; the floats of it.
static int64_t lay_out(struct tile *t, const struct device *dev, float *base)
{
    t->n_blocks = (t->n_vocab + LOSS_WORDS - 1) / LOSS_WORDS;
    t->slice_blocks = (t->n_blocks + LOSS_SLICES - 1) / LOSS_SLICES;
    t->n_slices = (t->n_blocks + t->slice_blocks - 1) / t->slice_blocks;
    int64_t panel = min_i64(BLOCK_K, t->C) * TILE_COLS, at = 0;
    int64_t forward = panel + (t->gradient ? 0 : t->rows * LOSS_WORDS);
    int64_t back =
        t->gradient ? LOSS_WORDS * (panel_cols(t) + panel_rows(t)) + round_up(LOSS_WORDS, TILE_ROWS) * min_i64(BLOCK_K, t->rows)
                    : 0;
    t->own_floats = round_up(max_i64(forward, back), 16);
    struct {
        float **part;
        int64_t floats;
    } parts[] = {
        {&t->u, t->gradient ? t->n_blocks * t->rows * LOSS_WORDS : 0},
        {&t->sums, t->n_blocks * t->rows},
        {&t->most, t->n_blocks * t->rows},
        {&t->target_z, t->rows},
        {&t->log_sums, t->rows},
        {&t->x_rows, panel_rows(t) * t->C},
        {&t->x_cols, t->gradient ? t->rows * panel_cols(t) : 0},
        {&t->dx_parts, t->gradient ? t->n_slices * t->rows * t->C : 0},
        {&t->own, dev->n_threads * t->own_floats},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].part = base ? base + at : NULL;
        at += round_up(parts[i].floats, 16);
    }
    return at;
}

// c [M,N] = or += the product of panels over one block of K
static void run_tiles(const struct tile *t, int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c,
                      int64_t c_stride, bool add)
{
    int64_t depth = panel_depth(t->bf16, K);
    for (int64_t n = 0; n < N; n += TILE_COLS)
        for (int64_t m = 0; m < M; m += TILE_ROWS)
            run_tile(t->bf16, K, a + m * depth, b + n * depth, c + m * c_stride + n, c_stride, (int)min_i64(TILE_ROWS, M - m),
                     (int)min_i64(TILE_COLS, N - n), add);
}

static double start_other(const struct tile *t)
{
    return t->other_s ? omp_get_wtime() : 0;
}

// The seconds since start_other were no product's.
static void count_other(const struct tile *t, double begin)
{
    if (t->other_s)
        t->other_s[omp_get_thread_num() * APART] += omp_get_wtime() - begin;
}

// Of the thread that spent most on it.
static double longest_other(const struct device *dev, const struct tile *t)
{
    double longest = 0;
    for (int i = 0; i < dev->n_threads; i++)
        longest = t->other_s[i * APART] > longest ? t->other_s[i * APART] : longest;
    return longest;
}

static void pack_x(struct device *dev, const struct tile *t)
{
    int64_t n_cols = t->gradient ? (t->C + TILE_COLS - 1) / TILE_COLS : 0;
#pragma omp parallel num_threads(dev->n_threads) if (worth_threads(dev, t->rows * t->C * WORK_ELEMENT))
    {
#pragma omp for schedule(static)
        for (int64_t n = 0; n < t->rows; n += TILE_ROWS)
            for (int64_t k = 0; k < t->C; k += BLOCK_K) {
                int64_t K = min_i64(BLOCK_K, t->C - k);
                pack_rows(t->bf16, t->x_rows + panel_rows(t) * k + n * panel_depth(t->bf16, K), from_number(t->x, n * t->C + k),
                          t->C, 1, min_i64(TILE_ROWS, t->rows - n), K);
            }
#pragma omp for schedule(static)
        for (int64_t j = 0; j < n_cols; j++)
            for (int64_t n = 0, K; n < t->rows; n += K) {
                K = block_at(t, n);
                int64_t c = j * TILE_COLS;
                pack_cols(t->bf16, t->x_cols + n * panel_cols(t) + c * panel_depth(t->bf16, K), from_number(t->x, n * t->C + c),
                          1, t->C, min_i64(TILE_COLS, t->C - c), K);
            }
    }
}

// The words of a block, exponentials and all; z [rows, LOSS_WORDS] becomes u.
static void forward_block(const struct tile *t, int64_t block, float *z, float *panel)
{
    int64_t v0 = block * LOSS_WORDS, n_words = min_i64(LOSS_WORDS, t->n_vocab - v0);
    for (int64_t k = 0, K; k < t->C; k += K) {
        K = min_i64(BLOCK_K, t->C - k);
        for (int64_t v = 0; v < n_words; v += TILE_COLS) {
            int64_t n = min_i64(TILE_COLS, n_words - v);
            const float *words = panel;
            if (t->panels)
                words = prepared_panel(t->bf16, t->panels, t->C, v0 + v, k);
            else
                pack_cols(t->bf16, panel, (struct numbers){t->w + (v0 + v) * t->C + k, false}, t->C, 1, n, K);
            run_tiles(t, t->rows, n, K, t->x_rows + panel_rows(t) * k, words, z + v, LOSS_WORDS, k > 0);
        }
    }
    double begin = start_other(t);
    float *sums = t->sums + block * t->rows, *most = t->most + block * t->rows;
    for (int64_t n = 0; n < t->rows; n++) {
        int64_t at = t->targets[n] - v0;
        if (at >= 0 && at < n_words)
            t->target_z[n] = z[n * LOSS_WORDS + at];
        most[n] = t->cap;
        sums[n] = t->targets[n] < 0 ? 0 : exponentials(z + n * LOSS_WORDS, n_words, t->cap, t->seek, t->gradient, &most[n]);
    }
    count_other(t, begin);
}

static void forward(struct device *dev, const struct tile *t)
{
#pragma omp parallel for num_threads(dev->n_threads)                                                                             \
    schedule(dynamic, 1) if (worth_threads(dev, t->rows * t->n_vocab * (t->C + WORK_EXP)))
    for (int64_t block = 0; block < t->n_blocks; block++) {
        float *panel = t->own + omp_get_thread_num() * t->own_floats;
        float *z = t->gradient ? t->u + block * t->rows * LOSS_WORDS : panel + min_i64(BLOCK_K, t->C) * TILE_COLS;
        forward_block(t, block, z, panel);
    }
}

// t of the target's logit, by the arithmetic of `exponentials`.
static float target_tanh(const struct tile *t, int64_t n)
{
    return vec_tanh(splat(t->target_z[n]) * (1 / t->cap))[0];
}

static void finish_losses(const struct tile *t)
{
    double sums[LOSS_ROWS] = {0};
    float most[LOSS_ROWS];
    memcpy(most, t->most, (size_t)t->rows * sizeof *most);
    for (int64_t block = 1; block < t->n_blocks && t->seek; block++)
        for (int64_t n = 0; n < t->rows; n++)
            most[n] = t->most[block * t->rows + n] > most[n] ? t->most[block * t->rows + n] : most[n];
    for (int64_t block = 0; block < t->n_blocks; block++)
        for (int64_t n = 0; n < t->rows; n++) {
            int64_t at = block * t->rows + n;
            sums[n] += (double)(t->seek ? t->sums[at] * vec_exp(splat(t->most[at] - most[n]))[0] : t->sums[at]);
        }
    for (int64_t n = 0; n < t->rows; n++) {
        t->losses[n] = 0;
        if (t->targets[n] < 0)
            continue;
        double log_sum = (double)most[n] + natural_log(sums[n]);
        double logit = t->cap > 0 ? (double)t->cap * (double)target_tanh(t, n) : (double)t->target_z[n];
        t->log_sums[n] = (float)log_sum;
        t->losses[n] = (float)(log_sum - logit);
    }
}

// From u to the gradient by z, weights and all.
static void to_gradient(const struct tile *t, int64_t block, float *u)
{
    int64_t v0 = block * LOSS_WORDS, n_words = min_i64(LOSS_WORDS, t->n_vocab - v0);
    for (int64_t n = 0; n < t->rows; n++, u += LOSS_WORDS) {
        if (t->targets[n] < 0) {
            memset(u, 0, (size_t)n_words * sizeof *u);
            continue;
        }
        float scale = t->weights[n] * vec_exp(splat(t->most[block * t->rows + n] - t->log_sums[n]))[0];
        for (int64_t i = 0; i < n_words; i++)
            u[i] *= scale;
        int64_t at = t->targets[n] - v0;
        if (at >= 0 && at < n_words) {
            float s = t->cap > 0 ? target_tanh(t, n) : 0;
            u[at] -= t->weights[n] * (1 - s * s);
        }
    }
}

// dx_part += dz w, dw += dz^T x over the words of one block.
static void back_block(const struct tile *t, int64_t block, float *dx_part, bool first, float *own)
{
    int64_t v0 = block * LOSS_WORDS, n_words = min_i64(LOSS_WORDS, t->n_vocab - v0);
    float *dz = t->u + block * t->rows * LOSS_WORDS;
    float *w_cols = own, *dz_rows = w_cols + LOSS_WORDS * panel_cols(t), *words = dz_rows + LOSS_WORDS * panel_rows(t);
    double begin = start_other(t);
    to_gradient(t, block, dz);
    count_other(t, begin);

    int64_t depth = panel_depth(t->bf16, n_words);
    for (int64_t c = 0; c < t->C; c += TILE_COLS)
        pack_cols(t->bf16, w_cols + c * depth, (struct numbers){t->w + v0 * t->C + c, false}, 1, t->C,
                  min_i64(TILE_COLS, t->C - c), n_words);
    for (int64_t n = 0; n < t->rows; n += TILE_ROWS)
        pack_rows(t->bf16, dz_rows + n * depth, (struct numbers){dz + n * LOSS_WORDS, false}, LOSS_WORDS, 1,
                  min_i64(TILE_ROWS, t->rows - n), n_words);
    run_tiles(t, t->rows, t->C, n_words, dz_rows, w_cols, dx_part, t->C, !first);

    for (int64_t n = 0, K; n < t->rows; n += K) {
        K = block_at(t, n);
        depth = panel_depth(t->bf16, K);
        for (int64_t v = 0; v < n_words; v += TILE_ROWS)
            pack_rows(t->bf16, words + v * depth, (struct numbers){dz + n * LOSS_WORDS + v, false}, 1, LOSS_WORDS,
                      min_i64(TILE_ROWS, n_words - v), K);
        run_tiles(t, n_words, t->C, K, words, t->x_cols + n * panel_cols(t), t->dw + v0 * t->C, t->C, true);
    }
}

static void backward(struct device *dev, const struct tile *t)
{
    int64_t size = t->rows * t->C;
#pragma omp parallel num_threads(dev->n_threads) if (worth_threads(dev, 2 * t->n_vocab * size))
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t slice = 0; slice < t->n_slices; slice++) {
            int64_t from = slice * t->slice_blocks, to = min_i64(from + t->slice_blocks, t->n_blocks);
            for (int64_t block = from; block < to; block++)
                back_block(t, block, t->dx_parts + slice * size, block == from, t->own + omp_get_thread_num() * t->own_floats);
        }
#pragma omp for schedule(static)
        for (int64_t n = 0; n < t->rows; n++)
            for (int64_t c = 0; c < t->C; c++) {
                float sum = t->dx_parts[n * t->C + c];
                for (int64_t slice = 1; slice < t->n_slices; slice++)
                    sum += t->dx_parts[slice * size + n * t->C + c];
                t->dx[n * t->C + c] = sum;
            }
    }
}

void cpu_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
              const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T)
{
    int64_t N = x.rows, C = x.cols, most_rows = T <= LOSS_ROWS ? LOSS_ROWS / T * T : LOSS_ROWS;
    struct tile t = {.rows = min_i64(most_rows, N),
                     .T = T,
                     .C = C,
                     .n_vocab = n_vocab,
                     .bf16 = dev->precision == PRECISION_BF16,
                     .gradient = dx.data && dw.data,
                     .seek = !(cap > 0 && cap <= EXACT_CAP),
                     .cap = cap,
                     .w = w->master.data,
                     .panels = w->prepared.data};
    int64_t floats = lay_out(&t, dev, NULL);
    size_t clocks_bytes = (size_t)(dev->n_threads * APART) * sizeof *t.other_s;
    float *base = device_workspace(dev, (size_t)floats * sizeof *base + clocks_bytes, "loss");
    if (!base)
        return;
    bool timed = dev->profile.own != NULL;
    double begin = timed ? omp_get_wtime() : 0;
    if (timed)
        t.other_s = memset(base + floats, 0, clocks_bytes);
    for (int64_t n = 0; n < N; n += t.rows) {
        t.rows = min_i64(most_rows, N - n);
        t.first = n % T;
        if (T > LOSS_ROWS)
            t.rows = min_i64(t.rows, T - t.first);
        t.x = from_number(numbers_of(x), n * C);
        t.weights = (const float *)weights.data + n;
        t.targets = (const int32_t *)targets.data + n;
        t.losses = (float *)losses.data + n;
        t.dx = t.gradient ? (float *)dx.data + n * C : NULL;
        t.dw = dw.data;
        lay_out(&t, dev, base);
        pack_x(dev, &t);
        forward(dev, &t);
        finish_losses(&t);
        if (t.gradient)
            backward(dev, &t);
    }
    if (timed)
        dev->profile.products_s += omp_get_wtime() - begin - longest_other(dev, &t);
}
