// bpe_file.h - the counts of a trainer in a file, so that a training that was cut off in its merges need not count again.
//
//     e = bpe_trainer_count(t);
//     e = bpe_counts_sets(t, &arena, &sets, &n_sets);          // to save
//     e = bpe_counts_load(t, file);                            // into a new trainer: as if it had counted
//
// Layout  /counts/bytes u8, the different pieces one after the other; /counts/lengths u32 and /counts/counts i64, of each;
//         /counts/totals i64 [4]: documents, characters, bytes, pieces. The order of the pieces means nothing
// Errors  memory, those of the store, ERROR_DATA for counts that are not possible
#ifndef CORE_TEXT_BPE_FILE_H
#define CORE_TEXT_BPE_FILE_H

#include "core/store/store.h"
#include "core/text/bpe_train.h"

// Datasets with copies in the arena: 12 bytes a piece, and its own.
struct error *CHECKED bpe_counts_sets(const struct bpe_trainer *t, struct arena *arena, const struct store_set **sets,
                                      int *n_sets);

struct error *CHECKED bpe_counts_load(struct bpe_trainer *t, struct store_file *file);

#endif
