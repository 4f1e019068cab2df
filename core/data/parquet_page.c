// parquet_page.c - page headers, checksums, unpacking, dictionaries, levels; every length in a header is held against the bytes
// there are.
#include "core/data/parquet_inside.h"

#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/stop.h"
#include "core/data/lz4.h"
#include "core/data/thrift.h"

enum page_type { PAGE_DATA, PAGE_INDEX, PAGE_DICTIONARY, PAGE_DATA_V2 };
enum codec { CODEC_NONE, CODEC_SNAPPY, CODEC_GZIP, CODEC_LZO, CODEC_BROTLI, CODEC_LZ4, CODEC_ZSTD, CODEC_LZ4_RAW, CODEC_COUNT };

static const struct {
    const char *name;
    int64_t most; // unpacked bytes of a packed one; 0: not read. Three bytes can be 64 (snappy), one 1032 (gzip) or 255 (lz4),
                  // four a block of 128 KiB (zstd)
} codecs[CODEC_COUNT] = {{"none", 1},   {"snappy", 32}, {"gzip", 1100},  {"lzo", 0},
                         {"brotli", 0}, {"lz4", 256},   {"zstd", 40000}, {"lz4_raw", 256}};

struct header {
    int64_t type, unpacked, packed, crc;
    bool has_crc, has_inner, compressed;
    int64_t n_values, encoding, level_encoding, repeat_encoding, repetition_bytes, definition_bytes;
};

// The header of a data page (v1, v2) or dictionary page: the same fields under other numbers.
static void read_inner(struct thrift *t, struct header *h, int page)
{
    int last = 0, id, type;
    bool v2 = page == 8;
    h->has_inner = true;
    while (thrift_field(t, &last, &id, &type)) {
        if (v2 && id == 7 && (type == THRIFT_TRUE || type == THRIFT_FALSE))
            h->compressed = type == THRIFT_TRUE;
        else if (type != THRIFT_I32)
            thrift_skip(t, type);
        else if (id == 1)
            h->n_values = thrift_int(t);
        else if (v2 ? id == 4 : id == 2)
            h->encoding = thrift_int(t);
        else if (page == 5 && id == 3)
            h->level_encoding = thrift_int(t);
        else if (page == 5 && id == 4)
            h->repeat_encoding = thrift_int(t);
        else if (v2 && id == 5)
            h->definition_bytes = thrift_int(t);
        else if (v2 && id == 6)
            h->repetition_bytes = thrift_int(t);
        else
            thrift_skip(t, type);
    }
}

static void read_header(struct thrift *t, struct header *h)
{
    int last = 0, id, type;
    *h = (struct header){.type = -1,
                         .unpacked = -1,
                         .packed = -1,
                         .compressed = true,
                         .n_values = -1,
                         .encoding = -1,
                         .level_encoding = ENCODING_RLE,
                         .repeat_encoding = ENCODING_RLE};
    while (thrift_field(t, &last, &id, &type)) {
        if (type == THRIFT_I32 && id == 1)
            h->type = thrift_int(t);
        else if (type == THRIFT_I32 && id == 2)
            h->unpacked = thrift_int(t);
        else if (type == THRIFT_I32 && id == 3)
            h->packed = thrift_int(t);
        else if (type == THRIFT_I32 && id == 4) {
            h->crc = thrift_int(t);
            h->has_crc = true;
        } else if (type == THRIFT_STRUCT && (id == 5 || id == 7 || id == 8))
            read_inner(t, h, id);
        else
            thrift_skip(t, type);
    }
}

static struct error *check_header(const struct parquet *p, const struct header *h, size_t n_left)
{
    const struct parquet_chunk *chunk = &p->groups[p->group].chunks[p->column];
    if (h->type < PAGE_DATA || h->type > PAGE_DATA_V2)
        return parquet_error(p, NULL, "a page of the unknown type %lld", (long long)h->type);
    if (h->packed < 0 || (uint64_t)h->packed > n_left)
        return parquet_error(p, NULL, "a page of %lld bytes where %zu are left", (long long)h->packed, n_left);
    if (h->type == PAGE_INDEX)
        return NULL;
    if (h->unpacked < 0 || h->unpacked > PAGE_MOST_BYTES)
        return parquet_error(p, "write the file with smaller pages", "a page of %lld bytes unpacked; %d are allowed",
                             (long long)h->unpacked, PAGE_MOST_BYTES);
    if (h->unpacked > h->packed * codecs[chunk->codec].most + 64)
        return parquet_error(p, NULL, "%lld bytes of %s cannot be %lld bytes", (long long)h->packed, codecs[chunk->codec].name,
                             (long long)h->unpacked);
    if (!h->has_inner || h->n_values < 0 || h->n_values > INT32_MAX || h->definition_bytes < 0 || h->repetition_bytes < 0)
        return parquet_error(p, NULL, "a page without its counts");
    return NULL;
}

