// record_inside.h - shared by record.c (paths, the row being filled) and a file for each kind of part. Not for others.
#ifndef CORE_DATA_RECORD_INSIDE_H
#define CORE_DATA_RECORD_INSIDE_H

#include "core/data/record.h"
#include "core/text/buffer.h"

struct json_lines;
struct record_columns;

enum { RECORD_NAMES = 32 };

struct record_alternative {
    const char *text;
    bool of_items; // begins with "..": names are of each item of a line that is a list
    const char *names[RECORD_NAMES];
    int n_names; // 0: "."
};

struct record_path {
    const char *text;
    struct record_alternative *alternatives;
    int n_alternatives;
};

struct records {
    struct document_part part; // texts in the arena
    struct arena arena;
    struct record_path paths[RECORD_PATHS];
    int n_paths;
    uint64_t n_polled;

    struct record_columns *columns; // parquet
    struct json_lines *lines;
    struct bytes unescaped; // text of a line
    int64_t i;              // world

    // The row being filled: its fields in order, each of the values from `first` on. What a text points to is known only when all
    // are there, because the buffer moves as it grows; until then it is any text, or NULL for a null.
    int64_t row;
    struct record_value *values; // owned
    size_t n_values, values_capacity;
    char *bytes; // owned; texts, each with a zero behind it
    size_t n_bytes, bytes_capacity;
    size_t first[RECORD_PATHS];
    bool is_list[RECORD_PATHS];
    int n_fields;
    struct record record; // given last
};

// Fields are begun in the order of the paths; then come their values.
void record_begin_field(struct records *r, bool is_list);
struct error *CHECKED record_text(struct records *r, const char *text, size_t n); // text NULL: a null
struct error *CHECKED record_json(struct records *r, const char *text, size_t n);
struct error *CHECKED record_unsigned(struct records *r, uint64_t value);
struct error *CHECKED record_integer(struct records *r, int64_t value);
struct error *CHECKED record_real(struct records *r, double value);
struct error *CHECKED record_boolean(struct records *r, bool value);

// An error about the field begun last, or without one about the row.
struct error *record_error(const struct records *r, const char *fix, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Each kind: open, and a row at a time; *more false at the end.
struct error *CHECKED record_open_parquet(struct records *r);
struct error *CHECKED record_next_parquet(struct records *r, bool *more);
void record_close_parquet(struct records *r);
struct error *CHECKED record_open_json(struct records *r);
struct error *CHECKED record_next_json(struct records *r, bool *more);
struct error *CHECKED record_open_world(struct records *r);
struct error *CHECKED record_next_world(struct records *r, bool *more);

#endif
