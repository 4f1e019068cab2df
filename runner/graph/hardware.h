// hardware.h - the one table of what devices can do, for plans: peaks, bandwidth, memory, each from the maker's data sheet.
//
//     e = hardware_of(&hardware, &recipe);               // recipe.device; NULL or "cpu" is this machine
//     hardware->bf16 * recipe.device_count               // FLOP/s of all of them
//
// Names      compared without regard to case, blanks, '-' and '_': "RTX 4090" is "RTX-4090"
// mfu        the share of the peak that a training is assumed to reach, by the reference's count of FLOPs (core/model/shape.h), and
//            who reached it. This machine has none: its time comes from probes (machine.h)
// Errors     ERROR_RECIPE for a name that is not in the table, with the names that are
#ifndef RUNNER_GRAPH_HARDWARE_H
#define RUNNER_GRAPH_HARDWARE_H

#include "runner/recipe/recipe.h"

struct hardware {
    const char *name;
    double bf16, tf32, f32; // FLOP/s, dense, sums in float32; 0: not known
    double bandwidth;       // bytes/s of its memory; 0: not known
    double memory_bytes;    // 0: not known
    const char *source;     // of these figures
    double mfu;             // assumed; 0: none is
    const char *mfu_source;
};

extern const struct hardware hardware_table[];
extern const int n_hardware;

struct error *CHECKED hardware_of(const struct hardware **hardware, const struct recipe *recipe);
bool hardware_is_here(const struct hardware *hardware);

#endif
