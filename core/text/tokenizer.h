// tokenizer.h - text to token ids and back, with a vocabulary that does not change.
//
//     e = tokenizer_new(&t, arena, &table);                        // checks the table: it may come from a file
//     struct encoder enc = {0};
//     e = encoder_init(&enc, t);                                   // one a thread
//     e = ids_push(&ids, tokenizer_special(t, "<|bos|>"));
//     e = encoder_encode(&enc, text, n, &ids);                     // appends
//     e = tokenizer_decode(t, ids.id, ids.n, &bytes);              // appends the same text again
//     encoder_release(&enc);
//
// Encoding   split.h cuts the text into pieces. A piece that is a token is that token. Else it starts as single bytes, and the
//            two neighbours whose bytes together are the token of the lowest id are joined, the leftmost first among equals,
//            until no two neighbours make a token. (The order of merges is the order of ids; how a token was made while
//            training plays no part.) The name of a special token inside a text is text: specials come in by id only
// Decoding   the bytes of the ids, one after the other; special ids give their names. decode(encode(x)) is x for any bytes
// Cost       a piece of n bytes takes O(n log n), so a megabyte of one letter is no trouble; short pieces are remembered, in 4 MiB
//            an encoder. Some 105 MB/s a thread on English text with a vocabulary of 32,768 (a core of an EPYC 9004, 2026-11): a
//            fifth of the time cuts, a third looks for tokens of the one piece in twenty-five that is new or forgotten, the rest goes
//            through the cache and joins. A piece of 10 MB of one letter takes 0.5 s, 1 MB 0.05 s
// Ownership  a tokenizer lives in the arena given and shares nothing with the table it was made from; an encoder owns its scratch
// Errors     ERROR_DATA: tokenizer_new names what is wrong with the table, decoding an id that is not there; encoding fails
//            only for memory (the ids are then as they were), by stop_requested(), or at a piece of 2 GiB
// Threads    a tokenizer is immutable; an encoder belongs to one thread
// Source     the rule by rank of bytes is tiktoken's; tests/parity/test_text.py compares ids with it. The rules for bytes are those of
//            nanochat, 2025-10-13 and 2026-07-03
#ifndef CORE_TEXT_TOKENIZER_H
#define CORE_TEXT_TOKENIZER_H

#include "core/text/buffer.h"
#include "core/text/token_table.h"

struct token_index;
struct encoder_cache;

// What a token counts for in bits per byte; values by different rules are not to be compared.
enum token_bytes_rule {
    TOKEN_BYTES_2025, // the UTF-8 length of the token decoded alone, where each ill-formed part counts as U+FFFD (3 bytes); 0 for
                      // special tokens and for a token that reads like one
    TOKEN_BYTES_2026, // its bytes; 0 for special tokens
};

struct tokenizer {
    struct token_table table; // what a file stores of it
    int32_t n_vocab;          // = table.n: 1 + the largest id

    const int32_t *token_bytes; // i32 [n_vocab], for bits per byte: TOKEN_BYTES_2025, or what a file says (tokenizer_file.h)

    const struct token_index *index;
};

struct encoder {
    const struct tokenizer *tokenizer;
    struct encoder_cache *cache;
    void *scratch; // for long pieces
    size_t scratch_bytes;
};

struct error *CHECKED tokenizer_new(struct tokenizer **out, struct arena *arena, const struct token_table *table);

// Counts by another rule from here on, in the arena.
struct error *CHECKED tokenizer_count_bytes(struct tokenizer *tokenizer, enum token_bytes_rule rule, struct arena *arena);

// Fills token_bytes [n] of a table that is one of a tokenizer's.
void token_bytes_count(const struct token_table *table, enum token_bytes_rule rule, int32_t *token_bytes);

// The id of a special token by its name, or -1.
int32_t tokenizer_special(const struct tokenizer *t, const char *name);

struct error *CHECKED encoder_init(struct encoder *enc, const struct tokenizer *t);
void encoder_release(struct encoder *enc);

// Appends the ids of the text, whatever its bytes.
struct error *CHECKED encoder_encode(struct encoder *enc, const uint8_t *text, size_t n, struct ids *out);

// Appends the bytes of n ids.
struct error *CHECKED tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, struct bytes *out);

// The same as valid UTF-8: ill-formed parts become U+FFFD (utf8.h). The ids are joined first, so that characters cut by token
// borders are whole.
struct error *CHECKED tokenizer_text(const struct tokenizer *t, const int32_t *ids, size_t n, struct bytes *out);

#endif
