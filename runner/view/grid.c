// grid.c - first the widths, then row by row: a row takes as many lines as its wrapped cell.
#include "runner/view/grid.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { GAP = 2, WRAP_LEAST = 14, NAME_LEAST = 8, TERMINAL = 80 };

int text_width(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += (*text & 0xC0) != 0x80;
    return n;
}

void text_put(char *text, size_t n_bytes, int width, const char *format, ...)
{
    char part[256];
    va_list args;
    va_start(args, format);
    vsnprintf(part, sizeof part, format, args);
    va_end(args);
    size_t n = strlen(text), more = strlen(part);
    if (text_width(text) + text_width(part) <= width && n + more < n_bytes)
        memcpy(text + n, part, more + 1);
}

size_t text_prefix(const char *text, int n)
{
    size_t at = 0;
    while (text[at] && n > 0) {
        at++;
        while ((text[at] & 0xC0) == 0x80)
            at++;
        n--;
    }
    return at;
}

// The bytes of the next line of a wrapped cell; *skip: with the blanks behind it.
static size_t next_line(const char *text, int width, size_t *skip)
{
    size_t end = text_prefix(text, width);
    if (text[end] && text[end] != ' ') {
        size_t blank = end;
        while (blank > 0 && text[blank - 1] != ' ')
            blank--;
        size_t slash = end; // of a path that is longer than the line
        while (blank == 0 && slash > 1 && text[slash - 1] != '/')
            slash--;
        if (blank > 0 || slash > 1)
            end = blank > 0 ? blank : slash;
    }
    *skip = end + strspn(text + end, " ");
    while (end > 0 && text[end - 1] == ' ')
        end--;
    return end;
}

// The bytes of what a cell shows in a line of its row; *text moves on to it.
static size_t cell_line(const struct grid *g, const char *cell, int width, int c, int line, const char **text, const char **rest)
{
    size_t skip;
    *text = cell ? cell : "";
    if (!g->columns[c].wrap)
        return line ? 0 : strlen(*text);
    *text = line ? *rest : *text;
    size_t n = next_line(*text, width, &skip);
    *rest = *text + skip;
    return n;
}

// Blanks are printed only in front of something, so that no line ends in them.
static void put_row(const struct grid *g, FILE *to, const char *const *cells, const int *widths)
{
    const char *rest = NULL; // of the wrapped cell
    const char *name = cells[0];
    if (name && !g->columns[0].wrap && text_width(name) > widths[0]) {
        fprintf(to, "%s\n", name);
        name = NULL;
    }
    for (int line = 0; line == 0 || (rest && *rest); line++) {
        int blanks = 0;
        for (int c = 0; c < g->n_columns; c++) {
            const char *text;
            size_t n = cell_line(g, c ? cells[c] : name, widths[c], c, line, &text, &rest);
            int shown = 0;
            for (size_t i = 0; i < n; i++)
                shown += (text[i] & 0xC0) != 0x80;
            int pad = widths[c] - shown > 0 ? widths[c] - shown : 0;
            blanks += g->columns[c].right ? pad : 0;
            if (n) {
                fprintf(to, "%*s%.*s", blanks, "", (int)n, text);
                blanks = 0;
            }
            blanks += (g->columns[c].right ? 0 : pad) + GAP;
        }
        fputc('\n', to);
    }
}

void grid_init(struct grid *grid, const struct column *columns, int n_columns, struct arena *arena)
{
    *grid = (struct grid){.columns = columns, .n_columns = n_columns, .arena = arena};
}

void grid_add(struct grid *g, const char *const *cells)
{
    size_t n = (size_t)g->n_columns;
    if (g->n_rows == g->capacity) {
        int more = g->capacity ? 2 * g->capacity : 16;
        const char **grown = arena_grow(g->arena, g->cells, (size_t)g->n_rows * n, (size_t)more * n, sizeof *grown);
        if (!grown) {
            g->failed = true;
            return;
        }
        g->cells = grown;
        g->capacity = more;
    }
    for (size_t c = 0; c < n; c++)
        g->cells[(size_t)g->n_rows * n + c] = cells[c];
    g->n_rows++;
}

void grid_print(const struct grid *g, FILE *to, int width)
{
    int widths[16] = {0}, total = 0, wrapped = -1;
    const char *titles[16] = {0};
    if (g->n_columns > 16)
        return;
    for (int c = 0; c < g->n_columns; c++) {
        titles[c] = g->columns[c].title;
        widths[c] = text_width(titles[c]);
        for (int r = 0; r < g->n_rows; r++) {
            const char *cell = g->cells[(size_t)r * (size_t)g->n_columns + (size_t)c];
            int w = cell ? text_width(cell) : 0;
            widths[c] = w > widths[c] ? w : widths[c];
        }
        if (g->columns[c].wrap)
            wrapped = c;
        total += widths[c] + (c ? GAP : 0);
    }
    if (wrapped >= 0 && total > width) {
        int room = widths[wrapped] - (total - width), least = widths[wrapped] < WRAP_LEAST ? widths[wrapped] : WRAP_LEAST;
        total -= widths[wrapped];
        widths[wrapped] = room > least ? room : least;
        total += widths[wrapped];
    }
    if (total > width && wrapped != 0 && g->n_columns > 1) {
        int room = widths[0] - (total - width);
        widths[0] = room > NAME_LEAST ? room : NAME_LEAST;
    }
    put_row(g, to, titles, widths);
    for (int r = 0; r < g->n_rows; r++)
        put_row(g, to, g->cells + (size_t)r * (size_t)g->n_columns, widths);
}

int text_wrap(FILE *to, const char *first, const char *text, int width)
{
    int indent = text_width(first), column = 0, room = width - indent, n_lines = 1;
    fputs(first, to);
    text += strspn(text, " ");
    while (*text) {
        size_t word = strcspn(text, " ");
        size_t fits = text_prefix(text, room);
        word = word > fits ? fits : word;
        int w = 0;
        for (size_t i = 0; i < word; i++)
            w += (text[i] & 0xC0) != 0x80;
        if (column && column + 1 + w > room) {
            fprintf(to, "\n%*s", indent, "");
            column = 0;
            n_lines++;
        }
        fprintf(to, "%s%.*s", column ? " " : "", (int)word, text);
        column += w + (column ? 1 : 0);
        text += word;
        if (*text && *text != ' ') { // a word cut in the middle
            fprintf(to, "\n%*s", indent, "");
            column = 0;
            n_lines++;
        }
        text += strspn(text, " ");
    }
    fputc('\n', to);
    return n_lines;
}

int text_room(FILE *to)
{
    return isatty(fileno(to)) ? TERMINAL : INT_MAX;
}

int text_line(FILE *to, const char *first, const char *text, int width)
{
    if (text_width(first) + text_width(text) > width)
        return text_wrap(to, first, text, width);
    fprintf(to, "%s%s\n", first, text);
    return 1;
}

const char *text_plain(const char *text, struct arena *arena)
{
    char *copy = arena_strdup(arena, text ? text : "-");
    for (size_t i = 0; copy && copy[i]; i++) {
        unsigned char c = (unsigned char)copy[i], next = (unsigned char)copy[i + 1];
        if (c < 0x20 || c == 0x7F)
            copy[i] = '?';
        else if (c == 0xC2 && next >= 0x80 && next < 0xA0)
            memmove(&copy[i], &copy[i + 1], strlen(&copy[i + 1]) + 1), copy[i] = '?';
    }
    return copy;
}
