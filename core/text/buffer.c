// buffer.c - blocks that grow by half; the fields change only when the new block is there.
#include "core/text/buffer.h"

#include <string.h>

// The block of *capacity items of item_bytes with room for n + more, or NULL.
static void *grown(void *block, size_t n, size_t *capacity, size_t more, size_t item_bytes)
{
    if (more > SIZE_MAX / 4 / item_bytes - n)
        return NULL;
    size_t wanted = n + more, next = *capacity + *capacity / 2;
    if (next < wanted)
        next = wanted;
    if (next < 64)
        next = 64;
    void *p = block_resize(block, n * item_bytes, next * item_bytes);
    if (p)
        *capacity = next;
    return p;
}

struct error *ids_reserve(struct ids *b, size_t n)
{
    if (n <= b->capacity - b->n)
        return NULL;
    int32_t *p = grown(b->id, b->n, &b->capacity, n, sizeof *p);
    if (!p)
        return error_memory();
    b->id = p;
    return NULL;
}

struct error *bytes_reserve(struct bytes *b, size_t n)
{
    if (n <= b->capacity - b->n)
        return NULL;
    uint8_t *p = grown(b->byte, b->n, &b->capacity, n, sizeof *p);
    if (!p)
        return error_memory();
    b->byte = p;
    return NULL;
}

struct error *ids_push(struct ids *b, int32_t id)
{
    struct error *e = ids_reserve(b, 1);
    if (!e)
        b->id[b->n++] = id;
    return e;
}

struct error *ids_append(struct ids *b, const int32_t *id, size_t n)
{
    struct error *e = ids_reserve(b, n);
    if (!e && n) {
        memcpy(b->id + b->n, id, n * sizeof *id);
        b->n += n;
    }
    return e;
}

struct error *bytes_append(struct bytes *b, const void *data, size_t n)
{
    struct error *e = bytes_reserve(b, n);
    if (!e && n) {
        memcpy(b->byte + b->n, data, n);
        b->n += n;
    }
    return e;
}

void ids_release(struct ids *b)
{
    block_free(b->id);
    *b = (struct ids){0};
}

void bytes_release(struct bytes *b)
{
    block_free(b->byte);
    *b = (struct bytes){0};
}
