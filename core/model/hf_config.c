// hf_config.c - a table of keys that must have one value, then the sizes; what is missing has the default of NanoChatConfig.
#include "core/model/hf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "core/store/atomic.h"

enum { CONFIG_MOST = 1 << 20, INDEX_MOST = 16 << 20, SHARDS_MOST = 1000, TOKENS_2025 = 2048 };

static const double EPS = 1e-6, BASE = 10000, CAP = 15;

static const char *const model_type = "nanochat", *const architecture = "NanoChatForCausalLM", *const activation = "relu2";

// Keys under which a model would be another one, unless they are false, null, 0 or not there.
static const char *const unset[] = {"attention_bias", "qkv_bias",           "mlp_bias",           "attention_dropout",
                                    "sliding_window", "use_sliding_window", "quantization_config"};
static const char *const tie = "tie_word_embeddings";

// --- reading --------------------------------------------------------------------------------------------------------------------

struct reading {
    const char *path; // of config.json
    const json_t *root;
};

static struct error *refuse(const struct reading *r, const char *format, const char *value)
{
    char what[300];
    snprintf(what, sizeof what, format, value);
    return error_new(
        ERROR_DATA, NOWHERE,
        "only a NanoChat model as `transformers` makes it by default, sizes and constants aside, can be read; what its "
        "weights do not depend on (dropout) may be taken out of config.json",
        "'%s' %s", r->path, what);
}

// Of a value in few characters.
static const char *shown(const json_t *value, char text[60])
{
    size_t n = json_dumpb(value, text, 56, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
    if (n > 56)
        memcpy(text + 52, "...", 4);
    else
        text[n] = '\0';
    return text;
}

static struct error *refuse_value(const struct reading *r, const char *key, const json_t *value, const char *wanted)
{
    char what[300], text[60];
    snprintf(what, sizeof what, "has %s %s, and %s", key, shown(value, text), wanted);
    return refuse(r, "%s", what);
}

static bool is_unset(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) || (json_is_number(value) && json_number_value(value) == 0);
}

static bool says(const json_t *value, const char *text)
{
    return json_is_string(value) && !strcmp(json_string_value(value), text);
}

static struct error *check_kind(const struct reading *r)
{
    const json_t *kind = json_object_get(r->root, "model_type"), *list = json_object_get(r->root, "architectures");
    const json_t *act = json_object_get(r->root, "hidden_act"), *layers = json_object_get(r->root, "layer_types");
    bool named = !json_array_size(list);
    if (!json_is_object(r->root))
        return refuse(r, "is %s", "no object");
    if (!says(kind, model_type))
        return kind ? refuse_value(r, "model_type", kind, "this version reads \"nanochat\" alone")
                    : refuse(r, "has no %s", "model_type");
    for (size_t i = 0; i < json_array_size(list); i++)
        named |= says(json_array_get(list, i), architecture);
    if (!named)
        return refuse_value(r, "architectures", list, "this version reads NanoChatForCausalLM alone");
    if (act && !says(act, activation))
        return refuse_value(r, "hidden_act", act, "this version has relu2 alone");
    for (size_t i = 0; i < countof(unset); i++)
        if (!is_unset(json_object_get(r->root, unset[i])))
            return refuse_value(r, unset[i], json_object_get(r->root, unset[i]), "this version has no such thing");
    if (json_object_get(r->root, tie) && !json_is_boolean(json_object_get(r->root, tie)) &&
        !json_is_null(json_object_get(r->root, tie)))
        return refuse_value(r, tie, json_object_get(r->root, tie), "true or false is needed");
    for (size_t i = 0; i < json_array_size(layers); i++)
        if (!says(json_array_get(layers, i), "full_attention"))
            return refuse_value(r, "layer_types", layers, "this version reads full_attention alone");
    return NULL;
}

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value);
}

// Of the keys the first that is there and not null.
static const json_t *either(const json_t *object, const char *key, const char *older)
{
    const json_t *value = json_object_get(object, key);
    return is_absent(value) ? json_object_get(object, older) : value;
}

static struct error *take_int(const struct reading *r, const char *key, int64_t missing, int *to)
{
    const json_t *value = json_object_get(r->root, key);
    if (is_absent(value) && missing) {
        *to = (int)missing;
        return NULL;
    }
    if (!value)
        return refuse(r, "has no %s", key);
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > INT32_MAX)
        return refuse_value(r, key, value, "a whole number above 0 is needed");
    *to = (int)json_integer_value(value);
    return NULL;
}

