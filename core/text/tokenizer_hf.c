// tokenizer_hf.c - writing; then reading, which checks the parts in the order of the file and merges last.
#include "core/text/tokenizer_hf.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/base/stop.h"
#include "core/text/split.h"
#include "core/text/token_index.h"

enum {
    FIRST_LETTER = 256,   // of the bytes that are not printed as themselves
    LETTERS = 256 + 68,   // one more than the last
    TOKEN_MOST = 1 << 16, // bytes of a token that is read: looking for its pairs takes the square of that
    NAME_MOST = 256,      // of a special token (tokenizer_file.c)
    LOOKED_AT = 256,      // bytes of a token whose merges are made again
    POLL_TOKENS = 1 << 8,
};

static bool is_printed(int byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
}

// The letter of each byte, and the byte of each letter, -1 where it has none.
static void fill_letters(uint16_t letter[256], int16_t byte[LETTERS])
{
    int next = FIRST_LETTER;
    memset(byte, 0xFF, LETTERS * sizeof *byte);
    for (int b = 0; b < 256; b++) {
        letter[b] = (uint16_t)(is_printed(b) ? b : next++);
        byte[letter[b]] = (int16_t)b;
    }
}

// Appends the name of these bytes to out, as UTF-8: all letters take one or two bytes.
static struct error *add_name(struct bytes *out, const uint16_t letter[256], const uint8_t *p, size_t n)
{
    struct error *e = bytes_reserve(out, 2 * n);
    for (size_t i = 0; i < n && !e; i++) {
        unsigned c = letter[p[i]];
        if (c >= 0x80)
            out->byte[out->n++] = (uint8_t)(0xC0 | c >> 6);
        out->byte[out->n++] = (uint8_t)(c >= 0x80 ? 0x80 | (c & 0x3F) : c);
    }
    return e;
}

struct writing {
    const struct tokenizer *t;
    struct json *j;
    uint16_t letter[256];
    struct bytes name;
};

static struct error *write_name(struct writing *w, const uint8_t *p, size_t n)
{
    w->name.n = 0;
    struct error *e = add_name(&w->name, w->letter, p, n);
    if (!e)
        json_str_n(w->j, (const char *)w->name.byte, w->name.n);
    return e;
}

static struct error *write_vocab(struct writing *w)
{
    const struct token_table *table = &w->t->table;
    struct error *e = NULL;
    json_open(w->j, '{');
    for (int32_t id = 0; id < table->n - table->n_special && !e; id++) {
        size_t n;
        const uint8_t *p = token_table_bytes(table, id, &n);
        w->name.n = 0;
        if ((e = add_name(&w->name, w->letter, p, n)) || (e = bytes_append(&w->name, "", 1)))
            break;
        // `tokenizers` looks for a special token in the vocabulary first.
        if (tokenizer_special(w->t, (const char *)w->name.byte) >= 0)
            e = error_plain(ERROR_DATA, "token %d is written like the special token '%s': the format cannot tell them apart", id,
                            (const char *)w->name.byte);
        json_key(w->j, (const char *)w->name.byte), json_i64(w->j, id);
    }
    json_close(w->j, '}');
    return e;
}

// The next place at which n bytes can be cut into two tokens, from `cut` on; n: there is none.
static size_t next_cut(const struct tokenizer *t, const uint8_t *p, size_t n, size_t cut)
{
    // The first bytes last: they are the longer string, on the whole, and the rest mostly is no token.
    while (cut < n && (token_find(t->index, p + cut, n - cut, n - cut) < 0 || token_find(t->index, p, cut, n) < 0))
        cut++;
    return cut;
}

// Every pair of tokens whose bytes are token id.
static struct error *write_pairs(struct writing *w, int32_t id)
{
    size_t n;
    const uint8_t *p = token_table_bytes(&w->t->table, id, &n);
    struct error *e = NULL;
    for (size_t cut = 1; !e && (cut = next_cut(w->t, p, n, cut)) < n; cut++) {
        json_open(w->j, '[');
        if (!(e = write_name(w, p, cut)))
            e = write_name(w, p + cut, n - cut);
        json_close(w->j, ']');
    }
    return e;
}

