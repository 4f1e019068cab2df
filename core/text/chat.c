// chat.c - conversations are checked whole, then written part by part.
//
// 1. Nothing is written before every message is checked, so a fault behind the cut is found too.
// 2. ids and mask grow by the same number; both are cut at the end, and after an error go back to where they were.
#include "core/text/chat.h"

#include <stdbool.h>
#include <string.h>

// In the order of token_specials.
enum special { BOS, USER_START, USER_END, ASSISTANT_START, ASSISTANT_END, PYTHON_START, PYTHON_END, OUTPUT_START, OUTPUT_END };

_Static_assert(OUTPUT_END + 1 == TOKEN_SPECIALS, "the names follow token_specials");

static const char *const role_names[CHAT_ROLE_COUNT] = {"system", "user", "assistant"};

struct writer {
    struct encoder *enc;
    int32_t special[TOKEN_SPECIALS];
    size_t full; // ids->n at which the rest would be cut
    struct ids *ids;
    struct bytes *mask; // NULL: not wanted
};

static struct error *find_specials(struct writer *w)
{
    for (int i = 0; i < TOKEN_SPECIALS; i++)
        if ((w->special[i] = tokenizer_special(w->enc->tokenizer, token_specials[i])) < 0)
            return error_plain(ERROR_DATA, "the tokenizer has no special token '%s', which chats need", token_specials[i]);
    return NULL;
}

// The ids that are there since ids->n was n get this mask.
static struct error *put_mask(struct writer *w, size_t n, int supervised)
{
    size_t more = w->ids->n - n;
    if (!w->mask)
        return NULL;
    struct error *e = bytes_reserve(w->mask, more);
    if (!e && more) {
        memset(w->mask->byte + w->mask->n, supervised, more);
        w->mask->n += more;
    }
    return e;
}

static struct error *put_special(struct writer *w, enum special name, int supervised)
{
    size_t n = w->ids->n;
    if (n >= w->full)
        return NULL;
    struct error *e = ids_push(w->ids, w->special[name]);
    return e ? e : put_mask(w, n, supervised);
}

static struct error *put_text(struct writer *w, const char *text, size_t bytes, int supervised)
{
    size_t n = w->ids->n;
    if (n >= w->full || !bytes)
        return NULL;
    struct error *e = encoder_encode(w->enc, (const uint8_t *)text, bytes, w->ids);
    return e ? e : put_mask(w, n, supervised);
}

// text, or a system's text, an empty line and text as one piece to encode.
static struct error *put_user(struct writer *w, const struct chat_part *system, const struct chat_part *text)
{
    struct bytes joined = {0};
    struct error *e = put_special(w, USER_START, 0);
    if (!e && system) {
        e = bytes_append(&joined, system->text, system->n);
        if (!e)
            e = bytes_append(&joined, "\n\n", 2);
        if (!e)
            e = bytes_append(&joined, text->text, text->n);
        if (!e)
            e = put_text(w, (const char *)joined.byte, joined.n, 0);
    } else if (!e) {
        e = put_text(w, text->text, text->n, 0);
    }
    bytes_release(&joined);
    return e ? e : put_special(w, USER_END, 0);
}

static struct error *put_assistant(struct writer *w, const struct chat_message *m)
{
    static const struct {
        bool has_borders;
        enum special start, end;
        int supervised;
    } kinds[CHAT_PART_KIND_COUNT] = {
        [CHAT_TEXT] = {.supervised = 1},
        [CHAT_PYTHON] = {true, PYTHON_START, PYTHON_END, 1},
        [CHAT_PYTHON_OUTPUT] = {true, OUTPUT_START, OUTPUT_END, 0},
    };
    struct error *e = put_special(w, ASSISTANT_START, 0);
    for (size_t i = 0; !e && i < m->n_parts && w->ids->n < w->full; i++) {
        const struct chat_part *part = &m->parts[i];
        int supervised = kinds[part->kind].supervised;
        if (kinds[part->kind].has_borders)
            e = put_special(w, kinds[part->kind].start, supervised);
        if (!e)
            e = put_text(w, part->text, part->n, supervised);
        if (!e && kinds[part->kind].has_borders)
            e = put_special(w, kinds[part->kind].end, supervised);
    }
    return e ? e : put_special(w, ASSISTANT_END, 1);
}

