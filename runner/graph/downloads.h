// downloads.h - what a graph reads from files, and which of them are fetched from where.
//
//     e = downloads_locate(&graph, "results");                  // parts that are addresses get the path where the file lies, or will
//     e = downloads_list(&list, &graph, &pins, &ids, &arena);    // every file once, and whether it is there
//
// A file of https://host/a/b.parquet lies at RESULTS/data/host/a/b.parquet, for all recipes.
//
// Pinned     what NAME.data.yaml says of an address (pins.h). A file that is there and is not that is FILE_CHANGED
// Ownership  everything lives in the arena; errors of files are owned by the list: downloads_release
// Errors     of reading a file that is there
#ifndef RUNNER_GRAPH_DOWNLOADS_H
#define RUNNER_GRAPH_DOWNLOADS_H

#include "core/store/identity.h"
#include "runner/graph/graph.h"
#include "runner/recipe/pins.h"

enum file_state { FILE_THERE, FILE_MISSING, FILE_CHANGED, FILE_STATE_COUNT };

struct download {
    const char *name; // of the source, or TASK.SPLIT
    bool left_out;    // it is missing, and so its task is left out of its suite, of which there is other data: no error
    const char *url;  // NULL: a local file
    const char *path;
    const char *suite; // the file of suites whose task reads it, which says where its data is to be had; NULL: it is of none
    enum document_form form;
    const struct pin *pin; // or NULL
    enum file_state state;
    int64_t bytes;           // of the file, or of what is pinned; -1: not known
    char sha256[SHA256_HEX]; // of an address whose file is there
    struct error *error;     // of FILE_CHANGED
};

struct downloads {
    struct download *all; // by name in the order of the graph, then in the order of the source
    int n;
};

// Whether it reads anything that has an address.
bool downloads_any(const struct graph *graph);

struct error *CHECKED downloads_locate(struct graph *graph, const char *results);

// only: the name of a source or task, or NULL. Nothing of another is looked at; its pins are no matter.
struct error *CHECKED downloads_list(struct downloads *list, const struct graph *graph, const struct pins *pins, const char *only,
                                     struct identities *ids, struct arena *arena);

// A file that is there, held against what is pinned: ERROR_DATA if it is another.
struct error *CHECKED download_check(const char *url, const char *path, const struct pin *pin, struct identities *ids,
                                     char sha256[SHA256_HEX]);

// "retort data recipes/web.yaml -s data=https://host": what fetches the files of this recipe. In the arena; NULL when memory runs out.
const char *downloads_command(const struct recipe *recipe, struct arena *arena);

void downloads_release(struct downloads *list);

#endif
