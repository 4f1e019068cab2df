// remote_inside.h - what the kinds of places have in common. For core/remote only.
#ifndef CORE_REMOTE_REMOTE_INSIDE_H
#define CORE_REMOTE_REMOTE_INSIDE_H

#include "core/remote/remote.h"

struct remote;

struct remote_kind {
    struct error *(*open)(struct remote *r);
    void (*close)(struct remote *r);
    struct error *(*make)(struct remote *r, const char *folder);
    struct error *(*list)(struct remote *r, const char *folder, const char *prefix, struct arena *arena,
                          struct remote_entry **entries, int *n);
    struct error *(*put)(struct remote *r, const char *name, int fd, int64_t n, const char *sha256,
                         const struct remote_watch *watch);
    struct error *(*get)(struct remote *r, const char *name, int fd, int64_t most, const struct remote_watch *watch);
    struct error *(*remove)(struct remote *r, const char *name);
};

struct remote {
    const struct remote_kind *kind;
    const char *address;
    struct arena *arena;
    void *own;
};

extern const struct remote_kind remote_folder, remote_ssh, remote_bucket;

// Forms of addresses beyond their scheme.
struct error *CHECKED ssh_check(const char *address, struct place at);
struct error *CHECKED bucket_check(const char *address, struct place at);

bool remote_goes_on(const struct remote_watch *watch, int64_t bytes);

// "NAME.1f00ab37.tmp"; in the arena.
char *remote_temporary(struct arena *arena, const char *name);

// One more entry of a list.
struct error *CHECKED remote_add(struct arena *arena, struct remote_entry **entries, int *n, const char *name, size_t n_name,
                                 int64_t bytes);

// What a text from elsewhere looks like in an error: printable ASCII alone, no longer than `to`.
void remote_printable(const char *text, size_t n, char *to, size_t n_to);

#endif
