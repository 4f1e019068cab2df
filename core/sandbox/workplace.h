// workplace.h - a temporary folder in which programs may leave files, emptied before each and removed in the end.
//
//     e = workplace_open(&place);
//     e = workplace_clear(&place);                  // place.path is there, and empty
//     if (!workplace_within(&place, 64 << 20, 1000))
//         ...                                       // a program has filled it with more than that
//     workplace_close(&place);
//
// Left over   its lock is held while it is open and goes with the process: opening removes the folders of processes that were killed
// Ownership   the folder is removed by workplace_close
// Errors      ERROR_MACHINE
#ifndef CORE_SANDBOX_WORKPLACE_H
#define CORE_SANDBOX_WORKPLACE_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORKPLACE_PATH = 512, WORKPLACE_DEEPEST = 64 };

struct workplace {
    char top[WORKPLACE_PATH], path[WORKPLACE_PATH + 8]; // of ours; of the program, in it
    int fd;                                             // of top, locked
};

struct error *CHECKED workplace_open(struct workplace *place);
struct error *CHECKED workplace_clear(struct workplace *place);

// Whether there are at most so many bytes in so many files, folders among them, which lie in no more than WORKPLACE_DEEPEST folders. A
// program may be at work there meanwhile: what goes as it is looked at is not counted.
bool workplace_within(const struct workplace *place, int64_t bytes, int64_t files);

void workplace_close(struct workplace *place);

#endif
