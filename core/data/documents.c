// documents.c - the four forms behind one call: each has a next function, which sets text, or leaves it NULL at the end.
#include "core/data/documents.h"

#include <string.h>

#include "core/base/map.h"
#include "core/base/stop.h"
#include "core/data/file_kind.h"
#include "core/data/json_lines.h"
#include "core/data/parquet.h"

enum { POLL = 1 << 14 };

struct documents {
    struct document_part part; // texts in the arena
    struct arena arena;
    uint64_t n_polled;

    struct parquet *parquet;
    int column, group;

    struct json_lines *lines;
    struct bytes unescaped; // text of a line

    struct map map; // text
    bool given;

    int64_t i; // world
    char *world_text;
};

static bool poll_stop(struct documents *d)
{
    return d->n_polled++ % POLL == 0 && stop_requested();
}

static struct error *next_row(struct documents *d, const char **text, size_t *n_bytes)
{
    struct parquet_text t;
    for (;;) {
        if (poll_stop(d))
            return error_stopped();
        struct error *e = d->group < 0 ? NULL : parquet_next(d->parquet, &t);
        if (e)
            return e;
        if (d->group < 0 || t.row < 0) {
            if (d->group + 1 == parquet_n_row_groups(d->parquet))
                return NULL;
            if ((e = parquet_begin(d->parquet, ++d->group, d->column)))
                return e;
        } else if (t.text && t.n_bytes > 0) {
            *text = t.text;
            *n_bytes = t.n_bytes;
            return NULL;
        }
    }
}

// The text of a line's field; *text NULL: it is null or empty.
static struct error *take_field(struct documents *d, const struct json_item *value, const char **text, size_t *n_bytes)
{
    const struct place at = json_lines_place(d->lines);
    enum { NAME_MOST = 256 };
    for (const char *s = d->part.column;;) {
        size_t n = strcspn(s, ".");
        if (n >= NAME_MOST)
            return error_new(ERROR_DATA, at, NULL, "the name of the field '%s' is too long", d->part.column);
        if (value->kind != JSON_ITEM_OBJECT)
            return error_new(ERROR_DATA, at, "one object a line", "there is no object where the field '%.*s' should be", (int)n,
                             s);
        value = json_member(value, s, n);
        if (!value)
            return error_new(ERROR_DATA, at, "name another field, or mend the line", "the field '%.*s' is missing", (int)n, s);
        if (!s[n])
            break;
        s += n + 1;
    }
    if (value->kind == JSON_ITEM_NULL)
        return NULL;
    if (value->kind != JSON_ITEM_TEXT)
        return error_new(ERROR_DATA, at, "name a field of texts", "the field '%s' is not a text", d->part.column);
    struct error *e = json_item_text(value, &d->unescaped, text, n_bytes);
    if (!*n_bytes)
        *text = NULL;
    return e;
}

static struct error *next_line(struct documents *d, const char **text, size_t *n_bytes)
{
    for (;;) {
        const struct json_item *value;
        struct error *e = json_lines_next(d->lines, &value);
        bool end = !e && !value;
        if (!e && value)
            e = take_field(d, value, text, n_bytes);
        if (e && json_lines_can_go_on(d->lines))
            e = skips_take(d->part.skips, e);
        if (e || end || *text)
            return e;
    }
}

static struct error *next_world(struct documents *d, const char **text, size_t *n_bytes)
{
    block_free(d->world_text);
    d->world_text = NULL;
    while (d->i < d->part.n) {
        if (poll_stop(d))
            return error_stopped();
        struct error *e =
            world_write(d->part.world, d->part.seed, d->part.first + d->i, d->part.held_out, &d->world_text, n_bytes);
        if (e)
            return e;
        d->i++;
        if (*n_bytes > 0) {
            *text = d->world_text;
            return NULL;
        }
        block_free(d->world_text);
        d->world_text = NULL;
    }
    return NULL;
}

static struct error *open_text(struct documents *d)
{
    struct error *e = map_open(&d->map, d->part.path);
    const struct file_kind *kind = e ? NULL : file_kind_of(d->map.data, d->map.n_bytes);
    return kind ? error_new(ERROR_DATA, NOWHERE, kind->fix, "'%s' is %s, not text", d->part.path, kind->is) : e;
}

static struct error *open_part(struct documents *d)
{
    struct error *e;
    switch (d->part.form) {
    case DOCUMENT_PARQUET:
        d->group = -1;
        e = parquet_open(&d->parquet, d->part.path);
        return e ? e : parquet_column(d->parquet, d->part.column, &d->column);
    case DOCUMENT_JSONL:
        return json_lines_open(&d->lines, d->part.path);
    case DOCUMENT_TEXT:
        return open_text(d);
    case DOCUMENT_WORLD:
    case DOCUMENT_FORM_COUNT:
        break;
    }
    return NULL;
}

struct error *documents_open(struct documents **documents, const struct document_part *part)
{
    struct documents *d = block_alloc(sizeof *d);
    if (!d)
        return error_memory();
    *d = (struct documents){.part = *part};
    d->part.path = arena_strdup(&d->arena, part->path ? part->path : "");
    d->part.column = arena_strdup(&d->arena, part->column ? part->column : "");
    struct error *e = d->part.path && d->part.column ? open_part(d) : error_memory();
    if (e) {
        documents_close(d);
        return e;
    }
    *documents = d;
    return NULL;
}

void documents_use(struct documents *d, struct page_blocks *blocks)
{
    if (d->parquet)
        parquet_use(d->parquet, blocks);
}

bool documents_stays(const struct documents *d, const char *text, struct page_block **block)
{
    *block = NULL;
    return d->parquet ? parquet_stays(d->parquet, text, block) : d->part.form == DOCUMENT_TEXT;
}

struct error *documents_next(struct documents *d, const char **text, size_t *n_bytes)
{
    *text = NULL;
    *n_bytes = 0;
    switch (d->part.form) {
    case DOCUMENT_PARQUET:
        return next_row(d, text, n_bytes);
    case DOCUMENT_JSONL:
        return next_line(d, text, n_bytes);
    case DOCUMENT_TEXT:
        if (!d->given && d->map.n_bytes > 0) {
            *text = (const char *)d->map.data;
            *n_bytes = d->map.n_bytes;
        }
        d->given = true;
        return NULL;
    case DOCUMENT_WORLD:
        return next_world(d, text, n_bytes);
    case DOCUMENT_FORM_COUNT:
        break;
    }
    return NULL;
}

void documents_close(struct documents *d)
{
    if (!d)
        return;
    parquet_close(d->parquet);
    json_lines_close(d->lines);
    bytes_release(&d->unescaped);
    map_close(&d->map);
    block_free(d->world_text);
    arena_release(&d->arena);
    block_free(d);
}
