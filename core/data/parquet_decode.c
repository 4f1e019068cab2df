// parquet_decode.c - the values of a page, one after the other: one pair of functions for each encoding, to begin and to take.
//
// Invariant: what a value points to lies in the file, in the unpacked page or dictionary, or in `pieced`, all of which stay until
// the next value. Values of the dictionary were checked when it was read.
#include <string.h>

#include "core/data/parquet_inside.h"

static const char *const encodings[] = {"PLAIN",          "GROUP_VAR_INT",       "PLAIN_DICTIONARY",        "RLE",
                                        "BIT_PACKED",     "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
                                        "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"};

const char *parquet_encoding_name(int64_t encoding)
{
    return encoding >= 0 && encoding < (int64_t)countof(encodings) ? encodings[encoding] : "an unknown one";
}

static struct error *too_early(const struct parquet *p)
{
    return parquet_error(p, NULL, "row %lld: the page ends too early", (long long)p->row);
}

static struct error *damaged(const struct parquet *p)
{
    return parquet_error(p, "fetch the file again", "its %s data are damaged", parquet_encoding_name(p->page.encoding));
}

// Bits, lowest first (PLAIN), which is what a group of packed numbers of one bit is; or runs behind their length (RLE).
static struct error *begin_booleans(struct parquet *p)
{
    struct parquet_page *page = &p->page;
    const uint8_t *first = page->at, *last = page->end;
    if (page->encoding == ENCODING_PLAIN) {
        page->numbers = (struct parquet_runs){
            .bits = 1, .packed = true, .n_left = (int64_t)(last - first) * 8, .group = first, .group_end = last};
        return NULL;
    }
    if (first < last) { // a page of nulls may have no values at all
        const uint8_t *at = first;
        if (!parquet_take_counted(&at, last, &first, &last))
            return parquet_error(p, NULL, "a page whose values are longer than itself");
    }
    parquet_runs_begin(&page->numbers, first, last, 1);
    return NULL;
}

// A byte, the bits of a number, and then the numbers.
static struct error *begin_dictionary(struct parquet *p)
{
    struct parquet_page *page = &p->page;
    bool empty = page->at == page->end; // a page of nulls may have no values at all
    int bits = empty ? 0 : page->at[0];
    if (!p->dictionary_at)
        return parquet_error(p, NULL, "values from a dictionary that is not there");
    if (bits > 32)
        return parquet_error(p, NULL, "numbers of %d bits", bits);
    parquet_runs_begin(&page->numbers, page->at + !empty, page->end, bits);
    return NULL;
}

// Lengths, and behind all of them the bytes. With prefixes: how much of the value before stays, in front of the lengths.
static struct error *begin_lengths(struct parquet *p, bool prefixes)
{
    struct parquet_page *page = &p->page;
    p->n_pieced = 0;
    bool good = !prefixes ||
                (parquet_deltas_begin(&page->prefixes, page->at, page->end) && parquet_deltas_end(&page->prefixes, &page->at));
    good = good && parquet_deltas_begin(&page->deltas, page->at, page->end) && parquet_deltas_end(&page->deltas, &page->at);
    return good ? NULL : damaged(p);
}

// The first bytes of all values, then the second bytes of all, and so on.
static struct error *begin_split(struct parquet *p, size_t width)
{
    struct parquet_page *page = &p->page;
    size_t n = (size_t)(page->end - page->at);
    if (n % width)
        return parquet_error(p, NULL, "%zu bytes where values have %zu", n, width);
    page->stride = n / width;
    page->i = 0;
    return parquet_room(&p->pieced, &p->pieced_capacity, width, false);
}

// Which types an encoding is for (Encodings.md).
static bool is_for(int64_t encoding, int type)
{
    bool bytes = type == PARQUET_BYTE_ARRAY;
    switch (encoding) {
    case ENCODING_PLAIN:
        return true;
    case ENCODING_RLE:
        return type == PARQUET_BOOLEAN;
    case ENCODING_PLAIN_DICTIONARY:
    case ENCODING_RLE_DICTIONARY:
        return type != PARQUET_BOOLEAN;
    case ENCODING_DELTA_BINARY_PACKED:
        return type == PARQUET_INT32 || type == PARQUET_INT64;
    case ENCODING_DELTA_LENGTH_BYTE_ARRAY:
        return bytes;
    case ENCODING_DELTA_BYTE_ARRAY:
        return bytes || type == PARQUET_FIXED;
    case ENCODING_BYTE_STREAM_SPLIT:
        return !bytes && type != PARQUET_BOOLEAN;
    default:
        return false;
    }
}

