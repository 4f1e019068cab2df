// parquet.c - the footer: schema to columns, row groups to chunks.
//
// Invariant: after parquet_open every group has one chunk a column, in the schema's order. What memory the footer
// can cost is bounded by its bytes: arrays grow with what was read, not with counts that it claims.
#include "core/data/parquet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/data/file_kind.h"
#include "core/data/parquet_inside.h"
#include "core/data/thrift.h"

enum {
    MOST_FOOTER = 32 << 20,
    MOST_COLUMNS = 10000,
    MOST_PATH = 4096,
    MOST_NESTING = PARQUET_NESTING,
    REQUIRED = 0,
    OPTIONAL = 1
};

struct element { // of the schema
    int type, repetition;
    int64_t n_children, length;
    const char *name;
    size_t n_name;
    bool is_unsigned;
    const char *unread;
};

enum { CONVERTED_DECIMAL = 5, CONVERTED_UINT_8 = 11, CONVERTED_UINT_64 = 14, CONVERTED_INTERVAL = 21, LOGICAL_INTEGER = 10 };

// Logical types whose values are not what their bytes are, by their numbers in parquet.thrift's LogicalType.
static const char *const unread_types[] = {[5] = "decimals", [14] = "UUIDs", [15] = "numbers of 16 bits"};

struct level { // of the schema's tree
    int64_t n_left;
    size_t n_path;
    int max_level, n_repeated;
    uint8_t list_levels[PARQUET_NESTING + 1];
};

struct error *parquet_error(const struct parquet *p, const char *fix, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const char *column = p->leaves[p->column].path;
    if (p->i_page < 0)
        return error_new(ERROR_DATA, NOWHERE, fix, "'%s', row group %d, column '%s': %s", p->path, p->group, column, what);
    return error_new(ERROR_DATA, NOWHERE, fix, "'%s', row group %d, column '%s', page %d: %s", p->path, p->group, column,
                     p->i_page, what);
}

static struct error *file_error(const struct parquet *p, const char *what)
{
    return error_new(ERROR_DATA, NOWHERE, "fetch the file again, or write it anew", "'%s': %s", p->path, what);
}

// Of whole numbers whether they have a sign, which they have where nothing is said.
static bool read_unsigned(struct thrift *t)
{
    int last = 0, id, type;
    bool is_unsigned = false;
    while (thrift_field(t, &last, &id, &type)) {
        is_unsigned |= id == 2 && type == THRIFT_FALSE;
        thrift_skip(t, type);
    }
    return is_unsigned;
}

static void read_logical(struct thrift *t, struct element *x)
{
    int last = 0, id, type;
    while (thrift_field(t, &last, &id, &type)) {
        if (id >= 0 && id < (int)countof(unread_types) && unread_types[id])
            x->unread = unread_types[id];
        if (id == LOGICAL_INTEGER && type == THRIFT_STRUCT)
            x->is_unsigned = read_unsigned(t);
        else
            thrift_skip(t, type);
    }
}

// What older writers say instead.
static void read_converted(struct thrift *t, struct element *x)
{
    int64_t converted = thrift_int(t);
    if (converted == CONVERTED_DECIMAL)
        x->unread = unread_types[5];
    if (converted == CONVERTED_INTERVAL)
        x->unread = "intervals";
    x->is_unsigned |= converted >= CONVERTED_UINT_8 && converted <= CONVERTED_UINT_64;
}

static struct element read_element(struct thrift *t)
{
    struct element x = {.type = -1, .repetition = REQUIRED, .name = ""};
    int last = 0, id, type;
    while (thrift_field(t, &last, &id, &type)) {
        if (id == 1 && type == THRIFT_I32)
            x.type = (int)thrift_int(t);
        else if (id == 2 && type == THRIFT_I32)
            x.length = thrift_int(t);
        else if (id == 3 && type == THRIFT_I32)
            x.repetition = (int)thrift_int(t);
        else if (id == 4 && type == THRIFT_TEXT)
            x.name = thrift_text(t, &x.n_name);
        else if (id == 5 && type == THRIFT_I32)
            x.n_children = thrift_int(t);
        else if (id == 6 && type == THRIFT_I32)
            read_converted(t, &x);
        else if (id == 10 && type == THRIFT_STRUCT)
            read_logical(t, &x);
        else
            thrift_skip(t, type);
    }
    return x;
}

