// Encoding by rank of bytes, decoding, lengths for bits per byte, and tables that lie.
#include "core/text/tokenizer.h"

#include "core/base/philox.h"
#include "core/text/bpe_train.h"
#include "core/text/split.h"
#include "tests/unit/core/text/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// 256 bytes and the tokens given, then n_special special tokens; the arrays live in the arena and may be spoilt.
struct made {
    uint8_t *bytes;
    int64_t *offsets;
    struct token_table table;
};

static struct made make(struct arena *arena, const char *const *tokens, int n_tokens, int n_special)
{
    struct made m = {.bytes = arena_alloc(arena, 4096), .offsets = arena_array(arena, 1024, sizeof(int64_t))};
    int32_t n = 0;
    for (; n < 256; n++) {
        m.bytes[n] = (uint8_t)n;
        m.offsets[n + 1] = n + 1;
    }
    for (int i = 0; i < n_tokens + n_special; i++, n++) {
        const char *token = i < n_tokens ? tokens[i] : token_specials[i - n_tokens];
        memcpy(m.bytes + m.offsets[n], token, strlen(token));
        m.offsets[n + 1] = m.offsets[n] + (int64_t)strlen(token);
    }
    m.table = (struct token_table){.n = n,
                                   .bytes = m.bytes,
                                   .n_bytes = (size_t)m.offsets[n],
                                   .offsets = m.offsets,
                                   .n_special = n_special,
                                   .special = token_specials};
    return m;
}

static void expect_ids(const struct tokenizer *t, const char *text, const int32_t *expected, size_t n)
{
    struct encoder enc;
    struct ids ids = {0};
    assert_null(encoder_init(&enc, t));
    for (size_t twice = 0; twice < 2; twice++) { // the second time from the cache
        ids.n = 0;
        assert_null(encoder_encode(&enc, (const uint8_t *)text, strlen(text), &ids));
        assert_int_equal(ids.n, n);
        assert_memory_equal(ids.id, expected, n * sizeof *expected);
    }
    ids_release(&ids);
    encoder_release(&enc);
}

static void rank_by_bytes(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t;
    // abc was made of a and bc or of ab and c: encoding does not ask.
    const char *const tokens[] = {"bc", "ab", "abc"};
    struct made m = make(&arena, tokens, 3, 0);
    assert_null(tokenizer_new(&t, &arena, &m.table));
    expect_ids(t, "abc", (int32_t[]){258}, 1);
    expect_ids(t, "xabc", (int32_t[]){'x', 258}, 2);
    expect_ids(t, "bcab", (int32_t[]){256, 257}, 2);
    expect_ids(t, "abab", (int32_t[]){257, 257}, 2);
    // A whole piece is its token even where merges would not get there.
    const char *const hidden[] = {"bc", "abcd"};
    m = make(&arena, hidden, 2, 0);
    assert_null(tokenizer_new(&t, &arena, &m.table));
    expect_ids(t, "abcd", (int32_t[]){257}, 1);
    expect_ids(t, "xabcd", (int32_t[]){'x', 'a', 256, 'd'}, 4);
    // Ties go to the left.
    const char *const pair[] = {"aa"};
    m = make(&arena, pair, 1, 0);
    assert_null(tokenizer_new(&t, &arena, &m.table));
    expect_ids(t, "aaa", (int32_t[]){256, 'a'}, 2);
    expect_ids(t, "aaaaa", (int32_t[]){256, 256, 'a'}, 3);
    expect_ids(t, "", NULL, 0);
    arena_release(&arena);
}

