// bench.h - what `retort bench` measures, a file each.
#ifndef RUNNER_COMMANDS_BENCH_H
#define RUNNER_COMMANDS_BENCH_H

#include "runner/commands/command.h"

struct error *CHECKED bench_tokenizer(struct call *call);

// "name       1.23 GB/s": three digits of a value, with the prefix of its size.
void bench_print(const char *name, double value, const char *unit);

#endif
