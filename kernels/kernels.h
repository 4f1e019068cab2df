// kernels.h - the one door to arithmetic: every operation on tensors, and the device that runs it.
//
// kernels/ is a library of its own: it includes nothing of the rest. Behind this door stand tables of operations:
//   cpu    float32, vectorised, on threads; instruction set chosen when the device is opened
//   ref    double, one thread, written to be obviously right; every other table is held to it
//   count  computes nothing: counts FLOPs, bytes and the high water of memory of the step that is run on it
//
//     struct fault fault;
//     struct device *dev = device_open(DEVICE_CPU, threads, &fault);       // NULL: fault says why
//     struct tensor x = device_tensor(dev, B * T, C), y = device_tensor(dev, B * T, C), r = device_tensor(dev, B * T, 1);
//     device_put(dev, x, 0, B * T * C, host_floats);
//     op_norm(dev, y, r, x, eps);
//     device_get(dev, host_floats, y, 0, B * T * C);
//     fault = device_fault(dev);                                           // waits; looked at once a step
//
// Tensors    row-major matrices [rows, cols]; shapes such as [B,T,C] are written as rows B*T, cols C
// Arguments  device, outputs, saved values, inputs, sizes. "=" writes, "+=" accumulates
// Types      activations, weights and gradients have the device's own type (device_dtype): F32 on cpu, F64 on ref; ids are I32
// Precision  device_set_precision(dev, PRECISION_BF16): what products and attention multiply is rounded to bfloat16 at their door, and
//            they sum in the device's type; masters, moments, gradients and the residual stream keep that type (bf16.h has the whole
//            rule). "kept" tensors (device_kept) then hold bfloat16: where an operation takes one it takes one of the device's type
//            too, with the same numbers
// Errors     an operation returns nothing: the first fault sticks to the device, and after it operations do nothing
// Memory     tensors live until device_close, or device_reset to a mark. Operations allocate nothing but workspace, which grows
//            in the first step and is then kept
// Threads    one device, one calling thread
// Bounds     those against ref stand for f32. Under bf16 ref rounds at the same places, and where these are inputs bounds are the same
//            (products, losses); what is rounded on the way, or where it is written, may fall to the other side of a tie: norms and
//            relu^2 1e-2, attention 5e-3 (decoding 1e-3), gradients of logits 5e-5, Newton-Schulz 5e-2 of the largest, see
//            tests/unit/kernels/test_bf16.c
// Bits       a row of an output depends on that row of the input alone, not on the other rows, on how many there are, or on the
//            number of threads. Weight gradients are sums over sequences in row order, each sequence summed in a fixed order, so
//            that a batch cut in two and accumulated gives the bits of the whole. Bits differ between instruction sets
#ifndef KERNELS_H
#define KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fault_kind { FAULT_NONE, FAULT_MEMORY, FAULT_DEVICE, FAULT_COMM, FAULT_NOT_BUILT };

struct fault {
    enum fault_kind kind;
    int64_t step; // as last given to device_set_step, -1 before
    char op[32], what[200];
};

enum device_kind { DEVICE_CPU, DEVICE_REF, DEVICE_COUNT, DEVICE_KIND_COUNT };

enum dtype { DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_BF16 };

enum precision { PRECISION_F32, PRECISION_BF16 };

struct tensor {
    void *data; // on the device; NULL on count, and for an absent tensor
    int64_t rows, cols;
    enum dtype dtype;
};

// A weight matrix [out, in] as products want it: the master, and whatever copy a table prepares from it. Users touch only master, and
// call op_weight_prepare after that.
struct weight {
    struct tensor master;
    struct tensor prepared; // absent where the master is used as it is
};

struct device;

// --- the device -------------------------------------------------------------------------------------------------------------

// threads <= 0: as many as the process may use. NULL on failure, with *fault filled in.
struct device *device_open(enum device_kind kind, int threads, struct fault *fault);
void device_close(struct device *dev);

enum dtype device_dtype(const struct device *dev);
int device_threads(const struct device *dev);

