// attention.c - attention in tiles, a query to a lane.
//
// Scores are made transposed, S^T [keys, queries], so that the softmax runs down the keys with every lane minding its own
// query, and S^T is at once the packed right operand of O^T += V^T P^T. One panel holds TILE_COLS queries; a task takes QUERIES
// of them, PANELS panels, against blocks of KEYS keys:
//
//     scores [KEYS, TILE_COLS] = keys_by_row [KEYS, D] * queries [D, TILE_COLS]     left panels: TILE_ROWS keys, k over D
//     output [D, TILE_COLS] += values_by_col [D, KEYS] * scores                     left panels: TILE_ROWS of D, k over keys
//
// 1. Blocks of keys begin at multiples of KEYS from the sequence's start; masked scores count exactly 0. So a query's output does
//    not depend on the queries beside it.
// 2. Backwards a task is one sequence and one kv head: its query heads and their tiles follow in order, so dk and dv are summed
//    in an order that threads do not change.
// 3. Under bf16 both operands of every product are rounded as they are packed, the scores' panel too, which then is packed apart:
//    a panel of depth K has deep(K) rows. What is summed or scaled meanwhile stays float32. q, k, v and o may be stored as bfloat16.
// Source: Dao et al. 2022 (FlashAttention), algorithms 1 and 4, for the tiles; the layout is ours.
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/logarithm.h"

#include <omp.h>

enum {
    PANELS = QUERIES / TILE_COLS,
    KEYS = TILE_ROWS * 16, // keys_of in sizes.h
    PANEL_SCORES = KEYS * TILE_COLS,
};

_Static_assert(PANELS > 1, "the scores' second panel is where the first is packed");

// Sizes that all functions here need; strides in floats.
struct shape {
    int64_t T, D, q_stride, kv_stride;
    int64_t D_rows, T_rows; // D and T rounded up to TILE_ROWS
    int64_t D_cols;         // D rounded up to TILE_COLS
    int64_t n_tiles;        // of queries, in a sequence
    int group, window;      // query heads of a kv head
    float scale;
    bool bf16;
};

static struct shape shape_of(const struct device *dev, struct attention a)
{
    struct shape s = {
        .bf16 = dev->precision == PRECISION_BF16, .T = a.T, .D = a.head_dim, .group = a.n_head / a.n_kv_head, .window = a.window};
    s.q_stride = (int64_t)a.n_head * a.head_dim;
    s.kv_stride = (int64_t)a.n_kv_head * a.head_dim;
    s.D_rows = round_up(s.D, TILE_ROWS);
    s.T_rows = round_up(s.T, TILE_ROWS);
    s.D_cols = round_up(s.D, TILE_COLS);
    s.n_tiles = (s.T + QUERIES - 1) / QUERIES;
    s.scale = (float)(1 / __builtin_sqrt((double)a.head_dim));
    return s;
}

static int64_t deep(struct shape s, int64_t K)
{
    return panel_depth(s.bf16, K);
}

// The right operand that n rows [TILE_COLS] are: themselves, or packed into `packed`.
static const float *as_operand(struct shape s, const float *from, float *packed, int64_t n)
{
    if (!s.bf16)
        return from;
    cpu_pack_cols_bf16(packed, from, 1, TILE_COLS, TILE_COLS, n);
    return packed;
}

// [T, D] with k over D: T_rows * D floats.
static void pack_by_row(float *to, struct numbers from, struct shape s)
{
    for (int64_t t = 0; t < s.T; t += TILE_ROWS)
        pack_rows(s.bf16, to + t * deep(s, s.D), from_number(from, t * s.kv_stride), s.kv_stride, 1, min_i64(TILE_ROWS, s.T - t),
                  s.D);
}

// The transpose of [T, D], with k over T: D_rows * T floats.
static void pack_by_col(float *to, struct numbers from, struct shape s)
{
    for (int64_t d = 0; d < s.D; d += TILE_ROWS)
        pack_rows(s.bf16, to + d * deep(s, s.T), from_number(from, d), 1, s.kv_stride, min_i64(TILE_ROWS, s.D - d), s.T);
}

