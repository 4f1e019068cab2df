// fetch_inside.h - one file of fetch.h: its request, its answer, its part. For fetch.c and its parts only.
#ifndef CORE_DATA_FETCH_INSIDE_H
#define CORE_DATA_FETCH_INSIDE_H

#include <curl/curl.h>

#include "core/data/fetch.h"

// What the last answer said in its head.
struct response {
    long status;
    char etag[256], modified[64], type[128], encoding[64], range[128], location[512];
};

struct transfer {
    struct fetch_file *file;
    const struct fetch_setting *setting;
    struct arena *arena;
    const char *part, *note; // PATH.part, PATH.part.etag
    CURL *easy;
    struct curl_slist *headers;
    int fd;                       // of the part, locked; -1
    int64_t offset, at;           // where the answer was asked to begin; where the next byte goes
    char etag[256], modified[64]; // of the content that the part is of; "": not known
    int64_t best;                 // most bytes that the part ever had at the beginning of a try
    struct response answer;
    bool vetted, wanted;       // the answer was looked at; its body is the file
    bool mixed;                // the part began in an earlier answer
    int64_t n_head, swallowed; // bytes of the heads of answers; of a body that is not the file
    struct error *error;       // no use trying again
    int tries;
    double again_at;
    char problem[CURL_ERROR_SIZE];
};

// fetch_part.c: PATH.part on the disk.

// Opens and locks it: *held false: another process has it. at is its length, 0 where it is of no use; its note is in etag, modified.
struct error *CHECKED part_open(struct transfer *t, bool *held);

// From the beginning.
struct error *CHECKED part_restart(struct transfer *t);

// Before the first byte of an answer: room on the disk, and the note of which content it is.
struct error *CHECKED part_prepare(struct transfer *t);

struct error *CHECKED part_write(struct transfer *t, const char *data, size_t n);

// Whether a part that is whole is what it should be: ERROR_DATA; fills in found. *old: it may be wrong for being of two contents.
struct error *CHECKED part_verify(struct transfer *t);

// The error of a file that is not what is pinned: what it has, what it should have.
struct error *CHECKED part_changed(const struct transfer *t, const char *has, const char *should);

// Lets go of it; an empty one goes away.
void part_close(struct transfer *t);

// fetch_transfer.c: request and answer.

// Sets up what every request has: the address, trust, tokens. Headers are freed with transfer_close.
struct error *CHECKED transfer_ask(struct transfer *t, bool head);

// Opens and locks the part. file->state: FETCH_RUNS with t->easy to be run; FETCH_WHOLE, FETCH_THERE, FETCH_ELSEWHERE without a request.
struct error *CHECKED transfer_begin(struct transfer *t);

// After a request: file->state is FETCH_WHOLE, FETCH_FAILED (file->error says why), or FETCH_WAITS; then *why is what went wrong, in
// the arena, and *wait_s how long the server wants to be left alone, 0 if it did not say.
struct error *CHECKED transfer_end(struct transfer *t, CURLcode code, const char **why, double *wait_s);

// Lets go of the request and, with `part`, of the part, which goes away if it is empty.
void transfer_close(struct transfer *t, bool part);

#endif
