// encode_stream.c - finds a border between pieces that no text to come can move.
//
// The pattern (split.h) never looks back, so behind a border the rest is split as a text of its own. Which border ends a piece depends
// on what follows it no further than: three bytes of an ending behind an apostrophe, one character behind a run of another class, or,
// of spaces, their whole run and one character. So a border is certain when, behind it and the spaces that may follow it, there are
// LOOK more bytes. The text before it is encoded as if it ended there: that splits a run of spaces at its end otherwise, so no border
// behind a piece of spaces alone is taken.
#include "core/text/encode_stream.h"

#include <string.h>

#include "core/text/split.h"
#include "core/text/unicode.h"
#include "core/text/utf8.h"

enum { LOOK = 16 };

static size_t spaces_end(const uint8_t *text, size_t n, size_t at)
{
    uint32_t code;
    while (at < n) {
        size_t length = utf8_next(text + at, n - at, &code);
        enum unicode_class class = unicode_class_of(code);
        if (class != UNICODE_SPACE && class != UNICODE_LINE_END)
            break;
        at += length;
    }
    return at;
}

// The last certain border; 0: there is none.
static size_t certain(const uint8_t *text, size_t n)
{
    size_t border = 0, spaces = 0; // spaces: where those at or behind the border end
    for (size_t at = 0, end; at < n; at = end) {
        end = split_next(text, n, at);
        if (end > spaces || spaces == 0)
            spaces = spaces_end(text, n, end);
        if (n - spaces < LOOK)
            break;
        if (spaces_end(text, end, at) < end)
            border = end;
    }
    return border;
}

struct error *encode_stream_add(struct encode_stream *s, const uint8_t *part, size_t n, struct ids *out)
{
    struct error *e = bytes_append(&s->kept, part, n);
    if (e || s->kept.n < 2 * s->tried)
        return e;
    size_t border = certain(s->kept.byte, s->kept.n);
    s->tried = border ? 0 : s->kept.n;
    if (!border || (e = encoder_encode(s->enc, s->kept.byte, border, out)))
        return e;
    s->kept.n -= border;
    memmove(s->kept.byte, s->kept.byte + border, s->kept.n);
    return NULL;
}

struct error *encode_stream_end(struct encode_stream *s, struct ids *out)
{
    struct error *e = encoder_encode(s->enc, s->kept.byte, s->kept.n, out);
    if (!e)
        s->kept.n = s->tried = 0;
    return e;
}

void encode_stream_release(struct encode_stream *s)
{
    bytes_release(&s->kept);
    s->tried = 0;
}
