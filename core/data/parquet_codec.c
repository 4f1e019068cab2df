// parquet_codec.c - packed bytes to bytes: a page whole, or as it is read.
//
// Both write to the same place: what lies in a page stays until the next page, or longer (page_blocks.h), and nothing is copied.
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY // for ZSTD_d_stableOutBuffer: no copy between
#include <zstd.h>

#include "core/data/lz4.h"
#include "core/data/parquet_inside.h"

enum codec { CODEC_NONE, CODEC_SNAPPY, CODEC_GZIP, CODEC_LZO, CODEC_BROTLI, CODEC_LZ4, CODEC_ZSTD, CODEC_LZ4_RAW, CODEC_COUNT };

static const struct {
    const char *name;
    int64_t most; // unpacked bytes of a packed one; 0: not read. Three bytes can be 64 (snappy), one 1032 (gzip) or 255 (lz4),
                  // four a block of 128 KiB (zstd)
} codecs[CODEC_COUNT] = {{"none", 1},   {"snappy", 32}, {"gzip", 1100},  {"lzo", 0},
                         {"brotli", 0}, {"lz4", 256},   {"zstd", 40000}, {"lz4_raw", 256}};

// Short steps at first, so that others who wait for texts soon have some; then long ones, for each throws out of the cache what they use.
enum { FIRST_STEP = 1 << 18, STEP = 1 << 22, PACKED_STEP = 1 << 16 };

const char *parquet_codec_name(int codec, bool *readable)
{
    bool known = codec >= 0 && codec < CODEC_COUNT;
    *readable = known && codecs[codec].most > 0;
    return known ? codecs[codec].name : "an unknown one";
}

int64_t parquet_codec_most(int codec)
{
    return codecs[codec].most;
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

static struct error *damaged(const struct parquet *p, int codec)
{
    return parquet_error(p, "fetch the file again", "a page is damaged: its %s data do not unpack", codecs[codec].name);
}

// One context of each for all pages: a new one for each page costs what it takes to get its memory.
static bool ready_zstd(struct parquet *p)
{
    return p->zstd || (p->zstd = ZSTD_createDCtx());
}

static bool ready_gzip(struct parquet *p)
{
    if (p->gzip)
        return inflateReset(p->gzip) == Z_OK;
    z_stream *z = block_alloc(sizeof *z);
    if (!z)
        return false;
    *z = (z_stream){0};
    if (inflateInit2(z, 15 + 32) != Z_OK) { // zlib's or gzip's frame
        block_free(z);
        return false;
    }
    p->gzip = z;
    return true;
}

void parquet_release_codecs(struct parquet *p)
{
    ZSTD_freeDCtx(p->zstd);
    if (p->gzip)
        inflateEnd(p->gzip);
    block_free(p->gzip);
    p->zstd = NULL;
    p->gzip = NULL;
}

static bool gunzip(struct parquet *p, uint8_t *out, size_t n_out, const uint8_t *in, size_t n_in)
{
    z_stream *z = p->gzip;
    z->next_in = (Bytef *)in, z->avail_in = (uInt)n_in;
    z->next_out = out, z->avail_out = (uInt)n_out;
    return inflate(z, Z_FINISH) == Z_STREAM_END && z->avail_out == 0;
}

bool parquet_is_packed(const struct parquet *p, bool compressed)
{
    return compressed && p->groups[p->group].chunks[p->column].codec != CODEC_NONE;
}

struct error *parquet_unpack(struct parquet *p, const uint8_t *packed, size_t n, size_t n_out, bool compressed, uint8_t **buffer,
                             size_t *capacity, const uint8_t **out)
{
    if (!parquet_is_packed(p, compressed)) {
        *out = packed;
        return n == n_out ? NULL : parquet_error(p, NULL, "a page that is not packed has %zu bytes and says %zu", n, n_out);
    }
    int codec = p->groups[p->group].chunks[p->column].codec;
    struct error *e = parquet_room(buffer, capacity, n_out + 1, false); // + 1: an empty dictionary is one, too
    *out = *buffer;
    if (e || n_out == 0)
        return e;
    bool ok = false;
    size_t length = 0;
    if (codec == CODEC_SNAPPY) {
        ok = snappy_uncompressed_length((const char *)packed, n, &length) == SNAPPY_OK && length == n_out &&
             snappy_uncompress((const char *)packed, n, (char *)*buffer, &length) == SNAPPY_OK && length == n_out;
    } else if (codec == CODEC_LZ4) {
        ok = lz4_unpack_frames(*buffer, n_out, packed, n) || lz4_unpack(*buffer, n_out, packed, n);
    } else if (codec == CODEC_LZ4_RAW) {
        ok = lz4_unpack(*buffer, n_out, packed, n);
    } else if (codec == CODEC_GZIP) {
        if (!ready_gzip(p))
            return error_memory();
        ok = gunzip(p, *buffer, n_out, packed, n);
    } else {
        if (!ready_zstd(p))
            return error_memory();
        ok = ZSTD_decompressDCtx(p->zstd, *buffer, n_out, packed, n) == n_out;
    }
    return ok ? NULL : damaged(p, codec);
}

// Only a frame that says how long it is, and where the library can write to where the page lies at once.
static bool begin_zstd(struct parquet *p, const uint8_t *packed, size_t n, size_t n_out)
{
    int longest = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound; // its window is the page
    return ZSTD_getFrameContentSize(packed, n) == n_out && ready_zstd(p) &&
           !ZSTD_isError(ZSTD_DCtx_reset(p->zstd, ZSTD_reset_session_and_parameters)) &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(p->zstd, ZSTD_d_windowLogMax, longest)) &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(p->zstd, ZSTD_d_stableOutBuffer, 1));
}

