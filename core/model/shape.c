// shape.c - arithmetic on shapes.
#include "core/model/shape.h"

#include <math.h>
#include <string.h>

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

static int64_t up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static int short_window(int seq_len)
{
    enum { STEP = 128 };
    return (int)up((seq_len + 3) / 4, STEP);
}

struct error *shape_set_windows(struct shape *s, const char *pattern)
{
    size_t n = strlen(pattern);
    int bits = 0;
    if (n < 1 || n > SHAPE_PATTERN_MOST || pattern[strspn(pattern, "SL")])
        return error_new(ERROR_RECIPE, NOWHERE, "write letters S (short) and L (long), such as SSSL, at most 30",
                         "window_pattern '%.40s' is none", pattern);
    if (!s->window_short && !strcmp(pattern, "L"))
        return NULL;
    for (size_t i = 0; i < n; i++)
        bits |= (pattern[i] == 'S') << i;
    s->window_pattern = bits | 1 << n;
    s->window_short = short_window(s->seq_len);
    return NULL;
}

struct error *shape_from_depth_2026(struct shape *shape, int depth, int aspect, int head_dim, int n_vocab, int seq_len)
{
    enum { PAD = 64, SSSL = 0x17 };
    if (depth < 1 || aspect < 1 || depth > (1 << 20) / aspect || head_dim < 2 || head_dim > 1 << 16 || n_vocab < 1 ||
        n_vocab > 1 << 24 || seq_len < 1 || seq_len > SHAPE_SEQ_LEN_MAX)
        return error_plain(ERROR_RECIPE, "depth %d, aspect %d, heads of %d, vocabulary %d and %d tokens make no model", depth,
                           aspect, head_dim, n_vocab, seq_len);
    int n_embd = (int)up((int64_t)depth * aspect, head_dim);
    if (n_embd < SHAPE_SMEAR_CHANNELS_2026)
        return error_new(ERROR_RECIPE, NOWHERE, "make the model wider",
                         "the smear of 2026 looks at %d channels, and the model has %d", SHAPE_SMEAR_CHANNELS_2026, n_embd);
    *shape = (struct shape){.n_layer = depth,
                            .n_embd = n_embd,
                            .n_head = n_embd / head_dim,
                            .n_kv_head = n_embd / head_dim,
                            .head_dim = head_dim,
                            .n_mlp = 4 * n_embd,
                            .n_vocab = n_vocab,
                            .n_vocab_padded = (int)up(n_vocab, PAD),
                            .seq_len = seq_len,
                            .norm_eps = 0x1p-23,
                            .rope_base = 100000,
                            .softcap = 15,
                            .qk_scale = 1.2,
                            .window_short = short_window(seq_len),
                            .window_pattern = SSSL,
                            .value_embeds = 3,
                            .value_gate_channels = 12,
                            .residual_lambdas = 1,
                            .smear_channels = SHAPE_SMEAR_CHANNELS_2026,
                            .backout = depth / 2 + 1};
    return shape_check(shape);
}

static struct error *check_switches(const struct shape *s)
{
    const struct {
        const char *name;
        int value, low, high;
    } bounds[] = {{"window_short", s->window_short, 0, SHAPE_SEQ_LEN_MAX},
                  {"window_pattern", s->window_pattern, s->window_short ? 2 : 0, s->window_short ? INT32_MAX : 0},
                  {"value_embeds", s->value_embeds, 0, 1000},
                  {"value_gate_channels", s->value_gate_channels, s->value_embeds ? 1 : 0, s->value_embeds ? s->n_embd : 0},
                  {"residual_lambdas", s->residual_lambdas, 0, 1},
                  {"smear_channels", s->smear_channels, 0, s->n_embd},
                  {"backout", s->backout, 0, s->n_layer}};
    for (size_t i = 0; i < countof(bounds); i++)
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high)
            return error_plain(ERROR_DATA, "%s of the model is %d, outside %d to %d", bounds[i].name, bounds[i].value,
                               bounds[i].low, bounds[i].high);
    if (!(s->qk_scale >= 0 && s->qk_scale <= 1000))
        return error_plain(ERROR_DATA, "qk_scale of the model is %g, outside 0 to 1000", s->qk_scale);
    return NULL;
}

