// hf_weights.c - parameters are listed by a model that is opened without memory behind it (DEVICE_COUNT), so that there is one list of
// them.
#include "core/model/hf_weights.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/base/stop.h"
#include "core/model/hf_config.h"
#include "core/model/model.h"
#include "core/store/atomic.h"

static const char embedding[] = "model.embed_tokens.weight", output[] = "lm_head.weight";

// The tensor of a parameter; NULL: NanoChat of transformers has no such thing, or memory ran out.
static const char *tensor_name(const char *param, struct arena *arena)
{
    static const char *const parts[][2] = {{"attn.c_q", "self_attn.q_proj"}, {"attn.c_k", "self_attn.k_proj"},
                                           {"attn.c_v", "self_attn.v_proj"}, {"attn.c_proj", "self_attn.o_proj"},
                                           {"mlp.c_fc", "mlp.fc1"},          {"mlp.c_proj", "mlp.fc2"}};
    int layer = 0, n = 0;
    if (!strcmp(param, "transformer.wte"))
        return embedding;
    if (!strcmp(param, "lm_head"))
        return output;
    if (sscanf(param, "transformer.h.%d.%n", &layer, &n) != 1 || !n)
        return NULL;
    for (size_t i = 0; i < countof(parts); i++)
        if (!strcmp(param + n, parts[i][0]))
            return arena_printf(arena, "model.layers.%d.%s.weight", layer, parts[i][1]);
    return NULL;
}

struct listed {
    const char *param, *tensor;
    int64_t rows, cols;
};

static struct error *list_params(const struct shape *shape, struct arena *arena, struct listed **list, int *n)
{
    struct fault fault;
    struct model model;
    struct device *dev = device_open(DEVICE_COUNT, 1, &fault);
    struct error *e = dev ? model_open(&model, dev, shape, arena) : error_from_fault(fault);
    if (!e && !(*list = arena_array(arena, (size_t)model.n_params, sizeof **list)))
        e = error_memory();
    for (int i = 0; !e && i < model.n_params; i++) {
        const struct param *p = &model.params[i];
        (*list)[i] = (struct listed){p->name, tensor_name(p->name, arena), p->rows, p->cols};
        if (!(*list)[i].tensor)
            e = error_plain(ERROR_NOT_BUILT, "NanoChat of transformers has no parameter '%s'", p->name);
    }
    *n = e ? 0 : model.n_params;
    if (dev)
        device_close(dev);
    return e;
}

// --- reading --------------------------------------------------------------------------------------------------------------------

// A tensor that follows from the config.
static bool is_derived(const char *name)
{
    size_t n = strlen(name), ending = strlen("rotary_emb.inv_freq");
    return n >= ending && !strcmp(name + n - ending, "rotary_emb.inv_freq");
}

static const struct safetensor *find(const struct hf_weights *w, const char *name, const struct safetensors **in)
{
    const struct safetensor *found = NULL;
    for (int i = 0; i < w->n_files && !found; i++)
        if ((found = safetensors_find(&w->files[i], name)))
            *in = &w->files[i];
    return found;
}

