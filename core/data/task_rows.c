// task_rows.c - mapped files, checked whole when they are opened: afterwards reading cannot fail.
//
// Every number of a file that is used as a place or as an id is looked at once: ends never decrease and end at what is there, ids
// and letters are in the vocabulary, a mask is 0 or 1, a prompt ends with assistant_start inside its row, `right` is one of the
// letters. That reads the tokens and the mask once, at the speed of memory, and spares every caller an error of its own.
#include "core/data/task_rows.h"

#include <assert.h>
#include <string.h>

#include "core/base/shuffle.h"
#include "core/base/stop.h"
#include "core/data/task_rows_inside.h"

enum { NARROW = 65536, CHECK_ITEMS = 1 << 26, STOP_ROWS = 1 << 16, ORDER_SEED = 42 };

struct task_rows_file {
    const char *path;
    struct store_file *file; // detached: its mapping alone
    const uint16_t *ids_u16; // one of the two
    const uint32_t *ids_u32;
    const uint8_t *mask;
    const int64_t *rows, *prompts; // [d+1], [d]
    const char *answers;
    const int64_t *answer_ends; // [d+1]
    const int32_t *letters;
    const int64_t *letter_ends; // [d+1]
    const int32_t *right;       // [d]
    int64_t n, d, n_vocab, assistant_start;
    int64_t first; // row of this file in the list
};

static struct error *damaged(const struct task_rows_file *f, int64_t row, const char *what)
{
    return error_plain(ERROR_DATA, "row %lld of '%s' %s", (long long)row, f->path, what);
}

static int32_t id_at(const struct task_rows_file *f, int64_t at)
{
    return f->ids_u16 ? (int32_t)f->ids_u16[at] : (int32_t)f->ids_u32[at];
}

static struct error *check_ends(const struct task_rows_file *f, const int64_t *ends, int64_t n, const char *what)
{
    bool good = ends[0] == 0 && ends[f->d] == n;
    for (int64_t i = 0; i < f->d && good; i++)
        good = ends[i] <= ends[i + 1];
    return good ? NULL : error_plain(ERROR_DATA, "the borders of %s in '%s' are out of order", what, f->path);
}

static struct error *check_tokens(const struct task_rows_file *f)
{
    for (int64_t first = 0; first < f->n; first += CHECK_ITEMS) {
        if (stop_requested())
            return error_stopped();
        int64_t end = f->n - first < CHECK_ITEMS ? f->n : first + CHECK_ITEMS;
        uint32_t largest = 0;
        unsigned bits = 0;
        if (f->ids_u32) {
#pragma omp parallel for reduction(max : largest)
            for (int64_t i = first; i < end; i++)
                largest = f->ids_u32[i] > largest ? f->ids_u32[i] : largest;
        } else if (f->n_vocab < NARROW) { // else any u16 will do
#pragma omp parallel for reduction(max : largest)
            for (int64_t i = first; i < end; i++)
                largest = f->ids_u16[i] > largest ? f->ids_u16[i] : largest;
        }
#pragma omp parallel for reduction(| : bits)
        for (int64_t i = first; i < end; i++)
            bits |= f->mask[i];
        if (largest >= (uint64_t)f->n_vocab)
            return error_plain(ERROR_DATA, "'%s' has token %u, where the vocabulary is %lld", f->path, largest,
                               (long long)f->n_vocab);
        if (bits > 1)
            return error_plain(ERROR_DATA, "'%s' has a mask that is neither 0 nor 1", f->path);
    }
    return NULL;
}

static struct error *check_rows(const struct task_rows_file *f)
{
    for (int64_t i = 0; i < f->d; i++) {
        int64_t length = f->rows[i + 1] - f->rows[i], n_letters = f->letter_ends[i + 1] - f->letter_ends[i];
        int64_t prompt = f->prompts[i];
        if (prompt < 0 || prompt > length)
            return damaged(f, i, "has a prompt that is longer than the row");
        if (prompt > 0 && id_at(f, f->rows[i] + prompt - 1) != f->assistant_start)
            return damaged(f, i, "has a prompt that does not end with assistant_start");
        if (n_letters > INT32_MAX || f->right[i] < -1 || f->right[i] >= n_letters || (n_letters && f->right[i] < 0))
            return damaged(f, i, "has a right letter that is none of its letters");
        for (int64_t k = f->letter_ends[i]; k < f->letter_ends[i + 1]; k++)
            if (f->letters[k] < 0 || f->letters[k] >= f->n_vocab)
                return damaged(f, i, "has a letter outside the vocabulary");
        if (i % STOP_ROWS == STOP_ROWS - 1 && stop_requested())
            return error_stopped();
    }
    return NULL;
}

