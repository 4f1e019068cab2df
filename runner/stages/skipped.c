// skipped.c - bad rows that were left out, as a warning of the live file: of all files so far, with the first error of all.
#include <stdio.h>

#include "runner/stages/stage.h"

void skipped_tell(struct skipped *all, const struct stage *stage, const struct skips *skips)
{
    char text[600];
    if (skips->n == 0)
        return;
    const struct place at = skips->first->at;
    if (all->n_rows == 0 && at.file)
        snprintf(all->first, sizeof all->first, "%s:%d: %s", at.file, at.line, skips->first->what);
    else if (all->n_rows == 0)
        snprintf(all->first, sizeof all->first, "%s", skips->first->what);
    all->n_rows += skips->n;
    all->n_files++;
    snprintf(text, sizeof text, "%lld bad row%s of %d file%s left out; the first: %s", (long long)all->n_rows,
             all->n_rows == 1 ? "" : "s", all->n_files, all->n_files == 1 ? "" : "s", all->first);
    struct live_line line = live_line("note");
    line.warning = text;
    live_write(stage->live, line);
}
