// transcript.c - the bracket of a call is closed by its output's end, or by whatever comes instead of an output.
#include "core/infer/transcript.h"

static struct error *put(struct transcript *t, char c)
{
    return bytes_append(&t->text, &c, 1);
}

static struct error *close_call(struct transcript *t)
{
    bool open = t->state != TRANSCRIPT_PLAIN;
    t->state = TRANSCRIPT_PLAIN;
    return open ? put(t, ']') : NULL;
}

struct error *transcript_add(struct transcript *t, int32_t id)
{
    const struct tokenizer *tokenizer = t->tokenizer;
    struct error *e = NULL;
    if (id == tokenizer_special(tokenizer, "<|python_start|>")) {
        e = close_call(t);
        t->state = TRANSCRIPT_IN_CALL;
        return e ? e : put(t, '[');
    }
    if (id == tokenizer_special(tokenizer, "<|python_end|>")) {
        if (t->state == TRANSCRIPT_IN_CALL)
            t->state = TRANSCRIPT_AFTER_CALL;
        return NULL;
    }
    if (id == tokenizer_special(tokenizer, "<|output_start|>")) {
        e = put(t, t->state == TRANSCRIPT_AFTER_CALL ? '=' : '[');
        t->state = TRANSCRIPT_IN_OUTPUT;
        return e;
    }
    if (id == tokenizer_special(tokenizer, "<|output_end|>"))
        return close_call(t);
    if (t->state == TRANSCRIPT_AFTER_CALL && (e = close_call(t)))
        return e;
    if (id >= tokenizer->table.n - tokenizer->table.n_special)
        return NULL;
    return tokenizer_decode(tokenizer, &id, 1, &t->text);
}

struct error *transcript_end(struct transcript *t)
{
    return close_call(t);
}

void transcript_release(struct transcript *t)
{
    bytes_release(&t->text);
}
