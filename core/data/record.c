// record.c - paths are cut into names once; each kind of part then fills the same row, field by field.
//
// 1. After records_open there are n_paths paths of at least one alternative each.
// 2. A row is given only when it has n_paths fields; its texts lie in `bytes` in the order of its values.
#include "core/data/record.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/stop.h"
#include "core/data/json_lines.h"
#include "core/data/parquet.h"
#include "core/data/record_inside.h"

enum { POLL = 1 << 10, ALTERNATIVES = 16 };

struct error *record_error(const struct records *r, const char *fix, const char *format, ...)
{
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const char *path = r->n_fields ? r->paths[r->n_fields - 1].text : NULL;
    const char *before = path ? "'" : "", *between = path ? "': " : "";
    path = path ? path : "";
    if (r->lines)
        return error_new(ERROR_DATA, json_lines_place(r->lines), fix, "%s%s%s%s", before, path, between, what);
    return error_new(ERROR_DATA, NOWHERE, fix, "'%s', row %lld: %s%s%s%s", r->part.path, (long long)r->row, before, path, between,
                     what);
}

void record_begin_field(struct records *r, bool is_list)
{
    r->first[r->n_fields] = r->n_values;
    r->is_list[r->n_fields++] = is_list;
}

// Makes a buffer of *capacity items hold n.
static struct error *make_room(void **buffer, size_t n, size_t *capacity, size_t item_bytes)
{
    if (n <= *capacity)
        return NULL;
    size_t larger = *capacity ? *capacity : 256;
    while (larger < n)
        larger *= 2;
    void *moved = block_resize(*buffer, *capacity * item_bytes, larger * item_bytes);
    if (!moved)
        return error_memory();
    *buffer = moved;
    *capacity = larger;
    return NULL;
}

static struct error *put(struct records *r, struct record_value value, const char *text)
{
    if (r->n_values == RECORD_VALUES)
        return record_error(r, NULL, "a row of more than %d values", RECORD_VALUES);
    if (value.n >= RECORD_BYTES - r->n_bytes)
        return record_error(r, NULL, "a row of more than %d bytes", RECORD_BYTES);
    void *values = r->values, *bytes = r->bytes;
    struct error *e = make_room(&values, r->n_values + 1, &r->values_capacity, sizeof value);
    r->values = values;
    if (!e)
        e = make_room(&bytes, r->n_bytes + value.n + 1, &r->bytes_capacity, 1);
    r->bytes = bytes;
    if (e)
        return e;
    value.text = text ? "" : NULL;
    r->values[r->n_values++] = value;
    if (text) {
        memcpy(r->bytes + r->n_bytes, text, value.n);
        r->n_bytes += value.n;
        r->bytes[r->n_bytes++] = '\0';
    }
    return NULL;
}

struct error *record_text(struct records *r, const char *text, size_t n)
{
    return put(r, (struct record_value){.n = text ? n : 0}, text);
}

struct error *record_json(struct records *r, const char *text, size_t n)
{
    return put(r, (struct record_value){.n = n, .is_json = true}, text);
}

struct error *record_integer(struct records *r, int64_t value)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", (long long)value);
    return put(r, (struct record_value){.n = (size_t)n, .is_integer = true, .integer = value}, text);
}

struct error *record_unsigned(struct records *r, uint64_t value)
{
    char text[32];
    if (value <= INT64_MAX)
        return record_integer(r, (int64_t)value);
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return record_text(r, text, (size_t)n);
}

// With as few digits as give the same number again.
struct error *record_real(struct records *r, double value)
{
    char text[40];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, value);
        if (!isfinite(value) || strtod(text, NULL) == value)
            break;
    }
    return put(r, (struct record_value){.n = (size_t)n}, text);
}

struct error *record_boolean(struct records *r, bool value)
{
    return record_text(r, value ? "true" : "false", value ? 4 : 5);
}

static void finish_row(struct records *r)
{
    const char *at = r->bytes;
    for (size_t i = 0; i < r->n_values; i++)
        if (r->values[i].text) {
            r->values[i].text = at;
            at += r->values[i].n + 1;
        }
    r->record.row = r->row++;
    r->record.n_fields = r->n_fields;
    for (int f = 0; f < r->n_fields; f++) {
        size_t end = f + 1 < r->n_fields ? r->first[f + 1] : r->n_values;
        r->record.fields[f] =
            (struct record_field){r->values ? r->values + r->first[f] : NULL, (int)(end - r->first[f]), r->is_list[f]};
    }
}