// Operations of up to so many multiply-adds, or of other work that takes as long, do not wake the other threads. Nothing but time depends
// on it; tests set 0, so that small tensors are divided too.
void device_set_alone(struct device *dev, int64_t multiply_adds);

// Right after device_open, before anything is made on the device; F32 without it.
void device_set_precision(struct device *dev, enum precision precision);
enum precision device_precision(const struct device *dev);

// Whether bfloat16 numbers are multiplied as float32 ones for want of an instruction: the same products, no faster than in float32.
bool device_emulates(const struct device *dev);

// The instruction-set path: "portable", "avx2", "avx512", in bf16 also "avx512bf16" (cpu), "double" (ref), "count". RETORT_ISA in the
// environment lowers it.
const char *device_isa(const struct device *dev);

// Waits for the device and tells its first fault (FAULT_NONE when all is well).
struct fault device_fault(struct device *dev);

// A zeroed tensor of the device's type / of ids.
struct tensor device_tensor(struct device *dev, int64_t rows, int64_t cols);
struct tensor device_ids(struct device *dev, int64_t rows, int64_t cols);

// One for what products and attention multiply, and that is kept for the backward pass or for the next token: bfloat16 under bf16 on cpu
// and count, else the device's type.
struct tensor device_kept(struct device *dev, int64_t rows, int64_t cols);

// The master of a weight that products read; where bfloat16 numbers are multiplied as such, also room for them.
struct weight device_weight(struct device *dev, int64_t rows, int64_t cols);

// Room for a copy of the weight in the order in which products read it, where there is none yet: op_weight_prepare fills it. Products of
// few rows, as in decoding, then run at the rate of memory, with the same bits. Nothing on tables that have no such order.
void device_weight_copy(struct device *dev, struct weight *w);

// Rows first .. first+rows-1 of t, where they lie.
struct tensor tensor_rows(struct tensor t, int64_t first, int64_t rows);

// Tensors made after the mark go with device_reset.
size_t device_mark(const struct device *dev);
void device_reset(struct device *dev, size_t mark);

// Between host and device, n elements from element `first`, converted to and from the device's type; they wait.
void device_put(struct device *dev, struct tensor to, int64_t first, int64_t n, const float *from);
void device_get(struct device *dev, float *to, struct tensor from, int64_t first, int64_t n);
void device_put_f64(struct device *dev, struct tensor to, int64_t first, int64_t n, const double *from);
void device_get_f64(struct device *dev, double *to, struct tensor from, int64_t first, int64_t n);
void device_put_ids(struct device *dev, struct tensor to, int64_t first, int64_t n, const int32_t *from);

// The scalars of the optimizer step, kept on the device: the multiplier of all learning rates, Muon's momentum, and updates done
// before this one (0 for the first). Sets grad_scale to 1 and grad_norm to 0.
void device_set_step(struct device *dev, int64_t step, double lr_scale, double momentum);

// The multiplier of op_muon's weight decay in this step; device_set_step sets it to 1.
void device_set_decay(struct device *dev, double decay_scale);

// The norm that the last op_clip measured; waits.
double device_grad_norm(struct device *dev);

// False on count, whose tensors hold nothing: what only moves numbers between host and device can be left out there.
bool device_computes(const struct device *dev);

enum count_class { COUNT_PRODUCTS, COUNT_ATTENTION, COUNT_OTHER, COUNT_CLASSES };

struct device_counts {
    double flops;                   // multiplications and additions of all operations so far
    double flops_of[COUNT_CLASSES]; // those of matrix products (the optimizer's and the loss's too), of attention, of the rest
    double bytes;                   // read and written by operations, each operand once
    double seconds;                 // by the rates that were set; 0 without
    int64_t memory_bytes;           // high water of tensors and workspace
};

struct device_counts device_counts(const struct device *dev);

// What some machine does in a second, for count to tell time by: an operation takes start_s, then its arithmetic, then its bytes.
struct device_rates {
    double flops_of[COUNT_CLASSES]; // FLOP/s; 0: takes no time beside the bytes
    double bytes;                   // bytes/s
    double start_s;                 // of each operation
};

