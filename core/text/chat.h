// chat.h - a conversation as token ids, with a mask that says which of them a model learns to say.
//
//     struct chat_part hi = {CHAT_TEXT, "hi", 2}, hello = {CHAT_TEXT, "hello", 5};
//     struct chat_message messages[] = {{CHAT_USER, &hi, 1}, {CHAT_ASSISTANT, &hello, 1}};
//     struct conversation c = {messages, 2};
//     e = chat_render(&enc, &c, CHAT_TOKENS_MAX, &ids, &mask);             // to train on
//     e = chat_render_for_completion(&enc, &c, CHAT_TOKENS_MAX, &ids);     // to be asked: without the last answer
//
// Tokens       bos; a user's turn is user_start, text, user_end; an assistant's is assistant_start, its parts, assistant_end.
//              A part python stands between python_start and python_end, python_output between output_start and output_end.
//              Each part is encoded on its own: no token reaches over a border. Names of special tokens in a text stay text
// Mask         1 for an assistant's text, its python with both borders, and assistant_end; 0 for all else
// System       a system message may come first, before a user's: both become one user's text with an empty line between
// Roles        then user, assistant, user, ...; the last may be either. The text of a system's or user's message is one part
//              CHAT_TEXT; an assistant's has any number of parts, also none. One that is a plain string is one part CHAT_TEXT
// Cut          to the first max_tokens; for completion assistant_start comes behind the cut, so max_tokens + 1 in all
// Ownership    everything is borrowed for the call; ids and mask are appended to, one byte of mask an id
// Errors       ERROR_DATA naming the message as messages[i], i from 0, or a special token that the tokenizer lacks; memory;
//              stop. Everything is checked, also what is cut. After an error ids and mask are as they were
// Source       the chat format of nanochat, 2025-10-13
#ifndef CORE_TEXT_CHAT_H
#define CORE_TEXT_CHAT_H

#include "core/text/tokenizer.h"

enum { CHAT_TOKENS_MAX = 2048 }; // the reference's max_tokens

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT, CHAT_ROLE_COUNT };
enum chat_part_kind { CHAT_TEXT, CHAT_PYTHON, CHAT_PYTHON_OUTPUT, CHAT_PART_KIND_COUNT };

struct chat_part {
    enum chat_part_kind kind;
    const char *text; // n bytes; may be NULL where n is 0
    size_t n;
};

struct chat_message {
    enum chat_role role;
    const struct chat_part *parts;
    size_t n_parts;
};

struct conversation {
    const struct chat_message *messages;
    size_t n_messages;
};

struct error *CHECKED chat_render(struct encoder *enc, const struct conversation *c, size_t max_tokens, struct ids *ids,
                                  struct bytes *mask);

// The conversation must end with an assistant's message; that one is left out, unread.
struct error *CHECKED chat_render_for_completion(struct encoder *enc, const struct conversation *c, size_t max_tokens,
                                                 struct ids *ids);

#endif
