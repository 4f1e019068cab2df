// tokenizer_file.c - names of special tokens are kept as strings of one size, that of the longest.
#include "core/text/tokenizer_file.h"

#include <string.h>

#include "core/text/split.h"

enum { TOKENIZER_SETS = 5, NAME_BYTES_MAX = 256 };

struct error *tokenizer_sets(const struct tokenizer *t, struct arena *arena, const struct store_set **sets, int *n_sets)
{
    const struct token_table *table = &t->table;
    size_t width = 1;
    for (int i = 0; i < table->n_special; i++)
        width = strlen(table->special[i]) > width ? strlen(table->special[i]) : width;
    char *special = arena_array(arena, (size_t)table->n_special, width);
    struct store_set *all = arena_array(arena, TOKENIZER_SETS, sizeof *all);
    if (!special || !all)
        return error_memory();
    for (int i = 0; i < table->n_special; i++)
        memcpy(special + (size_t)i * width, table->special[i], strlen(table->special[i]));
    all[0] = (struct store_set){
        .path = "/tokenizer/tokens", .type = STORE_U8, .n_dims = 1, .dims = {(int64_t)table->n_bytes}, .data = table->bytes};
    all[1] = (struct store_set){
        .path = "/tokenizer/offsets", .type = STORE_I64, .n_dims = 1, .dims = {table->n + 1}, .data = table->offsets};
    all[2] = (struct store_set){.path = "/tokenizer/special",
                                .type = STORE_TEXT,
                                .n_dims = 1,
                                .dims = {table->n_special},
                                .data = special,
                                .text_bytes = width};
    all[3] = (struct store_set){.path = "/tokenizer/pattern",
                                .type = STORE_TEXT,
                                .n_dims = 1,
                                .dims = {1},
                                .data = SPLIT_PATTERN,
                                .text_bytes = strlen(SPLIT_PATTERN)};
    all[4] = (struct store_set){
        .path = "/tokenizer/token_bytes", .type = STORE_I32, .n_dims = 1, .dims = {table->n}, .data = t->token_bytes};
    *sets = all;
    *n_sets = TOKENIZER_SETS;
    return NULL;
}

// A dataset of texts as C strings.
static struct error *read_texts(struct store_file *file, const char *path, int most, struct arena *arena,
                                const char *const **texts, int *n)
{
    struct store_set set;
    int64_t offset, bytes;
    struct error *e = store_describe(file, path, &set, &offset, &bytes);
    if (e)
        return e;
    if (set.type != STORE_TEXT || set.n_dims != 1 || set.dims[0] > most || set.text_bytes > NAME_BYTES_MAX)
        return error_plain(ERROR_DATA, "'%s' is not a list of at most %d names", path, most);
    size_t count = (size_t)set.dims[0], width = set.text_bytes;
    char *raw = arena_array(arena, count, width);
    const char **list = arena_array(arena, count, sizeof *list);
    if (!raw || !list)
        return error_memory();
    if ((e = store_read(file, path, STORE_TEXT, 0, set.dims[0], raw)))
        return e;
    for (size_t i = 0; i < count; i++)
        if (!(list[i] = arena_strndup(arena, raw + i * width, strnlen(raw + i * width, width))))
            return error_memory();
    *texts = list;
    *n = (int)count;
    return NULL;
}

// Reads a flat dataset of at most `most` items into the arena.
static struct error *read_items(struct store_file *file, const char *path, enum store_type type, size_t item_bytes, int64_t most,
                                struct arena *arena, void **items, int64_t *n)
{
    struct store_set set;
    int64_t offset, bytes;
    struct error *e = store_describe(file, path, &set, &offset, &bytes);
    if (e)
        return e;
    if (set.type != type || set.n_dims != 1 || set.dims[0] > most)
        return error_plain(ERROR_DATA, "'%s' has another type or size than a tokenizer's", path);
    *n = set.dims[0];
    *items = arena_array(arena, (size_t)*n, item_bytes);
    return *items ? store_read(file, path, type, 0, *n, *items) : error_memory();
}

// Takes the counts of the file, which must be those of a rule.
static struct error *load_counts(struct store_file *file, struct arena *arena, struct tokenizer *t)
{
    void *stored = NULL;
    int64_t n = 0;
    struct error *e = read_items(file, "/tokenizer/token_bytes", STORE_I32, sizeof(int32_t), TOKEN_TABLE_MAX, arena, &stored, &n);
    if (e)
        return e;
    if (n == t->n_vocab && !memcmp(t->token_bytes, stored, (size_t)n * sizeof(int32_t))) // counted by 2025's when it was made
        return NULL;
    if ((e = tokenizer_count_bytes(t, TOKEN_BYTES_2026, arena)))
        return e;
    if (n == t->n_vocab && !memcmp(t->token_bytes, stored, (size_t)n * sizeof(int32_t)))
        return NULL;
    return error_plain(ERROR_DATA, "the tokenizer counts the bytes of its tokens by no rule that this version knows");
}

struct error *tokenizer_load(struct store_file *file, struct arena *arena, struct tokenizer **tokenizer)
{
    struct token_table table = {0};
    void *bytes = NULL, *offsets = NULL;
    int64_t n_bytes = 0, n_offsets = 0;
    const char *const *pattern = NULL;
    int n_patterns = 0;
    struct error *e = read_items(file, "/tokenizer/tokens", STORE_U8, 1, TOKEN_BYTES_MAX, arena, &bytes, &n_bytes);
    if (!e)
        e = read_items(file, "/tokenizer/offsets", STORE_I64, sizeof(int64_t), TOKEN_TABLE_MAX + 1, arena, &offsets, &n_offsets);
    if (!e)
        e = read_texts(file, "/tokenizer/special", TOKEN_SPECIALS_MAX, arena, &table.special, &table.n_special);
    if (!e)
        e = read_texts(file, "/tokenizer/pattern", 1, arena, &pattern, &n_patterns);
    if (!e && n_offsets < 1)
        e = error_plain(ERROR_DATA, "the tokenizer has no tokens");
    if (!e && (n_patterns != 1 || strcmp(pattern[0], SPLIT_PATTERN)))
        e = error_plain(ERROR_DATA, "the tokenizer splits text by another pattern than this version knows");
    if (e)
        return error_while(e, NOWHERE, "reading the tokenizer");
    table.n = (int32_t)(n_offsets - 1);
    table.bytes = bytes;
    table.n_bytes = (size_t)n_bytes;
    table.offsets = offsets;
    e = tokenizer_new(tokenizer, arena, &table);
    if (!e)
        e = load_counts(file, arena, *tokenizer);
    return error_while(e, NOWHERE, "reading the tokenizer");
}
