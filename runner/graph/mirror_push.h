// mirror_push.h - the loop of the process that fills a mirror (mirror.h): looks what there is, copies what is not there yet.
//
//     e = mirror_push(&job, STDIN_FILENO);       // returns when it is told to finish and has, or when the other end of stdin is gone
//
// Order      results, kept weights, records, then checkpoints: of those the newest that there is when their turn comes; one whose stage has
//            finished meanwhile is left in the middle. But results and checkpoints stand behind the kept weights of their stage, which
//            nobody would make again who goes on from them; one of those that cannot be copied lets them by after a few tries
// Damaged    what does not verify here (store.h) is not copied
// Newer      what a newer retort wrote there (mirror_spare.h) is neither replaced nor removed: the file that would take its place is not
//            copied, nor a checkpoint beside one of a newer format. The state says so, and the run ends with status 4
// Trouble    the same again after RETORT_MIRROR_WAIT (1 s by default), doubled from time to time up to five minutes; what is refused for
//            good (ERROR_USAGE) after five. Told to finish it tries so many times more, and leaves the rest
// Errors     those of its own; what is wrong with the mirror is in its state
#ifndef RUNNER_GRAPH_MIRROR_PUSH_H
#define RUNNER_GRAPH_MIRROR_PUSH_H

#include "runner/graph/mirror.h"

struct error *CHECKED mirror_push(const struct mirror_job *job, int lifeline);

#endif
