// chat_template.h - chat.h as a template in Jinja, the form in which `transformers` and servers of models are told it.
//
//     if (chat_template_fits(t)) json_str(&j, chat_template);
//
// Same ids   a conversation that chat.h takes, rendered by it and encoded by tokenizer_hf.h's tokenizer.json, is ids of chat_render; with
//            add_generation_prompt and no last answer, those of chat_render_for_completion. Two differences: nothing is cut to a length,
//            and the name of a special token inside a text becomes that token, since there the whole is encoded as one text
// Content    a string; an assistant's may be a list of {type: text|python|python_output, text: ...}. Roles as in chat.h, else an exception
#ifndef CORE_TEXT_CHAT_TEMPLATE_H
#define CORE_TEXT_CHAT_TEMPLATE_H

#include "core/text/tokenizer.h"

#include <stdbool.h>

extern const char *const chat_template;

// Whether the tokenizer has all special tokens of it.
bool chat_template_fits(const struct tokenizer *t);

#endif
