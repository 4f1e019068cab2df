// tokenizer_probe.c - texts, then each part of the work by itself.
#include "runner/graph/tokenizer_probe.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/stop.h"
#include "core/text/split.h"
#include "core/text/utf8.h"

enum { TRIES = 3, MEMORY_BYTES = 256 << 20, LINE = 64, MADE_WORDS = 1 << 19 };

static struct error *add_document(struct probe_text *t, const uint8_t *text, size_t n)
{
    if (t->n == t->capacity) {
        size_t next = t->capacity + t->capacity / 2 + 1024;
        size_t *ends = block_resize(t->ends, t->n * sizeof *ends, next * sizeof *ends);
        if (!ends)
            return error_memory();
        t->ends = ends;
        t->capacity = next;
    }
    struct error *e = bytes_append(&t->bytes, text, n);
    if (!e)
        t->ends[t->n++] = t->bytes.n;
    return e;
}

struct error *probe_text_file(struct probe_text *t, const char *path, size_t most)
{
    const char *ending = strrchr(path, '.');
    struct document_part part = {.form = DOCUMENT_TEXT, .path = path, .column = "text"};
    if (ending && !strcmp(ending, ".parquet"))
        part.form = DOCUMENT_PARQUET;
    else if (ending && !strcmp(ending, ".jsonl"))
        part.form = DOCUMENT_JSONL;
    return probe_text_part(t, &part, most);
}

