// parquet_inside.h - shared by parquet.c (footer, columns), parquet_page.c (headers, unpacking), parquet_levels.c and
// parquet_value.c. Not for others.
#ifndef CORE_DATA_PARQUET_INSIDE_H
#define CORE_DATA_PARQUET_INSIDE_H

#include "core/data/map.h"
#include "core/data/parquet.h"

#include <stdbool.h>

enum parquet_physical {
    PARQUET_BOOLEAN = 0,
    PARQUET_INT32 = 1,
    PARQUET_INT64 = 2,
    PARQUET_FLOAT = 4,
    PARQUET_DOUBLE = 5,
    PARQUET_BYTE_ARRAY = 6,
};

enum parquet_encoding {
    ENCODING_PLAIN = 0,
    ENCODING_PLAIN_DICTIONARY = 2,
    ENCODING_RLE = 3,
    ENCODING_RLE_DICTIONARY = 8,
};

enum { PAGE_MOST_BYTES = 256 << 20 };

struct parquet_leaf { // a column of the schema
    const char *path;
    int type;       // parquet.thrift's Type, -1 unknown
    int max_level;  // definition level of a value
    int n_repeated; // nodes on its path that are repeated: its highest repetition level
    int list_level; // definition level from which an element of the innermost of them is there
};

struct parquet_chunk { // a column in a row group
    int type, codec;
    int64_t n_values, offset, n_bytes;
    bool encrypted;
};

struct parquet_group {
    int64_t n_rows;
    struct parquet_chunk *chunks; // [n_leaves]
};

// Levels and dictionary numbers: runs and groups of packed bits, read one at a time.
struct parquet_runs {
    const uint8_t *at, *end;
    int bits;
    int64_t n_left; // of this run
    bool packed;
    uint32_t value; // of a run
    const uint8_t *group, *group_end;
    size_t bit; // next one of a packed run
};

void parquet_runs_begin(struct parquet_runs *r, const uint8_t *at, const uint8_t *end, int bits);
bool parquet_runs_next(struct parquet_runs *r, uint32_t *value); // false: the bytes are at their end, or wrong

struct parquet_page {
    bool dictionary_values;                       // values are numbers of the dictionary
    int64_t n_left;                               // values to come, nulls included
    struct parquet_runs repeats, levels, numbers; // numbers: of the dictionary, or booleans
    const uint8_t *at, *end;                      // PLAIN values
    uint8_t *unpacked;                            // owned, reused
    size_t capacity;
};

struct parquet {
    const char *path;
    struct arena arena;
    struct map map;
    int n_leaves, n_groups;
    struct parquet_leaf *leaves;
    struct parquet_group *groups;
    int64_t n_rows;

    // The chunk being read.
    int group, column;
    const uint8_t *at, *end; // pages to come
    int64_t row, n_left;     // the row last begun, -1 before the first; values to come
    struct parquet_page page;
    uint8_t *dictionary; // owned, reused
    size_t dictionary_capacity, n_dictionary_bytes;
    uint32_t *offsets; // of the dictionary's texts (where their bytes begin); owned, reused
    size_t offsets_capacity, n_dictionary;
    const uint8_t *dictionary_at; // its unpacked bytes: `dictionary`, or the file's
};

// An error about the chunk being read.
struct error *parquet_error(const struct parquet *p, const char *fix, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Reads headers until a data page is open. There must be one: n_left > 0.
struct error *CHECKED parquet_open_page(struct parquet *p);

// Bytes of a value of fixed length; 0 for others.
static inline size_t parquet_width(int type)
{
    return type == PARQUET_INT32 || type == PARQUET_FLOAT ? 4 : type == PARQUET_INT64 || type == PARQUET_DOUBLE ? 8 : 0;
}

static inline uint32_t parquet_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// "zstd"; *readable: can be unpacked here.
const char *parquet_codec_name(int codec, bool *readable);

#endif
