// cpu.h - what the sources of the cpu table share: names that differ between instruction sets, and the matrix product.
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "kernels/cpu/isa.h"
#include "kernels/cpu/sizes.h"
#include "kernels/table.h"

#define cpu_pack_rows CPU_NAME(cpu_pack_rows)
#define cpu_pack_cols CPU_NAME(cpu_pack_cols)
#define cpu_transpose CPU_NAME(cpu_transpose)
#define cpu_tile CPU_NAME(cpu_tile)
#define cpu_round CPU_NAME(cpu_round)
#define cpu_widen CPU_NAME(cpu_widen)
#define cpu_narrow CPU_NAME(cpu_narrow)
#define cpu_pack_rows_kept CPU_NAME(cpu_pack_rows_kept)
#define cpu_pack_cols_kept CPU_NAME(cpu_pack_cols_kept)
#define cpu_pack_rows_bf16 CPU_NAME(cpu_pack_rows_bf16)
#define cpu_pack_cols_bf16 CPU_NAME(cpu_pack_cols_bf16)
#define cpu_tile_bf16 CPU_NAME(cpu_tile_bf16)
#define cpu_product_bytes CPU_NAME(cpu_product_bytes)
#define cpu_product CPU_NAME(cpu_product)
#define cpu_square_sum CPU_NAME(cpu_square_sum)
#define cpu_embed CPU_NAME(cpu_embed)
#define cpu_embed_back CPU_NAME(cpu_embed_back)
#define cpu_zero CPU_NAME(cpu_zero)
#define cpu_copy CPU_NAME(cpu_copy)
#define cpu_add CPU_NAME(cpu_add)
#define cpu_norm CPU_NAME(cpu_norm)
#define cpu_norm_back CPU_NAME(cpu_norm_back)
#define cpu_rotary_norm CPU_NAME(cpu_rotary_norm)
#define cpu_rotary_norm_back CPU_NAME(cpu_rotary_norm_back)
#define cpu_mix CPU_NAME(cpu_mix)
#define cpu_mix_back CPU_NAME(cpu_mix_back)
#define cpu_smear CPU_NAME(cpu_smear)
#define cpu_smear_back CPU_NAME(cpu_smear_back)
#define cpu_value_embed CPU_NAME(cpu_value_embed)
#define cpu_value_embed_back CPU_NAME(cpu_value_embed_back)
#define cpu_weight_prepare CPU_NAME(cpu_weight_prepare)
#define cpu_matmul CPU_NAME(cpu_matmul)
#define cpu_matmul_relu2 CPU_NAME(cpu_matmul_relu2)
#define cpu_relu2_back CPU_NAME(cpu_relu2_back)
#define cpu_matmul_dx CPU_NAME(cpu_matmul_dx)
#define cpu_matmul_dw CPU_NAME(cpu_matmul_dw)
#define cpu_attention CPU_NAME(cpu_attention)
#define cpu_attention_back CPU_NAME(cpu_attention_back)
#define cpu_cache_put CPU_NAME(cpu_cache_put)
#define cpu_attention_decode CPU_NAME(cpu_attention_decode)
#define cpu_logits CPU_NAME(cpu_logits)
#define cpu_loss CPU_NAME(cpu_loss)
#define cpu_clip CPU_NAME(cpu_clip)
#define cpu_adamw CPU_NAME(cpu_adamw)
#define cpu_muon CPU_NAME(cpu_muon)
#define cpu_newton_schulz CPU_NAME(cpu_newton_schulz)
#define cpu_peak_flops CPU_NAME(cpu_peak_flops)

// Whether work is worth waking other threads for (device_set_alone). Work is told in multiply-adds of a product; an element that is read,
// worked on and written counts as WORK_ELEMENT of them, one that goes through an exponential as WORK_EXP.
enum { WORK_ELEMENT = 32, WORK_EXP = 64 };

static inline bool worth_threads(const struct device *dev, int64_t work)
{
    return work > dev->alone_work;
}

// Sum of a[i] * b[i] over LANES partial sums, then over the lanes, then over what is left: an order fixed by n.
static inline float cpu_dot(const float *a, const float *b, int64_t n)
{
    vec s0 = {0}, s1 = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        s0 += load(a + i) * load(b + i);
        s1 += load(a + i + LANES) * load(b + i + LANES);
    }
    for (; i + LANES <= n; i += LANES)
        s0 += load(a + i) * load(b + i);
    if (i < n)
        s1 += load_part(a + i, n - i, 0) * load_part(b + i, n - i, 0);
    return vec_sum(s0 + s1);
}

