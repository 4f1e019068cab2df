// compare_print.h - a comparison on a terminal: which runs, what was asked differently, how training went, what the models score.
//
//     e = compare_print(&c, stdout, 80, arena);
//
// Width      no line is longer than `width` (at least 72), whatever names and values are; runs that do not fit side by side follow
//            in another table. Control characters of what a file says are shown as '?'
#ifndef RUNNER_VIEW_COMPARE_PRINT_H
#define RUNNER_VIEW_COMPARE_PRINT_H

#include "runner/view/compare.h"
#include "runner/view/format.h"

#include <stdio.h>

struct error *CHECKED compare_print(const struct comparison *c, FILE *to, int width, struct arena *arena);

// Parts that other spellings share: a measure's value; the values of a score, and of two runs their difference and what it means; why some
// numbers have rows of their own, or NULL where none has.
const char *compare_measure_text(char text[FORMAT_TEXT], const struct compare_measure *m, double value);
struct error *CHECKED compare_score_cells(const struct compare_score *score, const char **cells, int n_runs, struct arena *arena);
const char *compare_why(const struct comparison *c);

#endif
