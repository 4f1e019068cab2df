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
    return dtype == DTYPE_F32 ? "f32" : dtype == DTYPE_F64 ? "f64" : dtype == DTYPE_BF16 ? "bf16" : "i32";
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

// The same of a tensor that may be of device_kept.
static bool kept_shaped(struct device *dev, const char *op, const char *name, struct tensor t, int64_t rows, int64_t cols)
{
    if (t.dtype == DTYPE_BF16 && dev->precision == PRECISION_BF16)
        t.dtype = device_dtype(dev);
    return shaped(dev, op, name, t, rows, cols);
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
    if (is_faulty(dev) || !kept_shaped(dev, op, "table", table->master, table->master.rows, x.cols) ||
        !kept_shaped(dev, op, "x", x, x.rows, x.cols) || !ids_within(dev, op, "ids", ids, x.rows, 0, table->master.rows) ||
        !x.rows)
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
    if (is_faulty(dev) || !kept_shaped(dev, op, "x", x, x.rows, x.cols) || !kept_shaped(dev, op, "y", y, x.rows, x.cols) ||
        !x.rows)
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
    if (is_faulty(dev) || !shaped(dev, op, "x", x, x.rows, x.cols) || !kept_shaped(dev, op, "y", y, x.rows, x.cols) ||
        !shaped(dev, op, "rstd", rstd, x.rows, 1) || !x.rows)
        return;
    dev->table->norm(dev, y, rstd, x, eps);
}

void op_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd)
{
    const char *op = "norm_back";
    if (is_faulty(dev) || !shaped(dev, op, "dy", dy, dy.rows, dy.cols) || !kept_shaped(dev, op, "y", y, dy.rows, dy.cols) ||
        !shaped(dev, op, "dx", dx, dy.rows, dy.cols) || !shaped(dev, op, "rstd", rstd, dy.rows, 1) ||
        !apart(dev, op, dx, dy, "dx aliases dy") || !apart(dev, op, dx, y, "dx aliases y") || !dy.rows)
        return;
    dev->table->norm_back(dev, dx, dy, y, rstd);
}

static bool rotary_shapes(struct device *dev, const char *op, struct tensor y, struct tensor rstd, struct tensor other,
                          const char *other_name, struct tensor cosine, struct tensor sine, struct tensor positions, int n_head)
{
    return heads_divide(dev, op, y.cols, n_head) && holds(dev, op, y.cols / n_head % 2 == 0, "a head's size must be even") &&
           kept_shaped(dev, op, "y", y, y.rows, y.cols) && shaped(dev, op, other_name, other, y.rows, y.cols) &&
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

// --- what is added to the residual stream and to the values -------------------------------------------------------------------

static bool absent(struct tensor t)
{
    return t.rows == 0 && !t.data;
}

static bool whole_sequences(struct device *dev, const char *op, int64_t rows, int T)
{
    return holds(dev, op, T > 0 && rows % T == 0, "the rows are not whole sequences of T");
}

void op_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign)
{
    const char *op = "mix";
    if (is_faulty(dev) || !shaped(dev, op, "x", x, x.rows, x.cols) || !shaped(dev, op, "y", y, x.rows, x.cols) ||
        !shaped(dev, op, "z", z, x.rows, x.cols) || !(absent(a) || shaped(dev, op, "a", a, 1, 1)) ||
        !shaped(dev, op, "b", b, 1, 1) || !x.rows)
        return;
    dev->table->mix(dev, y, x, z, a, b, sign);
}

void op_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db, struct tensor dy,
                 struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T)
{
    const char *op = "mix_back";
    int64_t N = dy.rows, C = dy.cols;
    if (is_faulty(dev) || !shaped(dev, op, "dy", dy, N, C) || !shaped(dev, op, "dx", dx, N, C) ||
        !shaped(dev, op, "dz", dz, N, C) || !shaped(dev, op, "x", x, N, C) || !shaped(dev, op, "z", z, N, C) ||
        !holds(dev, op, absent(a) == absent(da), "a and da are there both or not at all") ||
        !(absent(a) || (shaped(dev, op, "a", a, 1, 1) && shaped(dev, op, "da", da, 1, 1))) || !shaped(dev, op, "b", b, 1, 1) ||
        !shaped(dev, op, "db", db, 1, 1) || !apart(dev, op, dz, dy, "dz aliases dy") ||
        !apart(dev, op, dz, dx, "dz aliases dx") || !whole_sequences(dev, op, N, T) || !N)
        return;
    dev->table->mix_back(dev, dx, dz, da, db, dy, x, z, a, b, sign, T);
}

static bool gate_fits(struct device *dev, const char *op, const struct weight *gate, int64_t rows, int64_t C)
{
    return shaped(dev, op, "gate", gate->master, rows, gate->master.cols) &&
           holds(dev, op, gate->master.cols > 0 && gate->master.cols <= C, "the gate reads more channels than there are");
}

