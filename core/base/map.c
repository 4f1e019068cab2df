// map.c - open, fstat, mmap.
#include "core/base/map.h"

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
            *map = (struct map){data, (size_t)status.st_size, fd};
    }
    if (!map->data)
        close(fd);
    return e;
}

struct error *map_check(const struct map *map, const char *path)
{
    struct stat status;
    if (!map->data)
        return NULL;
    if (fstat(map->fd, &status) < 0)
        return error_system(ERROR_DATA, errno, "cannot look at '%s'", path);
    if ((uint64_t)status.st_size >= map->n_bytes)
        return NULL;
    return error_new(ERROR_DATA, NOWHERE, "leave input files alone while they are read; fetch it again",
                     "'%s' was cut short while it was read: to %lld bytes of %zu", path, (long long)status.st_size, map->n_bytes);
}

void map_close(struct map *map)
{
    if (map->data) {
        munmap((void *)map->data, map->n_bytes);
        close(map->fd);
    }
    *map = (struct map){0};
}
