// tokenizer_file.h - a tokenizer in a result file: the group /tokenizer of tokenizers and of every model made with one.
//
// Layout  /tokenizer/tokens u8, /tokenizer/offsets i64 [n+1] by id, /tokenizer/special text [n_special], /tokenizer/pattern text [1],
//         /tokenizer/token_bytes i32 [n]
// Counts  token_bytes say by which rule (tokenizer.h) bits per byte are counted: a tokenizer that was read counts as its file does
// Errors  ERROR_DATA for a damaged table (token_table.h), another split pattern than this version has, or counts by no known rule
#ifndef CORE_TEXT_TOKENIZER_FILE_H
#define CORE_TEXT_TOKENIZER_FILE_H

#include "core/store/store.h"
#include "core/text/tokenizer.h"

// Datasets that borrow from the tokenizer and the arena.
struct error *CHECKED tokenizer_sets(const struct tokenizer *tokenizer, struct arena *arena, const struct store_set **sets,
                                     int *n_sets);

struct error *CHECKED tokenizer_load(struct store_file *file, struct arena *arena, struct tokenizer **tokenizer);

#endif