static struct error *write_merges(struct writing *w)
{
    const struct token_table *table = &w->t->table;
    struct error *e = NULL;
    json_open(w->j, '[');
    for (int32_t id = 256; id < table->n - table->n_special && !e; id++)
        e = id % POLL_TOKENS == 0 && stop_requested() ? error_stopped() : write_pairs(w, id);
    json_close(w->j, ']');
    return e;
}

static void write_specials(struct writing *w)
{
    const struct token_table *table = &w->t->table;
    json_open(w->j, '[');
    for (int i = 0; i < table->n_special; i++) {
        json_open(w->j, '{');
        json_key(w->j, "id"), json_i64(w->j, table->n - table->n_special + i);
        json_key(w->j, "content"), json_str(w->j, table->special[i]);
        json_key(w->j, "single_word"), json_bool(w->j, false);
        json_key(w->j, "lstrip"), json_bool(w->j, false);
        json_key(w->j, "rstrip"), json_bool(w->j, false);
        json_key(w->j, "normalized"), json_bool(w->j, false);
        json_key(w->j, "special"), json_bool(w->j, true);
        json_close(w->j, '}');
    }
    json_close(w->j, ']');
}

static void write_byte_level(struct json *j)
{
    json_open(j, '{');
    json_key(j, "type"), json_str(j, "ByteLevel");
    json_key(j, "add_prefix_space"), json_bool(j, false);
    json_key(j, "trim_offsets"), json_bool(j, true);
    json_key(j, "use_regex"), json_bool(j, false);
    json_close(j, '}');
}

static void write_splitting(struct json *j)
{
    json_open(j, '{');
    json_key(j, "type"), json_str(j, "Sequence");
    json_key(j, "pretokenizers");
    json_open(j, '[');
    json_open(j, '{');
    json_key(j, "type"), json_str(j, "Split");
    json_key(j, "pattern");
    json_open(j, '{');
    json_key(j, "Regex"), json_str(j, SPLIT_PATTERN);
    json_close(j, '}');
    json_key(j, "behavior"), json_str(j, "Isolated");
    json_key(j, "invert"), json_bool(j, false);
    json_close(j, '}');
    write_byte_level(j);
    json_close(j, ']');
    json_close(j, '}');
}

static struct error *write_model(struct writing *w)
{
    struct json *j = w->j;
    json_open(j, '{');
    json_key(j, "type"), json_str(j, "BPE");
    json_key(j, "dropout"), json_nil(j);
    json_key(j, "unk_token"), json_nil(j);
    json_key(j, "continuing_subword_prefix"), json_nil(j);
    json_key(j, "end_of_word_suffix"), json_nil(j);
    json_key(j, "fuse_unk"), json_bool(j, false);
    json_key(j, "byte_fallback"), json_bool(j, false);
    json_key(j, "ignore_merges"), json_bool(j, true);
    json_key(j, "vocab");
    struct error *e = write_vocab(w);
    json_key(j, "merges");
    if (!e)
        e = write_merges(w);
    json_close(j, '}');
    return e;
}

struct error *tokenizer_to_hf(const struct tokenizer *t, struct json *j)
{
    struct writing w = {.t = t, .j = j};
    int16_t byte[LETTERS];
    fill_letters(w.letter, byte);
    json_open(j, '{');
    json_key(j, "version"), json_str(j, "1.0");
    json_key(j, "truncation"), json_nil(j);
    json_key(j, "padding"), json_nil(j);
    json_key(j, "added_tokens"), write_specials(&w);
    json_key(j, "normalizer"), json_nil(j);
    json_key(j, "pre_tokenizer"), write_splitting(j);
    json_key(j, "post_processor"), json_nil(j);
    json_key(j, "decoder"), write_byte_level(j);
    json_key(j, "model");
    struct error *e = write_model(&w);
    json_close(j, '}');
    bytes_release(&w.name);
    return !e && j->failed ? error_memory() : e;
}

// Reading.

struct reading {
    const json_t *root, *model, *vocab, *added;
    struct arena *arena;
    int16_t byte[LETTERS];
    int32_t n, n_special;
    const char **names; // by id; of special tokens their content
};

