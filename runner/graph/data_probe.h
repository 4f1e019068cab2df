// data_probe.h - how fast data is read here, or a world written, beside what bounds it on this machine.
//
//     e = data_probe(&figures, "shard_00000.parquet", arena);       // some seconds at most; the machine should have nothing else to do
//
// Files    .parquet (column text, or the first of one text a row), .jsonl (field text), .yaml (a world's documents, with all threads
//          too), .h5 (token files: rows of 2,048 inputs and targets), else plain text
// Bounds   adding up the bytes of the file, which is in memory by then, by one thread; of token files copying as many bytes as their rows
//          have; of a world nothing but the processor
// Tokens   of files of texts: what a token stage does but for writing, reading and encoding on all threads, beside encoding alone on as
//          many of what is in memory by then, with a vocabulary of PROBE_VOCAB learned from the beginning of the file
// Time     the shortest of a few tries: others who use the machine make it slower, never faster
// Errors   those of the readers; ERROR_STOPPED
#ifndef RUNNER_GRAPH_DATA_PROBE_H
#define RUNNER_GRAPH_DATA_PROBE_H

#include "core/base/error.h"

#include <stdint.h>

enum data_form { DATA_PARQUET, DATA_JSONL, DATA_TEXT, DATA_WORLD, DATA_TOKENS, DATA_FORM_COUNT };

struct data_figures {
    enum data_form form;
    const char *column;        // of parquet; in the arena
    int64_t documents;         // read; of token files all that are in it
    int64_t bytes, file_bytes; // of text, or of ids as the rows have them (4 a token, and 4 its target); of the file
    double seconds, bound_s;   // by one thread; the bound's, NaN: none
    double threads_s;          // of a world, by all threads; else NaN
    int threads;
    double had;                  // share of a processor that the thread had
    double tokenizing, encoding; // bytes/s by all threads; NaN: no file of texts, or one of too little or too much
};

const char *data_form_name(enum data_form form);

struct error *CHECKED data_probe(struct data_figures *figures, const char *path, struct arena *arena);

#endif
