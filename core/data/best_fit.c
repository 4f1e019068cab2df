// best_fit.c - the buffer is a queue for each length that could fit into a row, a bitmap of the queues that hold something, and a heap
// of all longer documents, which only ever leave as the shortest.
#include "core/data/best_fit.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/stop.h"

enum { BUFFER = 1000, SLICE = 128, ROOM = BUFFER + SLICE, STOP_ROWS = 4096, FIRST_SEGMENTS = 4096, WORD = 64 };

struct waiting {
    int64_t document, length;
    int64_t arrival;
    int next; // in its queue; -1 ends it
};

struct packing {
    const int64_t *lengths;
    int64_t n_documents, T;
    int64_t n_read, passed; // documents read; empty ones since the last that was not
    struct waiting pool[ROOM];
    int unused[ROOM], n_unused;
    int n; // in the buffer
    int *head, *tail;
    uint64_t *some; // bit length: its queue is not empty
    int heap[ROOM], n_heap;
};

static bool shorter(const struct packing *p, int a, int b)
{
    const struct waiting *x = &p->pool[a], *y = &p->pool[b];
    return x->length != y->length ? x->length < y->length : x->arrival < y->arrival;
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

static void arrive(struct packing *p, int64_t document, int64_t arrival)
{
    int64_t length = p->lengths[document];
    int at = p->unused[--p->n_unused];
    p->pool[at] = (struct waiting){document, length, arrival, -1};
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

static struct error *refill(struct packing *p)
{
    while (p->n < BUFFER)
        for (int i = 0; i < SLICE; i++, p->n_read++) {
            int64_t document = p->n_read % p->n_documents;
            bool is_empty = p->lengths[document] <= 0;
            p->passed = is_empty ? p->passed + 1 : 0;
            if (p->passed >= p->n_documents)
                return error_plain(ERROR_DATA, "no document has a token");
            if (!is_empty)
                arrive(p, document, p->n_read);
        }
    return NULL;
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

static bool add_segment(struct best_fit *plan, int64_t document, int64_t tokens)
{
    if (plan->n_segments == plan->segment_capacity) {
        int64_t old = plan->segment_capacity, grown = old ? 2 * old : FIRST_SEGMENTS;
        int64_t *documents = block_resize(plan->documents, (size_t)old * sizeof *documents, (size_t)grown * sizeof *documents);
        plan->documents = documents ? documents : plan->documents;
        int32_t *counts =
            documents ? block_resize(plan->tokens, (size_t)old * sizeof *counts, (size_t)grown * sizeof *counts) : NULL;
        plan->tokens = counts ? counts : plan->tokens;
        if (!counts)
            return false;
        plan->segment_capacity = grown;
    }
    plan->documents[plan->n_segments] = document;
    plan->tokens[plan->n_segments++] = (int32_t)tokens;
    return true;
}

static struct error *pack_row(struct packing *p, struct best_fit *plan)
{
    struct error *e = NULL;
    for (int64_t room = p->T + 1; room > 0 && !e;) {
        if ((e = refill(p)))
            break;
        int64_t length = longest_that_fits(p, room);
        struct waiting w = length > 0 ? leave_queue(p, length) : leave_shortest(p);
        int64_t taken = length > 0 ? length : room;
        plan->n_taken++;
        plan->n_dropped += w.length - taken;
        room -= taken;
        if (!add_segment(plan, w.document, taken))
            e = error_memory();
    }
    return e;
}

static struct error *open_packing(struct packing **out, const int64_t *lengths, int64_t n_documents, int64_t T)
{
    size_t n_lengths = (size_t)T + 2, n_words = n_lengths / WORD + 1;
    struct packing *p = block_alloc(sizeof *p);
    if (!p)
        return error_memory();
    memset(p, 0, sizeof *p);
    *out = p;
    p->lengths = lengths;
    p->n_documents = n_documents;
    p->T = T;
    p->head = block_alloc(n_lengths * sizeof *p->head);
    p->tail = block_alloc(n_lengths * sizeof *p->tail);
    p->some = block_alloc(n_words * sizeof *p->some);
    if (!p->head || !p->tail || !p->some)
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
    }
    block_free(p);
}

struct error *best_fit_make(struct best_fit *plan, const int64_t *lengths, int64_t n_documents, int64_t T, int64_t n_rows)
{
    struct packing *p = NULL;
    *plan = (struct best_fit){.T = T, .n_rows = n_rows};
    if (T < 1 || T > INT32_MAX - 2 || n_rows < 1 || n_rows > INT64_MAX / (2 * (int64_t)sizeof *plan->first))
        return error_plain(ERROR_FAILED, "%lld rows of %lld tokens", (long long)n_rows, (long long)T);
    if (n_documents < 1)
        return error_plain(ERROR_DATA, "no document has a token");
    plan->first = block_alloc(((size_t)n_rows + 1) * sizeof *plan->first);
    struct error *e = plan->first ? open_packing(&p, lengths, n_documents, T) : error_memory();
    for (int64_t r = 0; r < n_rows && !e; r++) {
        plan->first[r] = plan->n_segments;
        e = r % STOP_ROWS == 0 && stop_requested() ? error_stopped() : pack_row(p, plan);
    }
    if (!e) {
        plan->first[n_rows] = plan->n_segments;
        plan->n_read = p->n_read;
    }
    close_packing(p);
    if (e)
        best_fit_release(plan);
    return e;
}

// Where a document begins in the list, and how long it is.
static bool find_document(const struct token_list *list, int64_t document, int64_t *start, int64_t *length)
{
    int low = 0, high = list->n_files - 1;
    if (document < 0 || document >= list->n_documents)
        return false;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (list->files[middle].first_document <= document)
            low = middle;
        else
            high = middle - 1;
    }
    const struct token_file *file = &list->files[low];
    int64_t i = document - file->first_document;
    *start = file->first + file->documents[i];
    *length = file->documents[i + 1] - file->documents[i];
    return true;
}

// The first n tokens of row r.
static struct error *read_row(const struct best_fit *plan, const struct token_list *list, int64_t r, int32_t *row, int64_t n)
{
    int64_t done = 0;
    for (int64_t s = plan->first[r]; s < plan->first[r + 1] && done < n; s++) {
        int64_t start, length, wanted = plan->tokens[s] < n - done ? plan->tokens[s] : n - done;
        if (!find_document(list, plan->documents[s], &start, &length) || plan->tokens[s] > length)
            return error_plain(ERROR_DATA, "the plan of rows does not belong to these tokens");
        struct error *e = token_list_read(list, start, wanted, row + done);
        if (e)
            return e;
        done += wanted;
    }
    return done == n ? NULL : error_plain(ERROR_DATA, "row %lld of the plan has %lld tokens", (long long)r, (long long)done);
}

struct error *best_fit_read(const struct best_fit *plan, const struct token_list *list, int64_t first, int64_t n, int32_t *inputs,
                            int32_t *targets)
{
    const int64_t T = plan->T;
    if (first < 0 || n < 0 || first > INT64_MAX - n)
        return error_plain(ERROR_FAILED, "%lld rows from row %lld on are asked for", (long long)n, (long long)first);
    for (int64_t i = 0; i < n; i++, inputs += T, targets += T) {
        int64_t r = (first + i) % plan->n_rows, last = plan->first[r + 1] - 1, start, length;
        struct error *e = read_row(plan, list, r, inputs, T);
        if (e)
            return e;
        // The last target is the last token that the row's last segment takes.
        if (!find_document(list, plan->documents[last], &start, &length) || plan->tokens[last] > length || plan->tokens[last] < 1)
            return error_plain(ERROR_DATA, "the plan of rows does not belong to these tokens");
        if ((e = token_list_read(list, start + plan->tokens[last] - 1, 1, targets + T - 1)))
            return e;
        memcpy(targets, inputs + 1, (size_t)(T - 1) * sizeof *targets);
    }
    return NULL;
}

void best_fit_release(struct best_fit *plan)
{
    block_free(plan->first);
    block_free(plan->documents);
    block_free(plan->tokens);
    *plan = (struct best_fit){0};
}
