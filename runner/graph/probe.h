// probe.h - measures what machine.h keeps: a few operations by themselves, then real training steps of two small models.
//
//     e = probe_measure(&measured, &here, on_figure, self, &arena);     // some seconds; the machine should have nothing else to do
//
// Each figure is the best of several tries, in rounds that go over all of them: others who use the machine make it slower, never
// faster. How much of the processor the measuring had, at the least, stands in `had`: below nine tenths the figures are too low.
//
// Errors  ERROR_STOPPED between tries; those of the device
#ifndef RUNNER_GRAPH_PROBE_H
#define RUNNER_GRAPH_PROBE_H

#include "runner/graph/machine.h"

// is_share: of the peak; else the value is in `unit`.
struct probe_figure {
    const char *name, *unit;
    double value, share; // share NaN: this is the peak, or no FLOP/s
};

struct error *CHECKED probe_measure(struct machine *measured, const struct machine *here,
                                    void (*told)(void *self, const struct probe_figure *figure), void *self, struct arena *arena);

#endif
