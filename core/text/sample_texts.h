// sample_texts.h - short texts of several kinds, to see how a vocabulary compresses what it may not have been trained on.
//
// Written for this project. gpt2 and gpt4 are the tokens that the vocabularies of GPT-2 (r50k, 50,257) and GPT-4 (cl100k_base, 100,277)
// make of them; tests/parity/test_samples.py counts them with tiktoken.
#ifndef CORE_TEXT_SAMPLE_TEXTS_H
#define CORE_TEXT_SAMPLE_TEXTS_H

#include <stdint.h>

struct sample_text {
    const char *name, *text;
    int64_t gpt2, gpt4;
};

enum { SAMPLE_TEXTS = 5 };

extern const struct sample_text sample_texts[SAMPLE_TEXTS];

#endif
