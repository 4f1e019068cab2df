// decoder.c - the forward pass of model/forward.c for one token a row, with keys and values kept.
//
// All rows are computed; a resting row computes token 0 at its own next position, which the next real token there overwrites.
#include "core/infer/decoder.h"

#include <math.h>
#include <string.h>

struct error *decoder_open(struct decoder *d, struct model *m, int n_rows, int capacity)
{
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    if (capacity > m->n_positions)
        return error_plain(ERROR_FAILED, "%d positions are beyond the model's %d", capacity, m->n_positions);
    *d = (struct decoder){.model = m, .n_rows = n_rows, .capacity = capacity};
    int64_t R = n_rows, heads = (int64_t)s->n_head * s->head_dim, kv = (int64_t)s->n_kv_head * s->head_dim;
    d->position = arena_array(m->arena, (size_t)n_rows, sizeof *d->position);
    d->host_ids = arena_array(m->arena, (size_t)n_rows, sizeof *d->host_ids);
    d->k_cache = arena_array(m->arena, (size_t)s->n_layer, sizeof *d->k_cache);
    d->v_cache = arena_array(m->arena, (size_t)s->n_layer, sizeof *d->v_cache);
    if (!d->position || !d->host_ids || !d->k_cache || !d->v_cache)
        return error_memory();
    for (int l = 0; l < s->n_layer; l++) {
        d->k_cache[l] = device_tensor(dev, R * capacity, kv);
        d->v_cache[l] = device_tensor(dev, R * capacity, kv);
    }
    d->ids = device_ids(dev, R, 1);
    d->positions = device_ids(dev, R, 1);
    d->x = device_tensor(dev, R, s->n_embd);
    d->n = device_tensor(dev, R, s->n_embd);
    d->rstd = device_tensor(dev, R, 1);
    d->q = device_tensor(dev, R, heads);
    d->k = device_tensor(dev, R, kv);
    d->v = device_tensor(dev, R, kv);
    d->rstd_q = device_tensor(dev, R, s->n_head);
    d->rstd_k = device_tensor(dev, R, s->n_kv_head);
    d->o = device_tensor(dev, R, heads);
    d->a = device_tensor(dev, R, s->n_mlp);
    d->r = device_tensor(dev, R, s->n_mlp);
    d->logits = device_tensor(dev, R, s->n_vocab);
    return error_from_fault(device_fault(dev));
}

void decoder_restart(struct decoder *d)
{
    memset(d->position, 0, (size_t)d->n_rows * sizeof *d->position);
}

static void decode_block(struct decoder *d, int l)
{
    struct model *m = d->model;
    const struct shape *s = &m->shape;
    struct device *dev = m->dev;
    const struct layer *w = &m->layers[l];
    struct param *p = m->params;
    float eps = (float)s->norm_eps;
    struct attention a = {
        .B = d->n_rows, .T = d->capacity, .n_head = s->n_head, .n_kv_head = s->n_kv_head, .head_dim = s->head_dim};

    op_norm(dev, d->n, d->rstd, d->x, eps);
    op_matmul(dev, d->q, d->n, &p[w->q].w, false);
    op_matmul(dev, d->k, d->n, &p[w->k].w, false);
    op_matmul(dev, d->v, d->n, &p[w->v].w, false);
    op_rotary_norm(dev, d->q, d->rstd_q, d->q, m->cosine, m->sine, d->positions, s->n_head, eps, 1);
    op_rotary_norm(dev, d->k, d->rstd_k, d->k, m->cosine, m->sine, d->positions, s->n_kv_head, eps, 1);
    op_cache_put(dev, d->k_cache[l], d->k, d->positions, d->capacity);
    op_cache_put(dev, d->v_cache[l], d->v, d->positions, d->capacity);
    op_attention_decode(dev, d->o, d->q, d->k_cache[l], d->v_cache[l], d->positions, a);
    op_matmul(dev, d->x, d->o, &p[w->o].w, true);

    op_norm(dev, d->n, d->rstd, d->x, eps);
    op_matmul_relu2(dev, d->a, d->r, d->n, &p[w->fc].w);
    op_matmul(dev, d->x, d->a, &p[w->proj].w, true);
}

struct error *decoder_step(struct decoder *d, const int32_t *ids, float *logits)
{
    struct model *m = d->model;
    struct device *dev = m->dev;
    float eps = (float)m->shape.norm_eps;
    for (int r = 0; r < d->n_rows; r++) {
        d->host_ids[r] = ids[r] < 0 ? 0 : ids[r];
        if (ids[r] >= 0 && d->position[r] >= d->capacity)
            return error_plain(ERROR_FAILED, "the cache of %d tokens is full", d->capacity);
    }
    device_put_ids(dev, d->ids, 0, d->n_rows, d->host_ids);
    for (int r = 0; r < d->n_rows; r++)
        d->host_ids[r] = d->position[r] < d->capacity ? d->position[r] : d->capacity - 1;
    device_put_ids(dev, d->positions, 0, d->n_rows, d->host_ids);

    op_embed(dev, d->x, &m->params[m->wte].w, d->ids);
    op_norm(dev, d->x, d->rstd, d->x, eps);
    for (int l = 0; l < m->shape.n_layer; l++)
        decode_block(d, l);
    op_norm(dev, d->n, d->rstd, d->x, eps);
    op_logits(dev, d->logits, d->n, &m->params[m->lm_head].w, m->shape.n_vocab, (float)m->shape.softcap);
    int V = m->shape.n_vocab;
    for (int r = 0; r < d->n_rows; r++) {
        if (ids[r] < 0)
            continue;
        device_get(dev, logits + (size_t)r * V, d->logits, (int64_t)r * V, V);
        d->position[r]++;
    }
    return error_from_fault(device_fault(dev));
}

// Rearranges v so that its k largest come first; returns the k-th largest.
static float kth_largest(float *v, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        float pivot = v[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i <= j) {
                float swap = v[i];
                v[i++] = v[j];
                v[j--] = swap;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            break;
    }
    return v[k - 1];
}

int32_t sample_token(const float *logits, int n_vocab, struct sampling s, struct philox random, uint64_t stream, uint64_t counter,
                     float *scratch)
{
    int best = 0;
    for (int i = 1; i < n_vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    if (!(s.temperature > 0))
        return best;
    float cut = -INFINITY;
    int ties_left = n_vocab;
    if (s.top_k > 0 && s.top_k < n_vocab) {
        memcpy(scratch, logits, (size_t)n_vocab * sizeof *scratch);
        cut = kth_largest(scratch, n_vocab, s.top_k);
        ties_left = s.top_k;
        for (int i = 0; i < n_vocab; i++)
            ties_left -= logits[i] > cut;
    }
    double total = 0;
    for (int i = 0; i < n_vocab; i++) {
        bool in = logits[i] > cut || (logits[i] == cut && ties_left-- > 0);
        scratch[i] = in ? (float)exp(((double)logits[i] - logits[best]) / s.temperature) : 0;
        total += scratch[i];
    }
    double at = philox_uniform(random, stream, counter) * total;
    for (int i = 0; i < n_vocab; i++) {
        at -= scratch[i];
        if (at < 0 && scratch[i] > 0)
            return i;
    }
    return best;
}
