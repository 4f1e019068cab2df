// task_row_writer.c - growing buffers, one for each dataset; all are written when the last row is there.
#include "core/data/task_rows_inside.h"

static struct error *append_i64(struct bytes *b, int64_t value)
{
    return bytes_append(b, &value, sizeof value);
}

static struct error *append_i32(struct bytes *b, int32_t value)
{
    return bytes_append(b, &value, sizeof value);
}

// Ends have a 0 before the first row.
static struct error *start_ends(struct bytes *ends)
{
    return ends->n ? NULL : append_i64(ends, 0);
}

static struct error *check_row(const struct task_row_writer *w, const struct task_row *row)
{
    const struct task_answer *a = &row->answer;
    for (int64_t i = 0; i < row->n; i++)
        if (row->mask[i] > 1)
            return error_plain(ERROR_FAILED, "the mask of a token is %d", row->mask[i]);
    if (row->n_prompt < 0 || row->n_prompt > row->n || (row->n_prompt && row->ids[row->n_prompt - 1] != w->assistant_start))
        return error_plain(ERROR_FAILED, "a prompt of %lld of %lld tokens does not end with assistant_start",
                           (long long)row->n_prompt, (long long)row->n);
    if (a->right < -1 || a->right >= a->n_letters || (a->n_letters && a->right < 0))
        return error_plain(ERROR_FAILED, "the right letter is %d of %d", a->right, a->n_letters);
    for (int i = 0; i < a->n_letters; i++)
        if (a->letters[i] < 0 || a->letters[i] >= w->n_vocab)
            return error_plain(ERROR_FAILED, "letter %d is outside the vocabulary of %lld", a->letters[i], (long long)w->n_vocab);
    return NULL;
}

struct error *task_row_writer_add(struct task_row_writer *w, const struct task_row *row)
{
    const struct task_answer *a = &row->answer;
    struct error *e;
    w->tokens.n_vocab = w->n_vocab;
    if ((e = check_row(w, row)) || (e = start_ends(&w->answer_ends)) || (e = start_ends(&w->letter_ends)) ||
        (e = token_writer_add(&w->tokens, row->ids, row->n)) || (e = bytes_append(&w->mask, row->mask, (size_t)row->n)) ||
        (e = append_i64(&w->prompts, row->n_prompt)) || (e = bytes_append(&w->answers, a->text, a->n_text)) ||
        (e = append_i64(&w->answer_ends, (int64_t)w->answers.n)) ||
        (e = bytes_append(&w->letters, a->letters, (size_t)a->n_letters * sizeof *a->letters)) ||
        (e = append_i64(&w->letter_ends, (int64_t)(w->letters.n / sizeof *a->letters))))
        return e;
    return append_i32(&w->right, a->right);
}

static struct store_set set_of(const char *path, enum store_type type, const void *data, int64_t n)
{
    return (struct store_set){.path = path, .type = type, .n_dims = 1, .dims = {n}, .data = data};
}

static struct store_set set_of_bytes(const char *path, enum store_type type, const struct bytes *b)
{
    return set_of(path, type, b->byte, (int64_t)(b->n / store_type_bytes(type, 0)));
}

struct error *task_row_writer_save(struct task_row_writer *w, const char *path, const struct store_attribute *attributes,
                                   int n_attributes)
{
    struct token_writer *t = &w->tokens;
    struct error *e;
    if ((e = start_ends(&w->answer_ends)) || (e = start_ends(&w->letter_ends)))
        return e;
    struct arena arena = {0};
    const struct store_attribute own[] = {store_i64("/", "n", t->n), store_i64("/", "d", t->n_documents),
                                          store_i64("/", "n_vocab", w->n_vocab),
                                          store_i64("/", "assistant_start", w->assistant_start)};
    const struct store_attribute *all = store_both(&arena, attributes, n_attributes, own, countof(own));
    if (!all)
        return error_memory();
    const int64_t none = 0;
    if (t->documents)
        t->documents[t->n_documents] = t->n;
    t->n_vocab = w->n_vocab; // also where there is no row
    struct store_set sets[] = {token_writer_set(t),
                               set_of_bytes("/mask", STORE_U8, &w->mask),
                               set_of("/rows", STORE_I64, t->documents ? t->documents : &none, t->n_documents + 1),
                               set_of_bytes("/prompts", STORE_I64, &w->prompts),
                               set_of_bytes("/answers", STORE_U8, &w->answers),
                               set_of_bytes("/answer_ends", STORE_I64, &w->answer_ends),
                               set_of_bytes("/letters", STORE_I32, &w->letters),
                               set_of_bytes("/letter_ends", STORE_I64, &w->letter_ends),
                               set_of_bytes("/right", STORE_I32, &w->right)};
    e = store_save(path, all, n_attributes + (int)countof(own), sets, countof(sets));
    arena_release(&arena);
    return e;
}

void task_row_writer_release(struct task_row_writer *w)
{
    token_writer_release(&w->tokens);
    struct bytes *all[] = {&w->mask, &w->answers, &w->prompts, &w->answer_ends, &w->letter_ends, &w->letters, &w->right};
    for (size_t i = 0; i < countof(all); i++)
        bytes_release(all[i]);
    *w = (struct task_row_writer){.n_vocab = w->n_vocab, .assistant_start = w->assistant_start};
}
