// fetch_part.c - PATH.part and PATH.part.etag. The note has three lines: etag, date of modification, bytes of the whole (-1: not known).
#include "core/data/fetch_inside.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/store/atomic.h"

enum { MOST_NOTE = 1024, LOOKED_AT = 64 };

static const double SETTLED_S = 10;

static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void copy_line(char *to, size_t n_to, const char **from)
{
    size_t n = strcspn(*from, "\n");
    snprintf(to, n_to, "%.*s", (int)n, *from);
    *from += n + ((*from)[n] == '\n');
}

// A note that is damaged or not there is none: then nothing is known of the part.
static int64_t read_note(struct transfer *t)
{
    char text[MOST_NOTE + 1], bytes[32];
    const char *from = text;
    t->etag[0] = t->modified[0] = text[0] = '\0';
    int fd = open(t->note, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, MOST_NOTE) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    if (strlen(text) != (size_t)n)
        return -1;
    copy_line(t->etag, sizeof t->etag, &from);
    copy_line(t->modified, sizeof t->modified, &from);
    copy_line(bytes, sizeof bytes, &from);
    char *end;
    errno = 0;
    long long whole = strtoll(bytes, &end, 10);
    return *bytes && !*end && !errno && whole >= 0 && whole <= FETCH_MOST_BYTES ? whole : -1;
}

static struct error *write_note(const struct transfer *t)
{
    char text[MOST_NOTE];
    int n = snprintf(text, sizeof text, "%s\n%s\n%lld\n", t->etag, t->modified, (long long)t->file->bytes);
    int fd = open(t->note, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    errno = fd < 0 ? errno : 0; // a short write leaves it
    struct error *e = fd < 0 || write(fd, text, (size_t)n) != n
                          ? error_system(ERROR_MACHINE, errno ? errno : ENOSPC, "cannot write '%s'", t->note)
                          : NULL;
    if (fd >= 0)
        close(fd);
    return e;
}

struct error *part_open(struct transfer *t, bool *held)
{
    struct stat st;
    const char *folder = folder_of(t->arena, t->part);
    struct error *e = folder ? folder_make(folder) : error_memory();
    *held = false;
    if (e)
        return e;
    int fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return error_system(ERROR_MACHINE, errno, "cannot open '%s'", t->part);
    if (flock(fd, LOCK_EX | LOCK_NB) && errno != EWOULDBLOCK && errno != EINTR)
        e = error_new(ERROR_MACHINE, NOWHERE, "keep results on a file system with working locks, a local one: --results FOLDER",
                      "cannot lock '%s': %s", t->part, strerror(errno));
    else if (flock(fd, LOCK_EX | LOCK_NB) == 0 && same_file(fd, t->part) && !fstat(fd, &st))
        *held = true;
    if (!*held) {
        close(fd);
        return e;
    }
    t->fd = fd;
    t->at = st.st_size;
    int64_t whole = read_note(t);
    if (!t->file->pinned_bytes && t->at > 0) // what the part is of, not what the address may hold by now
        t->file->bytes = whole;
    // Nothing can be told of a part without a note, unless its hash is known.
    bool known = t->etag[0] || t->modified[0] || t->file->sha256;
    if (!known || (t->file->bytes >= 0 && t->at > t->file->bytes))
        e = part_restart(t);
    t->file->have = t->at;
    t->mixed = t->at > 0;
    return e;
}

struct error *part_restart(struct transfer *t)
{
    t->at = t->file->have = 0;
    t->mixed = false;
    t->etag[0] = t->modified[0] = '\0';
    unlink(t->note);
    return ftruncate(t->fd, 0) ? error_system(ERROR_MACHINE, errno, "cannot write '%s'", t->part) : NULL;
}

struct error *part_prepare(struct transfer *t)
{
    int64_t bytes = t->file->bytes;
    if (bytes > t->at && fallocate(t->fd, FALLOC_FL_KEEP_SIZE, t->at, bytes - t->at) && (errno == ENOSPC || errno == EFBIG))
        return error_system(ERROR_MACHINE, errno, "no room for the %lld bytes of '%s'", (long long)bytes, t->part);
    return write_note(t);
}

struct error *part_write(struct transfer *t, const char *data, size_t n)
{
    while (n) {
        ssize_t done = pwrite(t->fd, data, n, t->at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return error_system(ERROR_MACHINE, done < 0 ? errno : EIO, "cannot write '%s'", t->part);
        data += done;
        n -= (size_t)done;
        t->at += done;
        t->file->have = t->at;
        t->file->got += done;
    }
    return NULL;
}

struct error *part_changed(const struct transfer *t, const char *has, const char *should)
{
    const struct fetch_file *f = t->file;
    char fix[2 * MOST_NOTE];
    snprintf(fix, sizeof fix, "to take what the address holds now, delete this line; or put the file as it was at '%.1000s'",
             f->path);
    return error_new(ERROR_DATA, f->pinned_at, fix, "'%s' is not what it was: it has %s, not %s", f->url, has, should);
}

// The first bytes as a person can read them.
static const char *beginning(const char *data, size_t n, char text[LOOKED_AT])
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < 24; i++)
        text[k++] = (char)(isprint((unsigned char)data[i]) ? data[i] : '.');
    text[k] = '\0';
    return text;
}