// The tensor of a parameter. Where the config ties the output to the embedding and both are there, `transformers` takes both, too.
static const struct safetensor *find_param(const struct hf_weights *w, const char *name, const struct safetensors **in)
{
    const struct safetensor *found = find(w, name, in);
    return !found && w->tied && !strcmp(name, output) ? find(w, embedding, in) : found;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// That the index and its files say the same.
static struct error *check_index(const struct hf_weights *w, const char *path, struct arena *arena)
{
    json_t *root = NULL;
    size_t n_tensors = 0;
    struct error *e = hf_index_read(path, arena, &root);
    const json_t *map = json_object_get(root, "weight_map");
    for (int i = 0; i < w->n_files && !e; i++)
        for (int k = 0; k < w->files[i].n && !e; k++) {
            const char *name = w->files[i].tensors[k].name, *said = json_string_value(json_object_get(map, name));
            n_tensors++;
            if (!said || strcmp(said, file_name(w->files[i].path)))
                e = error_plain(ERROR_DATA, "tensor '%.120s' is in '%s', and the index says %s%.80s", name, w->files[i].path,
                                said ? "in " : "nowhere", said ? said : "");
        }
    if (!e && json_object_size(map) != n_tensors)
        e = error_plain(ERROR_DATA, "'%s' has %zu tensors, and its files %zu", path, json_object_size(map), n_tensors);
    json_decref(root);
    return e;
}

struct error *hf_weights_open(struct hf_weights *w, const char *folder, struct arena *arena)
{
    const char *const *names;
    int n, first;
    *w = (struct hf_weights){0};
    struct error *e = hf_folder_files(folder, arena, &names, &n, &first);
    if (!e)
        e = hf_config_tied(folder, &w->tied, arena);
    if (e)
        return e;
    if (!(w->files = arena_array(arena, (size_t)n, sizeof *w->files)))
        return error_memory();
    for (int i = first; i < n && !e; i++) {
        const char *path = arena_printf(arena, "%s/%s", folder, names[i]);
        e = path ? safetensors_open(&w->files[w->n_files], path, arena) : error_memory();
        w->n_files += !e;
    }
    const char *index = first == 3 ? arena_printf(arena, "%s/%s", folder, names[2]) : NULL;
    if (!e && index)
        e = check_index(w, index, arena);
    if (e)
        hf_weights_close(w);
    return e;
}

static struct error *check_tensor(const struct safetensors *in, const struct safetensor *t, const struct listed *p,
                                  struct arena *arena)
{
    const int64_t wanted[] = {p->rows, p->cols};
    if (t->type == SAFETENSOR_OTHER)
        return error_new(ERROR_DATA, NOWHERE, "save it as one of these: model.float().save_pretrained(...)",
                         "tensor '%s' of '%s' is of type %s; weights are F32, BF16 or F16", t->name, in->path, t->dtype);
    if (t->n_dims == 2 && t->dims[0] == p->rows && t->dims[1] == p->cols)
        return NULL;
    return error_plain(ERROR_DATA, "tensor '%s' of '%s' is %s, and config.json asks for %s", t->name, in->path,
                       safetensor_shape(t->dims, t->n_dims, arena), safetensor_shape(wanted, 2, arena));
}

// The numbers of a tensor as a dataset.
static struct error *make_set(struct hf_weights *w, const struct safetensor *t, const struct listed *p, struct arena *arena,
                              struct store_set *set)
{
    const char *path = arena_printf(arena, "/model/%s", p->param);
    if (!path)
        return error_memory();
    *set = (struct store_set){.path = path, .type = STORE_F32, .n_dims = 2, .dims = {p->rows, p->cols}, .data = t->data};
    if (t->type == SAFETENSOR_F32)
        return NULL;
    float *block = block_alloc((size_t)(p->rows * p->cols) * sizeof *block);
    if (!block)
        return error_memory();
    w->blocks[w->n_blocks++] = block;
    safetensor_floats(t, 0, p->rows * p->cols, block);
    set->data = block;
    return NULL;
}

// The first tensor that no parameter has.
static struct error *check_rest(const struct hf_weights *w, const struct listed *list, int n)
{
    for (int i = 0; i < w->n_files; i++)
        for (int k = 0; k < w->files[i].n; k++) {
            const char *name = w->files[i].tensors[k].name;
            bool known = is_derived(name);
            for (int p = 0; p < n && !known; p++)
                known = !strcmp(list[p].tensor, name);
            if (!known)
                return error_plain(ERROR_DATA, "tensor '%.120s' of '%s' has no place in a model of this config.json", name,
                                   w->files[i].path);
        }
    return NULL;
}

struct error *hf_weights_sets(struct hf_weights *w, const struct shape *shape, struct arena *arena, struct store_set **sets,
                              int *n_sets)
{
    struct listed *list = NULL;
    int n;
    struct error *e = list_params(shape, arena, &list, &n);
    if (e)
        return e;
    *sets = arena_array(arena, (size_t)n, sizeof **sets);
    w->blocks = arena_array(arena, (size_t)n, sizeof *w->blocks);
    *n_sets = n;
    if (!*sets || !w->blocks)
        return error_memory();
    for (int i = 0; i < n && !e; i++) {
        const struct safetensors *in = NULL;
        const struct safetensor *t = find_param(w, list[i].tensor, &in);
        if (stop_requested())
            e = error_stopped();
        else if (!t)
            e = error_plain(ERROR_DATA, "'%s' has no tensor '%s'", w->files[0].path, list[i].tensor);
        if (!e)
            e = check_tensor(in, t, &list[i], arena);
        if (!e)
            e = make_set(w, t, &list[i], arena, &(*sets)[i]);
    }
    return e ? e : check_rest(w, list, n);
}

void hf_weights_close(struct hf_weights *w)
{
    for (int i = 0; i < w->n_blocks; i++)
        block_free(w->blocks[i]);
    for (int i = 0; i < w->n_files; i++)
        safetensors_close(&w->files[i]);
    *w = (struct hf_weights){0};
}

// --- writing ---------------------------------------------------------------------------------------------------------------------

struct error *hf_weights_write(struct store_file *file, const struct shape *shape, const char *path, struct arena *arena,
                               int64_t *n_bytes)
{
    struct listed *list = NULL;
    int n;
    const uint8_t *header;
    size_t n_header = 0;
    struct error *e = list_params(shape, arena, &list, &n);
    if (e)
        return e;
    struct safetensor *tensors = arena_array(arena, (size_t)n + 1, sizeof *tensors);
    struct atomic_piece *pieces = arena_array(arena, (size_t)n + 1, sizeof *pieces);
    if (!tensors || !pieces)
        return error_memory();
    for (int i = 0; i < n && !e; i++) {
        const struct listed *p = &list[i];
        const char *set = arena_printf(arena, "/model/%s", p->param);
        const void *data;
        int64_t n_items;
        e = set ? store_map(file, set, STORE_F32, &data, &n_items) : error_memory();
        if (!e && n_items != p->rows * p->cols)
            e = error_plain(ERROR_DATA, "'%s' has %lld numbers where the model's shape asks for %lld", set, (long long)n_items,
                            (long long)(p->rows * p->cols));
        tensors[i] = (struct safetensor){.name = p->tensor, .n_dims = 2, .dims = {p->rows, p->cols}};
        if (!e)
            pieces[i + 1] = (struct atomic_piece){data, (size_t)n_items * sizeof(float)};
    }
    if (!e)
        e = safetensors_header(tensors, n, arena, &header, &n_header);
    if (e)
        return e;
    pieces[0] = (struct atomic_piece){header, n_header};
    for (int i = 0; i <= n; i++)
        *n_bytes += (int64_t)pieces[i].n_bytes;
    return atomic_write_pieces(path, pieces, n + 1);
}