void device_set_rates(struct device *dev, struct device_rates rates);

// FLOP/s of multiply-adds in registers, on all threads, for about so many seconds: the peak that products are held against, under bf16
// of bfloat16 numbers. 0 on tables that do not compute in float32.
double device_peak_flops(struct device *dev, double seconds);

// --- rows of a table --------------------------------------------------------------------------------------------------------

// x[n,:] = table[ids[n],:], under bf16 rounded       x [N,C], table [V,C]: kept   ids [N]     0 <= id < V
void op_embed(struct device *dev, struct tensor x, const struct weight *table, struct tensor ids);

// dtable[ids[n],:] += dx[n,:]    in order of n
void op_embed_back(struct device *dev, struct tensor dtable, struct tensor dx, struct tensor ids);

// --- elementwise ------------------------------------------------------------------------------------------------------------

void op_zero(struct device *dev, struct tensor y);                  // y = 0
void op_copy(struct device *dev, struct tensor y, struct tensor x); // y = x; either kept
void op_add(struct device *dev, struct tensor y, struct tensor x);  // y += x

// --- norm -------------------------------------------------------------------------------------------------------------------

// rstd[n] = 1 / sqrt(mean_c(x[n,c]^2) + eps),  y[n,c] = x[n,c] * rstd[n]
//   y, x [N,C], may alias; y kept, under bf16 rounded    rstd [N,1], for the backward pass
// Source: Zhang & Sennrich 2019, eq. 4, without gain.  Bound against ref (f32): 2e-6 relative to the row's largest value
void op_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps);

// dx[n,c] += rstd[n] * (dy[n,c] - y[n,c] * mean_c(dy[n,:] * y[n,:]))     y as op_norm wrote it, kept; dx must not alias dy or y
void op_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd);

// Rotary position embedding, then the norm, per head; the queries' and keys' way into attention.
//   x, y [N,H*D], may alias; y kept, under bf16 rounded   rstd [N,H]
//   cosine, sine [positions, D/2]   positions [N] ids, the row of the tables for each n
//   a = x[:D/2], b = x[D/2:]:   a' = a*cos + b*sin,  b' = -a*sin + b*cos;   y = scale * norm((a', b'))
// Source: Su et al. 2021, eq. 34, in nanochat's half-split layout (2025-10-13).  Bound against ref (f32): 4e-6
void op_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                    struct tensor sine, struct tensor positions, int n_head, float eps, float scale);

// dx = the gradient before the rotation, from dy and the saved y (kept), rstd; dx may alias dy.
void op_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                         struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale);

// --- what is added to the residual stream and to the values -------------------------------------------------------------------

// The residual stream with another tensor mixed in: y[n,c] = a * x[n,c] + sign * b * z[n,c], a and b single learned numbers.
//   y, x, z [N,C], may alias    a, b [1,1]; a absent (data NULL, rows 0): 1
// Source: nanochat 2026-07-03 (residual lambdas; with sign -1 and no a, backout).  Bound against ref (f32): 1e-6 of the row's
// largest |a x| + |b z|
void op_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign);

// dx = a * dy,  dz += sign * b * dy,  da += <dy, x>,  db += sign * <dy, z>, sequence by sequence as in op_matmul_dw
//   dx may alias dy, dz none of the others; da is absent where a is
// Bound against ref (f32): dx, dz 1e-6; da, db 1e-6 * |dy||x|, |dy||z|
void op_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db, struct tensor dy,
                 struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T);

// Smear: s[n] = sigmoid(<gate, e[n,:K]>),  x[n,:] = e[n,:] + lambda * s[n] * e[n-1,:]; at the first position of each sequence of T
// x[n,:] = e[n,:] and s[n] = 0.
//   x, e [N,C], apart   s [N,1], kept for the backward pass   gate [1,K], K <= C   lambda [1,1]
// Source: nanochat 2026-07-03.  Bound against ref (f32): 2e-6 of the row's largest value
void op_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
              struct tensor lambda, int T);

