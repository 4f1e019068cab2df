// text_inputs.c - opens what a job's roles name.
#include "runner/stages/text_inputs.h"

#include <string.h>

#include "core/text/tokenizer_file.h"

static struct error *load_tokenizer(struct text_inputs *in, const struct job *job, const char *role, struct arena *arena)
{
    const char *const *paths;
    int n_paths;
    struct store_file *file = NULL;
    struct error *e = job_paths(job, role, &paths, &n_paths);
    if (!e)
        e = store_open(&file, paths[0]);
    if (!e)
        e = tokenizer_load(file, arena, &in->tokenizer);
    store_close(file);
    return e;
}

static struct error *open_list(struct token_list *list, const char *const *paths, int n_paths, int64_t n_vocab,
                               struct arena *arena)
{
    struct error *e = token_list_open(list, paths, n_paths, arena);
    if (!e && list->n_vocab != n_vocab)
        e = error_plain(ERROR_DATA, "the token files have a vocabulary of %lld, the tokenizer one of %lld",
                        (long long)list->n_vocab, (long long)n_vocab);
    return e;
}

// Rows of the plan, or, without one, of the flat stream.
static struct error *open_text(struct text_rows *r, const char *const *paths, int n_paths, const char *plan, int64_t seq_len,
                               uint64_t seed, int64_t n_vocab, struct arena *arena)
{
    struct error *e = open_list(&r->list, paths, n_paths, n_vocab, arena);
    if (!e && plan)
        e = best_fit_open(&r->plan, plan, &r->list, seq_len);
    if (!e)
        e = plan ? rows_open_packed(&r->rows, &r->list, &r->plan, seed) : rows_open(&r->rows, &r->list, seq_len, seed);
    if (!e)
        r->n_rows = r->rows.N;
    return e;
}

static void close_text(struct text_rows *r)
{
    best_fit_release(&r->plan);
    token_list_close(&r->list);
}

static struct error *open_mix(struct text_inputs *in, const struct job *job, int64_t seq_len, uint64_t seed, struct arena *arena)
{
    if (!job->n_mix)
        return NULL;
    struct rows *rows = arena_array(arena, (size_t)job->n_mix, sizeof *rows);
    double *shares = arena_array(arena, (size_t)job->n_mix, sizeof *shares);
    in->mixed = arena_array(arena, (size_t)job->n_mix, sizeof *in->mixed);
    if (!rows || !shares || !in->mixed)
        return error_memory();
    for (int i = 0; i < job->n_mix; i++) {
        const struct job_mixed *text = &job->mix[i];
        struct text_rows *opened = &in->mixed[in->n_mixed++];
        struct error *e = open_text(opened, text->paths, text->n_paths, text->rows, seq_len, seed, in->tokenizer->n_vocab, arena);
        if (e)
            return error_while(e, NOWHERE, "opening '%s' of the mix", text->source);
        shares[i] = text->share;
        rows[i] = opened->rows;
    }
    return row_mix_open(&in->mix, rows, shares, job->n_mix, arena);
}

static const struct job_input *find_input(const struct job *job, const char *role)
{
    for (int i = 0; i < job->n_inputs; i++)
        if (!strcmp(job->inputs[i].role, role) && job->inputs[i].n_paths)
            return &job->inputs[i];
    return NULL;
}

static struct error *open_rows(struct text_rows *r, const struct job *job, const char *role, const char *plan_role,
                               int64_t seq_len, uint64_t seed, int64_t n_vocab, struct arena *arena)
{
    const struct job_input *input = find_input(job, role), *plan = find_input(job, plan_role);
    if (!input)
        return NULL;
    struct error *e = open_text(r, input->paths, input->n_paths, plan ? plan->paths[0] : NULL, seq_len, seed, n_vocab, arena);
    return error_while(e, NOWHERE, "opening the text of '%s'", role);
}

struct error *text_inputs_open(struct text_inputs *in, const struct job *job, const char *role, int64_t seq_len, uint64_t seed,
                               struct arena *arena)
{
    *in = (struct text_inputs){0};
    struct error *e = load_tokenizer(in, job, role, arena);
    if (!e)
        e = open_rows(&in->training, job, "tokens", "rows", seq_len, seed, in->tokenizer->n_vocab, arena);
    if (!e)
        e = open_mix(in, job, seq_len, seed, arena);
    if (!e)
        e = open_rows(&in->validation, job, "validation", "validation_rows", seq_len, seed, in->tokenizer->n_vocab, arena);
    return e;
}

void text_inputs_close(struct text_inputs *in)
{
    close_text(&in->training);
    close_text(&in->validation);
    for (int i = 0; i < in->n_mixed; i++)
        close_text(&in->mixed[i]);
}

static struct error *read_rows(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    (void)T; // all rows are whole
    return rows_read(&((struct text_rows *)self)->rows, first, n, inputs, targets);
}

struct row_source text_rows(struct text_rows *rows)
{
    return (struct row_source){.self = rows, .read = read_rows};
}

static struct error *read_mix(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    (void)T; // all rows are whole
    return row_mix_read(self, first, n, inputs, targets);
}

struct row_source text_training(struct text_inputs *in)
{
    return in->n_mixed ? (struct row_source){.self = &in->mix, .read = read_mix} : text_rows(&in->training);
}
