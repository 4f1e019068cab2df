// audit.h - every file of a results folder, read whole: is it what its name says?
//
//     e = audit(&totals, "results", print_line, self, &arena);
//
// store/     each .h5 against its checksums, its kind and key against its name; of a finished result its state. Files that carry no
//            promise (live, log, lock, job, half-written .tmp.h5) are not read; nor is what is none of ours
// runs/      each record, forgotten ones too; an empty one is what a run leaves that was killed before its first stage
// machine.h5 against its checksums
// Errors     what is wrong with a file stands in its line; errors are those of going through the folders, and a stop
#ifndef RUNNER_GRAPH_AUDIT_H
#define RUNNER_GRAPH_AUDIT_H

#include "core/base/error.h"

#include <stdint.h>

struct audit_line {
    const char *path;
    const char *is; // "pretrain", "checkpoint of pretrain", "run", "machine"; "not read": carries no promise, or is none of ours
    int64_t bytes;
    const struct error *error; // NULL: good, or not read. ERROR_NOT_BUILT: a newer retort wrote it, and it may be good
};

struct audit_totals {
    int64_t n_good, n_bad, n_newer, n_not_read; // newer: of a newer retort
    int64_t bytes;                              // that were read and are good
};

// told: a line a file, in the order of their names, as each is done; the line is the caller's until told returns.
struct error *CHECKED audit(struct audit_totals *totals, const char *results, void (*told)(void *self, const struct audit_line *line),
                            void *self, struct arena *arena);

#endif
