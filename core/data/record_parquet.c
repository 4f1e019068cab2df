// record_parquet.c - rows out of parquet: every path has a reader of its own, and all go through the file row by row.
//
// A list ends where the next row begins, so a column of lists has one value read ahead. It is borrowed from its reader, which is
// asked for another only when this one is in the row.
#include <string.h>

#include "core/data/parquet.h"
#include "core/data/record_inside.h"

struct column {
    struct parquet *parquet;
    int number;
    bool is_list;
    struct parquet_value ahead; // of a list
};

struct record_columns {
    struct column column[RECORD_PATHS];
    int group; // being read; -1: none yet
    int64_t row;
};

// Names that the format and its writers give to the nodes of a list or map. A path may have them or leave them out.
static bool is_wrapping(const char *name, size_t n)
{
    static const char *const names[] = {"list", "element", "item", "array", "array_element", "bag", "map", "key_value"};
    for (size_t i = 0; i < countof(names); i++)
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
            return true;
    return false;
}

// Whether a column's path is the alternative's names with nothing but wrapping nodes between and behind them. Bit j of `reached`
// says that the nodes so far can be the first j names.
static bool matches(const char *path, const struct record_alternative *a)
{
    _Static_assert(RECORD_NAMES < 64, "a bit each");
    uint64_t reached = 1;
    for (const char *s = path; reached; s++) {
        size_t n = strcspn(s, ".");
        uint64_t next = s > path && is_wrapping(s, n) ? reached : 0;
        for (int j = 0; j < a->n_names; j++)
            if (reached >> j & 1 && strncmp(a->names[j], s, n) == 0 && !a->names[j][n])
                next |= (uint64_t)1 << (j + 1);
        reached = next;
        s += n;
        if (!*s)
            break;
    }
    return reached >> a->n_names & 1;
}

// The column of the first alternative that has one: as it is spelled, or without the nodes of lists.
static struct error *find_column(struct records *r, const struct record_path *path, struct column *c)
{
    for (int k = 0; k < path->n_alternatives; k++) {
        const struct record_alternative *a = &path->alternatives[k];
        int n_found = 0;
        if (a->of_items || a->n_names == 0)
            continue;
        for (int i = 0; i < parquet_n_columns(c->parquet); i++) {
            const char *name = parquet_column_path(c->parquet, i);
            bool same = strcmp(name, a->text) == 0;
            if (!same && !(parquet_n_lists(c->parquet, i) && matches(name, a)))
                continue;
            c->number = i;
            n_found++;
            if (same) {
                n_found = 1;
                break;
            }
        }
        if (n_found > 1)
            return error_new(ERROR_DATA, NOWHERE, "name all nodes on the column's path", "'%s': '%s' may be any of %d columns",
                             r->part.path, a->text, n_found);
        if (n_found == 1) {
            c->is_list = parquet_n_lists(c->parquet, c->number) > 0;
            return NULL;
        }
    }
    return parquet_column(c->parquet, path->text, &c->number); // it says which there are
}

struct error *record_open_parquet(struct records *r)
{
    r->columns = arena_alloc(&r->arena, sizeof *r->columns);
    if (!r->columns)
        return error_memory();
    r->columns->group = -1;
    for (int f = 0; f < r->n_paths; f++) {
        struct column *c = &r->columns->column[f], *first = r->columns->column;
        struct error *e = parquet_open(&c->parquet, r->part.path);
        if (!e)
            e = find_column(r, &r->paths[f], c);
        if (!e && parquet_n_lists(c->parquet, c->number) > 1)
            e = error_new(ERROR_DATA, NOWHERE, "name a column of lists of plain values", "'%s': '%s' is a list of lists",
                          r->part.path, parquet_column_path(c->parquet, c->number));
        if (e)
            return e;
        bool same = parquet_n_row_groups(c->parquet) == parquet_n_row_groups(first->parquet);
        for (int g = 0; same && g < parquet_n_row_groups(c->parquet); g++)
            same = parquet_group_rows(c->parquet, g) == parquet_group_rows(first->parquet, g);
        if (!same)
            return error_plain(ERROR_DATA, "'%s' was changed while it was opened", r->part.path);
    }
    return NULL;
}

static struct error *put_value(struct records *r, const struct parquet_value *value)
{
    switch (value->kind) {
    case PARQUET_IS_EMPTY:
        return NULL;
    case PARQUET_IS_NULL:
        return record_text(r, NULL, 0);
    case PARQUET_IS_TEXT:
        return record_text(r, value->text, value->n_bytes);
    case PARQUET_IS_BOOLEAN:
        return record_boolean(r, value->integer != 0);
    case PARQUET_IS_INTEGER:
        return value->is_unsigned ? record_unsigned(r, (uint64_t)value->integer) : record_integer(r, value->integer);
    case PARQUET_IS_REAL:
        return record_real(r, value->real);
    }
    return NULL;
}

// The column's values of the row; a column always ends, or begins a row, where its values do.
static struct error *take_row(struct records *r, struct column *c)
{
    struct parquet_value value;
    record_begin_field(r, c->is_list);
    if (!c->is_list) {
        struct error *e = parquet_next_value(c->parquet, &value);
        return e ? e : put_value(r, &value);
    }
    do {
        struct error *e = put_value(r, &c->ahead);
        if (!e)
            e = parquet_next_value(c->parquet, &c->ahead);
        if (e)
            return e;
    } while (c->ahead.row >= 0 && !c->ahead.begins_row);
    return NULL;
}

// Columns of one value a row have been read just up to their last: that nothing comes behind it is seen here.
static struct error *end_group(struct records *r)
{
    for (int f = 0; f < r->n_paths; f++) {
        struct column *c = &r->columns->column[f];
        struct parquet_value value;
        struct error *e = c->is_list ? NULL : parquet_next_value(c->parquet, &value);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *begin_group(struct records *r, int group)
{
    r->columns->group = group;
    r->columns->row = 0;
    for (int f = 0; f < r->n_paths; f++) {
        struct column *c = &r->columns->column[f];
        struct error *e = parquet_begin_values(c->parquet, group, c->number);
        if (!e && c->is_list)
            e = parquet_next_value(c->parquet, &c->ahead);
        if (e)
            return e;
    }
    return NULL;
}

struct error *record_next_parquet(struct records *r, bool *more)
{
    struct record_columns *all = r->columns;
    const struct parquet *first = all->column[0].parquet;
    struct error *e;
    while (all->group < 0 || all->row == parquet_group_rows(first, all->group)) {
        if (all->group >= 0 && (e = end_group(r)))
            return e;
        if (all->group + 1 >= parquet_n_row_groups(first))
            return NULL;
        if ((e = begin_group(r, all->group + 1)))
            return e;
    }
    for (int f = 0; f < r->n_paths; f++)
        if ((e = take_row(r, &all->column[f])))
            return e;
    all->row++;
    *more = true;
    return NULL;
}

void record_close_parquet(struct records *r)
{
    for (int f = 0; r->columns && f < r->n_paths; f++)
        parquet_close(r->columns->column[f].parquet);
}
