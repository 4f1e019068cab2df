// explain.h - what tells two payloads of one stage apart, as the reasons of plan.h.
//
//     struct explainer x = {.stage = s, .arena = arena};
//     explain_difference(&x, before->payload, s->node->payload);      // adds to s->reasons
//     explain_add(&x, (struct reason){.kind = REASON_FRESH, ...});
//     if (x.failed) return error_memory();
//
// Mixtures   are held against each other entry by entry, after what is the same at the beginning and at the end (by task and
//            split): "mixture[1].epochs" for an entry that is there in both, "mixture[1]" where another task stands, with old = NULL
//            for an entry that came (its number in the new list) and new = NULL for one that went (its number in the old list)
#ifndef RUNNER_GRAPH_EXPLAIN_H
#define RUNNER_GRAPH_EXPLAIN_H

#include "runner/graph/plan.h"

struct explainer {
    struct plan_stage *stage;
    struct arena *arena;
    int capacity;
    bool failed; // memory ran out
};

void explain_add(struct explainer *x, struct reason reason);

// Payloads that are not JSON give no reason.
void explain_difference(struct explainer *x, const char *old_payload, const char *new_payload);

#endif
