// tokenize.h - documents to tokens, on all cores, in the order of the documents.
//
// Every document is <|bos|> and then its text's ids.
//
//     e = tokenize_documents(&part, tokenizer, threads, show, self, &writer);
//
// Memory  four batches of some 1 MiB of text, their ids, and an encoder a thread, beside what the writer keeps. A document is cut
//         for this where that changes nothing, so that a long one is no more than that either, unless it has no such place
// Errors  those of the documents; ERROR_STOPPED between batches of documents
// Source  nanochat 2025-10-13, tokenizing_distributed_data_loader
#ifndef CORE_DATA_TOKENIZE_H
#define CORE_DATA_TOKENIZE_H

#include "core/data/documents.h"
#include "core/data/tokens.h"
#include "core/text/tokenizer.h"

// show (may be NULL) is told the documents done so far. threads <= 0: all that the process may use. What is written does not depend on
// their number.
struct error *CHECKED tokenize_documents(const struct document_part *part, const struct tokenizer *tokenizer, int threads,
                                         void (*show)(void *self, int64_t documents), void *self, struct token_writer *writer);

#endif
