// same_result A.h5 B.h5: are two results the same, bit for bit, in everything that the promise of exact resumption covers?
//
// Prints "same N datasets" and exits 0, or names the first dataset that differs and exits 1. Of B it prints "resumed at STEP" for each
// time it went on from a checkpoint.
#include <stdio.h>
#include <string.h>

#include "core/store/metrics.h"
#include "core/store/same.h"

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
    const char *what = "";
    bool same = false;
    struct error *e = store_open(&a, argv[1]);
    if (!e)
        e = store_open(&b, argv[2]);
    if (!e)
        e = store_same(a, b, &same, &what, &arena);
    if (e)
        fprintf(stderr, "same_result: %s\n", e->what);
    else
        printf("%s\n", what);
    if (same)
        print_resumed(b);
    error_free(e);
    store_close(a);
    store_close(b);
    arena_release(&arena);
    return same ? 0 : 1;
}
