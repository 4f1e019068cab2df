// profile.c - a table of operations that looks at the clock, calls the device's own table, and looks again.
//
// Operations of a table that are not here are not timed: they go straight to the device's own.
#include "kernels/profile.h"

#include <omp.h>
#include <string.h>

#include "kernels/table.h"

struct moment {
    double s, products_s;
};

static struct moment now(const struct device *dev)
{
    return (struct moment){omp_get_wtime(), dev->profile.products_s};
}

static void spent(struct device *dev, const char *op, struct moment begin)
{
    struct profile *p = &dev->profile;
    double seconds = omp_get_wtime() - begin.s;
    int i = 0;
    while (i < p->n_timings && strcmp(p->timings[i].op, op))
        i++;
    if (i == PROFILE_OPS)
        return;
    if (i == p->n_timings)
        p->timings[p->n_timings++] = (struct op_timing){.op = op};
    p->timings[i].calls++;
    p->timings[i].seconds += seconds;
    p->timings[i].products_s += p->products_s - begin.products_s;
}

static void time_embed(struct device *dev, struct tensor x, const struct weight *table, struct tensor ids)
{
    struct moment begin = now(dev);
    dev->profile.own->embed(dev, x, table, ids);
    spent(dev, "embed", begin);
}

static void time_embed_back(struct device *dev, struct tensor dtable, struct tensor dx, struct tensor ids)
{
    struct moment begin = now(dev);
    dev->profile.own->embed_back(dev, dtable, dx, ids);
    spent(dev, "embed_back", begin);
}

static void time_zero(struct device *dev, struct tensor y)
{
    struct moment begin = now(dev);
    dev->profile.own->zero(dev, y);
    spent(dev, "zero", begin);
}

static void time_copy(struct device *dev, struct tensor y, struct tensor x)
{
    struct moment begin = now(dev);
    dev->profile.own->copy(dev, y, x);
    spent(dev, "copy", begin);
}

static void time_add(struct device *dev, struct tensor y, struct tensor x)
{
    struct moment begin = now(dev);
    dev->profile.own->add(dev, y, x);
    spent(dev, "add", begin);
}

static void time_mix(struct device *dev, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b,
                     float sign)
{
    struct moment begin = now(dev);
    dev->profile.own->mix(dev, y, x, z, a, b, sign);
    spent(dev, "mix", begin);
}

static void time_mix_back(struct device *dev, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db,
                          struct tensor dy, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T)
{
    struct moment begin = now(dev);
    dev->profile.own->mix_back(dev, dx, dz, da, db, dy, x, z, a, b, sign, T);
    spent(dev, "mix_back", begin);
}

static void time_smear(struct device *dev, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
                       struct tensor lambda, int T)
{
    struct moment begin = now(dev);
    dev->profile.own->smear(dev, x, s, e, gate, lambda, T);
    spent(dev, "smear", begin);
}

static void time_smear_back(struct device *dev, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                            struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T)
{
    struct moment begin = now(dev);
    dev->profile.own->smear_back(dev, de, dgate, dlambda, dx, e, s, gate, lambda, T);
    spent(dev, "smear_back", begin);
}

static void time_value_embed(struct device *dev, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                             struct tensor ids, const struct weight *gate, float gain)
{
    struct moment begin = now(dev);
    dev->profile.own->value_embed(dev, v, s, x, table, ids, gate, gain);
    spent(dev, "value_embed", begin);
}

static void time_value_embed_back(struct device *dev, struct tensor dx, struct tensor dtable, struct tensor dgate,
                                  struct tensor dv, struct tensor s, struct tensor x, const struct weight *table,
                                  struct tensor ids, const struct weight *gate, float gain, int T)
{
    struct moment begin = now(dev);
    dev->profile.own->value_embed_back(dev, dx, dtable, dgate, dv, s, x, table, ids, gate, gain, T);
    spent(dev, "value_embed_back", begin);
}

static void time_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, float eps)
{
    struct moment begin = now(dev);
    dev->profile.own->norm(dev, y, rstd, x, eps);
    spent(dev, "norm", begin);
}

static void time_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd)
{
    struct moment begin = now(dev);
    dev->profile.own->norm_back(dev, dx, dy, y, rstd);
    spent(dev, "norm_back", begin);
}

static void time_rotary_norm(struct device *dev, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                             struct tensor sine, struct tensor positions, int n_head, float eps, float scale)
{
    struct moment begin = now(dev);
    dev->profile.own->rotary_norm(dev, y, rstd, x, cosine, sine, positions, n_head, eps, scale);
    spent(dev, "rotary_norm", begin);
}

static void time_rotary_norm_back(struct device *dev, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                                  struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale)
{
    struct moment begin = now(dev);
    dev->profile.own->rotary_norm_back(dev, dx, dy, y, rstd, cosine, sine, positions, n_head, scale);
    spent(dev, "rotary_norm_back", begin);
}

static void time_weight_prepare(struct device *dev, struct weight *w)
{
    struct moment begin = now(dev);
    dev->profile.own->weight_prepare(dev, w);
    spent(dev, "weight_prepare", begin);
}

static void time_matmul(struct device *dev, struct tensor y, struct tensor x, const struct weight *w, bool add)
{
    struct moment begin = now(dev);
    dev->profile.own->matmul(dev, y, x, w, add);
    spent(dev, "matmul", begin);
}

static void time_matmul_relu2(struct device *dev, struct tensor a, struct tensor r, struct tensor x, const struct weight *w)
{
    struct moment begin = now(dev);
    dev->profile.own->matmul_relu2(dev, a, r, x, w);
    spent(dev, "matmul_relu2", begin);
}

