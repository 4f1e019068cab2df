// token_table.c - checks and copies of vocabularies.
#include "core/text/token_table.h"

#include <string.h>

const char *const token_specials[TOKEN_SPECIALS] = {
    "<|bos|>",          "<|user_start|>", "<|user_end|>",     "<|assistant_start|>", "<|assistant_end|>",
    "<|python_start|>", "<|python_end|>", "<|output_start|>", "<|output_end|>",
};

static struct error *check_specials(const struct token_table *t)
{
    if (t->n_special && !t->special)
        return error_plain(ERROR_DATA, "the vocabulary names none of its %d special tokens", t->n_special);
    for (int i = 0; i < t->n_special; i++) {
        const char *name = t->special[i];
        int32_t id = t->n - t->n_special + i;
        size_t n;
        const uint8_t *bytes = token_table_bytes(t, id, &n);
        if (!name || strlen(name) != n || memcmp(name, bytes, n) != 0)
            return error_plain(ERROR_DATA, "special token '%s' has other bytes than id %d", name ? name : "(no name)", id);
        for (int j = 0; j < i; j++)
            if (strcmp(name, t->special[j]) == 0)
                return error_plain(ERROR_DATA, "special token '%s' is there twice", name);
    }
    return NULL;
}

struct error *token_table_check(const struct token_table *t)
{
    if (t->n_special < 0 || t->n_special > TOKEN_SPECIALS_MAX)
        return error_plain(ERROR_DATA, "the vocabulary has %d special tokens, outside 0 to %d", t->n_special, TOKEN_SPECIALS_MAX);
    if (t->n < 256 + t->n_special || t->n > TOKEN_TABLE_MAX)
        return error_plain(ERROR_DATA, "the vocabulary has %d tokens, outside %d to %d", t->n, 256 + t->n_special,
                           TOKEN_TABLE_MAX);
    if (!t->bytes || !t->offsets || t->n_bytes > TOKEN_BYTES_MAX)
        return error_plain(ERROR_DATA, "the tokens of the vocabulary are missing, or more than %d bytes", TOKEN_BYTES_MAX);
    if (t->offsets[0] != 0 || t->offsets[t->n] != (int64_t)t->n_bytes)
        return error_plain(ERROR_DATA, "the offsets of the vocabulary do not span its %zu bytes", t->n_bytes);
    for (int32_t id = 0; id < t->n; id++) {
        // Both halves matter: growing offsets whose last one fits are all inside.
        if (t->offsets[id + 1] <= t->offsets[id] || t->offsets[id + 1] > (int64_t)t->n_bytes)
            return error_plain(ERROR_DATA, "token %d of the vocabulary is empty, or its offsets go back", id);
    }
    for (int32_t id = 0; id < 256; id++)
        if (t->offsets[id + 1] != id + 1 || t->bytes[id] != id)
            return error_new(ERROR_DATA, NOWHERE, "only a vocabulary that begins with the 256 bytes, in their order, can be read",
                             "token %d of the vocabulary is not the byte %d alone", id, id);
    return check_specials(t);
}

struct error *token_table_copy(struct token_table *out, const struct token_table *t, struct arena *arena)
{
    uint8_t *bytes = arena_array(arena, t->n_bytes, 1);
    int64_t *offsets = arena_array(arena, (size_t)t->n + 1, sizeof *offsets);
    const char **special = arena_array(arena, (size_t)t->n_special, sizeof *special);
    if (!bytes || !offsets || !special)
        return error_memory();
    memcpy(bytes, t->bytes, t->n_bytes);
    memcpy(offsets, t->offsets, ((size_t)t->n + 1) * sizeof *offsets);
    for (int i = 0; i < t->n_special; i++)
        if (!(special[i] = arena_strdup(arena, t->special[i])))
            return error_memory();
    *out = (struct token_table){
        .n = t->n, .bytes = bytes, .n_bytes = t->n_bytes, .offsets = offsets, .n_special = t->n_special, .special = special};
    return NULL;
}

struct error *token_table_add_specials(struct token_table *t, struct arena *arena, const char *const *names, int n)
{
    if (t->n_special || n < 0 || n > TOKEN_SPECIALS_MAX || t->n > TOKEN_TABLE_MAX - n)
        return error_plain(ERROR_DATA, "%d special tokens cannot be added to a vocabulary of %d tokens, %d of them special", n,
                           t->n, t->n_special);
    size_t n_bytes = t->n_bytes;
    for (int i = 0; i < n; i++)
        n_bytes += strlen(names[i]);
    uint8_t *bytes = arena_array(arena, n_bytes, 1);
    int64_t *offsets = arena_array(arena, (size_t)t->n + (size_t)n + 1, sizeof *offsets);
    const char **special = arena_array(arena, (size_t)n, sizeof *special);
    if (!bytes || !offsets || !special)
        return error_memory();
    memcpy(bytes, t->bytes, t->n_bytes);
    memcpy(offsets, t->offsets, ((size_t)t->n + 1) * sizeof *offsets);
    for (int i = 0; i < n; i++) {
        size_t length = strlen(names[i]);
        memcpy(bytes + offsets[t->n + i], names[i], length);
        offsets[t->n + i + 1] = offsets[t->n + i] + (int64_t)length;
        if (!(special[i] = arena_strdup(arena, names[i])))
            return error_memory();
    }
    struct token_table grown = {
        .n = t->n + n, .bytes = bytes, .n_bytes = n_bytes, .offsets = offsets, .n_special = n, .special = special};
    struct error *e = token_table_check(&grown);
    if (!e)
        *t = grown;
    return e;
}
