// mirror_spare.c - one look, as the store looks before it replaces a file of its own.
#include "runner/graph/mirror_spare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/store/store.h"

const char *mirror_said(const struct error *e, const char *name)
{
    size_t n = strlen(name);
    bool begins = e->what[0] == '\'' && !strncmp(e->what + 1, name, n) && !strncmp(e->what + 1 + n, "' ", 2);
    return begins ? e->what + n + 3 : e->what;
}

static struct error *look(const char *path, const char *name)
{
    struct error *e = store_spare(path);
    if (!e || e->kind != ERROR_NOT_BUILT)
        return e;
    struct error *told = error_plain(ERROR_NOT_BUILT, "'%s' of the mirror %s", name, mirror_said(e, path));
    error_free(e);
    return told;
}

// It has a name, for HDF5 opens nothing else, beside what it would become; one that a killed process left goes with its stage's (gc).
static struct error *look_from_afar(struct remote *remote, const char *name, int64_t n, const char *results,
                                    const struct remote_watch *watch)
{
    struct arena scratch = {0};
    size_t stem = strlen(name) - strlen(".h5");
    const char *path = arena_printf(&scratch, "%s/%.*s.there-%d.tmp.h5", results, (int)stem, name, (int)getpid());
    struct error *e = path ? NULL : error_memory();
    if (!e && store_available(path) < (double)n) // false where that cannot be told
        e = error_system(ERROR_MACHINE, ENOSPC, "cannot bring '%s' of the mirror here, to look at it", name);
    int fd = e ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!e && fd < 0)
        e = error_system(ERROR_MACHINE, errno, "cannot create '%s'", path);
    if (!e)
        e = remote_get(remote, name, fd, n, watch);
    if (!e)
        e = look(path, name);
    if (fd >= 0)
        close(fd), unlink(path);
    arena_release(&scratch);
    return e;
}

struct error *mirror_spare(struct remote *remote, const char *name, int64_t n, const char *results,
                           const struct remote_watch *watch)
{
    struct arena scratch = {0};
    bool is_here;
    const char *path = remote_path(remote, name, &is_here, &scratch);
    struct error *e = !is_here ? look_from_afar(remote, name, n, results, watch) : path ? look(path, name) : error_memory();
    arena_release(&scratch);
    return e;
}
