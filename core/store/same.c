// same.c - all that is in one is looked for in the other, then the other way round.
#include "core/store/same.h"

#include <math.h>
#include <string.h>

// What tells of time; checksums tell of it too.
static const char *const not_promised[] = {"timing", "events", "checksums"};

struct comparing {
    struct store_file *a, *b;
    struct arena *arena;
    bool is_back;     // contents were compared the other way round
    int n;            // datasets so far
    const char *what; // the first difference; NULL: none yet
};

static struct error *differ(struct comparing *c, const char *path, const char *how)
{
    c->what = arena_printf(c->arena, "%s %s", path, how);
    return c->what ? NULL : error_memory();
}

static struct error *compare_data(struct comparing *c, const char *path)
{
    struct store_set x, y;
    const void *from_x, *from_y;
    int64_t offset, bytes_x, bytes_y, n;
    struct error *e = store_describe(c->a, path, &x, &offset, &bytes_x);
    if (e || (e = store_describe(c->b, path, &y, &offset, &bytes_y)))
        return e;
    c->n++;
    if (x.type != y.type || bytes_x != bytes_y || x.n_dims != y.n_dims || memcmp(x.dims, y.dims, sizeof x.dims))
        return differ(c, path, "has another type or size");
    if (!bytes_x || c->is_back)
        return NULL;
    if ((e = store_map(c->a, path, x.type, &from_x, &n)) || (e = store_map(c->b, path, y.type, &from_y, &n)))
        return e;
    return memcmp(from_x, from_y, (size_t)bytes_x) ? differ(c, path, "differs") : NULL;
}

static bool is_group(struct store_file *file, const char *path)
{
    struct store_set set;
    int64_t offset, bytes;
    struct error *e = store_describe(file, path, &set, &offset, &bytes);
    error_free(e);
    return e != NULL;
}

static struct error *compare(struct comparing *c, const char *path)
{
    if (!store_has(c->b, path))
        return differ(c, path, "is in one of them only");
    if (!is_group(c->a, path))
        return compare_data(c, path);
    const char *const *names;
    int n;
    struct error *e = store_list(c->a, path, c->arena, &names, &n);
    for (int i = 0; i < n && !e && !c->what; i++) {
        const char *inner = arena_printf(c->arena, "%s/%s", path, names[i]);
        e = inner ? compare(c, inner) : error_memory();
    }
    return e;
}

static bool is_promised(const char *name)
{
    for (size_t i = 0; i < countof(not_promised); i++)
        if (!strcmp(name, not_promised[i]))
            return false;
    return true;
}

static struct error *compare_all(struct comparing *c)
{
    const char *const *names;
    int n;
    struct error *e = store_list(c->a, "/", c->arena, &names, &n);
    for (int i = 0; i < n && !e && !c->what; i++) {
        const char *path = arena_printf(c->arena, "/%s", names[i]);
        e = !path ? error_memory() : is_promised(names[i]) ? compare(c, path) : NULL;
    }
    return e;
}

// NaN where there is none.
static double chatcore(struct store_file *file)
{
    double value = NAN;
    error_free(store_get_f64(file, "/", "chatcore", &value));
    return value;
}

struct error *store_same(struct store_file *a, struct store_file *b, bool *same, const char **what, struct arena *arena)
{
    struct comparing c = {.a = a, .b = b, .arena = arena}, back = {.a = b, .b = a, .arena = arena, .is_back = true};
    struct error *e = compare_all(&c);
    if (!e && !c.what)
        e = compare_all(&back);
    if (e)
        return e;
    double x = chatcore(a), y = chatcore(b);
    *what = c.what ? c.what : back.what;
    if (!*what && x != y && !(isnan(x) && isnan(y)))
        *what = arena_printf(arena, "chatcore is %.17g and %.17g", x, y);
    *same = !*what && c.n > 0;
    if (!*what)
        *what = arena_printf(arena, "same %d dataset%s", c.n, c.n == 1 ? "" : "s");
    return *what ? NULL : error_memory();
}
