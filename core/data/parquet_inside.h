// parquet_inside.h - shared by parquet.c (footer, columns), parquet_page.c (headers), parquet_codec.c (unpacking), parquet_value.c (rows),
// parquet_decode.c (values), parquet_levels.c and parquet_delta.c (numbers in few bits). Not for others.
#ifndef CORE_DATA_PARQUET_INSIDE_H
#define CORE_DATA_PARQUET_INSIDE_H

#include "core/base/map.h"
#include "core/data/parquet.h"

#include <stdbool.h>

enum parquet_physical {
    PARQUET_BOOLEAN = 0,
    PARQUET_INT32 = 1,
    PARQUET_INT64 = 2,
    PARQUET_FLOAT = 4,
    PARQUET_DOUBLE = 5,
    PARQUET_BYTE_ARRAY = 6,
    PARQUET_FIXED = 7, // FIXED_LEN_BYTE_ARRAY
};

enum parquet_encoding {
    ENCODING_PLAIN = 0,
    ENCODING_PLAIN_DICTIONARY = 2,
    ENCODING_RLE = 3,
    ENCODING_DELTA_BINARY_PACKED = 5,
    ENCODING_DELTA_LENGTH_BYTE_ARRAY = 6,
    ENCODING_DELTA_BYTE_ARRAY = 7,
    ENCODING_RLE_DICTIONARY = 8,
    ENCODING_BYTE_STREAM_SPLIT = 9,
};

enum { PAGE_MOST_BYTES = 256 << 20, PARQUET_NESTING = 32, FIXED_MOST_BYTES = 1 << 20 };

struct parquet_leaf { // a column of the schema
    const char *path;
    int type;      // parquet.thrift's Type, -1 unknown
    size_t width;  // bytes of a value; 0 where they differ, and for booleans
    int max_level; // definition level of a value
    bool is_unsigned;
    const char *unread; // what its values stand for, where their bytes are not that: "decimals"; NULL: they are read
    int n_repeated;     // nodes on its path that are repeated: its highest repetition level

    // Definition level from which an element of the k-th of them, from 1, is there; 0 for k = 0.
    uint8_t list_levels[PARQUET_NESTING + 1];
};

struct parquet_chunk { // a column in a row group
    int type, codec;
    int64_t n_values, offset, n_bytes;
    bool encrypted, is_elsewhere; // in another file
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

// Numbers of DELTA_BINARY_PACKED, read one at a time.
struct parquet_deltas {
    const uint8_t *at, *end; // blocks or miniblocks to come
    int64_t n_left;          // values to come
    bool begun;              // the first was given
    uint64_t value, smallest;
    uint32_t n_minis, i_mini, n_mini, n_mini_left; // miniblocks a block, the next one; values of one, and to come
    const uint8_t *widths, *mini;                  // of the block; the miniblock's bits, up to `at`
    size_t bit, bits;                              // next one; of a value
};

bool parquet_deltas_begin(struct parquet_deltas *d, const uint8_t *at, const uint8_t *end);
bool parquet_deltas_next(struct parquet_deltas *d, int64_t *value);           // false: no more, or wrong
bool parquet_deltas_end(const struct parquet_deltas *d, const uint8_t **end); // where all its values end; false: wrong

struct parquet_page {
    enum parquet_encoding encoding;
    int64_t n_left;                               // values to come, nulls included
    struct parquet_runs repeats, levels, numbers; // numbers: of the dictionary, or booleans
    struct parquet_deltas deltas, prefixes;       // deltas: values, or lengths of texts
    const uint8_t *at, *end;                      // values, or what is left of them
    size_t stride, i;                             // BYTE_STREAM_SPLIT: values of the page, the next one

