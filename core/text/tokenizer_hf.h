// tokenizer_hf.h - a tokenizer as tokenizer.json, the file of Hugging Face's `tokenizers`, and back.
//
//     e = tokenizer_to_hf(t, &j);                                  // json_text(&j) is the file
//     e = tokenizer_from_hf(&t, text, n, arena);
//
// Ids        what `tokenizers` makes of the file are the ids of tokenizer.h, for any valid text (tests/parity/test_exchange.py).
//            `tokenizers` merges pairs that it has been told of, in their order, and we any two whose bytes are a token, by its id:
//            so the file lists, token by token, every pair of tokens that make it up, and says ignore_merges (a piece that is a
//            token is that token)
// Layout     added_tokens: the special ones; pre_tokenizer: Split by SPLIT_PATTERN, then ByteLevel; decoder: ByteLevel; model: BPE. A
//            byte in a name is a letter of its own, as GPT-2 writes it: printable bytes themselves, the others U+0100 and on
// Reading    trusts nothing. Refused, by name: what is not BPE over bytes; another pattern; a normalizer, post-processor, dropout,
//            prefix, suffix, truncation or padding; ids that are there twice or leave gaps; special tokens that are not the last
//            ids, or take blanks with them; added tokens that are not special; merges of tokens that are not there, out of the
//            order of ids, or missing.
//            A file that lists one pair a token (as trained) is read too, where that is the one the ids come to (of tokens of up to
//            256 bytes); a text that its pairs and the ids would merge differently is then encoded by the ids
// Repeats    tokenizer_from_hf(tokenizer_to_hf(t)) has the bits of t
// Errors     ERROR_DATA; memory; stop. Writing refuses a vocabulary that the format cannot hold: a token that reads like a special one
#ifndef CORE_TEXT_TOKENIZER_HF_H
#define CORE_TEXT_TOKENIZER_HF_H

#include "core/base/json.h"
#include "core/text/tokenizer.h"

// Appends one object.
struct error *CHECKED tokenizer_to_hf(const struct tokenizer *t, struct json *j);

struct error *CHECKED tokenizer_from_hf(struct tokenizer **out, const char *text, size_t n, struct arena *arena);

#endif
