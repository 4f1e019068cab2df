// import.c - brings in a tokenizer from a file of another program.
//
// Result  /tokenizer (core/text/tokenizer_file.h)
#include <string.h>

#include "core/store/atomic.h"
#include "core/text/tokenizer_file.h"
#include "core/text/tokenizer_hf.h"
#include "core/text/tokenizer_tiktoken.h"
#include "runner/stages/stage.h"

static const size_t FILE_MOST = (size_t)1 << 28;

// A tokenizer.json is an object; no base64 begins like one.
static bool is_hf(const struct import_options *o, const char *text)
{
    return o->format ? !strcmp(o->format, "hf") : text[strspn(text, " \t\r\n")] == '{';
}

struct error *stage_import(struct stage *stage)
{
    const struct import_options *o = stage->job->options;
    struct tokenizer *tokenizer;
    const struct store_set *sets;
    char *text;
    size_t n;
    int n_sets;
    struct error *e = file_read(o->file, FILE_MOST, stage->arena, &text, &n);
    if (!e)
        e = is_hf(o, text) ? tokenizer_from_hf(&tokenizer, text, n, stage->arena)
                           : tokenizer_from_tiktoken(&tokenizer, text, n, NULL, 0, stage->arena);
    if (!e)
        e = tokenizer_sets(tokenizer, stage->arena, &sets, &n_sets);
    if (e)
        return error_while(e, NOWHERE, "importing '%s'", o->file);
    struct store_attribute attributes[STAGE_ATTRIBUTES];
    int n_attributes = stage_attributes(stage, "finished", 1, 1, 0, 0, NULL, 0, attributes);
    return store_save(stage->job->out, attributes, n_attributes, sets, n_sets);
}
