// decoder.c - the forward pass of model/forward.c for one token a row, with keys and values kept.
//
// 1. A step computes the rows that it is given and no others; slots say which caches they have. Several rows of one slot are a piece of
//    it: all their keys and values are written before any is read, and each row sees those up to its own position.
// 2. Positions of a slot at and behind position[slot] hold anything: a token's keys and values are written before they are read. So
//    prompts of one prefill are padded on the right, and what the padding leaves in the caches is never seen.
// 3. What the smear adds to a token is the embedding of the one before it, which the token's id tells: in a step both are embedded,
//    as a sequence of two.
// 4. A prefill goes through in parts of whole prompts, as many as fit into prefill_tokens with their padding.
#include "core/infer/decoder.h"

#include <string.h>

#include "core/base/stop.h"

static struct tensor top(struct tensor t, int64_t rows)
{
    t.rows = rows;
    return t;
}

struct error *decoder_open(struct decoder *d, struct model *m, int n_slots, int capacity)
{
    return decoder_open_wide(d, m, n_slots, n_slots, capacity);
}

struct error *decoder_open_wide(struct decoder *d, struct model *m, int n_slots, int n_rows, int capacity)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    if (capacity > m->n_positions)
        return error_plain(ERROR_FAILED, "%d positions are beyond the model's %d", capacity, m->n_positions);
    *d = (struct decoder){.model = m, .n_slots = n_slots, .n_rows = n_rows, .capacity = capacity};
    int64_t S = n_slots, R = n_rows, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    d->position = arena_array(m->arena, (size_t)n_slots, sizeof *d->position);
    d->host_positions = arena_array(m->arena, (size_t)n_rows, sizeof *d->host_positions);
    d->host_ids = arena_array(m->arena, 2 * (size_t)n_rows, sizeof *d->host_ids);
    d->k_cache = arena_array(m->arena, (size_t)s->n_layer, sizeof *d->k_cache);
    d->v_cache = arena_array(m->arena, (size_t)s->n_layer, sizeof *d->v_cache);
    if (!d->position || !d->host_positions || !d->host_ids || !d->k_cache || !d->v_cache)
        return error_memory();
    for (int l = 0; l < s->n_layer; l++) {
        d->k_cache[l] = device_kept(dev, S * capacity, kv);
        d->v_cache[l] = device_kept(dev, S * capacity, kv);
    }
    d->slots = device_ids(dev, R, 1);
    d->ids = device_ids(dev, R, 1);
    d->positions = device_ids(dev, R, 1);
    d->x = device_tensor(dev, R + (s->smear_channels > 0), s->n_embd); // see enter
    d->n = device_kept(dev, R, s->n_embd);
    d->rstd = device_tensor(dev, R, 1);
    d->q = device_tensor(dev, R, heads);
    d->k = device_tensor(dev, R, kv);
    d->v = device_tensor(dev, R, kv);
    d->rstd_q = device_tensor(dev, R, s->n_head);
    d->rstd_k = device_tensor(dev, R, s->n_kv_head);
    d->o = device_tensor(dev, R, heads);
    d->a = device_kept(dev, R, s->n_mlp);
    d->r = device_kept(dev, R, s->n_mlp);
    d->logits = device_tensor(dev, S, s->n_vocab);
    if (s->residual_lambdas)
        d->x0 = device_tensor(dev, R, s->n_embd);
    if (s->backout)
        d->kept = device_tensor(dev, R, s->n_embd);
    if (s->value_embeds)
        d->gates = device_tensor(dev, R, s->n_kv_head);
    if (s->smear_channels) {
        if (device_computes(dev) && !(d->tokens = arena_array(m->arena, (size_t)S * (size_t)capacity, sizeof *d->tokens)))
            return error_memory();
        d->pairs = device_ids(dev, 2 * R, 1);
        d->pair_e = device_tensor(dev, 2 * R, s->n_embd);
        d->pair_rstd = device_tensor(dev, 2 * R, 1);
        d->pair_x = device_tensor(dev, 2 * R, s->n_embd);
        d->pair_s = device_tensor(dev, 2 * R, 1);
    }
    return error_from_fault(device_fault(dev));
}

void decoder_restart(struct decoder *d)
{
    memset(d->position, 0, (size_t)d->n_slots * sizeof *d->position);
}

