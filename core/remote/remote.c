// remote.c - which kind an address is, and what all kinds do alike.
#include "core/remote/remote.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/remote/remote_inside.h"

enum { NAME_MOST = 512, TAIL = 13 }; // ".1f00ab37.tmp"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

bool remote_is_address(const char *text)
{
    const char *colon = strstr(text, "://");
    size_t n = colon ? (size_t)(colon - text) : 0;
    return n && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-") == n;
}

// A scheme each; what has none is a folder.
static const struct {
    const char *begins;
    const struct remote_kind *kind;
} schemes[] = {{"ssh://", &remote_ssh}, {"s3://", &remote_bucket}, {"https://", &remote_bucket}};

static const struct remote_kind *kind_of(const char *address)
{
    for (size_t i = 0; i < countof(schemes); i++)
        if (begins(address, schemes[i].begins))
            return schemes[i].kind;
    return remote_is_address(address) ? NULL : &remote_folder;
}

struct error *remote_check(const char *address, struct place at)
{
    const struct remote_kind *kind = kind_of(address);
    if (!kind)
        return error_new(ERROR_RECIPE, at, "write a folder, ssh://host/folder, s3://bucket/folder or https://host/bucket/folder",
                         "'%.80s' is no address of a mirror", address);
    for (const char *c = address; *c; c++)
        if (iscntrl((unsigned char)*c))
            return error_new(ERROR_RECIPE, at, "take it out", "an address with a control character in it");
    return kind->check ? kind->check(address, at) : NULL;
}

struct error *remote_open(struct remote **remote, const char *address, struct arena *arena)
{
    struct remote *r = arena_alloc(arena, sizeof *r);
    *remote = NULL;
    struct error *e = remote_check(address, NOWHERE);
    if (e)
        return e;
    if (!r || !(r->address = arena_strdup(arena, address)))
        return error_memory();
    r->kind = kind_of(address);
    r->arena = arena;
    if ((e = r->kind->open(r)))
        return e;
    *remote = r;
    return NULL;
}

void remote_close(struct remote *r)
{
    if (r && r->kind->close)
        r->kind->close(r);
}

static struct error *check_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@=,+-/";
    bool bad = !*name || name[strspn(name, letters)] || strlen(name) > NAME_MOST || name[strlen(name) - 1] == '/';
    for (const char *s = name; s && !bad; s = strchr(s, '/')) {
        s += *s == '/';
        bad = *s == '.' || *s == '-' || *s == '/' || !*s;
    }
    return bad ? error_plain(ERROR_FAILED, "'%.80s' cannot be the name of a file of a mirror", name) : NULL;
}

struct error *remote_make(struct remote *r, const char *folder)
{
    struct error *e = check_name(folder);
    return e ? e : r->kind->make(r, folder);
}

struct error *remote_list(struct remote *r, const char *folder, const char *prefix, struct arena *arena,
                          struct remote_entry **entries, int *n)
{
    *entries = NULL;
    *n = 0;
    struct error *e = check_name(folder);
    if (!e && *prefix)
        e = check_name(prefix);
    return e ? e : r->kind->list(r, folder, prefix, arena, entries, n);
}

struct error *remote_put(struct remote *r, const char *name, int fd, int64_t n, const char sha256[SHA256_HEX],
                         const struct remote_watch *watch)
{
    struct error *e = check_name(name);
    return e ? e : r->kind->put(r, name, fd, n, sha256, watch);
}

struct error *remote_get(struct remote *r, const char *name, int fd, int64_t most, const struct remote_watch *watch)
{
    struct error *e = check_name(name);
    return e ? e : r->kind->get(r, name, fd, most, watch);
}

struct error *remote_remove(struct remote *r, const char *name)
{
    struct error *e = check_name(name);
    return e ? e : r->kind->remove(r, name);
}

const char *remote_path(const struct remote *r, const char *name, bool *is_here, struct arena *arena)
{
    *is_here = r->kind == &remote_folder;
    return *is_here ? arena_printf(arena, "%s/%s", r->address, name) : NULL;
}

bool remote_goes_on(const struct remote_watch *watch, int64_t bytes)
{
    return !watch || !watch->go_on || watch->go_on(watch->self, bytes);
}

char *remote_temporary(struct arena *arena, const char *name)
{
    unsigned salt = 0;
    if (getrandom(&salt, sizeof salt, GRND_NONBLOCK) != sizeof salt)
        salt = (unsigned)getpid();
    return arena_printf(arena, "%s.%08x.tmp", name, salt);
}

bool remote_is_temporary(const char *name)
{
    size_t n = strlen(name);
    const char *tail = name + n - TAIL;
    return n > TAIL && *tail == '.' && strspn(tail + 1, "0123456789abcdef") == 8 && !strcmp(tail + 9, ".tmp");
}

struct error *remote_add(struct arena *arena, struct remote_entry **entries, int *n, const char *name, size_t n_name,
                         int64_t bytes)
{
    bool full = (*n & (*n - 1)) == 0; // it has grown to each power of two
    if (full) {
        struct remote_entry *more = arena_grow(arena, *entries, (size_t)*n, *n ? 2 * (size_t)*n : 1, sizeof *more);
        if (!more)
            return error_memory();
        *entries = more;
    }
    char *copy = arena_strndup(arena, name, n_name);
    if (!copy)
        return error_memory();
    (*entries)[(*n)++] = (struct remote_entry){.name = copy, .bytes = bytes};
    return NULL;
}

void remote_printable(const char *text, size_t n, char *to, size_t n_to)
{
    size_t k = 0;
    for (size_t i = 0; i < n && text[i] && k + 1 < n_to; i++)
        to[k++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : ' ';
    while (k && to[k - 1] == ' ')
        k--;
    to[k] = '\0';
}