// Queries q0.. of one head as PANELS right operands [D, TILE_COLS].
static void pack_queries(float *to, struct numbers from, int64_t q0, struct shape s)
{
    for (int p = 0; p < PANELS; p++) {
        int64_t at = q0 + p * TILE_COLS, n = max_i64(0, min_i64(TILE_COLS, s.T - at));
        pack_cols(s.bf16, to + p * TILE_COLS * deep(s, s.D), from_number(from, n ? at * s.q_stride : 0), s.q_stride, 1, n, s.D);
    }
}

// The keys that queries q0..q0+TILE_COLS-1 may see among k0..k0+n-1, as a range of rows; *partly: some query does not see all.
static int64_t visible(struct shape s, int64_t q0, int64_t k0, int64_t n, bool *partly)
{
    int64_t last = q0 + TILE_COLS - 1;
    *partly = k0 + n - 1 > q0 || (s.window && k0 < last - s.window);
    if (k0 > last || (s.window && k0 + n - 1 < q0 - s.window))
        return 0;
    return min_i64(n, last + 1 - k0);
}

static int64_t first_block(struct shape s, int64_t q0)
{
    return s.window ? max_i64(0, q0 - s.window) / KEYS * KEYS : 0;
}

// 1 in the lanes of vector j whose query sees the key, as a mask of bits
static inline ivec sees(struct shape s, int64_t q0, int j, int64_t key)
{
    ivec query;
    for (int i = 0; i < LANES; i++)
        query[i] = (int32_t)(q0 - key) + j * LANES + i;
    ivec seen = query >= 0;
    if (s.window)
        seen &= query <= s.window;
    return seen;
}

