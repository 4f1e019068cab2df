// model.h - the language model: its parameters, its forward pass and, mirrored line by line, its backward pass.
//
//     struct model m;
//     e = model_open(&m, dev, &shape, arena);              // parameters, zero
//     model_init_weights(&m, seed);                        // the initial distributions
//     e = model_reserve(&m, B, T, true);                   // activations for micro-batches of up to B sequences of T
//     model_loss(&m, batch, gradients);                    // losses; gradients += d sum(weights * losses)
//
// The model: e = norm(wte[ids]), smeared with the one before it: x = x0 = e + smear * e'; for each block x = resid x + x0_lambda x0,
// x += attention(norm(x)), x += mlp(norm(x)); logits = cap * tanh(norm(x - backout * x_half) head / cap). What the shape has switched
// off is not there: then x = e, and blocks begin with their attention.
// Parameters have the names of the reference: transformer.wte, transformer.h.0.attn.c_q ..., lm_head, value_embeds.1 ...
//
// Counting   on a device that does not compute (kernels.h) everything runs without data: batches may have NULL for their rows
// Ownership  host parts live in the arena, tensors on the device
// Errors     device faults stick to the device (kernels.h); model_open and model_reserve look at them
// Source     nanochat 2025-10-13; nanochat 2026-07-03 for what the switches of the shape add
#ifndef CORE_MODEL_MODEL_H
#define CORE_MODEL_MODEL_H

#include "core/base/error.h"
#include "core/model/shape.h"
#include "kernels/kernels.h"

// Positions that the rotary tables hold for each of seq_len, as the reference's do: chats run on past the length of training.
enum { POSITIONS_PER_SEQ_LEN = 10 };

// Which optimizer and learning rate a parameter has.
enum param_group {
    PARAM_EMBEDDING,
    PARAM_MATRIX,
    PARAM_UNEMBEDDING,
    PARAM_VALUE_EMBEDDING,
    PARAM_RESIDUAL_LAMBDAS,
    PARAM_X0_LAMBDAS,
    PARAM_SCALARS, // of smear and backout
    PARAM_GROUPS
};

// An initial distribution: normal with mean a and deviation b; uniform from a to b; or evenly from a (first element) to b (last).
enum init_kind { INIT_LINE, INIT_NORMAL, INIT_UNIFORM };

struct init {
    enum init_kind kind;
    double a, b;
};

struct param {
    const char *name;
    enum param_group group;
    int64_t rows, cols;
    struct weight w;
    struct init of_2025, of_2026;
};

// Tensors that the forward pass keeps for the backward pass, N = B*T rows. Those that products and attention multiply are of device_kept.
struct saved_layer {
    struct tensor n1, rstd1;               // norm before attention: [N,C], [N,1]
    struct tensor q, k, v, rstd_q, rstd_k; // after rotary and norm: [N,H*D], [N,Hkv*D]; [N,H], [N,Hkv]
    struct tensor o, lse;                  // [N,H*D], [N,H]
    struct tensor n2, rstd2;               // norm before the MLP
    struct tensor r, a;                    // relu, relu^2: [N,M]
    struct tensor x;                       // the residual stream: one tensor of all layers, or with lambdas one of each
    struct tensor gates;                   // of value embeddings: [N,Hkv]
};

struct saved {
    struct tensor ids, positions, targets, weights, losses; // [N,1]
    struct tensor embedded, rstd_embedded;                  // norm(wte[ids])
    struct saved_layer *layers;
    struct tensor smeared, smear_gates;         // [N,C], [N,1]
    struct tensor kept;                         // the stream that backout takes off
    struct tensor last, rstd_last;              // norm before lm_head
    struct tensor dx, dn, dq, dk, dv, dout, dh; // scratch of the backward pass; dq, dk, dv of the forward pass under bf16
    struct tensor dx0, dkept;                   // gradients of x0 and of the kept stream
};

struct layer { // indices into params; -1: there is none
    int q, k, v, o, fc, proj;
    int gate, values; // of value embeddings
};

struct model {
    struct shape shape;
    struct device *dev;
    struct arena *arena;
    struct param *params;
    int n_params;
    int wte, lm_head;
    int resid_lambdas, x0_lambdas, smear_gate, smear_lambda, backout_lambda; // -1: there are none
    struct layer *layers;
    struct tensor cosine, sine; // [positions, D/2]
    int n_positions;
    struct saved saved;
    int reserved_rows, reserved_T; // sequences that fit; so do others that have no more positions together
};

struct error *CHECKED model_open(struct model *model, struct device *dev, const struct shape *shape, struct arena *arena);

// The initial distributions: those of 2025 (normal, scaled by the sides of a matrix; lm_head zero) or of 2026 (uniform of deviation
// C^-1/2, of the MLP's first matrix 0.4 times that; wte 0.8, lm_head 0.001). What stands before the residual stream is zero in both.
void model_init_weights(struct model *model, uint64_t seed);
void model_init_weights_2026(struct model *model, uint64_t seed);

// Call after the parameters have changed, before the next forward pass.
void model_prepare(struct model *model);

// For models that write text: a copy of the weights in the order in which products read them, so that one token after another takes no
// longer than reading it. model_prepare makes it anew. As much memory again as the weights, where there is none of bfloat16
// anyhow.
struct error *CHECKED model_copy_weights(struct model *model);

struct error *CHECKED model_reserve(struct model *model, int B, int T, bool backward);

// A set of gradients: one tensor a parameter, in the order of params, zeroed.
struct error *CHECKED model_gradients(struct model *model, struct tensor **gradients);

// A micro-batch on the host. inputs, targets [B,T]; a target of -1 is not counted. weights [B,T] are d loss / d losses.
struct batch {
    int B, T;
    const int32_t *inputs, *targets;
    const float *weights; // NULL: losses only
};

// Where a forward pass also leaves its keys and values: those of row n of the batch, position n % T of its sequence, in slots[n].
struct model_caches {
    const struct tensor *k, *v; // a layer: [slots * capacity, Hkv*D]
    struct tensor slots;        // [B*T] ids
    int capacity;
};

// The forward pass up to lm_head, which would see model.saved.last [B*T, C]. Only inputs of the batch are looked at; caches may be
// NULL.
void model_trunk(struct model *model, struct batch batch, const struct model_caches *caches);

// losses [B,T] of the batch stay on the device, model_losses fetches them. gradients NULL: forward only.
void model_loss(struct model *model, struct batch batch, const struct tensor *gradients);
void model_losses(struct model *model, struct batch batch, double *losses);

// Logits [B*T, n_vocab] of all positions, soft-capped, into out (device tensor).
void model_logits(struct model *model, struct batch batch, struct tensor out);

#endif
