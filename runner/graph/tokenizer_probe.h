// tokenizer_probe.h - how fast texts are split, learned from and encoded here, beside what bounds it on this machine.
//
//     struct probe_text text = {0};
//     e = probe_text_file(&text, "shard.parquet", 80000000);       // or probe_text_make: made-up words
//     e = tokenizer_probe(&figures, &text, 32768, threads);        // some seconds; the machine should have nothing else to do
//     probe_text_release(&text);
//
// Text     documents one after the other in memory, none longer than PROBE_DOC_CAP characters: longer ones are cut into several.
//          Files are .parquet (column text), .jsonl (field text), or plain text
// Time     of each part the shortest of a few tries: others who use the machine make it slower, never faster
// Errors   those of the documents and of training; ERROR_STOPPED
#ifndef RUNNER_GRAPH_TOKENIZER_PROBE_H
#define RUNNER_GRAPH_TOKENIZER_PROBE_H

#include "core/data/documents.h"
#include "core/text/bpe_train.h"
#include "core/text/tokenizer.h"

enum { PROBE_DOC_CAP = 10000, PROBE_VOCAB = 32768, PROBE_BYTES = 80000000 };

struct probe_text {
    struct bytes bytes;
    size_t *ends; // where the documents end
    size_t n, capacity;
};

// Append until there are `most` bytes or more.
struct error *CHECKED probe_text_file(struct probe_text *text, const char *path, size_t most);
struct error *CHECKED probe_text_part(struct probe_text *text, const struct document_part *part, size_t most);

// Made-up words with the frequencies of a language: always the same text.
struct error *CHECKED probe_text_make(struct probe_text *text, size_t most);
void probe_text_release(struct probe_text *text);

struct tokenizer_figures {
    struct bpe_totals totals;
    int threads, n_merges;
    int64_t tokens;                    // of the text, once encoded
    double reading;                    // bytes/s that memory gives to all threads
    double miss_s;                     // a read from memory whose place depends on the read before
    double split_s, count_s, merge_s;  // of the whole text: splitting by one thread, counting by all
    double encode_s, encode_threads_s; // by one thread, and by all
    double had;                        // share of the processor that counting had
};

// A tokenizer of that vocabulary, learned from the text; in the arena.
struct error *CHECKED probe_learn(struct tokenizer **tokenizer, const struct probe_text *text, int vocab, int threads,
                                  struct arena *arena);

// Encodes the text; *seconds becomes what that took where it is less.
struct error *CHECKED probe_encode(const struct tokenizer *tokenizer, const struct probe_text *text, int threads, int64_t *tokens,
                                   double *seconds);

struct error *CHECKED tokenizer_probe(struct tokenizer_figures *out, const struct probe_text *text, int vocab, int threads);

#endif
