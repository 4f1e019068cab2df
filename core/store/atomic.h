// atomic.h - the only place that renames: readers see the old file or the new one, never half of one.
//
// Errors  ERROR_MACHINE with the path and the reason of the system
#ifndef CORE_STORE_ATOMIC_H
#define CORE_STORE_ATOMIC_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

// The folder that a path is in: "a/b" of "a/b/c", "/" of "/c", "." of "c"; in the arena. NULL: no memory.
const char *folder_of(struct arena *arena, const char *path);

// Makes the folder and those above it.
struct error *CHECKED folder_make(const char *path);

// fsync of the file, rename(from, to), fsync of the folder.
struct error *CHECKED atomic_publish(const char *from, const char *to);

// The same of a file that its writer has synced.
struct error *CHECKED atomic_rename(const char *from, const char *to);

// Writes a small file whole: to PATH.tmp, then publishes it.
struct error *CHECKED atomic_write(const char *path, const void *data, size_t n_bytes);

// The same of several pieces, one behind the other, which together may be as large as the disk.
struct atomic_piece {
    const void *data;
    size_t n_bytes;
};
struct error *CHECKED atomic_write_pieces(const char *path, const struct atomic_piece *pieces, int n);

// What one system call is asked for: it moves at most 2 GiB, and whole megabytes keep it aligned.
enum { LARGEST_TRANSFER = 1 << 30 };

// Writes all bytes to an open file, by pwrite; path: for messages.
struct error *CHECKED file_write(int fd, const char *path, const void *from, int64_t bytes, int64_t offset);

// Reads a small file whole, with a zero behind it; files above limit bytes are refused.
struct error *CHECKED file_read(const char *path, size_t limit, struct arena *arena, char **text, size_t *n_bytes);

bool file_exists(const char *path);

#endif
