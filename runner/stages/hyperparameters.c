// hyperparameters.c - from a stage's options to the plain structs of core.
#include "runner/stages/hyperparameters.h"

#include <string.h>

enum precision precision_of(const char *name)
{
    return name && !strcmp(name, "bf16") ? PRECISION_BF16 : PRECISION_F32;
}

enum precision stage_precision(enum stage_kind_id kind, const void *options)
{
    const char *const *name = field_value(kind, options, "precision");
    return precision_of(name ? *name : NULL);
}

// More rows than these decode together gain little; fewer do where keys and values would take too much memory, with the same bits.
enum { SLOTS_MOST = 64 };
static const int64_t CACHE_BYTES = (int64_t)4 << 30;

int64_t slots_of(const struct grpo_options *o, const struct shape *shape, int64_t capacity)
{
    int64_t slot_bytes = 2 * (int64_t)sizeof(float) * capacity * shape->n_layer * shape->n_kv_head * shape->head_dim;
    int64_t n_slots = o->rows < SLOTS_MOST ? o->rows * o->samples : SLOTS_MOST;
    n_slots = n_slots < SLOTS_MOST ? n_slots : SLOTS_MOST;
    if (n_slots > CACHE_BYTES / slot_bytes)
        n_slots = CACHE_BYTES / slot_bytes > 1 ? CACHE_BYTES / slot_bytes : 1;
    return n_slots;
}

struct error *steps_of(int64_t *n_steps, const struct pretrain_options *o, const struct shape *shape)
{
    struct scaling_law law;
    struct horizon horizon = {
        .steps = o->steps, .tokens = o->tokens, .flops = o->flops, .ratio = o->ratio, .counts_scaling = is_2026(o->architecture)};
    struct error *e = law_of(&law, o, shape);
    if (e)
        return e;
    *n_steps = horizon_steps(&horizon, shape, law.batch_tokens);
    if (*n_steps < 1)
        return error_new(ERROR_RECIPE, NOWHERE, "ask for more tokens, or take a smaller batch_tokens",
                         "the training is shorter than one step of %lld tokens", (long long)law.batch_tokens);
    return NULL;
}

struct schedule pretrain_schedule(const struct pretrain_options *o, int64_t n_steps)
{
    struct schedule s = is_2026(o->optimizer) ? schedule_2026(n_steps) : (struct schedule){.n_steps = n_steps};
    s.warmup = o->warmup_steps == FIELD_UNSET_INT ? o->warmup : 0;
    s.warmup_steps = o->warmup_steps == FIELD_UNSET_INT ? 0 : o->warmup_steps;
    s.warmdown = o->warmdown;
    s.final_lr = o->final_lr;
    return s;
}

static const double MOMENTUM = 0.95; // where it is constant
static const double SCALAR_LR = 0.5; // where no field says one

enum finetune_form finetune_form(const struct finetune_options *o)
{
    if (o->batch_tokens == FIELD_UNSET_INT)
        return FINETUNE_A_ROW;
    return o->packing && !strcmp(o->packing, "best_fit") ? FINETUNE_BEST_FIT : FINETUNE_FLAT;
}

struct error *finetune_schedule(struct schedule *schedule, const struct finetune_options *o, int64_t n_rows)
{
    bool is_packed = o->batch_tokens != FIELD_UNSET_INT, asked = o->steps != FIELD_UNSET_INT;
    int64_t batch = is_packed ? o->batch_tokens / o->seq_len : o->rows, n_steps = o->steps;
    if (!asked && __builtin_mul_overflow(n_rows / batch, o->epochs, &n_steps))
        return error_new(ERROR_RECIPE, NOWHERE, "lower epochs", "%lld rows of %lld epochs are more steps than can be counted",
                         (long long)n_rows, (long long)o->epochs);
    if (n_steps < 1)
        return error_new(ERROR_RECIPE, NOWHERE, is_packed ? "mix in more, or lower batch_tokens" : "mix in more, or lower rows",
                         "the mixture makes %lld rows, fewer than one batch of %lld", (long long)n_rows, (long long)batch);
    *schedule = (struct schedule){.n_steps = n_steps,
                                  .n_updates = !is_packed && !asked && n_steps > 1 ? n_steps - 1 : n_steps,
                                  .warmup = o->warmup,
                                  .warmdown = o->warmdown,
                                  .final_lr = o->final_lr,
                                  .momentum = is_packed ? 0 : MOMENTUM};
    return NULL;
}

struct schedule grpo_schedule(int64_t n_steps)
{
    return (struct schedule){.n_steps = n_steps, .warmdown = 1, .momentum = MOMENTUM};
}

static struct optimizer_laws all_times(struct optimizer_laws laws, double factor)
{
    for (int g = 0; g < PARAM_GROUPS; g++)
        laws.adamw[g].lr *= factor;
    laws.muon.lr *= factor;
    return laws;
}

struct error *pretrain_laws(struct optimizer_laws *laws, const struct pretrain_options *o, const struct shape *shape)
{
    struct scaling_law law;
    struct rates rates = {.matrix_lr = o->matrix_lr,
                          .embedding_lr = o->embedding_lr,
                          .unembedding_lr = o->unembedding_lr,
                          .scalar_lr = o->scalar_lr,
                          .weight_decay = o->weight_decay,
                          .grad_clip = o->grad_clip};
    struct error *e = law_of(&law, o, shape);
    if (e)
        return e;
    *laws = is_2026(o->optimizer) ? optimizer_laws_2026(shape, &rates, law.lr_scale, law.decay_scale)
                                  : optimizer_laws_2025(shape, &rates);
    return NULL;
}

// The reference of 2025 multiplies what is asked for, that of 2026 what it comes to: also what has a fixed rate.
static struct optimizer_laws tuning_laws(const char *optimizer, struct rates rates, double lr_frac, const struct shape *shape)
{
    rates.scalar_lr = SCALAR_LR;
    if (is_2026(optimizer))
        return all_times(optimizer_laws_2026(shape, &rates, 1, 1), lr_frac);
    rates.matrix_lr *= lr_frac;
    rates.embedding_lr *= lr_frac;
    rates.unembedding_lr *= lr_frac;
    return optimizer_laws_2025(shape, &rates);
}

struct optimizer_laws finetune_laws(const struct finetune_options *o, const struct shape *shape)
{
    struct rates rates = {.matrix_lr = o->matrix_lr,
                          .embedding_lr = o->embedding_lr,
                          .unembedding_lr = o->unembedding_lr,
                          .weight_decay = o->weight_decay,
                          .grad_clip = o->grad_clip};
    return tuning_laws(o->optimizer, rates, o->lr_frac, shape);
}

struct optimizer_laws grpo_laws(const struct grpo_options *o, const struct shape *shape)
{
    struct rates rates = {.matrix_lr = o->matrix_lr, .embedding_lr = o->embedding_lr, .unembedding_lr = o->unembedding_lr};
    return tuning_laws(o->optimizer, rates, o->lr_frac, shape);
}
