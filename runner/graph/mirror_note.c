// mirror_note.c - small files, through memory: what goes to a mirror goes through a descriptor.
#include "runner/graph/mirror_note.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "runner/graph/run_record.h"

enum { DIGITS_MOST = 20 };

const char *mirror_note_owner(const char *record, struct arena *arena)
{
    struct run run;
    struct error *e = run_read(&run, record, arena);
    bool good = !e && run.started && run.host;
    error_free(e);
    bool named = good && run.id && *run.id;
    return good ? arena_printf(arena, "# run %04d of %s since %s%s%s\n", run.number, run.host, run.started, named ? ", " : "",
                               named ? run.id : "")
                : NULL;
}

struct error *mirror_note_read(struct remote *remote, const char *name, char text[MIRROR_NOTE])
{
    struct arena scratch = {0};
    const char *note = arena_printf(&scratch, "%s.sha256", name);
    int fd = memfd_create("note", MFD_CLOEXEC);
    text[0] = '\0';
    struct error *e = !note ? error_memory() : fd < 0 ? error_system(ERROR_MACHINE, errno, "cannot make a file in memory") : NULL;
    if (!e)
        e = remote_get(remote, note, fd, MIRROR_NOTE - 1, NULL);
    if (e && e->kind == ERROR_DATA) {
        error_free(e);
        e = NULL;
    } else if (!e) {
        ssize_t n = pread(fd, text, MIRROR_NOTE - 1, 0);
        text[n > 0 ? n : 0] = '\0';
    }
    if (fd >= 0)
        close(fd);
    arena_release(&scratch);
    return e;
}

struct error *mirror_note_write(struct remote *remote, const char *name, const char *owner, const char *sha256)
{
    struct arena scratch = {0};
    char of_note[SHA256_HEX];
    const char *text = arena_printf(&scratch, "%s%s  %s\n", owner ? owner : "", sha256, strrchr(name, '/') + 1);
    const char *note = arena_printf(&scratch, "%s.sha256", name);
    int fd = memfd_create("note", MFD_CLOEXEC);
    struct error *e = !text || !note ? error_memory() : NULL;
    if (!e && (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)))
        e = error_system(ERROR_MACHINE, errno, "cannot make a file in memory");
    if (!e)
        e = sha256_bytes(text, strlen(text), of_note);
    if (!e)
        e = remote_put(remote, note, fd, (int64_t)strlen(text), of_note, NULL);
    if (fd >= 0)
        close(fd);
    arena_release(&scratch);
    return e;
}

const char *mirror_note_sha256(const char *note)
{
    while (*note == '#')
        note += strcspn(note, "\n") + (note[strcspn(note, "\n")] == '\n');
    return strlen(note) > SHA256_HEX - 1 ? note : NULL;
}

bool mirror_note_is_anothers(const char *note, const char *owner, char digits[MIRROR_NOTE_DIGITS])
{
    int n = 0;
    if (!owner || *note != '#' || !strncmp(note, owner, strlen(owner)))
        return false;
    const char *since = strstr(owner, " since "), *id = since ? strchr(since, ',') : NULL;
    for (const char *c = id ? id : since; c && *c && n < DIGITS_MOST; c++)
        if ((*c >= '0' && *c <= '9') || (id && *c >= 'a' && *c <= 'f'))
            digits[n++] = *c;
    digits[n] = '\0';
    return true;
}