static inline vec choose(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

// to [n, TILE_COLS] = n rows of the left panels times a right panel
static void scores(struct shape s, float *to, const float *left, const float *right, int64_t n)
{
    for (int64_t i = 0; i < n; i += TILE_ROWS)
        run_tile(s.bf16, s.D, left + i * deep(s, s.D), right, to + i * TILE_COLS, TILE_COLS, TILE_ROWS, TILE_COLS, false);
}

struct running {
    vec most[TILE_VECS], sum[TILE_VECS];
};

// Scores of one panel to unnormalised weights; `output` and the running sums are brought to the new maximum.
static void soften(float *score, float *output, struct running *run, struct shape s, int64_t q0, int64_t k0, int64_t n,
                   bool partly)
{
    const vec scale = splat(s.scale), nothing = splat(-__builtin_inff());
    for (int j = 0; j < TILE_VECS; j++) {
        float *column = score + j * LANES;
        vec most = run->most[j];
        for (int64_t i = 0; i < n; i++) {
            vec x = load(column + i * TILE_COLS) * scale;
            if (partly)
                x = choose(sees(s, q0, j, k0 + i), x, nothing);
            store(column + i * TILE_COLS, x);
            most = vec_max(most, x);
        }
        vec keep = vec_exp(run->most[j] - most), sum = {0};
        run->most[j] = most;
        for (int64_t i = 0; i < n; i++) {
            vec e = vec_exp(load(column + i * TILE_COLS) - most);
            store(column + i * TILE_COLS, e);
            sum += e;
        }
        run->sum[j] = run->sum[j] * keep + sum;
        for (int64_t d = 0; d < s.D_rows; d++)
            store(output + d * TILE_COLS + j * LANES, load(output + d * TILE_COLS + j * LANES) * keep);
    }
}

// to[q] [D] = column q of `from` [D, TILE_COLS]
static void write_columns(float *to, const float *from, int64_t q0, struct shape s)
{
    int64_t n = min_i64(TILE_COLS, s.T - q0);
    if (n > 0)
        cpu_transpose(to + q0 * s.q_stride, s.q_stride, from, TILE_COLS, s.D, n);
}

// The same where o is, rounded under bf16; turned: TILE_COLS * D floats.
static void write_output(struct numbers o, const float *from, float *turned, int64_t q0, struct shape s)
{
    int64_t n = min_i64(TILE_COLS, s.T - q0);
    if (!s.bf16) {
        write_columns((float *)o.data, from, q0, s);
        return;
    }
    if (n > 0)
        cpu_transpose(turned, s.D, from, TILE_COLS, s.D, n);
    for (int64_t i = 0; i < n; i++) {
        struct numbers to = from_number(o, (q0 + i) * s.q_stride);
        if (to.kept) {
            cpu_narrow((uint16_t *)to.data, turned + i * s.D, s.D);
            continue;
        }
        cpu_round(turned + i * s.D, s.D);
        memcpy((float *)to.data, turned + i * s.D, (size_t)s.D * sizeof *turned);
    }
}

// One tile of queries of one head. work: PANELS * (D + D_rows + KEYS) * TILE_COLS floats
static void forward_tile(struct numbers o, float *lse, int64_t lse_stride, struct numbers q, const float *keys,
                         const float *values, int64_t q0, struct shape s, float *work)
{
    float *queries = work, *output = queries + PANELS * s.D * TILE_COLS, *score = output + PANELS * s.D_rows * TILE_COLS;
    float *packed = score + PANEL_SCORES;
    int64_t first_value = deep(s, s.T), first_key = deep(s, s.D);
    struct running run[PANELS];
    pack_queries(queries, q, q0, s);
    memset(output, 0, (size_t)(PANELS * s.D_rows * TILE_COLS) * sizeof *output);
    for (int p = 0; p < PANELS; p++)
        for (int j = 0; j < TILE_VECS; j++) {
            run[p].most[j] = splat(-1e30f); // not infinite: a block that is masked whole must leave exp(0)
            run[p].sum[j] = (vec){0};
        }
    int64_t end = min_i64(q0 + QUERIES, s.T);
    for (int64_t k0 = first_block(s, q0); k0 < end; k0 += KEYS)
        for (int p = 0; p < PANELS; p++) {
            int64_t at = q0 + p * TILE_COLS;
            bool partly;
            int64_t n = visible(s, at, k0, min_i64(KEYS, end - k0), &partly);
            if (!n || at >= s.T)
                continue;
            float *out = output + p * s.D_rows * TILE_COLS;
            scores(s, score, keys + k0 * first_key, queries + p * TILE_COLS * first_key, n);
            soften(score, out, &run[p], s, at, k0, n, partly);
            const float *weights = as_operand(s, score, packed, n);
            for (int64_t d = 0; d < s.D; d += TILE_ROWS)
                run_tile(s.bf16, n, values + d * first_value + deep(s, k0) * TILE_ROWS, weights, out + d * TILE_COLS, TILE_COLS,
                         TILE_ROWS, TILE_COLS, true);
        }
    for (int p = 0; p < PANELS; p++) {
        int64_t at = q0 + p * TILE_COLS;
        float *out = output + p * s.D_rows * TILE_COLS, sum[TILE_COLS], most[TILE_COLS];
        for (int j = 0; j < TILE_VECS; j++) {
            vec inverse = 1.0f / run[p].sum[j];
            for (int64_t d = 0; d < s.D; d++)
                store(out + d * TILE_COLS + j * LANES, load(out + d * TILE_COLS + j * LANES) * inverse);
            store(sum + j * LANES, run[p].sum[j]);
            store(most + j * LANES, run[p].most[j]);
        }
        write_output(o, out, queries, at, s);
        for (int64_t i = 0; i < TILE_COLS && at + i < s.T; i++)
            lse[(at + i) * lse_stride] = (float)((double)most[i] + natural_log(sum[i]));
    }
}

void cpu_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                   struct attention a)
{
    struct shape s = shape_of(dev, a);
    int64_t keys_floats = round_up(s.T_rows * s.D, 16), values_floats = round_up(s.D_rows * s.T, 16);
    const struct tile_size size = {TILE_ROWS, TILE_COLS};
    int64_t work_floats = PANELS * (s.D + s.D_rows + KEYS) * TILE_COLS, tiles_in_sequence = a.n_head * s.n_tiles;
    // Sequences packed at a time: enough tasks for the threads, no more memory than that takes.
    int64_t batch = min_i64(a.B, (16 * dev->n_threads + tiles_in_sequence - 1) / tiles_in_sequence);
    int64_t packed = a.n_kv_head * (keys_floats + values_floats); // of a sequence
    int64_t n_floats = attention_floats(size, dev->n_threads, a.B, s.T, s.D, a.n_head, a.n_kv_head);
    float *work = device_workspace(dev, (size_t)n_floats * sizeof *work, "attention");
    if (!work)
        return;
    float *lse_ = lse.data, *scratch = work + batch * packed;
    bool parallel = worth_threads(dev, a.B * (int64_t)a.n_head * s.T * s.T * (s.D + WORK_EXP / 2));
#pragma omp parallel num_threads(dev->n_threads) if (parallel)
    for (int64_t b0 = 0; b0 < a.B; b0 += batch) {
        int64_t n = min_i64(batch, a.B - b0);
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < n * a.n_kv_head * 2; i++) {
            int64_t b = i / 2 / a.n_kv_head, h = i / 2 % a.n_kv_head;
            float *keys = work + b * packed + h * (keys_floats + values_floats);
            int64_t from = (b0 + b) * s.T * s.kv_stride + h * s.D;
            if (i % 2)
                pack_by_col(keys + keys_floats, from_number(numbers_of(v), from), s);
            else
                pack_by_row(keys, from_number(numbers_of(k), from), s);
        }
        // The last tiles see most keys: longest first.
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < n * tiles_in_sequence; i++) {
            int64_t tile = s.n_tiles - 1 - i / (n * a.n_head), b = i % (n * a.n_head) / a.n_head, h = i % a.n_head;
            float *keys = work + b * packed + h / s.group * (keys_floats + values_floats);
            int64_t row = (b0 + b) * s.T, at = row * s.q_stride + h * s.D;
            forward_tile(from_number(numbers_of(o), at), lse_ + row * a.n_head + h, a.n_head, from_number(numbers_of(q), at),
                         keys, keys + keys_floats, tile * QUERIES, s, scratch + omp_get_thread_num() * work_floats);
        }
    }
}

