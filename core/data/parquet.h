// parquet.h - values out of parquet files: texts, numbers, and lists of them, one after the other, a page in memory at a time.
//
//     struct parquet *p;
//     e = parquet_open(&p, "shard_00000.parquet");
//     e = parquet_column(p, "text", &column);                        // dots descend: "question.text"
//     for (int g = 0; g < parquet_n_row_groups(p); g++) {
//         e = parquet_begin(p, g, column);
//         struct parquet_text t;
//         while (!(e = parquet_next(p, &t)) && t.row >= 0) ...         // t.row: -1 at the end of the group
//     }
//     parquet_close(p);
//
// Other columns are read by parquet_begin_values and parquet_next_value. A list gives one value for each of its elements, the
// first with begins_row; a list of structs is one column for each field, of as many values each:
//
//     e = parquet_column(p, "messages.list.element.role", &column);
//     e = parquet_begin_values(p, g, column);
//     struct parquet_value v;
//     while (!(e = parquet_next_value(p, &v)) && v.row >= 0)
//         if (v.begins_row) ...                                        // the first message of row v.row; PARQUET_IS_EMPTY: none
//
// Reads      BYTE_ARRAY, BOOLEAN, INT32, INT64, FLOAT and DOUBLE columns, required or optional (also within groups), with at
//            most one repeated node on their path; data pages v1 and v2; encodings PLAIN, PLAIN_DICTIONARY and RLE_DICTIONARY,
//            levels RLE, booleans PLAIN or RLE; codecs none, snappy, gzip, zstd; page checksums, if any
// Refuses    by name: encryption, lists of lists, other types, encodings and codecs
// Limits     a footer of 64 MiB; a page of 256 MiB unpacked, and not more than its codec can make of its bytes. A few bytes can
//            still stand for 2^31 values of one page: who keeps values bounds them
// Ownership  a text is borrowed until the next value or the next begin
// Errors     ERROR_DATA with the file, row group and column. Damage never reads outside of the file's bytes
// Threads    one reader, one thread
// Source     github.com/apache/parquet-format: parquet.thrift, Encodings.md
#ifndef CORE_DATA_PARQUET_H
#define CORE_DATA_PARQUET_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct parquet;

struct parquet_text {
    const char *text; // NULL: a null
    size_t n_bytes;
    int64_t row; // of the row group, from 0; -1 behind the last
};

enum parquet_kind {
    PARQUET_IS_NULL,
    PARQUET_IS_EMPTY, // the row's list has no elements, or is null itself
    PARQUET_IS_TEXT,
    PARQUET_IS_BOOLEAN, // integer is 0 or 1
    PARQUET_IS_INTEGER, // also of unsigned columns, whose bits these are
    PARQUET_IS_REAL,
};

struct parquet_value {
    enum parquet_kind kind;
    bool begins_row;
    int64_t row;      // of the row group, from 0; -1 behind the last
    const char *text; // NULL for all but texts
    size_t n_bytes;
    int64_t integer;
    double real;
};

struct error *CHECKED parquet_open(struct parquet **parquet, const char *path);
void parquet_close(struct parquet *p);

int parquet_n_row_groups(const struct parquet *p);
int64_t parquet_n_rows(const struct parquet *p);
int64_t parquet_group_rows(const struct parquet *p, int group);

// Finds a column by the names on its path, joined by dots; ERROR_DATA lists the columns where there is none such.
struct error *CHECKED parquet_column(const struct parquet *p, const char *path, int *column);

// All columns, by number: their paths, and whether a row has a list of values.
int parquet_n_columns(const struct parquet *p);
const char *parquet_column_path(const struct parquet *p, int column);
bool parquet_is_list(const struct parquet *p, int column);

// Columns of a text a row.
struct error *CHECKED parquet_begin(struct parquet *p, int group, int column);
struct error *CHECKED parquet_next(struct parquet *p, struct parquet_text *text);

// All columns that are read. The end is reached only when the values make as many rows as the group has.
struct error *CHECKED parquet_begin_values(struct parquet *p, int group, int column);
struct error *CHECKED parquet_next_value(struct parquet *p, struct parquet_value *value);

#endif