static struct error *take_real(const struct reading *r, const char *key, const json_t *value, double missing, double *to)
{
    *to = missing;
    if (is_absent(value))
        return NULL;
    *to = json_number_value(value);
    if (!json_is_number(value) || !(*to > 0) || isinf(*to))
        return refuse_value(r, key, value, "a number above 0 is needed");
    return NULL;
}

// A member that is not understood may hold the base, or turn positions otherwise.
static struct error *check_rope_members(const struct reading *r, const json_t *rope)
{
    static const char *const known[] = {"rope_type", "type", "rope_theta", "partial_rotary_factor"};
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)rope, member, value)
    {
        char key[120];
        bool is_known = is_absent(value);
        for (size_t i = 0; i < countof(known) && !is_known; i++)
            is_known = !strcmp(member, known[i]);
        snprintf(key, sizeof key, "rope_parameters with %.80s", member);
        if (!is_known)
            return refuse_value(r, key, value, "this version reads rope_type and rope_theta there alone");
    }
    return NULL;
}

// Rotary embeddings as they were first described; of other kinds positions turn otherwise.
static struct error *take_rope(const struct reading *r, struct shape *shape)
{
    const json_t *rope = either(r->root, "rope_parameters", "rope_scaling");
    const json_t *kind = either(rope, "rope_type", "type"), *share = json_object_get(rope, "partial_rotary_factor");
    const json_t *base = json_object_get(rope, "rope_theta");
    if (!is_absent(rope) && !json_is_object(rope))
        return refuse_value(r, "rope_parameters", rope, "an object is needed");
    if (!is_absent(kind) && !says(kind, "default"))
        return refuse_value(r, "rope_type", kind, "this version has \"default\" alone");
    if (!is_absent(share) && json_number_value(share) != 1)
        return refuse_value(r, "partial_rotary_factor", share, "this version turns whole heads");
    struct error *e = check_rope_members(r, rope);
    base = is_absent(base) ? json_object_get(r->root, "rope_theta") : base;
    return e ? e : take_real(r, "rope_theta", base, BASE, &shape->rope_base);
}

static struct error *take_softcap(const struct reading *r, struct shape *shape)
{
    const char *key = json_object_get(r->root, "final_logit_softcapping") ? "final_logit_softcapping" : "logits_soft_cap";
    const json_t *value = json_object_get(r->root, key);
    if (!json_is_null(value))
        return take_real(r, key, value, CAP, &shape->softcap);
    shape->softcap = 0;
    return NULL;
}

static struct error *take_sizes(const struct reading *r, struct shape *shape)
{
    const struct {
        const char *key;
        int *to;
        int64_t missing;
    } sizes[] = {{"vocab_size", &shape->n_vocab_padded, 0},  {"hidden_size", &shape->n_embd, 0},
                 {"intermediate_size", &shape->n_mlp, 0},    {"num_hidden_layers", &shape->n_layer, 0},
                 {"num_attention_heads", &shape->n_head, 0}, {"max_position_embeddings", &shape->seq_len, TOKENS_2025}};
    struct error *e = NULL;
    for (size_t i = 0; i < countof(sizes) && !e; i++)
        e = take_int(r, sizes[i].key, sizes[i].missing, sizes[i].to);
    if (!e)
        e = take_int(r, "num_key_value_heads", shape->n_head, &shape->n_kv_head);
    int64_t head_dim = e ? 0 : shape->n_embd / shape->n_head;
    if (!e && is_unset(json_object_get(r->root, "head_dim")) && (!head_dim || shape->n_embd % shape->n_head))
        e = refuse(r, "has no head_dim, and %s", "its hidden_size is no multiple of its num_attention_heads");
    if (!e)
        e = take_int(r, "head_dim", head_dim, &shape->head_dim);
    shape->n_vocab = shape->n_vocab_padded;
    return e;
}

static struct error *read_json(const char *path, size_t most, struct arena *arena, json_t **root)
{
    char *text;
    size_t n;
    json_error_t problem;
    struct error *e = file_read(path, most, arena, &text, &n);
    if (e) {
        e->kind = e->kind == ERROR_MACHINE ? ERROR_DATA : e->kind;
        return e;
    }
    *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (!*root && json_error_code(&problem) == json_error_out_of_memory)
        return error_memory();
    return *root ? NULL : error_plain(ERROR_DATA, "'%s' is no JSON: %s, line %d", path, problem.text, problem.line);
}

