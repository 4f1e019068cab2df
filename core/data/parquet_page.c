// parquet_page.c - page headers, checksums, dictionaries, levels; every length in a header is held against the bytes there are.
#include "core/data/parquet_inside.h"

#include <string.h>
#include <zlib.h>

#include "core/base/stop.h"
#include "core/data/thrift.h"

enum page_type { PAGE_DATA, PAGE_INDEX, PAGE_DICTIONARY, PAGE_DATA_V2 };

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
    bool readable;
    const char *codec = parquet_codec_name(chunk->codec, &readable);
    if (h->unpacked > h->packed * parquet_codec_most(chunk->codec) + 64)
        return parquet_error(p, NULL, "%lld bytes of %s cannot be %lld bytes", (long long)h->packed, codec,
                             (long long)h->unpacked);
    if (!h->has_inner || h->n_values < 0 || h->n_values > INT32_MAX || h->definition_bytes < 0 || h->repetition_bytes < 0)
        return parquet_error(p, NULL, "a page without its counts");
    return NULL;
}

static struct error *open_dictionary(struct parquet *p, const struct header *h, const uint8_t *body)
{
    if (p->dictionary_at)
        return parquet_error(p, NULL, "a second dictionary");
    if (h->encoding != ENCODING_PLAIN && h->encoding != ENCODING_PLAIN_DICTIONARY)
        return parquet_error(p, "write the file with PLAIN or dictionary encoding", "a dictionary of encoding %s",
                             parquet_encoding_name(h->encoding));
    struct error *e = parquet_unpack(p, body, (size_t)h->packed, (size_t)h->unpacked, true, &p->dictionary,
                                     &p->dictionary_capacity, &p->dictionary_at);
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

// The bytes of a data page, n unpacked: all of them, or of texts one after the other as many as are asked for.
static struct error *open_values(struct parquet *p, const struct header *h, const uint8_t *packed, size_t n_packed, size_t n)
{
    struct parquet_page *page = &p->page;
    bool one_by_one = h->encoding == ENCODING_PLAIN && p->leaves[p->column].type == PARQUET_BYTE_ARRAY, begun = false;
    page->n_more = 0;
    struct error *e = one_by_one && h->compressed ? parquet_stream_begin(p, packed, n_packed, n, &begun) : NULL;
    if (e || begun)
        return e;
    uint8_t *bytes = NULL;
    size_t capacity = 0;
    if (parquet_is_packed(p, h->compressed)) {
        e = page_blocks_take(p->blocks, n + 1);
        bytes = p->blocks->now->bytes;
        capacity = n + 1;
    }
    if (!e)
        e = parquet_unpack(p, packed, n_packed, n, h->compressed, &bytes, &capacity, &page->at);
    page->end = page->at + n;
    return e;
}

// Levels in front of the values, behind their length.
static struct error *take_levels(struct parquet *p, const uint8_t **first, const uint8_t **last)
{
    struct parquet_page *page = &p->page;
    size_t left = (size_t)(page->end - page->at) + page->n_more;
    struct error *e = left < 4 ? NULL : parquet_have(p, 4);
    size_t n = e || left < 4 ? 0 : parquet_u32(page->at);
    if (!e && left >= 4 && n <= left - 4)
        e = parquet_have(p, 4 + n);
    if (!e && !parquet_take_counted(&page->at, page->end, first, last))
        e = parquet_error(p, NULL, "a page whose levels are longer than itself");
    return e;
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
    const uint8_t *repeats = NULL, *repeats_end = NULL, *levels = NULL, *levels_end = NULL;
    size_t n = (size_t)h->unpacked, n_packed = (size_t)h->packed;
    if (v2) { // levels stand before the packed values
        int64_t n_levels = h->repetition_bytes + h->definition_bytes;
        if (n_levels > h->packed || n_levels > h->unpacked)
            return parquet_error(p, NULL, "a page whose levels are longer than itself");
        repeats = body;
        repeats_end = levels = body + h->repetition_bytes;
        levels_end = body + n_levels;
        body += n_levels;
        n -= (size_t)n_levels;
        n_packed -= (size_t)n_levels;
    }
    struct error *e = open_values(p, h, body, n_packed, n);
    if (!e && !v2 && leaf->n_repeated > 0)
        e = take_levels(p, &repeats, &repeats_end);
    if (!e && !v2 && leaf->max_level > 0)
        e = take_levels(p, &levels, &levels_end);
    if (e)
        return e;
    parquet_runs_begin(&page->repeats, repeats, repeats_end, bits_of(leaf->n_repeated));
    parquet_runs_begin(&page->levels, levels, levels_end, bits_of(leaf->max_level));
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
