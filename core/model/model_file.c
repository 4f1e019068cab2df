// model_file.c - one table of the shape's members serves writing and reading.
#include "core/model/model_file.h"

#include <limits.h>
#include <stddef.h>

static const struct {
    const char *name;
    size_t offset;
    bool is_real;
} members[] = {
    {"n_layer", offsetof(struct shape, n_layer), false},
    {"n_embd", offsetof(struct shape, n_embd), false},
    {"n_head", offsetof(struct shape, n_head), false},
    {"n_kv_head", offsetof(struct shape, n_kv_head), false},
    {"head_dim", offsetof(struct shape, head_dim), false},
    {"n_mlp", offsetof(struct shape, n_mlp), false},
    {"n_vocab", offsetof(struct shape, n_vocab), false},
    {"n_vocab_padded", offsetof(struct shape, n_vocab_padded), false},
    {"seq_len", offsetof(struct shape, seq_len), false},
    {"norm_eps", offsetof(struct shape, norm_eps), true},
    {"rope_base", offsetof(struct shape, rope_base), true},
    {"softcap", offsetof(struct shape, softcap), true},
    {"qk_scale", offsetof(struct shape, qk_scale), true},
    {"window_short", offsetof(struct shape, window_short), false},
    {"window_pattern", offsetof(struct shape, window_pattern), false},
    {"value_embeds", offsetof(struct shape, value_embeds), false},
    {"value_gate_channels", offsetof(struct shape, value_gate_channels), false},
    {"residual_lambdas", offsetof(struct shape, residual_lambdas), false},
    {"smear_channels", offsetof(struct shape, smear_channels), false},
    {"backout", offsetof(struct shape, backout), false},
};

_Static_assert(countof(members) == MODEL_ATTRIBUTES, "the table and the count of attributes");

int model_file_attributes(const struct shape *shape, struct store_attribute attributes[MODEL_ATTRIBUTES])
{
    for (size_t i = 0; i < countof(members); i++) {
        const char *at = (const char *)shape + members[i].offset;
        attributes[i] = members[i].is_real ? store_f64("/model", members[i].name, *(const double *)at)
                                           : store_i64("/model", members[i].name, *(const int *)at);
    }
    return MODEL_ATTRIBUTES;
}

struct error *model_file_set(struct device *dev, struct tensor tensor, const char *path, struct store_set *set)
{
    float *data = block_alloc((size_t)(tensor.rows * tensor.cols) * sizeof *data);
    if (!data)
        return error_memory();
    device_get(dev, data, tensor, 0, tensor.rows * tensor.cols);
    *set = (struct store_set){.path = path, .type = STORE_F32, .n_dims = 2, .dims = {tensor.rows, tensor.cols}, .data = data};
    return NULL;
}

struct error *model_file_sets(const struct model *model, struct arena *arena, struct store_set *sets)
{
    for (int i = 0; i < model->n_params; i++) {
        const char *path = arena_printf(arena, "/model/%s", model->params[i].name);
        struct error *e = path ? model_file_set(model->dev, model->params[i].w.master, path, &sets[i]) : error_memory();
        if (e) {
            model_file_release(sets, i);
            return e;
        }
    }
    return NULL;
}

void model_file_release(struct store_set *sets, int n_sets)
{
    for (int i = 0; i < n_sets; i++) {
        block_free((void *)sets[i].data);
        sets[i].data = NULL;
    }
}

struct error *model_file_shape(struct store_file *file, struct shape *shape)
{
    *shape = (struct shape){0};
    for (size_t i = 0; i < countof(members); i++) {
        char *at = (char *)shape + members[i].offset;
        int64_t value = 0;
        struct error *e = members[i].is_real ? store_get_f64(file, "/model", members[i].name, (double *)at)
                                             : store_get_i64(file, "/model", members[i].name, &value);
        if (e)
            return e;
        if (value < 0 || value > INT_MAX)
            return error_plain(ERROR_DATA, "%s of the model is %lld", members[i].name, (long long)value);
        if (!members[i].is_real)
            *(int *)at = (int)value;
    }
    return shape_check(shape);
}

struct error *model_file_load_tensor(struct store_file *file, struct device *dev, const char *path, struct tensor tensor)
{
    struct store_set set;
    int64_t offset, bytes;
    struct error *e = store_describe(file, path, &set, &offset, &bytes);
    if (e)
        return e;
    if (set.n_dims != 2 || set.dims[0] != tensor.rows || set.dims[1] != tensor.cols)
        return error_plain(ERROR_DATA, "'%s' does not have the size [%lld,%lld] that the model's shape asks for", path,
                           (long long)tensor.rows, (long long)tensor.cols);
    int64_t n = tensor.rows * tensor.cols;
    float *data = block_alloc((size_t)n * sizeof *data);
    if (!data)
        return error_memory();
    e = store_read(file, path, STORE_F32, 0, n, data);
    if (!e)
        device_put(dev, tensor, 0, n, data);
    block_free(data);
    return e;
}

struct error *model_file_load(struct store_file *file, struct model *model)
{
    for (int i = 0; i < model->n_params; i++) {
        const char *path = arena_printf(model->arena, "/model/%s", model->params[i].name);
        struct error *e = path ? model_file_load_tensor(file, model->dev, path, model->params[i].w.master) : error_memory();
        if (e)
            return e;
    }
    model_prepare(model);
    return error_from_fault(device_fault(model->dev));
}
