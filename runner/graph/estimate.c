// estimate.c - formulas only.
#include "runner/graph/estimate.h"

#include <math.h>
#include <string.h>

#include "core/model/shape.h"
#include "runner/stages/shape_of.h"

// The shape that a pretraining trains; *known = false where its vocabulary is not (an import).
static struct error *node_shape(const struct graph_node *pretrain, struct shape *shape, bool *known)
{
    const struct graph_node *tokenizer = graph_input(pretrain, "tokenizer");
    *known = tokenizer && tokenizer->kind == KIND_TOKENIZER;
    if (!*known)
        return NULL;
    return shape_of(shape, pretrain->options, ((const struct tokenizer_options *)tokenizer->options)->vocab);
}

static struct error *estimate_pretrain(struct estimate *estimate, const struct graph_node *node)
{
    const struct pretrain_options *o = node->options;
    struct shape shape;
    int64_t n_steps;
    bool known;
    struct error *e = node_shape(node, &shape, &known);
    if (e || !known || (e = steps_of(&n_steps, o, &shape)))
        return e;
    estimate->params = shape_params(&shape);
    estimate->bytes_disk = estimate->params * (int64_t)sizeof(float);
    estimate->flops = shape_flops_per_token(&shape) * (double)n_steps * (double)o->batch_tokens;
    if (n_steps <= INT64_MAX / o->batch_tokens)
        estimate->tokens = n_steps * o->batch_tokens;
    return NULL;
}

static struct error *estimate_eval(struct estimate *estimate, const struct graph_node *node)
{
    const struct eval_options *o = node->options;
    const struct graph_node *base = graph_input(node, "model");
    struct shape shape;
    bool known = false;
    while (base && base->kind != KIND_PRETRAIN)
        base = graph_input(base, "model");
    struct error *e = base ? node_shape(base, &shape, &known) : NULL;
    if (e || !known)
        return e;
    estimate->params = shape_params(&shape);
    if (graph_input(node, "validation") && o->eval_tokens != FIELD_UNSET_INT) {
        estimate->tokens = o->eval_tokens;
        estimate->flops = shape_flops_per_token(&shape) / 3 * (double)o->eval_tokens;
    }
    return NULL;
}

struct error *estimate_stage(struct estimate *estimate, const struct graph_node *node)
{
    *estimate = (struct estimate){.params = -1, .tokens = -1, .bytes_disk = -1, .flops = NAN};
    struct error *e = node->kind == KIND_PRETRAIN ? estimate_pretrain(estimate, node)
                      : node->kind == KIND_EVAL   ? estimate_eval(estimate, node)
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
