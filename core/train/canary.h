// canary.h - one row forward and backward through fixed weights: a hash of its loss and gradients, by which machines, builds and
// instruction sets that compute other bits are told apart before they train.
//
//     e = canary_measure(&g, hex);       // before weights are initialised or loaded: it leaves its own behind
//
// Fixed      weights are uniform numbers of Philox, of deviations that make every gradient count; ids are multiples of a prime. The hash
//            depends on the model's shape and precision and on what computes, on nothing else: not on seed, batch or threads
// Costs      one row of at most 160 tokens, more than any tile of attention has, and a set of gradients of those that training takes anyway
// Errors     faults of the device; ERROR_STOPPED
#ifndef CORE_TRAIN_CANARY_H
#define CORE_TRAIN_CANARY_H

#include "core/train/gradient.h"

enum { CANARY_HEX = 17 };

struct error *CHECKED canary_measure(struct gradient *g, char hex[CANARY_HEX]);

#endif
