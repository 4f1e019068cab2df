// ssh.c - a mirror behind ssh: each step is one call of the system's ssh with a command for the shell at the far end.
//
// Only names from remote.h's letters and the folder of the address get into a command, each in single quotes, in which a shell sees
// nothing but the closing one; here no shell is in between. The SHA-256 of what arrived is taken at the far end: bytes that ssh delivered
// and the disk lost do not count. ssh's own exit status for its own failures is 255.
#include "core/remote/child.h"
#include "core/remote/remote_inside.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SSH_FAILED = 255, NO_FILE = 44, OTHER_BYTES = 45 };

struct ssh {
    const char *host, *port; // host: with the user; port NULL: as ssh has it
    const char *folder;      // in single quotes
};

// The parts of ssh://[user@]host[:port]/folder.
struct parts {
    const char *host, *folder;
    size_t n_host; // with the user
    const char *port;
    size_t n_port;
};

static bool host_is_good(const char *host, size_t n)
{
    const char *at = memchr(host, '@', n);
    size_t n_user = at ? (size_t)(at - host) : 0;
    if (!n || *host == '-' || (at && (!n_user || n_user + 1 == n || at[1] == '-')))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)host[i]) && !strchr(i < n_user ? "._-+" : "._-:[]%", host[i]) && !(at && host + i == at))
            return false;
    return true;
}

// [::1]:22 keeps its colons.
static bool cut(const char *address, struct parts *p)
{
    const char *host = address + strlen("ssh://");
    size_t n = strcspn(host, "/");
    *p = (struct parts){.host = host, .n_host = n, .folder = host + n};
    const char *colon = memrchr(host, ':', n), *bracket = memrchr(host, ']', n);
    if (colon && (!bracket || colon > bracket)) {
        p->n_host = (size_t)(colon - host);
        p->port = colon + 1;
        p->n_port = n - p->n_host - 1;
        if (!p->n_port || p->n_port > 5 || strspn(p->port, "0123456789") < p->n_port)
            return false;
    }
    return p->folder[0] == '/' && p->folder[1] && host_is_good(host, p->n_host);
}

static struct error *ssh_check(const char *address, struct place at)
{
    struct parts p;
    const char *user = memchr(address + strlen("ssh://"), '@', strcspn(address + strlen("ssh://"), "/"));
    if (user && memchr(address + strlen("ssh://"), ':', (size_t)(user - address) - strlen("ssh://")))
        return error_new(ERROR_RECIPE, at, "leave it out: ssh takes keys", "an address with a password in it");
    return cut(address, &p) ? NULL
                            : error_new(ERROR_RECIPE, at, "write ssh://user@host/folder, or ssh://host:22/~/folder",
                                        "'%.80s' is no address of a machine", address);
}

// 'it'\''s'; in the arena.
static char *quoted(struct arena *arena, const char *text)
{
    char *to = arena_alloc(arena, 4 * strlen(text) + 3), *at = to;
    if (!to)
        return NULL;
    *at++ = '\'';
    for (; *text; text++)
        if (*text == '\'')
            at += sprintf(at, "'\\''");
        else
            *at++ = *text;
    *at++ = '\'';
    *at = '\0';
    return to;
}

static struct error *ssh_open(struct remote *r)
{
    struct parts p;
    struct ssh *s = arena_alloc(r->arena, sizeof *s);
    if (!s || !cut(r->address, &p))
        return error_memory();
    s->host = arena_strndup(r->arena, p.host, p.n_host);
    s->port = p.port ? arena_strndup(r->arena, p.port, p.n_port) : NULL;
    if (!strncmp(p.folder, "/~/", 3)) { // a login begins there
        const char *rest = p.folder + 3 + strspn(p.folder + 3, "/");
        s->folder = quoted(r->arena, arena_printf(r->arena, "./%s", rest));
    } else {
        s->folder = quoted(r->arena, p.folder);
    }
    r->own = s;
    return s->host && s->folder && (!p.port || s->port) ? NULL : error_memory();
}

// Runs a command at the far end. The caller frees child->output.
static struct error *run(const struct remote *r, struct child *child, const char *command)
{
    const struct ssh *s = r->own;
    char *argv[20], *const options[] = {(char *)"ssh", (char *)"-T",
                                        (char *)"-o",  (char *)"BatchMode=yes",
                                        (char *)"-o",  (char *)"ConnectTimeout=20",
                                        (char *)"-o",  (char *)"ServerAliveInterval=15",
                                        (char *)"-o",  (char *)"ServerAliveCountMax=4"};
    int n = 0;
    if (!command)
        return error_memory();
    for (size_t i = 0; i < countof(options); i++)
        argv[n++] = options[i];
    if (s->port)
        argv[n++] = (char *)"-p", argv[n++] = (char *)s->port;
    argv[n++] = (char *)"--";
    argv[n++] = (char *)s->host;
    argv[n++] = (char *)command;
    argv[n] = NULL;
    child->argv = argv;
    struct error *e = child_run(child);
    child->argv = NULL;
    return e;
}