struct error *hf_index_read(const char *path, struct arena *arena, json_t **root)
{
    return read_json(path, INDEX_MOST, arena, root);
}

struct error *hf_config_read(const char *folder, struct shape *shape, struct arena *arena)
{
    struct reading r = {.path = arena_printf(arena, "%s/config.json", folder)};
    json_t *root = NULL;
    *shape = (struct shape){0};
    struct error *e = r.path ? read_json(r.path, CONFIG_MOST, arena, &root) : error_memory();
    r.root = root;
    if (!e)
        e = check_kind(&r);
    if (!e)
        e = take_sizes(&r, shape);
    if (!e)
        e = take_real(&r, "rms_norm_eps", json_object_get(root, "rms_norm_eps"), EPS, &shape->norm_eps);
    if (!e)
        e = take_rope(&r, shape);
    if (!e)
        e = take_softcap(&r, shape);
    if (!e)
        e = error_while(shape_check(shape), NOWHERE, "reading '%s'", r.path);
    json_decref(root);
    return e;
}

struct error *hf_config_tied(const char *folder, bool *tied, struct arena *arena)
{
    const char *path = arena_printf(arena, "%s/config.json", folder);
    json_t *root = NULL;
    struct error *e = path ? read_json(path, CONFIG_MOST, arena, &root) : error_memory();
    *tied = json_is_true(json_object_get(root, tie));
    json_decref(root);
    return e;
}

// --- the folder ------------------------------------------------------------------------------------------------------------------

bool hf_is_model(const char *path)
{
    struct arena scratch = {0};
    const char *config = arena_printf(&scratch, "%s/config.json", path);
    bool is = config && file_exists(config);
    arena_release(&scratch);
    return is;
}

const char *hf_tokenizer_path(const char *path, struct arena *arena)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode) ? arena_printf(arena, "%s/tokenizer.json", path) : path;
}

static bool is_shard(const char *name)
{
    size_t n = strlen(name), ending = strlen(".safetensors");
    return n > ending && n < 256 && !strcmp(name + n - ending, ".safetensors") && !strchr(name, '/') && name[0] != '.';
}

// Each file that the index names, once, in the order in which it does.
static struct error *add_shards(const char *path, const json_t *root, struct arena *arena, const char **names, int *n)
{
    const json_t *map = json_object_get(root, "weight_map");
    const char *tensor;
    json_t *file;
    int first = *n;
    if (!json_object_size(map))
        return error_plain(ERROR_DATA, "'%s' has no weight_map", path);
    json_object_foreach((json_t *)map, tensor, file)
    {
        const char *name = json_string_value(file);
        bool before = false;
        if (!name || !is_shard(name))
            return error_plain(ERROR_DATA, "'%s' puts tensor '%.80s' into no .safetensors file of its folder", path, tensor);
        for (int i = first; i < *n && !before; i++)
            before = !strcmp(names[i], name);
        if (before)
            continue;
        if (*n - first == SHARDS_MOST)
            return error_plain(ERROR_DATA, "'%s' names more than %d files", path, SHARDS_MOST);
        if (!(names[(*n)++] = arena_strdup(arena, name)))
            return error_memory();
    }
    return NULL;
}

struct error *hf_folder_files(const char *folder, struct arena *arena, const char *const **list, int *n_names, int *first_weights)
{
    const char **names = arena_array(arena, SHARDS_MOST + 4, sizeof *names);
    const char *whole = arena_printf(arena, "%s/model.safetensors", folder);
    const char *index = arena_printf(arena, "%s/model.safetensors.index.json", folder);
    json_t *root = NULL;
    int n = 0;
    if (!names || !whole || !index)
        return error_memory();
    names[n++] = "config.json";
    names[n++] = "tokenizer.json";
    bool is_whole = file_exists(whole) || !file_exists(index);
    names[n++] = is_whole ? "model.safetensors" : "model.safetensors.index.json";
    struct error *e = is_whole ? NULL : hf_index_read(index, arena, &root);
    if (!e && !is_whole)
        e = add_shards(index, root, arena, names, &n);
    json_decref(root);
    *list = names;
    *n_names = n;
    *first_weights = is_whole ? 2 : 3;
    return e;
}

