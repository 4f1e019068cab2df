// laws.c - from a pretraining's options to the plain structs of core.
#include "runner/recipe/laws.h"

#include <string.h>

bool is_2026(const char *year)
{
    return year && !strcmp(year, "2026");
}

static void take(int *size, int64_t given)
{
    if (given != FIELD_UNSET_INT)
        *size = (int)given;
}

// What the reference makes of so many layers; without depth it is asked for what depth does not lead to, switches and the like.
static struct error *reference_shape(struct shape *shape, const struct pretrain_options *o, int depth, int64_t n_vocab)
{
    bool by_depth = o->depth != FIELD_UNSET_INT;
    int aspect = by_depth ? SHAPE_ASPECT_2026 : 1, head_dim = SHAPE_HEAD_DIM_2026;
    if (!is_2026(o->architecture))
        return shape_from_depth(shape, by_depth ? depth : 2, (int)n_vocab, (int)o->seq_len);
    if (by_depth) {
        take(&aspect, o->aspect);
        take(&head_dim, o->head_dim);
    }
    return shape_from_depth_2026(shape, depth, aspect, head_dim, (int)n_vocab, (int)o->seq_len);
}

struct error *shape_of(struct shape *shape, const struct pretrain_options *o, int64_t n_vocab)
{
    bool by_depth = o->depth != FIELD_UNSET_INT;
    if (!by_depth && (o->n_layer == FIELD_UNSET_INT || o->n_embd == FIELD_UNSET_INT))
        return error_new(ERROR_RECIPE, NOWHERE, "give depth, or n_layer, n_embd, n_head and the others",
                         "the model has neither depth nor n_layer and n_embd");
    struct error *e = reference_shape(shape, o, (int)(by_depth ? o->depth : o->n_layer), n_vocab);
    if (e)
        return e;
    // Widths come from the six sizes where depth is not given; one head of 128 and a MLP of 4 C are the reference's habits.
    if (!by_depth) {
        shape->n_embd = (int)o->n_embd;
        shape->n_head = shape->n_embd > 128 ? (shape->n_embd + 127) / 128 : 1;
        shape->n_kv_head = 0;
        shape->head_dim = 0;
        shape->n_mlp = 4 * shape->n_embd;
    }
    take(&shape->n_layer, o->n_layer);
    take(&shape->n_embd, o->n_embd);
    take(&shape->n_head, o->n_head);
    take(&shape->n_kv_head, o->n_kv_head);
    take(&shape->head_dim, o->head_dim);
    take(&shape->n_mlp, o->n_mlp);
    if (!shape->n_kv_head)
        shape->n_kv_head = shape->n_head;
    if (!shape->head_dim && shape->n_head > 0)
        shape->head_dim = shape->n_embd / shape->n_head;
    if (o->window_pattern && (e = shape_set_windows(shape, o->window_pattern)))
        return e;
    return shape_check(shape);
}

struct error *law_of(struct scaling_law *law, const struct pretrain_options *o, const struct shape *shape)
{
    enum { DEPTH = 12, RATIO = 12 }; // of the model that the law was measured at; the ratio is in both sides of it
    bool is_given = o->batch_tokens != FIELD_UNSET_INT;
    struct pretrain_options twelve = *o;
    struct shape measured;
    *law = (struct scaling_law){.batch_tokens = o->batch_tokens, .lr_scale = 1, .decay_scale = 1};
    if (is_given && !is_2026(o->optimizer))
        return NULL;
    twelve.depth = DEPTH;
    twelve.n_layer = twelve.n_embd = twelve.n_head = twelve.n_kv_head = twelve.n_mlp = FIELD_UNSET_INT;
    if (!is_2026(o->architecture))
        twelve.head_dim = FIELD_UNSET_INT;
    struct error *e = shape_of(&measured, &twelve, shape->n_vocab);
    if (e)
        return e;
    struct scaling_law found =
        scaling_law_2026(shape_scaling_params(shape), shape_scaling_params(&measured), RATIO, is_given ? o->batch_tokens : 0);
    if (found.batch_tokens < o->seq_len || found.batch_tokens % o->seq_len)
        return error_new(ERROR_RECIPE, NOWHERE, "write batch_tokens, a multiple of seq_len",
                         "the scaling law says batches of %lld tokens, which are no whole rows of %lld",
                         (long long)found.batch_tokens, (long long)o->seq_len);
    if (is_2026(o->optimizer))
        *law = found;
    law->batch_tokens = found.batch_tokens;
    return NULL;
}
