// golden.h - the small model with exactly defined weights whose losses, gradients and steps are known: V 300, L 3, H 4, Hkv 2,
// C 128, T 64, batch 2, numbers by a SplitMix64 finaliser.
#ifndef TESTS_UNIT_CORE_MODEL_GOLDEN_H
#define TESTS_UNIT_CORE_MODEL_GOLDEN_H

#include "core/model/model.h"

enum { GOLDEN_V = 300, GOLDEN_L = 3, GOLDEN_C = 128, GOLDEN_T = 64, GOLDEN_B = 2, GOLDEN_N = GOLDEN_B * GOLDEN_T };

static inline uint64_t golden_mix(uint64_t s, uint64_t i)
{
    uint64_t z = ((s << 40) + i) + 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline void golden_fill(struct model *m, int param, uint64_t id, double amplitude)
{
    struct param *p = &m->params[param];
    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        double value = ((double)(golden_mix(id, (uint64_t)i) >> 40) - 8388608.0) / 8388608.0 * amplitude;
        device_put_f64(m->dev, p->w.master, i, 1, &value);
    }
}

static inline struct shape golden_shape(void)
{
    return (struct shape){.n_layer = GOLDEN_L,
                          .n_embd = GOLDEN_C,
                          .n_head = 4,
                          .n_kv_head = 2,
                          .head_dim = 32,
                          .n_mlp = 4 * GOLDEN_C,
                          .n_vocab = GOLDEN_V,
                          .n_vocab_padded = GOLDEN_V,
                          .seq_len = GOLDEN_T,
                          .norm_eps = 0x1p-23,
                          .rope_base = 10000,
                          .softcap = 15};
}

static inline void golden_weights(struct model *m)
{
    golden_fill(m, m->wte, 0, 1);
    golden_fill(m, m->lm_head, 1, 1.0 / 16);
    for (int l = 0; l < GOLDEN_L; l++) {
        uint64_t base = 10 + 10 * (uint64_t)l;
        golden_fill(m, m->layers[l].q, base, 1.0 / 8);
        golden_fill(m, m->layers[l].k, base + 1, 1.0 / 8);
        golden_fill(m, m->layers[l].v, base + 2, 1.0 / 8);
        golden_fill(m, m->layers[l].o, base + 3, 1.0 / 8);
        golden_fill(m, m->layers[l].fc, base + 5, 1.0 / 8);
        golden_fill(m, m->layers[l].proj, base + 6, 1.0 / 16);
    }
    model_prepare(m);
}

struct golden_rows {
    int32_t inputs[GOLDEN_N], targets[GOLDEN_N];
    float weights[GOLDEN_N];
};

static inline void golden_batch(struct golden_rows *g)
{
    for (int b = 0; b < GOLDEN_B; b++)
        for (int t = 0; t < GOLDEN_T; t++) {
            g->inputs[b * GOLDEN_T + t] = (int32_t)(golden_mix(400, (uint64_t)(65 * b + t)) % GOLDEN_V);
            g->targets[b * GOLDEN_T + t] = (int32_t)(golden_mix(400, (uint64_t)(65 * b + t + 1)) % GOLDEN_V);
            g->weights[b * GOLDEN_T + t] = 1.0f / GOLDEN_N;
        }
}

#endif
