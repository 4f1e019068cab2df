// fetching.h - files as they come: one line, rewritten on a terminal; now and then a plain line in a pipe.
//
//     12/240 files  ########--------  1.2 GB of 24.0 GB  85.1 MB/s  4m28s left
//
// Terminal   fits the width
// Pipe       a line about every 10 seconds or tenth of all
#ifndef RUNNER_VIEW_FETCHING_H
#define RUNNER_VIEW_FETCHING_H

#include <stdio.h>

#include "core/data/fetch.h"

struct fetching_view {
    FILE *to; // NULL: nothing is shown
    const struct fetch_file *files;
    int n;
    bool terminal, drawn;
    double looked, rate;        // when the rate was last looked at; bytes a second
    int64_t got;                // by then
    double told_at, told_share; // the last plain line
};

void fetching_init(struct fetching_view *view, FILE *to, const struct fetch_file *files, int n);

// Of hooks; self is the view.
void fetching_tick(struct fetching_view *view);
void fetching_tell(struct fetching_view *view, const struct fetch_file *file, const char *text);

// Takes the line away.
void fetching_end(struct fetching_view *view);

// The line, of at most width characters.
void fetching_line(const struct fetching_view *view, char *text, size_t n_bytes, int width);

#endif
