// thrift.h - reading Thrift's compact protocol: structs, lists, numbers and texts, checked byte by byte.
//
//     struct thrift t = {bytes, bytes + n, 0, false};
//     int last = 0, id, type;
//     while (thrift_field(&t, &last, &id, &type))
//         if (id == 3 && type == THRIFT_I64)
//             n_rows = thrift_int(&t);
//         else
//             thrift_skip(&t, type);
//     if (t.failed) ...
//
// A reader that meets bytes that are no Thrift, or their end, sets failed and gives 0 from then on; loops end by themselves.
// Nesting is limited to THRIFT_DEPTH. Texts point into the bytes.
// Source  "Thrift Compact protocol encoding", thrift-compact-protocol.md of Apache Thrift
#ifndef CORE_DATA_THRIFT_H
#define CORE_DATA_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { THRIFT_DEPTH = 24 };

enum thrift_type {
    THRIFT_TRUE = 1, // in a struct the type is the value
    THRIFT_FALSE,
    THRIFT_I8,
    THRIFT_I16,
    THRIFT_I32,
    THRIFT_I64,
    THRIFT_DOUBLE,
    THRIFT_TEXT,
    THRIFT_LIST,
    THRIFT_SET,
    THRIFT_MAP,
    THRIFT_STRUCT,
};

struct thrift {
    const uint8_t *at, *end;
    int depth; // of thrift_skip
    bool failed;
};

// The next field of a struct, false at its end. *last is the caller's, 0 at the beginning of each struct.
bool thrift_field(struct thrift *t, int *last, int *id, int *type);

// The head of a list: *n is at most the number of bytes left.
void thrift_list(struct thrift *t, int *type, int64_t *n);

int64_t thrift_int(struct thrift *t); // I16, I32, I64
uint64_t thrift_varint(struct thrift *t);
const char *thrift_text(struct thrift *t, size_t *n);
void thrift_skip(struct thrift *t, int type);

#endif
