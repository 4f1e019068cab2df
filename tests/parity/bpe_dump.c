// bpe_dump.c - core/text on a pipe, for comparisons with its peers (test_text.py).
//
//     bpe_dump classes                 the class of every code point, a byte each
//     bpe_dump split                   the bytes of every piece, as u32; 0 ends a document
//     bpe_dump train N_MERGES DOC_CAP  a line of hexadecimal bytes for every merge
//     bpe_dump encode FILE             ids as i32, -1 ends a document; FILE holds lines as train writes them
//
// Documents come on standard input, each as u32 n and n bytes. Seconds of the work itself go to standard error.
#include "core/text/bpe_train.h"
#include "core/text/split.h"
#include "core/text/tokenizer.h"
#include "core/text/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(struct error *e)
{
    if (!e)
        return;
    fprintf(stderr, "bpe_dump: %s\n", e->what);
    error_free(e);
    exit(1);
}

static struct bytes read_all(FILE *f)
{
    struct bytes b = {0};
    uint8_t chunk[1 << 16];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        must(bytes_append(&b, chunk, n));
    return b;
}

// The next document of the input; false at the end.
static bool next_document(const struct bytes *in, size_t *at, const uint8_t **text, uint32_t *n)
{
    if (in->n - *at < 4)
        return false;
    memcpy(n, in->byte + *at, 4);
    *at += 4;
    if (*n > in->n - *at)
        return false;
    *text = in->byte + *at;
    *at += *n;
    return true;
}

static void split(const struct bytes *in)
{
    const uint8_t *text;
    uint32_t n, zero = 0;
    struct bytes out = {0};
    double start = now();
    for (size_t at = 0; next_document(in, &at, &text, &n);) {
        for (size_t i = 0, end; i < n; i = end) {
            end = split_next(text, n, i);
            uint32_t length = (uint32_t)(end - i);
            must(bytes_append(&out, &length, 4));
        }
        must(bytes_append(&out, &zero, 4));
    }
    fprintf(stderr, "%.6f\n", now() - start);
    fwrite(out.byte, 1, out.n, stdout);
    bytes_release(&out);
}

static void train(const struct bytes *in, int n_merges, int64_t doc_cap)
{
    struct bpe_trainer *t;
    struct arena arena = {0};
    struct token_table table;
    const uint8_t *text;
    uint32_t n;
    double start = now();
    must(bpe_trainer_new(&t, doc_cap, INT64_MAX));
    for (size_t at = 0; next_document(in, &at, &text, &n);)
        must(bpe_trainer_add(t, text, n, NULL));
    double counted = now();
    must(bpe_trainer_merge(t, n_merges, NULL, NULL, &arena, &table));
    fprintf(stderr, "%.6f %.6f\n", counted - start, now() - counted);
    for (int32_t id = 256; id < table.n; id++) {
        size_t length;
        const uint8_t *bytes = token_table_bytes(&table, id, &length);
        for (size_t i = 0; i < length; i++)
            printf("%02x", bytes[i]);
        putchar('\n');
    }
    bpe_trainer_free(t);
    arena_release(&arena);
}

// 256 bytes and the lines of the file.
static struct token_table read_table(const char *path, struct arena *arena)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    struct bytes hex = read_all(f), bytes = {0};
    fclose(f);
    int32_t n = 256;
    for (size_t i = 0; i < hex.n; i++)
        n += hex.byte[i] == '\n';
    int64_t *offsets = arena_array(arena, (size_t)n + 1, sizeof *offsets);
    for (int i = 0; i < 256; i++) {
        must(bytes_append(&bytes, &(uint8_t){(uint8_t)i}, 1));
        offsets[i + 1] = i + 1;
    }
    int32_t id = 256;
    for (size_t i = 0; i < hex.n; i++) {
        unsigned value;
        if (hex.byte[i] == '\n')
            offsets[++id] = (int64_t)bytes.n;
        else if (i + 1 < hex.n && sscanf((const char *)hex.byte + i++, "%2x", &value) == 1)
            must(bytes_append(&bytes, &(uint8_t){(uint8_t)value}, 1));
    }
    uint8_t *kept = arena_array(arena, bytes.n, 1);
    memcpy(kept, bytes.byte, bytes.n);
    struct token_table table = {.n = n, .bytes = kept, .n_bytes = bytes.n, .offsets = offsets};
    bytes_release(&hex);
    bytes_release(&bytes);
    return table;
}

static void encode(const struct bytes *in, const char *path)
{
    struct arena arena = {0};
    struct token_table table = read_table(path, &arena);
    struct tokenizer *t;
    struct encoder enc;
    struct ids ids = {0};
    const uint8_t *text;
    uint32_t n;
    double start = now();
    must(tokenizer_new(&t, &arena, &table));
    must(encoder_init(&enc, t));
    double made = now();
    for (size_t at = 0; next_document(in, &at, &text, &n);) {
        must(encoder_encode(&enc, text, n, &ids));
        must(ids_push(&ids, -1));
    }
    fprintf(stderr, "%.6f %.6f\n", made - start, now() - made);
    fwrite(ids.id, sizeof *ids.id, ids.n, stdout);
    ids_release(&ids);
    encoder_release(&enc);
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "classes") == 0) {
        for (uint32_t code = 0; code < 0x110000; code++)
            putchar((int)unicode_class_of(code));
        return 0;
    }
    struct bytes in = read_all(stdin);
    if (argc == 2 && strcmp(argv[1], "split") == 0)
        split(&in);
    else if (argc == 4 && strcmp(argv[1], "train") == 0)
        train(&in, atoi(argv[2]), atoll(argv[3]));
    else if (argc == 3 && strcmp(argv[1], "encode") == 0)
        encode(&in, argv[2]);
    else
        return fprintf(stderr, "usage: bpe_dump classes | split | train N_MERGES DOC_CAP | encode FILE\n"), 2;
    bytes_release(&in);
    return 0;
}
