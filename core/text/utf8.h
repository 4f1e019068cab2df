// utf8.h - UTF-8 that may be broken: every byte belongs to a character or to an ill-formed part.
//
// An ill-formed part is a maximal one: the longest start of a well-formed character that is cut short, or else a single byte (E4
// BD at the end of a text is one part, BD A0 are two, ED A0 80 are three). It counts as one character and becomes one U+FFFD.
//
//     for (size_t at = 0; at < n; at += utf8_next(text + at, n - at, &code))
//         if (code == UTF8_BAD) ...
//
// Errors  only utf8_repair can fail, for memory
// Source  the Unicode standard, chapter 3: table 3-7 (well-formed sequences) and "U+FFFD substitution of maximal subparts"
#ifndef CORE_TEXT_UTF8_H
#define CORE_TEXT_UTF8_H

#include "core/text/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_BAD = 0x7FFFFFFF }; // the code of an ill-formed part: above all code points

// The character at text[0 .. n-1], n > 0: returns its bytes (1 to 4), *code its code point or UTF8_BAD.
static inline size_t utf8_next(const uint8_t *text, size_t n, uint32_t *code)
{
    uint32_t lead = text[0];
    *code = lead;
    if (lead < 0x80)
        return 1;
    *code = UTF8_BAD;
    if (lead < 0xC2 || lead > 0xF4)
        return 1;
    size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    // The second byte alone decides about overlong forms, surrogates and what lies above 10FFFF.
    uint32_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint32_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    uint32_t value = lead & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (i >= n || text[i] < low || text[i] > high)
            return i;
        value = value << 6 | (text[i] & 0x3F);
        low = 0x80, high = 0xBF;
    }
    *code = value;
    return length;
}

// The number of characters; an ill-formed part is one.
size_t utf8_count(const uint8_t *text, size_t n);

// The bytes of the first n_chars characters, or n where there are fewer; *taken (may be NULL) how many characters these are.
size_t utf8_first(const uint8_t *text, size_t n, size_t n_chars, size_t *taken);

// Whether there is no ill-formed part.
bool utf8_is_valid(const uint8_t *text, size_t n);

// The bytes that utf8_repair would append.
size_t utf8_repaired_bytes(const uint8_t *text, size_t n);

// Appends the text with U+FFFD for every ill-formed part.
struct error *CHECKED utf8_repair(const uint8_t *text, size_t n, struct bytes *out);

#endif
