// progress.h - a run as it goes: a line for each running stage, rewritten on a terminal; now and then a plain line in a pipe.
//
//     [2/4] base    ########--------  123/400 steps  loss 3.214  bpb 1.41  12.3k tok/s  1m20s left
//
// Terminal   fits the width (parts are left out from the right, then the bar shrinks); no colours with NO_COLOR set
// Pipe       a line at the start of a stage, about every 10 seconds or tenth of the stage, and at its end
#ifndef RUNNER_VIEW_PROGRESS_H
#define RUNNER_VIEW_PROGRESS_H

#include <stdio.h>

#include "runner/graph/schedule.h"

enum { PROGRESS_TEXT = 1024, PROGRESS_STAGES = 64 };

struct progress_stage {
    const struct plan_stage *stage;
    int i;                     // of those that run
    double last_t, last_share; // when and where the last plain line was
    double redo_s;             // what a kill would have cost when it was last heard of; NaN: not known
    char text[PROGRESS_TEXT];  // its line
    char warning[256];         // told last
};

struct progress {
    FILE *to;
    bool terminal, colour;
    struct progress_stage stages[PROGRESS_STAGES]; // those that run; of more than that, beginning and end are told
    int n_stages, n, n_drawn;                      // n: that run in all; n_drawn: lines that are going to be rewritten
};

void progress_init(struct progress *progress, FILE *to);

// The hooks of a schedule.
struct schedule_hooks progress_hooks(struct progress *progress);

// The line of a state, without line end: at most width characters. For progress, and for status, whose lines of what has ended are of no
// event.
void progress_line(char *text, size_t n_bytes, int width, const char *label, const struct live_line *line);

// How many columns to print: those of the terminal, else 80.
int progress_width(FILE *to);

#endif
