// rollouts.c - rows stand side by side, each padded to T+1 tokens, so that inputs and targets are the same tokens one apart.
//
// 1. lengths[row] is within 1 .. T+1 and n_targets[row] counts the sampled tokens among 1 .. length-1: the first token of a row is of
//    its prompt and is never a target.
// 2. A row is computed where it has both an advantage and a target; else its width is 0, and its targets count all the same.
#include "core/train/rollouts.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

struct error *rollouts_open(struct rollouts *r, struct arena *arena, int n_questions, int n_samples, int T, int32_t pad)
{
    size_t n = (size_t)n_questions * (size_t)n_samples, width = (size_t)T + 1;
    *r = (struct rollouts){.n_questions = n_questions, .n_samples = n_samples, .T = T, .pad = pad};
    if (n > SIZE_MAX / width)
        return error_memory();
    r->ids = arena_array(arena, n * width, sizeof *r->ids);
    r->mask = arena_array(arena, n * width, sizeof *r->mask);
    r->lengths = arena_array(arena, n, sizeof *r->lengths);
    r->n_targets = arena_array(arena, n, sizeof *r->n_targets);
    r->reward = arena_array(arena, n, sizeof *r->reward);
    r->advantage = arena_array(arena, n, sizeof *r->advantage);
    return r->ids && r->mask && r->lengths && r->n_targets && r->reward && r->advantage ? NULL : error_memory();
}

void rollouts_set(struct rollouts *r, int question, int sample, const int32_t *prompt, int n_prompt, const int32_t *ids,
                  const uint8_t *mask, int n, double reward)
{
    assert(question >= 0 && question < r->n_questions && sample >= 0 && sample < r->n_samples && n_prompt > 0 && n >= 0);
    size_t row = (size_t)question * (size_t)r->n_samples + (size_t)sample, width = (size_t)r->T + 1;
    int32_t *to = r->ids + row * width;
    uint8_t *to_mask = r->mask + row * width;
    size_t begin = (size_t)n_prompt < width ? (size_t)n_prompt : width;
    size_t end = (size_t)n < width - begin ? begin + (size_t)n : width;
    memcpy(to, prompt, begin * sizeof *to);
    memset(to_mask, 0, width);
    if (n) {
        memcpy(to + begin, ids, (end - begin) * sizeof *to);
        memcpy(to_mask + begin, mask, end - begin);
    }
    r->lengths[row] = (int32_t)end;
    r->n_targets[row] = 0;
    for (size_t t = begin; t < end; t++)
        r->n_targets[row] += to_mask[t] != 0;
    for (size_t t = end; t < width; t++)
        to[t] = r->pad;
    r->reward[row] = reward;
}

void rollouts_finish(struct rollouts *r)
{
    for (int question = 0; question < r->n_questions; question++) {
        const double *reward = r->reward + (size_t)question * (size_t)r->n_samples;
        double *advantage = r->advantage + (size_t)question * (size_t)r->n_samples, sum = 0;
        bool equal = true;
        for (int s = 0; s < r->n_samples; s++) {
            sum += reward[s];
            equal = equal && reward[s] == reward[0];
        }
        // Of equal rewards the mean need not be the same to the last bit.
        for (int s = 0; s < r->n_samples; s++)
            advantage[s] = equal ? 0 : reward[s] - sum / r->n_samples;
    }
}

static size_t row_at(const struct rollouts *r, int64_t row)
{
    return (size_t)(row % ((int64_t)r->n_questions * r->n_samples));
}

static struct error *read_rows(void *self, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    const struct rollouts *r = self;
    assert(T <= r->T);
    for (int i = 0; i < n; i++) {
        size_t at = row_at(r, first + i) * ((size_t)r->T + 1);
        for (int t = 0; t < T; t++) {
            *inputs++ = r->ids[at + (size_t)t];
            *targets++ = r->mask[at + (size_t)t + 1] ? r->ids[at + (size_t)t + 1] : -1;
        }
    }
    return NULL;
}

static int width_of(void *self, int64_t row)
{
    const struct rollouts *r = self;
    size_t at = row_at(r, row);
    return r->advantage[at] != 0 && r->n_targets[at] ? r->lengths[at] - 1 : 0;
}

static int n_targets_of(void *self, int64_t row)
{
    const struct rollouts *r = self;
    return r->n_targets[row_at(r, row)];
}

static double weight_of(void *self, int64_t row)
{
    const struct rollouts *r = self;
    return r->advantage[row_at(r, row)];
}

struct row_source rollouts_rows(struct rollouts *r)
{
    return (struct row_source){.self = r, .read = read_rows, .width = width_of, .n_targets = n_targets_of, .weight = weight_of};
}
