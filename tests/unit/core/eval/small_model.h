// small_model.h - a model of made-up weights that speaks bytes, and its tokenizer.
#ifndef TESTS_UNIT_CORE_EVAL_SMALL_MODEL_H
#define TESTS_UNIT_CORE_EVAL_SMALL_MODEL_H

#include "core/text/tokenizer.h"
#include "tests/unit/core/model/golden.h"

enum { SMALL_V = 256 + TOKEN_SPECIALS };

struct small_model {
    struct arena arena;
    struct tokenizer *tokenizer;
    struct device *dev;
    struct model model;
};

// Ends of answers have larger logits than other tokens, of either sign: so some answers are short.
static inline void small_model_open(struct small_model *s)
{
    *s = (struct small_model){0};
    uint8_t bytes[256];
    int64_t offsets[257] = {0};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
        offsets[i + 1] = i + 1;
    }
    struct token_table table = {.n = 256, .bytes = bytes, .n_bytes = 256, .offsets = offsets};
    assert_null(token_table_add_specials(&table, &s->arena, token_specials, TOKEN_SPECIALS));
    assert_null(tokenizer_new(&s->tokenizer, &s->arena, &table));
    struct fault fault;
    struct shape shape = golden_shape();
    shape.n_vocab = shape.n_vocab_padded = SMALL_V;
    s->dev = device_open(DEVICE_CPU, 1, &fault);
    assert_non_null(s->dev);
    assert_null(model_open(&s->model, s->dev, &shape, &s->arena));
    golden_weights(&s->model);
    struct param *head = &s->model.params[s->model.lm_head];
    int64_t end = tokenizer_special(s->tokenizer, "<|assistant_end|>");
    for (int64_t i = 0; i < head->cols; i++) {
        double value = 3 * ((double)(golden_mix(900, (uint64_t)i) >> 40) - 8388608.0) / 8388608.0 / 16;
        device_put_f64(s->dev, head->w.master, end * head->cols + i, 1, &value);
    }
    model_prepare(&s->model);
}

static inline void small_model_close(struct small_model *s)
{
    device_close(s->dev);
    arena_release(&s->arena);
}

#endif