static void decode_block(struct decoder *d, int l, int R)
{
    struct model *m = d->model;
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    const struct layer *w = &m->layers[l];
    struct param *p = m->params;
    float eps = (float)s->norm_eps, scale = shape_qk_scale(s);
    struct attention a = {.B = R,
                          .T = d->capacity,
                          .n_head = s->n_head,
                          .n_kv_head = s->n_kv_head,
                          .head_dim = s->head_dim,
                          .window = shape_window(s, l)};
    struct tensor x = top(d->x, R), n = top(d->n, R), rstd = top(d->rstd, R), slots = top(d->slots, R);
    struct tensor positions = top(d->positions, R), q = top(d->q, R), k = top(d->k, R), v = top(d->v, R), o = top(d->o, R);

    if (s->residual_lambdas)
        op_mix(dev, x, x, top(d->x0, R), tensor_rows(p[m->resid_lambdas].w.master, l, 1),
               tensor_rows(p[m->x0_lambdas].w.master, l, 1), 1);

    op_norm(dev, n, rstd, x, eps);
    op_matmul(dev, q, n, &p[w->q].w, false);
    op_matmul(dev, k, n, &p[w->k].w, false);
    if (w->values >= 0)
        op_value_embed(dev, v, top(d->gates, R), n, &p[w->values].w, top(d->ids, R), &p[w->gate].w, (float)s->value_embeds);
    op_matmul(dev, v, n, &p[w->v].w, w->values >= 0);
    op_rotary_norm(dev, q, top(d->rstd_q, R), q, m->cosine, m->sine, positions, s->n_head, eps, scale);
    op_rotary_norm(dev, k, top(d->rstd_k, R), k, m->cosine, m->sine, positions, s->n_kv_head, eps, scale);
    op_cache_put(dev, d->k_cache[l], k, slots, positions, d->capacity);
    op_cache_put(dev, d->v_cache[l], v, slots, positions, d->capacity);
    op_attention_decode(dev, o, q, d->k_cache[l], d->v_cache[l], slots, positions, a);
    op_matmul(dev, x, o, &p[w->o].w, true);

    op_norm(dev, n, rstd, x, eps);
    op_matmul_relu2(dev, top(d->a, R), top(d->r, R), n, &p[w->fc].w);
    op_matmul(dev, x, top(d->a, R), &p[w->proj].w, true);
}

// Logits of n rows, at most n_slots.
static void head(struct decoder *d, struct tensor rows, int n, float *logits)
{
    struct model *m = d->model;
    op_logits(m->dev, top(d->logits, n), rows, &m->params[m->lm_head].w, m->shape.n_vocab, (float)m->shape.softcap);
    if (logits)
        device_get(m->dev, logits, d->logits, 0, (int64_t)n * m->shape.n_vocab);
}

// Ids are kept only where they will be looked back at.
static void remember(struct decoder *d, int slot, int position, const int32_t *ids, int n)
{
    if (d->tokens)
        memmove(d->tokens + (size_t)slot * (size_t)d->capacity + (size_t)position, ids, (size_t)n * sizeof *ids);
}

static int32_t remembered(const struct decoder *d, int slot, int position)
{
    return d->tokens ? d->tokens[(size_t)slot * (size_t)d->capacity + (size_t)position] : 0;
}

// x = what stands for the n tokens at the bottom of the model; d->host_positions says where each goes.
static void enter(struct decoder *d, const int32_t *slots, const int32_t *ids, int n)
{
    struct model *m = d->model;
    struct device *dev = m->dev;
    float eps = (float)m->shape.norm_eps;
    struct tensor x = top(d->x, n), e = top(d->pair_e, 2 * n), smeared = top(d->pair_x, 2 * n);
    if (!m->shape.smear_channels) {
        op_embed(dev, x, &m->params[m->wte].w, top(d->ids, n));
        op_norm(dev, x, top(d->rstd, n), x, eps);
        return;
    }
    for (int r = 0; r < n; r++) {
        int32_t at = d->host_positions[r];
        d->host_ids[2 * r] = at ? remembered(d, slots[r], at - 1) : ids[r];
        d->host_ids[2 * r + 1] = ids[r];
    }
    device_put_ids(dev, d->pairs, 0, 2 * n, d->host_ids);
    op_embed(dev, e, &m->params[m->wte].w, top(d->pairs, 2 * n));
    op_norm(dev, e, top(d->pair_rstd, 2 * n), e, eps);
    op_smear(dev, smeared, top(d->pair_s, 2 * n), e, &m->params[m->smear_gate].w, m->params[m->smear_lambda].w.master, 2);
    // Of each pair the second, but the first of a slot has nothing before it; the others go to the row behind. Added to zeros, for x is
    // of the residual stream: op_embed would round it under bf16.
    for (int r = 0; r < n; r++) {
        int wanted = d->host_positions[r] > 0;
        d->host_ids[2 * r + wanted] = r;
        d->host_ids[2 * r + !wanted] = n;
    }
    device_put_ids(dev, d->pairs, 0, 2 * n, d->host_ids);
    op_zero(dev, top(d->x, n + 1));
    op_embed_back(dev, top(d->x, n + 1), smeared, top(d->pairs, 2 * n));
}

