// grid.h - tables for terminals: columns side by side, one of them wrapped so that a line fits.
//
//     struct grid grid;
//     grid_init(&grid, columns, countof(columns), &arena);
//     grid_add(&grid, (const char *[]){"base", "run", "vocab 512 -> 400"});
//     grid_print(&grid, stdout, 80);
//
// Width      in characters, which for the few texts that are not ASCII means code points
// Wrapped    at blanks, words longer than the column behind a slash, or else anywhere; other columns are as wide as their widest cell
// Names      where even that is too wide, the first column gets narrower, and what does not fit it stands on a line of its own
// Ownership  cells are borrowed until grid_print; the rest is in the arena
#ifndef RUNNER_VIEW_GRID_H
#define RUNNER_VIEW_GRID_H

#include "core/base/arena.h"

#include <stdbool.h>
#include <stdio.h>

struct column {
    const char *title;
    bool right; // numbers
    bool wrap;  // at most one column
};

struct grid {
    const struct column *columns;
    int n_columns;
    const char **cells; // n_rows * n_columns
    int n_rows, capacity;
    struct arena *arena;
    bool failed; // memory ran out: what was added is incomplete
};

void grid_init(struct grid *grid, const struct column *columns, int n_columns, struct arena *arena);
void grid_add(struct grid *grid, const char *const *cells); // NULL cells are empty
void grid_print(const struct grid *grid, FILE *to, int width);

// Code points of a text, and the bytes of its first n code points.
int text_width(const char *text);
size_t text_prefix(const char *text, int n);

// Prints a text behind `first`, later lines behind as many blanks; words longer than a line are cut. Returns how many lines it took.
int text_wrap(FILE *to, const char *first, const char *text, int width);

// Where lines end: at column 80 on a terminal, nowhere in a pipe, where a program reads them, or somebody greps.
int text_room(FILE *to);

// A line as it is where it fits, blanks in a row included, else wrapped.
int text_line(FILE *to, const char *first, const char *text, int width);

// A text of a file as it may stand on a terminal: control characters, C1 ones included, become '?'; "-" for NULL. In the arena, NULL when
// memory runs out.
const char *text_plain(const char *text, struct arena *arena);

// Appends a part to a text of n_bytes where it fits into the width whole, else nothing.
void text_put(char *text, size_t n_bytes, int width, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
