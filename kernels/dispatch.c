// dispatch.c - the op_ calls: arguments are checked here once, for every table, then the device's table does the work.
//
// 1. After a fault nothing runs, so a caller may look at the fault once a step.
// 2. A table's function sees only shapes and types that kernels.h allows, ids inside their range, and at least one row.
// 3. On count there is no data: what is checked is shapes and types, so a plan finds a model that does not fit together.
#include "kernels/table.h"

static bool is_faulty(const struct device *dev)
{
    return dev->fault.kind != FAULT_NONE;
}

static const char *dtype_name(enum dtype dtype)
{
    return dtype == DTYPE_F32 ? "f32" : dtype == DTYPE_F64 ? "f64" : "i32";
}

// Whether t is [rows,cols] of the device's type, with data where there is anything to hold.
static bool shaped(struct device *dev, const char *op, const char *name, struct tensor t, int64_t rows, int64_t cols)
{
    if (t.rows != rows || t.cols != cols || t.dtype != device_dtype(dev)) {
        device_set_fault(dev, FAULT_DEVICE, op, "%s is [%lld,%lld] %s, needed is [%lld,%lld] %s", name, (long long)t.rows,
                         (long long)t.cols, dtype_name(t.dtype), (long long)rows, (long long)cols, dtype_name(device_dtype(dev)));
        return false;
    }
    if (!t.data && rows && cols && dev->kind != DEVICE_COUNT) {
        device_set_fault(dev, FAULT_DEVICE, op, "%s has no data", name);
        return false;
    }
    return true;
}

// Whether t has n ids, each of low .. high-1.
static bool ids_within(struct device *dev, const char *op, const char *name, struct tensor t, int64_t n, int64_t low,
                       int64_t high)
{
    if (t.rows * t.cols != n || t.dtype != DTYPE_I32 || (!t.data && n && dev->kind != DEVICE_COUNT)) {
        device_set_fault(dev, FAULT_DEVICE, op, "%s is [%lld,%lld] %s%s, needed are %lld ids", name, (long long)t.rows,
                         (long long)t.cols, dtype_name(t.dtype), t.data ? "" : " without data", (long long)n);
        return false;
    }
    const int32_t *id = t.data;
    for (int64_t i = 0; id && i < n; i++)
        if (id[i] < low || id[i] >= high) {
            device_set_fault(dev, FAULT_DEVICE, op, "%s[%lld] is %d, outside of %lld .. %lld", name, (long long)i, id[i],
                             (long long)low, (long long)high - 1);
            return false;
        }
    return true;
}

// A size or a number that is wrong by itself.
static bool holds(struct device *dev, const char *op, bool condition, const char *what)
{
    if (!condition)
        device_set_fault(dev, FAULT_DEVICE, op, "%s", what);
    return condition;
}

static bool apart(struct device *dev, const char *op, struct tensor a, struct tensor b, const char *what)
{
    return holds(dev, op, !a.data || a.data != b.data, what);
}

static bool heads_divide(struct device *dev, const char *op, int64_t cols, int n_head)
{
    return holds(dev, op, n_head > 0 && cols > 0 && cols % n_head == 0, "n_head does not divide the columns");
}

static bool attention_sizes(struct device *dev, const char *op, struct attention a)
{
    return holds(dev, op, a.B >= 0 && a.T > 0, "B must be at least 0 and T at least 1") &&
           holds(dev, op, a.n_head > 0 && a.n_kv_head > 0 && a.n_head % a.n_kv_head == 0, "n_kv_head does not divide n_head") &&
           holds(dev, op, a.head_dim > 0 && a.window >= 0, "head_dim must be at least 1 and window at least 0");
}

// --- rows of a table --------------------------------------------------------------------------------------------------------

void op_embed(struct device *dev, struct tensor x, const struct weight *table, struct tensor ids)
{
    const char *op = "embed";
    if (is_faulty(dev) || !shaped(dev, op, "table", table->master, table->master.rows, x.cols) ||
        !shaped(dev, op, "x", x, x.rows, x.cols) || !ids_within(dev, op, "ids", ids, x.rows, 0, table->master.rows) || !x.rows)
        return;
    dev->table->embed(dev, x, table, ids);
}

void op_embed_back(struct device *dev, struct tensor dtable, struct tensor dx, struct tensor ids)
{
    const char *op = "embed_back";
    if (is_faulty(dev) || !shaped(dev, op, "dtable", dtable, dtable.rows, dx.cols) ||
        !shaped(dev, op, "dx", dx, dx.rows, dx.cols) || !ids_within(dev, op, "ids", ids, dx.rows, 0, dtable.rows) || !dx.rows)
        return;
    dev->table->embed_back(dev, dtable, dx, ids);
}

// --- elementwise ------------------------------------------------------------------------------------------------------------