// Bytes of a value of fixed length; 0 for others.
static size_t width_of(const struct element *x)
{
    if (x->type == PARQUET_FIXED)
        return x->length > 0 && x->length <= FIXED_MOST_BYTES ? (size_t)x->length : 0;
    return x->type == PARQUET_INT32 || x->type == PARQUET_FLOAT    ? 4
           : x->type == PARQUET_INT64 || x->type == PARQUET_DOUBLE ? 8
                                                                   : 0;
}

// The schema is its tree written depth first; leaves become columns with the path of names above them.
static struct error *read_schema(struct parquet *p, struct thrift *t)
{
    int type;
    int64_t n;
    char path[MOST_PATH + 1];
    struct level levels[MOST_NESTING] = {0};
    int depth = 0, capacity = 0;
    thrift_list(t, &type, &n);
    if (t->failed || type != THRIFT_STRUCT || n < 2 || p->leaves)
        return file_error(p, "its schema is damaged");
    levels[0].n_left = read_element(t).n_children; // the root, whose name says nothing
    for (int64_t i = 1; i < n; i++) {
        struct element x = read_element(t);
        while (depth > 0 && levels[depth].n_left == 0)
            depth--;
        if (t->failed || x.n_children < 0 || x.n_name == 0 || levels[depth].n_left <= 0)
            return file_error(p, "its schema is damaged");
        levels[depth].n_left--;
        struct level level = levels[depth];
        level.n_left = x.n_children;
        level.max_level += x.repetition != REQUIRED;
        if (x.repetition > OPTIONAL)
            level.list_levels[++level.n_repeated] = (uint8_t)level.max_level;
        if (x.n_name + 1 > MOST_PATH - level.n_path || depth + 1 == MOST_NESTING || p->n_leaves == MOST_COLUMNS)
            return file_error(p, "its schema has names too long, too many columns, or is nested too deep");
        if (level.n_path)
            path[level.n_path++] = '.';
        memcpy(path + level.n_path, x.name, x.n_name);
        level.n_path += x.n_name;
        if (x.n_children > 0) {
            levels[++depth] = level;
            continue;
        }
        if (p->n_leaves == capacity) {
            capacity = capacity ? capacity * 2 : 8;
            p->leaves = arena_grow(&p->arena, p->leaves, (size_t)p->n_leaves, (size_t)capacity, sizeof *p->leaves);
        }
        char *name = arena_strndup(&p->arena, path, level.n_path);
        if (!p->leaves || !name)
            return error_memory();
        struct parquet_leaf *leaf = &p->leaves[p->n_leaves++];
        *leaf = (struct parquet_leaf){.path = name,
                                      .type = x.type,
                                      .width = width_of(&x),
                                      .max_level = level.max_level,
                                      .is_unsigned = x.is_unsigned,
                                      .unread = x.unread,
                                      .n_repeated = level.n_repeated};
        memcpy(leaf->list_levels, level.list_levels, sizeof leaf->list_levels);
    }
    return p->n_leaves ? NULL : file_error(p, "it has no columns");
}

// Whether the path of a chunk is its column's.
static bool same_path(struct thrift *t, const char *path)
{
    int type;
    int64_t n;
    thrift_list(t, &type, &n);
    bool same = type == THRIFT_TEXT;
    for (int64_t i = 0; i < n && same && !t->failed; i++) {
        size_t n_name;
        const char *name = thrift_text(t, &n_name);
        if (i > 0)
            same = *path++ == '.';
        same = same && strncmp(path, name, n_name) == 0;
        path += same ? n_name : 0;
    }
    return same && !*path;
}

static bool read_chunk_data(struct thrift *t, const struct parquet_leaf *leaf, struct parquet_chunk *chunk)
{
    int last = 0, id, type;
    int64_t data_at = -1, dictionary_at = -1;
    bool right_path = false;
    while (thrift_field(t, &last, &id, &type)) {
        if (id == 1 && type == THRIFT_I32)
            chunk->type = (int)thrift_int(t);
        else if (id == 3 && type == THRIFT_LIST)
            right_path = same_path(t, leaf->path);
        else if (id == 4 && type == THRIFT_I32)
            chunk->codec = (int)thrift_int(t);
        else if (id == 5 && type == THRIFT_I64)
            chunk->n_values = thrift_int(t);
        else if (id == 7 && type == THRIFT_I64)
            chunk->n_bytes = thrift_int(t);
        else if (id == 9 && type == THRIFT_I64)
            data_at = thrift_int(t);
        else if (id == 11 && type == THRIFT_I64)
            dictionary_at = thrift_int(t);
        else
            thrift_skip(t, type);
        if (t->failed || (id == 3 && !right_path))
            return false;
    }
    chunk->offset = dictionary_at > 0 && dictionary_at < data_at ? dictionary_at : data_at;
    return !t->failed && right_path && chunk->type >= 0;
}