struct error *parquet_stream_begin(struct parquet *p, const uint8_t *packed, size_t n, size_t n_out, bool *begun)
{
    struct parquet_page *page = &p->page;
    int codec = p->groups[p->group].chunks[p->column].codec;
    *begun = n_out > 0 && (codec == CODEC_ZSTD ? begin_zstd(p, packed, n, n_out) : codec == CODEC_GZIP && ready_gzip(p));
    struct error *e = *begun ? page_blocks_take(p->blocks, n_out + 1) : NULL;
    if (e || !*begun)
        return e;
    page->at = page->end = p->blocks->now->bytes;
    page->packed = packed;
    page->packed_end = packed + n;
    page->n_more = n_out;
    return NULL;
}

// Some bytes more, about a step; *ended: the codec's own end has come. False: damaged.
static bool more_zstd(struct parquet *p, size_t *have, size_t all, bool *ended)
{
    struct parquet_page *page = &p->page;
    size_t left = (size_t)(page->packed_end - page->packed);
    ZSTD_inBuffer in = {page->packed, left < PACKED_STEP ? left : PACKED_STEP, 0};
    ZSTD_outBuffer out = {p->blocks->now->bytes, all, *have};
    size_t result = ZSTD_decompressStream(p->zstd, &out, &in);
    bool moved = in.pos > 0 || out.pos > *have;
    page->packed += in.pos;
    *have = out.pos;
    *ended = result == 0;
    return !ZSTD_isError(result) && moved && (!*ended || page->packed == page->packed_end);
}

static bool more_gzip(struct parquet *p, size_t *have, size_t all, bool *ended)
{
    struct parquet_page *page = &p->page;
    z_stream *z = p->gzip;
    size_t room = all + 1 - *have; // + 1: to see that there is no more than the page says
    room = room < FIRST_STEP ? room : FIRST_STEP;
    z->next_in = (Bytef *)page->packed, z->avail_in = (uInt)(page->packed_end - page->packed);
    z->next_out = p->blocks->now->bytes + *have, z->avail_out = (uInt)room;
    int result = inflate(z, Z_NO_FLUSH);
    page->packed = z->next_in;
    *have += room - z->avail_out;
    *ended = result == Z_STREAM_END;
    return (*ended || result == Z_OK) && *have <= all;
}

struct error *parquet_have(struct parquet *p, size_t n)
{
    if ((size_t)(p->page.end - p->page.at) >= n)
        return NULL;
    struct parquet_page *page = &p->page;
    int codec = p->groups[p->group].chunks[p->column].codec;
    uint8_t *bytes = p->blocks->now->bytes;
    size_t have = (size_t)(page->end - bytes), all = have + page->n_more;
    size_t need = (size_t)(page->at - bytes) + n, step = have < FIRST_STEP ? FIRST_STEP : have < STEP ? have : STEP;
    need = need > have + step ? need : have + step;
    need = need < all ? need : all;
    bool ended = false, good = true;
    while (good && (have < need || (need == all && !ended)))
        good = (codec == CODEC_ZSTD ? more_zstd : more_gzip)(p, &have, all, &ended) && !(ended && have < all);
    page->end = bytes + have;
    page->n_more = good ? all - have : 0;
    return good ? NULL : damaged(p, codec);
}