static void time_relu2_back(struct device *dev, struct tensor dh, struct tensor da, struct tensor r)
{
    struct moment begin = now(dev);
    dev->profile.own->relu2_back(dev, dh, da, r);
    spent(dev, "relu2_back", begin);
}

static void time_matmul_dx(struct device *dev, struct tensor dx, struct tensor dy, const struct weight *w, bool add)
{
    struct moment begin = now(dev);
    dev->profile.own->matmul_dx(dev, dx, dy, w, add);
    spent(dev, "matmul_dx", begin);
}

static void time_matmul_dw(struct device *dev, struct tensor dw, struct tensor dy, struct tensor x, int T)
{
    struct moment begin = now(dev);
    dev->profile.own->matmul_dw(dev, dw, dy, x, T);
    spent(dev, "matmul_dw", begin);
}

static void time_attention(struct device *dev, struct tensor o, struct tensor lse, struct tensor q, struct tensor k,
                           struct tensor v, struct attention a)
{
    struct moment begin = now(dev);
    dev->profile.own->attention(dev, o, lse, q, k, v, a);
    spent(dev, "attention", begin);
}

static void time_attention_back(struct device *dev, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                                struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse,
                                struct attention a)
{
    struct moment begin = now(dev);
    dev->profile.own->attention_back(dev, dq, dk, dv, dout, q, k, v, o, lse, a);
    spent(dev, "attention_back", begin);
}

static void time_cache_put(struct device *dev, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                           int capacity)
{
    struct moment begin = now(dev);
    dev->profile.own->cache_put(dev, cache, x, slots, positions, capacity);
    spent(dev, "cache_put", begin);
}

static void time_attention_decode(struct device *dev, struct tensor o, struct tensor q, struct tensor k_cache,
                                  struct tensor v_cache, struct tensor slots, struct tensor positions, struct attention a)
{
    struct moment begin = now(dev);
    dev->profile.own->attention_decode(dev, o, q, k_cache, v_cache, slots, positions, a);
    spent(dev, "attention_decode", begin);
}

static void time_logits(struct device *dev, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap)
{
    struct moment begin = now(dev);
    dev->profile.own->logits(dev, logits, x, w, n_vocab, cap);
    spent(dev, "logits", begin);
}

static void time_loss(struct device *dev, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
                      const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T)
{
    struct moment begin = now(dev);
    dev->profile.own->loss(dev, losses, dx, dw, x, w, targets, weights, n_vocab, cap, T);
    spent(dev, "loss", begin);
}

static void time_clip(struct device *dev, const struct tensor *gradients, int n, double max_norm)
{
    struct moment begin = now(dev);
    dev->profile.own->clip(dev, gradients, n, max_norm);
    spent(dev, "clip", begin);
}

static void time_adamw(struct device *dev, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a)
{
    struct moment begin = now(dev);
    dev->profile.own->adamw(dev, p, m, v, g, a);
    spent(dev, "adamw", begin);
}

static void time_muon(struct device *dev, const struct muon_matrix *matrices, int n, struct muon muon)
{
    struct moment begin = now(dev);
    dev->profile.own->muon(dev, matrices, n, muon);
    spent(dev, "muon", begin);
}

static void time_newton_schulz(struct device *dev, struct tensor x, const struct newton_schulz *iteration)
{
    struct moment begin = now(dev);
    dev->profile.own->newton_schulz(dev, x, iteration);
    spent(dev, "newton_schulz", begin);
}

static void stand_before(struct device *dev)
{
    dev->profile.table.embed = time_embed;
    dev->profile.table.embed_back = time_embed_back;
    dev->profile.table.zero = time_zero;
    dev->profile.table.copy = time_copy;
    dev->profile.table.add = time_add;
    dev->profile.table.mix = time_mix;
    dev->profile.table.mix_back = time_mix_back;
    dev->profile.table.smear = time_smear;
    dev->profile.table.smear_back = time_smear_back;
    dev->profile.table.value_embed = time_value_embed;
    dev->profile.table.value_embed_back = time_value_embed_back;
    dev->profile.table.norm = time_norm;
    dev->profile.table.norm_back = time_norm_back;
    dev->profile.table.rotary_norm = time_rotary_norm;
    dev->profile.table.rotary_norm_back = time_rotary_norm_back;
    dev->profile.table.weight_prepare = time_weight_prepare;
    dev->profile.table.matmul = time_matmul;
    dev->profile.table.matmul_relu2 = time_matmul_relu2;
    dev->profile.table.relu2_back = time_relu2_back;
    dev->profile.table.matmul_dx = time_matmul_dx;
    dev->profile.table.matmul_dw = time_matmul_dw;
    dev->profile.table.attention = time_attention;
    dev->profile.table.attention_back = time_attention_back;
    dev->profile.table.cache_put = time_cache_put;
    dev->profile.table.attention_decode = time_attention_decode;
    dev->profile.table.logits = time_logits;
    dev->profile.table.loss = time_loss;
    dev->profile.table.clip = time_clip;
    dev->profile.table.adamw = time_adamw;
    dev->profile.table.muon = time_muon;
    dev->profile.table.newton_schulz = time_newton_schulz;
}

void device_profile(struct device *dev, bool on)
{
    struct profile *p = &dev->profile;
    const struct table *own = p->own ? p->own : dev->table;
    dev->table = own;
    *p = (struct profile){0};
    if (!on)
        return;
    p->own = own;
    p->table = *own; // what is not timed, isa and dtype too
    stand_before(dev);
    dev->table = &p->table;
}

int device_timings(const struct device *dev, struct op_timing *timings, int most)
{
    int n = dev->profile.n_timings < most ? dev->profile.n_timings : most;
    memcpy(timings, dev->profile.timings, (size_t)n * sizeof *timings);
    return n;
}
