// table.h - what stands behind the door: a device is a table of operations, a fault, memory and workspace.
//
// Private to kernels/. kernels/dispatch.c checks shapes, types and ids once, for every table, then calls the table's function; so
// a table's functions see only what kernels.h allows. A signature here is that of the op_ function in kernels.h.
#ifndef KERNELS_TABLE_H
#define KERNELS_TABLE_H

#include "kernels/kernels.h"

struct table {
    const char *isa; // what device_isa tells
    enum dtype dtype;
    bool has_bf16; // multiplies bfloat16 as such

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
    void (*muon)(struct device *, const struct muon_matrix *matrices, int n, double lr);
    void (*newton_schulz)(struct device *, struct tensor x);
    double (*peak_flops)(struct device *, double seconds); // NULL: not known
};

extern const struct table table_ref, table_count;
extern const struct table table_cpu_portable, table_cpu_avx2, table_cpu_avx512, table_cpu_avx512bf16;

// The scalars of device_set_step, and what op_clip found.
struct step_scalars {
    int64_t step;
    double lr_scale, momentum, grad_scale, grad_norm;
};

struct device {
    const struct table *table;
    enum device_kind kind;
    enum precision precision;
    int n_threads;
    struct fault fault;
    struct step_scalars scalars;
    struct device_counts counts;
    struct device_rates rates; // of count

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
