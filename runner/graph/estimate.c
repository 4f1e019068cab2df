// estimate.c - formulas only.
#include "runner/graph/estimate.h"

#include <math.h>
#include <string.h>

#include "core/model/hf_config.h"
#include "core/model/shape.h"
#include "runner/stages/hyperparameters.h"

// The shape of a model that is imported; not known where its files are not there, or, as the recipe was told, cannot be read.
static void imported_shape(const struct graph_node *import, struct shape *shape, bool *known)
{
    const struct import_options *o = import->options;
    struct arena scratch = {0};
    struct error *e = o->file && hf_is_model(o->file) ? hf_config_read(o->file, shape, &scratch) : NULL;
    *known = o->file && !e && shape->n_layer > 0;
    error_free(e);
    arena_release(&scratch);
}

// The shape that a pretraining trains; *known = false where its vocabulary, or that of an import that it begins with, is not.
static struct error *node_shape(const struct graph_node *pretrain, struct shape *shape, bool *known)
{
    const struct graph_node *tokenizer = graph_input(pretrain, "tokenizer"), *from = graph_input(pretrain, "from");
    const struct pretrain_options *o = pretrain->options;
    struct error *e = NULL;
    *known = false;
    if (tokenizer && tokenizer->kind == KIND_TOKENIZER) {
        *known = true;
        return shape_of(shape, o, ((const struct tokenizer_options *)tokenizer->options)->vocab);
    }
    if (from && from->kind == KIND_IMPORT)
        imported_shape(from, shape, known);
    else if (from && from->kind == KIND_PRETRAIN)
        e = node_shape(from, shape, known);
    if (!e && *known && o->seq_len > 0 && o->seq_len <= INT32_MAX)
        shape->seq_len = (int)o->seq_len;
    return e;
}

struct error *estimate_shape(const struct graph_node *node, struct shape *shape, bool *known)
{
    const struct graph_node *base = node;
    int64_t seq_len = 0; // of the last finetuning
    *known = false;
    *shape = (struct shape){0};
    for (; base && base->kind != KIND_PRETRAIN && base->kind != KIND_IMPORT; base = graph_input(base, "model"))
        if (base->kind == KIND_FINETUNE && !seq_len)
            seq_len = ((const struct finetune_options *)base->options)->seq_len;
    struct error *e = base && base->kind == KIND_PRETRAIN ? node_shape(base, shape, known) : NULL;
    if (base && base->kind == KIND_IMPORT)
        imported_shape(base, shape, known);
    if (!e && *known && seq_len > 0 && seq_len <= INT32_MAX)
        shape->seq_len = (int)seq_len;
    return e;
}

int64_t estimate_begin(const struct graph_node *node)
{
    const struct graph_node *parent = node->kind == KIND_PRETRAIN ? graph_input(node, "from") : NULL;
    struct shape shape;
    int64_t n_steps = -1;
    bool known = false;
    if (!parent || parent->kind != KIND_PRETRAIN)
        return 0;
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i].node == parent && !strcmp(node->inputs[i].role, "from") && node->inputs[i].step >= 0)
            return node->inputs[i].step;
    struct error *e = node_shape(parent, &shape, &known);
    if (!e && known)
        e = steps_of(&n_steps, parent->options, &shape);
    known = known && !e;
    error_free(e); // of the parent, which tells it itself
    return known ? n_steps : -1;
}

static struct error *estimate_pretrain(struct estimate *estimate, const struct graph_node *node)
{
    const struct pretrain_options *o = node->options;
    struct shape shape;
    struct scaling_law law;
    int64_t n_steps;
    bool known;
    struct error *e = node_shape(node, &shape, &known);
    if (e || !known || (e = law_of(&law, o, &shape)) || (e = steps_of(&n_steps, o, &shape)))
        return e;
    estimate->steps = n_steps;
    int64_t begin = estimate_begin(node);
    n_steps -= begin > 0 && begin < n_steps ? begin : 0;
    estimate->params = shape_params(&shape);
    estimate->scaling_params = shape_scaling_params(&shape);
    estimate->batch_tokens = law.batch_tokens;
    estimate->bytes_disk = estimate->params * (int64_t)sizeof(float);
    estimate->flops_per_token = shape_flops_per_token(&shape);
    estimate->flops = estimate->flops_per_token * (double)n_steps * (double)law.batch_tokens;
    if (n_steps <= INT64_MAX / law.batch_tokens)
        estimate->tokens = n_steps * law.batch_tokens;
    return NULL;
}

static struct error *model_shape(struct estimate *estimate, const struct graph_node *node, struct shape *shape, bool *known)
{
    struct error *e = estimate_shape(node, shape, known);
    if (!e && *known)
        estimate->params = shape_params(shape);
    return e;
}

