// sampling.c - logits go by in blocks; a block without a candidate costs one comparison a logit, which compilers make vectors of.
//
// 1. The cut of top_k is the value of the k-th largest logit, found in one pass: values above the cut so far are collected, and when
//    the collection is full its k largest stay and the cut rises.
// 2. Candidates are then taken in order of id: all above the cut, and of those equal to it the first, until there are k.
#include "core/infer/sampling.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { BLOCK = 64, COLLECTION = 1024 };

static bool block_has(const float *v, float least)
{
    int any = 0;
    for (int i = 0; i < BLOCK; i++)
        any |= v[i] >= least;
    return any;
}

static int largest(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (i % BLOCK == 0)
            while (i + BLOCK <= n && !block_has(logits + i, logits[best]))
                i += BLOCK;
        if (i < n && logits[i] > logits[best])
            best = i;
    }
    return best;
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

// -INFINITY where there are no k values above it. *n_above: how many are above the cut.
static float cut_of(const float *logits, int n, int k, float *collected, int *n_above)
{
    int room = k < n / 4 ? 4 * k : n, n_collected = 0;
    if (room < COLLECTION)
        room = n < COLLECTION ? n : COLLECTION;
    float cut = -INFINITY;
    for (int i = 0; i < n; i += BLOCK) {
        int length = n - i < BLOCK ? n - i : BLOCK;
        if (length == BLOCK && !block_has(logits + i, cut))
            continue;
        if (n_collected + length > room) {
            cut = kth_largest(collected, n_collected, k);
            n_collected = k;
        }
        for (int j = i; j < i + length; j++)
            if (logits[j] > cut)
                collected[n_collected++] = logits[j];
    }
    if (n_collected >= k)
        cut = kth_largest(collected, n_collected, k);
    *n_above = 0;
    for (int i = 0; i < n_collected && i < k; i++)
        *n_above += collected[i] > cut;
    return cut;
}

struct candidates {
    const float *logits;
    int n, at, ties_left;
    float cut;
};

// The next one's id, or n.
static int next_candidate(struct candidates *c)
{
    for (; c->at < c->n; c->at++) {
        if (c->at % BLOCK == 0)
            while (c->at + BLOCK <= c->n && !block_has(c->logits + c->at, c->cut))
                c->at += BLOCK;
        if (c->at == c->n)
            break;
        float x = c->logits[c->at];
        if (x > c->cut || (x == c->cut && c->ties_left-- > 0))
            return c->at++;
    }
    return c->n;
}

int32_t sample_token(const float *logits, int n_vocab, struct sampling s, struct philox random, uint64_t stream, uint64_t counter,
                     float *scratch)
{
    int best = largest(logits, n_vocab);
    if (!(s.temperature > 0))
        return best;
    struct candidates all = {.logits = logits, .n = n_vocab, .ties_left = n_vocab, .cut = -INFINITY};
    if (s.top_k > 0 && s.top_k < n_vocab) {
        int n_above;
        all.cut = cut_of(logits, n_vocab, s.top_k, scratch, &n_above);
        all.ties_left = s.top_k - n_above;
    }
    double total = 0;
    int n = 0;
    struct candidates c = all;
    for (int id; (id = next_candidate(&c)) < n_vocab; n++) {
        scratch[n] = (float)exp(((double)logits[id] - logits[best]) / s.temperature);
        total += scratch[n];
    }
    double at = philox_uniform(random, stream, counter) * total;
    c = all;
    for (int i = 0; i < n; i++) {
        int id = next_candidate(&c);
        at -= scratch[i];
        if (at < 0 && scratch[i] > 0)
            return id;
    }
    return best;
}