// Takes n tokens through the model, up to what the head would see, in d->n.
static struct error *take_tokens(struct decoder *d, const int32_t *slots, const int32_t *ids, int n)
{
    struct model *m = d->model;
    struct device *dev = m->dev;
    const struct shape *s = &m->shape;
    for (int r = 0; r < n; r++) {
        d->host_positions[r] = d->position[slots[r]];
        if (d->host_positions[r] < d->capacity) {
            remember(d, slots[r], d->position[slots[r]]++, &ids[r], 1);
            continue;
        }
        while (r-- > 0)
            d->position[slots[r]]--;
        return error_plain(ERROR_FAILED, "the cache of %d tokens is full", d->capacity);
    }
    device_put_ids(dev, d->slots, 0, n, slots);
    device_put_ids(dev, d->ids, 0, n, ids);
    device_put_ids(dev, d->positions, 0, n, d->host_positions);

    struct tensor x = top(d->x, n), kept = top(d->kept, n);
    enter(d, slots, ids, n);
    if (s->residual_lambdas)
        op_copy(dev, top(d->x0, n), x);
    for (int l = 0; l < s->n_layer; l++) {
        decode_block(d, l, n);
        if (l + 1 == s->backout)
            op_copy(dev, kept, x);
    }
    if (s->backout)
        op_mix(dev, x, x, kept, (struct tensor){.dtype = x.dtype}, m->params[m->backout_lambda].w.master, -1);
    op_norm(dev, top(d->n, n), top(d->rstd, n), x, (float)s->norm_eps);
    return NULL;
}

struct error *decoder_step(struct decoder *d, const int32_t *slots, const int32_t *ids, int n, float *logits)
{
    struct error *e = take_tokens(d, slots, ids, n);
    if (e)
        return e;
    head(d, top(d->n, n), n, logits);
    return error_from_fault(device_fault(d->model->dev));
}

struct error *decoder_extend(struct decoder *d, const int32_t *slots, const int32_t *ids, int n, const int32_t *wanted,
                             int n_wanted, float *logits)
{
    struct model *m = d->model;
    size_t V = (size_t)m->shape.n_vocab;
    struct error *e = take_tokens(d, slots, ids, n);
    // Those that are wanted, as rows of a table; x is free by now.
    struct weight all = {.master = top(d->n, n)};
    for (int first = 0; first < n_wanted && !e; first += d->n_slots) {
        int some = n_wanted - first < d->n_slots ? n_wanted - first : d->n_slots;
        device_put_ids(m->dev, d->ids, 0, some, wanted + first);
        op_embed(m->dev, top(d->x, some), &all, top(d->ids, some));
        head(d, top(d->x, some), some, logits ? logits + (size_t)first * V : NULL);
    }
    return error_first(e, error_from_fault(device_fault(m->dev)));
}

struct error *decoder_reserve(struct decoder *d)
{
    struct model *m = d->model;
    int64_t shared = (int64_t)m->reserved_rows * m->reserved_T;
    int most = d->capacity > DECODER_PREFILL_TOKENS ? d->capacity : DECODER_PREFILL_TOKENS;
    d->has_own = shared < d->capacity;
    d->prefill_tokens = d->has_own || shared > most ? most : (int)shared;
    if (d->has_own) {
        struct saved of_model = m->saved;
        int rows = m->reserved_rows, T = m->reserved_T;
        if (d->prefill_tokens > m->n_positions)
            d->prefill_tokens = m->n_positions;
        struct error *e = model_reserve(m, 1, d->prefill_tokens, false);
        d->own = m->saved;
        m->saved = of_model;
        m->reserved_rows = rows;
        m->reserved_T = T;
        if (e)
            return e;
    }
    d->host_tokens = arena_array(m->arena, (size_t)d->prefill_tokens, sizeof *d->host_tokens);
    d->host_slots = arena_array(m->arena, (size_t)d->prefill_tokens, sizeof *d->host_slots);
    if (!d->host_tokens || !d->host_slots)
        return error_memory();
    d->prefill_slots = device_ids(m->dev, d->prefill_tokens, 1);
    d->counted = device_ids(m->dev, d->capacity, 1);
    for (int32_t i = 0; i < d->capacity; i++)
        d->host_slots[i] = i;
    device_put_ids(m->dev, d->counted, 0, d->capacity, d->host_slots);
    return error_from_fault(device_fault(m->dev));
}

