// data_probe.c - everything is read whole up to a limit and summed a little, so that no compiler leaves it out.
#include "runner/graph/data_probe.h"

#include <math.h>
#include <omp.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/map.h"
#include "core/base/stop.h"
#include "core/data/documents.h"
#include "core/data/parquet.h"
#include "core/data/rows.h"
#include "core/data/tokenize.h"
#include "runner/graph/tokenizer_probe.h"
#include "runner/recipe/world_file.h"

enum { TRIES = 5, WORLD_DOCUMENTS = 40000, T = 2048, MICRO_BATCH = 16, MOST_BYTES = 400 << 20 };
enum { LEAST_TOKENIZED = 8 << 20, LEARNED_BYTES = 16 << 20, LEAST_TURNS = 3, TURNS = 12 };
static const double LONG_S = 2; // of all tries: what is slow is tried once or twice, and in turns a few times

struct probed {
    struct data_figures *f;
    struct document_part part;
    struct world world;
    struct token_list list;
    struct map map;
    uint64_t sum; // of what was read
};

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// A byte of each cache line, so that memory is read and little else is done.
static struct error *read_bytes(struct probed *p)
{
    for (size_t i = 0; i < p->map.n_bytes; i += 64)
        p->sum += p->map.data[i];
    return NULL;
}

static struct error *copy_rows(struct probed *p)
{
    static int32_t from[MICRO_BATCH * T], to[2][MICRO_BATCH * T];
    int64_t n = p->f->bytes / (int64_t)sizeof to;
    for (int64_t i = 0; i < n; i++) {
        from[i % countof(from)] = (int32_t)i;
        memcpy(to[0], from, sizeof from);
        memcpy(to[1], from, sizeof from);
        p->sum += (uint64_t)to[i & 1][i % countof(from)];
    }
    return NULL;
}

static struct error *read_rows(struct probed *p)
{
    static int32_t inputs[MICRO_BATCH * T], targets[MICRO_BATCH * T];
    struct rows rows;
    int64_t width = p->list.n > T ? T : p->list.n - 1, first = 0, n;
    struct error *e = rows_open(&rows, &p->list, width, 0);
    for (; !e && first < rows.N && first * width * 8 < MOST_BYTES; first += n) {
        n = rows.N - first < MICRO_BATCH ? rows.N - first : MICRO_BATCH;
        e = stop_requested() ? error_stopped() : rows_read(&rows, first, n, inputs, targets);
        p->sum += (uint64_t)targets[0];
    }
    p->f->bytes = first * width * 8;
    p->f->documents = p->list.n_documents;
    return e;
}

static struct error *read_documents(struct probed *p)
{
    struct documents *documents = NULL;
    const char *text;
    size_t n;
    struct error *e = documents_open(&documents, &p->part);
    p->f->documents = p->f->bytes = 0;
    while (!e && p->f->bytes < MOST_BYTES && !(e = documents_next(documents, &text, &n)) && text) {
        p->f->documents++;
        p->f->bytes += (int64_t)n;
        p->sum += (uint8_t)text[n / 2];
    }
    documents_close(documents);
    return e;
}

static struct error *write_world(struct probed *p)
{
    struct error *first = NULL;
#pragma omp parallel for schedule(dynamic, 64)
    for (int64_t i = 0; i < WORLD_DOCUMENTS; i++) {
        char *text = NULL;
        size_t n;
        struct error *e = stop_requested() ? error_stopped() : world_write(&p->world, 0, i, false, &text, &n);
        block_free(text);
        if (e) {
#pragma omp critical
            first = error_first(first, e);
        }
    }
    return first;
}

// The shortest time of a few tries; had: what share of a processor the best had, where it is asked for.
static struct error *best_of(struct probed *p, struct error *(*work)(struct probed *p), double *seconds, double *had)
{
    double began = clock_seconds();
    *seconds = INFINITY;
    for (int i = 0; i < TRIES && (!i || clock_seconds() - began < LONG_S); i++) {
        double start = clock_seconds(), used = processor_seconds();
        struct error *e = work(p);
        double took = clock_seconds() - start;
        if (e)
            return e;
        if (took >= *seconds)
            continue;
        *seconds = took;
        if (had)
            *had = fmin((processor_seconds() - used) / took, 1);
    }
    return NULL;
}

