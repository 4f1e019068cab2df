// shape.h - the shape of a model as data: what the model file, import and export carry. Depth is only a way to choose it.
//
// The switches of 2026 are members like the others; 0 means off, and with all of them off the model is that of 2025.
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
    double qk_scale;         // of queries and keys after their norm; 0 or 1: plain
    int window_short;        // a query of a short layer sees so many keys before its own, of a long one seq_len; 0: all see all
    int window_pattern;      // bit i: layer l is short where l mod period is i, unless it is the last; the highest bit stands at
                             // the period and ends it. SSSL: 0b10111
    int value_embeds;        // in every second layer, the last among them, v += this gain * gate * a table's row; 0: in none
    int value_gate_channels; // that a gate looks at
    int residual_lambdas;    // 1: before layer l x = resid_lambdas[l] x + x0_lambdas[l] x0, x0 being what enters the first
    int smear_channels;      // that the smear's gate looks at; an embedding gets a share of the one before it
    int backout;             // the stream as it is after so many layers is taken off the last, times backout_lambda
};

// Dimensions of nanochat 2025 from depth: C = 64 d, H = max(1, ceil(C / 128)), D = C / H, MLP 4C, eps 2^-23, base 10000, cap 15.
// An error for depths whose width the heads do not divide.
struct error *CHECKED shape_from_depth(struct shape *shape, int depth, int n_vocab, int seq_len);

// Dimensions and switches of nanochat 2026 from depth: C = depth * aspect rounded up to whole heads of head_dim, MLP 4C, base 100000,
// windows SSSL of a quarter of seq_len, vocabulary padded to 64. The reference's aspect is 64 and its head_dim 128.
enum { SHAPE_ASPECT_2026 = 64, SHAPE_HEAD_DIM_2026 = 128, SHAPE_SMEAR_CHANNELS_2026 = 24 };
struct error *CHECKED shape_from_depth_2026(struct shape *shape, int depth, int aspect, int head_dim, int n_vocab, int seq_len);

// Windows by letters, taken in turn, S for short and L for long layers; the last layer is long whatever its letter. Short ones see a
// quarter of seq_len, rounded up to 128. "L" on a shape without windows leaves it so.
enum { SHAPE_PATTERN_MOST = 30 };
struct error *CHECKED shape_set_windows(struct shape *shape, const char *pattern);

// Checks bounds and divisions, and that there are no more than SHAPE_PARAMS_MAX parameters.
struct error *CHECKED shape_check(const struct shape *shape);

// The widest distance of keys that layer l sees, as in struct attention; 0: all.
int shape_window(const struct shape *shape, int l);

float shape_qk_scale(const struct shape *shape); // as op_rotary_norm wants it

bool shape_has_values(const struct shape *shape, int l); // whether layer l has value embeddings

// All parameters, embeddings included. INT64_MAX where that is more, which no checked shape has; the next too.
int64_t shape_params(const struct shape *shape);

// Of them, those that scaling laws count (2026): matrices of the blocks, gates of values among them, and lm_head.
int64_t shape_scaling_params(const struct shape *shape);

// The reference's estimate of training FLOPs a token: 6 for each parameter that is multiplied by, and 12 H D T of each layer, or the
// width of its window for T. What is looked up (wte, value embeddings) and single numbers (lambdas) are left out.
double shape_flops_per_token(const struct shape *shape);

#endif
