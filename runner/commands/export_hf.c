// export_hf.c - what `transformers` reads: a tokenizer alone, or with the weights of its model.
#include "core/model/hf_config.h"
#include "core/model/hf_weights.h"
#include "core/model/model_file.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer_file.h"
#include "core/text/tokenizer_hf.h"
#include "runner/commands/export.h"

enum { TOKENIZER, SETTINGS, CONFIG, GENERATION }; // in json

static void special_name(struct json *j, const struct tokenizer *t, const char *key, const char *name)
{
    if (tokenizer_special(t, name) >= 0)
        json_key(j, key), json_str(j, name);
}

static struct error *add_tokenizer(struct export *x, const struct tokenizer *t, const struct shape *shape)
{
    struct json *j = &x->json[SETTINGS];
    struct error *e = tokenizer_to_hf(t, &x->json[TOKENIZER]);
    json_open(j, '{');
    json_key(j, "tokenizer_class"), json_str(j, "PreTrainedTokenizerFast");
    special_name(j, t, "bos_token", "<|bos|>");
    special_name(j, t, "eos_token", "<|assistant_end|>");
    special_name(j, t, "pad_token", "<|assistant_end|>");
    json_key(j, "clean_up_tokenization_spaces"), json_bool(j, false);
    if (shape)
        json_key(j, "model_max_length"), json_i64(j, shape->seq_len);
    if (chat_template_fits(t))
        json_key(j, "chat_template"), json_str(j, chat_template);
    json_close(j, '}');
    if (!e)
        e = export_json(x, "tokenizer.json", &x->json[TOKENIZER]);
    return e ? e : export_json(x, "tokenizer_config.json", j);
}

static struct error *write_weights(void *self, const char *path, struct arena *arena, int64_t *n_bytes)
{
    struct shape shape;
    struct error *e = model_file_shape(self, &shape);
    return e ? e : hf_weights_write(self, &shape, path, arena, n_bytes);
}

static struct error *add_model(struct export *x, const struct tokenizer *t, const struct shape *shape)
{
    struct hf_tokens tokens = {.bos = tokenizer_special(t, "<|bos|>"), .end = tokenizer_special(t, "<|assistant_end|>")};
    struct error *e = hf_config_write(shape, tokens, &x->json[CONFIG]);
    if (e)
        return e;
    hf_generation_write(shape, tokens, &x->json[GENERATION]);
    if ((e = export_json(x, "config.json", &x->json[CONFIG])) ||
        (e = export_json(x, "generation_config.json", &x->json[GENERATION])))
        return e;
    x->files[x->n_files++] = (struct export_file){.name = "model.safetensors", .write = write_weights, .self = x->model};
    return NULL;
}

struct error *export_hf(struct export *x, const char *what, bool tokenizer_alone)
{
    struct tokenizer *tokenizer;
    struct shape shape;
    const char *path;
    bool of_model;
    struct error *e = load_tokenizer(x->call, what, &tokenizer, &of_model);
    if (e)
        return e;
    if (!of_model || tokenizer_alone)
        return add_tokenizer(x, tokenizer, NULL);
    e = load_model(x->call, what, &path);
    if (!e)
        e = store_open(&x->model, path);
    if (!e)
        e = store_verify(x->model);
    if (!e)
        e = model_file_shape(x->model, &shape);
    if (!e)
        e = add_model(x, tokenizer, &shape);
    return error_while(e ? e : add_tokenizer(x, tokenizer, &shape), NOWHERE, "exporting '%s'", path);
}