static void specials(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t;
    struct token_table table;
    struct bpe_trainer *trainer;
    assert_null(bpe_trainer_new(&trainer, 100, 100));
    assert_null(bpe_trainer_add(trainer, (const uint8_t *)"hello hello", 11, NULL));
    assert_null(bpe_trainer_merge(trainer, 3, NULL, NULL, &arena, &table));
    bpe_trainer_free(trainer);
    assert_null(token_table_add_specials(&table, &arena, token_specials, TOKEN_SPECIALS));
    assert_null(tokenizer_new(&t, &arena, &table));
    assert_int_equal(t->n_vocab, 256 + 3 + 9);
    static const char *const order[] = {"bos",          "user_start", "user_end",     "assistant_start", "assistant_end",
                                        "python_start", "python_end", "output_start", "output_end"};
    for (int i = 0; i < 9; i++) {
        char name[64];
        snprintf(name, sizeof name, "<|%s|>", order[i]);
        assert_int_equal(tokenizer_special(t, name), 259 + i);
        assert_int_equal(t->token_bytes[259 + i], 0);
    }
    assert_int_equal(tokenizer_special(t, "<|eos|>"), -1);
    // In a text their names are text.
    struct encoder enc;
    struct ids ids = {0};
    struct bytes text = {0};
    assert_null(encoder_init(&enc, t));
    assert_null(encoder_encode(&enc, (const uint8_t *)"<|bos|>", 7, &ids));
    assert_int_equal(ids.n, 7);
    assert_null(ids_push(&ids, tokenizer_special(t, "<|bos|>")));
    assert_null(tokenizer_decode(t, ids.id, ids.n, &text));
    assert_int_equal(text.n, 14);
    assert_memory_equal(text.byte, "<|bos|><|bos|>", 14);
    struct error *e = tokenizer_decode(t, (int32_t[]){268}, 1, &text);
    assert_int_equal(e->kind, ERROR_DATA);
    error_free(e);
    e = tokenizer_decode(t, (int32_t[]){-1}, 1, &text);
    assert_int_equal(e->kind, ERROR_DATA);
    error_free(e);
    assert_int_equal(text.n, 14);
    bytes_release(&text);
    ids_release(&ids);
    encoder_release(&enc);
    arena_release(&arena);
}

static void lengths_of_tokens(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t;
    const char *const tokens[] = {"\xE4\xBD", "\xBD\xA0", "\xE4\xBD\xA0", " the", "<|bos|>"};
    struct made m = make(&arena, tokens, 5, 9);
    assert_null(tokenizer_new(&t, &arena, &m.table));
    static const int32_t expected[] = {3, 6, 3, 4, 0};
    assert_memory_equal(t->token_bytes + 256, expected, sizeof expected);
    for (int i = 0; i < 256; i++)
        assert_int_equal(t->token_bytes[i], i < 128 ? 1 : 3);
    int32_t counts[256 + 5 + 9];
    token_bytes_count(&t->table, TOKEN_BYTES_2025, counts);
    assert_memory_equal(counts, t->token_bytes, sizeof counts);
    token_bytes_count(&t->table, TOKEN_BYTES_2026, counts);
    static const int32_t raw[] = {2, 2, 3, 4, 7};
    assert_memory_equal(counts + 256, raw, sizeof raw);
    for (int i = 0; i < 256 + 5 + 9; i++)
        if (i < 256 || i >= 256 + 5)
            assert_int_equal(counts[i], i < 256);
    // As text, a character cut by a token border is whole again, and what stays broken is replaced.
    struct bytes text = {0};
    assert_null(tokenizer_text(t, (int32_t[]){256, 0xA0, 256, '!', 257}, 5, &text));
    assert_int_equal(text.n, 3 + 3 + 1 + 6);
    assert_memory_equal(text.byte, "\xE4\xBD\xA0\xEF\xBF\xBD!\xEF\xBF\xBD\xEF\xBF\xBD", 13);
    bytes_release(&text);
    arena_release(&arena);
}

static void refused(const struct token_table *table, const char *words)
{
    struct arena arena = {0};
    struct tokenizer *t;
    struct error *e = tokenizer_new(&t, &arena, table);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_DATA);
    if (!strstr(e->what, words))
        fail_msg("'%s' does not say '%s'", e->what, words);
    error_free(e);
    arena_release(&arena);
}

