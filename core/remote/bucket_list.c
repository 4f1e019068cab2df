// bucket_list.c - what a store lists, in XML of which only the tags that are asked for are looked at.
#include "core/remote/bucket.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES_MOST = 10000 };

// The character of "&lt;" and the like at s, and how long it is written; 0: it is none.
static size_t entity(const char *s, char *c)
{
    static const struct {
        const char *text;
        char c;
    } all[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}, {"&#34;", '"'}};
    for (size_t i = 0; i < countof(all); i++)
        if (!strncmp(s, all[i].text, strlen(all[i].text))) {
            *c = all[i].c;
            return strlen(all[i].text);
        }
    return 0;
}

char *bucket_between(const char **at, const char *end, const char *tag, struct arena *arena)
{
    char open[64], shut[64];
    snprintf(open, sizeof open, "<%s>", tag);
    snprintf(shut, sizeof shut, "</%s>", tag);
    const char *from = strstr(*at, open);
    if (!from || (end && from >= end))
        return NULL;
    from += strlen(open);
    const char *to = strstr(from, shut);
    if (!to || (end && to > end))
        return NULL;
    char *text = arena_alloc(arena, (size_t)(to - from) + 1), *out = text;
    if (!text)
        return NULL;
    for (const char *s = from; s < to;) {
        size_t n = entity(s, out);
        if (!n)
            *out = *s, n = 1;
        out++;
        s += n;
    }
    *at = to + strlen(shut);
    return text;
}

// The entries of one page.
static struct error *read_page(const struct bucket *b, const char *body, const char *folder, struct arena *arena,
                               struct remote_entry **entries, int *n)
{
    size_t n_prefix = strlen(b->prefix), n_folder = strlen(folder);
    struct error *e = NULL;
    for (const char *item = body; !e && (item = strstr(item, "<Contents>"));) {
        const char *end = strstr(item, "</Contents>"), *at = item;
        if (!end)
            break;
        const char *key = bucket_between(&at, end, "Key", arena);
        at = item;
        const char *size = bucket_between(&at, end, "Size", arena);
        long long bytes = size && isdigit((unsigned char)*size) ? atoll(size) : -1;
        item = end;
        if (!key || bytes < 0 || strncmp(key, b->prefix, n_prefix) || strncmp(key + n_prefix, folder, n_folder) ||
            key[n_prefix + n_folder] != '/')
            continue;
        const char *name = key + n_prefix + n_folder + 1;
        if (*name && !strchr(name, '/'))
            e = remote_add(arena, entries, n, name, strlen(name), bytes);
    }
    return e;
}

static struct error *list_page(struct remote *r, const char *prefix, const char *folder, const char **more, struct arena *arena,
                               struct remote_entry **entries, int *n)
{
    const char *token = *more ? bucket_encoded(arena, *more, "") : "";
    const char *query = token ? arena_printf(arena, "%s%s%slist-type=2&prefix=%s", *more ? "continuation-token=" : "", token,
                                             *more ? "&" : "", prefix)
                              : NULL;
    struct request q = {.method = "GET", .query = query};
    *more = NULL;
    struct error *e = query ? bucket_request(r, &q) : error_memory();
    if (!e && q.status != 200)
        e = bucket_refused(r, &q, "read");
    if (!e && q.body) {
        const char *at = q.body, *cut = bucket_between(&at, NULL, "IsTruncated", arena);
        e = read_page(r->own, q.body, folder, arena, entries, n);
        at = q.body;
        if (cut && !strcmp(cut, "true"))
            *more = bucket_between(&at, NULL, "NextContinuationToken", arena);
    }
    block_free(q.body);
    return e;
}

struct error *bucket_list(struct remote *r, const char *folder, const char *prefix, struct arena *arena,
                          struct remote_entry **entries, int *n)
{
    const struct bucket *b = r->own;
    const char *whole = arena_printf(arena, "%s%s/%s", b->prefix, folder, prefix), *more = NULL;
    const char *query = whole ? bucket_encoded(arena, whole, "") : NULL;
    struct error *e = query ? NULL : error_memory();
    for (int page = 0; !e && (page == 0 || more); page++)
        e = page < PAGES_MOST ? list_page(r, query, folder, &more, arena, entries, n)
                              : error_plain(ERROR_DATA, "the list of '%s' has no end", r->address);
    return e;
}
