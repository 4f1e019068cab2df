// map.h - a whole file as read-only memory.
//
// Errors  ERROR_DATA with the path and the reason of the system. Reading behind the end of a file that was cut short while it is
//         mapped, or where the disk fails, is a signal: core/base/lost.h ends the process with an error that names the file.
//         map_check says it before, as far as it can be known
#ifndef CORE_BASE_MAP_H
#define CORE_BASE_MAP_H

#include "core/base/error.h"

#include <stdint.h>

struct map {
    const uint8_t *data; // NULL for an empty file
    size_t n_bytes;
    int fd; // kept for map_check, where there is data
};

struct error *CHECKED map_open(struct map *map, const char *path);
// Whether the file is still as long as it was when it was opened.
struct error *CHECKED map_check(const struct map *map, const char *path);

void map_close(struct map *map);

#endif
