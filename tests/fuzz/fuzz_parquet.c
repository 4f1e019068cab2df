// fuzz_parquet.c - libFuzzer over the reader of parquet: whatever the bytes are, values or an error that names the file.
//
//     fuzz_parquet -max_total_time=3600 corpus tests/fixtures/parquet
//
// All columns are read as values, and then as the fields of rows.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/parquet.h"
#include "core/data/record.h"
#include "tests/fuzz/memory_file.h"

enum { MOST_VALUES = 4096 }; // of a column: a few bytes can be very many

static void use(struct error *e, const char *path)
{
    if (e && e != error_memory() && (e->kind != ERROR_DATA || !strstr(e->what, path)))
        abort();
    error_free(e);
}

static struct error *read_group(struct parquet *p, int group, int column)
{
    struct parquet_value v = {0};
    int64_t row = -1, n_rows = parquet_group_rows(p, group);
    volatile char last = 0;
    struct error *e = parquet_begin_values(p, group, column);
    for (int i = 0; i < MOST_VALUES && !e && v.row >= 0; i++) {
        if ((e = parquet_next_value(p, &v)))
            break;
        if (v.n_bytes > 0)
            last = v.text[v.n_bytes - 1];
        if (v.row < 0 ? row + 1 != n_rows : v.row != row + v.begins_row || v.row >= n_rows)
            abort();
        if (v.row >= 0 && (v.repeat > parquet_n_lists(p, column) || v.level > parquet_value_level(p, column)))
            abort();
        row = v.row;
    }
    (void)last;
    return e;
}

static void read_rows(const char *path, const char *column)
{
    const struct document_part part = {DOCUMENT_PARQUET, .path = path};
    const struct record *record = NULL;
    struct records *records;
    struct error *e = records_open(&records, &part, &column, 1);
    if (e) {
        error_free(e);
        return;
    }
    for (int i = 0; i < MOST_VALUES && !(e = records_next(records, &record)) && record; i++)
        ;
    use(e, path);
    records_close(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct parquet *p;
    const char *path = memory_file(data, n);
    struct error *e = parquet_open(&p, path);
    if (e) {
        use(e, path);
        return 0;
    }
    for (int column = 0; column < parquet_n_columns(p) && column < 32; column++) {
        for (int g = 0; g < parquet_n_row_groups(p) && g < 8; g++)
            use(read_group(p, g, column), path);
        if (!strchr(parquet_column_path(p, column), '|'))
            read_rows(path, parquet_column_path(p, column));
    }
    parquet_close(p);
    return 0;
}