static bool says(const json_t *object, const char *key, const char *text)
{
    const char *is = json_string_value(json_object_get(object, key));
    return is && !strcmp(is, text);
}

// null, or not there at all.
static bool is_empty(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return !value || json_is_null(value);
}

static struct error *refuse(const char *what)
{
    return error_new(ERROR_DATA, NOWHERE, "only byte-level BPE with the pattern of this version can be read", "%s", what);
}

static struct error *check_pattern(const struct reading *r)
{
    const json_t *pre = json_object_get(r->root, "pre_tokenizer");
    const json_t *list = json_object_get(pre, "pretokenizers");
    const json_t *split = json_array_get(list, 0), *level = json_array_get(list, 1);
    const char *pattern = json_string_value(json_object_get(json_object_get(split, "pattern"), "Regex"));
    if (!says(pre, "type", "Sequence") || json_array_size(list) != 2 || !says(split, "type", "Split") || !pattern ||
        !says(level, "type", "ByteLevel"))
        return refuse("its pre_tokenizer is not a Split by a Regex and then ByteLevel");
    if (strcmp(pattern, SPLIT_PATTERN)) {
        char what[200];
        snprintf(what, sizeof what, "it splits text by another pattern: %.150s", pattern);
        return refuse(what);
    }
    if (!says(split, "behavior", "Isolated") || !json_is_false(json_object_get(split, "invert")))
        return refuse("its Split is not 'Isolated', or inverted");
    if (!json_is_false(json_object_get(level, "add_prefix_space")) || !json_is_false(json_object_get(level, "use_regex")))
        return refuse("its ByteLevel adds a blank, or splits by a pattern of its own");
    return NULL;
}

// Whether a post-processor adds no token: one of offsets, or a template of the text alone, as `transformers` writes into what it saves.
static bool keeps_ids(const json_t *post, int depth)
{
    const json_t *list = json_object_get(post, "processors"), *single = json_object_get(post, "single");
    if (!post || json_is_null(post) || says(post, "type", "ByteLevel"))
        return true;
    if (says(post, "type", "TemplateProcessing"))
        return json_array_size(single) == 1 && says(json_object_get(json_array_get(single, 0), "Sequence"), "id", "A");
    bool keeps = depth == 0 && says(post, "type", "Sequence") && json_is_array(list);
    for (size_t i = 0; i < json_array_size(list) && keeps; i++)
        keeps = keeps_ids(json_array_get(list, i), depth + 1);
    return keeps;
}

static struct error *check_parts(const struct reading *r)
{
    static const char *const none[] = {"normalizer", "truncation", "padding"};
    char what[120];
    for (size_t i = 0; i < countof(none); i++)
        if (!is_empty(r->root, none[i])) {
            snprintf(what, sizeof what, "it has a %s", none[i]);
            return i ? error_new(ERROR_DATA, NOWHERE,
                                 "save it without: tokenizer.backend_tokenizer.no_truncation(), no_padding()", "%s", what)
                     : refuse(what);
        }
    if (!keeps_ids(json_object_get(r->root, "post_processor"), 0))
        return refuse("its post_processor changes the ids");
    if (!is_empty(r->root, "version") && !says(r->root, "version", "1.0"))
        return refuse("its version is not 1.0");
    if (!says(json_object_get(r->root, "decoder"), "type", "ByteLevel"))
        return refuse("its decoder is not ByteLevel");
    static const char *const unset[] = {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"};
    if (!says(r->model, "type", "BPE"))
        return refuse("its model is not BPE");
    for (size_t i = 0; i < countof(unset); i++) {
        const char *text = json_string_value(json_object_get(r->model, unset[i]));
        if (!is_empty(r->model, unset[i]) && !(text && !*text)) {
            snprintf(what, sizeof what, "its model has a %s", unset[i]);
            return refuse(what);
        }
    }
    if (json_is_true(json_object_get(r->model, "byte_fallback")))
        return refuse("its model falls back to bytes by names of their own");
    return check_pattern(r);
}

static struct error *take_id(struct reading *r, const char *name, const json_t *value)
{
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    if (id < 0 || id >= r->n)
        return error_plain(ERROR_DATA, "token '%.80s' has no id from 0 to %d: ids leave no gap", name, r->n - 1);
    if (r->names[id])
        return error_plain(ERROR_DATA, "tokens '%.80s' and '%.80s' have one id, %d", r->names[id], name, (int)id);
    r->names[id] = name;
    return NULL;
}

// Special token i, which must be the i-th of the last ids.
static struct error *take_special(struct reading *r, int i)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    const json_t *token = json_array_get(r->added, (size_t)i), *id = json_object_get(token, "id");
    const char *name = json_string_value(json_object_get(token, "content"));
    if (!name || !*name || strlen(name) > NAME_MOST)
        return error_plain(ERROR_DATA, "added token %d has no content of 1 to %d bytes", i, NAME_MOST);
    for (size_t k = 0; k < countof(flags); k++)
        if (json_is_true(json_object_get(token, flags[k])))
            return error_plain(ERROR_DATA, "added token '%s' has %s, which is not built", name, flags[k]);
    if (!json_is_true(json_object_get(token, "special")))
        return error_plain(ERROR_DATA, "added token '%s' is not special: it is one wherever a text has it, which is not built",
                           name);
    if (!json_is_integer(id) || json_integer_value(id) != r->n - r->n_special + i)
        return error_plain(ERROR_DATA, "added token '%s' does not have id %d: special tokens are the last ids, in their order",
                           name, r->n - r->n_special + i);
    const json_t *there = json_object_get(r->vocab, name);
    if (!there)
        return take_id(r, name, id);
    if (!json_is_integer(there) || json_integer_value(there) != json_integer_value(id))
        return error_plain(ERROR_DATA, "added token '%s' has another id in the vocabulary", name);
    return NULL;
}

