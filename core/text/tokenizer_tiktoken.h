// tokenizer_tiktoken.h - a tokenizer as the two things that tiktoken is given, and back.
//
//     e = tokenizer_to_tiktoken(t, &ranks, &settings);
//     e = tokenizer_from_tiktoken(&t, ranks, n, settings, n_settings, arena);          // settings NULL: none
//
// Ranks      a line a token that is not special, in the order of ids: its bytes in base64, a blank, its id
// Settings   JSON with the names of tiktoken.Encoding's arguments: name, pat_str, special_tokens {name: id}, explicit_n_vocab
//
//     ranks = tiktoken.load.load_tiktoken_bpe("ranks.tiktoken")
//     enc = tiktoken.Encoding(mergeable_ranks=ranks, **json.load(open("settings.json")))
//
// Reading    trusts nothing: a line for each rank from 0 on, in order, base64 as it is written; the first 256 are the bytes. Ranks
//            alone say neither pattern nor special tokens: they are taken to be of SPLIT_PATTERN, and token_specials follow them.
//            Settings must have this pattern, and special tokens that follow the ranks
// Repeats    from_tiktoken(to_tiktoken(t)) has the bits of t
// Errors     ERROR_DATA with the line; memory; stop
#ifndef CORE_TEXT_TOKENIZER_TIKTOKEN_H
#define CORE_TEXT_TOKENIZER_TIKTOKEN_H

#include "core/base/json.h"
#include "core/text/tokenizer.h"

// Appends the lines, and one object.
struct error *CHECKED tokenizer_to_tiktoken(const struct tokenizer *t, struct bytes *ranks, struct json *settings);

struct error *CHECKED tokenizer_from_tiktoken(struct tokenizer **out, const char *ranks, size_t n_ranks, const char *settings,
                                              size_t n_settings, struct arena *arena);

#endif