void op_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
              struct tensor lambda, int T)
{
    const char *op = "smear";
    if (is_faulty(dev) || !shaped(dev, op, "e", e, e.rows, e.cols) || !shaped(dev, op, "x", x, e.rows, e.cols) ||
        !shaped(dev, op, "s", s, e.rows, 1) || !shaped(dev, op, "lambda", lambda, 1, 1) || !gate_fits(dev, op, gate, 1, e.cols) ||
        !apart(dev, op, x, e, "x aliases e") || !whole_sequences(dev, op, e.rows, T) || !e.rows)
        return;
    dev->table->smear(dev, x, s, e, gate, lambda, T);
}

void op_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                   struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T)
{
    const char *op = "smear_back";
    if (is_faulty(dev) || !shaped(dev, op, "dx", dx, e.rows, e.cols) || !shaped(dev, op, "e", e, e.rows, e.cols) ||
        !shaped(dev, op, "de", de, e.rows, e.cols) || !shaped(dev, op, "s", s, e.rows, 1) ||
        !shaped(dev, op, "lambda", lambda, 1, 1) || !shaped(dev, op, "dlambda", dlambda, 1, 1) ||
        !gate_fits(dev, op, gate, 1, e.cols) || !shaped(dev, op, "dgate", dgate, 1, gate->master.cols) ||
        !apart(dev, op, de, dx, "de aliases dx") || !apart(dev, op, de, e, "de aliases e") ||
        !whole_sequences(dev, op, e.rows, T) || !e.rows)
        return;
    dev->table->smear_back(dev, de, dgate, dlambda, dx, e, s, gate, lambda, T);
}

static bool value_shapes(struct device *dev, const char *op, const char *v_name, struct tensor v, struct tensor s,
                         struct tensor x, const struct weight *table, struct tensor ids, const struct weight *gate)
{
    struct tensor g = gate->master, t = table->master;
    return gate_fits(dev, op, gate, g.rows, x.cols) && heads_divide(dev, op, v.cols, (int)g.rows) &&
           shaped(dev, op, v_name, v, x.rows, v.cols) && kept_shaped(dev, op, "x", x, x.rows, x.cols) &&
           shaped(dev, op, "s", s, x.rows, g.rows) && shaped(dev, op, "table", t, t.rows, v.cols) &&
           ids_within(dev, op, "ids", ids, x.rows, 0, t.rows);
}

void op_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                    struct tensor ids, const struct weight *gate, float gain)
{
    if (is_faulty(dev) || !value_shapes(dev, "value_embed", "v", v, s, x, table, ids, gate) || !x.rows)
        return;
    dev->table->value_embed(dev, v, s, x, table, ids, gate, gain);
}

void op_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate, struct tensor dv,
                         struct tensor s, struct tensor x, const struct weight *table, struct tensor ids,
                         const struct weight *gate, float gain, int T)
{
    const char *op = "value_embed_back";
    struct tensor g = gate->master, t = table->master;
    if (is_faulty(dev) || !value_shapes(dev, op, "dv", dv, s, x, table, ids, gate) ||
        !shaped(dev, op, "dx", dx, x.rows, x.cols) || !shaped(dev, op, "dtable", dtable, t.rows, t.cols) ||
        !shaped(dev, op, "dgate", dgate, g.rows, g.cols) || !apart(dev, op, dx, x, "dx aliases x") ||
        !whole_sequences(dev, op, x.rows, T) || !x.rows)
        return;
    dev->table->value_embed_back(dev, dx, dtable, dgate, dv, s, x, table, ids, gate, gain, T);
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
    return kept_shaped(dev, op, x_name, x, x.rows, w->master.cols) && shaped(dev, op, y_name, y, x.rows, w->master.rows) &&
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
        !apart(dev, op, a, r, "a aliases r") || !kept_shaped(dev, op, "x", x, x.rows, w->master.cols) ||
        !kept_shaped(dev, op, "a", a, x.rows, w->master.rows) || !kept_shaped(dev, op, "r", r, a.rows, a.cols) ||
        !holds(dev, op, a.dtype == r.dtype, "a and r are of different types") ||
        !shaped(dev, op, "w", w->master, w->master.rows, w->master.cols) || !x.rows)
        return;
    dev->table->matmul_relu2(dev, a, r, x, w);
}

void op_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r)
{
    const char *op = "relu2_back";
    if (is_faulty(dev) || !shaped(dev, op, "da", da, da.rows, da.cols) || !shaped(dev, op, "dh", dh, da.rows, da.cols) ||
        !kept_shaped(dev, op, "r", r, da.rows, da.cols) || !da.rows)
        return;
    dev->table->relu2_back(dev, dh, da, r);
}

