// tokenizer_tiktoken.c - base64 is OpenSSL's. Its decoder forgives much, so a line counts only if encoding it again gives it back.
#include "core/text/tokenizer_tiktoken.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "core/base/stop.h"
#include "core/text/split.h"

enum {
    RANK_TEXT = 16,       // " 16777215\n" and a terminator
    TOKEN_MOST = 1 << 20, // bytes of a token that is read
    NAME_MOST = 256,      // of a special token (tokenizer_file.c)
    POLL_TOKENS = 1 << 12
};

struct error *tokenizer_to_tiktoken(const struct tokenizer *t, struct bytes *ranks, struct json *settings)
{
    const struct token_table *table = &t->table;
    struct error *e = NULL;
    for (int32_t id = 0; id < table->n - table->n_special && !e; id++) {
        size_t n;
        const uint8_t *p = token_table_bytes(table, id, &n);
        if ((e = bytes_reserve(ranks, 4 * (n / 3 + 1) + RANK_TEXT)))
            break;
        char *to = (char *)ranks->byte + ranks->n;
        int written = EVP_EncodeBlock((unsigned char *)to, p, (int)n);
        ranks->n += (size_t)written + (size_t)snprintf(to + written, RANK_TEXT, " %d\n", id);
        if (id % POLL_TOKENS == 0 && stop_requested())
            e = error_stopped();
    }
    json_open(settings, '{');
    json_key(settings, "name"), json_str(settings, "retort");
    json_key(settings, "pat_str"), json_str(settings, SPLIT_PATTERN);
    json_key(settings, "special_tokens");
    json_open(settings, '{');
    for (int i = 0; i < table->n_special; i++)
        json_key(settings, table->special[i]), json_i64(settings, table->n - table->n_special + i);
    json_close(settings, '}');
    json_key(settings, "explicit_n_vocab"), json_i64(settings, table->n);
    json_close(settings, '}');
    return !e && settings->failed ? error_memory() : e;
}

struct lines {
    struct bytes bytes, again;
    struct arena *arena;
    int64_t *offsets;
    int32_t n, capacity;
};

static struct error *add_offset(struct lines *l)
{
    if (l->n + 2 > l->capacity) {
        int32_t more = l->capacity ? 2 * l->capacity : 1024;
        int64_t *grown = arena_grow(l->arena, l->offsets, (size_t)l->capacity, (size_t)more, sizeof *grown);
        if (!grown)
            return error_memory();
        l->offsets = grown;
        l->capacity = more;
    }
    l->offsets[++l->n] = (int64_t)l->bytes.n;
    return NULL;
}

// A line without its end.
static struct error *take_line(struct lines *l, const char *line, size_t n)
{
    char rank[RANK_TEXT];
    const char *blank = memchr(line, ' ', n);
    size_t coded = blank ? (size_t)(blank - line) : 0;
    if (!coded || coded % 4 || coded > 4 * (TOKEN_MOST / 3))
        return error_plain(ERROR_DATA, "line %d is not the base64 of 1 to %d bytes, a blank and a rank", l->n + 1, TOKEN_MOST);
    int digits = snprintf(rank, sizeof rank, "%d", l->n);
    if (n - coded - 1 != (size_t)digits || memcmp(blank + 1, rank, (size_t)digits))
        return error_plain(ERROR_DATA, "line %d has rank '%.*s', not %d: ranks come in order, and leave no gap", l->n + 1,
                           (int)(n - coded - 1 > 20 ? 20 : n - coded - 1), blank + 1, l->n);
    if (l->n >= TOKEN_TABLE_MAX || l->bytes.n + coded > TOKEN_BYTES_MAX)
        return error_plain(ERROR_DATA, "more than %d tokens, or %d bytes", TOKEN_TABLE_MAX, TOKEN_BYTES_MAX);
    struct error *e = bytes_reserve(&l->bytes, coded);
    l->again.n = 0;
    if (!e)
        e = bytes_reserve(&l->again, coded + 1);
    if (e)
        return e;
    uint8_t *to = l->bytes.byte + l->bytes.n;
    int got = EVP_DecodeBlock(to, (const unsigned char *)line, (int)coded);
    got -= got > 0 ? (line[coded - 1] == '=') + (line[coded - 2] == '=') : 0;
    if (got <= 0 || EVP_EncodeBlock(l->again.byte, to, got) != (int)coded || memcmp(l->again.byte, line, coded))
        return error_plain(ERROR_DATA, "line %d is not base64", l->n + 1);
    l->bytes.n += (size_t)got;
    return add_offset(l);
}

