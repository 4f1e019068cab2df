// tokens.c - pieces of fixed size on the way in, mapped files on the way out.
#include "core/data/tokens.h"

#include <string.h>

#include "core/base/stop.h"

enum { NARROW = 65536, FIRST_CAPACITY = 1 << 10 };

static bool is_narrow(int64_t n_vocab)
{
    return n_vocab <= NARROW;
}

// Room for n more items in a doubling block.
static bool reserve(void **block, int64_t used, int64_t *capacity, int64_t n, size_t item_bytes)
{
    if (n <= *capacity - used)
        return true;
    int64_t grown = *capacity ? *capacity : FIRST_CAPACITY;
    while (n > grown - used)
        if (__builtin_mul_overflow(grown, 2, &grown) || grown > INT64_MAX / 64)
            return false;
    void *fresh = block_resize(*block, (size_t)used * item_bytes, (size_t)grown * item_bytes);
    if (!fresh)
        return false;
    *block = fresh;
    *capacity = grown;
    return true;
}

static int64_t id_bytes(const struct token_writer *w)
{
    return is_narrow(w->n_vocab) ? sizeof(uint16_t) : sizeof(uint32_t);
}

static int64_t piece_tokens(const struct token_writer *w)
{
    return STORE_PIECE / id_bytes(w);
}

static struct error *reserve_pieces(struct token_writer *w, int64_t n)
{
    int64_t per = piece_tokens(w);
    if (n > INT64_MAX / 8 - w->n)
        return error_memory();
    while (w->n_pieces * per < w->n + n) {
        void *pieces = w->pieces, *piece = NULL;
        bool good = reserve(&pieces, w->n_pieces, &w->pieces_capacity, 1, sizeof *w->pieces);
        w->pieces = pieces;
        if (!good || !(piece = block_alloc(STORE_PIECE)))
            return error_memory();
        w->pieces[w->n_pieces++] = piece;
    }
    return NULL;
}

static struct error *check_ids(const struct token_writer *w, const int32_t *ids, int64_t n)
{
    int32_t last = w->n_vocab < INT32_MAX ? (int32_t)w->n_vocab - 1 : INT32_MAX, wrong = 0;
#pragma omp simd reduction(| : wrong)
    for (int64_t i = 0; i < n; i++)
        wrong |= (ids[i] < 0) | (ids[i] > last);
    for (int64_t i = 0; wrong && i < n; i++)
        if (ids[i] < 0 || ids[i] > last)
            return error_plain(ERROR_FAILED, "token %d is outside the vocabulary of %lld", ids[i], (long long)w->n_vocab);
    return NULL;
}

static void narrow(const int32_t *restrict ids, int64_t n, uint16_t *restrict to)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        to[i] = (uint16_t)ids[i];
}

struct error *token_writer_extend(struct token_writer *w, const int32_t *ids, int64_t n)
{
    struct error *e = check_ids(w, ids, n);
    if (!e)
        e = reserve_pieces(w, n);
    for (int64_t per = piece_tokens(w), here; !e && n > 0; ids += here, n -= here) {
        void *piece = w->pieces[w->n / per];
        int64_t at = w->n % per;
        here = n < per - at ? n : per - at;
        if (is_narrow(w->n_vocab))
            narrow(ids, here, (uint16_t *)piece + at);
        else
            memcpy((uint32_t *)piece + at, ids, (size_t)here * sizeof *ids);
        w->n += here;
    }
    return e;
}

struct error *token_writer_add(struct token_writer *w, const int32_t *ids, int64_t n)
{
    void *documents = w->documents;
    bool good = reserve(&documents, w->n_documents, &w->document_capacity, 2, sizeof *w->documents); // one more for the end
    w->documents = documents;
    if (!good)
        return error_memory();
    int64_t first = w->n;
    struct error *e = token_writer_extend(w, ids, n);
    if (!e)
        w->documents[w->n_documents++] = first;
    return e;
}

struct store_set token_writer_set(const struct token_writer *w)
{
    return (struct store_set){.path = "/tokens",
                              .type = is_narrow(w->n_vocab) ? STORE_U16 : STORE_U32,
                              .n_dims = 1,
                              .dims = {w->n},
                              .pieces = (const void *const *)w->pieces};
}

// queue NULL: at once.
static struct error *save(struct token_writer *w, struct store_queue *queue, const char *path,
                          const struct store_attribute *attributes, int n_attributes)
{
    struct arena arena = {0};
    const struct store_attribute own[] = {store_i64("/", "n", w->n), store_i64("/", "d", w->n_documents),
                                          store_i64("/", "n_vocab", w->n_vocab)};
    const struct store_attribute *all = store_both(&arena, attributes, n_attributes, own, countof(own));
    if (!all)
        return error_memory();
    const int64_t none = 0;
    const int n = n_attributes + (int)countof(own);
    if (w->documents)
        w->documents[w->n_documents] = w->n;
    struct store_set sets[] = {token_writer_set(w),
                               {.path = "/documents",
                                .type = STORE_I64,
                                .n_dims = 1,
                                .dims = {w->n_documents + 1},
                                .data = w->documents ? w->documents : &none}};
    struct error *e =
        queue ? store_queue_save(queue, path, all, n, sets, countof(sets)) : store_save(path, all, n, sets, countof(sets));
    arena_release(&arena);
    return e;
}

struct error *token_writer_save(struct token_writer *w, const char *path, const struct store_attribute *attributes,
                                int n_attributes)
{
    return save(w, NULL, path, attributes, n_attributes);
}

struct error *token_writer_queue(struct token_writer *w, struct store_queue *queue, const char *path,
                                 const struct store_attribute *attributes, int n_attributes)
{
    return save(w, queue, path, attributes, n_attributes);
}

