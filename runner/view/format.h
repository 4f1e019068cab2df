// format.h - numbers as people read them, in few columns; what is not known is "-".
//
//     format_count(text, 23724032)   "23.7M"        format_seconds(text, 3725)    "1h02m"
//     format_big(text, 3.5e15)       "3.5e15"       format_bytes(text, 12.3e6)    "12.3 MB"
//     format_real(text, -1e-8, 3)    "0.000"        format_signed(text, 2e-3, 3)  "+0.002"
#ifndef RUNNER_VIEW_FORMAT_H
#define RUNNER_VIEW_FORMAT_H

#include <stdint.h>

enum { FORMAT_TEXT = 32 };

const char *format_count(char text[FORMAT_TEXT], int64_t count);    // below 0: unknown
const char *format_big(char text[FORMAT_TEXT], double value);       // NaN: unknown
const char *format_seconds(char text[FORMAT_TEXT], double seconds); // NaN: unknown
const char *format_bytes(char text[FORMAT_TEXT], int64_t bytes);    // below 0: unknown
const char *format_usd(char text[FORMAT_TEXT], double usd);         // NaN: unknown
const char *format_real(char text[FORMAT_TEXT], double value, int decimals);

// With its sign: "+0.0060"; what is printed as 0 has a plus.
const char *format_signed(char text[FORMAT_TEXT], double value, int decimals);

#endif