    // Of a page that is unpacked as it is read: [at, end) is what is there.
    size_t n_more;                      // bytes to come; 0 in other pages
    const uint8_t *packed, *packed_end; // that they are in
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
    int i_page;              // -1 before the first
    const uint8_t *at, *end; // pages to come
    int64_t row, n_left;     // the row last begun, -1 before the first; values to come
    struct parquet_page page;
    struct page_blocks *blocks, own; // of pages that are unpacked; `own` where no others are given
    uint8_t *dictionary;             // owned, reused
    size_t dictionary_capacity, n_dictionary_bytes;
    uint32_t *offsets; // of the dictionary's texts (where their bytes begin); owned, reused
    size_t offsets_capacity, n_dictionary;
    const uint8_t *dictionary_at; // its unpacked bytes: `dictionary`, or the file's
    uint8_t *pieced;              // a value put together of pieces; owned, reused
    size_t pieced_capacity, n_pieced;
    struct ZSTD_DCtx_s *zstd; // NULL: not needed yet; owned, reused
    struct z_stream_s *gzip;  // likewise
};

// An error about the chunk being read.
struct error *parquet_error(const struct parquet *p, const char *fix, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Reads headers until a data page is open. There must be one: n_left > 0.
struct error *CHECKED parquet_open_page(struct parquet *p);

// n bytes of `packed` become *out of n_out, which is the file's own memory where nothing is packed (always, if not compressed).
struct error *CHECKED parquet_unpack(struct parquet *p, const uint8_t *packed, size_t n, size_t n_out, bool compressed,
                                     uint8_t **buffer, size_t *capacity, const uint8_t **out);

// Begins a page that is unpacked as it is read, in zstd or gzip, so that who reads beside others (tokenize.c) has texts for them before a
// page of megabytes is unpacked. *begun false: unpack it whole.
struct error *CHECKED parquet_stream_begin(struct parquet *p, const uint8_t *packed, size_t n, size_t n_out, bool *begun);

// [page.at, page.end) has n bytes, which are there or to come.
struct error *CHECKED parquet_have(struct parquet *p, size_t n);

void parquet_release_codecs(struct parquet *p);

// Values of an open page: page.at and page.end are known. The encoding is the header's number, whatever it is.
struct error *CHECKED parquet_begin_decoding(struct parquet *p, int64_t encoding);
struct error *CHECKED parquet_decode(struct parquet *p, struct parquet_value *value);
const char *parquet_encoding_name(int64_t encoding);
const char *parquet_type_name(int type);

// Whether a page's values have to be unpacked.
bool parquet_is_packed(const struct parquet *p, bool compressed);

// Makes a buffer of *capacity bytes hold n; keep: with the bytes that it has.
struct error *CHECKED parquet_room(uint8_t **buffer, size_t *capacity, size_t n, bool keep);

// Bytes behind their count of four: [*first, *last) of [*at, end), which goes on behind them. False: they are not all there.
bool parquet_take_counted(const uint8_t **at, const uint8_t *end, const uint8_t **first, const uint8_t **last);

static inline uint32_t parquet_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// n bits from bit `first` of [at, end) on, lowest first; at most 64. They are there.
static inline uint64_t parquet_bits(const uint8_t *at, const uint8_t *end, size_t first, size_t n)
{
    size_t shift = first & 7, last = (first + n + 7) >> 3;
    uint64_t word = 0;
    at += first >> 3;
    last -= first >> 3;
    if (end - at >= 8)
        for (int i = 0; i < 8; i++) // compilers make one load of it
            word |= (uint64_t)at[i] << 8 * i;
    else
        for (size_t i = 0; i < last && i < 8; i++)
            word |= (uint64_t)at[i] << 8 * i;
    word >>= shift;
    if (last > 8)
        word |= (uint64_t)at[8] << (64 - shift);
    return n < 64 ? word & ((UINT64_C(1) << n) - 1) : word;
}

// "zstd"; *readable: can be unpacked here.
const char *parquet_codec_name(int codec, bool *readable);

// How many bytes one of a codec can become at most.
int64_t parquet_codec_most(int codec);

#endif