// Cuts one alternative, n bytes at s, into its names.
static struct error *cut_names(struct arena *arena, const char *s, size_t n, struct record_alternative *a)
{
    a->text = arena_strndup(arena, s, n);
    char *rest = arena_strndup(arena, s, n);
    if (!a->text || !rest)
        return error_memory();
    if (strcmp(rest, ".") == 0)
        return NULL;
    a->of_items = strncmp(rest, "..", 2) == 0;
    rest += a->of_items ? 2 : 0;
    if (strchr(rest, '|') || *rest == ' ' || (*rest && rest[strlen(rest) - 1] == ' '))
        return error_new(ERROR_DATA, NOWHERE, "write one blank before and one behind it: question | train.question",
                         "the path '%.80s' has a '|' or a blank that separates no alternatives", a->text);
    for (;;) {
        size_t length = strcspn(rest, ".");
        if (length == 0)
            return error_new(ERROR_DATA, NOWHERE, "write a path: question, or question | train.question",
                             "the path '%.80s' has a name of no letters", a->text);
        if (a->n_names == RECORD_NAMES)
            return error_plain(ERROR_DATA, "the path '%.80s' has too many names, more than %d", a->text, RECORD_NAMES);
        a->names[a->n_names++] = rest;
        if (!rest[length])
            return NULL;
        rest[length] = '\0';
        rest += length + 1;
    }
}

static struct error *cut_path(struct arena *arena, const char *text, struct record_path *path)
{
    *path = (struct record_path){.text = arena_strdup(arena, text),
                                 .alternatives = arena_array(arena, ALTERNATIVES, sizeof *path->alternatives)};
    if (!path->text || !path->alternatives)
        return error_memory();
    for (const char *s = text;;) {
        const char *bar = strstr(s, " | ");
        if (path->n_alternatives == ALTERNATIVES)
            return error_plain(ERROR_DATA, "the path '%.80s' has more than %d alternatives", text, ALTERNATIVES);
        struct error *e = cut_names(arena, s, bar ? (size_t)(bar - s) : strlen(s), &path->alternatives[path->n_alternatives++]);
        if (e || !bar)
            return e;
        s = bar + 3;
    }
}

struct error *record_path_check(const char *text)
{
    struct arena scratch = {0};
    struct record_path path;
    struct error *e = cut_path(&scratch, text, &path);
    arena_release(&scratch);
    return e;
}

static struct error *open_part(struct records *r)
{
    switch (r->part.form) {
    case DOCUMENT_PARQUET:
        return record_open_parquet(r);
    case DOCUMENT_JSONL:
        return record_open_json(r);
    case DOCUMENT_WORLD:
        return record_open_world(r);
    case DOCUMENT_TEXT:
    case DOCUMENT_FORM_COUNT:
        break;
    }
    return error_new(ERROR_DATA, NOWHERE, "give parquet or JSON lines", "'%s' is plain text, which has no fields", r->part.path);
}

struct error *records_open(struct records **records, const struct document_part *part, const char *const *paths, int n_paths)
{
    struct records *r = block_alloc(sizeof *r);
    if (!r)
        return error_memory();
    *r = (struct records){.part = *part, .n_paths = n_paths};
    r->part.path = arena_strdup(&r->arena, part->path ? part->path : "");
    r->part.records = arena_strdup(&r->arena, part->records ? part->records : "");
    struct error *e = r->part.path && r->part.records ? NULL : error_memory();
    if (!e && (n_paths < 1 || n_paths > RECORD_PATHS))
        e = error_plain(ERROR_DATA, "'%s': %d paths, not 1 to %d", r->part.path, n_paths, RECORD_PATHS);
    for (int f = 0; !e && f < n_paths; f++)
        e = error_while(cut_path(&r->arena, paths[f], &r->paths[f]), NOWHERE, "opening '%s'", r->part.path);
    if (!e)
        e = open_part(r);
    if (e) {
        records_close(r);
        return e;
    }
    *records = r;
    return NULL;
}

struct error *records_next(struct records *r, const struct record **record)
{
    bool more = false;
    *record = NULL;
    if (r->n_polled++ % POLL == 0 && stop_requested())
        return error_stopped();
    struct error *e;
    bool again;
    do {
        r->n_values = r->n_bytes = 0;
        r->n_fields = 0;
        e = r->part.form == DOCUMENT_PARQUET ? record_next_parquet(r, &more)
            : r->part.form == DOCUMENT_JSONL ? record_next_json(r, &more)
                                             : record_next_world(r, &more);
        again = e && r->lines && json_lines_can_go_on(r->lines) && !(e = skips_take(r->part.skips, e));
    } while (again);
    if (e || !more)
        return e;
    finish_row(r);
    *record = &r->record;
    return NULL;
}

void records_close(struct records *r)
{
    if (!r)
        return;
    record_close_parquet(r);
    json_lines_close(r->lines);
    bytes_release(&r->unescaped);
    block_free(r->values);
    block_free(r->bytes);
    arena_release(&r->arena);
    block_free(r);
}

struct error *records_count(const struct document_part *part, int64_t *n_rows)
{
    struct stat st;
    struct parquet *p;
    *n_rows = part->form == DOCUMENT_WORLD ? part->n : -1;
    if (part->form == DOCUMENT_JSONL && !stat(part->path, &st) && !st.st_size)
        *n_rows = 0;
    if (part->form != DOCUMENT_PARQUET)
        return NULL;
    struct error *e = parquet_open(&p, part->path);
    if (e)
        return e;
    *n_rows = parquet_n_rows(p);
    parquet_close(p);
    return NULL;
}