static void lying_tables(void **state)
{
    (void)state;
    struct arena arena = {0};
    const char *const tokens[] = {"ab", "cd", "a word of more than sixteen bytes"};
    struct made m = make(&arena, tokens, 3, 9);
    struct token_table lie = m.table;
    lie.n = 255;
    refused(&lie, "255 tokens");
    lie.n = INT32_MAX;
    refused(&lie, "tokens, outside");
    lie.n = -5;
    refused(&lie, "tokens, outside");
    lie = m.table;
    lie.n_special = -1;
    refused(&lie, "special tokens, outside");
    lie.n_special = 1 << 30;
    refused(&lie, "special tokens, outside");
    lie.n_special = 13;
    refused(&lie, "outside");
    lie.n_special = 8;
    refused(&lie, "other bytes");
    lie = m.table;
    lie.n_bytes--;
    refused(&lie, "do not span");
    lie.n_bytes = SIZE_MAX;
    refused(&lie, "more than");
    lie = m.table;
    lie.bytes = NULL;
    refused(&lie, "missing");
    static const struct {
        int at;
        int64_t value;
        const char *words;
    } offsets[] = {{0, 1, "do not span"},    {0, INT64_MIN, "do not span"}, {257, 256, "empty"}, {257, -4, "empty"},
                   {257, 300000, "offsets"}, {258, INT64_MAX, "offsets"},   {100, 99, "empty"},  {258, INT64_MIN, "offsets"}};
    for (size_t i = 0; i < countof(offsets); i++) {
        int64_t kept = m.offsets[offsets[i].at];
        m.offsets[offsets[i].at] = offsets[i].value;
        refused(&m.table, offsets[i].words);
        m.offsets[offsets[i].at] = kept;
    }
    m.bytes[65] = 'B';
    refused(&m.table, "not the byte 65");
    m.bytes[65] = 'A';
    memcpy(m.bytes + 258, "ab", 2);
    refused(&m.table, "tokens 256 and 257");
    const char *const twins[] = {"a word of more than sixteen bytes", "a word of more than sixteen bytes"};
    m = make(&arena, twins, 2, 0);
    refused(&m.table, "tokens 256 and 257");
    const char *const single[] = {"z"};
    m = make(&arena, single, 1, 0);
    refused(&m.table, "tokens 122 and 256");
    const char *const again[] = {"<|bos|>", "<|bos|>"};
    m = make(&arena, again, 2, 0);
    m.table.n_special = 2;
    m.table.special = again;
    refused(&m.table, "twice");
    arena_release(&arena);
}

