// chat_template.c - every tag eats the blanks around it, so that nothing but the conversation is written.
#include "core/text/chat_template.h"

const char *const chat_template =
    "{%- if not messages -%}{{- raise_exception('the conversation has no messages') -}}{%- endif -%}"
    "{%- set system = '' -%}"
    "{%- set rest = messages -%}"
    "{%- if messages[0]['role'] == 'system' -%}"
    "{%- set system = messages[0]['content'] + '\\n\\n' -%}"
    "{%- set rest = messages[1:] -%}"
    "{%- if not rest -%}{{- raise_exception('no message of role user follows that of the system') -}}{%- endif -%}"
    "{%- endif -%}"
    "{{- '<|bos|>' -}}"
    "{%- for message in rest -%}"
    "{%- if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') -%}"
    "{{- raise_exception('after a system message, roles are user, assistant, user, ...') -}}"
    "{%- endif -%}"
    "{%- if message['role'] == 'user' -%}"
    "{{- '<|user_start|>' + (system if loop.first else '') + message['content'] + '<|user_end|>' -}}"
    "{%- elif message['content'] is string -%}"
    "{{- '<|assistant_start|>' + message['content'] + '<|assistant_end|>' -}}"
    "{%- else -%}"
    "{{- '<|assistant_start|>' -}}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}"
    "{{- part['text'] -}}"
    "{%- elif part['type'] == 'python' -%}"
    "{{- '<|python_start|>' + part['text'] + '<|python_end|>' -}}"
    "{%- elif part['type'] == 'python_output' -%}"
    "{{- '<|output_start|>' + part['text'] + '<|output_end|>' -}}"
    "{%- else -%}"
    "{{- raise_exception('a part is none of text, python, python_output') -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{{- '<|assistant_end|>' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant_start|>' -}}{%- endif -%}";

bool chat_template_fits(const struct tokenizer *t)
{
    bool fits = true;
    for (int i = 0; i < TOKEN_SPECIALS; i++)
        fits = fits && tokenizer_special(t, token_specials[i]) >= 0;
    return fits;
}