// B prompts as one batch of T positions; what the padding holds does not matter.
static void prefill_part(struct decoder *d, const int32_t *slots, const int32_t *const *prompts, const int *lengths, int B, int T,
                         float *logits)
{
    struct model *m = d->model;
    struct device *dev = m->dev;
    int64_t N = (int64_t)B * T;
    memset(d->host_tokens, 0, (size_t)N * sizeof *d->host_tokens);
    for (int b = 0; b < B; b++) {
        memcpy(d->host_tokens + (size_t)b * (size_t)T, prompts[b], (size_t)lengths[b] * sizeof *d->host_tokens);
        for (int t = 0; t < T && slots; t++)
            d->host_slots[(size_t)b * (size_t)T + (size_t)t] = slots[b];
        d->host_ids[b] = b * T + lengths[b] - 1;
    }
    struct model_caches caches = {d->k_cache, d->v_cache, top(d->prefill_slots, N), d->capacity};
    if (slots)
        device_put_ids(dev, d->prefill_slots, 0, N, d->host_slots);
    device_put_ids(dev, d->ids, 0, B, d->host_ids);

    struct saved of_model = m->saved;
    int rows = m->reserved_rows, reserved_T = m->reserved_T;
    if (d->has_own) {
        m->saved = d->own;
        m->reserved_rows = 1;
        m->reserved_T = d->prefill_tokens;
    }
    model_trunk(m, (struct batch){.B = B, .T = T, .inputs = d->host_tokens}, slots ? &caches : NULL);
    // The last position of each prompt, as rows of a table.
    struct weight last = {.master = top(m->saved.last, N)};
    op_embed(dev, top(d->n, B), &last, top(d->ids, B));
    m->saved = of_model;
    m->reserved_rows = rows;
    m->reserved_T = reserved_T;
    head(d, top(d->n, B), B, logits);
    for (int b = 0; b < B && slots; b++) {
        d->position[slots[b]] = lengths[b];
        remember(d, slots[b], 0, prompts[b], lengths[b]);
    }
}

struct error *decoder_prefill(struct decoder *d, const int32_t *slots, const int32_t *const *prompts, const int *lengths, int n,
                              float *logits)
{
    for (int i = 0; i < n; i++)
        if (lengths[i] < 1 || lengths[i] > d->capacity)
            return error_plain(ERROR_FAILED, "a prompt of %d tokens does not fit into the cache of %d", lengths[i], d->capacity);
    for (int first = 0, B; first < n; first += B) {
        if (stop_requested())
            return error_stopped();
        int T = lengths[first];
        for (B = 1; first + B < n; B++) {
            int wider = lengths[first + B] > T ? lengths[first + B] : T;
            if ((int64_t)(B + 1) * wider > d->prefill_tokens)
                break;
            T = wider;
        }
        prefill_part(d, slots ? slots + first : NULL, prompts + first, lengths + first, B, T,
                     logits ? logits + (size_t)first * (size_t)d->model->shape.n_vocab : NULL);
    }
    return error_from_fault(device_fault(d->model->dev));
}

void decoder_copy(struct decoder *d, int from, int to, int n)
{
    struct model *m = d->model;
    struct tensor slots = top(d->prefill_slots, n), positions = top(d->counted, n);
    int64_t first = (int64_t)from * d->capacity;
    for (int i = 0; i < n; i++)
        d->host_slots[i] = to;
    device_put_ids(m->dev, slots, 0, n, d->host_slots);
    for (int l = 0; l < m->shape.n_layer; l++) {
        op_cache_put(m->dev, d->k_cache[l], tensor_rows(d->k_cache[l], first, n), slots, positions, d->capacity);
        op_cache_put(m->dev, d->v_cache[l], tensor_rows(d->v_cache[l], first, n), slots, positions, d->capacity);
    }
    if (d->tokens)
        remember(d, to, 0, d->tokens + (size_t)from * (size_t)d->capacity, n);
    d->position[to] = n;
}