static struct tokenizer *trained(struct arena *arena)
{
    struct token_table table;
    struct tokenizer *t;
    struct bpe_trainer *trainer;
    assert_null(bpe_trainer_new(&trainer, 10000, 1 << 30));
    struct philox random = philox_for(4, PHILOX_SAMPLE);
    for (uint64_t document = 0; document < 2000; document++) {
        uint8_t text[200];
        uint32_t words[4];
        for (size_t i = 0; i < sizeof text; i++) {
            philox_words(random, document, i, words);
            text[i] = words[1] % 16 ? (uint8_t)("aaaabbc d\n-\xC3\xA9\xE4"[words[0] % 14]) : (uint8_t)words[2];
        }
        assert_null(bpe_trainer_add(trainer, text, sizeof text, NULL));
    }
    assert_null(bpe_trainer_add(trainer, (const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 56, NULL));
    assert_null(bpe_trainer_merge(trainer, 700, NULL, NULL, arena, &table));
    bpe_trainer_free(trainer);
    assert_null(token_table_add_specials(&table, arena, token_specials, TOKEN_SPECIALS));
    assert_null(tokenizer_new(&t, arena, &table));
    return t;
}

static void like_the_slow_rule(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t = trained(&arena);
    struct encoder enc;
    struct ids ids = {0};
    assert_null(encoder_init(&enc, t));
    struct philox random = philox_for(5, PHILOX_SAMPLE);
    for (uint64_t round = 0; round < 60; round++) {
        uint8_t text[300];
        uint32_t words[4];
        philox_words(random, round, 0, words);
        size_t n = 1 + words[0] % (round % 4 == 0 ? 300 : 60); // pieces for all three ways
        for (size_t i = 0; i < n; i++) {
            philox_words(random, round, 1 + i, words);
            text[i] = (uint8_t)("aaab\xC3\xA9--"[words[0] % (round % 3 ? 8 : 4)]);
        }
        ids.n = 0;
        assert_null(encoder_encode(&enc, text, n, &ids));
        size_t used = 0;
        for (size_t at = 0, end; at < n; at = end) {
            int32_t expected[300];
            end = split_next(text, n, at);
            size_t n_ids = plain_encode(&t->table, text + at, end - at, expected);
            assert_true(used + n_ids <= ids.n);
            assert_memory_equal(ids.id + used, expected, n_ids * sizeof *expected);
            used += n_ids;
        }
        assert_int_equal(used, ids.n);
    }
    ids_release(&ids);
    encoder_release(&enc);
    arena_release(&arena);
}

static void round_trip(struct encoder *enc, const uint8_t *text, size_t n)
{
    struct ids ids = {0};
    struct bytes back = {0};
    assert_null(encoder_encode(enc, text, n, &ids));
    assert_null(tokenizer_decode(enc->tokenizer, ids.id, ids.n, &back));
    assert_int_equal(back.n, n);
    assert_memory_equal(back.byte, text, n);
    ids_release(&ids);
    bytes_release(&back);
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t = trained(&arena);
    struct encoder enc;
    assert_null(encoder_init(&enc, t));
    struct philox random = philox_for(6, PHILOX_SAMPLE);
    for (uint64_t round = 0; round < 2000; round++) {
        uint8_t text[512];
        uint32_t words[4];
        philox_words(random, round, 0, words);
        size_t n = 1 + words[0] % sizeof text;
        for (size_t i = 0; i < n; i++) {
            philox_words(random, round, 1 + i, words);
            text[i] = round % 2 ? (uint8_t)words[0] : (uint8_t)("ab \n\xE4\xBD\xA0\xF0\x9F\x99\x82'"[words[0] % 12]);
        }
        round_trip(&enc, text, n);
    }
    // The whole Unicode range in one text.
    struct bytes all = {0};
    for (uint32_t c = 0x800; c < 0x110000; c += 7) {
        uint8_t three[3] = {(uint8_t)(0xE0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))};
        uint8_t four[4] = {(uint8_t)(0xF0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 63)), three[1], three[2]};
        assert_null(bytes_append(&all, c < 0x10000 ? three : four, c < 0x10000 ? 3 : 4));
    }
    round_trip(&enc, all.byte, all.n);
    bytes_release(&all);
    encoder_release(&enc);
    arena_release(&arena);
}

// A quadratic merge would need hours for these.
static void a_megabyte_of_one_letter(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct tokenizer *t = trained(&arena);
    struct encoder enc;
    assert_null(encoder_init(&enc, t));
    size_t n = 1 << 20;
    uint8_t *text = arena_alloc(&arena, n);
    assert_non_null(text);
    static const char letters[] = "aq \n-\xE4";
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        memset(text, letters[i], n);
        round_trip(&enc, text, n);
    }
    for (size_t i = 0; i < n; i++)
        text[i] = (uint8_t) "ab"[i * 7 / 5 % 2];
    round_trip(&enc, text, n);
    encoder_release(&enc);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rank_by_bytes),
        cmocka_unit_test(specials),
        cmocka_unit_test(lengths_of_tokens),
        cmocka_unit_test(lying_tables),
        cmocka_unit_test(like_the_slow_rule),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(a_megabyte_of_one_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