// --- backward ------------------------------------------------------------------------------------------------------------------

// Where one thread keeps the operands of a kv head and of a tile of queries.
struct back_work {
    float *keys_by_row, *values_by_row, *keys_by_col;
    float *queries, *douts;        // PANELS x [D, TILE_COLS]
    float *query_rows, *dout_rows; // D_cols / TILE_COLS panels x [QUERIES, TILE_COLS]
    float *dqueries;               // PANELS x [D_rows, TILE_COLS]
    float *weights, *dscores;      // PANELS x [KEYS, TILE_COLS]
    float *turned;                 // KEYS / TILE_ROWS panels x [QUERIES, TILE_ROWS]; before that, under bf16, dscores packed
};

// With base NULL only measures; in floats.
static int64_t lay_out(struct back_work *w, float *base, struct shape s)
{
    int64_t sizes[] = {s.T_rows * s.D,     s.T_rows * s.D,     s.D_rows * s.T, QUERIES * s.D,  QUERIES * s.D, s.D_cols * QUERIES,
                       s.D_cols * QUERIES, QUERIES * s.D_rows, QUERIES * KEYS, QUERIES * KEYS, QUERIES * KEYS};
    float **parts[] = {&w->keys_by_row, &w->values_by_row, &w->keys_by_col, &w->queries, &w->douts, &w->query_rows,
                       &w->dout_rows,   &w->dqueries,      &w->weights,     &w->dscores, &w->turned};
    int64_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (base)
            *parts[i] = base + at;
        at += round_up(sizes[i], 16);
    }
    return at;
}

// Rows of queries as right operands with k over queries.
static void pack_rows_of_queries(float *to, struct numbers from, int64_t q0, struct shape s)
{
    int64_t n = min_i64(QUERIES, s.T - q0);
    for (int64_t d = 0; d < s.D; d += TILE_COLS) {
        float *panel = to + d * deep(s, QUERIES);
        pack_cols(s.bf16, panel, from_number(from, q0 * s.q_stride + d), 1, s.q_stride, min_i64(TILE_COLS, s.D - d), n);
        memset(panel + deep(s, n) * TILE_COLS, 0, (size_t)((deep(s, QUERIES) - deep(s, n)) * TILE_COLS) * sizeof *to);
    }
}

