// stop.h - has someone asked this process to save and stop? Beside lost.h's, and point.h's of tests, the one mutable global.
//
// Every loop that can last a second looks at stop_requested() and, when it is set, saves and returns error_stopped().
// Set by signals (stop_on_signals), by a reader of the lifeline pipe (stop_request). Cleared by nobody but a chat, where a stop ends
// one answer.
#ifndef CORE_BASE_STOP_H
#define CORE_BASE_STOP_H

#include <stdbool.h>

bool stop_requested(void);

// A Ctrl-C although stopping was asked for already: who pressed it does not want to wait for what is being saved. Other signals do
// not count, however many come: programs send them, and `retort stop` may be said twice.
bool stop_at_once(void);

// Async-signal-safe.
void stop_request(void);

void stop_clear(void);

// SIGINT and SIGTERM ask to stop; SIGHUP, SIGPIPE and SIGXFSZ are ignored. stop_fd() becomes readable with the first request (for poll).
void stop_on_signals(void);
int stop_fd(void);

#endif