static struct error *take_names(struct reading *r)
{
    size_t n_vocab = json_object_size(r->vocab), n_added = json_array_size(r->added), n = n_vocab;
    if (n_added > TOKEN_SPECIALS_MAX || n_vocab > TOKEN_TABLE_MAX)
        return error_plain(ERROR_DATA, "it has %zu tokens and %zu special ones, more than %d or %d", n_vocab, n_added,
                           TOKEN_TABLE_MAX, TOKEN_SPECIALS_MAX);
    for (size_t i = 0; i < n_added; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(r->added, i), "content"));
        n += !(name && json_object_get(r->vocab, name));
    }
    r->n = (int32_t)n;
    r->n_special = (int)n_added;
    r->names = arena_array(r->arena, n + 1, sizeof *r->names);
    if (!r->names)
        return error_memory();
    struct error *e = NULL;
    const char *name;
    json_t *id;
    json_object_foreach((json_t *)r->vocab, name, id) if ((e = take_id(r, name, id))) return e;
    for (int i = 0; i < r->n_special && !e; i++)
        e = take_special(r, i);
    // Distinct ids below n, n of them: none is missing, except where an added token stands in the list twice.
    for (int32_t i = 0; i < r->n && !e; i++)
        if (!r->names[i])
            e = error_plain(ERROR_DATA, "no token has id %d", i);
    return e;
}

// Appends the bytes of a name; false where a letter stands for none.
static bool name_bytes(const struct reading *r, const char *name, struct bytes *out)
{
    for (const uint8_t *p = (const uint8_t *)name; *p; p++) {
        unsigned letter = *p;
        if (letter >= 0x80) // jansson's strings are valid UTF-8
            letter = letter < 0xE0 ? (letter & 0x1Fu) << 6 | (*++p & 0x3Fu) : LETTERS;
        if (letter >= LETTERS || r->byte[letter] < 0)
            return false;
        out->byte[out->n++] = (uint8_t)r->byte[letter];
    }
    return true;
}

static struct error *make_table(const struct reading *r, struct bytes *bytes, int64_t *offsets)
{
    for (int32_t id = 0; id < r->n; id++) {
        const char *name = r->names[id];
        size_t n = strlen(name);
        if (n > 2 * TOKEN_MOST || bytes->n + n > TOKEN_BYTES_MAX)
            return error_plain(ERROR_DATA, "token %d is longer than %d bytes", id, TOKEN_MOST);
        struct error *e = bytes_reserve(bytes, n);
        if (e)
            return e;
        if (id >= r->n - r->n_special) {
            memcpy(bytes->byte + bytes->n, name, n);
            bytes->n += n;
        } else if (!name_bytes(r, name, bytes)) {
            return error_plain(ERROR_DATA, "token %d, '%.80s', has a letter that stands for no byte", id, name);
        }
        offsets[id + 1] = (int64_t)bytes->n;
    }
    return NULL;
}