static bool read_chunk(struct thrift *t, const struct parquet_leaf *leaf, struct parquet_chunk *chunk)
{
    int last = 0, id, type;
    size_t n_path = 0;
    bool has_data = false;
    *chunk = (struct parquet_chunk){.type = -1, .codec = -1, .n_values = -1, .offset = -1, .n_bytes = -1};
    while (thrift_field(t, &last, &id, &type)) {
        if (id == 3 && type == THRIFT_STRUCT)
            has_data = read_chunk_data(t, leaf, chunk);
        else if (id == 1 && type == THRIFT_TEXT) // file_path
            thrift_text(t, &n_path);
        else {
            chunk->encrypted |= id == 8; // crypto_metadata
            thrift_skip(t, type);
        }
    }
    chunk->is_elsewhere = n_path > 0;
    return !t->failed && (has_data || chunk->encrypted);
}

static struct error *read_group(struct parquet *p, struct thrift *t, struct parquet_group *group)
{
    int last = 0, id, type, inner;
    int64_t n;
    group->n_rows = -1;
    while (thrift_field(t, &last, &id, &type)) {
        if (id == 3 && type == THRIFT_I64) {
            group->n_rows = thrift_int(t);
            continue;
        }
        if (id != 1 || type != THRIFT_LIST) {
            thrift_skip(t, type);
            continue;
        }
        thrift_list(t, &inner, &n);
        if (t->failed || inner != THRIFT_STRUCT || n != p->n_leaves || group->chunks)
            return file_error(p, "a row group is damaged: it has other columns than the schema");
        group->chunks = arena_array(&p->arena, (size_t)n, sizeof *group->chunks);
        if (!group->chunks)
            return error_memory();
        for (int64_t i = 0; i < n; i++)
            if (!read_chunk(t, &p->leaves[i], &group->chunks[i]))
                return file_error(p, "the description of a column chunk is damaged");
    }
    if (t->failed || !group->chunks || group->n_rows < 0 || group->n_rows > INT64_MAX / 4 - p->n_rows)
        return file_error(p, "a row group is damaged");
    p->n_rows += group->n_rows;
    return NULL;
}

static struct error *read_groups(struct parquet *p, struct thrift *t)
{
    int type, capacity = 0;
    int64_t n;
    thrift_list(t, &type, &n);
    if (t->failed || !p->leaves || p->groups || n > INT32_MAX || (n > 0 && type != THRIFT_STRUCT))
        return file_error(p, "its footer is damaged");
    for (int64_t i = 0; i < n; i++) {
        if (p->n_groups == capacity) {
            capacity = capacity ? capacity * 2 : 8;
            p->groups = arena_grow(&p->arena, p->groups, (size_t)p->n_groups, (size_t)capacity, sizeof *p->groups);
            if (!p->groups)
                return error_memory();
        }
        struct error *e = read_group(p, t, &p->groups[p->n_groups++]);
        if (e)
            return e;
    }
    return NULL;
}

// What the file is that does not begin or end as it should.
static struct error *no_footer(const struct parquet *p)
{
    const uint8_t *data = p->map.data;
    size_t n = p->map.n_bytes;
    const struct file_kind *kind = file_kind_of(data, n);
    if (n >= 12 && memcmp(data + n - 4, "PARE", 4) == 0)
        return error_new(ERROR_DATA, NOWHERE, "write it without encryption", "'%s' is encrypted, which is not read here",
                         p->path);
    if (n >= 12 && memcmp(data, "PAR1", 4) == 0)
        return file_error(p, "it is cut off: a parquet file ends with PAR1");
    if (kind)
        return error_new(ERROR_DATA, NOWHERE, kind->fix, "'%s' is %s, not parquet", p->path, kind->is);
    return file_error(p, "it is no parquet file");
}

