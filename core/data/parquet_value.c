// parquet_value.c - the values of a column chunk in order, with the rows they belong to.
//
// A value of a page is up to two levels and then, perhaps, bytes. The repetition level says whether it begins a row (0) or goes
// on with the row's list (1); the definition level says how much of the path is there: all of it (bytes follow), not even an
// element of the list (below list_level), or something between, which is a null.
//
// Invariants: after parquet_begin_values [at, end) lies in the file, in front of the footer; row counts only up, and stays below
// the rows of the group.
#include <string.h>

#include "core/data/parquet_inside.h"

static const char *const types[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                    "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};

static const char *type_name(int type)
{
    return type >= 0 && type < (int)countof(types) ? types[type] : "unknown";
}

static void place(struct parquet *p, int group, int column)
{
    p->group = group;
    p->column = column;
    p->row = -1;
    p->n_left = p->page.n_left = 0;
    p->dictionary_at = NULL;
    p->n_dictionary = 0;
}

struct error *parquet_begin_values(struct parquet *p, int group, int column)
{
    const struct parquet_chunk *chunk = &p->groups[group].chunks[column];
    const struct parquet_leaf *leaf = &p->leaves[column];
    int64_t n_rows = p->groups[group].n_rows;
    place(p, group, column);
    if (chunk->encrypted)
        return parquet_error(p, "write it without encryption", "it is encrypted, which is not read here");
    if (leaf->n_repeated > 1)
        return parquet_error(p, "name a column of lists of plain values", "it is a list of lists, which is not read here");
    if (leaf->type != PARQUET_BYTE_ARRAY && leaf->type != PARQUET_BOOLEAN && parquet_width(leaf->type) == 0)
        return parquet_error(p, "name a column of texts, numbers or booleans", "its type is %s, which is not read here",
                             type_name(leaf->type));
    if (chunk->type != leaf->type)
        return parquet_error(p, NULL, "its type is %s in the schema and %s in the row group", type_name(leaf->type),
                             type_name(chunk->type));
    bool readable;
    const char *codec = parquet_codec_name(chunk->codec, &readable);
    if (!readable)
        return parquet_error(p, "write it with zstd, snappy, gzip or none", "packed by %s, which is not read here", codec);
    if (leaf->n_repeated ? chunk->n_values < n_rows : chunk->n_values != n_rows)
        return parquet_error(p, NULL, "%lld values in %lld rows", (long long)chunk->n_values, (long long)n_rows);
    if (chunk->n_values == 0) // such a chunk may have no place at all
        return NULL;
    int64_t end = (int64_t)p->map.n_bytes - 8;
    if (chunk->offset < 4 || chunk->n_bytes < 0 || chunk->offset > end || chunk->n_bytes > end - chunk->offset)
        return parquet_error(p, "fetch the file again", "it lies outside of the file");
    p->at = p->map.data + chunk->offset;
    p->end = p->at + chunk->n_bytes;
    p->n_left = chunk->n_values;
    return NULL;
}

struct error *parquet_begin(struct parquet *p, int group, int column)
{
    const struct parquet_leaf *leaf = &p->leaves[column];
    place(p, group, column);
    if (leaf->n_repeated)
        return parquet_error(p, "name a column of plain texts", "it is a list, not a text a row");
    if (leaf->type != PARQUET_BYTE_ARRAY)
        return parquet_error(p, "name a column of texts", "its type is %s, not a text", type_name(leaf->type));
    return parquet_begin_values(p, group, column);
}

static struct error *too_early(const struct parquet *p)
{
    return parquet_error(p, NULL, "row %lld: its page ends too early", (long long)p->row);
}

static uint64_t u64(const uint8_t *at)
{
    return (uint64_t)parquet_u32(at + 4) << 32 | parquet_u32(at);
}

static void take_number(int type, const uint8_t *at, struct parquet_value *value)
{
    uint64_t bits = parquet_width(type) == 8 ? u64(at) : parquet_u32(at);
    uint32_t low = (uint32_t)bits;
    float single;
    value->kind = type == PARQUET_INT32 || type == PARQUET_INT64 ? PARQUET_IS_INTEGER : PARQUET_IS_REAL;
    if (type == PARQUET_INT32) {
        value->integer = (int32_t)low;
    } else if (type == PARQUET_INT64) {
        value->integer = (int64_t)bits;
    } else if (type == PARQUET_FLOAT) {
        memcpy(&single, &low, sizeof single);
        value->real = single;
    } else {
        memcpy(&value->real, &bits, sizeof bits);
    }
}

// A value that is there: a bit, of the dictionary, or on the page; a text stands behind its length.
static struct error *take_value(struct parquet *p, struct parquet_value *value)
{
    struct parquet_page *page = &p->page;
    int type = p->leaves[p->column].type;
    const uint8_t *at = page->at;
    size_t width = parquet_width(type), left = (size_t)(page->end - at);
    uint32_t number;
    if (type == PARQUET_BOOLEAN) {
        if (!parquet_runs_next(&page->numbers, &number))
            return too_early(p);
        value->kind = PARQUET_IS_BOOLEAN;
        value->integer = number & 1;
        return NULL;
    }
    if (page->dictionary_values) {
        if (!parquet_runs_next(&page->numbers, &number))
            return too_early(p);
        if (number >= p->n_dictionary)
            return parquet_error(p, NULL, "row %lld: value %u of a dictionary of %zu", (long long)p->row, number,
                                 p->n_dictionary);
        at = p->dictionary_at + (width ? number * width : p->offsets[number]);
    } else if (left < (width ? width : 4)) {
        return too_early(p);
    }
    if (width) {
        take_number(type, at, value);
        page->at += page->dictionary_values ? 0 : width;
        return NULL;
    }
    size_t n = parquet_u32(at);
    if (!page->dictionary_values) { // those of the dictionary were checked when it was read
        if (n > left - 4)
            return parquet_error(p, NULL, "row %lld: a text of %zu bytes is longer than its page", (long long)p->row, n);
        page->at = at + 4 + n;
    }
    value->kind = PARQUET_IS_TEXT;
    value->text = (const char *)at + 4;
    value->n_bytes = n;
    return NULL;
}

struct error *parquet_next_value(struct parquet *p, struct parquet_value *value)
{
    struct parquet_page *page = &p->page;
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    int64_t n_rows = p->groups[p->group].n_rows;
    *value = (struct parquet_value){.row = -1};
    if (p->n_left == 0)
        return p->row + 1 >= n_rows
                   ? NULL
                   : parquet_error(p, NULL, "its lists are %lld rows of %lld", (long long)p->row + 1, (long long)n_rows);
    struct error *e = page->n_left == 0 ? parquet_open_page(p) : NULL;
    if (e)
        return e;
    uint32_t repeat = 0, level = 0, value_level = (uint32_t)leaf->max_level, list_level = (uint32_t)leaf->list_level;
    if (leaf->n_repeated > 0 && (!parquet_runs_next(&page->repeats, &repeat) || repeat > 1))
        return parquet_error(p, NULL, "behind row %lld: its level is wrong or missing", (long long)p->row);
    if (repeat ? p->row < 0 : p->row + 1 >= n_rows)
        return parquet_error(p, NULL, "behind row %lld of %lld: a value of no row", (long long)p->row, (long long)n_rows);
    p->row += repeat == 0;
    if (value_level > 0 && (!parquet_runs_next(&page->levels, &level) || level > value_level || (repeat && level < list_level)))
        return parquet_error(p, NULL, "row %lld: its level is wrong or missing", (long long)p->row);
    if (level == value_level) {
        if ((e = take_value(p, value)))
            return e;
    } else {
        value->kind = level < list_level ? PARQUET_IS_EMPTY : PARQUET_IS_NULL;
    }
    page->n_left--;
    p->n_left--;
    value->row = p->row;
    value->begins_row = repeat == 0;
    return NULL;
}

struct error *parquet_next(struct parquet *p, struct parquet_text *text)
{
    struct parquet_value value;
    struct error *e = parquet_next_value(p, &value);
    *text = (struct parquet_text){.text = value.text, .n_bytes = value.n_bytes, .row = value.row};
    return e;
}
