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
// Lists of lists have the levels of the format in each value: which list it goes on with, and how much of its path is there.
//
// Reads      BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY, BOOLEAN, INT32, INT64, FLOAT and DOUBLE columns, required, optional or repeated, at
//            any depth; dates and times as the integers that they are kept as; data pages v1 and v2; encodings PLAIN, PLAIN_DICTIONARY,
//            RLE_DICTIONARY, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY and BYTE_STREAM_SPLIT, booleans PLAIN or
//            RLE, levels RLE; codecs none, snappy, gzip, zstd, lz4_raw, lz4 (Hadoop's frames, or a block as older writers have it); page
//            checksums, if any
// Refuses    by name: encryption, other types, encodings and codecs; decimals, UUIDs, intervals and numbers of 16 bits, whose bytes
//            are not what they stand for; data that lie in other files (`_metadata`)
// Limits     a footer of 32 MiB, which may come to eight times that in memory; a page or a dictionary of 256 MiB unpacked, and not
//            more than its codec can make of its bytes; a schema nested 32 deep. So a reader holds a footer, a page, a dictionary
//            with its index and one value: PARQUET_MOST_BYTES at the very most, whatever the file says. A few bytes can still
//            stand for 2^31 values of one page: who keeps values bounds them
// Ownership  a text is borrowed until the next value or the next begin, or longer (parquet_stays)
// Errors     ERROR_DATA with the file, row group, column and page (each from 0). Damage never reads outside of the file's bytes
// Threads    one reader, one thread
// Source     github.com/apache/parquet-format: parquet.thrift, Encodings.md
#ifndef CORE_DATA_PARQUET_H
#define CORE_DATA_PARQUET_H

#include "core/base/error.h"
#include "core/data/page_blocks.h"

#include <stdbool.h>
#include <stdint.h>

struct parquet;

#define PARQUET_MOST_BYTES (INT64_C(1536) << 20)

struct parquet_text {
    const char *text; // NULL: a null
    size_t n_bytes;
    int64_t row; // of the row group, from 0; -1 behind the last
};

enum parquet_kind {
    PARQUET_IS_NULL,
    PARQUET_IS_EMPTY, // the innermost list has no elements, or is null itself
    PARQUET_IS_TEXT,
    PARQUET_IS_BOOLEAN, // integer is 0 or 1
    PARQUET_IS_INTEGER,
    PARQUET_IS_REAL,
};

struct parquet_value {
    enum parquet_kind kind;
    bool begins_row;
    int64_t row;       // of the row group, from 0; -1 behind the last
    int repeat, level; // the format's repetition and definition level
    const char *text;  // NULL for all but texts
    size_t n_bytes;
    int64_t integer;
    bool is_unsigned; // the integer's bits are those of a uint64_t
    double real;
};

struct error *CHECKED parquet_open(struct parquet **parquet, const char *path);
void parquet_close(struct parquet *p);

// Pages are unpacked into these blocks, which outlive the file; to be said before the first begin.
void parquet_use(struct parquet *p, struct page_blocks *blocks);

// Whether a text of the value last given, or a stretch of it, stays where it is: as long as the file is open (*block NULL), or as long as
// *block is kept.
bool parquet_stays(const struct parquet *p, const char *text, struct page_block **block);

int parquet_n_row_groups(const struct parquet *p);
int64_t parquet_n_rows(const struct parquet *p);
int64_t parquet_group_rows(const struct parquet *p, int group);

// Finds a column by the names on its path, joined by dots; ERROR_DATA lists the columns where there is none such.
struct error *CHECKED parquet_column(const struct parquet *p, const char *path, int *column);

// All columns, by number: their paths; how many lists lie within each other (0: a row has one value), and the definition level of
// a value that is there.
int parquet_n_columns(const struct parquet *p);
const char *parquet_column_path(const struct parquet *p, int column);
int parquet_n_lists(const struct parquet *p, int column);
int parquet_value_level(const struct parquet *p, int column);

// Columns of a text a row.
struct error *CHECKED parquet_begin(struct parquet *p, int group, int column);
struct error *CHECKED parquet_next(struct parquet *p, struct parquet_text *text);

// All columns that are read. The end is reached only when the values make as many rows as the group has.
struct error *CHECKED parquet_begin_values(struct parquet *p, int group, int column);
struct error *CHECKED parquet_next_value(struct parquet *p, struct parquet_value *value);

#endif
