// import.c - brings in a tokenizer from a file of another program.
//
// Result  /tokenizer (core/text/tokenizer_file.h); /metrics/text (compression.h)
#include <string.h>

#include "core/store/atomic.h"
#include "core/text/tokenizer_file.h"
#include "core/text/tokenizer_hf.h"
#include "core/text/tokenizer_tiktoken.h"
#include "runner/stages/compression.h"
#include "runner/stages/stage.h"

static const size_t FILE_MOST = (size_t)1 << 28;

// A tokenizer.json is an object; no base64 begins like one.
static bool is_hf(const struct import_options *o, const char *text)
{
    return o->format ? !strcmp(o->format, "hf") : text[strspn(text, " \t\r\n")] == '{';
}

static struct error *read_tokenizer(const struct import_options *o, struct arena *arena, struct tokenizer **tokenizer)
{
    char *text;
    size_t n;
    struct error *e = file_read(o->file, FILE_MOST, arena, &text, &n);
    if (!e)
        e = is_hf(o, text) ? tokenizer_from_hf(tokenizer, text, n, arena)
                           : tokenizer_from_tiktoken(tokenizer, text, n, NULL, 0, arena);
    return error_while(e, NOWHERE, "importing '%s'", o->file);
}

struct error *stage_import(struct stage *stage)
{
    struct tokenizer *tokenizer;
    const struct store_set *sets;
    struct store_set all[COMPRESSION_SETS];
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    struct table texts = compression_table();
    int n_sets;
    struct error *e = read_tokenizer(stage->job->options, stage->arena, &tokenizer);
    if (!e)
        e = compression_measure(&texts, tokenizer, NULL, 0);
    if (!e)
        e = tokenizer_sets(tokenizer, stage->arena, &sets, &n_sets);
    if (!e) {
        n_sets = compression_sets(all, sets, n_sets, &texts);
        int n = stage_attributes(stage, "finished", 1, 1, 0, 0, NULL, 0, attributes);
        e = store_save(stage->job->out, attributes, n, all, n_sets);
    }
    table_release(&texts);
    return e;
}
