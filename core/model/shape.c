// shape.c - arithmetic on shapes.
#include "core/model/shape.h"

struct error *shape_from_depth(struct shape *shape, int depth, int n_vocab, int seq_len)
{
    if (depth < 1 || depth > SHAPE_DEPTH_MAX)
        return error_new(ERROR_RECIPE, NOWHERE, "take an even depth, or 1, 3, 7, 15, 31, 63", "depth %d is outside 1 to %d",
                         depth, SHAPE_DEPTH_MAX);
    int n_embd = 64 * depth;
    int n_head = n_embd > 128 ? (n_embd + 127) / 128 : 1;
    if (n_embd % n_head)
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

// True: it does not fit.
static bool count_params(const struct shape *s, int64_t *n)
{
    int64_t C = s->n_embd, heads, kv, rows, layer, blocks, ends;
    return __builtin_mul_overflow((int64_t)s->n_head, s->head_dim, &heads) ||
           __builtin_mul_overflow((int64_t)s->n_kv_head, s->head_dim, &kv) || __builtin_add_overflow(heads, kv, &rows) ||
           __builtin_add_overflow(rows, s->n_mlp, &rows) || __builtin_mul_overflow(rows, 2, &rows) ||
           __builtin_mul_overflow(rows, C, &layer) || __builtin_mul_overflow(layer, s->n_layer, &blocks) ||
           __builtin_mul_overflow(2 * (int64_t)s->n_vocab_padded, C, &ends) || __builtin_add_overflow(blocks, ends, n);
}

struct error *shape_check(const struct shape *s)
{
    const struct {
        const char *name;
        int value, low, high;
    } bounds[] = {{"n_layer", s->n_layer, 1, SHAPE_DEPTH_MAX},
                  {"n_embd", s->n_embd, 1, 1 << 20},
                  {"n_head", s->n_head, 1, 1 << 16},
                  {"n_kv_head", s->n_kv_head, 1, s->n_head},
                  {"head_dim", s->head_dim, 2, 1 << 16},
                  {"n_mlp", s->n_mlp, 1, SHAPE_WIDTH_MAX},
                  {"n_vocab", s->n_vocab, 1, 1 << 24},
                  {"n_vocab_padded", s->n_vocab_padded, s->n_vocab, 1 << 25},
                  {"seq_len", s->seq_len, 1, SHAPE_SEQ_LEN_MAX}};
    for (size_t i = 0; i < countof(bounds); i++)
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high)
            return error_plain(ERROR_DATA, "%s of the model is %d, outside %d to %d", bounds[i].name, bounds[i].value,
                               bounds[i].low, bounds[i].high);
    if (s->n_head % s->n_kv_head || s->head_dim % 2)
        return error_plain(ERROR_DATA, "a model of %d heads, %d key-value heads, head size %d cannot be", s->n_head, s->n_kv_head,
                           s->head_dim);
    int64_t width = (int64_t)s->n_head * s->head_dim, n_params;
    if (width > SHAPE_WIDTH_MAX)
        return error_new(ERROR_DATA, NOWHERE, "lower n_head or head_dim", "%d heads of %d are %lld wide, more than %d", s->n_head,
                         s->head_dim, (long long)width, SHAPE_WIDTH_MAX);
    if (count_params(s, &n_params) || n_params > SHAPE_PARAMS_MAX)
        return error_new(ERROR_DATA, NOWHERE, "lower n_layer, n_embd or n_mlp",
                         "a model of %d layers, width %d, MLP %d and a vocabulary of %d has more than 10^15 parameters",
                         s->n_layer, s->n_embd, s->n_mlp, s->n_vocab_padded);
    if (!(s->norm_eps > 0 && s->norm_eps < 1) || !(s->rope_base > 1) || !(s->softcap >= 0))
        return error_plain(ERROR_DATA, "norm_eps, rope_base or softcap of the model is out of range");
    if (s->qk_scale != 0 || s->window_short || s->value_embeds || s->residual_lambdas || s->smear_channels || s->backout)
        return error_plain(ERROR_NOT_BUILT, "the model uses switches of nanochat 2026, which this version does not run");
    return NULL;
}

int64_t shape_params(const struct shape *s)
{
    int64_t n;
    return count_params(s, &n) ? INT64_MAX : n;
}

double shape_flops_per_token(const struct shape *s)
{
    double matrices = (double)shape_params(s) - (double)s->n_vocab_padded * s->n_embd; // exact below 2^53
    return 6 * matrices + 12.0 * s->n_layer * s->n_head * s->head_dim * s->seq_len;
}