struct error *probe_text_part(struct probe_text *t, const struct document_part *part, size_t most)
{
    struct documents *documents = NULL;
    const char *text;
    struct error *e = documents_open(&documents, part);
    size_t n = 0;
    while (!e && t->bytes.n < most && !(e = stop_requested() ? error_stopped() : documents_next(documents, &text, &n)) && text) {
        for (size_t at = 0, end; at < n && t->bytes.n < most && !e; at = end) {
            end = at + utf8_first((const uint8_t *)text + at, n - at, PROBE_DOC_CAP, NULL);
            e = add_document(t, (const uint8_t *)text + at, end - at);
        }
    }
    documents_close(documents);
    return error_while(e, NOWHERE, "reading '%s'", part->path);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

// Word number `rank` of the made-up language: frequent words are short. Returns its bytes.
static size_t make_word(uint64_t rank, char *to)
{
    static const char *const starts[] = {"b", "c", "d", "f", "g", "h", "l",  "m",  "n",
                                         "p", "r", "s", "t", "v", "w", "st", "th", "pr"};
    static const char *const vowels[] = {"a", "e", "i", "o", "u", "ea", "ou", "ai", "\xC3\xA9"};
    static const char *const ends[] = {"", "", "", "n", "r", "s", "t", "ng", "d", "l"};
    uint64_t h = mix(rank + 0x9E3779B97F4A7C15u);
    int syllables = 1 + (rank > 800) + (rank > 60000);
    size_t n = 0;
    for (int i = 0; i < syllables; i++) {
        h = mix(h + 1);
        const char *const parts[] = {starts[h % countof(starts)], vowels[(h >> 16) % (h >> 60 ? 6 : countof(vowels))],
                                     ends[(h >> 32) % countof(ends)]};
        for (size_t k = 0; k < countof(parts); k++)
            for (const char *c = parts[k]; *c; c++)
                to[n++] = *c;
    }
    return n;
}

struct error *probe_text_make(struct probe_text *t, size_t most)
{
    char document[8192];
    struct error *e = NULL;
    for (uint64_t turn = 0; t->bytes.n < most && !e;) {
        size_t n = 0;
        for (bool begins = true; n < sizeof document - 128; turn++) {
            uint64_t h = mix(turn * 0x9E3779B97F4A7C15u + 7);
            // The word of rank r comes as often as 1/r.
            size_t first = n;
            if (h % 40 == 0)
                n += (size_t)snprintf(document + n, 16, "%d", (int)(h >> 40) % 3000);
            else
                n += make_word((uint64_t)exp((double)(h >> 11) * 0x1p-53 * log(MADE_WORDS)), document + n);
            if (begins && document[first] >= 'a' && document[first] <= 'z')
                document[first] = (char)(document[first] - 'a' + 'A');
            begins = mix(h) % 14 == 0;
            if (begins || mix(h) % 14 == 1)
                document[n++] = begins ? '.' : ',';
            document[n++] = begins && h % 5 == 0 ? '\n' : ' ';
        }
        e = stop_requested() ? error_stopped() : add_document(t, (const uint8_t *)document, n);
    }
    return e;
}

void probe_text_release(struct probe_text *t)
{
    bytes_release(&t->bytes);
    block_free(t->ends);
    *t = (struct probe_text){0};
}

static void shortest(double *seconds, double begin)
{
    *seconds = fmin(*seconds, clock_seconds() - begin);
}

// What memory gives: all threads read it through; then one reads here and there, each place found at the one before.
static struct error *measure_memory(struct tokenizer_figures *f)
{
    enum { LINES = MEMORY_BYTES / LINE, STEPS = 1 << 20 };
    uint64_t *memory = block_alloc(MEMORY_BYTES), sum = 0;
    double read_s = INFINITY, walk_s = INFINITY;
    if (!memory)
        return error_memory();
    // A cycle through all lines: LINES is a power of two, so a step by an odd multiple reaches each.
    for (uint64_t i = 0, at = 0; i < LINES; i++) {
        uint64_t next = (at * 1664525 + 1013904223) % LINES;
        memory[at * (LINE / 8)] = next;
        for (int k = 1; k < LINE / 8; k++)
            memory[at * (LINE / 8) + (uint64_t)k] = i;
        at = next;
    }
    for (int i = 0; i < TRIES; i++) {
        double begin = clock_seconds();
#pragma omp parallel for num_threads(f->threads) reduction(+ : sum) schedule(static)
        for (size_t k = 0; k < MEMORY_BYTES / 8; k++)
            sum += memory[k];
        shortest(&read_s, begin);
        begin = clock_seconds();
        uint64_t at = sum % LINES;
        for (int k = 0; k < STEPS; k++)
            at = memory[at * (LINE / 8)];
        shortest(&walk_s, begin);
        sum += at;
    }
    volatile uint64_t kept = sum;
    (void)kept;
    block_free(memory);
    f->reading = MEMORY_BYTES / read_s;
    f->miss_s = walk_s / STEPS;
    return stop_requested() ? error_stopped() : NULL;
}

static struct error *measure_splitting(struct tokenizer_figures *f, const struct probe_text *text)
{
    double begin = clock_seconds();
    volatile size_t pieces = 0;
    for (size_t i = 0, at = 0; i < text->n; at = text->ends[i++])
        for (size_t n = text->ends[i] - at, k = 0; k < n; pieces = pieces + 1)
            k = split_next(text->bytes.byte + at, n, k);
    shortest(&f->split_s, begin);
    return stop_requested() ? error_stopped() : NULL;
}

static struct error *measure_training(struct tokenizer_figures *f, const struct probe_text *text, int n_merges,
                                      struct arena *arena, struct token_table *table)
{
    struct bpe_trainer *t;
    double begin = clock_seconds(), used = (double)clock() / CLOCKS_PER_SEC;
    struct error *e = bpe_trainer_new(&t, PROBE_DOC_CAP, INT64_MAX);
    if (e)
        return e;
    e = bpe_trainer_use(t, f->threads, 0);
    for (size_t i = 0, at = 0; i < text->n && !e; at = text->ends[i++])
        e = bpe_trainer_add(t, text->bytes.byte + at, text->ends[i] - at, NULL);
    if (!e)
        e = bpe_trainer_count(t);
    double counted = clock_seconds();
    if (!e)
        e = bpe_trainer_merge(t, n_merges, NULL, NULL, arena, table);
    if (!e) {
        f->count_s = fmin(f->count_s, counted - begin);
        shortest(&f->merge_s, counted);
        f->had = fmax(f->had,
                      ((double)clock() / CLOCKS_PER_SEC - used) / ((counted - begin) * f->threads + clock_seconds() - counted));
        f->totals = bpe_trainer_totals(t);
    }
    bpe_trainer_free(t);
    return e;
}

// Each thread has an encoder; documents are dealt out some at a time.
struct error *probe_encode(const struct tokenizer *tokenizer, const struct probe_text *text, int threads, int64_t *tokens,
                           double *seconds)
{
    struct error *first = NULL;
    int64_t n_tokens = 0;
    double begin = clock_seconds();
#pragma omp parallel num_threads(threads) reduction(+ : n_tokens)
    {
        struct encoder encoder = {0};
        struct ids ids = {0};
        struct error *e = encoder_init(&encoder, tokenizer);
#pragma omp for schedule(dynamic, 64)
        for (size_t i = 0; i < text->n; i++) {
            size_t at = i ? text->ends[i - 1] : 0;
            ids.n = 0;
            if (!e)
                e = stop_requested() ? error_stopped()
                                     : encoder_encode(&encoder, text->bytes.byte + at, text->ends[i] - at, &ids);
            n_tokens += (int64_t)ids.n;
        }
        ids_release(&ids);
        encoder_release(&encoder);
#pragma omp critical
        first = error_first(first, e);
    }
    shortest(seconds, begin);
    *tokens = n_tokens;
    return first;
}

static struct error *measure_encoding(struct tokenizer_figures *f, const struct probe_text *text, struct arena *arena,
                                      struct token_table *table)
{
    struct tokenizer *tokenizer;
    struct error *e = token_table_add_specials(table, arena, token_specials, TOKEN_SPECIALS);
    if (!e)
        e = tokenizer_new(&tokenizer, arena, table);
    for (int i = 0; i < TRIES && !e; i++) {
        e = probe_encode(tokenizer, text, 1, &f->tokens, &f->encode_s);
        if (!e)
            e = probe_encode(tokenizer, text, f->threads, &f->tokens, &f->encode_threads_s);
    }
    return e;
}

struct error *probe_learn(struct tokenizer **tokenizer, const struct probe_text *text, int vocab, int threads,
                          struct arena *arena)
{
    struct token_table table;
    struct tokenizer_figures f = {.threads = threads > 0 ? threads : omp_get_max_threads()};
    struct error *e = measure_training(&f, text, vocab - 256 - TOKEN_SPECIALS, arena, &table);
    if (!e)
        e = token_table_add_specials(&table, arena, token_specials, TOKEN_SPECIALS);
    return e ? e : tokenizer_new(tokenizer, arena, &table);
}

struct error *tokenizer_probe(struct tokenizer_figures *out, const struct probe_text *text, int vocab, int threads)
{
    struct arena arena = {0};
    struct token_table table;
    struct tokenizer_figures f = {.threads = threads > 0 ? threads : omp_get_max_threads(),
                                  .n_merges = vocab - 256 - TOKEN_SPECIALS};
    f.split_s = f.count_s = f.merge_s = f.encode_s = f.encode_threads_s = INFINITY;
    struct error *e = measure_memory(&f);
    for (int i = 0; i < TRIES && !e; i++) {
        arena_release(&arena);
        e = measure_splitting(&f, text);
        if (!e)
            e = measure_training(&f, text, f.n_merges, &arena, &table);
    }
    if (!e)
        e = measure_encoding(&f, text, &arena, &table);
    arena_release(&arena);
    if (!e)
        *out = f;
    return e;
}