bool shape_has_values(const struct shape *s, int l)
{
    return s->value_embeds && l % 2 == (s->n_layer - 1) % 2;
}

// What the scaling laws count, and all. True: it does not fit.
static bool count_params(const struct shape *s, int64_t *scaling, int64_t *all)
{
    int64_t C = s->n_embd, V = s->n_vocab_padded, n_values = s->value_embeds ? (s->n_layer + 1) / 2 : 0;
    int64_t heads, kv, rows, layer, blocks, gates, tables, numbers = 0;
    if (s->residual_lambdas)
        numbers += 2 * (int64_t)s->n_layer;
    if (s->smear_channels)
        numbers += (int64_t)s->smear_channels + 1;
    numbers += s->backout > 0;
    return __builtin_mul_overflow((int64_t)s->n_head, s->head_dim, &heads) ||
           __builtin_mul_overflow((int64_t)s->n_kv_head, s->head_dim, &kv) || __builtin_add_overflow(heads, kv, &rows) ||
           __builtin_add_overflow(rows, s->n_mlp, &rows) || __builtin_mul_overflow(rows, 2, &rows) ||
           __builtin_mul_overflow(rows, C, &layer) || __builtin_mul_overflow(layer, s->n_layer, &blocks) ||
           __builtin_mul_overflow((int64_t)s->n_kv_head * s->value_gate_channels, n_values, &gates) ||
           __builtin_add_overflow(blocks, gates, scaling) || __builtin_add_overflow(*scaling, V * C, scaling) ||
           __builtin_mul_overflow(n_values * V, kv, &tables) || __builtin_add_overflow(*scaling, tables, all) ||
           __builtin_add_overflow(*all, V * C, all) || __builtin_add_overflow(*all, numbers, all);
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
    int64_t width = (int64_t)s->n_head * s->head_dim, scaling, n_params;
    if (width > SHAPE_WIDTH_MAX)
        return error_new(ERROR_DATA, NOWHERE, "lower n_head or head_dim", "%d heads of %d are %lld wide, more than %d", s->n_head,
                         s->head_dim, (long long)width, SHAPE_WIDTH_MAX);
    if (count_params(s, &scaling, &n_params) || n_params > SHAPE_PARAMS_MAX)
        return error_new(ERROR_DATA, NOWHERE, "lower n_layer, n_embd or n_mlp",
                         "a model of %d layers, width %d, MLP %d and a vocabulary of %d has more than 10^15 parameters",
                         s->n_layer, s->n_embd, s->n_mlp, s->n_vocab_padded);
    if (!(s->norm_eps > 0 && s->norm_eps < 1) || !(s->rope_base > 1) || !(s->softcap >= 0))
        return error_plain(ERROR_DATA, "norm_eps, rope_base or softcap of the model is out of range");
    return check_switches(s);
}

static int period_of(const struct shape *s)
{
    int period = 0;
    while (s->window_pattern >> (period + 1))
        period++;
    return period;
}

int shape_window(const struct shape *s, int l)
{
    if (!s->window_short)
        return 0;
    return l < s->n_layer - 1 && s->window_pattern >> (l % period_of(s)) & 1 ? s->window_short : s->seq_len;
}

float shape_qk_scale(const struct shape *s)
{
    return s->qk_scale > 0 ? (float)s->qk_scale : 1;
}

int64_t shape_scaling_params(const struct shape *s)
{
    int64_t scaling, all;
    return count_params(s, &scaling, &all) ? INT64_MAX : scaling;
}

int64_t shape_params(const struct shape *s)
{
    int64_t scaling, all;
    return count_params(s, &scaling, &all) ? INT64_MAX : all;
}

double shape_flops_per_token(const struct shape *s)
{
    double multiplied = (double)shape_scaling_params(s) + s->smear_channels; // exact below 2^53
    double keys = (double)s->n_layer * s->seq_len;
    for (int l = 0; l < s->n_layer && s->window_short; l++)
        keys -= s->seq_len - fmin(shape_window(s, l), s->seq_len);
    return 6 * multiplied + 12.0 * s->n_head * s->head_dim * keys;
}
