// spill.c - O_TMPFILE where the file system has it, else a file that loses its name at once.
#include "core/store/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/store/atomic.h"

enum { GATHERED = 256 << 10 };

static struct error *failed(const char *what)
{
    return error_system(ERROR_MACHINE, errno, "cannot %s a file for what is being made", what);
}

struct error *spill_open(struct spill *s, const char *path)
{
    struct arena arena = {0};
    const char *folder = folder_of(&arena, path);
    char *named = folder ? arena_printf(&arena, "%s/.spill-XXXXXX", folder) : NULL;
    *s = (struct spill){.fd = -1, .gathered = named ? block_alloc(GATHERED) : NULL};
    struct error *e = s->gathered ? NULL : error_memory();
    if (!e)
        s->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (!e && s->fd < 0 && (s->fd = mkostemp(named, O_CLOEXEC)) >= 0)
        unlink(named);
    if (!e && s->fd < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot make a file in '%s/'", folder);
    arena_release(&arena);
    if (e)
        spill_close(s);
    return e;
}

static struct error *write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return failed("write");
        data += done;
        n -= (size_t)done;
    }
    return NULL;
}

static struct error *flush(struct spill *s)
{
    struct error *e = write_all(s->fd, s->gathered, s->n_gathered);
    s->n_gathered = 0;
    return e;
}

struct error *spill_append(struct spill *s, const void *data, size_t n_bytes)
{
    struct error *e = NULL;
    if (n_bytes > GATHERED - s->n_gathered)
        e = flush(s);
    if (!e && n_bytes > GATHERED)
        e = write_all(s->fd, data, n_bytes);
    else if (!e && n_bytes) {
        memcpy(s->gathered + s->n_gathered, data, n_bytes);
        s->n_gathered += n_bytes;
    }
    s->n_bytes += (int64_t)n_bytes;
    return e;
}

struct error *spill_map(struct spill *s, const void **data)
{
    struct error *e = flush(s);
    *data = NULL;
    if (e || !s->n_bytes)
        return e;
    s->map = mmap(NULL, (size_t)s->n_bytes, PROT_READ, MAP_SHARED, s->fd, 0);
    if (s->map == MAP_FAILED) {
        s->map = NULL;
        return failed("map");
    }
    *data = s->map;
    return NULL;
}

void spill_close(struct spill *s)
{
    if (s->map)
        munmap(s->map, (size_t)s->n_bytes);
    if (s->gathered && s->fd >= 0)
        close(s->fd);
    block_free(s->gathered);
    *s = (struct spill){0};
}
