// count.c - the table that computes nothing: it adds up what the step run on it would cost.
//
// FLOPs      2 for each multiply-add of a product, attention over visible pairs of query and key only; else one for each
//            addition, multiplication, division, root or exponential of the formula in kernels.h. Scores computed again in the
//            backward pass are part of the formula and count; what a kernel does beyond it, on masked pairs or twice, does not
// Bytes      each operand once, whatever a cache makes of it; += reads and writes; of a table of rows, the rows touched
// Seconds    what device_set_rates gives: arithmetic and bytes one after the other, for a product packs its operands first
// Memory     device.c keeps positions; workspace is asked for here as the cpu table asks at its widest tiles (cpu/sizes.h); prepared
//            weights of bf16 are those of this processor: bfloat16 if it multiplies that, else copies for decoding alone, in float32
// Decoding   positions are not known here: a query is counted against the whole capacity, or the window
#include "kernels/cpu/sizes.h"
#include "kernels/table.h"

#include <stddef.h>

static double size(struct tensor t)
{
    return (double)t.rows * (double)t.cols;
}

// What of t goes through memory, in elements of four bytes.
static double moved(struct tensor t)
{
    return t.dtype == DTYPE_BF16 ? size(t) / 2 : size(t);
}

// Of so many rows of a weight that x w^T reads.
static double weight_moved(const struct weight *w, int64_t rows)
{
    return (double)rows * (double)w->master.cols / (w->prepared.dtype == DTYPE_BF16 ? 2 : 1);
}

static void spend_on(struct device *dev, enum count_class class, double flops, double elements)
{
    const struct device_rates *r = &dev->rates;
    dev->counts.flops += flops;
    dev->counts.flops_of[class] += flops;
    dev->counts.bytes += 4 * elements;
    if (r->bytes > 0)
        dev->counts.seconds += r->start_s + (r->flops_of[class] > 0 ? flops / r->flops_of[class] : 0) + 4 * elements / r->bytes;
}

static void spend(struct device *dev, double flops, double elements)
{
    spend_on(dev, COUNT_OTHER, flops, elements);
}

static void spend_product(struct device *dev, double flops, double elements)
{
    spend_on(dev, COUNT_PRODUCTS, flops, elements);
}

// --- workspace, in the sizes of the cpu table with 512-bit vectors ----------------------------------------------------------

enum { TILE_ROWS = 8, TILE_COLS = 32 };

static const struct tile_size tile = {TILE_ROWS, TILE_COLS};

// Floats packed by a product of [M,K] and [K,N].
static int64_t packed_floats(const struct device *dev, int64_t M, int64_t N, int64_t K, int64_t segment)
{
    return product_floats(tile, dev->n_threads, M, N, K, segment);
}

static void work(struct device *dev, int64_t floats, const char *op)
{
    device_workspace(dev, (size_t)floats * 4, op);
}

// Rows of n numbers that each thread widens, where t is bfloat16.
static void scratch_rows(struct device *dev, struct tensor t, int64_t n, const char *op)
{
    if (t.dtype == DTYPE_BF16)
        work(dev, dev->n_threads * round_up(n, 16), op);
}

// --- rows and elements ------------------------------------------------------------------------------------------------------

static void count_embed(struct device *dev, struct tensor x, const struct weight *table, struct tensor ids)
{
    spend(dev, 0, moved(x) + (table->master.dtype == DTYPE_BF16 ? size(x) / 2 : size(x)) + size(ids));
}

static void count_embed_back(struct device *dev, struct tensor dtable, struct tensor dx, struct tensor ids)
{
    (void)dtable;
    spend(dev, size(dx), 3 * size(dx) + size(ids));
}

static void count_zero(struct device *dev, struct tensor y)
{
    spend(dev, 0, size(y));
}

static void count_copy(struct device *dev, struct tensor y, struct tensor x)
{
    spend(dev, 0, moved(y) + moved(x));
}

static void count_add(struct device *dev, struct tensor y, struct tensor x)
{
    spend(dev, size(x), 2 * size(y) + size(x));
}

static void count_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps)
{
    (void)eps;
    spend(dev, 3 * size(x) + 4 * size(rstd), moved(y) + size(x) + size(rstd));
    scratch_rows(dev, y, y.cols, "norm");
}

static void count_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd)
{
    spend(dev, 6 * size(dy) + size(rstd), 2 * size(dx) + size(dy) + moved(y) + size(rstd));
    scratch_rows(dev, y, y.cols, "norm_back");
}

