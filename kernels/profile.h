// profile.h - where the time of a step goes: seconds of each operation.
//
//     device_profile(dev, true);                               // from here on, from zero
//     ... steps ...
//     int n = device_timings(dev, timings, countof(timings));  // in the order in which operations were first called
//
// While it is on, a table that times each operation stands before the device's own; when it is off there is nothing in the way.
// Operations that wait for nobody (all of the cpu) are timed whole.
#ifndef KERNELS_PROFILE_H
#define KERNELS_PROFILE_H

#include "kernels/kernels.h"

enum { PROFILE_OPS = 64 };

struct op_timing {
    const char *op; // "matmul_dx"
    int64_t calls;
    double seconds;
    double products_s; // of these in matrix products: all of matmul, parts of loss and muon
};

void device_profile(struct device *dev, bool on);
int device_timings(const struct device *dev, struct op_timing *timings, int most);

#endif