struct error *parquet_begin_decoding(struct parquet *p, int64_t encoding)
{
    struct parquet_page *page = &p->page;
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    if (!is_for(encoding, leaf->type))
        return parquet_error(p, "write the column with PLAIN or dictionary encoding", "values of type %s in encoding %s",
                             parquet_type_name(leaf->type), parquet_encoding_name(encoding));
    page->encoding = (enum parquet_encoding)encoding;
    if (leaf->type == PARQUET_BOOLEAN)
        return begin_booleans(p);
    switch (page->encoding) {
    case ENCODING_PLAIN_DICTIONARY:
    case ENCODING_RLE_DICTIONARY:
        return begin_dictionary(p);
    case ENCODING_DELTA_BINARY_PACKED:
        return parquet_deltas_begin(&page->deltas, page->at, page->end) ? NULL : damaged(p);
    case ENCODING_DELTA_LENGTH_BYTE_ARRAY:
    case ENCODING_DELTA_BYTE_ARRAY:
        return begin_lengths(p, page->encoding == ENCODING_DELTA_BYTE_ARRAY);
    case ENCODING_BYTE_STREAM_SPLIT:
        return begin_split(p, leaf->width);
    case ENCODING_PLAIN:
    case ENCODING_RLE:
        break;
    }
    return NULL;
}

static void give_bytes(struct parquet_value *value, const uint8_t *at, size_t n)
{
    value->kind = PARQUET_IS_TEXT;
    value->text = (const char *)at;
    value->n_bytes = n;
}

static void give_integer(const struct parquet_leaf *leaf, uint64_t bits, struct parquet_value *value)
{
    uint32_t low = (uint32_t)bits;
    value->kind = PARQUET_IS_INTEGER;
    value->is_unsigned = leaf->is_unsigned;
    value->integer = leaf->type == PARQUET_INT64 ? (int64_t)bits : leaf->is_unsigned ? (int64_t)low : (int32_t)low;
}

// A value of fixed length.
static void give(const struct parquet_leaf *leaf, const uint8_t *at, struct parquet_value *value)
{
    if (leaf->type == PARQUET_FIXED) {
        give_bytes(value, at, leaf->width);
        return;
    }
    uint32_t low = parquet_u32(at);
    uint64_t bits = low;
    if (leaf->width == 8)
        bits |= (uint64_t)parquet_u32(at + 4) << 32;
    if (leaf->type == PARQUET_INT32 || leaf->type == PARQUET_INT64) {
        give_integer(leaf, bits, value);
        return;
    }
    float single;
    value->kind = PARQUET_IS_REAL;
    if (leaf->type == PARQUET_FLOAT) {
        memcpy(&single, &low, sizeof single);
        value->real = single;
    } else {
        memcpy(&value->real, &bits, sizeof bits);
    }
}

static struct error *take_plain(struct parquet *p, struct parquet_value *value)
{
    struct parquet_page *page = &p->page;
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    size_t left = (size_t)(page->end - page->at) + page->n_more;
    if (left < (leaf->width ? leaf->width : 4))
        return too_early(p);
    if (leaf->width) {
        give(leaf, page->at, value);
        page->at += leaf->width;
        return NULL;
    }
    struct error *e = parquet_have(p, 4);
    size_t n = e ? 0 : parquet_u32(page->at);
    if (n > left - 4)
        return parquet_error(p, NULL, "row %lld: a text of %zu bytes is longer than its page", (long long)p->row, n);
    if (!e)
        e = parquet_have(p, 4 + n);
    if (e)
        return e;
    give_bytes(value, page->at + 4, n);
    page->at += 4 + n;
    return NULL;
}

