// prefetch.h - the next micro-batch is read by a thread while this one is computed.
//
//     e = prefetch_open(&p, rows);                                    // rows stay the caller's, and open
//     e = prefetch_take(p, first, n, T, inputs, targets);             // what was asked for is there, or nearly; else it is read now
//     prefetch_ask(p, next, n, T, other_inputs, other_targets);       // returns at once
//     ... computing ...
//     prefetch_close(p);
//
// Rows       are the same whoever reads them: what was asked for and is not taken next is dropped
// Buffers    are the caller's, two pairs in turn: a pair that was asked for is the thread's until the next take. Nothing is copied
// Errors     prefetch_open where no thread can be started; taking gives those of the reader, for the rows that are taken only
// Threads    rows.read is called by one thread at a time, but not always the same
#ifndef CORE_TRAIN_PREFETCH_H
#define CORE_TRAIN_PREFETCH_H

#include "core/train/row_source.h"

struct prefetch;

struct error *CHECKED prefetch_open(struct prefetch **prefetch, struct row_source rows);
void prefetch_ask(struct prefetch *prefetch, int64_t first, int n, int T, int32_t *inputs, int32_t *targets);
struct error *CHECKED prefetch_take(struct prefetch *prefetch, int64_t first, int n, int T, int32_t *inputs, int32_t *targets);
void prefetch_close(struct prefetch *prefetch); // NULL: nothing to close

#endif
