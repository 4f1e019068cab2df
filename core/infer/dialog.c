// dialog.c - history is the tokens of all that was said, in the chat format; an answer is one row of the engine.
//
// Text held back: the transcript has the bytes of tokens that were made and not written yet. All of it is written but an unfinished
// character at its end, of which at most three bytes can be there.
#include "core/infer/dialog.h"

#include <string.h>

#include "core/base/stop.h"
#include "core/infer/transcript.h"
#include "core/text/utf8.h"

struct answer {
    struct dialog *dialog;
    struct ids ids;
    struct transcript pending;
    struct error *(*write)(void *self, const char *piece, size_t n);
    void *self;
};

// How many bytes at the end may be the beginning of a character.
static size_t unfinished(const uint8_t *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t lead = text[n - back];
        if ((lead & 0xC0) == 0x80)
            continue;
        size_t length = lead < 0xC2 || lead > 0xF4 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        uint32_t code;
        // Cut short and not wrong so far: the whole rest is one part.
        return length > back && utf8_next(text + n - back, back, &code) == back ? back : 0;
    }
    return 0;
}

static struct error *flush(struct answer *a, bool all)
{
    size_t held = all ? 0 : unfinished(a->pending.text.byte, a->pending.text.n), n = a->pending.text.n - held;
    struct bytes text = {0};
    struct error *e = n ? utf8_repair(a->pending.text.byte, n, &text) : NULL;
    if (!e && text.n)
        e = a->write(a->self, (const char *)text.byte, text.n);
    if (held)
        memmove(a->pending.text.byte, a->pending.text.byte + n, held);
    a->pending.text.n = held;
    bytes_release(&text);
    return e;
}

static struct error *on_token(void *self, int job, int sample, struct turn_token token, bool *go_on)
{
    struct answer *a = self;
    (void)job, (void)sample;
    struct error *e = ids_push(&a->ids, token.id);
    if (!e)
        e = transcript_add(&a->pending, token.id);
    if (!e)
        e = flush(a, false);
    *go_on = !stop_requested();
    return e;
}

static struct error *on_row(void *self, const struct engine_row *row)
{
    (void)self, (void)row;
    return NULL;
}

static int32_t special(const struct dialog *d, const char *name)
{
    return tokenizer_special(d->engine->tokenizer, name);
}

// Drops the oldest turns until the question fits in front of an answer; none for a question that never would.
static struct error *make_room(struct dialog *d)
{
    int64_t room = d->engine->capacity - d->settings.max_tokens;
    int64_t least = d->turns.id[0] + (int64_t)d->history.n - d->turns.id[d->turns.n - 1];
    if (least > room)
        return error_new(ERROR_USAGE, NOWHERE, "say it in fewer words",
                         "%lld tokens are more than this model can read at once (%lld)", (long long)least, (long long)room);
    while ((int64_t)d->history.n > room) {
        size_t from = (size_t)d->turns.id[0], to = (size_t)d->turns.id[1];
        memmove(d->history.id + from, d->history.id + to, (d->history.n - to) * sizeof *d->history.id);
        d->history.n -= to - from;
        for (size_t i = 1; i < d->turns.n; i++)
            d->turns.id[i - 1] = d->turns.id[i] - (int32_t)(to - from);
        d->turns.n--;
        d->n_forgotten++;
    }
    return NULL;
}

static struct error *ask(struct dialog *d, const char *text, size_t n)
{
    struct error *e = ids_push(&d->turns, (int32_t)d->history.n);
    if (!e)
        e = ids_push(&d->history, special(d, "<|user_start|>"));
    if (!e)
        e = encoder_encode(&d->engine->encoder, (const uint8_t *)text, n, &d->history);
    if (!e)
        e = ids_push(&d->history, special(d, "<|user_end|>"));
    if (!e)
        e = ids_push(&d->history, special(d, "<|assistant_start|>"));
    return e ? e : make_room(d);
}

static struct error *answer(struct dialog *d, struct answer *a)
{
    int room = d->engine->capacity - (int)d->history.n;
    struct engine_job job = {.prompt = d->history.id,
                             .n_prompt = (int)d->history.n,
                             .n_samples = 1,
                             .stream = d->n_answers++,
                             .max_tokens = d->settings.max_tokens < room ? d->settings.max_tokens : room,
                             .sampling = d->settings.sampling};
    struct engine_hooks hooks = {.self = a, .row = on_row, .token = on_token};
    struct error *e = engine_run(d->engine, &job, 1, philox_for(d->settings.seed, PHILOX_ROLLOUT), hooks);
    if (e && e->kind == ERROR_STOPPED) {
        error_free(e);
        e = NULL;
    }
    d->stopped = stop_requested();
    if (!e)
        e = transcript_end(&a->pending);
    if (!e)
        e = flush(a, true);
    d->n_tokens = (int)a->ids.n;
    int32_t end = special(d, "<|assistant_end|>"), bos = special(d, "<|bos|>");
    for (size_t i = 0; i < a->ids.n && !e; i++)
        if (a->ids.id[i] != bos && a->ids.id[i] != end)
            e = ids_push(&d->history, a->ids.id[i]);
    return e ? e : ids_push(&d->history, end);
}

struct error *dialog_open(struct dialog *d, struct engine *engine, struct dialog_settings settings)
{
    *d = (struct dialog){.engine = engine, .settings = settings};
    return ids_push(&d->history, special(d, "<|bos|>"));
}

struct error *dialog_say(struct dialog *d, const char *text, size_t n,
                         struct error *(*write)(void *self, const char *piece, size_t n), void *self)
{
    struct answer a = {.dialog = d, .pending = {.tokenizer = d->engine->tokenizer}, .write = write, .self = self};
    size_t n_history = d->history.n, n_turns = d->turns.n;
    struct error *e = ask(d, text, n);
    if (e) { // as if it had not been said
        d->history.n = n_history;
        d->turns.n = n_turns;
        return e;
    }
    e = answer(d, &a);
    ids_release(&a.ids);
    transcript_release(&a.pending);
    return e;
}

void dialog_clear(struct dialog *d)
{
    d->history.n = 1;
    d->turns.n = 0;
    d->n_answers = 0;
}

void dialog_close(struct dialog *d)
{
    ids_release(&d->history);
    ids_release(&d->turns);
}