// weights = exp(scale * scores - lse), dscores = scale * weights * (dweights - delta), both in place, for n keys of one panel.
static void harden(float *weight, float *dscore, const float *lse, const float *delta, struct shape s, int64_t q0, int64_t k0,
                   int64_t n, bool partly)
{
    const vec scale = splat(s.scale);
    for (int j = 0; j < TILE_VECS; j++) {
        vec log_sum = load(lse + j * LANES), mean = load(delta + j * LANES);
        for (int64_t i = 0; i < n; i++) {
            int64_t at = i * TILE_COLS + j * LANES;
            vec p = vec_exp(load(weight + at) * scale - log_sum);
            if (partly)
                p = (vec)((ivec)p & sees(s, q0, j, k0 + i));
            store(weight + at, p);
            store(dscore + at, p * (load(dscore + at) - mean) * scale);
        }
    }
}

// to [keys k0.., D] += from^T [keys, queries of panels p0..p1-1] * rows [queries, D]
static void add_to_keys(float *to, const float *from, const float *rows, float *turned, int64_t k0, int64_t n, int p0, int p1,
                        struct shape s)
{
    int64_t K = (p1 - p0) * TILE_COLS;
    for (int64_t i = 0; i < n; i += TILE_ROWS) {
        for (int p = p0; p < p1; p++)
            pack_rows(s.bf16, turned + (p - p0) * deep(s, TILE_COLS) * TILE_ROWS,
                      (struct numbers){from + p * PANEL_SCORES + i * TILE_COLS, false}, TILE_COLS, 1, TILE_ROWS, TILE_COLS);
        for (int64_t d = 0; d < s.D; d += TILE_COLS)
            run_tile(s.bf16, K, turned, rows + d * deep(s, QUERIES) + p0 * deep(s, TILE_COLS) * TILE_COLS,
                     to + (k0 + i) * s.kv_stride + d, s.kv_stride, (int)min_i64(TILE_ROWS, s.T - k0 - i),
                     (int)min_i64(TILE_COLS, s.D - d), true);
    }
}

struct back {
    float *dq, *dk, *dv;
    struct numbers dout, q, o;
    const float *lse;
    int64_t lse_stride;
};

// One tile of queries of one head, all its keys: pointers stand at the sequence and head.
static void backward_tile(struct back b, int64_t q0, struct shape s, struct back_work *w)
{
    float lse[QUERIES], delta[QUERIES];
    for (int64_t i = 0; i < QUERIES; i++) {
        lse[i] = 1e30f; // a query past the end gives its keys no weight
        delta[i] = 0;
        if (q0 + i >= s.T)
            continue;
        const float *dout = from_number(b.dout, (q0 + i) * s.q_stride).data;
        const float *o = read_numbers(from_number(b.o, (q0 + i) * s.q_stride), s.D, w->query_rows);
        vec sum = {0};
        int64_t d = 0;
        for (; d + LANES <= s.D; d += LANES)
            sum += load(o + d) * load(dout + d);
        if (d < s.D)
            sum += load_part(o + d, s.D - d, 0) * load_part(dout + d, s.D - d, 0);
        delta[i] = vec_sum(sum);
        lse[i] = b.lse[(q0 + i) * b.lse_stride];
    }
    pack_queries(w->queries, b.q, q0, s);
    pack_queries(w->douts, b.dout, q0, s);
    pack_rows_of_queries(w->query_rows, b.q, q0, s);
    pack_rows_of_queries(w->dout_rows, b.dout, q0, s);
    memset(w->dqueries, 0, (size_t)(QUERIES * s.D_rows) * sizeof *w->dqueries);

    int64_t end = min_i64(q0 + QUERIES, s.T);
    for (int64_t k0 = first_block(s, q0); k0 < end; k0 += KEYS) {
        int64_t block = min_i64(KEYS, end - k0), longest = 0;
        int p0 = PANELS, p1 = 0;
        for (int p = 0; p < PANELS; p++) {
            int64_t at = q0 + p * TILE_COLS;
            bool partly;
            int64_t n = at < s.T ? visible(s, at, k0, block, &partly) : 0;
            if (!n)
                continue;
            float *weight = w->weights + p * PANEL_SCORES, *dscore = w->dscores + p * PANEL_SCORES;
            scores(s, weight, w->keys_by_row + k0 * deep(s, s.D), w->queries + p * TILE_COLS * deep(s, s.D), n);
            scores(s, dscore, w->values_by_row + k0 * deep(s, s.D), w->douts + p * TILE_COLS * deep(s, s.D), n);
            harden(weight, dscore, lse + p * TILE_COLS, delta + p * TILE_COLS, s, at, k0, n, partly);
            // Rows that the panels after this one fill further down must count 0 here.
            memset(weight + n * TILE_COLS, 0, (size_t)((KEYS - n) * TILE_COLS) * sizeof *weight);
            memset(dscore + n * TILE_COLS, 0, (size_t)((KEYS - n) * TILE_COLS) * sizeof *dscore);
            const float *right = as_operand(s, dscore, w->turned, n);
            for (int64_t d = 0; d < s.D; d += TILE_ROWS)
                run_tile(s.bf16, n, w->keys_by_col + d * deep(s, s.T) + deep(s, k0) * TILE_ROWS, right,
                         w->dqueries + (p * s.D_rows + d) * TILE_COLS, TILE_COLS, TILE_ROWS, TILE_COLS, true);
            longest = max_i64(longest, n);
            p0 = p < p0 ? p : p0;
            p1 = p + 1;
        }
        if (p0 < p1) {
            add_to_keys(b.dv, w->weights, w->dout_rows, w->turned, k0, longest, p0, p1, s);
            add_to_keys(b.dk, w->dscores, w->query_rows, w->turned, k0, longest, p0, p1, s);
        }
    }
    for (int p = 0; p < PANELS; p++)
        write_columns(b.dq, w->dqueries + p * s.D_rows * TILE_COLS, q0 + p * TILE_COLS, s);
}

