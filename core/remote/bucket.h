// bucket.h - requests to an S3-compatible object store. For core/remote only.
//
//     struct request q = {.method = "GET", .name = "store/x.h5"};
//     e = bucket_request(r, &q);                   // the errors of asking; what was answered is q.status, q.body, q.etag
//     block_free(q.body);
//
// Source  Amazon S3 API reference (PutObject, ListObjectsV2, multipart uploads); Signature Version 4 is libcurl's
#ifndef CORE_REMOTE_BUCKET_H
#define CORE_REMOTE_BUCKET_H

#include <curl/curl.h>

#include "core/remote/remote_inside.h"

enum { BUCKET_BODY = 8 << 20, BUCKET_ETAG = 128 };

struct bucket {
    const char *base;                 // https://host/bucket, without a slash at the end
    const char *prefix;               // "runs/" or ""
    const char *user, *token, *sigv4; // user: KEY:SECRET
    const char *ca_file, *ca_folder;  // NULL: the system's
    int64_t part_bytes;               // of a multipart upload, and above which it is one
    int stall_s;
    CURL *easy;
};

struct request {
    const char *method, *name, *query; // name: of the object, or NULL: the bucket itself; query: sorted and encoded, or NULL
    const char *sha256;                // of the body; NULL: there is none
    const unsigned char *md5;          // of the body, or NULL
    int fd;                            // of a PUT: the body, n bytes from offset
    int64_t offset, n;
    const char *text; // of a POST: the body, n bytes
    bool download;
    int to;       // with download: where the answer's body goes; -1: into digest alone
    void *digest; // EVP_MD_CTX that it is added to, or NULL
    int64_t most; // bytes of it
    const struct remote_watch *watch;
    int64_t before; // bytes that had gone before this request, for watch

    // by bucket_request
    long status;
    char *body; // block, owned; of what was not downloaded; zero-terminated
    size_t n_body;
    int64_t n_to;
    char etag[BUCKET_ETAG], region[64];

    // inside
    CURL *easy;
    int64_t at;
    struct error *error;
    bool too_much;
};

struct error *CHECKED bucket_request(struct remote *r, struct request *q);

// The error of an answer that is none of those hoped for: its code and message.
struct error *bucket_refused(const struct remote *r, const struct request *q, const char *doing);

// As addresses have it: what is no letter, digit or one of -._~ and `also` is encoded; in the arena.
char *bucket_encoded(struct arena *arena, const char *text, const char *also);

// The text between <tag> and </tag> from *at on, unescaped, in the arena, and *at behind it; NULL: there is none before `end` (NULL: the
// end). Of answers from elsewhere: no more is understood than that.
char *bucket_between(const char **at, const char *end, const char *tag, struct arena *arena);

struct error *CHECKED bucket_list(struct remote *r, const char *folder, const char *prefix, struct arena *arena,
                                  struct remote_entry **entries, int *n);
struct error *CHECKED bucket_put(struct remote *r, const char *name, int fd, int64_t n, const char *sha256,
                                 const struct remote_watch *watch);
struct error *CHECKED bucket_get(struct remote *r, const char *name, int fd, int64_t most, const struct remote_watch *watch);

#endif