static struct error *take_of_dictionary(struct parquet *p, struct parquet_value *value)
{
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    uint32_t number;
    if (!parquet_runs_next(&p->page.numbers, &number))
        return too_early(p);
    if (number >= p->n_dictionary)
        return parquet_error(p, NULL, "row %lld: value %u of a dictionary of %zu", (long long)p->row, number, p->n_dictionary);
    if (leaf->width) {
        give(leaf, p->dictionary_at + number * leaf->width, value);
        return NULL;
    }
    const uint8_t *at = p->dictionary_at + p->offsets[number];
    give_bytes(value, at + 4, parquet_u32(at));
    return NULL;
}

// The next text's own bytes. Lengths are untrusted until here.
static struct error *take_length(struct parquet *p, const uint8_t **at, size_t *n)
{
    struct parquet_page *page = &p->page;
    int64_t length;
    if (!parquet_deltas_next(&page->deltas, &length))
        return too_early(p);
    if (length < 0 || length > page->end - page->at)
        return parquet_error(p, NULL, "row %lld: a text of %lld bytes is longer than its page", (long long)p->row,
                             (long long)length);
    *at = page->at;
    *n = (size_t)length;
    page->at += length;
    return NULL;
}

static struct error *take_length_and_text(struct parquet *p, struct parquet_value *value)
{
    const uint8_t *at;
    size_t n;
    struct error *e = take_length(p, &at, &n);
    if (!e)
        give_bytes(value, at, n);
    return e;
}

// What stays of the value before lies at the front of `pieced` already. A value is never longer than its page.
static struct error *take_prefix_and_text(struct parquet *p, struct parquet_value *value)
{
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    const uint8_t *at;
    size_t n;
    int64_t prefix;
    if (!parquet_deltas_next(&p->page.prefixes, &prefix))
        return too_early(p);
    if (prefix < 0 || (uint64_t)prefix > p->n_pieced)
        return parquet_error(p, NULL, "row %lld: the first %lld bytes of a text of %zu", (long long)p->row, (long long)prefix,
                             p->n_pieced);
    struct error *e = take_length(p, &at, &n);
    if (e)
        return e;
    size_t n_all = (size_t)prefix + n;
    if (leaf->width && n_all != leaf->width)
        return parquet_error(p, NULL, "row %lld: %zu bytes where values have %zu", (long long)p->row, n_all, leaf->width);
    if ((e = parquet_room(&p->pieced, &p->pieced_capacity, n_all + 1, true))) // + 1: an empty text is no null
        return e;
    memcpy(p->pieced + prefix, at, n);
    p->n_pieced = n_all;
    give_bytes(value, p->pieced, n_all);
    return NULL;
}

static struct error *take_split(struct parquet *p, struct parquet_value *value)
{
    struct parquet_page *page = &p->page;
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    if (page->i == page->stride)
        return too_early(p);
    for (size_t k = 0; k < leaf->width; k++)
        p->pieced[k] = page->at[k * page->stride + page->i];
    page->i++;
    give(leaf, p->pieced, value);
    return NULL;
}

struct error *parquet_decode(struct parquet *p, struct parquet_value *value)
{
    struct parquet_page *page = &p->page;
    const struct parquet_leaf *leaf = &p->leaves[p->column];
    int64_t integer;
    uint32_t bit;
    if (leaf->type == PARQUET_BOOLEAN) {
        if (!parquet_runs_next(&page->numbers, &bit))
            return too_early(p);
        value->kind = PARQUET_IS_BOOLEAN;
        value->integer = bit & 1;
        return NULL;
    }
    switch (page->encoding) {
    case ENCODING_PLAIN_DICTIONARY:
    case ENCODING_RLE_DICTIONARY:
        return take_of_dictionary(p, value);
    case ENCODING_DELTA_BINARY_PACKED:
        if (!parquet_deltas_next(&page->deltas, &integer))
            return too_early(p);
        give_integer(leaf, (uint64_t)integer, value);
        return NULL;
    case ENCODING_DELTA_LENGTH_BYTE_ARRAY:
        return take_length_and_text(p, value);
    case ENCODING_DELTA_BYTE_ARRAY:
        return take_prefix_and_text(p, value);
    case ENCODING_BYTE_STREAM_SPLIT:
        return take_split(p, value);
    case ENCODING_PLAIN:
    case ENCODING_RLE:
        break;
    }
    return take_plain(p, value);
}
