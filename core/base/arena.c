// arena.c - blocks of doubling size, newest first; a request larger than the next block gets one of its own.
#include "core/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20, ALIGN = 64, LARGE_PAGE = 2 << 20, LARGE_BLOCK = 2 * LARGE_PAGE };

struct arena_block {
    struct arena_block *prev;
    size_t capacity, used; // bytes behind the header
};

static size_t header_bytes(void)
{
    return (sizeof(struct arena_block) + ALIGN - 1) / ALIGN * ALIGN;
}

void *block_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t align = bytes < LARGE_BLOCK ? ALIGN : LARGE_PAGE, rounded = bytes ? (bytes + align - 1) / align * align : align;
    void *block = aligned_alloc(align, rounded);
#ifdef MADV_HUGEPAGE
    if (block && align == LARGE_PAGE) // fewer faults when it is touched first; asked for, and not always granted
        madvise(block, rounded, MADV_HUGEPAGE);
#endif
    return block;
}

void *block_resize(void *block, size_t old_bytes, size_t new_bytes)
{
    void *p = block_alloc(new_bytes);
    if (!p)
        return NULL;
    if (block)
        memcpy(p, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    block_free(block);
    return p;
}

void block_free(void *block)
{
    free(block);
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t align = bytes >= ALIGN ? ALIGN : 16;
    struct arena_block *b = a->last;
    size_t at = b ? (b->used + align - 1) / align * align : 0;
    if (!b || at > b->capacity || bytes > b->capacity - at) {
        if (bytes > SIZE_MAX / 4)
            return NULL;
        size_t capacity = b ? b->capacity * 2 : FIRST_BLOCK;
        if (capacity > LARGEST_BLOCK)
            capacity = LARGEST_BLOCK;
        if (capacity < bytes)
            capacity = bytes;
        struct arena_block *fresh = block_alloc(header_bytes() + capacity);
        if (!fresh)
            return NULL;
        fresh->prev = b;
        fresh->capacity = capacity;
        fresh->used = 0;
        a->last = b = fresh;
        at = 0;
    }
    void *p = (char *)b + header_bytes() + at;
    b->used = at + bytes;
    a->used_bytes += bytes;
    return memset(p, 0, bytes);
}

void *arena_array(struct arena *a, size_t n, size_t item_bytes)
{
    if (item_bytes && n > SIZE_MAX / item_bytes)
        return NULL;
    return arena_alloc(a, n * item_bytes);
}

void *arena_grow(struct arena *a, const void *old, size_t n_old, size_t n_new, size_t item_bytes)
{
    void *p = arena_array(a, n_new, item_bytes);
    if (p && old && n_old)
        memcpy(p, old, (n_old < n_new ? n_old : n_new) * item_bytes);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = n == SIZE_MAX ? NULL : arena_alloc(a, n + 1);
    if (p && n)
        memcpy(p, s, n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){.block = a->last, .offset = a->last ? a->last->used : 0, .used_bytes = a->used_bytes};
}

void arena_reset(struct arena *a, struct arena_mark mark)
{
    while (a->last != mark.block) {
        struct arena_block *prev = a->last->prev;
        block_free(a->last);
        a->last = prev;
    }
    if (a->last)
        a->last->used = mark.offset;
    a->used_bytes = mark.used_bytes;
}

void arena_release(struct arena *a)
{
    arena_reset(a, (struct arena_mark){0});
}
