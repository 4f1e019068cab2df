// import.c - brings in what another program made: a tokenizer from a file, or a model with its tokenizer from a folder.
//
// Result  /tokenizer (core/text/tokenizer_file.h); /metrics/text (compression.h); of a model /model (core/model/model_file.h), with the
//         bits of the file, where they were bfloat16 or float16 as the same numbers in float32
// Files   of a folder those of core/model/hf_config.h; one without config.json is a tokenizer.json alone
#include <string.h>

#include "core/model/hf_config.h"
#include "core/model/hf_weights.h"
#include "core/model/model_file.h"
#include "core/store/atomic.h"
#include "core/text/tokenizer_hf.h"
#include "core/text/tokenizer_tiktoken.h"
#include "runner/stages/tokenizer_result.h"

static const size_t FILE_MOST = (size_t)1 << 28;

// A tokenizer.json is an object; no base64 begins like one.
static bool is_hf(const struct import_options *o, const char *text)
{
    return o->format ? !strcmp(o->format, "hf") : text[strspn(text, " \t\r\n")] == '{';
}

static struct error *read_tokenizer(const struct import_options *o, const char *path, struct arena *arena,
                                    struct tokenizer **tokenizer)
{
    char *text;
    size_t n;
    struct error *e = file_read(path, FILE_MOST, arena, &text, &n);
    if (!e)
        e = is_hf(o, text) ? tokenizer_from_hf(tokenizer, text, n, arena)
                           : tokenizer_from_tiktoken(tokenizer, text, n, NULL, 0, arena);
    return error_while(e, NOWHERE, "importing '%s'", path);
}

// Rows of the vocabulary that no token has are padding.
static struct error *fit_vocabulary(struct shape *shape, const struct tokenizer *tokenizer, const char *folder)
{
    if (tokenizer->n_vocab > shape->n_vocab_padded)
        return error_new(ERROR_DATA, NOWHERE, "take the tokenizer that the model was trained with",
                         "tokenizer.json of '%s' has %d tokens, and the model a vocabulary of %d", folder, tokenizer->n_vocab,
                         shape->n_vocab_padded);
    shape->n_vocab = tokenizer->n_vocab;
    return NULL;
}

static struct error *import_model(struct stage *stage, const char *folder, const struct tokenizer *tokenizer)
{
    struct shape shape;
    struct hf_weights weights = {0};
    struct store_attribute attributes[MODEL_ATTRIBUTES];
    struct store_set *sets;
    struct tokenizer_result result = {.tokenizer = tokenizer, .attributes = attributes};
    struct error *e = hf_config_read(folder, &shape, stage->arena);
    if (!e)
        e = fit_vocabulary(&shape, tokenizer, folder);
    if (!e)
        e = hf_weights_open(&weights, folder, stage->arena);
    if (!e)
        e = hf_weights_sets(&weights, &shape, stage->arena, &sets, &result.n_sets);
    if (!e) {
        result.sets = sets;
        result.n_attributes = model_file_attributes(&shape, attributes);
        e = tokenizer_result_save(stage, &result);
    }
    hf_weights_close(&weights);
    return error_while(e, NOWHERE, "importing '%s'", folder);
}

struct error *stage_import(struct stage *stage)
{
    const struct import_options *o = stage->job->options;
    struct tokenizer *tokenizer;
    const char *path = hf_tokenizer_path(o->file, stage->arena);
    struct error *e = path ? read_tokenizer(o, path, stage->arena, &tokenizer) : error_memory();
    if (!e)
        e = hf_is_model(o->file) ? import_model(stage, o->file, tokenizer)
                                 : tokenizer_result_save(stage, &(struct tokenizer_result){.tokenizer = tokenizer});
    return e;
}
