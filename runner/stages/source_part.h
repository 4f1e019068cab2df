// source_part.h - a part of a job, ready to be read: its world compiled, its bad rows counted.
//
//     struct source_part part;
//     e = source_part_open(&part, &job->parts[i].part, arena);
//     e = documents_open(&documents, &part.documents);          // or records_open, tokenize_documents, ...
//     ... part.skips.n ...
//     source_part_close(&part);
//
// Ownership  the world lives in the arena; `documents` points into the struct, which must stay where it is
#ifndef RUNNER_STAGES_SOURCE_PART_H
#define RUNNER_STAGES_SOURCE_PART_H

#include "core/data/documents.h"

struct source_part {
    struct document_part documents;
    struct world world;
    struct skips skips;
};

struct error *CHECKED source_part_open(struct source_part *part, const struct document_part *from, struct arena *arena);
void source_part_close(struct source_part *part);

#endif
