// transcript.h - tokens of a chat as a person reads them: without the marks of turns, and calculator calls as [7+5=12].
//
//     struct transcript t = {.tokenizer = tokenizer};
//     e = transcript_add(&t, id);                  // any number of times; t.text grows
//     e = transcript_end(&t);                      // closes a call that was left open
//     transcript_release(&t);
//
// A call without a result is [7+5]. Bytes come as tokens have them: a character may be unfinished at any point before the end.
#ifndef CORE_INFER_TRANSCRIPT_H
#define CORE_INFER_TRANSCRIPT_H

#include "core/text/tokenizer.h"

struct transcript {
    const struct tokenizer *tokenizer;
    struct bytes text; // owned
    enum { TRANSCRIPT_PLAIN, TRANSCRIPT_IN_CALL, TRANSCRIPT_AFTER_CALL, TRANSCRIPT_IN_OUTPUT } state;
};

struct error *CHECKED transcript_add(struct transcript *t, int32_t id);
struct error *CHECKED transcript_end(struct transcript *t);
void transcript_release(struct transcript *t);

#endif
