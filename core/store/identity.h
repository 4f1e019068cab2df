// identity.h - the SHA-256 of data files, remembered: hashing 100 GB once is enough.
//
//     struct identities *ids;
//     e = identities_open(&ids, "results/identity.tsv", arena);
//     e = identities_find(ids, "data/shard_00000.parquet", hex);        // hex[0] == 0: not known without reading the file
//     e = identities_get(ids, "data/shard_00000.parquet", hex);         // reads it if need be, and remembers
//     identity_settle("data/shard_00000.parquet.part");                 // who has written it and is done with it
//     e = identities_note(ids, "data/shard_00000.parquet", hex);        // and has hashed it
//     identities_keep(ids);                                             // in the end
//
// Layout  one line a file: dev inode size mtime_ns sha256 path, tab between; the path is absolute and without links. A line counts
//         while all of dev, inode, size and mtime are as they were. Damaged lines are ignored
// Cache   the file is rewritten by rename, with a hash after a second and in the end, so that many small files cost one writing, and a
//         process that is killed loses a second's hashes; what other processes wrote meanwhile is read and stays. Of two that write in
//         the same moment the last wins, and a lost line costs one hash.
//         A cache that cannot be written costs time, and is no error. A file changed in the last two seconds is not remembered: it
//         may change again without its time showing it
// Errors  ERROR_DATA for a data file that is missing or cannot be read, or that changes while it is read; ERROR_STOPPED
#ifndef CORE_STORE_IDENTITY_H
#define CORE_STORE_IDENTITY_H

#include "core/base/error.h"
#include "core/base/hash.h"

struct identities;

// Everything lives in the arena. A missing cache is empty.
struct error *CHECKED identities_open(struct identities **ids, const char *cache, struct arena *arena);

struct error *CHECKED identities_find(struct identities *ids, const char *path, char hex[SHA256_HEX]);
struct error *CHECKED identities_get(struct identities *ids, const char *path, char hex[SHA256_HEX]);
struct error *CHECKED identities_note(struct identities *ids, const char *path, const char hex[SHA256_HEX]);
void identities_keep(struct identities *ids);

// Sets the time of a file back, so that it counts as one that has not changed of late and is remembered at once: whoever changes it from
// now on gives it a later one. For who wrote it, under a name that is its own. Where that cannot be done it is remembered later.
void identity_settle(const char *path);

#endif
