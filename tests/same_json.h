// same_json.h - whether a tape says what jansson reads of the same text: accepted or not, every value, in any order of keys. But for two
// things: to jansson a zero byte behind the value ends the text, whatever follows; and it refuses whole numbers beyond 64 bits, unless
// it is to read all of them as reals.
#ifndef TESTS_SAME_JSON_H
#define TESTS_SAME_JSON_H

#include <jansson.h>
#include <string.h>

#include "core/data/json_tape.h"

static inline bool same_value(const struct json_item *item, const json_t *value, struct bytes *scratch);

static inline bool same_members(const struct json_item *item, const json_t *value, struct bytes *scratch)
{
    size_t n = 0;
    const char *key;
    json_t *member;
    for (const struct json_item *k = item + 1; k < item + item->items; k = k + 1 + k[1].items) {
        const char *text;
        size_t n_text;
        if (k->kind != JSON_ITEM_TEXT || json_item_text(k, scratch, &text, &n_text) ||
            !json_object_getn(value, text, n_text)) // every key is there
            return false;
    }
    json_object_foreach((json_t *)value, key, member)
    {
        const struct json_item *found = json_member(item, key, strlen(key));
        if (!found || !same_value(found, member, scratch))
            return false;
        n++;
    }
    return n == json_object_size(value);
}

static inline bool same_value(const struct json_item *item, const json_t *value, struct bytes *scratch)
{
    static const json_type types[] = {JSON_NULL, JSON_FALSE,  JSON_TRUE,  JSON_INTEGER,
                                      JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT};
    const char *text;
    size_t n, i = 0;
    bool as_real = item->kind == JSON_ITEM_INTEGER && json_is_real(value) && strspn(item->text, "-0123456789") == item->n;
    if (as_real)
        return json_item_real(item) == json_real_value(value);
    if (json_typeof(value) != types[item->kind])
        return false;
    switch (json_typeof(value)) {
    case JSON_INTEGER:
        return json_item_integer(item) == json_integer_value(value);
    case JSON_REAL:
        return json_item_real(item) == json_real_value(value);
    case JSON_STRING:
        return !json_item_text(item, scratch, &text, &n) && n == json_string_length(value) &&
               !memcmp(text, json_string_value(value), n);
    case JSON_OBJECT:
        return same_members(item, value, scratch);
    case JSON_ARRAY:
        for (const struct json_item *at = item + 1; at < item + item->items; at += at->items)
            if (i == json_array_size(value) || !same_value(at, json_array_get(value, i++), scratch))
                return false;
        return i == json_array_size(value);
    default:
        return item->items == 1;
    }
}

// text has a zero at n.
static inline bool same_json(const char *text, size_t n, struct json_tape *tape, struct bytes *scratch)
{
    bool good;
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_error_t problem;
    json_t *value = json_loadb(text, n, flags, &problem);
    if (!value && json_error_code(&problem) == json_error_numeric_overflow)
        value = json_loadb(text, n, flags | JSON_DECODE_INT_AS_REAL, NULL);
    struct error *e = json_tape_parse(tape, text, n, &good);
    bool same = !e && good == (value && !memchr(text, 0, n)) &&
                (!good || (tape->items[0].items == tape->n && same_value(tape->items, value, scratch)));
    json_decref(value);
    return same;
}

#endif
