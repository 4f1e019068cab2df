// child.h - a program that is fed a file on its standard input and whose output is kept, or goes into a file.
//
//     struct child child = {.argv = argv, .from = fd, .n_from = bytes, .watch = &watch, .to = -1};
//     e = child_run(&child);                     // the errors of running it; how it ended is child.status
//
// It sees no terminal: it is in a session of its own, so that nothing asks for a password on one. It is ended when watch says so.
#ifndef CORE_REMOTE_CHILD_H
#define CORE_REMOTE_CHILD_H

#include "core/remote/remote.h"

enum { CHILD_OUTPUT = 1 << 20, CHILD_COMPLAINT = 1000 };

struct child {
    char *const *argv;
    int from;       // read by pread; -1: it is fed nothing
    int64_t n_from; // bytes
    int to;         // where its output goes, by pwrite; -1: into output
    int64_t most;   // bytes of output into `to`; more end it
    const struct remote_watch *watch;

    // by child_run
    int status;   // exit status; 127: could not be started; -1: ended by a signal
    char *output; // block, owned: block_free; zero-terminated, cut at CHILD_OUTPUT
    size_t n_output;
    int64_t n_to;                    // bytes that went into `to`
    bool too_much;                   // output beyond most
    char complaint[CHILD_COMPLAINT]; // the last it said on standard error, on one line
};

struct error *CHECKED child_run(struct child *child);

#endif