void op_zero(struct device *dev, struct tensor y)
{
    if (is_faulty(dev) || !shaped(dev, "zero", "y", y, y.rows, y.cols) || !y.rows)
        return;
    dev->table->zero(dev, y);
}

void op_copy(struct device *dev, struct tensor y, struct tensor x)
{
    const char *op = "copy";
    if (is_faulty(dev) || !shaped(dev, op, "x", x, x.rows, x.cols) || !shaped(dev, op, "y", y, x.rows, x.cols) || !x.rows)
        return;
    dev->table->copy(dev, y, x);
}

void op_add(struct device *dev, struct tensor y, struct tensor x)
{
    const char *op = "add";
    if (is_faulty(dev) || !shaped(dev, op, "x", x, x.rows, x.cols) || !shaped(dev, op, "y", y, x.rows, x.cols) || !x.rows)
        return;
    dev->table->add(dev, y, x);
}

// --- norm -------------------------------------------------------------------------------------------------------------------

void op_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps)
{
    const char *op = "norm";
    if (is_faulty(dev) || !shaped(dev, op, "x", x, x.rows, x.cols) || !shaped(dev, op, "y", y, x.rows, x.cols) ||
        !shaped(dev, op, "rstd", rstd, x.rows, 1) || !x.rows)
        return;
    dev->table->norm(dev, y, rstd, x, eps);
}

void op_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd)
{
    const char *op = "norm_back";
    if (is_faulty(dev) || !shaped(dev, op, "dy", dy, dy.rows, dy.cols) || !shaped(dev, op, "y", y, dy.rows, dy.cols) ||
        !shaped(dev, op, "dx", dx, dy.rows, dy.cols) || !shaped(dev, op, "rstd", rstd, dy.rows, 1) ||
        !apart(dev, op, dx, dy, "dx aliases dy") || !apart(dev, op, dx, y, "dx aliases y") || !dy.rows)
        return;
    dev->table->norm_back(dev, dx, dy, y, rstd);
}

static bool rotary_shapes(struct device *dev, const char *op, struct tensor y, struct tensor rstd, struct tensor other,
                          const char *other_name, struct tensor cosine, struct tensor sine, struct tensor positions, int n_head)
{
    return heads_divide(dev, op, y.cols, n_head) && holds(dev, op, y.cols / n_head % 2 == 0, "a head's size must be even") &&
           shaped(dev, op, "y", y, y.rows, y.cols) && shaped(dev, op, other_name, other, y.rows, y.cols) &&
           shaped(dev, op, "rstd", rstd, y.rows, n_head) && shaped(dev, op, "cosine", cosine, cosine.rows, y.cols / n_head / 2) &&
           shaped(dev, op, "sine", sine, cosine.rows, y.cols / n_head / 2) &&
           ids_within(dev, op, "positions", positions, y.rows, 0, cosine.rows);
}

void op_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                    struct tensor sine, struct tensor positions, int n_head, float eps, float scale)
{
    if (is_faulty(dev) || !rotary_shapes(dev, "rotary_norm", y, rstd, x, "x", cosine, sine, positions, n_head) || !y.rows)
        return;
    dev->table->rotary_norm(dev, y, rstd, x, cosine, sine, positions, n_head, eps, scale);
}

void op_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                         struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale)
{
    const char *op = "rotary_norm_back";
    if (is_faulty(dev) || !rotary_shapes(dev, op, y, rstd, dy, "dy", cosine, sine, positions, n_head) ||
        !shaped(dev, op, "dx", dx, y.rows, y.cols) || !apart(dev, op, dx, y, "dx aliases y") ||
        !holds(dev, op, scale != 0, "scale is 0") || !y.rows)
        return;
    dev->table->rotary_norm_back(dev, dx, dy, y, rstd, cosine, sine, positions, n_head, scale);
}

// --- products ---------------------------------------------------------------------------------------------------------------

void op_weight_prepare(struct device *dev, struct weight *w)
{
    if (is_faulty(dev) || !shaped(dev, "weight_prepare", "master", w->master, w->master.rows, w->master.cols))
        return;
    dev->table->weight_prepare(dev, w);
}

// y [N,O] of x [N,I] and w [O,I]; the names are those of the caller's op. False also when there are no rows.
static bool product_shapes(struct device *dev, const char *op, const char *y_name, struct tensor y, const char *x_name,
                           struct tensor x, const struct weight *w)
{
    return shaped(dev, op, x_name, x, x.rows, w->master.cols) && shaped(dev, op, y_name, y, x.rows, w->master.rows) &&
           shaped(dev, op, "w", w->master, w->master.rows, w->master.cols) && x.rows;
}

void op_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add)
{
    const char *op = "matmul";
    if (is_faulty(dev) || !apart(dev, op, y, x, "y aliases x") || !product_shapes(dev, op, "y", y, "x", x, w))
        return;
    dev->table->matmul(dev, y, x, w, add);
}

