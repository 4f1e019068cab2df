// source_part.h - a part of a job, ready to be read: its world compiled, its bad rows counted.
//
//     struct source_part part;
//     e = source_part_open(&part, &job->parts[i].part, arena);
//     e = documents_open(&documents, &part.documents);          // or records_open, tokenize_documents, ...
//     ... part.skips.n ...
//     source_part_close(&part);
//     e = source_identities(&ids, job, arena);
//     e = source_part_check(&job->parts[i], ids);               // before what was made of it gets a name
//
// Ownership  the world lives in the arena; `documents` points into the struct, which must stay where it is
// Errors     of source_part_check: ERROR_DATA for a file that is not any more what it was when the key was made of it, hours ago
//            perhaps. Without that, tokens of the new content would bear the key of the old one for ever
#ifndef RUNNER_STAGES_SOURCE_PART_H
#define RUNNER_STAGES_SOURCE_PART_H

#include "core/data/documents.h"
#include "core/store/identity.h"
#include "runner/stages/job.h"

struct source_part {
    struct document_part documents;
    struct world world;
    struct skips skips;
};

struct error *CHECKED source_part_open(struct source_part *part, const struct document_part *from, struct arena *arena);
void source_part_close(struct source_part *part);

// What the runner remembers of files (RESULTS/identity.tsv), so that a check costs a look at the file's time. In the arena.
struct error *CHECKED source_identities(struct identities **ids, const struct job *job, struct arena *arena);
struct error *CHECKED source_part_check(const struct job_part *part, struct identities *ids);

#endif