static struct error *make_tokenizer(const struct reading *r, struct tokenizer **out)
{
    struct bytes bytes = {0};
    int64_t *offsets = arena_array(r->arena, (size_t)r->n + 1, sizeof *offsets);
    struct error *e = offsets ? make_table(r, &bytes, offsets) : error_memory();
    if (!e) {
        struct token_table table = {.n = r->n,
                                    .bytes = bytes.byte,
                                    .n_bytes = bytes.n,
                                    .offsets = offsets,
                                    .n_special = r->n_special,
                                    .special = r->names + (r->n - r->n_special)};
        e = tokenizer_new(out, r->arena, &table);
    }
    bytes_release(&bytes);
    return e;
}

// The two halves of a merge, ["a", "b"] or "a b"; joined = both without the blank. *left and *right borrow from scratch.
static bool merge_names(const json_t *merge, struct bytes *scratch, const char **left, const char **right, const char **joined)
{
    const char *a = json_string_value(json_array_get(merge, 0)), *b = json_string_value(json_array_get(merge, 1));
    size_t n_a = a ? strlen(a) : 0;
    if (json_is_string(merge)) {
        a = json_string_value(merge);
        n_a = strcspn(a, " ");
        b = a[n_a] ? a + n_a + 1 : NULL;
    } else if (json_array_size(merge) != 2) {
        return false;
    }
    if (!a || !b || !*b || !n_a || strchr(b, ' '))
        return false;
    size_t n_b = strlen(b);
    char *to = (char *)scratch->byte; // as long as a merge can be: see check_merges
    *left = memcpy(to, a, n_a), to[n_a] = '\0';
    *right = memcpy(to + n_a + 1, b, n_b + 1);
    to += n_a + n_b + 2;
    memcpy(to, a, n_a);
    memcpy(to + n_a, b, n_b + 1);
    *joined = to;
    return true;
}

static size_t merge_length(const json_t *merge)
{
    return json_is_string(merge) ? json_string_length(merge)
                                 : json_string_length(json_array_get(merge, 0)) + json_string_length(json_array_get(merge, 1));
}

static bool has_pair(const struct tokenizer *t, int32_t id)
{
    size_t n;
    const uint8_t *p = token_table_bytes(&t->table, id, &n);
    return next_cut(t, p, n, 1) < n;
}

// The id of a token that is not special, or -1.
static int32_t mergeable(const struct reading *r, const char *name)
{
    const json_t *value = json_object_get(r->vocab, name);
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    return id < r->n - r->n_special ? (int32_t)id : -1;
}

// Where the last of the merges cuts token id that ids stand for, of neighbours that are a token together those of the least id first:
// the bytes before the cut. 0: they end with more than two parts, or the token is too long to look at.
static size_t cut_by_ids(const struct tokenizer *t, int32_t id)
{
    size_t n, n_parts, end[LOOKED_AT]; // end[i]: behind part i
    const uint8_t *p = token_table_bytes(&t->table, id, &n);
    for (n_parts = 0; n_parts < n && n <= LOOKED_AT; n_parts++)
        end[n_parts] = n_parts + 1;
    while (n_parts > 2) {
        int32_t least = id;
        size_t at = n_parts;
        for (size_t i = 0, from = 0; i + 1 < n_parts; from = end[i++]) {
            int32_t both = token_find(t->index, p + from, end[i + 1] - from, n - from);
            if (both < 0 || both >= least)
                continue;
            least = both;
            at = i;
        }
        if (at == n_parts)
            return 0;
        memmove(end + at, end + at + 1, (n_parts - at - 1) * sizeof *end);
        n_parts--;
    }
    return n_parts == 2 ? end[0] : 0;
}

