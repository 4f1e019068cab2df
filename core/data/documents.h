// documents.h - text documents one after the other, whatever they are kept in.
//
// A source of text is an ordered list of parts: a file of parquet rows, of JSON lines, of plain text, or a range of a world's
// documents. This is where the kinds meet; each has its own reader beside this file.
//
//     struct documents *d;
//     e = documents_open(&d, &part);
//     while (!(e = documents_next(d, &text, &n)) && text) ...          // text NULL: the end
//     documents_close(d);
//
// Form       parquet: a row of a string column a document, nulls and empty rows skipped; jsonl: a string field of an object a
//            line; text: the whole file is one document; world: document i of the world's generator, first <= i < first + n
// Ownership  text is borrowed until the next call, or longer (documents_stays)
// Memory     a page of parquet (parquet.h), a line (json_lines.h), a document of a world; a text file is mapped
// Errors     ERROR_DATA naming file and place (row group, row; line); for a text that is gzip, a PDF, UTF-16 or the like (file_kind.h)
#ifndef CORE_DATA_DOCUMENTS_H
#define CORE_DATA_DOCUMENTS_H

#include "core/base/error.h"
#include "core/data/page_blocks.h"
#include "core/data/skips.h"
#include "core/data/world.h"

#include <stdint.h>

enum document_form { DOCUMENT_PARQUET, DOCUMENT_JSONL, DOCUMENT_TEXT, DOCUMENT_WORLD, DOCUMENT_FORM_COUNT };

struct document_part {
    enum document_form form;
    const char *path;    // of the file; for a world the world file, for messages
    const char *column;  // parquet column, or JSON field (dots descend)
    int64_t skip_bad;    // malformed rows of the file that may be left out
    struct skips *skips; // where they are counted, of whoever reads; NULL: the first is an error

    // of a world
    const struct world *world;
    uint64_t seed;
    int64_t first, n;
    bool held_out;       // generate from held-out facts only
    const char *records; // record.h reads this list of the world's; NULL: documents
};

struct documents;

struct error *CHECKED documents_open(struct documents **documents, const struct document_part *part);

// Pages of parquet are unpacked into these blocks, which outlive the documents; to be said before the first text.
void documents_use(struct documents *documents, struct page_blocks *blocks);

struct error *CHECKED documents_next(struct documents *documents, const char **text, size_t *n_bytes);

// Whether the text last given, or a stretch of it, stays where it is: as long as the documents are open (*block NULL), or as long as *block
// is kept. Else it is gone with the next text.
bool documents_stays(const struct documents *documents, const char *text, struct page_block **block);

void documents_close(struct documents *documents);

#endif
