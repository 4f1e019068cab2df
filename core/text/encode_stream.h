// encode_stream.h - the ids of a text that comes in parts, without holding it whole.
//
//     struct encode_stream s = {.enc = &enc};
//     while (... a part ...)
//         if ((e = encode_stream_add(&s, part, n, &ids))) ...          // appends the ids that are certain
//     e = encode_stream_end(&s, &ids);                                 // and the rest
//     encode_stream_release(&s);
//
// Result  the ids of encoder_encode on the parts laid end to end, wherever they were cut, characters included
// Memory  what is not certain is kept: the last run of spaces and the piece before it, so about the longest piece there is
// Cost    linear in the text, plus a second look at a piece for each time that the text before it doubled
// Errors  those of encoder_encode
#ifndef CORE_TEXT_ENCODE_STREAM_H
#define CORE_TEXT_ENCODE_STREAM_H

#include "core/text/tokenizer.h"

struct encode_stream {
    struct encoder *enc;
    struct bytes kept;
    size_t tried; // so many bytes of kept had no certain border
};

struct error *CHECKED encode_stream_add(struct encode_stream *s, const uint8_t *part, size_t n, struct ids *out);
struct error *CHECKED encode_stream_end(struct encode_stream *s, struct ids *out);
void encode_stream_release(struct encode_stream *s);

#endif