static struct error *read_lines(struct lines *l, const char *text, size_t n)
{
    struct error *e = add_offset(l);
    l->n = 0;
    for (size_t at = 0; at < n && !e;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t length = end ? (size_t)(end - text) - at : n - at, shown = length;
        shown -= shown && text[at + shown - 1] == '\r';
        if (shown)
            e = take_line(l, text + at, shown);
        at += length + 1;
        if (!e && l->n % POLL_TOKENS == 0 && stop_requested())
            e = error_stopped();
    }
    return e;
}

// The special tokens of the settings, by id.
static struct error *read_specials(const json_t *root, int32_t first, struct arena *arena, const char ***names, int *n)
{
    const json_t *specials = json_object_get(root, "special_tokens");
    const char *pattern = json_string_value(json_object_get(root, "pat_str")), *name;
    size_t count = json_object_size(specials);
    json_t *value;
    if (!json_is_object(specials) || count > TOKEN_SPECIALS_MAX)
        return error_plain(ERROR_DATA, "the settings have no special_tokens, or more than %d", TOKEN_SPECIALS_MAX);
    if (!pattern || strcmp(pattern, SPLIT_PATTERN))
        return error_new(ERROR_DATA, NOWHERE, "only the pattern of this version can be read",
                         "the settings split text by another pattern: %.150s", pattern ? pattern : "(none)");
    const char **by_id = arena_array(arena, count + 1, sizeof *by_id);
    if (!by_id)
        return error_memory();
    json_object_foreach((json_t *)specials, name, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) - first : -1;
        if (!*name || strlen(name) > NAME_MOST)
            return error_plain(ERROR_DATA, "a special token has no name of 1 to %d bytes", NAME_MOST);
        if (id < 0 || id >= (json_int_t)count || by_id[id])
            return error_plain(ERROR_DATA, "special token '%s' has no id of its own from %d to %d", name, first,
                               first + (int)count - 1);
        if (!(by_id[id] = arena_strdup(arena, name)))
            return error_memory();
    }
    *names = by_id;
    *n = (int)count;
    return NULL;
}

static struct error *specials_of(const char *settings, size_t n_settings, int32_t first, struct arena *arena,
                                 const char *const **names, int *n)
{
    json_error_t problem;
    const char **read = NULL;
    if (!settings) {
        *names = token_specials;
        *n = TOKEN_SPECIALS;
        return NULL;
    }
    json_t *root = json_loadb(settings, n_settings, JSON_REJECT_DUPLICATES, &problem);
    if (!root && json_error_code(&problem) == json_error_out_of_memory)
        return error_memory();
    struct error *e = root ? read_specials(root, first, arena, &read, n)
                           : error_plain(ERROR_DATA, "the settings are no JSON: %s, line %d", problem.text, problem.line);
    json_decref(root);
    *names = read;
    return e;
}

struct error *tokenizer_from_tiktoken(struct tokenizer **out, const char *ranks, size_t n_ranks, const char *settings,
                                      size_t n_settings, struct arena *arena)
{
    struct lines l = {.arena = arena};
    const char *const *names = NULL;
    int n_names = 0;
    struct error *e = read_lines(&l, ranks, n_ranks);
    if (!e)
        e = specials_of(settings, n_settings, l.n, arena, &names, &n_names);
    if (!e) {
        struct token_table table = {.n = l.n, .bytes = l.bytes.byte, .n_bytes = l.bytes.n, .offsets = l.offsets};
        e = token_table_check(&table);
        if (!e)
            e = token_table_add_specials(&table, arena, names, n_names);
        if (!e)
            e = tokenizer_new(out, arena, &table);
    }
    bytes_release(&l.bytes);
    bytes_release(&l.again);
    return error_while(e, NOWHERE, "reading tiktoken's ranks");
}
