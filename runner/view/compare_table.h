// compare_table.h - a comparison for documents and for spreadsheets.
//
// Markdown   a line a run, then tables: what was asked differently, what came out, scores; numbers as people read them
// CSV        RFC 4180, a line a number: part, stage, name, why, a column a run, and of two runs difference and p. part is run, asked, came
//            out or score; numbers are plain, seconds and dollars; nothing is an empty cell. The head names runs: tiny/0001
#ifndef RUNNER_VIEW_COMPARE_TABLE_H
#define RUNNER_VIEW_COMPARE_TABLE_H

#include "runner/view/compare.h"

#include <stdio.h>

struct error *CHECKED compare_markdown(const struct comparison *c, FILE *to, struct arena *arena);
struct error *CHECKED compare_csv(const struct comparison *c, FILE *to, struct arena *arena);

#endif