static struct error *estimate_training(struct estimate *estimate, const struct graph_node *node)
{
    struct shape shape;
    bool known;
    struct error *e = model_shape(estimate, node, &shape, &known);
    if (e || !known)
        return e;
    estimate->bytes_disk = estimate->params * (int64_t)sizeof(float);
    if (node->kind == KIND_GRPO)
        return NULL;
    const struct finetune_options *o = node->options;
    estimate->flops_per_token = shape_flops_per_token(&shape);
    if (o->steps > 0 && o->batch_tokens > 0 && o->steps <= INT64_MAX / o->batch_tokens) {
        estimate->tokens = o->steps * o->batch_tokens;
        estimate->flops = estimate->flops_per_token * (double)estimate->tokens;
    }
    return NULL;
}

static struct error *estimate_import(struct estimate *estimate, const struct graph_node *node)
{
    struct shape shape;
    bool known;
    struct error *e = model_shape(estimate, node, &shape, &known);
    if (!e && known)
        estimate->bytes_disk = estimate->params * (int64_t)sizeof(float);
    return e;
}

static struct error *estimate_eval(struct estimate *estimate, const struct graph_node *node)
{
    const struct eval_options *o = node->options;
    struct shape shape;
    bool known;
    struct error *e = model_shape(estimate, node, &shape, &known);
    if (e || !known)
        return e;
    if (graph_input(node, "validation") && o->tasks.n == 0 && o->eval_tokens != FIELD_UNSET_INT) {
        estimate->tokens = o->eval_tokens;
        estimate->flops = shape_flops_per_token(&shape) / 3 * (double)o->eval_tokens;
    }
    return NULL;
}

void estimate_mixture(struct estimate *estimate, const struct graph_node *node, int64_t n_examples, int64_t n_tokens,
                      int64_t n_rows)
{
    if (node->kind != KIND_FINETUNE || estimate->tokens >= 0 || n_examples <= 0 || n_tokens < 1)
        return;
    const struct finetune_options *o = node->options;
    double tokens = (double)o->epochs * (double)n_tokens;
    if (o->batch_tokens != FIELD_UNSET_INT && o->seq_len > 0 && o->batch_tokens >= o->seq_len) {
        int64_t batch = o->batch_tokens / o->seq_len;
        tokens = n_rows < 0 ? NAN : (double)(n_rows / batch) * (double)o->epochs * (double)(batch * o->seq_len);
    } else if (o->rows > 0 && o->steps > 0) {
        tokens = (double)n_tokens / (double)n_examples * (double)o->rows * (double)o->steps;
    }
    if (tokens >= 0 && tokens < 9e18)
        estimate->tokens = (int64_t)tokens;
    estimate->flops = estimate->flops_per_token * tokens;
}

int64_t estimate_steps(const struct graph_node *node, int64_t n_rows)
{
    int64_t steps = -1;
    if (node->kind == KIND_GRPO) {
        const struct grpo_options *o = node->options;
        if (o->steps != FIELD_UNSET_INT)
            return o->steps;
        if (n_rows < 0 || __builtin_mul_overflow(n_rows / o->rows, o->epochs, &steps))
            return -1;
    } else if (node->kind == KIND_FINETUNE) {
        const struct finetune_options *o = node->options;
        bool is_packed = o->batch_tokens != FIELD_UNSET_INT;
        if (o->steps != FIELD_UNSET_INT)
            return o->steps;
        int64_t batch = !is_packed ? o->rows : o->seq_len > 0 ? o->batch_tokens / o->seq_len : 0;
        if (n_rows < 0 || batch < 1 || __builtin_mul_overflow(n_rows / batch, o->epochs, &steps))
            return -1;
        steps -= !is_packed && steps > 1; // the reference's leave before the last (stages/finetune.c)
    }
    return steps > 0 ? steps : -1;
}

struct error *estimate_stage(struct estimate *estimate, const struct graph_node *node)
{
    *estimate = (struct estimate){.params = -1,
                                  .scaling_params = -1,
                                  .batch_tokens = -1,
                                  .steps = -1,
                                  .tokens = -1,
                                  .bytes_disk = -1,
                                  .flops = NAN,
                                  .flops_per_token = NAN};
    struct error *e = node->kind == KIND_PRETRAIN   ? estimate_pretrain(estimate, node)
                      : node->kind == KIND_FINETUNE ? estimate_training(estimate, node)
                      : node->kind == KIND_GRPO     ? estimate_training(estimate, node)
                      : node->kind == KIND_EVAL     ? estimate_eval(estimate, node)
                      : node->kind == KIND_IMPORT   ? estimate_import(estimate, node)
                                                    : NULL;
    if (e && node->stage) {
        // Core knows no places: an error about this stage's numbers stands where the stage does.
        if (!e->at.file) {
            struct error *placed =
                error_new(e->kind == ERROR_DATA ? ERROR_RECIPE : e->kind, node->stage->at, e->fix, "%s", e->what);
            error_free(e);
            e = placed;
        }
        e = error_while(e, node->stage->at, "planning stage '%s'", node->name);
    }
    return e;
}
