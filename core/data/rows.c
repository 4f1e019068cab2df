// rows.c - divisions, and a small Feistel network. The domain is less than four times N (2 for N = 1), so that walking takes few steps.
#include "core/data/rows.h"

#include "core/base/philox.h"

enum { ROUNDS = 8 };

struct error *rows_open(struct rows *rows, const struct token_list *list, int64_t T, uint64_t seed)
{
    if (T < 1)
        return error_plain(ERROR_FAILED, "rows of %lld tokens", (long long)T);
    if (list->n - 1 < T)
        return error_new(ERROR_DATA, NOWHERE, "give it more text, or a smaller seq_len",
                         "%lld tokens do not make one row of %lld inputs and their targets", (long long)list->n, (long long)T);
    *rows = (struct rows){.list = list, .T = T, .N = (list->n - 1) / T, .seed = seed};
    return NULL;
}

struct error *rows_open_packed(struct rows *rows, const struct token_list *list, const struct best_fit *plan, uint64_t seed)
{
    if (plan->n_rows < 1)
        return error_plain(ERROR_FAILED, "a plan without a row");
    *rows = (struct rows){.list = list, .plan = plan, .T = plan->T, .N = plan->n_rows, .seed = seed};
    return NULL;
}

static uint64_t scramble(struct philox key, uint64_t epoch, uint64_t x, int half_bits)
{
    uint64_t mask = ((uint64_t)1 << half_bits) - 1, left = x >> half_bits, right = x & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint32_t words[4];
        philox_words(key, epoch, round << 32 | right, words);
        uint64_t next = left ^ (words[0] & mask);
        left = right;
        right = next;
    }
    return left << half_bits | right;
}

int64_t order_place(uint64_t seed, int64_t epoch, int64_t index, int64_t N)
{
    if (epoch == 0)
        return index;
    int half_bits = 1;
    while (half_bits < 32 && (uint64_t)1 << 2 * half_bits < (uint64_t)N)
        half_bits++;
    // A permutation of the domain, followed from a point below N, comes back below N: at the latest at that point itself.
    struct philox key = philox_for(seed, PHILOX_ORDER);
    uint64_t x = (uint64_t)index;
    do
        x = scramble(key, (uint64_t)epoch, x, half_bits);
    while (x >= (uint64_t)N);
    return (int64_t)x;
}

int64_t rows_place(const struct rows *rows, int64_t r)
{
    return order_place(rows->seed, r / rows->N, r % rows->N, rows->N);
}

// The row's inputs and its last target are two reads: the targets before it are inputs already.
static struct error *read_flat(const struct rows *rows, int64_t row, int32_t *inputs, int32_t *targets)
{
    const int64_t T = rows->T;
    struct error *e = token_list_read(rows->list, row * T, T, inputs);
    if (!e)
        e = token_list_read(rows->list, row * T + T, 1, targets + T - 1);
    for (int64_t t = 0; t + 1 < T && !e; t++)
        targets[t] = inputs[t + 1];
    return e;
}

struct error *rows_read(const struct rows *rows, int64_t first, int64_t n, int32_t *inputs, int32_t *targets)
{
    struct error *e = NULL;
    for (int64_t i = 0; i < n && !e; i++, inputs += rows->T, targets += rows->T) {
        int64_t row = rows_place(rows, first + i);
        e = rows->plan ? best_fit_row(rows->plan, rows->list, row, inputs, targets) : read_flat(rows, row, inputs, targets);
    }
    return e;
}

void group_bounds(int64_t R, int g, int64_t *first, int64_t *end)
{
    *first = g * R / ROW_GROUPS;
    *end = (g + 1) * R / ROW_GROUPS;
}
