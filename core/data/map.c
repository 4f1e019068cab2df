// map.c - open, fstat, mmap; the descriptor is closed at once, the mapping keeps the file.
#include "core/data/map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct error *map_open(struct map *map, const char *path)
{
    *map = (struct map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_system(ERROR_DATA, errno, "cannot open '%s'", path);
    struct stat status;
    struct error *e = NULL;
    if (fstat(fd, &status) < 0)
        e = error_system(ERROR_DATA, errno, "cannot look at '%s'", path);
    else if (!S_ISREG(status.st_mode))
        e = error_plain(ERROR_DATA, "'%s' is not a file", path);
    if (!e && status.st_size > 0) {
        void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            e = error_system(ERROR_DATA, errno, "cannot map '%s'", path);
        else
            *map = (struct map){data, (size_t)status.st_size};
    }
    close(fd);
    return e;
}

void map_close(struct map *map)
{
    if (map->data)
        munmap((void *)map->data, map->n_bytes);
    *map = (struct map){0};
}
