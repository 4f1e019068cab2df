// bench.h - the parts of `retort bench`: one file each, behind the first argument.
#ifndef RUNNER_COMMANDS_BENCH_H
#define RUNNER_COMMANDS_BENCH_H

#include "core/base/json.h"
#include "runner/commands/command.h"

// Says on what is measured: machine, instruction set, threads and how much others want of it; under --json opens the answer.
struct error *CHECKED bench_open(const struct call *call, struct json *j);

// "name       1.23 GB/s": three digits of a value, with the prefix of its size.
void bench_print(const char *name, double value, const char *unit);

struct error *CHECKED bench_train(struct call *call);
struct error *CHECKED bench_eval(struct call *call);
struct error *CHECKED bench_kernels(struct call *call);
struct error *CHECKED bench_tokenizer(struct call *call);
struct error *CHECKED bench_data(struct call *call);
struct error *CHECKED bench_store(struct call *call);

#endif