static struct error *gunzip(uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in, bool *ok)
{
    z_stream z = {.next_in = (Bytef *)in, .avail_in = (uInt)n_in, .next_out = out, .avail_out = (uInt)n_out};
    *ok = false;
    if (inflateInit2(&z, 15 + 32) != Z_OK) // zlib's or gzip's frame
        return error_memory();
    *ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return NULL;
}

struct error *parquet_room(uint8_t **buffer, size_t *capacity, size_t n, bool keep)
{
    if (n <= *capacity)
        return NULL;
    size_t larger = n;
    if (keep && n < *capacity * 2) // one that is added to doubles, but never beyond what a value can need
        larger = *capacity * 2 < PAGE_MOST_BYTES ? *capacity * 2 : PAGE_MOST_BYTES + 1;
    uint8_t *fresh = block_alloc(larger);
    if (!fresh)
        return error_memory();
    if (keep && *capacity)
        memcpy(fresh, *buffer, *capacity);
    block_free(*buffer);
    *buffer = fresh;
    *capacity = larger;
    return NULL;
}

// One context for all pages: a new one for each costs what it takes to get its memory.
static struct error *unzstd(struct parquet *p, uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in, bool *ok)
{
    if (!p->zstd && !(p->zstd = ZSTD_createDCtx()))
        return error_memory();
    *ok = ZSTD_decompressDCtx(p->zstd, out, n_out, in, n_in) == n_out;
    return NULL;
}

void parquet_release_codecs(struct parquet *p)
{
    ZSTD_freeDCtx(p->zstd);
    p->zstd = NULL;
}

// n bytes of `packed` become *out, which is the file's own memory where nothing is packed.
static struct error *unpack(struct parquet *p, const uint8_t *packed, size_t n, size_t n_out, bool compressed, uint8_t **buffer,
                            size_t *capacity, const uint8_t **out)
{
    int codec = compressed ? p->groups[p->group].chunks[p->column].codec : CODEC_NONE;
    if (codec == CODEC_NONE) {
        *out = packed;
        return n == n_out ? NULL : parquet_error(p, NULL, "a page that is not packed has %zu bytes and says %zu", n, n_out);
    }
    struct error *e = parquet_room(buffer, capacity, n_out + 1, false); // + 1: an empty dictionary is one, too
    *out = *buffer;
    if (e || n_out == 0)
        return e;
    bool ok = false;
    size_t length = 0;
    if (codec == CODEC_SNAPPY)
        ok = snappy_uncompressed_length((const char *)packed, n, &length) == SNAPPY_OK && length == n_out &&
             snappy_uncompress((const char *)packed, n, (char *)*buffer, &length) == SNAPPY_OK && length == n_out;
    else if (codec == CODEC_GZIP)
        e = gunzip(*buffer, n_out, packed, n, &ok);
    else if (codec == CODEC_LZ4)
        ok = lz4_unpack_frames(*buffer, n_out, packed, n) || lz4_unpack(*buffer, n_out, packed, n);
    else if (codec == CODEC_LZ4_RAW)
        ok = lz4_unpack(*buffer, n_out, packed, n);
    else
        e = unzstd(p, *buffer, n_out, packed, n, &ok);
    return ok || e ? e
                   : parquet_error(p, "fetch the file again", "a page is damaged: its %s data do not unpack", codecs[codec].name);
}

static struct error *open_dictionary(struct parquet *p, const struct header *h, const uint8_t *body)
{
    if (p->dictionary_at)
        return parquet_error(p, NULL, "a second dictionary");
    if (h->encoding != ENCODING_PLAIN && h->encoding != ENCODING_PLAIN_DICTIONARY)
        return parquet_error(p, "write the file with PLAIN or dictionary encoding", "a dictionary of encoding %s",
                             parquet_encoding_name(h->encoding));
    struct error *e =
        unpack(p, body, (size_t)h->packed, (size_t)h->unpacked, true, &p->dictionary, &p->dictionary_capacity, &p->dictionary_at);
    if (e)
        return e;
    p->n_dictionary_bytes = (size_t)h->unpacked;
    size_t n = (size_t)h->n_values, at = 0, width = p->leaves[p->column].width;
    if (n > p->n_dictionary_bytes / (width ? width : 4))
        return parquet_error(p, NULL, "a dictionary of %zu values in %zu bytes", n, p->n_dictionary_bytes);
    if (width) {
        p->n_dictionary = n;
        return NULL;
    }
    if (n > p->offsets_capacity) {
        uint32_t *larger = block_alloc(n * sizeof *larger);
        if (!larger)
            return error_memory();
        block_free(p->offsets);
        p->offsets = larger;
        p->offsets_capacity = n;
    }
    for (size_t i = 0; i < n; i++) {
        size_t left = p->n_dictionary_bytes - at;
        if (left < 4 || parquet_u32(p->dictionary_at + at) > left - 4)
            return parquet_error(p, NULL, "text %zu of the dictionary is longer than its page", i);
        p->offsets[i] = (uint32_t)at;
        at += 4 + parquet_u32(p->dictionary_at + at);
    }
    p->n_dictionary = n;
    return NULL;
}

