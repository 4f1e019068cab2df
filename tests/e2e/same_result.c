// same_result A.h5 B.h5: are two results the same, bit for bit, in everything that the promise of exact resumption covers?
//
// Prints "same N datasets" and exits 0, or names the first dataset that differs and exits 1. Of B it prints "resumed at STEP" for each
// time it went on from a checkpoint.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/store/metrics.h"

// What tells of time; checksums tell of it too.
static const char *const not_promised[] = {"timing", "events", "checksums"};

static void die(struct error *e)
{
    fprintf(stderr, "same_result: %s\n", e->what);
    error_free(e);
}

// Compares dataset or group `path` in both; counts datasets. Returns whether they are the same.
static bool same(struct store_file *a, struct store_file *b, const char *path, struct arena *arena, int *n)
{
    if (!store_has(a, path) && !store_has(b, path))
        return true;
    if (store_has(a, path) != store_has(b, path)) {
        printf("%s is in one of them only\n", path);
        return false;
    }
    const char *const *names;
    int n_names;
    struct store_set sa, sb;
    int64_t offset, bytes_a, bytes_b;
    struct error *e = store_describe(a, path, &sa, &offset, &bytes_a);
    if (e) { // a group
        error_free(e);
        if ((e = store_list(a, path, arena, &names, &n_names))) {
            die(e);
            return false;
        }
        const char *const *other;
        int n_other;
        if ((e = store_list(b, path, arena, &other, &n_other))) {
            die(e);
            return false;
        }
        if (n_names != n_other) {
            printf("%s has %d and %d members\n", path, n_names, n_other);
            return false;
        }
        for (int i = 0; i < n_names; i++)
            if (!same(a, b, arena_printf(arena, "%s/%s", path, names[i]), arena, n))
                return false;
        return true;
    }
    if ((e = store_describe(b, path, &sb, &offset, &bytes_b))) {
        die(e);
        return false;
    }
    if (sa.type != sb.type || bytes_a != bytes_b || memcmp(sa.dims, sb.dims, sizeof sa.dims)) {
        printf("%s has another type or size\n", path);
        return false;
    }
    const void *da, *db;
    int64_t count;
    ++*n;
    if (bytes_a == 0)
        return true;
    if ((e = store_map(a, path, sa.type, &da, &count)) || (e = store_map(b, path, sb.type, &db, &count))) {
        die(e);
        return false;
    }
    if (memcmp(da, db, (size_t)bytes_a)) {
        printf("%s differs\n", path);
        return false;
    }
    return true;
}

static bool is_promised(const char *name)
{
    for (size_t i = 0; i < countof(not_promised); i++)
        if (!strcmp(name, not_promised[i]))
            return false;
    return true;
}

// All that is in `a`; what is in `b` alone is found by turning them round.
static bool all_same(struct store_file *a, struct store_file *b, struct arena *arena, int *n)
{
    const char *const *names;
    int n_names;
    struct error *e = store_list(a, "/", arena, &names, &n_names);
    if (e) {
        die(e);
        return false;
    }
    for (int i = 0; i < n_names; i++)
        if (is_promised(names[i]) && !same(a, b, arena_printf(arena, "/%s", names[i]), arena, n))
            return false;
    return true;
}

// The one attribute of "/" that is a result; NaN where there is none.
static double chatcore(struct store_file *file)
{
    double value = NAN;
    error_free(store_get_f64(file, "/", "chatcore", &value));
    return value;
}

static void print_resumed(struct store_file *file)
{
    struct table events = {.members = event_members, .n_members = EVENT_MEMBERS, .row_bytes = sizeof(struct event)};
    error_free(table_load(&events, file, "/events"));
    for (int64_t i = 0; i < events.n; i++)
        if (!strcmp(((struct event *)events.rows)[i].kind, "resumed"))
            printf("resumed at %lld\n", (long long)((struct event *)events.rows)[i].step);
    table_release(&events);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: same_result A.h5 B.h5\n");
        return 2;
    }
    struct arena arena = {0};
    struct store_file *a = NULL, *b = NULL;
    struct error *e = store_open(&a, argv[1]);
    if (!e)
        e = store_open(&b, argv[2]);
    int n = 0, again = 0;
    bool equal = !e && all_same(a, b, &arena, &n) && all_same(b, a, &arena, &again);
    if (e)
        die(e);
    double x = equal ? chatcore(a) : NAN, y = equal ? chatcore(b) : NAN;
    if (equal && x != y && !(isnan(x) && isnan(y))) {
        printf("chatcore is %.17g and %.17g\n", x, y);
        equal = false;
    }
    if (equal)
        printf("same %d datasets\n", n);
    if (equal)
        print_resumed(b);
    store_close(a);
    store_close(b);
    arena_release(&arena);
    return equal && n ? 0 : 1;
}
