// buffer.h - two buffers that grow: token ids and bytes.
//
//     struct ids ids = {0};                            // an empty buffer needs no call
//     if ((e = ids_push(&ids, bos))) ...
//     ids.n = 0;                                       // empties it and keeps the memory
//     ids_release(&ids);
//
// Ownership  a buffer owns its block; release it
// Errors     memory only; the buffer is then as it was
#ifndef CORE_TEXT_BUFFER_H
#define CORE_TEXT_BUFFER_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct ids {
    int32_t *id;
    size_t n, capacity;
};

struct bytes {
    uint8_t *byte;
    size_t n, capacity;
};

// Makes room for n more than there are; a loop may then write them without asking.
struct error *CHECKED ids_reserve(struct ids *b, size_t n);
struct error *CHECKED bytes_reserve(struct bytes *b, size_t n);

struct error *CHECKED ids_push(struct ids *b, int32_t id);
struct error *CHECKED ids_append(struct ids *b, const int32_t *id, size_t n);
struct error *CHECKED bytes_append(struct bytes *b, const void *data, size_t n);

void ids_release(struct ids *b);
void bytes_release(struct bytes *b);

#endif
