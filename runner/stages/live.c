// live.c - one write a line with O_APPEND, so that a reader never sees two lines mixed; a cut last line does not parse and is
// passed over. The reader looks at the last part of the file only: a training of days writes many lines.
#include "runner/stages/live.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "core/base/clock.h"
#include "core/base/json.h"

enum { TAIL_BYTES = 256 * 1024, RESERVE_BYTES = 64 * 1024, SPARE_BYTES = 16 * 1024 };

static const double STEP_INTERVAL_S = 0.2;

struct live {
    int fd;
    double last_step_t; // when the last progress line was written, monotonic
    off_t n_written, n_reserved;
    struct json line; // its memory serves for one after the other
};

struct live_line live_line(const char *e)
{
    return (struct live_line){.e = e,
                              .step = -1,
                              .of = -1,
                              .loss = NAN,
                              .bpb = NAN,
                              .tok_s = NAN,
                              .mfu = NAN,
                              .eta_s = NAN,
                              .usd = NAN,
                              .redo_s = NAN,
                              .usd_per_hour = NAN};
}

static void put_number(struct json *j, const char *key, double value)
{
    if (isfinite(value)) {
        json_key(j, key);
        json_f64(j, value);
    }
}

static void put_count(struct json *j, const char *key, int64_t value)
{
    if (value >= 0) {
        json_key(j, key);
        json_i64(j, value);
    }
}

static void put_text(struct json *j, const char *key, const char *text)
{
    if (text) {
        json_key(j, key);
        json_str(j, text);
    }
}

static void take_number(const json_t *line, const char *key, double *to)
{
    const json_t *value = json_object_get(line, key);
    if (json_is_number(value))
        *to = json_number_value(value);
}

static void take_count(const json_t *line, const char *key, int64_t *to)
{
    const json_t *value = json_object_get(line, key);
    if (json_is_integer(value))
        *to = json_integer_value(value);
}

static bool take_text(const json_t *line, const char *key, const char **to, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(line, key));
    if (text && (!*to || strcmp(*to, text)))
        *to = arena_strdup(arena, text);
    return !text || *to;
}

// A later line counts over an earlier one, key by key.
static bool merge(struct live_line *last, const json_t *line, struct arena *arena)
{
    take_number(line, "t", &last->t);
    take_count(line, "step", &last->step);
    take_count(line, "of", &last->of);
    take_number(line, "loss", &last->loss);
    take_number(line, "bpb", &last->bpb);
    take_number(line, "tok_s", &last->tok_s);
    take_number(line, "mfu", &last->mfu);
    take_number(line, "eta_s", &last->eta_s);
    take_number(line, "usd", &last->usd);
    take_number(line, "redo_s", &last->redo_s);
    take_number(line, "usd_per_hour", &last->usd_per_hour);
    const char *e = json_string_value(json_object_get(line, "e"));
    if (e && !strcmp(e, "step")) // its text is of this step; what an event said before it is over
        last->text = NULL;
    if (e && !strcmp(e, "saved"))
        last->warning = NULL;
    if (!take_text(line, "e", &last->e, arena) || !take_text(line, "unit", &last->unit, arena) ||
        !take_text(line, "warning", &last->warning, arena))
        return false;
    return (e && !strcmp(e, "note")) || take_text(line, "text", &last->text, arena);
}

// The last TAIL_BYTES of the file, from the beginning of a line on; *n = 0 for a file that is not there.
static struct error *read_tail(const char *path, struct arena *arena, char **text, size_t *n)
{
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : error_system(ERROR_MACHINE, errno, "cannot open '%s'", path);
    struct stat s;
    struct error *e = NULL;
    off_t from = fstat(fd, &s) == 0 && s.st_size > TAIL_BYTES ? s.st_size - TAIL_BYTES : 0;
    if (!(*text = arena_alloc(arena, TAIL_BYTES + 1)))
        e = error_memory();
    while (!e && *n < TAIL_BYTES) {
        ssize_t got = pread(fd, *text + *n, TAIL_BYTES - *n, from + (off_t)*n);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        *n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    char *line = !e && from ? memchr(*text, '\n', *n) : NULL;
    if (line) {
        *n -= (size_t)(line + 1 - *text);
        *text = line + 1;
    }
    return e;
}

struct error *live_open(struct live **live, const char *path, struct arena *arena)
{
    struct live *fresh = arena_alloc(arena, sizeof *fresh);
    if (!fresh)
        return error_memory();
    fresh->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (fresh->fd < 0)
        return error_system(ERROR_MACHINE, errno, "cannot write '%s'", path);
    fresh->last_step_t = -STEP_INTERVAL_S;
    *live = fresh;
    return NULL;
}

// Room on the disk for the lines to come, so that the stage can still say that the disk is full; false where there is none left for
// ordinary ones. A file system that cannot reserve is written to as it is.
static bool reserve(struct live *live)
{
    if (live->n_written + SPARE_BYTES <= live->n_reserved)
        return true;
    if (fallocate(live->fd, FALLOC_FL_KEEP_SIZE, live->n_reserved, RESERVE_BYTES))
        return errno != ENOSPC && errno != EDQUOT;
    live->n_reserved += RESERVE_BYTES;
    return true;
}

void live_write(struct live *live, struct live_line line)
{
    if (!live || live->fd < 0)
        return;
    bool room = reserve(live);
    if (!strcmp(line.e, "step")) {
        if (!room)
            return;
        double now = clock_seconds();
        if (now - live->last_step_t < STEP_INTERVAL_S && line.step != line.of)
            return;
        live->last_step_t = now;
    }
    struct json *j = &live->line;
    json_clear(j);
    json_open(j, '{');
    json_key(j, "t"), json_f64(j, line.t > 0 ? line.t : clock_unix());
    json_key(j, "e"), json_str(j, line.e);
    put_count(j, "step", line.step);
    put_count(j, "of", line.of);
    put_text(j, "unit", line.unit);
    put_number(j, "loss", line.loss);
    put_number(j, "bpb", line.bpb);
    put_number(j, "tok_s", line.tok_s);
    put_number(j, "mfu", line.mfu);
    put_number(j, "eta_s", line.eta_s);
    put_number(j, "usd", line.usd);
    put_number(j, "redo_s", line.redo_s);
    put_number(j, "usd_per_hour", line.usd_per_hour);
    put_text(j, "text", line.text);
    put_text(j, "warning", line.warning);
    json_close(j, '}');
    if (json_text(j)) {
        j->text[j->n] = '\n'; // the terminator's place: the text is whole and goes out by its length
        ssize_t written = write(live->fd, j->text, j->n + 1);
        live->n_written += written > 0 ? written : 0; // never the only copy of anything: what fails is let go
    }
}

void live_close(struct live *live)
{
    if (live && live->fd >= 0) {
        close(live->fd);
        live->fd = -1;
        json_release(&live->line);
    }
}

struct error *live_read(const char *path, struct live_line *last, struct arena *arena)
{
    *last = live_line(NULL);
    char *text = NULL;
    size_t n = 0;
    struct arena scratch = {0};
    struct error *e = read_tail(path, &scratch, &text, &n);
    for (size_t at = 0; !e && at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        if (!end)
            break;
        size_t length = (size_t)(end - (text + at));
        json_t *line = json_loadb(text + at, length, 0, NULL);
        if (json_is_object(line) && !merge(last, line, arena))
            e = error_memory();
        json_decref(line);
        at += length + 1;
    }
    arena_release(&scratch);
    return e;
}
