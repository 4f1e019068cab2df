// point.h - named points at which a test ends the process as a power cut would: at once, nothing said, nothing flushed.
//
//     RETORT_FAULT=store.synced:3          the third time that a process comes by this point, SIGKILL
//     RETORT_FAULT=stage/store.synced:3    a stage process only; mirror/... one that fills a mirror; runner/... any other
//
// The names stand where they are passed, point("store.synced"); tests/faults/run.py reads them from there, so that none is left out.
// Without the variable a point costs a getenv. It is for tests alone, and there is no way to go on from it but running again.
#ifndef CORE_BASE_POINT_H
#define CORE_BASE_POINT_H

void point(const char *name);

#endif
