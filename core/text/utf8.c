// utf8.c - walks over characters; runs of ASCII are crossed eight bytes at a time.
#include "core/text/utf8.h"

#include <string.h>

// Bytes at the start that are ASCII, in steps of eight, at most limit.
static size_t ascii_run(const uint8_t *text, size_t n, size_t limit)
{
    size_t i = 0;
    uint64_t word;
    if (n > limit)
        n = limit;
    while (n - i >= 8) {
        memcpy(&word, text + i, 8);
        if (word & 0x8080808080808080u)
            break;
        i += 8;
    }
    return i;
}

size_t utf8_first(const uint8_t *text, size_t n, size_t n_chars, size_t *taken)
{
    size_t at = 0, count = 0;
    uint32_t code;
    while (at < n && count < n_chars) {
        size_t run = ascii_run(text + at, n - at, n_chars - count);
        at += run;
        count += run;
        // The word that stopped the run, or the last few bytes.
        for (int i = 0; i < 8 && at < n && count < n_chars; i++, count++)
            at += utf8_next(text + at, n - at, &code);
    }
    if (taken)
        *taken = count;
    return at;
}

size_t utf8_count(const uint8_t *text, size_t n)
{
    size_t count;
    utf8_first(text, n, SIZE_MAX, &count);
    return count;
}

bool utf8_is_valid(const uint8_t *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t code;
        at += ascii_run(text + at, n - at, SIZE_MAX);
        for (int i = 0; i < 8 && at < n; i++) {
            at += utf8_next(text + at, n - at, &code);
            if (code == UTF8_BAD)
                return false;
        }
    }
    return true;
}

size_t utf8_repaired_bytes(const uint8_t *text, size_t n)
{
    size_t bytes = 0;
    uint32_t code;
    for (size_t at = 0; at < n;) {
        size_t step = utf8_next(text + at, n - at, &code);
        bytes += code == UTF8_BAD ? 3 : step;
        at += step;
    }
    return bytes;
}

struct error *utf8_repair(const uint8_t *text, size_t n, struct bytes *out)
{
    struct error *e = bytes_reserve(out, utf8_repaired_bytes(text, n));
    if (e)
        return e;
    uint32_t code;
    for (size_t at = 0; at < n;) {
        size_t step = utf8_next(text + at, n - at, &code);
        memcpy(out->byte + out->n, code == UTF8_BAD ? (const uint8_t *)"\xEF\xBF\xBD" : text + at, code == UTF8_BAD ? 3 : step);
        out->n += code == UTF8_BAD ? 3 : step;
        at += step;
    }
    return NULL;
}
