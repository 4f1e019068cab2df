// tokenizer.c - making a tokenizer, and decoding; encoder.c encodes.
#include "core/text/tokenizer.h"

#include "core/text/token_index.h"
#include "core/text/utf8.h"

#include <string.h>

int32_t tokenizer_special(const struct tokenizer *t, const char *name)
{
    for (int i = 0; i < t->table.n_special; i++)
        if (strcmp(name, t->table.special[i]) == 0)
            return t->table.n - t->table.n_special + i;
    return -1;
}

static bool reads_like_special(const struct token_table *t, const uint8_t *bytes, size_t n)
{
    for (int i = 0; i < t->n_special; i++)
        if (strlen(t->special[i]) == n && memcmp(t->special[i], bytes, n) == 0)
            return true;
    return false;
}

void token_bytes_count(const struct token_table *t, enum token_bytes_rule rule, int32_t *token_bytes)
{
    for (int32_t id = 0; id < t->n; id++) {
        size_t n;
        const uint8_t *bytes = token_table_bytes(t, id, &n);
        if (id >= t->n - t->n_special || (rule == TOKEN_BYTES_2025 && reads_like_special(t, bytes, n)))
            token_bytes[id] = 0;
        else
            token_bytes[id] = (int32_t)(rule == TOKEN_BYTES_2025 ? utf8_repaired_bytes(bytes, n) : n);
    }
}

// A name with an ill-formed part would read otherwise than it is stored.
static struct error *check_names(const struct token_table *table)
{
    for (int i = 0; i < table->n_special; i++)
        if (!utf8_is_valid((const uint8_t *)table->special[i], strlen(table->special[i])))
            return error_plain(ERROR_DATA, "the name of special token %d is not UTF-8", table->n - table->n_special + i);
    return NULL;
}

struct error *tokenizer_new(struct tokenizer **out, struct arena *arena, const struct token_table *table)
{
    struct error *e = token_table_check(table);
    if (!e)
        e = check_names(table);
    if (e)
        return e;
    struct tokenizer *t = arena_alloc(arena, sizeof *t);
    struct token_index *index = arena_alloc(arena, sizeof *index);
    int32_t *token_bytes = arena_array(arena, (size_t)table->n, sizeof *token_bytes);
    if (!t || !index || !token_bytes)
        return error_memory();
    if ((e = token_table_copy(&t->table, table, arena)) || (e = token_index_init(index, &t->table, arena)))
        return e;
    t->n_vocab = table->n;
    t->index = index;
    t->token_bytes = token_bytes;
    token_bytes_count(&t->table, TOKEN_BYTES_2025, token_bytes);
    *out = t;
    return NULL;
}

struct error *tokenizer_count_bytes(struct tokenizer *t, enum token_bytes_rule rule, struct arena *arena)
{
    int32_t *counts = arena_array(arena, (size_t)t->n_vocab, sizeof *counts);
    if (!counts)
        return error_memory();
    token_bytes_count(&t->table, rule, counts);
    t->token_bytes = counts;
    return NULL;
}

struct error *tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, struct bytes *out)
{
    size_t total = 0, length;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->n_vocab)
            return error_plain(ERROR_DATA, "token id %d is outside the vocabulary of %d", ids[i], t->n_vocab);
        token_table_bytes(&t->table, ids[i], &length);
        if (length > SIZE_MAX / 4 - total)
            return error_memory();
        total += length;
    }
    struct error *e = bytes_reserve(out, total);
    for (size_t i = 0; !e && i < n; i++) {
        const uint8_t *bytes = token_table_bytes(&t->table, ids[i], &length);
        memcpy(out->byte + out->n, bytes, length);
        out->n += length;
    }
    return e;
}

struct error *tokenizer_text(const struct tokenizer *t, const int32_t *ids, size_t n, struct bytes *out)
{
    struct bytes raw = {0};
    struct error *e = tokenizer_decode(t, ids, n, &raw);
    if (!e)
        e = utf8_repair(raw.byte, raw.n, out);
    bytes_release(&raw);
    return e;
}
