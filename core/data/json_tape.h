// json_tape.h - a JSON text as a row of items that point into it: checked whole, unescaped only where somebody asks.
//
//     struct json_tape tape = {0};
//     bool good;
//     e = json_tape_parse(&tape, text, n, &good);               // e: memory alone; the text must stay, and text[n] must be a zero
//     const struct json_item *name = json_member(&tape.items[0], "name", 4);
//     if (name && name->kind == JSON_ITEM_TEXT)
//         e = json_item_text(name, &scratch, &s, &n_s);
//     json_tape_release(&tape);
//
// Items      a value stands before what is in it: a list before its values, an object before its keys and values in turn. A value takes
//            `items` of them, itself included, so that item + item->items is what stands behind it
// Language   RFC 8259 with any value at the top; texts are valid UTF-8 and may hold "\u0000", keys may not; whole numbers beyond
//            64 bits are reals, and reals fit a double; JSON_TAPE_DEPTH values deep. Of a key that stands twice the last counts. It is
//            that of jansson with JSON_DECODE_ANY and JSON_ALLOW_NUL, to which the tests hold it, but for those large numbers, and that
//            a zero byte behind the value ends nothing: who wants to know what is wrong with a text asks jansson
// Cost       a pass that crosses eight bytes of a text at a time: ten times as fast as making jansson's values
// Memory     24 bytes a value or key
// Threads    a parsed tape is immutable
#ifndef CORE_DATA_JSON_TAPE_H
#define CORE_DATA_JSON_TAPE_H

#include "core/text/buffer.h"

#include <stdbool.h>

enum { JSON_TAPE_DEPTH = 2048 };

enum json_item_kind {
    JSON_ITEM_NULL,
    JSON_ITEM_FALSE,
    JSON_ITEM_TRUE,
    JSON_ITEM_INTEGER,
    JSON_ITEM_REAL,
    JSON_ITEM_TEXT,
    JSON_ITEM_LIST,
    JSON_ITEM_OBJECT
};

struct json_item {
    const char *text; // as it is written; of a text behind the quote
    uint32_t n;       // bytes of that, of a text up to the quote
    uint32_t items;
    uint8_t kind;
    bool escaped; // a text with backslashes
};

struct json_tape {
    struct json_item *items;
    size_t n, capacity;
};

// n is at most UINT32_MAX. *good: it is JSON. The block is used again from call to call.
struct error *CHECKED json_tape_parse(struct json_tape *tape, const char *text, size_t n, bool *good);
void json_tape_release(struct json_tape *tape);

// The value of a key; NULL: there is none, or it is no object.
const struct json_item *json_member(const struct json_item *object, const char *key, size_t n);

// The text that a text item says, which has no zero behind it: it lies in the JSON, or, where it was escaped, in scratch.
struct error *CHECKED json_item_text(const struct json_item *item, struct bytes *scratch, const char **text, size_t *n);
int64_t json_item_integer(const struct json_item *item);
double json_item_real(const struct json_item *item);

#endif
