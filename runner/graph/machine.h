// machine.h - what this machine was measured to do by this binary: results/machine.h5, written by `retort bench machine`.
//
//     e = machine_here(&here, &arena);                        // who answers: machine, build, isa, threads
//     e = machine_read(&measured, "results", &here, &found, &arena);     // found: this machine and this binary have measured
//     e = machine_write(&measured, "results", &arena);
//
// Layout   /machines: table: machine build isa measured text, threads i64, all else f64; a row for each (machine, build, isa,
//          threads), newest last, at most MACHINES_KEPT: results folders are shared. A row of another machine or binary is not used
// Time     of an operation: start_s, its FLOPs by the rate of their class, its bytes by bandwidth (kernels.h: device_rates); of a whole
//          step times `small` for a model of width SMALL_WIDTH or below, `large` from LARGE_WIDTH on, and in between in proportion to
//          the logarithm of the width. Both are what real training steps took, over what the operations come to
// Errors   ERROR_DATA for a file that is damaged, naming it and the command that makes it anew; ERROR_NOT_BUILT for one of a newer
//          retort, which machine_write does not replace
#ifndef RUNNER_GRAPH_MACHINE_H
#define RUNNER_GRAPH_MACHINE_H

#include "core/base/error.h"
#include "kernels/kernels.h"

enum { MACHINES_KEPT = 64, SMALL_WIDTH = 64, LARGE_WIDTH = 384 };

struct machine {
    char machine[256], build[128], isa[16], measured[32]; // measured: RFC 3339, UTC
    int64_t threads;
    double peak;                     // FLOP/s of multiply-adds in registers
    double peak_bf16;                // of bfloat16 numbers; 0: not known
    double products;                 // FLOP/s of large matrix products
    double attention;                // of attention, forward and backward
    double bandwidth;                // bytes/s of copying more than caches hold
    double start_s;                  // of an operation on next to nothing
    double small, large;             // what real steps take beside their operations
    double small_s, large_s;         // seconds of a step of the two models that were tried
    double small_flops, large_flops; // FLOPs of such a step, counted
    double had;                      // share of the processor that the measuring had, at the least
};

struct error *CHECKED machine_here(struct machine *here, struct arena *arena);
struct error *CHECKED machine_read(struct machine *measured, const char *results, const struct machine *here, bool *found,
                                   struct arena *arena);
// To ask before measuring: the ERROR_NOT_BUILT that machine_write would end with.
struct error *CHECKED machine_spare(const char *results, struct arena *arena);
struct error *CHECKED machine_write(const struct machine *measured, const char *results, struct arena *arena);

// Whether precision bf16 is emulated by the processor that answers.
bool machine_emulates_bf16(void);

struct device_rates machine_rates(const struct machine *measured);

// By what to multiply the time of the operations of a model of that width.
double machine_factor(const struct machine *measured, int width);

#endif
