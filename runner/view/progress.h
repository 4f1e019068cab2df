// progress.h - a run as it goes: one line that is rewritten on a terminal, now and then a plain line in a pipe.
//
//     [2/4] base    ########--------  123/400 steps  loss 3.214  bpb 1.41  12.3k tok/s  1m20s left
//
// Terminal   fits the width (parts are left out from the right, then the bar shrinks); no colours with NO_COLOR set
// Pipe       a line at the start of a stage, about every 10 seconds or tenth of the stage, and at its end
#ifndef RUNNER_VIEW_PROGRESS_H
#define RUNNER_VIEW_PROGRESS_H

#include <stdio.h>

#include "runner/graph/schedule.h"

struct progress {
    FILE *to;
    bool terminal, colour;
    int width;
    int i, n;                         // this stage of so many that run
    double begin, last_t, last_share; // of the stage; when and where the last plain line was
    bool open;                        // a line stands that is going to be rewritten
};

void progress_init(struct progress *progress, FILE *to);

// The hooks of a schedule.
struct schedule_hooks progress_hooks(struct progress *progress);

// The line of a state, without line end: at most width characters. For progress, and for status.
void progress_line(char *text, size_t n_bytes, int width, const char *label, const struct live_line *line);

#endif
