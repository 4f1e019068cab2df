// queue.h - many files saved one after the other, without waiting for the disk after each.
//
//     struct store_queue *q;
//     e = store_queue_open(&q);
//     e = store_queue_save(q, "results/store/tokens-3f9a.h5", attributes, n_attributes, sets, n_sets);   // any number of times
//     e = store_queue_wait(q);                                             // all are there, on the disk, under their names
//     store_queue_close(q);
//
// As store_save does it (store.h), with the same promise for each file: it appears under its name complete and synced, or not at all.
// But fsync and rename, which wait for the disk, are done by threads of the queue, several at a time: a file system makes one turn of
// several fsyncs. So files may appear in another order than they were saved in.
//
// Names      a file is handed over once; again only behind a wait
// Limits     WAITING files that are written and have no name yet: store_queue_save waits where there are so many
// Ownership  what is handed to store_queue_save is borrowed for the call
// Errors     those of store_save: of writing by store_queue_save, of syncing by store_queue_look or _wait, the first alone. A file that
//            fails leaves nothing behind; the others go on
// Threads    one at a time, as for store_save
#ifndef CORE_STORE_QUEUE_H
#define CORE_STORE_QUEUE_H

#include "core/store/store.h"

struct store_queue;

struct error *CHECKED store_queue_open(struct store_queue **queue);
struct error *CHECKED store_queue_save(struct store_queue *q, const char *path, const struct store_attribute *attributes,
                                       int n_attributes, const struct store_set *sets, int n_sets);

// What has failed so far, without waiting; who is told has it, and is not told again.
struct error *CHECKED store_queue_look(struct store_queue *q);

struct error *CHECKED store_queue_wait(struct store_queue *q);

// Waits as well, so that no whole file is lost; errors that nobody asked for are dropped. NULL is fine.
void store_queue_close(struct store_queue *q);

#endif
