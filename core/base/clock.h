// clock.h - time: a monotonic clock for durations, the wall clock for people.
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

double clock_seconds(void); // monotonic, seconds from an arbitrary start
double clock_unix(void);    // seconds since 1970, UTC

// "2026-01-31T12:00:00Z"
enum { CLOCK_TEXT = 24 };
void clock_text(double unix_seconds, char text[CLOCK_TEXT]);

// The time of such a text; NaN of NULL and of any other.
double clock_of_text(const char *text);

#endif
