// tokens.h - token files: the ids of many documents one after the other, and several such files seen as one flat stream.
//
// Writing:
//     struct token_writer w = {.n_vocab = 65536};
//     e = token_writer_add(&w, ids, n);                          // one document, its BOS first; any number of times
//     e = token_writer_extend(&w, ids, n);                       // more tokens of the same document
//     e = token_writer_save(&w, "results/store/tokens-3f9a.h5", attributes, n_attributes);
//     token_writer_clear(&w);                                    // for the next file, in the same memory
//     token_writer_release(&w);
// Reading:
//     struct token_list list;
//     e = token_list_open(&list, paths, n_paths, arena);
//     e = token_list_read(&list, first, n, out);                 // ids first .. first+n-1 of the stream, across files
//     token_list_close(&list);
//
// Layout     /tokens u16 [n], or u32 where n_vocab > 65,536; /documents i64 [d+1]: document i is tokens documents[i] ..
//            documents[i+1]-1. Attributes of "/" written here: n, d, n_vocab; the caller adds what made it (kind, key, tokenizer,
//            identity, form, column)
// Size       a writer holds the whole file in memory, 2 or 4 bytes a token
// Ownership  a writer owns its buffers; a list maps its files, which use no descriptors, until token_list_close
// Errors     ERROR_DATA for a file that is damaged or not a token file, for files of different vocabularies, and for an id outside
//            the vocabulary (when it is read)
// Threads    an open list is immutable: any thread may read
#ifndef CORE_DATA_TOKENS_H
#define CORE_DATA_TOKENS_H

#include "core/store/queue.h"

struct token_writer {
    int64_t n_vocab; // set by the caller

    void **pieces; // u16 or u32, STORE_PIECE bytes each: none is ever moved
    int64_t n_pieces, pieces_capacity;
    int64_t n;          // tokens
    int64_t *documents; // start of each
    int64_t n_documents, document_capacity;
};

struct error *CHECKED token_writer_add(struct token_writer *w, const int32_t *ids, int64_t n);
struct error *CHECKED token_writer_extend(struct token_writer *w, const int32_t *ids, int64_t n);
struct error *CHECKED token_writer_save(struct token_writer *w, const char *path, const struct store_attribute *attributes,
                                        int n_attributes);

// The same through a queue (core/store/queue.h): the file may get its name later.
struct error *CHECKED token_writer_queue(struct token_writer *w, struct store_queue *queue, const char *path,
                                         const struct store_attribute *attributes, int n_attributes);

double token_writer_bytes(const struct token_writer *w); // that the file's datasets come to

void token_writer_clear(struct token_writer *w);
void token_writer_release(struct token_writer *w);

// The dataset of the tokens, for who saves them in a file of another layout; borrowed.
struct store_set token_writer_set(const struct token_writer *w);

struct token_file {
    const char *path;
    struct store_file *file; // detached: its mapping alone
    const uint16_t *ids_u16; // one of the two
    const uint32_t *ids_u32;
    const int64_t *documents; // [n_documents + 1]
    int64_t n, n_documents, n_vocab;
    int64_t first, first_document; // of this file in the stream
};

struct token_list {
    struct token_file *files;
    int n_files;
    int64_t n, n_documents, n_vocab; // of all
};

struct error *CHECKED token_list_open(struct token_list *list, const char *const *paths, int n_paths, struct arena *arena);
struct error *CHECKED token_list_read(const struct token_list *list, int64_t first, int64_t n, int32_t *out);
void token_list_close(struct token_list *list);

#endif
