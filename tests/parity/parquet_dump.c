// parquet_dump.c - all columns of a parquet file as bytes, for test_parquet.py; or how fast a column of texts is read.
//
//     parquet_dump FILE            a column: its path (u32 and bytes), its lists (u8), its value level (u8); then its values: a kind
//                                  ('n', 'e', 't', 'b', 'i', 'r'), repeat and level (u8 each), and a text (u32 and bytes), an integer
//                                  or a real (8 bytes); a row group ends with 'g', a column with 'c'
//     parquet_dump speed FILE... COLUMN    reads the column of each file: bytes of its texts and seconds of
//                                        the processor, so that a busy machine counts less
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/data/parquet.h"

static void put(const void *bytes, size_t n)
{
    fwrite(bytes, 1, n, stdout);
}

static void put_text(const char *text, size_t n)
{
    uint32_t length = (uint32_t)n;
    put(&length, sizeof length);
    put(text, n);
}

static void put_value(const struct parquet_value *v)
{
    static const char kinds[] = "netbir";
    const uint8_t head[] = {(uint8_t)kinds[v->kind], (uint8_t)v->repeat, (uint8_t)v->level};
    put(head, sizeof head);
    if (v->kind == PARQUET_IS_TEXT)
        put_text(v->text, v->n_bytes);
    else if (v->kind == PARQUET_IS_BOOLEAN || v->kind == PARQUET_IS_INTEGER)
        put(&v->integer, sizeof v->integer);
    else if (v->kind == PARQUET_IS_REAL)
        put(&v->real, sizeof v->real);
}

static struct error *dump_column(struct parquet *p, int column)
{
    const char *path = parquet_column_path(p, column);
    const uint8_t levels[] = {(uint8_t)parquet_n_lists(p, column), (uint8_t)parquet_value_level(p, column)};
    put_text(path, strlen(path));
    put(levels, sizeof levels);
    for (int g = 0; g < parquet_n_row_groups(p); g++) {
        struct parquet_value v = {0};
        struct error *e = parquet_begin_values(p, g, column);
        while (!e && !(e = parquet_next_value(p, &v)) && v.row >= 0)
            put_value(&v);
        if (e)
            return e;
        put("g", 1);
    }
    put("c", 1);
    return NULL;
}

static struct error *dump(const char *path)
{
    struct parquet *p;
    struct error *e = parquet_open(&p, path);
    if (e)
        return e;
    for (int column = 0; column < parquet_n_columns(p) && !e; column++)
        e = dump_column(p, column);
    parquet_close(p);
    return e;
}

static struct error *speed(const char *path, const char *name, int64_t *n_bytes)
{
    struct parquet *p;
    int column;
    struct error *e = parquet_open(&p, path);
    if (e)
        return e;
    e = parquet_column(p, name, &column);
    for (int g = 0; !e && g < parquet_n_row_groups(p); g++) {
        struct parquet_text t = {0};
        e = parquet_begin(p, g, column);
        while (!e && !(e = parquet_next(p, &t)) && t.row >= 0)
            *n_bytes += (int64_t)t.n_bytes;
    }
    parquet_close(p);
    return e;
}

int main(int argc, char **argv)
{
    struct error *e = NULL;
    if (argc > 3 && !strcmp(argv[1], "speed")) {
        int64_t n_bytes = 0;
        clock_t begin = clock();
        for (int i = 2; i + 1 < argc && !e; i++)
            e = speed(argv[i], argv[argc - 1], &n_bytes);
        printf("%lld %.6f\n", (long long)n_bytes, (double)(clock() - begin) / CLOCKS_PER_SEC);
    } else if (argc == 2) {
        e = dump(argv[1]);
    } else {
        e = error_plain(ERROR_USAGE, "parquet_dump FILE, or parquet_dump speed FILE... COLUMN");
    }
    if (e)
        fprintf(stderr, "%s\n", e->what);
    return error_exit_status(e);
}