// --- pack.c: operands in the order in which tiles read them --------------------------------------------------------------------

// to[c * to_stride + r] = from[r * from_stride + c]
void cpu_transpose(float *to, int64_t to_stride, const float *from, int64_t from_stride, int64_t rows, int64_t cols);

// One panel of the left operand: to[k][TILE_ROWS], element (i, k) from from[i * i_stride + k * k_stride] for i < n, 0 beyond.
// One of the strides is 1.
void cpu_pack_rows(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K);

// One panel of the right operand: to[k][TILE_COLS].
void cpu_pack_cols(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K);

// --- bf16.c: the same with operands rounded to bfloat16 (bf16.h) -----------------------------------------------------------------

// x[i] = the nearest bfloat16
void cpu_round(float *x, int64_t n);

// Panels of rounded operands have K / BF16_DEPTH rows, rounded up: where the processor multiplies bfloat16 a row is two k's, else one
// in float32. K of the tile is that of the panels' numbers.
void cpu_pack_rows_bf16(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K);
void cpu_pack_cols_bf16(float *to, const float *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K);
void cpu_tile_bf16(int64_t K, const float *a, const float *b, float *c, int64_t c_stride, int rows, int cols, bool add);

// The same panels from numbers that are stored as bfloat16.
void cpu_pack_rows_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K);
void cpu_pack_cols_kept(float *to, const uint16_t *from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K);

// From stored numbers to float32, and back with rounding.
void cpu_widen(float *to, const uint16_t *from, int64_t n);
void cpu_narrow(uint16_t *to, const float *from, int64_t n);

// Numbers of a tensor that may be kept (kernels.h).
struct numbers {
    const void *data;
    bool kept; // stored as bfloat16
};

static inline struct numbers numbers_of(struct tensor t)
{
    return (struct numbers){t.data, t.dtype == DTYPE_BF16};
}

static inline struct numbers from_number(struct numbers x, int64_t i)
{
    if (x.data)
        x.data = (const char *)x.data + i * (x.kept ? 2 : 4);
    return x;
}

// n numbers from the first: where they lie, or widened into scratch.
static inline const float *read_numbers(struct numbers x, int64_t n, float *scratch)
{
    if (!x.kept)
        return x.data;
    cpu_widen(scratch, x.data, n);
    return scratch;
}

// Row n of a tensor that is written, to work on in float32: where it lies, or scratch. write_row ends it: it is rounded under bf16.
static inline float *row_to_write(struct tensor t, int64_t n, float *scratch)
{
    return t.dtype == DTYPE_BF16 ? scratch : (float *)t.data + n * t.cols;
}

static inline void write_row(const struct device *dev, struct tensor t, int64_t n, float *row)
{
    if (t.dtype == DTYPE_BF16)
        cpu_narrow((uint16_t *)t.data + n * t.cols, row, t.cols);
    else if (dev->precision == PRECISION_BF16)
        cpu_round(row, t.cols);
}

// A row of n numbers for each thread, for tensors like t: NULL where they need none. False after a fault.
static inline bool rows_of_scratch(struct device *dev, struct tensor t, int64_t n, float **scratch, const char *op)
{
    *scratch = NULL;
    if (t.dtype != DTYPE_BF16)
        return true;
    *scratch = device_workspace(dev, (size_t)(dev->n_threads * round_up(n, 16)) * sizeof **scratch, op);
    return *scratch != NULL;
}

static inline float *row_of_scratch(float *scratch, int64_t n, int thread)
{
    return scratch ? scratch + thread * round_up(n, 16) : NULL;
}

static inline int64_t panel_depth(bool bf16, int64_t K)
{
    return bf16 ? (K + BF16_DEPTH - 1) / BF16_DEPTH : K;
}

// Panels of operands, wherever they are stored; bf16: the tiles are to be those of rounded operands.
static inline void pack_rows(bool bf16, float *to, struct numbers from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    if (from.kept)
        cpu_pack_rows_kept(to, from.data, i_stride, k_stride, n, K);
    else
        (bf16 ? cpu_pack_rows_bf16 : cpu_pack_rows)(to, from.data, i_stride, k_stride, n, K);
}

