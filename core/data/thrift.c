// thrift.c - every read goes through byte() or a check of what is left.
#include "core/data/thrift.h"

static uint8_t byte(struct thrift *t)
{
    if (t->failed || t->at == t->end) {
        t->failed = true;
        return 0;
    }
    return *t->at++;
}

uint64_t thrift_varint(struct thrift *t)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = byte(t);
        value |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80))
            return t->failed ? 0 : value;
    }
    t->failed = true;
    return 0;
}

int64_t thrift_int(struct thrift *t)
{
    uint64_t v = thrift_varint(t); // zigzag
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

bool thrift_field(struct thrift *t, int *last, int *id, int *type)
{
    uint8_t head = byte(t);
    *type = head & 0x0F;
    if (t->failed || *type == 0)
        return false;
    if (*type > THRIFT_STRUCT) {
        t->failed = true;
        return false;
    }
    int64_t number = head >> 4 ? *last + (head >> 4) : thrift_int(t);
    if (t->failed || number < INT16_MIN || number > INT16_MAX) {
        t->failed = true;
        return false;
    }
    *last = *id = (int)number;
    return true;
}

void thrift_list(struct thrift *t, int *type, int64_t *n)
{
    uint8_t head = byte(t);
    *type = head & 0x0F;
    uint64_t count = head >> 4;
    if (count == 15)
        count = thrift_varint(t);
    // The smallest element is a byte. An empty list may be of no type: fastparquet writes such.
    if (t->failed || (*type == 0 && count > 0) || *type > THRIFT_STRUCT || count > (uint64_t)(t->end - t->at)) {
        t->failed = true;
        count = 0;
    }
    *n = (int64_t)count;
}

const char *thrift_text(struct thrift *t, size_t *n)
{
    uint64_t length = thrift_varint(t);
    if (t->failed || length > (uint64_t)(t->end - t->at)) {
        t->failed = true;
        *n = 0;
        return "";
    }
    const char *text = (const char *)t->at;
    t->at += length;
    *n = (size_t)length;
    return text;
}

static void skip_element(struct thrift *t, int type)
{
    // In lists a boolean has a byte of its own.
    if (type == THRIFT_TRUE || type == THRIFT_FALSE)
        byte(t);
    else
        thrift_skip(t, type);
}

static void skip_collection(struct thrift *t)
{
    int type;
    int64_t n;
    thrift_list(t, &type, &n);
    for (int64_t i = 0; i < n && !t->failed; i++)
        skip_element(t, type);
}

static void skip_map(struct thrift *t)
{
    uint64_t n = thrift_varint(t);
    if (n == 0)
        return;
    uint8_t types = byte(t);
    if (n > (uint64_t)(t->end - t->at))
        t->failed = true;
    for (uint64_t i = 0; i < n && !t->failed; i++) {
        skip_element(t, types >> 4);
        skip_element(t, types & 0x0F);
    }
}

void thrift_skip(struct thrift *t, int type)
{
    if (t->failed || t->depth == THRIFT_DEPTH) {
        t->failed = true;
        return;
    }
    t->depth++;
    int last = 0, id, inner;
    size_t n;
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_I8:
        byte(t);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        thrift_varint(t);
        break;
    case THRIFT_DOUBLE:
        for (int i = 0; i < 8; i++)
            byte(t);
        break;
    case THRIFT_TEXT:
        thrift_text(t, &n);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        skip_collection(t);
        break;
    case THRIFT_MAP:
        skip_map(t);
        break;
    case THRIFT_STRUCT:
        while (thrift_field(t, &last, &id, &inner))
            thrift_skip(t, inner);
        break;
    default:
        t->failed = true;
    }
    t->depth--;
}
