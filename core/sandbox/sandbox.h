// sandbox.h - runs Python that a model wrote, in a process of its own with walls around it, and says how it ended.
//
//     struct sandbox *sandbox;
//     struct sandbox_outcome outcome;
//     e = sandbox_open(&sandbox, NULL);                       // finds python3, and tries it
//     e = sandbox_run(sandbox, program, n, &outcome);         // outcome.verdict == SANDBOX_PASSED
//     sandbox_close(sandbox);
//
// Not a security boundary: the walls are for mistakes, such as a model makes. A program that means harm can still read what the user can
// read, and where the kernel has no Landlock write files that the user can write.
//
// Passed     the program ran to its end with no exception of any kind, SystemExit among them, and so did its threads; what goes wrong in a
//            thread is that thread's, as in the reference. Leaving the process by another way is `ended`, whatever its status
// Process    a fresh interpreter for each program, in a session of its own, killed whole when its time is over, and with the process
//            that runs it, also where that is killed. It can start no other process, but threads
// Limits     `seconds` of time from where the program begins, then an exception, a second later the end; twice that of processor time;
//            memory; the size of a file, 64 open at once, and all that is in its folder, looked at twenty times a second and at the end:
//            with more bytes or files than that, or folders 64 deep, the program is `ended`, be it over by then; no core files. Output is
//            read to the end and thrown away beyond SANDBOX_OUTPUT bytes
// Network    no socket can be made. Where the kernel has no seccomp filters: a network of its own without interfaces, where it lets one
//            have it, and neither processes nor threads, but for root
// Guard      what guard.py puts away of os, shutil, subprocess and builtins (os.remove, exit) is None to the program; standard input
//            cannot be read
// Folder     a temporary one under TMPDIR or /tmp, empty for each program and removed at the end; what a killed process left is removed
//            by the next. Where the kernel has Landlock nothing can be written, made or removed but in it
// Around it  a fixed environment (of it all LD_LIBRARY_PATH alone is handed on), hashes of texts without a random seed, so that the order
//            of a set is always the same. What a program does with the clock or with random numbers is its own
// Python     the first python3 on PATH, 3.6 or later, asked once which program it is, since what is on PATH may be a shell script
// Errors     ERROR_MACHINE where there is no python3, or none that works; ERROR_STOPPED, soon after it was asked for
// Threads    one; it has to outlive the sandbox, for programs end with the thread that started them. SIGPIPE is ignored (stop.h)
// Source     nanochat 2025-10-13 (execution of HumanEval: guard, limits, outcome) and 2026-07 (fresh interpreter)
#ifndef CORE_SANDBOX_SANDBOX_H
#define CORE_SANDBOX_SANDBOX_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { SANDBOX_OUTPUT = 4096, SANDBOX_ERROR = 256, SANDBOX_VERSION = 16 };

enum sandbox_verdict {
    SANDBOX_PASSED,
    SANDBOX_FAILED,  // by an exception: outcome.error is "AssertionError: 3 != 4"
    SANDBOX_TIMEOUT, // did not end in time
    SANDBOX_MEMORY,  // wanted more memory than there is for it
    SANDBOX_ENDED,   // was gone before it had ended: left the process, crashed, or wrote too much
    SANDBOX_VERDICT_COUNT
};

struct sandbox_limits {
    double seconds;
    int64_t memory_bytes, file_bytes; // file_bytes: of a file that is written
    int64_t folder_bytes, files;      // of all that are there at once; folders are files
};

extern const struct sandbox_limits sandbox_usual; // 5 s, 256 MiB as the reference; files of 16 MiB, 1,000 with 64 MiB in all

struct sandbox_outcome {
    enum sandbox_verdict verdict;
    char error[SANDBOX_ERROR]; // on one line; "" where there is nothing to say
    char out[SANDBOX_OUTPUT], err[SANDBOX_OUTPUT];
    size_t n_out, n_err;
};

struct sandbox;

// Whether there is a python3 at all, without starting it: for plans.
struct error *CHECKED sandbox_find(void);

// limits NULL: the usual ones.
struct error *CHECKED sandbox_open(struct sandbox **sandbox, const struct sandbox_limits *limits);
struct error *CHECKED sandbox_run(struct sandbox *sandbox, const char *program, size_t n, struct sandbox_outcome *outcome);
void sandbox_close(struct sandbox *sandbox); // NULL is fine

const char *sandbox_python(const struct sandbox *sandbox); // version, "3.11.7"; borrowed

const char *sandbox_verdict_name(enum sandbox_verdict verdict); // "passed", "failed", "timeout", "memory", "ended"

#endif