// One dataset, which must have n items; n -1: *n_items takes what there is.
static struct error *map_set(struct task_rows_file *f, const char *set, enum store_type type, int64_t n, const void **data,
                             int64_t *n_items)
{
    int64_t found;
    struct error *e = store_map(f->file, set, type, data, &found);
    if (e)
        return e;
    if (n >= 0 && found != n)
        return error_plain(ERROR_DATA, "'%s' of '%s' has %lld items where %lld belong", set, f->path, (long long)found,
                           (long long)n);
    if (n_items)
        *n_items = found;
    return NULL;
}

static struct error *read_attributes(struct task_rows_file *f)
{
    struct error *e;
    if ((e = store_get_i64(f->file, "/", "n", &f->n)) || (e = store_get_i64(f->file, "/", "d", &f->d)) ||
        (e = store_get_i64(f->file, "/", "n_vocab", &f->n_vocab)) ||
        (e = store_get_i64(f->file, "/", "assistant_start", &f->assistant_start)))
        return e;
    if (f->n_vocab < 1 || f->n_vocab > INT32_MAX)
        return error_plain(ERROR_DATA, "'%s' has the impossible vocabulary size %lld", f->path, (long long)f->n_vocab);
    if (f->assistant_start < 0 || f->assistant_start >= f->n_vocab)
        return error_plain(ERROR_DATA, "'%s' has assistant_start at %lld, outside its vocabulary of %lld", f->path,
                           (long long)f->assistant_start, (long long)f->n_vocab);
    if (f->n < 0 || f->d < 0 || f->d == INT64_MAX)
        return error_plain(ERROR_DATA, "'%s' says that it has %lld tokens in %lld rows", f->path, (long long)f->n,
                           (long long)f->d);
    return NULL;
}

static struct error *map_file(struct task_rows_file *f)
{
    struct error *e = read_attributes(f);
    if (e)
        return e;
    const void *ids, *mask, *rows, *prompts, *answers, *answer_ends, *letters, *letter_ends, *right;
    int64_t n_answers, n_letters;
    bool narrow = f->n_vocab <= NARROW;
    if ((e = map_set(f, "/tokens", narrow ? STORE_U16 : STORE_U32, f->n, &ids, NULL)) ||
        (e = map_set(f, "/mask", STORE_U8, f->n, &mask, NULL)) || (e = map_set(f, "/rows", STORE_I64, f->d + 1, &rows, NULL)) ||
        (e = map_set(f, "/prompts", STORE_I64, f->d, &prompts, NULL)) ||
        (e = map_set(f, "/answers", STORE_U8, -1, &answers, &n_answers)) ||
        (e = map_set(f, "/answer_ends", STORE_I64, f->d + 1, &answer_ends, NULL)) ||
        (e = map_set(f, "/letters", STORE_I32, -1, &letters, &n_letters)) ||
        (e = map_set(f, "/letter_ends", STORE_I64, f->d + 1, &letter_ends, NULL)) ||
        (e = map_set(f, "/right", STORE_I32, f->d, &right, NULL)))
        return e;
    f->ids_u16 = narrow ? ids : NULL;
    f->ids_u32 = narrow ? NULL : ids;
    f->mask = mask;
    f->rows = rows;
    f->prompts = prompts;
    f->answers = answers;
    f->answer_ends = answer_ends;
    f->letters = letters;
    f->letter_ends = letter_ends;
    f->right = right;
    store_detach(f->file);
    if ((e = check_ends(f, f->rows, f->n, "rows")) || (e = check_ends(f, f->answer_ends, n_answers, "answers")) ||
        (e = check_ends(f, f->letter_ends, n_letters, "letters")) || (e = check_tokens(f)))
        return e;
    return check_rows(f);
}

static struct error *open_file(struct task_rows *rows, const char *path)
{
    struct task_rows_file *f = &rows->files[rows->n_files];
    struct error *e = store_open(&f->file, path);
    if (e)
        return e;
    rows->n_files++; // from here task_rows_close closes it
    f->path = path;
    f->first = rows->n;
    if ((e = map_file(f)))
        return e;
    const struct task_rows_file *before = rows->files;
    if (f->n_vocab != before->n_vocab || f->assistant_start != before->assistant_start)
        return error_plain(ERROR_DATA, "'%s' and '%s' were made with different tokenizers", path, before->path);
    rows->n_vocab = f->n_vocab;
    rows->assistant_start = (int32_t)f->assistant_start;
    rows->n += f->d; // bounded by the sizes of the files
    rows->n_tokens += f->n;
    return NULL;
}

