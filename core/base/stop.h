// stop.h - the one mutable global: has someone asked this process to save and stop?
//
// Every loop that can last a second looks at stop_requested() and, when it is set, saves and returns error_stopped().
// Set by signals (stop_on_signals), by a reader of the lifeline pipe (stop_request). Cleared by nobody but a chat, where a stop ends
// one answer.
#ifndef CORE_BASE_STOP_H
#define CORE_BASE_STOP_H

#include <stdbool.h>

bool stop_requested(void);

// How often it was asked for; the runner treats a second Ctrl-C as "stop now".
int stop_count(void);

// Async-signal-safe.
void stop_request(void);

void stop_clear(void);

// SIGINT and SIGTERM ask to stop; SIGHUP and SIGPIPE are ignored. stop_fd() becomes readable with the first request (for poll).
void stop_on_signals(void);
int stop_fd(void);

#endif
