// file_kind.h - what a file is that is read as something else, by its first bytes: for messages that say what to do.
//
//     const struct file_kind *kind = file_kind_of(data, n);      // NULL: it may be text
//     if (kind) ... "'%s' is %s, not text", path, kind->is; kind->fix
//
// Knows gzip, zstd, bzip2, xz, lz4, zip, parquet, Arrow, HDF5, SQLite, PDF, UTF-16, and what Git leaves in the place of a large file.
// Hardly any text begins like one of them: of UTF-8 only one with the very letters of bzip2, zip, lz4, parquet, PDF or Git LFS
#ifndef CORE_DATA_FILE_KIND_H
#define CORE_DATA_FILE_KIND_H

#include <stddef.h>
#include <stdint.h>

struct file_kind {
    const char *is, *fix;
};

const struct file_kind *file_kind_of(const uint8_t *first, size_t n);

#endif
