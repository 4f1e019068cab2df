// cost.c - opens what a stage opens, runs each part of its work once, and takes the differences of the counter.
#include "runner/graph/cost.h"

#include <string.h>

#include "core/data/rows.h"
#include "core/infer/decoder.h"
#include "core/train/gradient.h"
#include "core/train/optimizer.h"

// More positions than any model of this kind has: beyond them host buffers, not the device, would be what does not fit.
static const int64_t POSITIONS_MOST = (int64_t)1 << 22, BATCH_MOST = INT32_MAX;

struct known_cost {
    struct known_cost *next;
    struct cost_setup setup;
    struct cost cost;
};

static struct device_counts minus(struct device_counts a, struct device_counts b)
{
    a.flops -= b.flops;
    for (int i = 0; i < COUNT_CLASSES; i++)
        a.flops_of[i] -= b.flops_of[i];
    a.bytes -= b.bytes;
    a.seconds -= b.seconds;
    return a;
}

static void add_times(struct device_counts *to, struct device_counts from, double times)
{
    to->flops += times * from.flops;
    for (int i = 0; i < COUNT_CLASSES; i++)
        to->flops_of[i] += times * from.flops_of[i];
    to->bytes += times * from.bytes;
    to->seconds += times * from.seconds;
}

// Whether the two setups are one; padding bytes are nobody's.
static bool same(const struct cost_setup *a, const struct cost_setup *b)
{
    const struct shape *s = &a->shape, *t = &b->shape;
    return s->n_layer == t->n_layer && s->n_embd == t->n_embd && s->n_head == t->n_head && s->n_kv_head == t->n_kv_head &&
           s->head_dim == t->head_dim && s->n_mlp == t->n_mlp && s->n_vocab == t->n_vocab &&
           s->n_vocab_padded == t->n_vocab_padded && s->seq_len == t->seq_len && s->softcap == t->softcap &&
           s->window_short == t->window_short && s->window_pattern == t->window_pattern && s->value_embeds == t->value_embeds &&
           s->value_gate_channels == t->value_gate_channels && s->residual_lambdas == t->residual_lambdas &&
           s->smear_channels == t->smear_channels && s->backout == t->backout && a->batch == b->batch && a->T == b->T &&
           a->trains == b->trains && a->optimizer_2026 == b->optimizer_2026 && a->rows == b->rows && a->width == b->width &&
           a->slots == b->slots && a->capacity == b->capacity && a->copies == b->copies && a->prompt == b->prompt && a->precision == b->precision;
}

struct counting {
    const struct cost_setup *setup;
    struct device *dev;
    struct arena *arena;
    struct model model;
    struct optimizer optimizer;
    struct gradient gradient;
    struct decoder decoder;
};

static struct error *count_update(struct counting *c, struct cost *cost)
{
    const struct cost_setup *s = c->setup;
    int64_t whole = ROW_GROUPS * s->batch, rows = s->rows < whole ? s->rows : whole;
    const struct tensor *sum;
    double loss;
    struct error *e = gradient_open(&c->gradient, &c->model, rows, (int)s->width, (int)s->batch);
    struct device_counts before = device_counts(c->dev);
    if (!e)
        e = gradient_of_rows(&c->gradient, (struct row_source){0}, 0, &loss, &sum);
    if (e)
        return e;
    optimizer_measure(&c->optimizer, sum, 0, 1, 0.95, 1);
    optimizer_step(&c->optimizer, sum);
    cost->update = minus(device_counts(c->dev), before);
    if (rows < s->rows) {
        before = device_counts(c->dev);
        model_loss(&c->model, (struct batch){.B = (int)s->batch, .T = (int)s->width}, sum);
        add_times(&cost->update, minus(device_counts(c->dev), before), (double)(s->rows - rows) / (double)s->batch);
    }
    return NULL;
}

