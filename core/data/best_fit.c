// best_fit.c - the buffer is a queue for each length that could fit into a row, a bitmap of the queues that hold something, and a heap
// of all longer documents, which only ever leave as the shortest.
//
// 1. Starts of documents that are not empty grow with their order, so that the start says which of two came first.
// 2. A row is written when it is full: what the last documents begin and do not fill leaves no trace.
#include "core/data/best_fit.h"

#include <limits.h>
#include <string.h>

#include "core/base/stop.h"

enum { BUFFER = 1000, SLICE = 128, ROOM = BUFFER + SLICE, STOP_ROWS = 4096, WORD = 64 };

enum { FIRST, STARTS, TOKENS };

struct waiting {
    int64_t start, length;
    int next; // in its queue; -1 ends it
};

struct packing {
    const struct token_list *list;
    int i_file; // of the next document
    int64_t i_document, n_read;
    bool is_end;
    int64_t T;

    struct waiting pool[ROOM];
    int unused[ROOM], n_unused;
    int n; // in the buffer
    int *head, *tail;
    uint64_t *some; // bit length: its queue is not empty
    int heap[ROOM], n_heap;

    int64_t *starts; // [T + 1]: the row that is being filled
    int32_t *tokens;
    int n_row;
};

static bool shorter(const struct packing *p, int a, int b)
{
    const struct waiting *x = &p->pool[a], *y = &p->pool[b];
    return x->length != y->length ? x->length < y->length : x->start < y->start;
}

static void heap_push(struct packing *p, int what)
{
    int at = p->n_heap++;
    for (; at > 0 && shorter(p, what, p->heap[(at - 1) / 2]); at = (at - 1) / 2)
        p->heap[at] = p->heap[(at - 1) / 2];
    p->heap[at] = what;
}

static int heap_pop(struct packing *p)
{
    int top = p->heap[0], last = p->heap[--p->n_heap], at = 0;
    for (int child; (child = 2 * at + 1) < p->n_heap; at = child) {
        if (child + 1 < p->n_heap && shorter(p, p->heap[child + 1], p->heap[child]))
            child++;
        if (!shorter(p, p->heap[child], last))
            break;
        p->heap[at] = p->heap[child];
    }
    p->heap[at] = last;
    return top;
}

static void arrive(struct packing *p, int64_t start, int64_t length)
{
    int at = p->unused[--p->n_unused];
    p->pool[at] = (struct waiting){start, length, -1};
    p->n++;
    if (length > p->T + 1) {
        heap_push(p, at);
        return;
    }
    if (p->head[length] < 0)
        p->head[length] = at;
    else
        p->pool[p->tail[length]].next = at;
    p->tail[length] = at;
    p->some[length / WORD] |= (uint64_t)1 << length % WORD;
}

static void take_next(struct packing *p)
{
    const struct token_list *list = p->list;
    while (p->i_file < list->n_files && p->i_document == list->files[p->i_file].n_documents) {
        p->i_file++;
        p->i_document = 0;
    }
    p->is_end = p->i_file == list->n_files;
    if (p->is_end)
        return;
    const struct token_file *file = &list->files[p->i_file];
    const int64_t *border = &file->documents[p->i_document++];
    p->n_read++;
    if (border[1] > border[0])
        arrive(p, file->first + border[0], border[1] - border[0]);
}

static void refill(struct packing *p)
{
    while (p->n < BUFFER && !p->is_end)
        for (int i = 0; i < SLICE && !p->is_end; i++)
            take_next(p);
}

static struct waiting leave(struct packing *p, int at)
{
    p->unused[p->n_unused++] = at;
    p->n--;
    return p->pool[at];
}

static struct waiting leave_queue(struct packing *p, int64_t length)
{
    int at = p->head[length];
    p->head[length] = p->pool[at].next;
    if (p->head[length] < 0)
        p->some[length / WORD] &= ~((uint64_t)1 << length % WORD);
    return leave(p, at);
}

// The largest length in the buffer that is at most so large; -1: none is.
static int64_t longest_that_fits(const struct packing *p, int64_t room)
{
    int64_t word = room / WORD;
    uint64_t bits = p->some[word] & (UINT64_MAX >> (WORD - 1 - room % WORD));
    while (!bits && word > 0)
        bits = p->some[--word];
    return bits ? word * WORD + WORD - 1 - __builtin_clzll(bits) : -1;
}