// The merges of a token follow one another: that which ids stand for is among them.
struct merging {
    int32_t last; // the token that is made
    size_t cut;   // by ids; 0: any will do
    bool found;
};

static struct error *end_token(const struct reading *r, const struct merging *m)
{
    if (m->found || !m->cut)
        return NULL;
    return error_new(ERROR_DATA, NOWHERE, "only a vocabulary whose ids are the order of its merges can be read",
                     "token %d, '%.80s', is made of others than by its merges", m->last, r->names[m->last]);
}

static struct error *take_merge(const struct reading *r, const struct tokenizer *t, size_t i, const json_t *merge,
                                struct bytes *scratch, struct merging *m)
{
    const char *left, *right, *joined;
    scratch->n = 0;
    struct error *e = bytes_reserve(scratch, 2 * merge_length(merge) + 8);
    if (e)
        return e;
    if (!merge_names(merge, scratch, &left, &right, &joined))
        return error_plain(ERROR_DATA, "merge %zu is not a pair of tokens", i);
    int32_t id = mergeable(r, joined);
    if (id < 0 || mergeable(r, left) < 0 || mergeable(r, right) < 0)
        return error_plain(ERROR_DATA, "merge %zu, '%.60s' and '%.60s', is of tokens that are not there", i, left, right);
    if (id < m->last)
        return error_new(ERROR_DATA, NOWHERE, "only ids in the order of merges can be read",
                         "merge %zu makes token %d, behind one that makes token %d", i, id, m->last);
    size_t n_left = 0;
    for (const char *c = left; *c; c++)
        n_left += (*c & 0xC0) != 0x80; // a letter is a byte
    if (id > m->last && (e = end_token(r, m)))
        return e;
    if (id > m->last)
        *m = (struct merging){.last = id, .cut = cut_by_ids(t, id)};
    m->found |= n_left == m->cut;
    return NULL;
}

// That the merges are those that the ids stand for: in their order, and every token that two others make up is made.
static struct error *check_merges(const struct reading *r, const struct tokenizer *t)
{
    const json_t *merges = json_object_get(r->model, "merges");
    struct bytes scratch = {0};
    struct error *e = NULL;
    struct merging m = {0};
    int32_t next = 256; // tokens below `next` are accounted for
    size_t n = json_array_size(merges);
    if (!json_is_array(merges))
        return error_plain(ERROR_DATA, "its model has no list of merges");
    for (size_t i = 0; i <= n && !e; i++) {
        if (i < n)
            e = take_merge(r, t, i, json_array_get(merges, i), &scratch, &m);
        int32_t until = i < n ? m.last : r->n - r->n_special;
        for (; next < until && !e; next++) {
            if (next % POLL_TOKENS == 0 && stop_requested())
                e = error_stopped();
            else if (has_pair(t, next))
                e = error_plain(ERROR_DATA, "no merge makes token %d, '%.80s'", next, r->names[next]);
        }
        if (i < n && next == m.last)
            next++;
    }
    if (!e)
        e = end_token(r, &m);
    bytes_release(&scratch);
    return e;
}

static struct error *read_root(struct reading *r, struct tokenizer **out)
{
    uint16_t letter[256];
    fill_letters(letter, r->byte);
    r->model = json_object_get(r->root, "model");
    r->vocab = json_object_get(r->model, "vocab");
    r->added = json_object_get(r->root, "added_tokens");
    if (!json_is_object(r->vocab))
        return error_plain(ERROR_DATA, "it has no model with a vocabulary");
    struct error *e = check_parts(r);
    if (!e)
        e = take_names(r);
    if (!e)
        e = make_tokenizer(r, out);
    return e ? e : check_merges(r, *out);
}

struct error *tokenizer_from_hf(struct tokenizer **out, const char *text, size_t n, struct arena *arena)
{
    struct reading r = {.arena = arena};
    json_error_t problem;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (!root && json_error_code(&problem) == json_error_out_of_memory)
        return error_memory();
    struct error *e = root ? NULL : error_plain(ERROR_DATA, "no JSON: %s, line %d", problem.text, problem.line);
    r.root = root;
    if (!e)
        e = read_root(&r, out);
    json_decref(root);
    return error_while(e, NOWHERE, "reading a tokenizer.json");
}
