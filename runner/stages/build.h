// build.h - who answers: this binary and this machine, as results and `retort version` name them.
#ifndef RUNNER_STAGES_BUILD_H
#define RUNNER_STAGES_BUILD_H

#include "core/base/arena.h"

#define RETORT_VERSION "0.1.0"

// "0.1.0 3f9a12c gcc 14.2.0 Release": version, commit ("+" behind it: changed since), compiler, kind of build.
const char *build_text(void);

// "51234 lines of C in 340 files, 10 libraries": of this build's core, kernels and runner, and what they are linked with
// beside the C library.
const char *code_text(void);

// "host, AMD EPYC 9124, 16 cores, 64 GB"; NULL when memory runs out.
const char *machine_text(struct arena *arena);

#endif
