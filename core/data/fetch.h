// fetch.h - files over https: several at once, resumed, tried again, verified; nothing half of one ever has a file's name.
//
//     struct fetch_file files[] = {{.url = "https://host/x.parquet", .path = "results/data/host/x.parquet", .bytes = -1}};
//     e = fetch_sizes(&setting, files, 1);                       // asks for those that are not known, to show them
//     e = fetch_run(&setting, &hooks, files, 1);                 // PATH.part grows; whole and right, it is FETCH_WHOLE
//
// Settling   hooks.settle deals with files that are FETCH_WHOLE (renames PATH.part to PATH, and notes what it was) or FETCH_THERE, and
//            sets FETCH_DONE or FETCH_FAILED. It is called every now and then, and once more at the end
// Parts      PATH.part is locked (flock) by who fetches it; another process waits, and finds PATH there. PATH.part.etag says which
//            content it is a part of: it goes on with Range and If-Range, from the beginning where the server has another content by
//            now or cannot continue. What is `pinned` is verified by its hash in any case
// Trust      only https, redirects too; certificates verified; a token goes to its host alone. What a server says of lengths and ranges
//            is held against what it sends. A web page in place of a file is refused, and what is no parquet or JSON lines file
// Trying     cut, refused and stalled connections, 408, 425, 429 and 5xx: up to `tries` times in a row without a MiB of progress,
//            after wait_s, 2 wait_s, 4 wait_s ... to 64 wait_s, or what Retry-After says (up to five minutes)
// Errors     of a file in files[i].error: ERROR_MACHINE where network or disk is in the way, ERROR_DATA where the content is wrong.
//            fetch_run returns those of its own: ERROR_STOPPED (parts are kept), and those of settle
// Threads    one
#ifndef CORE_DATA_FETCH_H
#define CORE_DATA_FETCH_H

#include "core/base/hash.h"
#include "core/data/documents.h"

#include <stdbool.h>

// Longer files are refused: so sums of sizes, which servers tell, stay sums.
#define FETCH_MOST_BYTES ((int64_t)1 << 50)

enum fetch_state {
    FETCH_WAITS, // not begun, or to be tried again
    FETCH_RUNS,
    FETCH_ELSEWHERE, // another process fetches it
    FETCH_WHOLE,     // PATH.part is whole and right, and locked
    FETCH_THERE,     // another process has put PATH there
    FETCH_DONE,
    FETCH_FAILED
};

struct fetch_file {
    const char *url, *path;
    enum document_form form;
    const char *sha256;     // what it must be; NULL: whatever comes
    struct place pinned_at; // where that is written
    int64_t bytes;          // of the whole; of a pinned file what it must have; -1: not known
    bool pinned_bytes;      // bytes is what it must have

    // by fetch_run
    enum fetch_state state;
    int64_t have, got; // bytes of PATH.part; of them, those that came in this call (what was thrown away counts, too)
    char found[SHA256_HEX];
    char etag[256];       // "": none that can be kept
    struct error *error;  // owned
    struct transfer *own; // of fetch.c
};

struct fetch_token {
    const char *host, *token; // "host" or "host:port"
};

struct fetch_setting {
    const char *ca_file, *ca_folder; // NULL: the system's
    struct fetch_token tokens[2];
    int n_tokens;
    int parallel, tries;
    double wait_s;
    int stall_s; // so long under 1,000 bytes a second is a stall
};

struct fetch_hooks {
    void *self;
    struct error *(*settle)(void *self);
    void (*tick)(void *self);                                                  // a few times a second
    void (*tell)(void *self, const struct fetch_file *file, const char *text); // "HTTP 503, again in 4s"; with "" that it failed
};

// Fills in bytes where it is -1 and the server says it.
struct error *CHECKED fetch_sizes(const struct fetch_setting *setting, struct fetch_file *files, int n);

struct error *CHECKED fetch_run(const struct fetch_setting *setting, const struct fetch_hooks *hooks, struct fetch_file *files,
                                int n);

#endif