static int bits_of(int value)
{
    int bits = 0;
    while (value >> bits)
        bits++;
    return bits;
}

bool parquet_take_counted(const uint8_t **at, const uint8_t *end, const uint8_t **first, const uint8_t **last)
{
    size_t n = (size_t)(end - *at);
    if (n < 4 || parquet_u32(*at) > n - 4)
        return false;
    *first = *at + 4;
    *last = *at = *first + parquet_u32(*at);
    return true;
}

static struct error *open_data(struct parquet *p, const struct header *h, const uint8_t *body)
{
    struct parquet_page *page = &p->page;
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    bool v2 = h->type == PAGE_DATA_V2;
    if (h->n_values > p->n_left)
        return parquet_error(p, NULL, "a page of %lld values where %lld are left", (long long)h->n_values, (long long)p->n_left);
    if (!v2 && leaf->max_level > 0 && h->level_encoding != ENCODING_RLE)
        return parquet_error(p, "write the file anew", "levels of encoding %s", parquet_encoding_name(h->level_encoding));
    if (!v2 && leaf->n_repeated > 0 && h->repeat_encoding != ENCODING_RLE)
        return parquet_error(p, "write the file anew", "levels of encoding %s", parquet_encoding_name(h->repeat_encoding));
    const uint8_t *repeats = NULL, *repeats_end = NULL, *levels = NULL, *levels_end = NULL, *at;
    size_t n = (size_t)h->unpacked;
    if (v2) { // levels stand before the packed values
        int64_t n_levels = h->repetition_bytes + h->definition_bytes;
        if (n_levels > h->packed || n_levels > h->unpacked)
            return parquet_error(p, NULL, "a page whose levels are longer than itself");
        repeats = body;
        repeats_end = levels = body + h->repetition_bytes;
        levels_end = body + n_levels;
        body += n_levels;
        n -= (size_t)n_levels;
        struct error *e =
            unpack(p, body, (size_t)(h->packed - n_levels), n, h->compressed, &page->unpacked, &page->capacity, &at);
        if (e)
            return e;
    } else {
        struct error *e = unpack(p, body, (size_t)h->packed, n, true, &page->unpacked, &page->capacity, &at);
        if (e)
            return e;
        const uint8_t *end = at + n;
        if ((leaf->n_repeated > 0 && !parquet_take_counted(&at, end, &repeats, &repeats_end)) ||
            (leaf->max_level > 0 && !parquet_take_counted(&at, end, &levels, &levels_end)))
            return parquet_error(p, NULL, "a page whose levels are longer than itself");
        n = (size_t)(end - at);
    }
    parquet_runs_begin(&page->repeats, repeats, repeats_end, bits_of(leaf->n_repeated));
    parquet_runs_begin(&page->levels, levels, levels_end, bits_of(leaf->max_level));
    page->at = at;
    page->end = at + n;
    page->n_left = h->n_values;
    return parquet_begin_decoding(p, h->encoding);
}

struct error *parquet_open_page(struct parquet *p)
{
    while (p->page.n_left == 0) {
        if (stop_requested())
            return error_stopped();
        struct error *e = map_check(&p->map, p->path);
        if (e)
            return error_while(e, NOWHERE, "reading row group %d, column '%s', page %d", p->group, p->leaves[p->column].path,
                               p->i_page + 1);
        if (p->at == p->end)
            return parquet_error(p, NULL, "its pages end %lld values too early", (long long)p->n_left);
        struct thrift t = {.at = p->at, .end = p->end};
        struct header h;
        p->i_page++;
        read_header(&t, &h);
        if (t.failed)
            return parquet_error(p, "fetch the file again", "a page header is damaged");
        if ((e = check_header(p, &h, (size_t)(p->end - t.at))))
            return e;
        p->at = t.at + h.packed;
        if (h.has_crc && (uint32_t)h.crc != (uint32_t)crc32_z(0, t.at, (size_t)h.packed))
            return parquet_error(p, "fetch the file again", "a page is damaged: its checksum differs");
        if (h.type == PAGE_DICTIONARY)
            e = open_dictionary(p, &h, t.at);
        else if (h.type != PAGE_INDEX)
            e = open_data(p, &h, t.at);
        if (e)
            return e;
    }
    return NULL;
}

const char *parquet_codec_name(int codec, bool *readable)
{
    bool known = codec >= 0 && codec < CODEC_COUNT;
    *readable = known && codecs[codec].most > 0;
    return known ? codecs[codec].name : "an unknown one";
}
