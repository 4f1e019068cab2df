// lost.h - a mapped file that was cut short, or whose disk fails: an error that names it instead of a death by signal.
//
// Memory of a mapped file that is not there any more raises SIGBUS in whatever code reads it: nothing can go on from there with
// right results. So the process ends, but says why.
//
//     lost_on_signal(tell, self);            // tell(self, e): ERROR_DATA, naming the file
//
// tell is called once, in the handler, on the thread that was reading; then the process ends with the error's exit status. It may
// allocate and print: code that reads mapped memory of ours is copying, unpacking or comparing, and holds no lock of the library.
// A SIGBUS of anything but a mapped file stays what it is.
#ifndef CORE_BASE_LOST_H
#define CORE_BASE_LOST_H

#include "core/base/error.h"

void lost_on_signal(void (*tell)(void *self, struct error *e), void *self);

#endif