void op_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w)
{
    const char *op = "matmul_relu2";
    if (is_faulty(dev) || !apart(dev, op, a, x, "a aliases x") || !apart(dev, op, r, x, "r aliases x") ||
        !apart(dev, op, a, r, "a aliases r") || !product_shapes(dev, op, "a", a, "x", x, w) ||
        !shaped(dev, op, "r", r, a.rows, a.cols))
        return;
    dev->table->matmul_relu2(dev, a, r, x, w);
}

void op_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r)
{
    const char *op = "relu2_back";
    if (is_faulty(dev) || !shaped(dev, op, "da", da, da.rows, da.cols) || !shaped(dev, op, "dh", dh, da.rows, da.cols) ||
        !shaped(dev, op, "r", r, da.rows, da.cols) || !da.rows)
        return;
    dev->table->relu2_back(dev, dh, da, r);
}

void op_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add)
{
    const char *op = "matmul_dx";
    if (is_faulty(dev) || !apart(dev, op, dx, dy, "dx aliases dy") || !product_shapes(dev, op, "dy", dy, "dx", dx, w))
        return;
    dev->table->matmul_dx(dev, dx, dy, w, add);
}

void op_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T)
{
    const char *op = "matmul_dw";
    if (is_faulty(dev) || !shaped(dev, op, "dw", dw, dy.cols, x.cols) || !shaped(dev, op, "x", x, x.rows, x.cols) ||
        !shaped(dev, op, "dy", dy, x.rows, dy.cols) ||
        !holds(dev, op, T > 0 && x.rows % T == 0, "the rows are not whole sequences of T") || !x.rows)
        return;
    dev->table->matmul_dw(dev, dw, dy, x, T);
}

// --- attention --------------------------------------------------------------------------------------------------------------

void op_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                  struct attention a)
{
    const char *op = "attention";
    int64_t N = (int64_t)a.B * a.T, C = (int64_t)a.n_head * a.head_dim, Ckv = (int64_t)a.n_kv_head * a.head_dim;
    if (is_faulty(dev) || !attention_sizes(dev, op, a) || !shaped(dev, op, "q", q, N, C) || !shaped(dev, op, "k", k, N, Ckv) ||
        !shaped(dev, op, "v", v, N, Ckv) || !shaped(dev, op, "o", o, N, C) || !shaped(dev, op, "lse", lse, N, a.n_head) || !N)
        return;
    dev->table->attention(dev, o, lse, q, k, v, a);
}

void op_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                       struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse, struct attention a)
{
    const char *op = "attention_back";
    int64_t N = (int64_t)a.B * a.T, C = (int64_t)a.n_head * a.head_dim, Ckv = (int64_t)a.n_kv_head * a.head_dim;
    if (is_faulty(dev) || !attention_sizes(dev, op, a) || !shaped(dev, op, "q", q, N, C) || !shaped(dev, op, "k", k, N, Ckv) ||
        !shaped(dev, op, "v", v, N, Ckv) || !shaped(dev, op, "o", o, N, C) || !shaped(dev, op, "lse", lse, N, a.n_head) ||
        !shaped(dev, op, "dout", dout, N, C) || !shaped(dev, op, "dq", dq, N, C) || !shaped(dev, op, "dk", dk, N, Ckv) ||
        !shaped(dev, op, "dv", dv, N, Ckv) || !N)
        return;
    dev->table->attention_back(dev, dq, dk, dv, dout, q, k, v, o, lse, a);
}

static bool whole_slots(struct device *dev, const char *op, struct tensor cache, int64_t capacity)
{
    return holds(dev, op, cache.rows % capacity == 0, "the rows of a cache are not whole slots of its capacity");
}

void op_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                  int capacity)
{
    const char *op = "cache_put";
    if (is_faulty(dev) || !holds(dev, op, capacity > 0, "capacity must be at least 1") ||
        !shaped(dev, op, "x", x, x.rows, x.cols) || !shaped(dev, op, "cache", cache, cache.rows, x.cols) ||
        !whole_slots(dev, op, cache, capacity) || !ids_within(dev, op, "slots", slots, x.rows, 0, cache.rows / capacity) ||
        !ids_within(dev, op, "positions", positions, x.rows, 0, capacity) || !x.rows)
        return;
    dev->table->cache_put(dev, cache, x, slots, positions, capacity);
}

