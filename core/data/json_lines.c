// json_lines.c - a buffer slides over the file; a line that fills it doubles it.
//
// A value costs memory, also one that takes two bytes in the file, so the values of long lines are counted first. What is no JSON is
// given to jansson, which says what is wrong with it.
#include "core/data/json_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/stop.h"
#include "core/data/file_kind.h"

enum { LINE_MOST = 64 << 20, VALUES_MOST = 1 << 20, READ_BYTES = 1 << 20, POLL = 1 << 12 };

struct json_lines {
    char *path;
    struct arena arena;
    int fd;
    char *buffer;
    size_t capacity, at, n; // buffer[at..n) is not yet used
    bool ended, broken;
    int64_t line;
    uint64_t n_polled;
    struct json_tape tape; // of the line given last
};

static bool poll_stop(struct json_lines *l)
{
    return l->n_polled++ % POLL == 0 && stop_requested();
}

struct place json_lines_place(const struct json_lines *l)
{
    return (struct place){.file = l->path, .line = l->line < INT32_MAX ? (int)l->line : 0};
}

static struct error *too_long(struct json_lines *l)
{
    l->broken = true;
    return error_new(ERROR_DATA, json_lines_place(l), "one object a line", "a line of more than %d bytes", LINE_MOST);
}

// The next line without its end; *line NULL: no more.
static struct error *read_line(struct json_lines *l, char **line, size_t *n_line)
{
    size_t searched = 0;
    *line = NULL;
    for (;;) {
        char *start = l->buffer + l->at, *newline = memchr(start + searched, '\n', l->n - l->at - searched);
        if (newline || (l->ended && l->at < l->n)) {
            *line = start;
            *n_line = newline ? (size_t)(newline - start) : l->n - l->at;
            l->at += *n_line + (newline != NULL);
            l->line++;
            return *n_line > LINE_MOST ? too_long(l) : NULL; // several were read at once
        }
        if (l->ended)
            return NULL;
        if (stop_requested())
            return error_stopped();
        searched = l->n - l->at;
        if (searched > LINE_MOST) {
            l->line++;
            return too_long(l);
        }
        // Make room: what is left goes to the front; a line that fills the buffer doubles it.
        memmove(l->buffer, start, searched);
        l->at = 0;
        l->n = searched;
        if (l->capacity - l->n < READ_BYTES) {
            char *larger = block_resize(l->buffer, l->n, l->capacity * 2);
            if (!larger)
                return error_memory();
            l->buffer = larger;
            l->capacity *= 2;
        }
        ssize_t got = read(l->fd, l->buffer + l->n, l->capacity - l->n);
        l->broken = got < 0 && errno != EINTR;
        if (l->broken)
            return error_system(ERROR_DATA, errno, "cannot read '%s'", l->path);
        l->ended = got == 0;
        l->n += got > 0 ? (size_t)got : 0;
    }
}

// Whether a line may have more values than are read: each but the first stands behind one of these signs.
static bool too_many_values(const char *line, size_t n)
{
    size_t n_values = 1;
    bool in_text = false;
    for (size_t i = 0; n > VALUES_MOST && i < n; i++) {
        if (in_text && line[i] == '\\')
            i++;
        else if (line[i] == '"')
            in_text = !in_text;
        else if (!in_text)
            n_values += line[i] == ',' || line[i] == '[' || line[i] == '{';
    }
    return n_values > VALUES_MOST;
}

// Of a first line that is no JSON what the file is instead, where that shows; NULL: it does not.
static struct error *other_kind(struct json_lines *l, const char *line, size_t n)
{
    struct place at = json_lines_place(l);
    const struct file_kind *kind = file_kind_of((const uint8_t *)line, n);
    while (n > 0 && strchr(" \t\r", line[n - 1]))
        n--;
    bool goes_on = n == 1 && (*line == '[' || *line == '{');
    if (l->line > 1 || (!kind && !goes_on))
        return NULL;
    l->broken = true; // no line behind it is one
    if (kind)
        return error_new(ERROR_DATA, at, kind->fix, "the file is %s, not JSON lines", kind->is);
    return error_new(ERROR_DATA, at, *line == '[' ? "write an object a line: jq -c '.[]'" : "write an object a line: jq -c .",
                     "the file is JSON over several lines, not a value a line");
}

static struct error *no_json(struct json_lines *l, const char *line, size_t n)
{
    struct place at = json_lines_place(l);
    struct error *other = other_kind(l, line, n);
    if (other)
        return other;
    json_error_t problem = {.column = 0};
    json_t *value = json_loadb(line, n, JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &problem);
    if (value) { // what it takes for the end
        problem.column = 0;
        snprintf(problem.text, sizeof problem.text, "a zero byte");
    }
    bool no_memory = !value && json_error_code(&problem) == json_error_out_of_memory;
    json_decref(value);
    if (no_memory)
        return error_memory();
    at.column = problem.column;
    return error_new(ERROR_DATA, at, "mend or delete the line; skip_bad: N leaves out so many", "no JSON: %s", problem.text);
}

static struct error *parse(struct json_lines *l, char *line, size_t n)
{
    bool good;
    if (too_many_values(line, n))
        return error_new(ERROR_DATA, json_lines_place(l), "make several lines of it", "a line of more than %d values",
                         VALUES_MOST);
    line[n] = '\0'; // the line feed's place, or behind what was read
    struct error *e = json_tape_parse(&l->tape, line, n, &good);
    return e || good ? e : no_json(l, line, n);
}

struct error *json_lines_open(struct json_lines **lines, const char *path)
{
    struct json_lines *l = block_alloc(sizeof *l);
    if (!l)
        return error_memory();
    *l = (struct json_lines){.fd = -1, .capacity = 2 * READ_BYTES};
    l->path = arena_strdup(&l->arena, path);
    l->buffer = block_alloc(l->capacity);
    struct error *e = l->path && l->buffer ? NULL : error_memory();
    if (!e && (l->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        e = error_system(ERROR_DATA, errno, "cannot open '%s'", path);
    if (e) {
        json_lines_close(l);
        return e;
    }
    *lines = l;
    return NULL;
}

struct error *json_lines_next(struct json_lines *l, const struct json_item **value)
{
    *value = NULL;
    for (;;) {
        char *line;
        size_t n;
        if (poll_stop(l))
            return error_stopped();
        struct error *e = read_line(l, &line, &n);
        if (e || !line)
            return e;
        if (l->line == 1 && n >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) { // a byte order mark
            line += 3;
            n -= 3;
        }
        size_t blank = 0;
        while (blank < n && (line[blank] == ' ' || line[blank] == '\t' || line[blank] == '\r'))
            blank++;
        if (blank == n)
            continue;
        e = parse(l, line, n);
        *value = e ? NULL : l->tape.items;
        return e;
    }
}

bool json_lines_can_go_on(const struct json_lines *l)
{
    return !l->broken;
}

void json_lines_close(struct json_lines *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    block_free(l->buffer);
    json_tape_release(&l->tape);
    arena_release(&l->arena);
    block_free(l);
}