void op_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add)
{
    const char *op = "matmul_dx";
    if (is_faulty(dev) || !apart(dev, op, dx, dy, "dx aliases dy") || !shaped(dev, op, "dx", dx, dx.rows, dx.cols) ||
        !product_shapes(dev, op, "dy", dy, "dx", dx, w))
        return;
    dev->table->matmul_dx(dev, dx, dy, w, add);
}

void op_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T)
{
    const char *op = "matmul_dw";
    if (is_faulty(dev) || !shaped(dev, op, "dw", dw, dy.cols, x.cols) || !kept_shaped(dev, op, "x", x, x.rows, x.cols) ||
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
    if (is_faulty(dev) || !attention_sizes(dev, op, a) || !kept_shaped(dev, op, "q", q, N, C) ||
        !kept_shaped(dev, op, "k", k, N, Ckv) || !kept_shaped(dev, op, "v", v, N, Ckv) || !kept_shaped(dev, op, "o", o, N, C) ||
        !shaped(dev, op, "lse", lse, N, a.n_head) || !N)
        return;
    dev->table->attention(dev, o, lse, q, k, v, a);
}

void op_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                       struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse, struct attention a)
{
    const char *op = "attention_back";
    int64_t N = (int64_t)a.B * a.T, C = (int64_t)a.n_head * a.head_dim, Ckv = (int64_t)a.n_kv_head * a.head_dim;
    if (is_faulty(dev) || !attention_sizes(dev, op, a) || !kept_shaped(dev, op, "q", q, N, C) ||
        !kept_shaped(dev, op, "k", k, N, Ckv) || !kept_shaped(dev, op, "v", v, N, Ckv) || !kept_shaped(dev, op, "o", o, N, C) ||
        !shaped(dev, op, "lse", lse, N, a.n_head) || !shaped(dev, op, "dout", dout, N, C) || !shaped(dev, op, "dq", dq, N, C) ||
        !shaped(dev, op, "dk", dk, N, Ckv) || !shaped(dev, op, "dv", dv, N, Ckv) || !N)
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
        !kept_shaped(dev, op, "x", x, x.rows, x.cols) || !kept_shaped(dev, op, "cache", cache, cache.rows, x.cols) ||
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
        !kept_shaped(dev, op, "k_cache", k_cache, rows, Ckv) || !kept_shaped(dev, op, "v_cache", v_cache, rows, Ckv) ||
        !holds(dev, op, k_cache.dtype == v_cache.dtype, "k_cache and v_cache are of different types") ||
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
        !kept_shaped(dev, op, "x", x, x.rows, m.cols) || !shaped(dev, op, "logits", logits, x.rows, n_vocab) || !x.rows)
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
        !shaped(dev, op, "w", m, m.rows, m.cols) || !kept_shaped(dev, op, "x", x, x.rows, m.cols) ||
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

const struct newton_schulz newton_schulz_2025 = {
    .stretch = 1,
    .floor = 1e-7,
    .steps = {{3.4445, -4.7750, 2.0315},
              {3.4445, -4.7750, 2.0315},
              {3.4445, -4.7750, 2.0315},
              {3.4445, -4.7750, 2.0315},
              {3.4445, -4.7750, 2.0315}},
};

const struct newton_schulz polar_express = {
    .stretch = 1.01,
    .floor = 1e-6,
    .steps = {{8.156554524902461, -22.48329292557795, 15.878769915207462},
              {4.042929935166739, -2.808917465908714, 0.5000178451051316},
              {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
              {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
              {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}},
};

void op_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon)
{
    const char *op = "muon";
    if (is_faulty(dev) || !holds(dev, op, n >= 0, "n must be at least 0") ||
        !holds(dev, op, dev->scalars.step >= 0, "device_set_step was not called") ||
        !holds(dev, op, muon.iteration, "there is no iteration"))
        return;
    for (int i = 0; i < n; i++) {
        int64_t rows = matrices[0].p.rows, cols = matrices[0].p.cols;
        if (!shaped(dev, op, "p", matrices[i].p, rows, cols) || !shaped(dev, op, "momentum", matrices[i].momentum, rows, cols) ||
            !shaped(dev, op, "g", matrices[i].g, rows, cols))
            return;
        if (muon.beta2 > 0 &&
            !shaped(dev, op, "variance", matrices[i].variance, rows >= cols ? rows : 1, rows >= cols ? 1 : cols))
            return;
    }
    if (n && matrices[0].p.rows)
        dev->table->muon(dev, matrices, n, muon);
}

void op_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration)
{
    const char *op = "newton_schulz";
    if (is_faulty(dev) || !holds(dev, op, iteration, "there is no iteration") || !shaped(dev, op, "x", x, x.rows, x.cols) ||
        !x.rows)
        return;
    dev->table->newton_schulz(dev, x, iteration);
}
