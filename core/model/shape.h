// shape.h - the shape of a model as data: what the model file, import and export carry. Depth is only a way to choose it.
//
// The 2026 switches stand here from the start; 0 means off. This version runs shapes with all of them off and refuses others
// (ERROR_NOT_BUILT).
//
// Source  nanochat 2025-10-13 (dimensions, counts); nanochat 2026-07-03 (switches)
#ifndef CORE_MODEL_SHAPE_H
#define CORE_MODEL_SHAPE_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { SHAPE_SEQ_LEN_MAX = 1 << 20, SHAPE_DEPTH_MAX = 1000, SHAPE_WIDTH_MAX = 1 << 22 };
#define SHAPE_PARAMS_MAX 1000000000000000 // 10^15: bytes of whatever is kept of them fit into 64 bits many times

struct shape {
    int n_layer, n_embd, n_head, n_kv_head, head_dim, n_mlp;
    int n_vocab, n_vocab_padded; // rows of wte and lm_head; logits are cut to n_vocab
    int seq_len;
    double norm_eps, rope_base, softcap; // softcap 0: none

    // 2026
    double qk_scale;                  // of queries and keys after their norm; 0 or 1: plain
    int window_short, window_pattern; // width of short windows; bit i of the pattern: layer i mod period is short
    int value_embeds, value_gate_channels;
    int residual_lambdas; // learned residual and x0 multipliers
    int smear_channels, backout;
};

// Dimensions of nanochat 2025 from depth: C = 64 d, H = max(1, ceil(C / 128)), D = C / H, MLP 4C, eps 2^-23, base 10000, cap 15.
// An error for depths whose width the heads do not divide.
struct error *CHECKED shape_from_depth(struct shape *shape, int depth, int n_vocab, int seq_len);

// Checks bounds and divisions, that there are no more than SHAPE_PARAMS_MAX parameters, and that no switch is on that is not built.
struct error *CHECKED shape_check(const struct shape *shape);

// All parameters, embeddings included: 2 V C + per layer (H D + 2 Hkv D) C + C H D + 2 C M. INT64_MAX where that is more, which no
// checked shape has.
int64_t shape_params(const struct shape *shape);

// The reference's estimate of training FLOPs a token: 6 (params - V C) + 12 L H D T.
double shape_flops_per_token(const struct shape *shape);

#endif
