// skips.c - a count, and the first error, which says what to look for.
#include "core/data/skips.h"

struct error *skips_take(struct skips *s, struct error *e)
{
    if (!e || !s || s->most == 0 || e->kind != ERROR_DATA)
        return e;
    if (s->n == s->most)
        return error_while(e, NOWHERE, "skipping bad rows: skip_bad is %lld, and so many came before", (long long)s->most);
    if (s->n++ == 0)
        s->first = e;
    else
        error_free(e);
    return NULL;
}

void skips_release(struct skips *s)
{
    error_free(s->first);
    *s = (struct skips){.most = s->most};
}
