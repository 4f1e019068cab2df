// errors.c - errors as a person reads them.
//
// 1. What is shown comes from files and recipes of others: control characters never reach the terminal.
// 2. Of a long line only a window around the caret is shown; a line of 4 MiB costs two passes over it and no memory.
#include "runner/view/errors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Behind the number of the line, and before the caret that may stand behind its end, LINE columns are left of 80; where it is cut, dots
// take some on both sides.
enum { LINE = 71, DOTS = 3, WINDOW = LINE + 1 - 2 * DOTS, TAB = 4, PAD = 5 };

// Where texts go on that are wrapped: behind "  while ", behind "  fix: ", and below what is wrong.
enum { WHILE = 8, FIX = 7, INDENT = 4 };

struct paint {
    const char *bold, *red, *green, *plain;
};

// Prints one character of *s and moves on; what a terminal would obey, or cannot show, becomes '?'.
static void put_char(FILE *to, const char **s)
{
    const unsigned char *c = (const unsigned char *)*s;
    int n = c[0] < 0x80                   ? 1
            : c[0] >= 0xc2 && c[0] < 0xe0 ? 2
            : c[0] >= 0xe0 && c[0] < 0xf0 ? 3
            : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
                                          : 0;
    bool bad = n == 0 || c[0] < 0x20 || c[0] == 0x7f;
    for (int i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80) {
            bad = true;
            n = i;
        }
    bad |= n == 2 && c[0] == 0xc2 && c[1] < 0xa0; // C1 controls
    bad |= n == 3 && c[0] == 0xe2 &&
           ((c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) || // line ends, changes of direction
            (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
    if (bad)
        fputc('?', to);
    else
        fwrite(c, 1, (size_t)n, to);
    *s += n ? n : 1;
}

static void put_text(FILE *to, const char *s)
{
    while (*s)
        put_char(to, &s);
}

static int columns(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

// From a column on (0: the first); where a word would reach beyond the width it stands on a line of its own, behind the indent. Width 0:
// the text is one line, as others may want to read it.
static void put_wrapped(FILE *to, const char *s, int column, int indent, int width)
{
    for (bool first = true; *s; first = false) {
        const char *end = s + strcspn(s, " ");
        int n = 0;
        for (const char *c = s; c < end; c++)
            n += (*c & 0xc0) != 0x80;
        if (!first && width && column > indent && column + 1 + n > width) {
            fprintf(to, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', to);
            column++;
        }
        while (s < end)
            put_char(to, &s);
        column += n;
        s += *s == ' ';
    }
    fputc('\n', to);
}

static FILE *open_text(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
}

// Moves to the beginning of a line (from 1); false if the file has fewer.
static bool seek_line(FILE *f, int line)
{
    for (int c; line > 1; line -= c == '\n')
        if ((c = getc(f)) == EOF)
            return false;
    return true;
}

// The window of a line around a column, tabs written out. *caret is where the column stands in it, *width how much of what
// is marked.
struct window {
    char text[LINE * (TAB > 4 ? TAB : 4) + 1];
    bool cut_before, cut_after;
    int caret, width;
};

static bool read_window(FILE *f, struct place at, struct window *w)
{
    long start = ftell(f);
    int length = 0, all = 0, c; // in characters; in columns, tabs written out
    while ((c = getc(f)) != EOF && c != '\n') {
        bool begins = (c & 0xc0) != 0x80 && c != '\r';
        length += begins;
        all += c == '\t' ? TAB - all % TAB : begins;
    }
    if (start < 0 || fseek(f, start, SEEK_SET) || length == 0)
        return false;
    int room = all <= LINE ? LINE : WINDOW;
    int width = at.width < WINDOW / 2 ? at.width : WINDOW / 2, first = 1; // first column shown
    if (room == WINDOW && at.column + width > WINDOW)
        first = at.column - WINDOW / 2;
    if (first > 1 && first > length - WINDOW + 1)
        first = length >= WINDOW ? length - WINDOW + 1 : 1;
    *w = (struct window){.cut_before = first > 1, .caret = -1};
    int column = 0, shown = 0, marked = at.column + (at.width > 1 ? at.width : 1);
    size_t n = 0;
    while ((c = getc(f)) != EOF && c != '\n') {
        bool begins = (c & 0xc0) != 0x80;
        column += begins && c != '\r';
        if (column < first || c == '\r')
            continue;
        int wide = c == '\t' ? TAB - shown % TAB : begins;
        if (shown + wide > room) {
            w->cut_after = true;
            break;
        }
        if (column == at.column && w->caret < 0)
            w->caret = shown;
        if (column >= at.column && column < marked)
            w->width += wide;
        for (int i = 0; c == '\t' && i < wide; i++)
            w->text[n++] = ' ';
        if (c != '\t' && n + 1 < sizeof w->text)
            w->text[n++] = (char)(c ? c : '?');
        shown += wide;
    }
    w->text[n] = 0;
    if (w->caret < 0) // behind the end of the line
        w->caret = shown;
    if (w->width < 1)
        w->width = 1;
    return true;
}

static void print_line(FILE *to, struct place at, const struct paint *paint)
{
    if (!at.line)
        return;
    FILE *f = open_text(at.file);
    if (!f)
        return;
    if (at.line == 1) { // the reader counts columns behind a BOM
        int a = getc(f), b = getc(f), c = getc(f);
        if (a != 0xef || b != 0xbb || c != 0xbf)
            rewind(f);
    }
    struct window w;
    if (seek_line(f, at.line) && read_window(f, at, &w)) {
        fprintf(to, "%5d | %s", at.line, w.cut_before ? "..." : "");
        put_text(to, w.text);
        fprintf(to, "%s\n", w.cut_after ? "..." : "");
        if (at.column) {
            fprintf(to, "      | %*s%s", w.caret + (w.cut_before ? DOTS : 0), "", paint->green);
            for (int i = 0; i < w.width; i++)
                fputc('^', to);
            fprintf(to, "%s\n", paint->plain);
        }
    }
    fclose(f);
}

// "recipes/tiny.yaml:41", its width in columns.
static int place_width(struct place at)
{
    return columns(at.file) + (at.line ? snprintf(NULL, 0, ":%d", at.line) : 0);
}

static void print_place(FILE *to, struct place at)
{
    put_text(to, at.file);
    if (at.line)
        fprintf(to, ":%d", at.line);
}

static void print_context(FILE *to, const struct error *e, int width)
{
    int widest = 0;
    for (const struct error *w = e->while_; w; w = w->while_)
        if (w->at.file && columns(w->what) > widest)
            widest = columns(w->what);
    for (const struct error *w = e->while_; w; w = w->while_) {
        fputs("  while ", to);
        if (!w->at.file) {
            put_wrapped(to, w->what, WHILE, WHILE, width);
            continue;
        }
        if (width && WHILE + widest + PAD + place_width(w->at) > width) {
            put_wrapped(to, w->what, WHILE, WHILE, width);
            fprintf(to, "%*s", WHILE, "");
        } else {
            put_text(to, w->what);
            fprintf(to, "%*s", widest - columns(w->what) + PAD, "");
        }
        print_place(to, w->at);
        fputc('\n', to);
    }
}

static void print_one(FILE *to, const struct error *e, int width, const struct paint *paint)
{
    char column[16] = "";
    if (e->kind == ERROR_STOPPED) {
        fputs("retort: ", to);
        put_wrapped(to, e->what, WHILE, WHILE, width);
        return;
    }
    if (e->at.file && e->at.line && e->at.column)
        snprintf(column, sizeof column, ":%d", e->at.column);
    fputs(paint->bold, to);
    if (e->at.file)
        print_place(to, e->at);
    else
        fputs("retort", to);
    fprintf(to, "%s:%s %serror:%s ", column, paint->plain, paint->red, paint->plain);
    int head = (e->at.file ? place_width(e->at) : (int)strlen("retort")) + (int)strlen(column) + (int)strlen(": error: ");
    put_wrapped(to, e->what, head, INDENT, width);
    if (e->at.file)
        print_line(to, e->at, paint);
    print_context(to, e, width);
    if (e->fix) {
        fputs("  fix: ", to);
        put_wrapped(to, e->fix, FIX, FIX, width);
    }
}

void errors_print(FILE *to, const struct error *e, int width, bool colour)
{
    static const struct paint none = {"", "", "", ""}, ansi = {"\033[1m", "\033[1;31m", "\033[1;32m", "\033[0m"};
    for (; e; e = e->next)
        print_one(to, e, width, colour ? &ansi : &none);
}
