// options.h - what a stage of each kind is asked to do: plain structs that the table of fields fills.
//
// Unset: FIELD_UNSET_INT, NaN, NULL, n = 0 (fields.h). Resolved recipes have every field set that has a default.
#ifndef RUNNER_RECIPE_OPTIONS_H
#define RUNNER_RECIPE_OPTIONS_H

#include "runner/recipe/fields.h"
#include "runner/recipe/task_file.h"

// A task and how much of it: an entry of `mixture`, or a task among `suites`.
struct mixture_use {
    const struct task_file *task;
    const struct task_split *split; // of task
    double epochs;                  // NaN where rows is given
    int64_t rows;                   // FIELD_UNSET_INT: by epochs
    const struct suite_file *suite; // among `suites`: whose task it is, or NULL
    struct place at, epochs_at;     // of the entry; of epochs or rows, where written, else as at
};

struct mixture_uses { // of FIELD_MIXTURE
    int n;
    const struct mixture_use *uses;
};

// The first whose task is asked in a chat, not as text; NULL: none is.
const struct mixture_use *first_chat(const struct mixture_uses *uses);

struct tokenizer_options {
    const char *source;
    int64_t vocab;           // with the nine special tokens
    int64_t chars;           // stop after so many characters (the crossing document is included)
    int64_t doc_cap;         // characters of a document that count
    const char *token_bytes; // decoded | raw
    int64_t seed;
};

struct tokens_options { // nobody writes these: the runner fills them from the source
    const char *tokenizer, *source;
};

struct rows_options { // nor these
    int64_t seq_len;
};

struct pretrain_options {
    const char *tokenizer, *source;
    const char *architecture; // 2025 | 2026
    int64_t depth;            // or the six below
    int64_t n_layer, n_embd, n_head, n_kv_head, head_dim, n_mlp;
    int64_t aspect;                // of depth, 2026: width a layer
    const char *window_pattern;    // letters S and L
    int64_t seq_len, batch_tokens; // batch_tokens unset: by the scaling law, of a vocabulary that only the stage knows
    int64_t device_batch;          // speed
    int64_t steps, tokens;         // exactly one of steps tokens flops ratio
    double flops, ratio;
    const char *optimizer; // 2025 | 2026
    double matrix_lr, embedding_lr, unembedding_lr, scalar_lr, weight_decay;
    double warmup, warmdown, final_lr, grad_clip; // warmup, warmdown: shares of the steps
    int64_t warmup_steps;                         // instead of warmup
    const char *packing;                          // flat | best_fit
    const char *precision;                        // f32 | bf16
    int64_t seed;
    const char *from;
    int64_t eval_every, eval_tokens, sample_every;
    struct field_list keep;
    int64_t keep_every;
    const char *keep_optim;
    int64_t devices; // speed
};

struct finetune_options {
    const char *model, *preset;
    struct mixture_uses mixture;
    const char *packing;   // of batch_tokens: flat | best_fit
    const char *optimizer; // 2025 | 2026
    const char *moments;   // fresh | model
    int64_t seq_len, batch_tokens, device_batch, steps, rows, epochs;
    double lr_frac, matrix_lr, embedding_lr, unembedding_lr, weight_decay, warmup, warmdown, final_lr, grad_clip;
    const char *precision;
    int64_t seed, eval_every, eval_tokens, sample_every;
    struct field_list keep;
    int64_t keep_every, devices;
    const char *keep_optim;
};

// Whether its optimizer begins with the moments that training its model left.
bool takes_moments(const struct finetune_options *o);

struct grpo_options {
    const char *model;
    struct mixture_uses mixture;
    int64_t samples, max_tokens, top_k, rows, epochs, steps, device_batch;
    const char *optimizer; // 2025 | 2026
    double temperature, lr_frac, matrix_lr, embedding_lr, unembedding_lr;
    const char *precision;
    int64_t seed, eval_every, eval_rows;
    struct field_list keep;
    int64_t keep_every, devices;
};

struct eval_options {
    struct field_list model;   // each
    struct field_list suites;  // as written
    struct mixture_uses tasks; // of suites those that are tasks, in order; no field
    const char *source;
    int64_t examples, max_tokens, eval_tokens, device_batch, devices;
    const char *precision;
    int64_t seed;
};

struct import_options {
    const char *file, *format;
};

#endif
