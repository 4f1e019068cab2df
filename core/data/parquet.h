// parquet.h - texts out of parquet files: flat string columns, one value after the other, a page in memory at a time.
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
// Reads      BYTE_ARRAY columns, required or optional (also within optional groups); data pages v1 and v2; encodings PLAIN,
//            PLAIN_DICTIONARY and RLE_DICTIONARY, levels RLE; codecs none, snappy, gzip, zstd; page checksums, if any
// Refuses    by name: encryption, repeated columns, other types, encodings and codecs
// Limits     a footer of 64 MiB; a page of 256 MiB unpacked, and not more than its codec can make of its bytes
// Ownership  a text is borrowed until the next parquet_next or parquet_begin
// Errors     ERROR_DATA with the file, row group and column. Damage never reads outside of the file's bytes
// Threads    one reader, one thread
// Source     github.com/apache/parquet-format: parquet.thrift, Encodings.md
#ifndef CORE_DATA_PARQUET_H
#define CORE_DATA_PARQUET_H

#include "core/base/error.h"

#include <stdint.h>

struct parquet;

struct parquet_text {
    const char *text; // NULL: a null
    size_t n_bytes;
    int64_t row; // of the row group, from 0; -1 behind the last
};

struct error *CHECKED parquet_open(struct parquet **parquet, const char *path);
void parquet_close(struct parquet *p);

int parquet_n_row_groups(const struct parquet *p);
int64_t parquet_n_rows(const struct parquet *p);
int64_t parquet_group_rows(const struct parquet *p, int group);

// Finds a column by the names on its path, joined by dots; ERROR_DATA lists the columns where there is none such.
struct error *CHECKED parquet_column(const struct parquet *p, const char *path, int *column);

struct error *CHECKED parquet_begin(struct parquet *p, int group, int column);
struct error *CHECKED parquet_next(struct parquet *p, struct parquet_text *text);

#endif