// What can be told of a form by its ends: reading all of it is left to its readers.
static struct error *check_form(const struct transfer *t)
{
    static const char fix[] = "open the address in a browser: it may want a login, or be another file";
    const struct fetch_file *f = t->file;
    char head[LOOKED_AT] = {0}, tail[4] = {0}, text[LOOKED_AT];
    ssize_t n = pread(t->fd, head, sizeof head, 0), n_tail = t->at >= 12 ? pread(t->fd, tail, 4, t->at - 4) : 0;
    if (n < 0 || n_tail < 0)
        return error_system(ERROR_MACHINE, errno, "cannot read '%s'", t->part);
    if (n == 0)
        return error_new(ERROR_DATA, NOWHERE, fix, "'%s' is empty", f->url);
    size_t blank = strspn(head, " \t\r\n\xef\xbb\xbf");
    if (f->form == DOCUMENT_PARQUET && (t->at < 12 || memcmp(head, "PAR1", 4)))
        return error_new(ERROR_DATA, NOWHERE, fix, "'%s' is no parquet file: it begins with '%s'", f->url,
                         beginning(head, (size_t)n, text));
    if (f->form == DOCUMENT_PARQUET && memcmp(tail, "PAR1", 4))
        return error_new(ERROR_DATA, NOWHERE, fix, "'%s' is no whole parquet file: its last bytes are missing", f->url);
    if (f->form == DOCUMENT_JSONL && (ssize_t)blank < n && head[blank] != '{' && head[blank] != '[')
        return error_new(ERROR_DATA, NOWHERE, fix, "'%s' is no JSON lines file: it begins with '%s'", f->url,
                         beginning(head, (size_t)n, text));
    return NULL;
}

struct error *part_verify(struct transfer *t)
{
    struct fetch_file *f = t->file;
    char has[64], should[64];
    struct error *e = sha256_file(t->part, f->found);
    if (e)
        return e;
    if (f->pinned_bytes && t->at != f->bytes) {
        snprintf(has, sizeof has, "%lld bytes", (long long)t->at);
        snprintf(should, sizeof should, "%lld", (long long)f->bytes);
        return part_changed(t, has, should);
    }
    if (f->sha256 && strcmp(f->sha256, f->found)) {
        snprintf(has, sizeof has, "SHA-256 %.16s...", f->found);
        snprintf(should, sizeof should, "%.16s...", f->sha256);
        return part_changed(t, has, should);
    }
    if ((e = check_form(t)))
        return e;
    // A time that is past, so that every later change shows in it, and its hash may be remembered (core/store/identity.h).
    double then = clock_unix() - SETTLED_S;
    struct timespec times[2] = {{.tv_sec = (time_t)then}, {.tv_sec = (time_t)then}};
    (void)!futimens(t->fd, times);
    f->bytes = t->at;
    snprintf(f->etag, sizeof f->etag, "%s", t->etag);
    return NULL;
}

void part_close(struct transfer *t)
{
    struct stat st;
    if (t->fd < 0)
        return;
    if (!fstat(t->fd, &st) && st.st_size == 0 && same_file(t->fd, t->part)) {
        unlink(t->note);
        unlink(t->part);
    }
    close(t->fd);
    t->fd = -1;
}
