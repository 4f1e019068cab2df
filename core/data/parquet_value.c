// parquet_value.c - the values of a column chunk in order, with the rows they belong to.
//
// A value of a page is up to two levels and then, perhaps, bytes. The repetition level says whether it begins a row (0) or goes
// on with a list, the outermost (1) or one within; the definition level says how much of the path is there: all of it (bytes
// follow), not even an element of the innermost list, or something between, which is a null. A value that goes on with a list is
// an element of it, so that its definition level is at least that list's.
//
// Invariants: after parquet_begin_values [at, end) lies in the file, in front of the footer; row counts only up, and stays below
// the rows of the group.
#include "core/data/parquet_inside.h"

static const char *const types[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                    "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};

const char *parquet_type_name(int type)
{
    return type >= 0 && type < (int)countof(types) ? types[type] : "unknown";
}

static void place(struct parquet *p, int group, int column)
{
    p->group = group;
    p->column = column;
    p->row = p->i_page = -1;
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
    if (chunk->is_elsewhere)
        return parquet_error(p, "name the files that hold the data",
                             "its data lie in another file, to which this one is an index");
    if (leaf->unread)
        return parquet_error(p, "write them as texts: cast(... as varchar)", "its values are %s, which are not read here",
                             leaf->unread);
    if (leaf->type == PARQUET_FIXED && !leaf->width)
        return parquet_error(p, "name another column", "its values have no length, or more than %d bytes", FIXED_MOST_BYTES);
    if (leaf->type != PARQUET_BYTE_ARRAY && leaf->type != PARQUET_BOOLEAN && !leaf->width)
        return parquet_error(p, "name a column of texts, numbers or booleans", "its type is %s, which is not read here",
                             parquet_type_name(leaf->type));
    if (chunk->type != leaf->type)
        return parquet_error(p, NULL, "its type is %s in the schema and %s in the row group", parquet_type_name(leaf->type),
                             parquet_type_name(chunk->type));
    bool readable;
    const char *codec = parquet_codec_name(chunk->codec, &readable);
    if (!readable)
        return parquet_error(p, "write it with zstd, snappy, gzip, lz4_raw or none", "packed by %s, which is not read here",
                             codec);
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
        return parquet_error(p, "name a column of texts", "its type is %s, not a text", parquet_type_name(leaf->type));
    return parquet_begin_values(p, group, column);
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
    uint32_t repeat = 0, level = 0, n_lists = (uint32_t)leaf->n_repeated, value_level = (uint32_t)leaf->max_level;
    if (n_lists > 0 && (!parquet_runs_next(&page->repeats, &repeat) || repeat > n_lists))
        return parquet_error(p, NULL, "behind row %lld: its level is wrong or missing", (long long)p->row);
    if (repeat ? p->row < 0 : p->row + 1 >= n_rows)
        return parquet_error(p, NULL, "behind row %lld of %lld: a value of no row", (long long)p->row, (long long)n_rows);
    p->row += repeat == 0;
    if (value_level > 0 &&
        (!parquet_runs_next(&page->levels, &level) || level > value_level || level < leaf->list_levels[repeat]))
        return parquet_error(p, NULL, "row %lld: its level is wrong or missing", (long long)p->row);
    if (level == value_level) {
        if ((e = parquet_decode(p, value)))
            return e;
    } else {
        value->kind = level < leaf->list_levels[n_lists] ? PARQUET_IS_EMPTY : PARQUET_IS_NULL;
    }
    page->n_left--;
    p->n_left--;
    value->row = p->row;
    value->begins_row = repeat == 0;
    value->repeat = (int)repeat;
    value->level = (int)level;
    return NULL;
}

struct error *parquet_next(struct parquet *p, struct parquet_text *text)
{
    struct parquet_value value;
    struct error *e = parquet_next_value(p, &value);
    *text = (struct parquet_text){.text = value.text, .n_bytes = value.n_bytes, .row = value.row};
    return e;
}
