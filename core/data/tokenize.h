// tokenize.h - documents to tokens, on all cores, in the order of the documents.
//
// Every document is <|bos|> and then its text's ids.
//
//     e = tokenize_open(&t, tokenizer, threads);
//     e = tokenize_documents(t, &part, show, self, &writer);       // any number of parts; what is written depends on the part alone
//     tokenize_close(t);
//
// Memory     sixteen batches of some 128 KiB of text, and one more for every thread, their ids, an encoder a thread, and pages
//            (page_blocks.h), beside what the writer keeps; they stay from part to part. A document is cut for this where that changes
//            nothing, so that a long one is no more than that either, unless it has no such place
// Ownership  the tokenizer stays the caller's
// Errors     those of the documents; ERROR_STOPPED between batches of documents. Another part may be read after any of them
// Threads    one call at a time; it has threads of its own
// Source     nanochat 2025-10-13, tokenizing_distributed_data_loader
#ifndef CORE_DATA_TOKENIZE_H
#define CORE_DATA_TOKENIZE_H

#include "core/data/documents.h"
#include "core/data/tokens.h"
#include "core/text/tokenizer.h"

struct tokenize;

// threads <= 0: all that the process may use. What is written does not depend on their number.
struct error *CHECKED tokenize_open(struct tokenize **out, const struct tokenizer *tokenizer, int threads);

// show (may be NULL) is told the documents done so far.
struct error *CHECKED tokenize_documents(struct tokenize *t, const struct document_part *part,
                                         void (*show)(void *self, int64_t documents), void *self, struct token_writer *writer);
void tokenize_close(struct tokenize *t); // NULL is fine

#endif
