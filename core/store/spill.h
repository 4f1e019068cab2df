// spill.h - an array that grows on the disk: for what is made item by item, is needed whole once, and may be larger than memory.
//
//     struct spill s;
//     e = spill_open(&s, "results/store/rows-3f9a.h5");     // a file without a name in that folder: it is gone with the process
//     e = spill_append(&s, items, n_bytes);
//     e = spill_map(&s, &data);                             // all s.n_bytes of it, until spill_close; nothing is appended any more
//     spill_close(&s);
//
// Memory  what gathers before it is written, 256 KiB; what is mapped the system can drop
// Errors  ERROR_MACHINE for a full or failing disk
#ifndef CORE_STORE_SPILL_H
#define CORE_STORE_SPILL_H

#include "core/base/error.h"

#include <stdint.h>

struct spill {
    int fd;
    char *gathered; // NULL: closed
    size_t n_gathered;
    int64_t n_bytes; // appended
    void *map;
};

// path: of any file in the folder, for which the messages are.
struct error *CHECKED spill_open(struct spill *s, const char *path);
struct error *CHECKED spill_append(struct spill *s, const void *data, size_t n_bytes);
struct error *CHECKED spill_map(struct spill *s, const void **data);
void spill_close(struct spill *s); // {0} is fine

#endif