// The file of row i, and *i its row there.
static const struct task_rows_file *file_of(const struct task_rows *rows, int64_t *i)
{
    assert(*i >= 0 && *i < rows->n);
    int low = 0, high = rows->n_files;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (rows->files[middle].first <= *i)
            low = middle;
        else
            high = middle;
    }
    *i -= rows->files[low].first;
    return &rows->files[low];
}

static void copy_ids(const struct task_rows_file *f, int64_t at, int64_t n, int32_t *ids)
{
    if (f->ids_u16)
        for (int64_t k = 0; k < n; k++)
            ids[k] = (int32_t)f->ids_u16[at + k];
    else
        for (int64_t k = 0; k < n; k++)
            ids[k] = (int32_t)f->ids_u32[at + k];
}

void task_rows_span(const struct task_rows *rows, int64_t i, int64_t first, int64_t n, int32_t *ids)
{
    const struct task_rows_file *f = file_of(rows, &i);
    assert(first >= 0 && n >= 0 && first + n <= f->rows[i + 1] - f->rows[i]);
    copy_ids(f, f->rows[i] + first, n, ids);
}

const uint8_t *task_rows_mask(const struct task_rows *rows, int64_t i)
{
    const struct task_rows_file *f = file_of(rows, &i);
    return f->mask + f->rows[i];
}

struct error *task_rows_open(struct task_rows *rows, const char *const *paths, int n_paths, struct arena *arena)
{
    *rows = (struct task_rows){.files = arena_array(arena, (size_t)n_paths + 1, sizeof *rows->files)};
    struct error *e = rows->files ? NULL : error_memory();
    for (int i = 0; i < n_paths && !e; i++) {
        const char *path = arena_strdup(arena, paths[i]);
        e = stop_requested() ? error_stopped() : path ? open_file(rows, path) : error_memory();
    }
    if (e)
        task_rows_close(rows);
    return e;
}

void task_rows_close(struct task_rows *rows)
{
    for (int i = 0; i < rows->n_files; i++)
        store_close(rows->files[i].file);
    *rows = (struct task_rows){0};
}

int64_t task_rows_length(const struct task_rows *rows, int64_t i)
{
    const struct task_rows_file *f = file_of(rows, &i);
    return f->rows[i + 1] - f->rows[i];
}

int64_t task_rows_read(const struct task_rows *rows, int64_t i, int64_t max_tokens, int32_t *ids, uint8_t *mask)
{
    assert(max_tokens >= 0);
    const struct task_rows_file *f = file_of(rows, &i);
    int64_t length = f->rows[i + 1] - f->rows[i], n = length < max_tokens ? length : max_tokens;
    if (ids)
        copy_ids(f, f->rows[i], n, ids);
    if (mask && n)
        memcpy(mask, f->mask + f->rows[i], (size_t)n);
    return n;
}

int64_t task_rows_prompt(const struct task_rows *rows, int64_t i, int64_t max_tokens, int32_t *ids)
{
    assert(max_tokens >= 0);
    const struct task_rows_file *f = file_of(rows, &i);
    int64_t prompt = f->prompts[i];
    if (prompt == 0)
        return 0;
    int64_t n = prompt - 1 < max_tokens ? prompt - 1 : max_tokens; // what stands before assistant_start is cut, it is not
    if (ids) {
        copy_ids(f, f->rows[i], n, ids);
        ids[n] = rows->assistant_start;
    }
    return n + 1;
}

struct task_answer task_rows_answer(const struct task_rows *rows, int64_t i)
{
    const struct task_rows_file *f = file_of(rows, &i);
    return (struct task_answer){.text = f->answers + f->answer_ends[i],
                                .n_text = (size_t)(f->answer_ends[i + 1] - f->answer_ends[i]),
                                .letters = f->letters + f->letter_ends[i],
                                .n_letters = (int)(f->letter_ends[i + 1] - f->letter_ends[i]),
                                .right = f->right[i]};
}

struct error *task_rows_order(int64_t n, int64_t *order)
{
    return shuffle_numpy(ORDER_SEED, n, order);
}