static void count_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                              struct tensor sine, struct tensor positions, int n_head, float eps, float scale)
{
    (void)n_head;
    (void)eps;
    (void)scale;
    (void)sine;
    double table_rows = size(positions) * 2 * (double)cosine.cols;
    spend(dev, 6 * size(x) + 5 * size(rstd), moved(y) + size(x) + size(rstd) + size(positions) + table_rows);
    scratch_rows(dev, y, y.cols, "rotary_norm");
}

static void count_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                                   struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale)
{
    (void)n_head;
    (void)scale;
    (void)sine;
    double table_rows = size(positions) * 2 * (double)cosine.cols;
    spend(dev, 8 * size(dy) + 2 * size(rstd), size(dx) + size(dy) + moved(y) + size(rstd) + size(positions) + table_rows);
    scratch_rows(dev, y, y.cols, "rotary_norm_back");
}

// --- what is added to the residual stream and to the values -------------------------------------------------------------------

static void count_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b,
                      float sign)
{
    (void)sign;
    spend(dev, (a.rows ? 3 : 2) * size(x), size(y) + size(x) + size(z) + size(a) + size(b));
}

static void count_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db,
                           struct tensor dy, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign,
                           int T)
{
    (void)sign;
    (void)T;
    double of_x = da.rows ? size(x) : 0;
    spend(dev, 4 * size(dy) + 3 * of_x, size(dx) + 2 * size(dz) + size(dy) + size(z) + of_x + 3 * (size(a) + size(b)));
    (void)db;
    work(dev, 2 * dy.rows, "mix_back");
}

static void count_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
                        struct tensor lambda, int T)
{
    (void)T;
    double K = (double)gate->master.cols;
    spend(dev, 2 * size(e) + (2 * K + 4) * size(s), size(x) + size(s) + size(e) + K + size(lambda));
}

static void count_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                             struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T)
{
    (void)lambda;
    (void)T;
    double K = (double)gate->master.cols;
    spend(dev, 4 * size(de) + (4 * K + 7) * size(s),
          size(de) + size(dx) + size(e) + size(s) + K + 1 + 2 * (size(dgate) + size(dlambda)));
    work(dev, 2 * (e.rows + gate->master.cols), "smear_back");
}

static void count_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                              struct tensor ids, const struct weight *gate, float gain)
{
    (void)table;
    (void)gain;
    double K = (double)gate->master.cols;
    spend(dev, size(v) + (2 * K + 4) * size(s), 2 * size(v) + size(s) + (double)x.rows * K + size(ids) + size(gate->master));
    scratch_rows(dev, x, gate->master.cols, "value_embed");
}

static void count_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate,
                                   struct tensor dv, struct tensor s, struct tensor x, const struct weight *table,
                                   struct tensor ids, const struct weight *gate, float gain, int T)
{
    (void)dtable;
    (void)table;
    (void)gain;
    (void)T;
    double K = (double)gate->master.cols;
    spend(dev, 4 * size(dv) + (4 * K + 5) * size(s),
          2 * (double)dx.rows * K + (double)x.rows * K + 4 * size(dv) + size(s) + size(ids) + size(gate->master) +
              2 * size(dgate));
    int64_t widened = x.dtype == DTYPE_BF16 ? x.rows * gate->master.cols : 0;
    work(dev, 2 * gate->master.rows * gate->master.cols + s.rows * s.cols + widened, "value_embed_back");
}

// --- products ---------------------------------------------------------------------------------------------------------------

static void count_weight_prepare(struct device *dev, struct weight *w)
{
    if (w->prepared.rows)
        spend(dev, 0, size(w->master) + moved(w->prepared));
}

static void count_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add)
{
    spend_product(dev, 2 * size(y) * (double)x.cols, moved(x) + weight_moved(w, w->master.rows) + (add ? 2 : 1) * size(y));
    work(dev, packed_floats(dev, y.rows, y.cols, x.cols, 0), "matmul");
}

static void count_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w)
{
    spend_product(dev, 2 * size(a) * (double)x.cols + 2 * size(a),
                  moved(x) + weight_moved(w, w->master.rows) + moved(r) + moved(a));
    int64_t rows = a.dtype == DTYPE_BF16 ? min_i64(a.rows, RELU2_ROWS) : a.rows, sums = a.dtype == DTYPE_BF16 ? rows * a.cols : 0;
    work(dev, round_up(sums, 16) + packed_floats(dev, rows, a.cols, x.cols, 0), "matmul_relu2");
}

static void count_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r)
{
    spend(dev, 2 * size(dh), size(dh) + size(da) + moved(r));
}

static void count_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add)
{
    spend_product(dev, 2 * size(dx) * (double)dy.cols, size(dy) + size(w->master) + (add ? 2 : 1) * size(dx));
    work(dev, packed_floats(dev, dx.rows, dx.cols, dy.cols, 0), "matmul_dx");
}