static const char *role_name(enum chat_role role)
{
    return (unsigned)role < CHAT_ROLE_COUNT ? role_names[role] : "unknown";
}

static struct error *check_parts(const struct chat_message *m, size_t i)
{
    if (m->role != CHAT_ASSISTANT && m->n_parts != 1)
        return error_plain(ERROR_DATA, "messages[%zu] has %zu parts, but the content of role '%s' is one text", i, m->n_parts,
                           role_name(m->role));
    for (size_t p = 0; p < m->n_parts; p++) {
        if ((unsigned)m->parts[p].kind >= CHAT_PART_KIND_COUNT)
            return error_plain(ERROR_DATA, "part %zu of messages[%zu] is none of text, python, python_output", p, i);
        if (m->role != CHAT_ASSISTANT && m->parts[p].kind != CHAT_TEXT)
            return error_plain(ERROR_DATA, "messages[%zu] has a part of python, which only role 'assistant' may have", i);
        if (!m->parts[p].text && m->parts[p].n)
            return error_plain(ERROR_DATA, "part %zu of messages[%zu] has no text", p, i);
    }
    return NULL;
}

static struct error *check(const struct chat_message *messages, size_t n)
{
    if (n == 0)
        return error_plain(ERROR_DATA, "the conversation has no messages");
    size_t first = messages[0].role == CHAT_SYSTEM;
    if (first == n)
        return error_plain(ERROR_DATA, "messages[0] has role 'system' and no message of role 'user' follows");
    for (size_t i = 0; i < n; i++) {
        enum chat_role role = i < first ? CHAT_SYSTEM : (i - first) % 2 == 0 ? CHAT_USER : CHAT_ASSISTANT;
        if (messages[i].role != role)
            return error_plain(ERROR_DATA, "messages[%zu] has role '%s' where '%s' must be", i, role_name(messages[i].role),
                               role_name(role));
        struct error *e = check_parts(&messages[i], i);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *write_all(struct writer *w, const struct chat_message *messages, size_t n)
{
    struct error *e = put_special(w, BOS, 0);
    const struct chat_part *system = messages[0].role == CHAT_SYSTEM ? &messages[0].parts[0] : NULL;
    for (size_t i = system ? 1 : 0; !e && i < n && w->ids->n < w->full; i++) {
        if (messages[i].role == CHAT_USER)
            e = put_user(w, system, &messages[i].parts[0]);
        else
            e = put_assistant(w, &messages[i]);
        system = NULL;
    }
    return e;
}

static struct error *render(struct encoder *enc, const struct chat_message *messages, size_t n, size_t max_tokens,
                            bool for_completion, struct ids *ids, struct bytes *mask)
{
    size_t n_ids = ids->n, n_mask = mask ? mask->n : 0;
    size_t full = max_tokens < SIZE_MAX - n_ids ? n_ids + max_tokens : SIZE_MAX;
    struct writer w = {.enc = enc, .full = full, .ids = ids, .mask = mask};
    struct error *e = find_specials(&w);
    if (!e)
        e = check(messages, n);
    if (!e)
        e = write_all(&w, messages, n);
    if (!e && ids->n > w.full) {
        if (mask)
            mask->n -= ids->n - w.full;
        ids->n = w.full;
    }
    if (!e && for_completion)
        e = ids_push(ids, w.special[ASSISTANT_START]);
    if (e) {
        ids->n = n_ids;
        if (mask)
            mask->n = n_mask;
    }
    return e;
}

struct error *chat_render(struct encoder *enc, const struct conversation *c, size_t max_tokens, struct ids *ids,
                          struct bytes *mask)
{
    return render(enc, c->messages, c->n_messages, max_tokens, false, ids, mask);
}

struct error *chat_render_for_completion(struct encoder *enc, const struct conversation *c, size_t max_tokens, struct ids *ids)
{
    size_t n = c->n_messages;
    if (n == 0)
        return error_plain(ERROR_DATA, "the conversation has no messages");
    if (c->messages[n - 1].role != CHAT_ASSISTANT)
        return error_plain(ERROR_DATA, "messages[%zu] is the last and has role '%s' where 'assistant' must be", n - 1,
                           role_name(c->messages[n - 1].role));
    return render(enc, c->messages, n - 1, max_tokens, true, ids, NULL);
}