static inline void pack_cols(bool bf16, float *to, struct numbers from, int64_t i_stride, int64_t k_stride, int64_t n, int64_t K)
{
    if (from.kept)
        cpu_pack_cols_kept(to, from.data, i_stride, k_stride, n, K);
    else
        (bf16 ? cpu_pack_cols_bf16 : cpu_pack_cols)(to, from.data, i_stride, k_stride, n, K);
}

// Of what cpu_weight_prepare made of w [.., K] the panel of rows n on, from k on; n whole panels, k whole pairs.
static inline const float *prepared_panel(bool bf16, const float *panels, int64_t K, int64_t n, int64_t k)
{
    return panels + n * panel_depth(bf16, K) + panel_depth(bf16, k) * TILE_COLS;
}

// --- product.c -------------------------------------------------------------------------------------------------------------

// c[rows, cols] = or += a * b from one panel each, 1 <= rows <= TILE_ROWS, 1 <= cols <= TILE_COLS; one chain of multiply-adds.
void cpu_tile(int64_t K, const float *a, const float *b, float *c, int64_t c_stride, int rows, int cols, bool add);

// The tile of panels of pack_rows and pack_cols.
static inline void run_tile(bool bf16, int64_t K, const float *a, const float *b, float *c, int64_t c_stride, int rows, int cols,
                            bool add)
{
    (bf16 ? cpu_tile_bf16 : cpu_tile)(K, a, b, c, c_stride, rows, cols, add);
}

// c [M,N] = (add: +=) a [M,K] * b [K,N]; strides of a and b are free, one of each pair is 1.
struct product {
    int64_t M, N, K;
    int64_t segment; // blocks of K begin anew every so many; 0: never
    struct numbers a;
    int64_t a_m, a_k; // element (m, k) at a[m * a_m + k * a_k]
    struct numbers b;
    int64_t b_k, b_n;
    const float *panels; // NULL, or b as cpu_weight_prepare has it, and segment is 0
    float *c;
    int64_t c_m;
    bool add;
    bool symmetric; // c is known to be: a * b is symmetric and add is false
    float *squares; // NULL, or: c = max(c, 0), squares = c^2, with c's stride; under bf16 both are rounded
    uint16_t *positive16, *squares16; // NULL, or: the same, stored as bfloat16 with c's stride; c then holds the sums meanwhile
    bool bf16;                        // operands are rounded; cpu_product says it, from the device's precision
};

size_t cpu_product_bytes(const struct device *dev, const struct product *p);
void cpu_product(struct device *dev, const struct product *p, void *workspace);

// --- optimizer.c -----------------------------------------------------------------------------------------------------------

// Sum of n squares in an order fixed by n alone.
double cpu_square_sum(const float *x, int64_t n);

// --- the operations, as in kernels.h ---------------------------------------------------------------------------------------

void cpu_embed(struct device *dev, struct tensor x, const struct weight *table, struct tensor ids);
void cpu_embed_back(struct device *dev, struct tensor dtable, struct tensor dx, struct tensor ids);
void cpu_zero(struct device *dev, struct tensor y);
void cpu_copy(struct device *dev, struct tensor y, struct tensor x);
void cpu_add(struct device *dev, struct tensor y, struct tensor x);
void cpu_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps);
void cpu_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd);
void cpu_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                     struct tensor sine, struct tensor positions, int n_head, float eps, float scale);
void cpu_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                          struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale);
void cpu_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign);
void cpu_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db, struct tensor dy,
                  struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T);
void cpu_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
               struct tensor lambda, int T);
void cpu_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                    struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T);
void cpu_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                     struct tensor ids, const struct weight *gate, float gain);
void cpu_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate, struct tensor dv,
                          struct tensor s, struct tensor x, const struct weight *table, struct tensor ids,
                          const struct weight *gate, float gain, int T);
void cpu_weight_prepare(struct device *dev, struct weight *w);
void cpu_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add);
void cpu_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w);
void cpu_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r);
void cpu_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add);
void cpu_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T);
void cpu_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                   struct attention a);
void cpu_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                        struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse,
                        struct attention a);
void cpu_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                   int capacity);
void cpu_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                          struct tensor slots, struct tensor positions, struct attention a);
void cpu_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap);
void cpu_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
              const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T);
void cpu_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm);
void cpu_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a);
void cpu_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon);
void cpu_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration);
double cpu_peak_flops(struct device *dev, double seconds);

#endif
