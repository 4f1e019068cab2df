// arena.h - memory with a lifetime: allocate often, drop it whole.
//
// An arena is a chain of blocks; what is allocated in it lives until the arena is released or reset to a mark.
//
//     struct arena a = {0};                       // an empty arena needs no call
//     char *s = arena_strdup(&a, "text");         // NULL when memory runs out: return error_memory()
//     arena_release(&a);
//
// Alignment  64 bytes for arena_alloc of 64 bytes and more, else 16
// Contents   zeroed
// Errors     NULL on out of memory or on an overflowing size; nothing is printed
// Threads    one arena, one thread
//
// This file is the only home of malloc in the program (beside the device's own in kernels/): block_* are its bare blocks, for
// buffers whose life is a single call or that grow.
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include <stddef.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define CHECKED __attribute__((warn_unused_result))

struct arena_block;

struct arena {
    struct arena_block *last; // blocks, newest first

    size_t used_bytes; // sum of the sizes asked for
};

struct arena_mark {
    struct arena_block *block;

    size_t offset, used_bytes;
};

void *arena_alloc(struct arena *a, size_t bytes);
void *arena_array(struct arena *a, size_t n, size_t item_bytes);

// A copy of old (n_old items) with room for n_new; the old one stays where it is until the arena goes.
void *arena_grow(struct arena *a, const void *old, size_t n_old, size_t n_new, size_t item_bytes);

char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark mark);
void arena_release(struct arena *a);

// Bare blocks: owned by the caller, not zeroed, 64-byte aligned; from 4 MiB on in large pages, where the system has them, so that touching
// them first costs little. block_free(NULL) does nothing.
void *block_alloc(size_t bytes);
void *block_resize(void *block, size_t old_bytes, size_t new_bytes);
void block_free(void *block);

#endif