double token_writer_bytes(const struct token_writer *w)
{
    return (double)w->n * (double)id_bytes(w) + (double)(w->n_documents + 1) * sizeof *w->documents;
}

void token_writer_clear(struct token_writer *w)
{
    w->n = w->n_documents = 0;
}

void token_writer_release(struct token_writer *w)
{
    for (int64_t i = 0; i < w->n_pieces; i++)
        block_free(w->pieces[i]);
    block_free(w->pieces);
    block_free(w->documents);
    *w = (struct token_writer){.n_vocab = w->n_vocab};
}

static struct error *check_documents(const struct token_file *t)
{
    bool good = t->documents[0] == 0 && t->documents[t->n_documents] == t->n;
    for (int64_t i = 0; i < t->n_documents && good; i++)
        good = t->documents[i] <= t->documents[i + 1];
    return good ? NULL : error_plain(ERROR_DATA, "the borders of documents in '%s' are out of order", t->path);
}

static struct error *map_file(struct token_file *t)
{
    int64_t n, d, n_starts;
    struct error *e;
    if ((e = store_get_i64(t->file, "/", "n", &n)) || (e = store_get_i64(t->file, "/", "d", &d)) ||
        (e = store_get_i64(t->file, "/", "n_vocab", &t->n_vocab)))
        return e;
    if (t->n_vocab < 1 || t->n_vocab > INT32_MAX)
        return error_plain(ERROR_DATA, "'%s' has the impossible vocabulary size %lld", t->path, (long long)t->n_vocab);
    const void *ids, *documents;
    bool narrow = is_narrow(t->n_vocab);
    if ((e = store_map(t->file, "/tokens", narrow ? STORE_U16 : STORE_U32, &ids, &t->n)) ||
        (e = store_map(t->file, "/documents", STORE_I64, &documents, &n_starts)))
        return e;
    t->n_documents = n_starts - 1;
    if (n_starts < 1 || t->n_documents != d || t->n != n)
        return error_plain(ERROR_DATA, "'%s' has %lld tokens in %lld documents, but says %lld in %lld", t->path, (long long)t->n,
                           (long long)t->n_documents, (long long)n, (long long)d);
    t->ids_u16 = narrow ? ids : NULL;
    t->ids_u32 = narrow ? NULL : ids;
    t->documents = documents;
    store_detach(t->file);
    return check_documents(t);
}

static struct error *open_file(struct token_list *list, const char *path)
{
    struct token_file *t = &list->files[list->n_files];
    struct error *e = store_open(&t->file, path);
    if (e)
        return e;
    list->n_files++; // from here token_list_close closes it
    t->path = path;
    t->first = list->n;
    t->first_document = list->n_documents;
    if ((e = map_file(t)))
        return e;
    if (t != list->files && t->n_vocab != list->files[0].n_vocab)
        return error_plain(ERROR_DATA, "'%s' has a vocabulary of %lld, and '%s' one of %lld", path, (long long)t->n_vocab,
                           list->files[0].path, (long long)list->files[0].n_vocab);
    list->n_vocab = t->n_vocab;
    list->n += t->n; // bounded by the sizes of the files
    list->n_documents += t->n_documents;
    return NULL;
}

struct error *token_list_open(struct token_list *list, const char *const *paths, int n_paths, struct arena *arena)
{
    *list = (struct token_list){.files = arena_array(arena, (size_t)n_paths, sizeof *list->files)};
    struct error *e = list->files ? NULL : error_memory();
    for (int i = 0; i < n_paths && !e; i++) {
        const char *path = arena_strdup(arena, paths[i]);
        e = stop_requested() ? error_stopped() : path ? open_file(list, path) : error_memory();
    }
    if (e)
        token_list_close(list);
    return e;
}

void token_list_close(struct token_list *list)
{
    for (int i = 0; i < list->n_files; i++)
        store_close(list->files[i].file);
    *list = (struct token_list){0};
}

// The last file that begins at or before token `at`; empty files before it are passed over.
static int file_of(const struct token_list *list, int64_t at)
{
    int low = 0, high = list->n_files;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (list->files[middle].first <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static struct error *copy_ids(const struct token_file *t, int64_t first, int64_t n, int32_t *out)
{
    uint32_t largest = 0;
    if (t->ids_u16)
        for (int64_t i = 0; i < n; i++) {
            uint32_t id = t->ids_u16[first + i];
            largest = id > largest ? id : largest;
            out[i] = (int32_t)id;
        }
    else
        for (int64_t i = 0; i < n; i++) {
            uint32_t id = t->ids_u32[first + i];
            largest = id > largest ? id : largest;
            out[i] = (int32_t)id;
        }
    if (n && largest >= (uint32_t)t->n_vocab)
        return error_plain(ERROR_DATA, "'%s' has token %u among tokens %lld to %lld, where the vocabulary is %lld", t->path,
                           largest, (long long)first, (long long)(first + n - 1), (long long)t->n_vocab);
    return NULL;
}

struct error *token_list_read(const struct token_list *list, int64_t first, int64_t n, int32_t *out)
{
    if (first < 0 || n < 0 || first > list->n || n > list->n - first)
        return error_plain(ERROR_FAILED, "tokens %lld to %lld are asked for, of %lld", (long long)first, (long long)(first + n),
                           (long long)list->n);
    for (int i = file_of(list, first); n > 0; i++) {
        const struct token_file *t = &list->files[i];
        int64_t at = first - t->first, here = t->n - at < n ? t->n - at : n;
        struct error *e = copy_ids(t, at, here, out);
        if (e)
            return e;
        first += here;
        out += here;
        n -= here;
    }
    return NULL;
}
