// shape_of.c - from a stage's options to the plain structs of core.
#include "runner/stages/shape_of.h"

#include <string.h>

#include "core/train/schedule.h"

enum precision precision_of(const char *name)
{
    return name && !strcmp(name, "bf16") ? PRECISION_BF16 : PRECISION_F32;
}

static void take(int *size, int64_t given)
{
    if (given != FIELD_UNSET_INT)
        *size = (int)given;
}

struct error *shape_of(struct shape *shape, const struct pretrain_options *o, int64_t n_vocab)
{
    // Widths come from the six sizes where depth is not given; one head of 128 and a MLP of 4 C are the reference's habits.
    if (o->depth != FIELD_UNSET_INT) {
        struct error *e = shape_from_depth(shape, (int)o->depth, (int)n_vocab, (int)o->seq_len);
        if (e)
            return e;
    } else if (o->n_layer == FIELD_UNSET_INT || o->n_embd == FIELD_UNSET_INT) {
        return error_new(ERROR_RECIPE, NOWHERE, "give depth, or n_layer, n_embd, n_head and the others",
                         "the model has neither depth nor n_layer and n_embd");
    } else {
        struct error *e = shape_from_depth(shape, 2, (int)n_vocab, (int)o->seq_len); // for eps, base and softcap
        if (e)
            return e;
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
    return shape_check(shape);
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
    struct horizon horizon = {.steps = o->steps, .tokens = o->tokens, .flops = o->flops, .ratio = o->ratio};
    *n_steps = horizon_steps(&horizon, shape, o->batch_tokens);
    if (*n_steps < 1)
        return error_new(ERROR_RECIPE, NOWHERE, "ask for more tokens, or take a smaller batch_tokens",
                         "the training is shorter than one step of %lld tokens", (long long)o->batch_tokens);
    return NULL;
}

static const double MOMENTUM = 0.95; // where it is constant

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
