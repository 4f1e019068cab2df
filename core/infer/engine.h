// engine.h - answers to prompts: many rows decode at once, a row that ends leaves the batch and the next one takes its place.
//
//     e = engine_open(&engine, &model, tokenizer, n_slots, capacity);
//     struct engine_job job = {.prompt = ids, .n_prompt = n, .n_samples = 16, .stream = s, .max_tokens = 256,
//                              .sampling = {.temperature = 1, .top_k = 50}};
//     e = engine_run(&engine, &job, 1, random, hooks);                // hooks.row is told each row as it ends
//     engine_close(&engine);
//
// Prefill    a prompt goes through the model once; its keys and values are then copied for each of its samples. The first token of
//            each sample is drawn from its own random number
// Randomness sample k of a job draws its t-th token (t from 0, forced ones count) at (stream + k, t) of `random`
// Tools      the calculator's output is forced into the row (turn.h); forced tokens have mask 0
// Ends       a row ends at assistant_end or bos, which are not part of it, at max_tokens, or when prompt and answer together have
//            `capacity` tokens
// Bits       a row is a function of parameters, prompt, sampling and random numbers alone: not of the other rows, of n_slots or of
//            their order, nor of threads. Greedily it is what recomputing the whole row for each token gives, wherever two logits
//            do not come within rounding
// Order      rows start in the order of jobs and samples and are told in the order in which they end, slot by slot within a step
// Memory     n_slots * capacity positions of keys and values, and activations of a prefill (decoder.h), on the model's device until
//            it is reset or closed: a stage opens its engine once, and may change the parameters between runs
// Errors     ERROR_STOPPED between tokens; ERROR_DATA for a prompt that is empty, leaves no room in capacity or has an id that is no
//            token, before anything is computed; what a hook returns ends the run
// Source     nanochat 2025-10-13, Engine (each sample has its own first token, as of 2025-12-28)
#ifndef CORE_INFER_ENGINE_H
#define CORE_INFER_ENGINE_H

#include "core/infer/decoder.h"
#include "core/infer/turn.h"

struct engine_job {
    const int32_t *prompt;
    int n_prompt;
    int n_samples; // at least 1
    uint64_t stream;
    int max_tokens;
    struct sampling sampling;
};

struct engine_row { // of a row that has ended; borrowed for the call
    int job, sample;
    const int32_t *ids;  // without the prompt and without the token that ended it
    const uint8_t *mask; // 1: sampled, 0: forced
    int n;
    bool complete; // by assistant_end or bos, not for want of room
};

struct engine_hooks {
    void *self;
    struct error *(*row)(void *self, const struct engine_row *row);
    // Each token as it comes, also the one that ends the row; *go_on = false ends the row. NULL: not asked for
    struct error *(*token)(void *self, int job, int sample, struct turn_token token, bool *go_on);
};

struct engine_slot; // a row that is being decoded

struct engine {
    struct model *model;
    const struct tokenizer *tokenizer;
    struct encoder encoder;
    struct decoder decoder;
    struct engine_slot *slots; // [n_slots]
    int n_slots, capacity, n_threads;
    float *logits, *prompt_logits, *scratch; // [n_slots, V], [V], [n_threads, V]
    const float **row_logits;                // [n_slots]
    const int32_t **prompts;                 // [n_slots], as the three that follow
    int *lengths;
    int32_t *rows, *ids;
};

// Tokenizer and model must have equally many tokens. Where the model has reserved activations for `capacity` positions the prefill
// uses those: they must not be needed at the same time.
struct error *CHECKED engine_open(struct engine *engine, struct model *model, const struct tokenizer *tokenizer, int n_slots,
                                  int capacity);
void engine_close(struct engine *engine);

struct error *CHECKED engine_run(struct engine *engine, const struct engine_job *jobs, int n_jobs, struct philox random,
                                 struct engine_hooks hooks);

// Logits [n, n_vocab] of the token after each of n prompts of 1 .. capacity tokens, n at most n_slots; nothing is kept.
struct error *CHECKED engine_logits(struct engine *engine, const int32_t *const *prompts, const int *n_prompts, int n,
                                    float *logits);

#endif
