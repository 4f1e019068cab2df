// vocabulary.h - a vocabulary of 256 bytes, pairs of letters, and the nine special tokens of a chat.
#ifndef TESTS_UNIT_CORE_INFER_VOCABULARY_H
#define TESTS_UNIT_CORE_INFER_VOCABULARY_H

#include "core/text/tokenizer.h"

// At most 26 * 26 pairs, "aa", "ab" ...
static inline struct tokenizer *vocabulary(struct arena *arena, int n_pairs)
{
    int n = 256 + n_pairs;
    uint8_t *bytes = arena_array(arena, 256 + 2 * (size_t)n_pairs, 1);
    int64_t *offsets = arena_array(arena, (size_t)n + 1, sizeof *offsets);
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
        offsets[i + 1] = i + 1;
    }
    for (int i = 0; i < n_pairs; i++) {
        bytes[256 + 2 * i] = (uint8_t)('a' + i / 26);
        bytes[257 + 2 * i] = (uint8_t)('a' + i % 26);
        offsets[257 + i] = 258 + 2 * i;
    }
    struct token_table table = {.n = n, .bytes = bytes, .n_bytes = (size_t)offsets[n], .offsets = offsets};
    struct tokenizer *t = NULL;
    assert_null(token_table_add_specials(&table, arena, token_specials, TOKEN_SPECIALS));
    assert_null(tokenizer_new(&t, arena, &table));
    return t;
}

#endif
