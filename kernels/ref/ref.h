// ref.h - the functions of the reference table. Private to kernels/ref/; each does what its op_ in kernels.h says.
//
// Double, one thread, one loop per index of the formula: written to be read, and the others are held to it.
#ifndef KERNELS_REF_REF_H
#define KERNELS_REF_REF_H

#include "kernels/bf16.h"
#include "kernels/table.h"

void ref_embed(struct device *dev, struct tensor x, const struct weight *table, struct tensor ids);
void ref_embed_back(struct device *dev, struct tensor dtable, struct tensor dx, struct tensor ids);
void ref_zero(struct device *dev, struct tensor y);
void ref_copy(struct device *dev, struct tensor y, struct tensor x);
void ref_add(struct device *dev, struct tensor y, struct tensor x);

void ref_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps);
void ref_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd);
void ref_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                     struct tensor sine, struct tensor positions, int n_head, float eps, float scale);
void ref_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                          struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale);

void ref_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign);
void ref_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db, struct tensor dy,
                  struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T);
void ref_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
               struct tensor lambda, int T);
void ref_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                    struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T);
void ref_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                     struct tensor ids, const struct weight *gate, float gain);
void ref_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate, struct tensor dv,
                          struct tensor s, struct tensor x, const struct weight *table, struct tensor ids,
                          const struct weight *gate, float gain, int T);

void ref_weight_prepare(struct device *dev, struct weight *w);
void ref_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add);
void ref_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w);
void ref_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r);
void ref_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add);
void ref_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T);

void ref_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                   struct attention a);
void ref_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                        struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse,
                        struct attention a);
void ref_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                   int capacity);
void ref_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                          struct tensor slots, struct tensor positions, struct attention a);

void ref_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap);
void ref_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
              const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T);

void ref_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm);
void ref_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a);
void ref_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon);
void ref_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration);

// Row n of a matrix of doubles.
static inline double *row(struct tensor t, int64_t n)
{
    return (double *)t.data + n * t.cols;
}

// A number as products see it.
static inline double operand(const struct device *dev, double x)
{
    return dev->precision == PRECISION_BF16 ? bf16_round_f64(x) : x;
}

static inline int32_t id_at(struct tensor ids, int64_t n)
{
    return ((const int32_t *)ids.data)[n];
}

#endif