static struct error *count_writing(struct counting *c, struct cost *cost)
{
    const struct cost_setup *s = c->setup;
    int32_t *slots = arena_array(c->arena, (size_t)s->slots, sizeof *slots),
            *ids = arena_array(c->arena, (size_t)s->slots, sizeof *ids);
    int32_t *prompt = arena_array(c->arena, (size_t)s->prompt + 1, sizeof *prompt);
    const int32_t **prompts = arena_array(c->arena, (size_t)s->slots, sizeof *prompts);
    int *lengths = arena_array(c->arena, (size_t)s->slots, sizeof *lengths);
    if (!slots || !ids || !prompt || !prompts || !lengths)
        return error_memory();
    for (int i = 0; i < s->slots; i++) {
        slots[i] = i;
        prompts[i] = prompt;
        lengths[i] = (int)s->prompt;
    }
    struct error *e = s->prompt ? decoder_reserve(&c->decoder) : NULL;
    struct device_counts before = device_counts(c->dev);
    if (!e && s->prompt)
        e = decoder_prefill(&c->decoder, slots, prompts, lengths, (int)s->slots, NULL);
    cost->prefill = minus(device_counts(c->dev), before);
    before = device_counts(c->dev);
    decoder_restart(&c->decoder);
    if (!e)
        e = decoder_step(&c->decoder, slots, ids, (int)s->slots, NULL);
    cost->step = minus(device_counts(c->dev), before);
    return e;
}

static struct error *count(struct counting *c, struct cost *cost)
{
    const struct cost_setup *s = c->setup;
    struct rates rates = {.matrix_lr = 1, .embedding_lr = 1, .unembedding_lr = 1, .scalar_lr = 1, .grad_clip = 1};
    struct optimizer_laws laws =
        s->optimizer_2026 ? optimizer_laws_2026(&s->shape, &rates, 1, 1) : optimizer_laws_2025(&s->shape, &rates);
    struct error *e = model_open(&c->model, c->dev, &s->shape, c->arena);
    size_t fixed = device_mark(c->dev);
    if (!e && s->batch)
        e = model_reserve(&c->model, (int)s->batch, (int)s->T, s->trains);
    cost->activation_bytes = (int64_t)(device_mark(c->dev) - fixed);
    if (!e && s->trains)
        e = optimizer_open_with(&c->optimizer, &c->model, &laws);
    if (!e && s->prompt && s->copies)
        e = model_copy_weights(&c->model);
    if (!e && s->slots)
        e = decoder_open(&c->decoder, &c->model, (int)s->slots, (int)s->capacity);
    if (!e && s->slots)
        e = count_writing(c, cost);
    if (!e && s->trains)
        e = count_update(c, cost);
    struct device_counts before = device_counts(c->dev);
    if (!e && s->batch)
        model_loss(&c->model, (struct batch){.B = (int)s->batch, .T = (int)s->width}, NULL);
    cost->forward = minus(device_counts(c->dev), before);
    cost->memory_bytes = device_counts(c->dev).memory_bytes;
    return error_first(e, error_from_fault(device_fault(c->dev)));
}

static bool is_countable(const struct cost_setup *s)
{
    return s->T <= POSITIONS_MOST && s->width <= s->T && s->capacity <= POSITIONS_MOST && s->prompt <= s->capacity &&
           s->shape.seq_len <= POSITIONS_MOST / POSITIONS_PER_SEQ_LEN && s->batch <= BATCH_MOST / (s->T + 1) &&
           s->slots <= BATCH_MOST / (s->capacity + 1);
}

struct error *cost_of(struct costs *costs, const struct cost_setup *setup, struct cost *cost)
{
    for (const struct known_cost *k = costs->known; k; k = k->next)
        if (same(&k->setup, setup)) {
            *cost = k->cost;
            return NULL;
        }
    if (!is_countable(setup))
        return error_plain(ERROR_MACHINE, "%lld rows of %lld tokens at once are beyond all memory", (long long)setup->batch,
                           (long long)(setup->T > setup->capacity ? setup->T : setup->capacity));
    struct known_cost *known = arena_alloc(costs->arena, sizeof *known);
    struct fault fault;
    struct arena scratch = {0};
    struct device *dev = known ? device_open(DEVICE_COUNT, costs->threads, &fault) : NULL;
    if (!dev)
        return known ? error_from_fault(fault) : error_memory();
    device_set_precision(dev, setup->precision);
    device_set_rates(dev, costs->rates);
    struct counting counting = {.setup = setup, .dev = dev, .arena = &scratch};
    *known = (struct known_cost){.next = costs->known, .setup = *setup};
    struct error *e = count(&counting, &known->cost);
    device_close(dev);
    arena_release(&scratch);
    if (e)
        return e;
    costs->n_counted++;
    costs->known = known;
    *cost = known->cost;
    return NULL;
}
