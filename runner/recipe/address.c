// address.c - bytes are looked at one by one; the path is never decoded, so that %2e%2e stays a name.
#include "runner/recipe/address.h"

#include <ctype.h>
#include <string.h>

static const char scheme[] = "https://";

bool address_is(const char *text)
{
    return strncmp(text, scheme, sizeof scheme - 1) == 0;
}

const char *address_host(const char *address, size_t *n)
{
    const char *host = address + sizeof scheme - 1;
    *n = strcspn(host, "/");
    return host;
}

// How long a number in brackets is, [2001:db8::1]; 0: it is none.
static size_t bracketed(const char *host, size_t n)
{
    enum { MOST = 45 };
    const char *end = n && *host == '[' ? memchr(host, ']', n) : NULL;
    size_t n_inside = end ? (size_t)(end - host) - 1 : 0;
    bool good = n_inside >= 2 && n_inside <= MOST && strspn(host + 1, "0123456789abcdefABCDEF:.") == n_inside &&
                memchr(host + 1, ':', n_inside);
    return good ? n_inside + 2 : 0;
}

static bool name_is_good(const char *host, size_t n)
{
    if (!n || n > 253 || *host == '.' || *host == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)host[i]) && host[i] != '.' && host[i] != '-')
            return false;
    return true;
}

static bool host_is_good(const char *host, size_t n)
{
    size_t n_number = bracketed(host, n);
    const char *colon = memchr(host + n_number, ':', n - n_number);
    size_t n_name = colon ? (size_t)(colon - host) : n;
    if (n_number ? n_name != n_number : !name_is_good(host, n_name))
        return false;
    for (size_t i = n_name + 1; i < n; i++)
        if (!isdigit((unsigned char)host[i]))
            return false;
    return !colon || (n > n_name + 1 && n < n_name + 7);
}

// Whether a part of the path between slashes is empty, `.` or `..`.
static bool has_no_name(const char *path)
{
    for (const char *s = path; s; s = strchr(s, '/')) {
        s += *s == '/';
        size_t n = strcspn(s, "/");
        if (n == 0 || strncmp(s, "..", n > 2 ? n : 2) == 0 || (n == 1 && *s == '.'))
            return true;
    }
    return false;
}

struct error *address_check(const char *text, struct place at)
{
    static const char marks[] = "-._~%!$&'()*+,;=:@/{}";
    size_t n_host, n = strlen(text);
    const char *host = address_host(text, &n_host), *path = host + n_host;
    if (memchr(host, '@', n_host))
        return error_new(ERROR_RECIPE, at, "leave it out: `retort help data` says where a token goes",
                         "an address with a name or a password in it");
    if (!host_is_good(host, n_host))
        return error_new(ERROR_RECIPE, at, "write https://host/folder/file", "'%.*s' is no host",
                         (int)(n_host < 80 ? n_host : 80), host);
    for (const char *s = path; *s; s++)
        if (*s == '?' || *s == '#')
            return error_new(ERROR_RECIPE, at, "write the address without it", "an address takes no '%c'", *s);
        else if (!isalnum((unsigned char)*s) && !strchr(marks, *s))
            return error_new(ERROR_RECIPE, at, "write it as it stands in a browser: %20 for a blank",
                             "an address takes letters, digits and marks of ASCII");
    if (*path != '/' || has_no_name(path))
        return error_new(ERROR_RECIPE, at, "write https://host/folder/file", "'%.80s' names no file", text);
    if (n > 5 && strcmp(text + n - 5, ".part") == 0)
        return error_new(ERROR_RECIPE, at, "fetch it by hand, and name the file",
                         "'.part' ends the names of what is being fetched");
    return NULL;
}

char *address_file(struct arena *arena, const char *results, const char *address)
{
    size_t n;
    const char *host = address_host(address, &n);
    char *path = arena_printf(arena, "%s/data/%s", results, host);
    for (size_t i = 0; path && i < n; i++) {
        char *c = path + strlen(results) + strlen("/data/") + i;
        *c = (char)tolower((unsigned char)*c);
    }
    return path;
}