static struct error *read_footer(struct parquet *p)
{
    const uint8_t *data = p->map.data;
    size_t n = p->map.n_bytes;
    if (n < 12 || memcmp(data, "PAR1", 4) != 0 || memcmp(data + n - 4, "PAR1", 4) != 0)
        return no_footer(p);
    size_t length = (size_t)data[n - 8] | (size_t)data[n - 7] << 8 | (size_t)data[n - 6] << 16 | (size_t)data[n - 5] << 24;
    if (length > n - 12 || length > MOST_FOOTER)
        return file_error(p, "its footer is longer than the file, or than 32 MiB");
    struct thrift t = {.at = data + n - 8 - length, .end = data + n - 8};
    int last = 0, id, type;
    int64_t n_rows = -1;
    struct error *e = NULL;
    while (!e && thrift_field(&t, &last, &id, &type)) {
        if (id == 2 && type == THRIFT_LIST)
            e = read_schema(p, &t);
        else if (id == 3 && type == THRIFT_I64)
            n_rows = thrift_int(&t);
        else if (id == 4 && type == THRIFT_LIST)
            e = read_groups(p, &t);
        else
            thrift_skip(&t, type);
    }
    if (!e && (t.failed || !p->leaves))
        e = file_error(p, "its footer is damaged");
    if (!e && n_rows != p->n_rows)
        e = file_error(p, "its row groups do not add up to its rows");
    return e;
}

struct error *parquet_open(struct parquet **parquet, const char *path)
{
    struct parquet *p = block_alloc(sizeof *p);
    if (!p)
        return error_memory();
    memset(p, 0, sizeof *p);
    p->blocks = &p->own;
    p->path = arena_strdup(&p->arena, path);
    struct error *e = p->path ? map_open(&p->map, path) : error_memory();
    if (!e)
        e = read_footer(p);
    if (e) {
        parquet_close(p);
        return e;
    }
    *parquet = p;
    return NULL;
}

void parquet_close(struct parquet *p)
{
    if (!p)
        return;
    map_close(&p->map);
    page_blocks_release(&p->own);
    block_free(p->dictionary);
    block_free(p->offsets);
    block_free(p->pieced);
    parquet_release_codecs(p);
    arena_release(&p->arena);
    block_free(p);
}

void parquet_use(struct parquet *p, struct page_blocks *blocks)
{
    p->blocks = blocks;
}

static bool lies_in(const char *text, const uint8_t *from, size_t n)
{
    return (uintptr_t)text - (uintptr_t)from < n;
}

bool parquet_stays(const struct parquet *p, const char *text, struct page_block **block)
{
    struct page_block *now = p->blocks->now;
    *block = NULL;
    if (lies_in(text, p->map.data, p->map.n_bytes))
        return true;
    if (!now || !lies_in(text, now->bytes, now->n) || !page_blocks_can_keep(p->blocks))
        return false;
    *block = now;
    return true;
}

int parquet_n_row_groups(const struct parquet *p)
{
    return p->n_groups;
}

int64_t parquet_n_rows(const struct parquet *p)
{
    return p->n_rows;
}

int64_t parquet_group_rows(const struct parquet *p, int group)
{
    return p->groups[group].n_rows;
}

struct error *parquet_column(const struct parquet *p, const char *path, int *column)
{
    for (int i = 0; i < p->n_leaves; i++)
        if (strcmp(p->leaves[i].path, path) == 0) {
            *column = i;
            return NULL;
        }
    char names[300] = "";
    size_t n = 0;
    for (int i = 0; i < p->n_leaves && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", p->leaves[i].path);
    if (n >= sizeof names)
        memcpy(names + sizeof names - 4, "...", 4);
    return error_new(ERROR_DATA, NOWHERE, "name one of its columns", "'%s' has no column '%s'; it has: %s", p->path, path, names);
}

int parquet_n_columns(const struct parquet *p)
{
    return p->n_leaves;
}

const char *parquet_column_path(const struct parquet *p, int column)
{
    return p->leaves[column].path;
}

int parquet_n_lists(const struct parquet *p, int column)
{
    return p->leaves[column].n_repeated;
}

int parquet_value_level(const struct parquet *p, int column)
{
    return p->leaves[column].max_level;
}
