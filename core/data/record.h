// record.h - one row of a data set after the other, as named fields: out of parquet, JSON lines, or a world's records.
//
//     const char *paths[] = {"question | train.question", "choices.text", "answer"};
//     struct records *r;
//     e = records_open(&r, &part, paths, 3);
//     while (!(e = records_next(r, &record)) && record) ...             // record NULL: the end; record->fields[0] is the question
//     records_close(r);
//
// Paths      names with dots between them; " | " separates alternatives, of which the first that is there is taken (in parquet:
//            as a column of the file; in JSON: in this line; in a world: as a field of the list). In parquet the nodes that only
//            make a list or map (list, element, item, array, array_element, bag, map, key_value) may be left out:
//            "messages.role" is messages.list.element.role. In JSON dots descend objects, and a list on the way is gone through:
//            "messages.role" is the role of each of the messages, a null for one that has none; "." is the line itself, "..role"
//            the role of each item of a line that is a list. A world's fields have one name each. A path has at most 16
//            alternatives of at most 32 names, and a name has no dot, no '|' and no blank at its ends
// Values     a field is one value, or a list of them. Numbers have a text too, in decimal; booleans are the texts "true" and
//            "false". In JSON a list of objects as an item's value is given as its JSON, as written: the parts of a message
// Rows       of all row groups; parts are files, as in documents.h; a world's part names its list in part.records
// Ownership  a record is borrowed until the next call; texts have a zero behind them
// Errors     ERROR_DATA naming file, row or line, and path; a path that no column (of a world: no list) has is one when the part is
//            opened; in JSON lines a path that is not there gives a field of no values. Refused: lists of lists, an object where
//            a value should be, plain text. A row holds at most RECORD_VALUES values and RECORD_BYTES bytes of texts
// Source     a list's three levels: github.com/apache/parquet-format, LogicalTypes.md
#ifndef CORE_DATA_RECORD_H
#define CORE_DATA_RECORD_H

#include "core/data/documents.h"

#include <stdbool.h>

enum { RECORD_PATHS = 16, RECORD_VALUES = 1 << 16, RECORD_BYTES = 64 << 20 };

struct record_value {
    const char *text; // NULL: a null
    size_t n;
    bool is_integer, is_json; // is_json: text is a list of objects
    int64_t integer;
};

struct record_field {
    const struct record_value *values;
    int n_values;
    bool is_list; // n_values may be any; else it is 1, or 0 where the path is not there
};

struct record {
    int64_t row; // of the part, from 0
    int n_fields;
    struct record_field fields[RECORD_PATHS]; // in the order of the paths
};

struct records;

// Whether it is a path at all, whatever data it is for.
struct error *CHECKED record_path_check(const char *path);

struct error *CHECKED records_open(struct records **records, const struct document_part *part, const char *const *paths,
                                   int n_paths);
struct error *CHECKED records_next(struct records *records, const struct record **record);
void records_close(struct records *records); // NULL is fine

// Rows of a part, without reading them where the file says it (parquet); -1: only reading tells (JSON lines, but for
// an empty file).
struct error *CHECKED records_count(const struct document_part *part, int64_t *n_rows);

#endif
