// files.h - what is in the files of a results folder, for those who open them with other programs: one table.
//
// `retort help files` prints it, results/FILES.md is what it prints in a pipe, and a test holds it against real files with h5py. Columns of tables come
// from the lists by which they are written.
#ifndef RUNNER_VIEW_FILES_H
#define RUNNER_VIEW_FILES_H

#include "core/base/json.h"
#include "core/store/store.h"

#include <stdio.h>

struct file_set {
    const char *path; // NAME, STAGE stand for any name
    const char *type; // "f32", "u16 or u32", "text", "table"
    const char *dims;
    const char *in; // the files that have it
    bool same;      // a run that was interrupted, or made again, has the same bits
    const char *what;
    const struct store_member *members; // of a table, or NULL
    int n_members;
    const char *columns; // where members is NULL
};

extern const struct file_set file_sets[];
extern const int n_file_sets;

struct error *CHECKED files_markdown(FILE *to, struct arena *arena);
struct error *CHECKED files_print(FILE *to, int width, struct arena *arena); // the same for a terminal
void files_to_json(struct json *j);

#endif