static struct error *failed(const struct remote *r, const struct child *c, const char *doing)
{
    static const char by_hand[] = "try it by hand: ssh must get in without asking for anything (a key, the host known)";
    const char *fix = c->status == SSH_FAILED ? by_hand : c->status == 127 ? "install an ssh client" : "look at that folder";
    const char *why = c->complaint[0] ? c->complaint : c->status == 127 ? "there is no ssh here" : "ssh does not say why";
    return error_new(ERROR_MACHINE, NOWHERE, fix, "cannot %s '%s': %s", doing, r->address, why);
}

static struct error *ssh_make(struct remote *r, const char *folder)
{
    const struct ssh *s = r->own;
    struct arena arena = {0};
    struct child c = {.from = -1, .to = -1};
    struct error *e = run(r, &c, arena_printf(&arena, "mkdir -p %s/%s", s->folder, folder));
    if (!e && c.status)
        e = failed(r, &c, "make folders in");
    block_free(c.output);
    arena_release(&arena);
    return e;
}

static struct error *ssh_list(struct remote *r, const char *folder, const char *prefix, struct arena *arena,
                              struct remote_entry **entries, int *n)
{
    const struct ssh *s = r->own;
    struct child c = {.from = -1, .to = -1};
    const char *command = arena_printf(arena,
                                       "cd %s || exit 1; [ -d %s ] || exit 0; cd %s && for f in %s*; do [ -f \"$f\" ] && "
                                       "echo \"$(wc -c < \"$f\") $f\"; done; :",
                                       s->folder, folder, folder, prefix);
    struct error *e = run(r, &c, command);
    if (!e && c.status)
        e = failed(r, &c, "read");
    for (char *line = c.output; !e && line && *line;) {
        size_t length = strcspn(line, "\n");
        char *end;
        long long bytes = strtoll(line, &end, 10);
        bool whole = line[length] == '\n'; // the last may be cut
        if (whole && end > line && *end == ' ' && bytes >= 0 && memchr(end + 1, '/', (size_t)(line + length - end) - 1) == NULL)
            e = remote_add(arena, entries, n, end + 1, (size_t)(line + length - end) - 1, bytes);
        line += length + whole;
    }
    block_free(c.output);
    return e;
}

static struct error *ssh_put(struct remote *r, const char *name, int fd, int64_t n, const char *sha256,
                             const struct remote_watch *watch)
{
    const struct ssh *s = r->own;
    struct arena arena = {0};
    struct child c = {.from = fd, .n_from = n, .to = -1, .watch = watch};
    const char *tmp = remote_temporary(&arena, name), *slash = strrchr(name, '/');
    const char *parent = slash ? arena_strndup(&arena, name, (size_t)(slash - name)) : ".";
    const char *command = tmp && parent
                              ? arena_printf(&arena,
                                             "cd %s || exit 1; cat > %s || { rm -f %s; exit 1; }; sync %s 2>/dev/null; "
                                             "h=$( { sha256sum < %s || shasum -a 256 < %s; } 2>/dev/null ); "
                                             "case \"$h\" in %s*) mv -f %s %s && { sync %s 2>/dev/null; :; };; '') rm -f %s; "
                                             "echo 'neither sha256sum nor shasum there' >&2; exit 1;; "
                                             "*) rm -f %s; exit %d;; esac",
                                             s->folder, tmp, tmp, tmp, tmp, tmp, sha256, tmp, name, parent, tmp, tmp, OTHER_BYTES)
                              : NULL;
    struct error *e = run(r, &c, command);
    if (!e && c.status == OTHER_BYTES)
        e = error_plain(ERROR_DATA, "what arrived at '%s' of '%s' is not what was sent", r->address, name);
    else if (!e && c.status)
        e = failed(r, &c, "write to");
    block_free(c.output);
    arena_release(&arena);
    return e;
}

static struct error *ssh_get(struct remote *r, const char *name, int fd, int64_t most, const struct remote_watch *watch)
{
    const struct ssh *s = r->own;
    struct arena arena = {0};
    struct child c = {.from = -1, .to = fd, .most = most, .watch = watch};
    struct error *e =
        run(r, &c, arena_printf(&arena, "cd %s && { [ -f %s ] || exit %d; } && cat %s", s->folder, name, NO_FILE, name));
    if (!e && c.too_much)
        e = error_plain(ERROR_DATA, "'%s' of '%s' has more than %lld bytes", name, r->address, (long long)most);
    else if (!e && c.status == NO_FILE)
        e = error_plain(ERROR_DATA, "'%s' is not there in '%s'", name, r->address);
    else if (!e && c.status)
        e = failed(r, &c, "read");
    block_free(c.output);
    arena_release(&arena);
    return e;
}

static struct error *ssh_remove(struct remote *r, const char *name)
{
    const struct ssh *s = r->own;
    struct arena arena = {0};
    struct child c = {.from = -1, .to = -1};
    struct error *e = run(r, &c, arena_printf(&arena, "cd %s && rm -f %s", s->folder, name));
    if (!e && c.status)
        e = failed(r, &c, "remove from");
    block_free(c.output);
    arena_release(&arena);
    return e;
}

const struct remote_kind remote_ssh = {ssh_check, ssh_open, NULL, ssh_make, ssh_list, ssh_put, ssh_get, ssh_remove};