// In turns, so that others who use the machine slow both.
static struct error *measure_tokens(struct probed *p, const struct probe_text *text, const struct tokenizer *tokenizer)
{
    double began = clock_seconds(), tokenize_s = INFINITY, encode_s = INFINITY;
    struct error *e = NULL;
    struct token_writer writer = {.n_vocab = tokenizer->n_vocab}; // kept from file to file, as stages do
    for (int i = 0; i < TURNS && (i < LEAST_TURNS || clock_seconds() - began < LONG_S) && !e; i++) {
        struct tokenize *tokenize = NULL;
        double start = clock_seconds();
        int64_t tokens;
        e = tokenize_open(&tokenize, tokenizer, 0); // encoders that know nothing yet, as probe_encode has them
        if (!e)
            e = tokenize_documents(tokenize, &p->part, NULL, NULL, &writer);
        tokenize_s = fmin(tokenize_s, clock_seconds() - start);
        token_writer_clear(&writer);
        tokenize_close(tokenize);
        if (!e)
            e = probe_encode(tokenizer, text, p->f->threads, &tokens, &encode_s);
    }
    token_writer_release(&writer);
    p->f->tokenizing = (double)p->f->bytes / tokenize_s;
    p->f->encoding = (double)text->bytes.n / encode_s;
    return e;
}

static struct error *probe_tokens(struct probed *p, struct arena *arena)
{
    struct probe_text text = {0};
    struct tokenizer *tokenizer;
    if (p->f->bytes < LEAST_TOKENIZED || p->f->bytes >= MOST_BYTES)
        return NULL;
    struct error *e = probe_text_part(&text, &p->part, LEARNED_BYTES);
    if (!e)
        e = probe_learn(&tokenizer, &text, PROBE_VOCAB, 0, arena);
    if (!e)
        e = measure_tokens(p, &text, tokenizer);
    probe_text_release(&text);
    return e;
}

static bool has_texts(struct parquet *file, int column)
{
    if (parquet_n_lists(file, column))
        return false;
    struct error *e = parquet_n_row_groups(file) ? parquet_begin(file, 0, column) : NULL;
    error_free(e);
    return !e;
}

// `text` where there is such a column, else the first of one text a row.
static struct error *find_column(struct probed *p, const char *path, struct arena *arena)
{
    struct parquet *file;
    struct error *e = parquet_open(&file, path);
    if (e)
        return e;
    const char *column = NULL;
    for (int i = 0; i < parquet_n_columns(file); i++) {
        const char *name = parquet_column_path(file, i);
        if ((!column || !strcmp(name, "text")) && has_texts(file, i))
            column = name;
    }
    p->part.column = p->f->column = column ? arena_strdup(arena, column) : NULL;
    parquet_close(file);
    return column ? NULL : error_plain(ERROR_DATA, "'%s' has no column of one text a row", path);
}

static enum data_form form_of(const char *path)
{
    static const char *const endings[DATA_FORM_COUNT] = {".parquet", ".jsonl", ".txt", ".yaml", ".h5"};
    const char *ending = strrchr(path, '.');
    for (int i = 0; i < DATA_FORM_COUNT && ending; i++)
        if (!strcmp(ending, endings[i]))
            return (enum data_form)i;
    return DATA_TEXT;
}

static struct error *open_form(struct probed *p, const char *path, struct arena *arena)
{
    static const enum document_form forms[] = {DOCUMENT_PARQUET, DOCUMENT_JSONL, DOCUMENT_TEXT, DOCUMENT_WORLD};
    if (p->f->form == DATA_TOKENS)
        return token_list_open(&p->list, &path, 1, arena);
    p->part = (struct document_part){.form = forms[p->f->form], .path = path, .column = "text"};
    if (p->f->form == DATA_PARQUET)
        return find_column(p, path, arena);
    if (p->f->form != DATA_WORLD)
        return NULL;
    p->part.world = &p->world;
    p->part.n = WORLD_DOCUMENTS;
    return world_file_read(path, arena, &p->world);
}

const char *data_form_name(enum data_form form)
{
    static const char *const names[DATA_FORM_COUNT] = {"parquet", "JSON lines", "text", "world", "tokens"};
    return names[form];
}

struct error *data_probe(struct data_figures *f, const char *path, struct arena *arena)
{
    struct probed p = {.f = f};
    *f = (struct data_figures){.form = form_of(path), .bound_s = NAN, .threads_s = NAN, .threads = omp_get_max_threads()};
    f->tokenizing = f->encoding = NAN;
    bool is_world = f->form == DATA_WORLD, is_tokens = f->form == DATA_TOKENS;
    struct error *e = map_open(&p.map, path);
    f->file_bytes = (int64_t)p.map.n_bytes;
    if (!e)
        e = open_form(&p, path, arena);
    if (!e)
        e = best_of(&p, is_tokens ? read_rows : read_documents, &f->seconds, &f->had);
    if (!e && is_world)
        e = best_of(&p, write_world, &f->threads_s, NULL);
    else if (!e)
        e = best_of(&p, is_tokens ? copy_rows : read_bytes, &f->bound_s, NULL);
    if (!e && !is_world && !is_tokens)
        e = probe_tokens(&p, arena);
    token_list_close(&p.list);
    map_close(&p.map);
    return error_while(e, NOWHERE, "reading '%s'", path);
}
