// shape.c - arithmetic on shapes.
#include "core/model/shape.h"

struct error *shape_from_depth(struct shape *shape, int depth, int n_vocab, int seq_len)
{
    int n_embd = 64 * depth;
    int n_head = n_embd > 128 ? (n_embd + 127) / 128 : 1;
    if (depth < 1 || n_embd % n_head)
        return error_new(ERROR_RECIPE, NOWHERE, "take an even depth, or 1, 3, 7, 15, 31, 63",
                         "depth %d gives width %d, which %d heads do not divide", depth, n_embd, n_head);
    *shape = (struct shape){.n_layer = depth,
                            .n_embd = n_embd,
                            .n_head = n_head,
                            .n_kv_head = n_head,
                            .head_dim = n_embd / n_head,
                            .n_mlp = 4 * n_embd,
                            .n_vocab = n_vocab,
                            .n_vocab_padded = n_vocab,
                            .seq_len = seq_len,
                            .norm_eps = 0x1p-23,
                            .rope_base = 10000,
                            .softcap = 15};
    return NULL;
}

struct error *shape_check(const struct shape *s)
{
    const struct {
        const char *name;
        int value, low, high;
    } bounds[] = {{"n_layer", s->n_layer, 1, 1000},      {"n_embd", s->n_embd, 1, 1 << 20},
                  {"n_head", s->n_head, 1, 1 << 16},     {"n_kv_head", s->n_kv_head, 1, s->n_head},
                  {"head_dim", s->head_dim, 2, 1 << 16}, {"n_mlp", s->n_mlp, 1, 1 << 22},
                  {"n_vocab", s->n_vocab, 1, 1 << 24},   {"n_vocab_padded", s->n_vocab_padded, s->n_vocab, 1 << 25},
                  {"seq_len", s->seq_len, 1, SHAPE_SEQ_LEN_MAX}};
    for (size_t i = 0; i < countof(bounds); i++)
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high)
            return error_plain(ERROR_DATA, "%s of the model is %d, outside %d to %d", bounds[i].name, bounds[i].value,
                               bounds[i].low, bounds[i].high);
    if (s->n_head % s->n_kv_head || s->head_dim % 2)
        return error_plain(ERROR_DATA, "a model of %d heads, %d key-value heads, head size %d cannot be", s->n_head, s->n_kv_head,
                           s->head_dim);
    if (!(s->norm_eps > 0 && s->norm_eps < 1) || !(s->rope_base > 1) || !(s->softcap >= 0))
        return error_plain(ERROR_DATA, "norm_eps, rope_base or softcap of the model is out of range");
    if (s->qk_scale != 0 || s->window_short || s->value_embeds || s->residual_lambdas || s->smear_channels || s->backout)
        return error_plain(ERROR_NOT_BUILT, "the model uses switches of nanochat 2026, which this version does not run");
    return NULL;
}

int64_t shape_params(const struct shape *s)
{
    int64_t C = s->n_embd, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    int64_t layer = (heads + 2 * kv) * C + C * heads + 2 * C * s->n_mlp;
    return 2 * s->n_vocab_padded * C + s->n_layer * layer;
}

double shape_flops_per_token(const struct shape *s)
{
    double matrices = (double)(shape_params(s) - (int64_t)s->n_vocab_padded * s->n_embd);
    return 6 * matrices + 12.0 * s->n_layer * s->n_head * s->head_dim * s->seq_len;
}
