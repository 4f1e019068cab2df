// byte_chat.h - a tokenizer of 256 single bytes and the nine special tokens, for tests of conversations.
#ifndef TESTS_UNIT_CORE_DATA_BYTE_CHAT_H
#define TESTS_UNIT_CORE_DATA_BYTE_CHAT_H

#include "tests/unit/folder.h"

#include "core/text/chat.h"

enum { BOS = 256, USER, USER_END, ASSISTANT };

struct byte_chat {
    struct arena arena;
    struct tokenizer *tokenizer;
    struct encoder enc;
};

static inline void byte_chat_open(struct byte_chat *b)
{
    *b = (struct byte_chat){0};
    uint8_t bytes[256];
    int64_t offsets[257] = {0};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
        offsets[i + 1] = i + 1;
    }
    struct token_table table = {.n = 256, .bytes = bytes, .n_bytes = 256, .offsets = offsets};
    assert_good(token_table_add_specials(&table, &b->arena, token_specials, TOKEN_SPECIALS));
    assert_good(tokenizer_new(&b->tokenizer, &b->arena, &table));
    assert_good(encoder_init(&b->enc, b->tokenizer));
}

static inline void byte_chat_close(struct byte_chat *b)
{
    encoder_release(&b->enc);
    arena_release(&b->arena);
}

#endif
