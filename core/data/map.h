// map.h - a whole file as read-only memory.
//
// Errors  ERROR_DATA with the path and the reason of the system. A file that shrinks while it is mapped ends the process
//         (SIGBUS): input files are identified by size and time before they are read, and are not to be changed during a run
#ifndef CORE_DATA_MAP_H
#define CORE_DATA_MAP_H

#include "core/base/error.h"

#include <stdint.h>

struct map {
    const uint8_t *data; // NULL for an empty file
    size_t n_bytes;
};

struct error *CHECKED map_open(struct map *map, const char *path);
void map_close(struct map *map);

#endif
