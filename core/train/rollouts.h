// rollouts.h - one update of GRPO as rows to train on: answers sampled from the model as it is, rewards, advantages.
//
//     e = rollouts_open(&r, arena, n_questions, n_samples, T, assistant_end);
//     rollouts_set(&r, question, sample, prompt, n_prompt, ids, mask, n, reward);     // each of them, in any order
//     rollouts_finish(&r);                                     // advantages
//     loop.rows = rollouts_rows(&r);                           // row q*S + s of the update
//
// Advantage   reward - mean of the rewards of the question's samples; no division by their deviation. A question whose rewards are all
//             equal gives rows of width 0: they count their targets, and are not computed
// Targets     the sampled tokens alone: prompt, forced tokens and padding are -1. assistant_end is not part of an answer, so it is never
//             trained. The loss of a token weighs its row's advantage over the number of targets of the whole update (gradient.h)
// Source      nanochat 2025-10-13, chat_rl (on-policy REINFORCE with a group's mean as baseline: GRPO, Shao et al. 2024, without
//             ratio, clipping, KL and deviation)
#ifndef CORE_TRAIN_ROLLOUTS_H
#define CORE_TRAIN_ROLLOUTS_H

#include "core/train/gradient.h"

struct rollouts {
    int n_questions, n_samples, T; // T: most inputs of a row
    int32_t pad;
    int32_t *ids;     // [questions * samples, T+1]
    uint8_t *mask;    // the same
    int32_t *lengths; // [questions * samples] tokens of prompt and answer
    int32_t *n_targets;
    double *reward, *advantage;
};

struct error *CHECKED rollouts_open(struct rollouts *r, struct arena *arena, int n_questions, int n_samples, int T, int32_t pad);

// prompt and answer together are cut to T+1 tokens.
void rollouts_set(struct rollouts *r, int question, int sample, const int32_t *prompt, int n_prompt, const int32_t *ids,
                  const uint8_t *mask, int n, double reward);
void rollouts_finish(struct rollouts *r);

// Rows of the source are numbered over all updates: row i is row i modulo (questions * samples) of the update at hand.
struct row_source rollouts_rows(struct rollouts *r);

#endif
