// export.h - the files of an export, as those who make them hand them to export.c, which writes them.
#ifndef RUNNER_COMMANDS_EXPORT_H
#define RUNNER_COMMANDS_EXPORT_H

#include "core/text/buffer.h"
#include "runner/commands/load.h"

enum { EXPORT_FILES_MOST = 32 };

struct export_file {
    const char *name;
    const void *data; // n bytes; unless there is a function that writes them
    int64_t n;
    struct error *(*write)(void *self, const char *path, struct arena *arena, int64_t *n_bytes);
    void *self;
};

struct export
{
    const struct call *call;
    struct export_file files[EXPORT_FILES_MOST];
    int n_files;
    struct json json[4];                   // what files are made of
    struct bytes bytes[EXPORT_FILES_MOST]; // the same; of file i number i
    struct store_file *model;              // open until all is written, or NULL
};

void export_add(struct export *x, const char *name, const void *data, size_t n);

// The text of a JSON file, with a line end.
struct error *CHECKED export_json(struct export *x, const char *name, struct json *j);

// The tables of a run or of a result (export_tables.c) as csv, jsonl or tensorboard.
struct error *CHECKED export_tables(struct export *x, const char *what, const char *format);

// A model or a tokenizer (export_hf.c) for Hugging Face.
struct error *CHECKED export_hf(struct export *x, const char *what, bool tokenizer_alone);

#endif
