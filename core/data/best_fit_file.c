// best_fit_file.c - a plan of rows as a file, and rows by it.
//
// Opening checks the whole file against its checksums and the borders of rows against each other; a segment is held against the text
// when its row is read, so that opening reads nothing twice.
#include <string.h>

#include "core/data/best_fit.h"

struct error *best_fit_save(const struct best_fit *plan, const char *path, const struct store_attribute *attributes,
                            int n_attributes)
{
    struct arena arena = {0};
    const struct store_attribute own[] = {store_i64("/", "n", plan->n_tokens), store_i64("/", "d", plan->n_documents),
                                          store_i64("/", "seq_len", plan->T), store_i64("/", "n_rows", plan->n_rows)};
    const struct store_attribute *all = store_both(&arena, attributes, n_attributes, own, countof(own));
    if (!all)
        return error_memory();
    const struct store_set sets[] = {
        {.path = "/first", .type = STORE_I64, .n_dims = 1, .dims = {plan->n_rows + 1}, .data = plan->first},
        {.path = "/starts", .type = STORE_I64, .n_dims = 1, .dims = {plan->n_segments}, .data = plan->starts},
        {.path = "/tokens", .type = STORE_I32, .n_dims = 1, .dims = {plan->n_segments}, .data = plan->tokens}};
    struct error *e = store_save(path, all, n_attributes + (int)countof(own), sets, countof(sets));
    arena_release(&arena);
    return e;
}

static struct error *wrong(const struct best_fit *plan, const char *what)
{
    return error_new(ERROR_DATA, NOWHERE, "delete it: the next run makes it anew", "'%s', the plan of rows, %s", plan->path,
                     what);
}

static struct error *map_plan(struct best_fit *plan)
{
    const void *first, *starts, *tokens;
    int64_t n_first, n_starts, n_tokens, n_rows;
    struct error *e;
    if ((e = store_get_i64(plan->file, "/", "n", &plan->n_tokens)) ||
        (e = store_get_i64(plan->file, "/", "d", &plan->n_documents)) ||
        (e = store_get_i64(plan->file, "/", "seq_len", &plan->T)) || (e = store_get_i64(plan->file, "/", "n_rows", &n_rows)))
        return e;
    if ((e = store_map(plan->file, "/first", STORE_I64, &first, &n_first)) ||
        (e = store_map(plan->file, "/starts", STORE_I64, &starts, &n_starts)) ||
        (e = store_map(plan->file, "/tokens", STORE_I32, &tokens, &n_tokens)))
        return e;
    if (n_rows < 1 || n_first - 1 != n_rows || n_starts != n_tokens)
        return wrong(plan, "is of arrays that do not fit together");
    plan->n_rows = n_rows;
    plan->n_segments = n_starts;
    plan->first = first;
    plan->starts = starts;
    plan->tokens = tokens;
    store_detach(plan->file);
    bool good = plan->first[0] == 0 && plan->first[n_rows] == plan->n_segments;
    for (int64_t r = 0; r < n_rows && good; r++)
        good = plan->first[r] < plan->first[r + 1];
    return good ? NULL : wrong(plan, "has the borders of its rows out of order");
}

struct error *best_fit_open(struct best_fit *plan, const char *path, const struct token_list *list, int64_t T)
{
    *plan = (struct best_fit){.path = path};
    struct error *e = store_open(&plan->file, path);
    if (!e)
        e = store_verify(plan->file);
    if (!e)
        e = map_plan(plan);
    if (!e && (plan->T != T || plan->n_tokens != list->n || plan->n_documents != list->n_documents))
        e = wrong(plan, "is of another text, or of rows of another length");
    if (e)
        best_fit_release(plan);
    return e;
}

struct error *best_fit_row(const struct best_fit *plan, const struct token_list *list, int64_t row, int32_t *inputs,
                           int32_t *targets)
{
    const int64_t T = plan->T;
    int64_t done = 0;
    if (row < 0 || row >= plan->n_rows)
        return error_plain(ERROR_FAILED, "row %lld of %lld is asked for", (long long)row, (long long)plan->n_rows);
    for (int64_t s = plan->first[row]; s < plan->first[row + 1]; s++) {
        int64_t start = plan->starts[s], n = plan->tokens[s];
        if (n < 1 || n > T + 1 - done || start < 0 || start > list->n - n)
            return wrong(plan, "has a row that the text has not");
        int64_t here = n < T - done ? n : T - done; // the row's last token is a target alone
        struct error *e = token_list_read(list, start, here, inputs + done);
        if (!e && here < n)
            e = token_list_read(list, start + here, 1, targets + T - 1);
        if (e)
            return e;
        done += n;
    }
    if (done != T + 1)
        return wrong(plan, "has a row that is not full");
    memcpy(targets, inputs + 1, (size_t)(T - 1) * sizeof *targets);
    return NULL;
}

void best_fit_release(struct best_fit *plan)
{
    for (int i = 0; i < BEST_FIT_SETS; i++)
        spill_close(&plan->made[i]);
    store_close(plan->file);
    *plan = (struct best_fit){0};
}
