// table.h - what stands behind the door: a device is a table of operations, a fault, memory and workspace.
//
// Private to kernels/. kernels/dispatch.c checks shapes, types and ids once, for every table, then calls the table's function; so
// a table's functions see only what kernels.h allows. A signature here is that of the op_ function in kernels.h.
#ifndef KERNELS_TABLE_H
#define KERNELS_TABLE_H

#include "kernels/kernels.h"
#include "kernels/profile.h"

struct table {
    const char *isa; // what device_isa tells
    enum dtype dtype;
    bool has_bf16;  // multiplies bfloat16 as such, and then prepares weights as that
    int panel_cols; // of weights that are prepared, in panels of so many of their rows; 0: none are

    void (*embed)(struct device *, struct tensor x, const struct weight *table, struct tensor ids);
    void (*embed_back)(struct device *, struct tensor dtable, struct tensor dx, struct tensor ids);
    void (*zero)(struct device *, struct tensor y);
    void (*copy)(struct device *, struct tensor y, struct tensor x);
    void (*add)(struct device *, struct tensor y, struct tensor x);
    void (*norm)(struct device *, struct tensor y, struct tensor rstd, struct tensor x, float eps);
    void (*norm_back)(struct device *, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd);
    void (*rotary_norm)(struct device *, struct tensor y, struct tensor rstd, struct tensor x, struct tensor cosine,
                        struct tensor sine, struct tensor positions, int n_head, float eps, float scale);
    void (*rotary_norm_back)(struct device *, struct tensor dx, struct tensor dy, struct tensor y, struct tensor rstd,
                             struct tensor cosine, struct tensor sine, struct tensor positions, int n_head, float scale);
    void (*mix)(struct device *, struct tensor y, struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign);
    void (*mix_back)(struct device *, struct tensor dx, struct tensor dz, struct tensor da, struct tensor db, struct tensor dy,
                     struct tensor x, struct tensor z, struct tensor a, struct tensor b, float sign, int T);
    void (*smear)(struct device *, struct tensor x, struct tensor s, struct tensor e, const struct weight *gate,
                  struct tensor lambda, int T);
    void (*smear_back)(struct device *, struct tensor de, struct tensor dgate, struct tensor dlambda, struct tensor dx,
                       struct tensor e, struct tensor s, const struct weight *gate, struct tensor lambda, int T);
    void (*value_embed)(struct device *, struct tensor v, struct tensor s, struct tensor x, const struct weight *table,
                        struct tensor ids, const struct weight *gate, float gain);
    void (*value_embed_back)(struct device *, struct tensor dx, struct tensor dtable, struct tensor dgate, struct tensor dv,
                             struct tensor s, struct tensor x, const struct weight *table, struct tensor ids,
                             const struct weight *gate, float gain, int T);
    void (*weight_prepare)(struct device *, struct weight *w);
    void (*matmul)(struct device *, struct tensor y, struct tensor x, const struct weight *w, bool add);
    void (*matmul_relu2)(struct device *, struct tensor a, struct tensor r, struct tensor x, const struct weight *w);
    void (*relu2_back)(struct device *, struct tensor dh, struct tensor da, struct tensor r);
    void (*matmul_dx)(struct device *, struct tensor dx, struct tensor dy, const struct weight *w, bool add);
    void (*matmul_dw)(struct device *, struct tensor dw, struct tensor dy, struct tensor x, int T);
    void (*attention)(struct device *, struct tensor o, struct tensor lse, struct tensor q, struct tensor k, struct tensor v,
                      struct attention a);
    void (*attention_back)(struct device *, struct tensor dq, struct tensor dk, struct tensor dv, struct tensor dout,
                           struct tensor q, struct tensor k, struct tensor v, struct tensor o, struct tensor lse,
                           struct attention a);
    void (*cache_put)(struct device *, struct tensor cache, struct tensor x, struct tensor slots, struct tensor positions,
                      int capacity);
    void (*attention_decode)(struct device *, struct tensor o, struct tensor q, struct tensor k_cache, struct tensor v_cache,
                             struct tensor slots, struct tensor positions, struct attention a);
    void (*logits)(struct device *, struct tensor logits, struct tensor x, const struct weight *w, int n_vocab, float cap);
    void (*loss)(struct device *, struct tensor losses, struct tensor dx, struct tensor dw, struct tensor x,
                 const struct weight *w, struct tensor targets, struct tensor weights, int n_vocab, float cap, int T);
    void (*clip)(struct device *, const struct tensor *gradients, int n, double max_norm);
    void (*adamw)(struct device *, struct tensor p, struct tensor m, struct tensor v, struct tensor g, struct adamw a);
    void (*muon)(struct device *, const struct muon_matrix *matrices, int n, struct muon muon);
    void (*newton_schulz)(struct device *, struct tensor x, const struct newton_schulz *iteration);
    double (*peak_flops)(struct device *, double seconds); // NULL: not known
};

extern const struct table table_ref, table_count;
extern const struct table table_cpu_portable, table_cpu_avx2, table_cpu_avx512, table_cpu_avx512bf16;

// The scalars of device_set_step and device_set_decay, and what op_clip found.
struct step_scalars {
    int64_t step;
    double lr_scale, momentum, decay_scale, grad_scale, grad_norm;
};

// Of profile.h. While it is on, the device's table is this one.
struct profile {
    struct table table;
    const struct table *own; // NULL: off
    struct op_timing timings[PROFILE_OPS];
    int n_timings;
    double products_s; // in matrix products, whoever asked for them
};

struct device {
    const struct table *table;
    enum device_kind kind;
    enum precision precision;
    bool multiplies_bf16; // as such, and then prepares weights as that; of count: whether the cpu would here
    int n_threads;
    int64_t alone_work; // multiply-adds up to which an operation stays on the calling thread
    struct fault fault;
    struct step_scalars scalars;
    struct device_counts counts;
    struct device_rates rates; // of count
    struct profile profile;

    struct device_block *last; // tensor memory, a chain of blocks
    size_t used_bytes;         // position in that chain, what device_mark tells

    void *workspace; // 64-byte aligned
    size_t workspace_bytes;
};

// Workspace of at least so many bytes, valid until the next call; NULL sets the device's fault. Contents are undefined.
void *device_workspace(struct device *dev, size_t bytes, const char *op);

// The first fault stays.
void device_set_fault(struct device *dev, enum fault_kind kind, const char *op, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
