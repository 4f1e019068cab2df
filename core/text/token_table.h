// token_table.h - a vocabulary as plain arrays, the form in which it is trained, stored and handed on.
//
//     e = bpe_trainer_merge(trainer, vocab - 256 - TOKEN_SPECIALS, NULL, NULL, arena, &table);
//     e = token_table_add_specials(&table, arena, token_specials, TOKEN_SPECIALS);
//     e = tokenizer_new(&tokenizer, arena, &table);
//
// Layout     ids 0 .. 255 are the single bytes, then the merges in the order of training (the id is the rank), then the special
//            tokens; bytes[offsets[i] .. offsets[i+1]-1] are those of token i, for a special token its name
// Ownership  whoever made the table says; the calls here allocate in the arena given
// Errors     token_table_check trusts nothing: ERROR_DATA for sizes, offsets, a missing byte, an empty token, duplicates, names
//            of special tokens that differ from their bytes
// Limits     2^24 ids, 1 GiB of bytes, 4,096 special tokens
#ifndef CORE_TEXT_TOKEN_TABLE_H
#define CORE_TEXT_TOKEN_TABLE_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { TOKEN_SPECIALS = 9, TOKEN_TABLE_MAX = 1 << 24, TOKEN_BYTES_MAX = 1 << 30, TOKEN_SPECIALS_MAX = 4096 };

// The special tokens of a chat, in the order of their ids.
extern const char *const token_specials[TOKEN_SPECIALS];

struct token_table {
    int32_t n;              // ids, special tokens included
    const uint8_t *bytes;   // u8 [n_bytes]
    size_t n_bytes;         // = offsets[n]
    const int64_t *offsets; // i64 [n+1]
    int n_special;          // the last n_special ids
    const char *const *special;
};

static inline const uint8_t *token_table_bytes(const struct token_table *t, int32_t id, size_t *n)
{
    *n = (size_t)(t->offsets[id + 1] - t->offsets[id]);
    return t->bytes + t->offsets[id];
}

// Appends n special tokens to a table that has none; the arrays are made anew in the arena.
struct error *CHECKED token_table_add_specials(struct token_table *t, struct arena *arena, const char *const *names, int n);

// Everything but duplicates, which are found when the index is made (token_index.h, tokenizer_new).
struct error *CHECKED token_table_check(const struct token_table *t);

// A copy that shares nothing, in the arena. The table must have passed token_table_check.
struct error *CHECKED token_table_copy(struct token_table *out, const struct token_table *t, struct arena *arena);

#endif