void cpu_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                        struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse, struct attention a)
{
    struct shape s = shape_of(dev, a);
    struct back_work measure = {0};
    int64_t work_floats = lay_out(&measure, NULL, s), n_tasks = (int64_t)a.B * a.n_kv_head;
    float *work = device_workspace(dev, (size_t)(dev->n_threads * work_floats) * sizeof *work, "attention_back");
    if (!work)
        return;
    float *dq_ = dq.data, *dk_ = dk.data, *dv_ = dv.data;
    const float *lse_ = lse.data;
#pragma omp parallel for num_threads(dev->n_threads)                                                                             \
    schedule(dynamic, 1) if (worth_threads(dev, n_tasks * s.group * s.T * s.T * (2 * s.D + WORK_EXP / 2)))
    for (int64_t task = 0; task < n_tasks; task++) {
        int64_t row = task / a.n_kv_head * s.T, kv_head = task % a.n_kv_head, kv = row * s.kv_stride + kv_head * s.D;
        struct back_work w = {0};
        lay_out(&w, work + omp_get_thread_num() * work_floats, s);
        struct numbers keys = from_number(numbers_of(k), kv);
        pack_by_row(w.keys_by_row, keys, s);
        pack_by_row(w.values_by_row, from_number(numbers_of(v), kv), s);
        pack_by_col(w.keys_by_col, keys, s);
        for (int64_t t = 0; t < s.T; t++) {
            memset(dk_ + kv + t * s.kv_stride, 0, (size_t)s.D * sizeof *dk_);
            memset(dv_ + kv + t * s.kv_stride, 0, (size_t)s.D * sizeof *dv_);
        }
        for (int64_t h = kv_head * s.group; h < (kv_head + 1) * s.group; h++) {
            int64_t at = row * s.q_stride + h * s.D;
            struct back b = {.dq = dq_ + at,
                             .dk = dk_ + kv,
                             .dv = dv_ + kv,
                             .dout = from_number(numbers_of(dout), at),
                             .q = from_number(numbers_of(q), at),
                             .o = from_number(numbers_of(o), at),
                             .lse = lse_ + row * a.n_head + h,
                             .lse_stride = a.n_head};
            for (int64_t q0 = 0; q0 < s.T; q0 += QUERIES)
                backward_tile(b, q0, s, &w);
        }
    }
}
