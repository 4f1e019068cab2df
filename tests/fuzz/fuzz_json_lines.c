// fuzz_json_lines.c - libFuzzer over JSON lines, as documents and as the fields of rows: values, or an error at a line; and over single
// texts, of which jansson must say the same.
//
//     fuzz_json_lines -max_total_time=3600 corpus tests/fuzz/json_lines
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/record.h"
#include "tests/fuzz/memory_file.h"
#include "tests/same_json.h"

static void use(struct error *e, const char *path)
{
    if (e && e != error_memory() && (e->kind != ERROR_DATA || e->at.line < 1 || strcmp(e->at.file, path)))
        abort();
    error_free(e);
}

static void read_documents(const struct document_part *part)
{
    struct documents *documents;
    const char *text;
    size_t n;
    struct error *e = documents_open(&documents, part);
    while (!e && !(e = documents_next(documents, &text, &n)) && text)
        if (n == 0)
            abort();
    use(e, part->path);
    documents_close(documents);
}

static void read_rows(const struct document_part *part)
{
    static const char *const paths[] = {"text", "messages.content | ..content", ".", "a.b | text.a"};
    struct records *records;
    const struct record *record;
    int64_t row = 0;
    struct error *e = records_open(&records, part, paths, 4);
    while (!e && !(e = records_next(records, &record)) && record) {
        if (record->row != row++ || record->n_fields != 4)
            abort();
        for (int f = 0; f < 4; f++)
            for (int i = 0; i < record->fields[f].n_values; i++)
                if (record->fields[f].values[i].text && record->fields[f].values[i].text[record->fields[f].values[i].n])
                    abort();
    }
    use(e, part->path);
    records_close(records);
}

static void compare(const char *data, size_t n)
{
    struct json_tape tape = {0};
    struct bytes scratch = {0};
    char *text = malloc(n + 1);
    if (!text)
        abort();
    memcpy(text, data, n);
    text[n] = '\0';
    if (!same_json(text, n, &tape, &scratch))
        abort();
    free(text);
    json_tape_release(&tape);
    bytes_release(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct document_part part = {DOCUMENT_JSONL, .path = memory_file(data, n), .column = "text"};
    read_documents(&part);
    read_rows(&part);
    compare((const char *)data, n);
    return 0;
}