// Nothing fits: what is shortest stands in a queue unless all documents are longer than a row.
static struct waiting leave_shortest(struct packing *p)
{
    for (int64_t word = 0; word <= (p->T + 1) / WORD; word++)
        if (p->some[word])
            return leave_queue(p, word * WORD + __builtin_ctzll(p->some[word]));
    return leave(p, heap_pop(p));
}

// False: the documents ended before it was full.
static bool fill_row(struct packing *p)
{
    p->n_row = 0;
    for (int64_t room = p->T + 1; room > 0;) {
        refill(p);
        if (!p->n)
            return false;
        int64_t length = longest_that_fits(p, room), taken = length > 0 ? length : room;
        struct waiting w = length > 0 ? leave_queue(p, length) : leave_shortest(p);
        p->starts[p->n_row] = w.start;
        p->tokens[p->n_row++] = (int32_t)taken;
        room -= taken;
    }
    return true;
}

static struct error *open_packing(struct packing **out, const struct token_list *list, int64_t T)
{
    size_t n_lengths = (size_t)T + 2, n_words = n_lengths / WORD + 1;
    struct packing *p = block_alloc(sizeof *p);
    if (!p)
        return error_memory();
    memset(p, 0, sizeof *p);
    *out = p;
    p->list = list;
    p->T = T;
    p->head = block_alloc(n_lengths * sizeof *p->head);
    p->tail = block_alloc(n_lengths * sizeof *p->tail);
    p->some = block_alloc(n_words * sizeof *p->some);
    p->starts = block_alloc(n_lengths * sizeof *p->starts);
    p->tokens = block_alloc(n_lengths * sizeof *p->tokens);
    if (!p->head || !p->tail || !p->some || !p->starts || !p->tokens)
        return error_memory();
    memset(p->some, 0, n_words * sizeof *p->some);
    for (size_t i = 0; i < n_lengths; i++)
        p->head[i] = -1;
    while (p->n_unused < ROOM) {
        p->unused[p->n_unused] = p->n_unused;
        p->n_unused++;
    }
    return NULL;
}

static void close_packing(struct packing *p)
{
    if (p) {
        block_free(p->head);
        block_free(p->tail);
        block_free(p->some);
        block_free(p->starts);
        block_free(p->tokens);
    }
    block_free(p);
}

static struct error *add_row(struct best_fit *plan, const struct packing *p)
{
    struct error *e = spill_append(&plan->made[STARTS], p->starts, (size_t)p->n_row * sizeof *p->starts);
    if (!e)
        e = spill_append(&plan->made[TOKENS], p->tokens, (size_t)p->n_row * sizeof *p->tokens);
    plan->n_segments += p->n_row;
    plan->n_rows++;
    return e ? e : spill_append(&plan->made[FIRST], &plan->n_segments, sizeof plan->n_segments);
}

static struct error *pack(struct best_fit *plan, struct packing *p, void (*show)(void *self, int64_t documents), void *self)
{
    struct error *e = spill_append(&plan->made[FIRST], &plan->n_segments, sizeof plan->n_segments);
    while (!e && fill_row(p)) {
        e = add_row(plan, p);
        if (plan->n_rows % STOP_ROWS)
            continue;
        if (!e && stop_requested())
            e = error_stopped();
        if (show)
            show(self, p->n_read);
    }
    if (!e && !plan->n_rows)
        e = error_new(ERROR_DATA, NOWHERE, "give it more text, or a smaller seq_len",
                      "%lld tokens do not fill one row of %lld inputs and their targets", (long long)plan->n_tokens,
                      (long long)plan->T);
    return e;
}

struct error *best_fit_make(struct best_fit *plan, const struct token_list *list, int64_t T, const char *path,
                            void (*show)(void *self, int64_t documents), void *self)
{
    struct packing *p = NULL;
    const void *data[BEST_FIT_SETS] = {0};
    *plan = (struct best_fit){.T = T, .n_tokens = list->n, .n_documents = list->n_documents, .path = path};
    if (T < 1 || T > INT32_MAX - 2)
        return error_plain(ERROR_FAILED, "rows of %lld tokens", (long long)T);
    struct error *e = open_packing(&p, list, T);
    for (int i = 0; i < BEST_FIT_SETS && !e; i++)
        e = spill_open(&plan->made[i], path);
    if (!e)
        e = pack(plan, p, show, self);
    for (int i = 0; i < BEST_FIT_SETS && !e; i++)
        e = spill_map(&plan->made[i], &data[i]);
    plan->first = data[FIRST];
    plan->starts = data[STARTS];
    plan->tokens = data[TOKENS];
    close_packing(p);
    if (e)
        best_fit_release(plan);
    return e;
}
