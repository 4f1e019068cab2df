// writer.h - what a base model writes when it is let: the samples that training keeps.
//
// At a sample step: the reference's seven prompts, greedy, sixteen tokens each. At the end also WRITER_FREE documents from nothing,
// sampled at temperature 1 until the model starts a new document or WRITER_TOKENS are reached.
//
// Bits    a function of the parameters, seed and step alone
// Errors  ERROR_STOPPED between tokens
// Source  nanochat 2025-10-13, base_train (prompts)
#ifndef CORE_INFER_WRITER_H
#define CORE_INFER_WRITER_H

#include "core/infer/decoder.h"
#include "core/store/metrics.h"
#include "core/text/tokenizer.h"

enum { WRITER_PROMPTS = 7, WRITER_PROMPT_TOKENS = 16, WRITER_FREE = 24, WRITER_TOKENS = 256 };

struct writer {
    struct model *model;
    struct decoder decoder;
    float *logits, *scratch; // [WRITER_FREE, V], [V]
};

struct error *CHECKED writer_open(struct writer *writer, struct model *model);

// Adds samples to the table; all or nothing.
struct error *CHECKED writer_samples(struct writer *writer, const struct tokenizer *tokenizer, uint64_t seed, int64_t step,
                                     bool last, struct table *samples);

#endif