void op_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                         struct tensor slots, struct tensor positions, struct attention a)
{
    const char *op = "attention_decode";
    int64_t C = (int64_t)a.n_head * a.head_dim, Ckv = (int64_t)a.n_kv_head * a.head_dim, rows = k_cache.rows;
    if (is_faulty(dev) || !attention_sizes(dev, op, a) || !shaped(dev, op, "q", q, a.B, C) || !shaped(dev, op, "o", o, a.B, C) ||
        !shaped(dev, op, "k_cache", k_cache, rows, Ckv) || !shaped(dev, op, "v_cache", v_cache, rows, Ckv) ||
        !whole_slots(dev, op, k_cache, a.T) || !ids_within(dev, op, "slots", slots, a.B, 0, rows / a.T) ||
        !ids_within(dev, op, "positions", positions, a.B, 0, a.T) || !a.B)
        return;
    dev->table->attention_decode(dev, o, q, k_cache, v_cache, slots, positions, a);
}

// --- loss -------------------------------------------------------------------------------------------------------------------

void op_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap)
{
    const char *op = "logits";
    struct tensor m = w->master;
    if (is_faulty(dev) || !holds(dev, op, n_vocab > 0 && n_vocab <= m.rows, "n_vocab must be 1 .. the rows of w") ||
        !holds(dev, op, cap >= 0, "cap must be at least 0") || !shaped(dev, op, "w", m, m.rows, m.cols) ||
        !shaped(dev, op, "x", x, x.rows, m.cols) || !shaped(dev, op, "logits", logits, x.rows, n_vocab) || !x.rows)
        return;
    dev->table->logits(dev, logits, x, w, n_vocab, cap);
}

void op_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
             const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T)
{
    const char *op = "loss";
    struct tensor m = w->master;
    if (is_faulty(dev) || !holds(dev, op, n_vocab > 0 && n_vocab <= m.rows, "n_vocab must be 1 .. the rows of w") ||
        !holds(dev, op, cap >= 0, "cap must be at least 0") ||
        !holds(dev, op, T > 0 && x.rows % T == 0, "the rows are not whole sequences of T") ||
        !shaped(dev, op, "w", m, m.rows, m.cols) || !shaped(dev, op, "x", x, x.rows, m.cols) ||
        !shaped(dev, op, "losses", losses, x.rows, 1) || !shaped(dev, op, "weights", weights, x.rows, 1) ||
        !ids_within(dev, op, "targets", targets, x.rows, -1, n_vocab))
        return;
    // dw tells whether gradients are wanted: unlike dx it has rows even when x has none.
    bool absent = dw.rows == 0;
    if (absent ? !holds(dev, op, !dw.data && !dx.data && !dx.rows, "dx and dw are there both or not at all")
               : !shaped(dev, op, "dx", dx, x.rows, x.cols) || !shaped(dev, op, "dw", dw, m.rows, m.cols) ||
                     !apart(dev, op, dx, x, "dx aliases x"))
        return;
    if (x.rows)
        dev->table->loss(dev, losses, dx, dw, x, w, targets, weights, n_vocab, cap, T);
}

// --- optimizer --------------------------------------------------------------------------------------------------------------

void op_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm)
{
    const char *op = "clip";
    if (is_faulty(dev) || !holds(dev, op, n >= 0 && max_norm >= 0, "n and max_norm must be at least 0"))
        return;
    for (int i = 0; i < n; i++)
        if (!shaped(dev, op, "a gradient", gradients[i], gradients[i].rows, gradients[i].cols))
            return;
    dev->table->clip(dev, gradients, n, max_norm);
}

void op_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a)
{
    const char *op = "adamw";
    if (is_faulty(dev) || !shaped(dev, op, "p", p, p.rows, p.cols) || !shaped(dev, op, "m", m, p.rows, p.cols) ||
        !shaped(dev, op, "v", v, p.rows, p.cols) || !shaped(dev, op, "g", g, p.rows, p.cols) ||
        !holds(dev, op, dev->scalars.step >= 0, "device_set_step was not called") || !p.rows)
        return;
    dev->table->adamw(dev, p, m, v, g, a);
}

void op_muon(struct device *dev, const struct muon_matrix *matrices, int n, double lr)
{
    const char *op = "muon";
    if (is_faulty(dev) || !holds(dev, op, n >= 0, "n must be at least 0") ||
        !holds(dev, op, dev->scalars.step >= 0, "device_set_step was not called"))
        return;
    for (int i = 0; i < n; i++) {
        int64_t rows = matrices[0].p.rows, cols = matrices[0].p.cols;
        if (!shaped(dev, op, "p", matrices[i].p, rows, cols) || !shaped(dev, op, "momentum", matrices[i].momentum, rows, cols) ||
            !shaped(dev, op, "g", matrices[i].g, rows, cols))
            return;
    }
    if (n && matrices[0].p.rows)
        dev->table->muon(dev, matrices, n, lr);
}

void op_newton_schulz(struct device *dev, struct tensor x)
{
    if (is_faulty(dev) || !shaped(dev, "newton_schulz", "x", x, x.rows, x.cols) || !x.rows)
        return;
    dev->table->newton_schulz(dev, x);
}