// de =;  dgate, dlambda +=, sequence by sequence.   de [N,C], apart from dx and e
// Bound against ref (f32): de 2e-6 * sqrt(C) * (1 + |de|), dgate and dlambda 1e-5 of their largest value (at least 0.1)
void op_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                   struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T);

// Value embeddings, gated per head: s[n,h] = sigmoid(<gate[h], x[n,:K]>),  v[n,h,:] = gain * s[n,h] * table[ids[n],h,:].
//   v [N,H*D]   s [N,H], for the backward pass   x [N,C], kept   table [V,H*D]   gate [H,K], K <= C   ids [N]
// Source: nanochat 2026-07-03 (gain 3; earlier 2).  Bound against ref (f32): 2e-6 of the row's largest value
void op_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                    struct tensor ids, const struct weight *gate, float gain);

// dx[n,:K] +=;  dtable[ids[n],:] += in order of n;  dgate += sequence by sequence.   dv is left as it is
// Bound against ref (f32): dx 2e-6 * H * sqrt(D) * (1 + |dx|), dtable 2e-6 * sqrt(1 + N) and dgate 1e-5 of their largest value
void op_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate, struct tensor dv,
                         struct tensor s, struct tensor x, const struct weight *table, struct tensor ids,
                         const struct weight *gate, float gain, int T);

// --- products ---------------------------------------------------------------------------------------------------------------

// Refreshes the prepared copy after the master has changed.
void op_weight_prepare(struct device *dev, struct weight *w);

// y [N,O] = (add: +=) x [N,I] * w[O,I]^T    x kept.  Bound against ref (f32): 1e-6 * |x||w|, the norms of the two rows
void op_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add);

// r = max(x * w^T, 0), a = r^2       the first half of the MLP, r for the backward pass.   r, a [N,O], x: kept; r, a under bf16 rounded
void op_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w);

// dh = 2 * r * da                    dh may alias da; r kept
void op_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r);

// dx [N,I] = (add: +=) dy [N,O] * w[O,I]
void op_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add);

// dw [O,I] += dy^T * x (kept), sequence by sequence: N = B*T rows are B sequences of T, each summed in a fixed order before the next.
void op_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T);

// --- attention --------------------------------------------------------------------------------------------------------------

struct attention {
    int B, T;                        // sequences and their length
    int n_head, n_kv_head, head_dim; // n_kv_head divides n_head; kv head j serves query heads j*n .. j*n + n-1
    int window;                      // query t sees keys t-window .. t; 0: all keys up to t
};

// o = softmax(q k^T / sqrt(D), causal) v per head;  lse = log of the softmax denominators, kept for the backward pass.
//   q, o [B*T, H*D]   k, v [B*T, Hkv*D]: kept, o under bf16 rounded   lse [B*T, H]
// Source: Vaswani et al. 2017, eq. 1; tiles as in Dao et al. 2022.  Bound against ref (f32): 1e-5
void op_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                  struct attention a);

// dq, dk, dv =                       do is the gradient of o; the weights are computed again from q, k, lse.
void op_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                       struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse, struct attention a);

// Decoding, one new token a row. Caches are [S*capacity, Hkv*D], kept: S slots, slot s owning cache rows s*capacity .. .
// cache[slots[r]*capacity + positions[r], :] = x[r,:]               x [R, Hkv*D], kept   slots, positions [R] ids
//   under bf16 rounded; no two rows go to one place; x may be rows of the cache itself that are not written
void op_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                  int capacity);

// o[r] = attention of q[r] over positions 0 .. positions[r] of slot slots[r] (inside the window).   a.B = R; a.T = capacity
void op_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                         struct tensor slots, struct tensor positions, struct attention a);

// --- loss -------------------------------------------------------------------------------------------------------------------

// Logits with the soft cap: z = x * w^T cut to n_vocab columns, logits = cap * tanh(z / cap), or z where cap is 0.
//   logits [N, n_vocab]   x kept
void op_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap);

