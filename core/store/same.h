// same.h - are two results the same, bit for bit, in everything that the promise of exact resumption covers?
//
//     e = store_same(a, b, &same, &what, &arena);        // what: "same 12 datasets", or "/model/lm_head differs"
//
// Compared   all datasets but /timing and /events, which tell of time, and /checksums, which tell of those too; of attributes the chatcore
//            of an evaluation, which is a result
// Ownership  what is in the arena
// Errors     those of reading
#ifndef CORE_STORE_SAME_H
#define CORE_STORE_SAME_H

#include "core/store/store.h"

struct error *CHECKED store_same(struct store_file *a, struct store_file *b, bool *same, const char **what, struct arena *arena);

#endif
