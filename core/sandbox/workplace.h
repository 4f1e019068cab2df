// workplace.h - a temporary folder in which programs may leave files, emptied before each and removed in the end.
//
//     e = workplace_open(&place);
//     e = workplace_clear(&place);                  // place.path is there, and empty
//     workplace_close(&place);
//
// Left over   its lock is held while it is open and goes with the process: opening removes the folders of processes that were killed
// Ownership   the folder is removed by workplace_close
// Errors      ERROR_MACHINE
#ifndef CORE_SANDBOX_WORKPLACE_H
#define CORE_SANDBOX_WORKPLACE_H

#include "core/base/error.h"

enum { WORKPLACE_PATH = 512 };

struct workplace {
    char top[WORKPLACE_PATH], path[WORKPLACE_PATH + 8]; // of ours; of the program, in it
    int fd;                                             // of top, locked
};

struct error *CHECKED workplace_open(struct workplace *place);
struct error *CHECKED workplace_clear(struct workplace *place);
void workplace_close(struct workplace *place);

#endif
