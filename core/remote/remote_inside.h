// remote_inside.h - what the kinds of places have in common. For core/remote only.
//
// A kind is a file with a struct remote_kind, named here, and a row in the schemes of remote.c.
#ifndef CORE_REMOTE_REMOTE_INSIDE_H
#define CORE_REMOTE_REMOTE_INSIDE_H

#include "core/remote/remote.h"

struct remote_kind {                                              // calls as in remote.h; names of files were checked
    struct error *(*check)(const char *address, struct place at); // of an address beyond its scheme; NULL: any will do
    struct error *(*open)(struct remote *r);
    void (*close)(struct remote *r); // NULL: there is nothing to close
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
    void *own; // of the kind
};

extern const struct remote_kind remote_folder, remote_ssh, remote_bucket;

// What watch says; true where there is none.
bool remote_goes_on(const struct remote_watch *watch, int64_t bytes);

// "NAME.1f00ab37.tmp"; in the arena.
char *remote_temporary(struct arena *arena, const char *name);

// One more entry of a list.
struct error *CHECKED remote_add(struct arena *arena, struct remote_entry **entries, int *n, const char *name, size_t n_name,
                                 int64_t bytes);

// What a text from elsewhere looks like in an error: printable ASCII alone, no longer than `to`.
void remote_printable(const char *text, size_t n, char *to, size_t n_to);

#endif