// --- writing ---------------------------------------------------------------------------------------------------------------------

static struct error *check_writable(const struct shape *s)
{
    const struct {
        const char *name;
        bool on;
    } switches[] = {{"qk_scale", s->qk_scale > 0 && s->qk_scale != 1},
                    {"windows", s->window_short > 0},
                    {"value embeddings", s->value_embeds > 0},
                    {"residual lambdas", s->residual_lambdas > 0},
                    {"smear", s->smear_channels > 0},
                    {"backout", s->backout > 0}};
    for (size_t i = 0; i < countof(switches); i++)
        if (switches[i].on)
            return error_new(ERROR_NOT_BUILT, NOWHERE, "models of `nanochat: 2025` can be written",
                             "the model has %s, and NanoChat of transformers has none", switches[i].name);
    return NULL;
}

static void write_id(struct json *j, const char *key, int32_t id)
{
    json_key(j, key);
    if (id < 0)
        json_nil(j);
    else
        json_i64(j, id);
}

// A real number that looks like one: "15.0". Its reader would take 15 for another type.
static void write_real(struct json *j, const char *key, double value)
{
    char text[40];
    int n = snprintf(text, sizeof text, "%.17g", value);
    if (!text[strcspn(text, ".e")])
        snprintf(text + n, sizeof text - (size_t)n, ".0");
    json_key(j, key), json_raw(j, text);
}

struct error *hf_config_write(const struct shape *s, struct hf_tokens tokens, struct json *j)
{
    struct error *e = check_writable(s);
    if (e)
        return e;
    json_open(j, '{');
    json_key(j, "architectures");
    json_open(j, '[');
    json_str(j, architecture);
    json_close(j, ']');
    json_key(j, "model_type"), json_str(j, model_type);
    json_key(j, "dtype"), json_str(j, "float32");
    json_key(j, "vocab_size"), json_i64(j, s->n_vocab_padded);
    json_key(j, "hidden_size"), json_i64(j, s->n_embd);
    json_key(j, "intermediate_size"), json_i64(j, s->n_mlp);
    json_key(j, "num_hidden_layers"), json_i64(j, s->n_layer);
    json_key(j, "num_attention_heads"), json_i64(j, s->n_head);
    json_key(j, "num_key_value_heads"), json_i64(j, s->n_kv_head);
    json_key(j, "head_dim"), json_i64(j, s->head_dim);
    json_key(j, "max_position_embeddings"), json_i64(j, s->seq_len);
    json_key(j, "hidden_act"), json_str(j, activation);
    write_real(j, "rms_norm_eps", s->norm_eps);
    json_key(j, "rope_parameters");
    json_open(j, '{');
    json_key(j, "rope_type"), json_str(j, "default");
    write_real(j, "rope_theta", s->rope_base);
    json_close(j, '}');
    if (s->softcap > 0)
        write_real(j, "final_logit_softcapping", s->softcap);
    else
        json_key(j, "final_logit_softcapping"), json_nil(j);
    json_key(j, "attention_bias"), json_bool(j, false);
    write_real(j, "attention_dropout", 0);
    json_key(j, "tie_word_embeddings"), json_bool(j, false);
    write_real(j, "initializer_range", 0.02);
    json_key(j, "use_cache"), json_bool(j, true);
    write_id(j, "bos_token_id", tokens.bos);
    write_id(j, "eos_token_id", tokens.end);
    write_id(j, "pad_token_id", -1); // a token that pads has no gradient in PyTorch, and none is one here
    json_close(j, '}');
    return j->failed ? error_memory() : NULL;
}

void hf_generation_write(const struct shape *s, struct hf_tokens tokens, struct json *j)
{
    json_open(j, '{');
    write_id(j, "bos_token_id", tokens.bos);
    json_key(j, "eos_token_id");
    json_open(j, '[');
    if (tokens.end >= 0)
        json_i64(j, tokens.end);
    if (tokens.bos >= 0)
        json_i64(j, tokens.bos);
    json_close(j, ']');
    write_id(j, "pad_token_id", tokens.end >= 0 ? tokens.end : tokens.bos);
    if (s->n_vocab < s->n_vocab_padded) {
        json_key(j, "suppress_tokens");
        json_open(j, '[');
        for (int id = s->n_vocab; id < s->n_vocab_padded; id++)
            json_i64(j, id);
        json_close(j, ']');
    }
    json_close(j, '}');
}