static void count_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T)
{
    spend_product(dev, 2 * size(dy) * (double)x.cols, 2 * size(dw) + size(dy) + moved(x));
    work(dev, packed_floats(dev, dw.rows, dw.cols, x.rows, T), "matmul_dw");
}

// --- attention --------------------------------------------------------------------------------------------------------------

// Pairs (query, key) of one head of one sequence: query t sees min(t, window) + 1 keys.
static double visible_pairs(struct attention a)
{
    double T = a.T, w = a.window && a.window < a.T ? a.window : a.T - 1;
    return (w + 1) * (w + 2) / 2 + (T - w - 1) * (w + 1);
}

// A pair costs two products of D, and beside them scale, difference from the maximum, exponential and sum.
static void count_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k,
                            struct tensor v, struct attention a)
{
    double pairs = visible_pairs(a) * a.B * a.n_head;
    spend_on(dev, COUNT_ATTENTION, pairs * (4.0 * a.head_dim + 4) + size(o),
             moved(o) + size(lse) + moved(q) + moved(k) + moved(v));
    work(dev, attention_floats(tile, dev->n_threads, a.B, a.T, a.head_dim, a.n_head, a.n_kv_head), "attention");
}

// Five products of D: the scores again, dp, dv, dq and dk; beside them exponential, difference, two scales and a product.
static void count_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                                 struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse,
                                 struct attention a)
{
    double pairs = visible_pairs(a) * a.B * a.n_head;
    spend_on(dev, COUNT_ATTENTION, pairs * (10.0 * a.head_dim + 5) + 2 * size(o),
             size(dq) + size(dk) + size(dv) + size(dout) + moved(q) + moved(k) + moved(v) + moved(o) + size(lse));

    int64_t D = a.head_dim, D_rows = round_up(D, TILE_ROWS), D_cols = round_up(D, TILE_COLS), T_rows = round_up(a.T, TILE_ROWS);
    int64_t floats = 2 * T_rows * D + D_rows * a.T + QUERIES * (2 * D + 2 * D_cols + D_rows + 3 * keys_of(tile));
    work(dev, dev->n_threads * round_up(floats, 16), "attention_back");
}

static void count_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots,
                            struct tensor positions, int capacity)
{
    (void)capacity;
    spend(dev, 0, moved(x) + (cache.dtype == DTYPE_BF16 ? size(x) / 2 : size(x)) + size(slots) + size(positions));
}

static void count_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache,
                                   struct tensor v_cache, struct tensor slots, struct tensor positions, struct attention a)
{
    (void)v_cache;
    double moves = k_cache.dtype == DTYPE_BF16 ? 1 : 2; // keys and values, in elements of four bytes
    double keys = a.window && a.window < a.T ? a.window + 1 : a.T;
    spend_on(dev, COUNT_ATTENTION, keys * a.B * a.n_head * (4.0 * a.head_dim + 4) + size(o),
             size(o) + size(q) + size(slots) + size(positions) + moves * keys * a.B * (double)k_cache.cols);
    if (dev->precision == PRECISION_BF16)
        work(dev, q.rows * q.cols, "attention_decode");
}

// --- loss -------------------------------------------------------------------------------------------------------------------

static void count_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab,
                         float cap)
{
    (void)n_vocab;
    spend_product(dev, 2 * size(logits) * (double)x.cols + (cap > 0 ? 3 : 0) * size(logits),
                  moved(x) + weight_moved(w, logits.cols) + size(logits));
    work(dev, packed_floats(dev, logits.rows, logits.cols, x.cols, 0), "logits");
}

// A logit costs cap, difference, exponential and sum; with gradients, again the exponential, and three products.
static void count_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
                       const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T)
{
    double logits = (double)x.rows * n_vocab, C = (double)x.cols, head = n_vocab * C, small = cap > 0 ? 6 : 3;
    bool has_gradients = dw.rows > 0;
    spend_product(dev, logits * (2 * C + small),
                  moved(x) + weight_moved(w, n_vocab) + size(losses) + size(targets) + size(weights));
    if (has_gradients)
        spend_product(dev, logits * (4 * C + small), size(dx) + 2 * head);

    int64_t rows = min_i64(T <= LOSS_ROWS ? LOSS_ROWS / T * T : LOSS_ROWS, x.rows), c = x.cols;
    int64_t blocks = (n_vocab + LOSS_WORDS - 1) / LOSS_WORDS, slices = min_i64(blocks, LOSS_SLICES);
    int64_t panel_rows = round_up(rows, TILE_ROWS), panel_cols = round_up(c, TILE_COLS);
    int64_t own = min_i64(c, BLOCK_K) * TILE_COLS + (has_gradients ? 0 : rows * LOSS_WORDS);
    int64_t shared = 2 * blocks * rows + panel_rows * c;
    if (has_gradients) {
        own = max_i64(own, LOSS_WORDS * (panel_cols + panel_rows + min_i64(rows, BLOCK_K)));
        shared += blocks * rows * LOSS_WORDS + rows * panel_cols + slices * rows * c;
    }
    work(dev, shared + 2 * rows + dev->n_threads * own, "loss");
}