// Soft-capped cross entropy and its gradient, in tiles: the [N,V] logits never exist whole.
//   losses [N,1] = -log softmax(logits[n])[targets[n]], 0 where targets[n] is -1
//   dx [N,C] =, dw [Vp,C] += the gradient of sum_n weights[n] * losses[n]; both absent (data NULL, rows 0): losses only
//   x [N,C], kept   targets [N] ids   weights [N,1]   w [Vp,C]   T as in op_matmul_dw
// Source: nanochat 2025-10-13 (cap 15); cap 0 is no cap.
// Bound against ref (f32): losses 2e-6 * (1 + loss), gradients 1e-5 of their largest value
void op_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
             const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T);

// --- optimizer --------------------------------------------------------------------------------------------------------------

// Measures the L2 norm over all gradients together, keeps it for device_grad_norm, and sets the device's grad_scale to
// min(1, max_norm / (norm + 1e-6)), by which the optimizers multiply gradients; max_norm 0 only measures.
void op_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm);

struct adamw {
    double lr; // times the step's lr_scale
    double beta1, beta2, eps, weight_decay;
};

// p *= 1 - lr*wd;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr / (1-b1^t) * m / (sqrt(v / (1-b2^t)) + eps)
//   t = step + 1
// Source: Loshchilov & Hutter 2019, algorithm 2.  A zero gradient with zero moments leaves p as it is
void op_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a);

// Orthogonalisation: X = x / (stretch * |x| + floor), then for each row of coefficients X = a X + (b A + c A A) X, A = X X^T.
enum { NEWTON_SCHULZ_STEPS = 5 };

struct newton_schulz {
    double stretch, floor;
    double steps[NEWTON_SCHULZ_STEPS][3]; // a, b, c
};

extern const struct newton_schulz newton_schulz_2025; // Jordan et al. 2024 (Muon): one row of coefficients five times
extern const struct newton_schulz polar_express;      // Amsel et al. 2025, as in nanochat 2026-07-03: singular values towards 1

struct muon {
    double lr;           // times the step's lr_scale and sqrt(max(1, rows / cols))
    double weight_decay; // times the step's decay_scale; only where the update does not go against the sign of p (cautious)
    const struct newton_schulz *iteration;
    bool even_rows;  // MuonEq: before orthogonalisation all rows get the same norm
    bool fixed_norm; // Muon+: after it the matrix gets the norm sqrt(min(rows, cols))
    double beta2;    // NorMuon: rows (columns of a wide matrix) are divided by a running rms of theirs, |o| kept; 0: not
};

struct muon_matrix {
    struct tensor p, momentum, g; // all [rows, cols]
    struct tensor variance;       // with beta2: [rows,1] if rows >= cols, else [1,cols], zero at first; else absent
};

// For each of n matrices of one shape:  buf = lerp(buf, g, 1-mu);  u = lerp(g, buf, mu);
//   even_rows: u[i] *= (|u| / sqrt(rows)) / max(|u[i]|, 1e-6);   o = newton_schulz(u);
//   fixed_norm: o *= sqrt(min(rows, cols)) / max(|o|, 1e-6);
//   beta2: q = mean of o^2 over a row (a column), variance = lerp(variance, q, 1-beta2), o' = o / sqrt(max(variance, 1e-10)),
//          o = o' * |o| / max(|o'|, 1e-10);
// p -= rate * (o + (o * p >= 0 ? decay : 0) * p),  rate = lr * lr_scale * sqrt(max(1, rows / cols)), decay = weight_decay * decay_scale.
// mu is the step's momentum; g is overwritten.
// Source: Jordan et al. 2024 (Muon) as in nanochat 2025-10-13, with the additions of 2026-07-03: Li et al. 2025 (NorMuon)
void op_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon);

// The orthogonalisation by itself, in place: x [rows, cols].
void op_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration);

#ifdef __cplusplus
}
#endif

#endif
