// scorer.h - how likely a model finds parts of prompts: many prompts at once, and what prompts share once.
//
//     e = scorer_open(&s, model, n_slots, capacity);
//     e = scorer_run(&s, asked, n);                        // fills in loss and the predictions of every prompt
//
// Loss       mean over a span's tokens of -log softmax(logits)[token], in nats; NaN of an empty span
// Greedy     whether each token of the span is the likeliest at its place, the first among equals
// Cost       what the prompts of one question share goes through the model once, a batch of prefills of about one length each; what
//            each has of its own goes through behind it, over the same keys and values; logits are made where a token is scored,
//            nowhere else. Answers of one token (letters) cost no more than the question
// Bits       what is shared is cut by the question's own tokens, so that nothing depends on the others, on n_slots or on threads
// Memory     n_slots * capacity positions of keys and values, activations of a prefill (decoder.h), on the model's device until it is
//            reset or closed
// Errors     ERROR_STOPPED between batches; ERROR_FAILED for a prompt longer than capacity; device faults
// Source     nanochat 2025-10-13, core_eval: one forward of all prompts of an example; here without what repeats in it
#ifndef CORE_EVAL_SCORER_H
#define CORE_EVAL_SCORER_H

#include "core/eval/prompts.h"
#include "core/infer/decoder.h"

enum { SCORER_ROWS = 256 }; // tokens behind shared beginnings that go through at once

struct scored_prompt {
    const int32_t *ids;
    int n;
    struct span span; // within the prompt

    double loss;
    bool greedy;        // false of an empty span
    int32_t *predicted; // [end - start], filled in; NULL: not asked for
};

struct scored_question {
    struct scored_prompt *prompts;
    int n_prompts;
};

struct scorer {
    struct decoder decoder;
    float *logits;             // [SCORER_ROWS, V], and at least [n_slots, V]
    int32_t *slots, *ids;      // [SCORER_ROWS]
    int32_t *wanted;           // [SCORER_ROWS]
    struct scorer_row *rows;   // [SCORER_ROWS], and at least [n_slots]: whom the wanted ones are of
    const int32_t **prefixes;  // [n_slots]
    int *lengths;              // [n_slots]
    int64_t n_computed, n_all; // tokens that went through, and that one forward a prompt would have taken
};

struct error *CHECKED scorer_open(struct scorer *scorer, struct model *model, int n_slots, int capacity);
struct error *CHECKED scorer_run(struct scorer *scorer, struct scored_question *questions, int n);

#endif