// --- optimizer --------------------------------------------------------------------------------------------------------------

static void count_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm)
{
    (void)max_norm;
    int64_t largest = 1;
    for (int i = 0; i < n; i++) {
        spend(dev, 2 * size(gradients[i]), size(gradients[i]));
        largest = max_i64(largest, gradients[i].rows * gradients[i].cols);
    }
    work(dev, 2 * ((largest + FLAT_BLOCK - 1) / FLAT_BLOCK), "clip");
}

static void count_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a)
{
    (void)a;
    spend(dev, 16 * size(p), 2 * (size(p) + size(m) + size(v)) + size(g));
}

// Five steps of X X^T, A A and B X, and the polynomial and scaling between them.
static void spend_newton_schulz(struct device *dev, int64_t rows, int64_t cols)
{
    double m = (double)min_i64(rows, cols), n = (double)max_i64(rows, cols);
    spend_product(dev, 5 * (4 * m * m * n + 2 * m * m * m + 3 * m * m + 2 * m * n) + 3 * m * n, 2 * m * n);
}

static int64_t newton_schulz_floats(const struct device *dev, int64_t rows, int64_t cols)
{
    int64_t s = min_i64(rows, cols), l = max_i64(rows, cols);
    int64_t widest =
        max_i64(packed_floats(dev, s, s, l, 0), max_i64(packed_floats(dev, rows, cols, s, 0), packed_floats(dev, s, s, s, 0)));
    int64_t sums = max_i64((rows * cols + FLAT_BLOCK - 1) / FLAT_BLOCK, max_i64(rows, cols));
    return rows * cols + 2 * s * s + 2 * sums + widest;
}

static void count_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration)
{
    (void)iteration;
    spend_newton_schulz(dev, x.rows, x.cols);
    work(dev, newton_schulz_floats(dev, x.rows, x.cols), "newton_schulz");
}

static void count_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon)
{
    // A sum of squares is 2 an element, a scaling 1; decay's comparison and product 4.
    double more =
        (muon.even_rows ? 3 : 0) + (muon.fixed_norm ? 3 : 0) + (muon.beta2 > 0 ? 3 : 0) + (muon.weight_decay > 0 ? 4 : 0);
    for (int i = 0; i < n; i++) {
        // momentum, Nesterov and clipping 7, the update 2; p, momentum read and written, g read (the product writes it)
        spend(dev, (9 + more) * size(matrices[i].p), 5 * size(matrices[i].p) + 2 * size(matrices[i].variance));
        spend_newton_schulz(dev, matrices[i].p.rows, matrices[i].p.cols);
    }
    if (n < 1)
        return;
    int64_t rows = matrices[0].p.rows, cols = matrices[0].p.cols, floats = newton_schulz_floats(dev, rows, cols);
    struct device alone = {.n_threads = 1};
    if (muon_apart(n, rows * cols, dev->n_threads))
        floats = max_i64(floats, dev->n_threads * round_up(newton_schulz_floats(&alone, rows, cols), 16));
    work(dev, floats, "muon");
}

const struct table table_count = {
    .isa = "count",
    .dtype = DTYPE_F32,
    .panel_cols = TILE_COLS,
    .embed = count_embed,
    .embed_back = count_embed_back,
    .zero = count_zero,
    .copy = count_copy,
    .add = count_add,
    .norm = count_norm,
    .norm_back = count_norm_back,
    .rotary_norm = count_rotary_norm,
    .rotary_norm_back = count_rotary_norm_back,
    .mix = count_mix,
    .mix_back = count_mix_back,
    .smear = count_smear,
    .smear_back = count_smear_back,
    .value_embed = count_value_embed,
    .value_embed_back = count_value_embed_back,
    .weight_prepare = count_weight_prepare,
    .matmul = count_matmul,
    .matmul_relu2 = count_matmul_relu2,
    .relu2_back = count_relu2_back,
    .matmul_dx = count_matmul_dx,
    .matmul_dw = count_matmul_dw,
    .attention = count_attention,
    .attention_back = count_attention_back,
    .cache_put = count_cache_put,
    .attention_decode = count_attention_decode,
    .logits = count_logits,
    .loss = count_loss,
    .clip = count_clip,
    .adamw = count_adamw,
    .muon = count_muon,
    .newton_schulz = count_newton_schulz,
};
