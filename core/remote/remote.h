// remote.h - a place elsewhere that files are copied to, verified, and brought back from: a folder, a machine behind ssh, a bucket.
//
//     e = remote_open(&remote, "s3://bucket/runs", &arena);              // contacts nobody
//     e = remote_make(remote, "store");
//     e = remote_put(remote, "store/pretrain-3f9a.h5", fd, n_bytes, sha256, &watch);    // NULL: it is there, whole, and was verified
//     e = remote_list(remote, "store", "pretrain-3f9a", &arena, &entries, &n);
//     e = remote_get(remote, "store/pretrain-3f9a.h5", fd, most_bytes, &watch);
//     remote_close(remote);
//
// Addresses  /mnt/disk/runs          a folder; the one above it must be there, so that a disk that is not mounted is not mistaken for it
//            ssh://user@host:22/dir  by the system's own ssh, without a terminal (BatchMode): keys, known hosts and ~/.ssh/config are
//                                    the user's; /~/dir is in the home folder. The far side needs sh, cat, mv, and sha256sum or shasum
//            s3://bucket/dir         an S3-compatible store at AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, else Amazon's;
//            https://host/bucket/dir the same with its address
// Secrets    of ssh: none pass through here. Of buckets: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION from the
//            environment; no address can hold one, and no error tells one. libcurl signs (AWS Signature Version 4)
// Names      parts of [A-Za-z0-9_.@=,+-] with slashes between, none beginning with '.' or '-'; others are refused before anything is done
// Whole      a name has its old content or the new one, never half: folders and ssh write NAME.XXXXXXXX.tmp, verify, sync and rename; a
//            bucket shows an object when it is complete
// Verified   folder: read back, past the page cache, against its SHA-256. ssh: SHA-256 of what arrived, taken there, before the rename.
//            Bucket: SHA-256 is signed with the request and MD5 sent along, for the store to refuse what arrives otherwise; the ETag of
//            the object must be that MD5, else the object is read back and hashed
// Large      of more than 64 MiB (RETORT_MIRROR_PART) go to a bucket in parts, at most 10,000; each is tried again by itself
// Errors     ERROR_MACHINE where network, disk or the far side is in the way: worth another try. ERROR_USAGE where it is refused (no such
//            bucket, no right, no key) or the address is wrong. ERROR_DATA: no such file there, or not what it should be.
//            ERROR_STOPPED: watch said so
// Threads    one remote, one thread
#ifndef CORE_REMOTE_REMOTE_H
#define CORE_REMOTE_REMOTE_H

#include "core/base/hash.h"

#include <stdbool.h>

struct remote;

struct remote_entry {
    const char *name; // in its folder
    int64_t bytes;
};

struct remote_watch {
    void *self;
    bool (*go_on)(void *self, int64_t bytes); // a few times a second, with the bytes that have gone so far; false: give it up
};

// The form of an address; whether a text is one at all, and no folder.
bool remote_is_address(const char *text);
struct error *CHECKED remote_check(const char *address, struct place at);

struct error *CHECKED remote_open(struct remote **remote, const char *address, struct arena *arena);
void remote_close(struct remote *remote); // NULL is fine

// Makes a folder there, and those between it and the address.
struct error *CHECKED remote_make(struct remote *remote, const char *folder);

// The files of a folder that begin so, in no order; none where there is no such folder.
struct error *CHECKED remote_list(struct remote *remote, const char *folder, const char *prefix, struct arena *arena,
                                  struct remote_entry **entries, int *n);

// Whether a name is one that something has until it is whole: left behind by a process that was killed, or still being written.
bool remote_is_temporary(const char *name);

// n bytes of fd from its beginning, whose SHA-256 is known. fd is read by pread.
struct error *CHECKED remote_put(struct remote *remote, const char *name, int fd, int64_t n, const char sha256[SHA256_HEX],
                                 const struct remote_watch *watch);

// Writes what is there to fd, from its beginning; more than `most` bytes are refused.
struct error *CHECKED remote_get(struct remote *remote, const char *name, int fd, int64_t most, const struct remote_watch *watch);

// Where a file of it lies in this machine's file system, in the arena (NULL: no memory). *is_here false: it lies elsewhere.
const char *remote_path(const struct remote *remote, const char *name, bool *is_here, struct arena *arena);

// Of a file that is not there: no error.
struct error *CHECKED remote_remove(struct remote *remote, const char *name);

#endif
