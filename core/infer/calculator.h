// calculator.h - what a model gets back for arithmetic it wrote between python_start and python_end.
//
//     e = calculator_evaluate("12/60", 5, &bytes, &has_result);       // appends "0.2"
//
// Syntax     commas are deleted first; then digits . + - * / // ( ) and spaces, as Python reads them: 007 is no number but 00 and
//            007.5 are, signs stack, a power (**) is refused, () is the empty tuple and ... the Ellipsis
// Values     integers without overflow, and IEEE doubles. / gives a double correctly rounded, also of two integers; // rounds
//            down; a double out of range is inf, an integer that must become a double and cannot gives no result
// Result     as Python's str shows it, the shortest digits that read back as the same double: 5.0, 1e-05, -0.0, nan
// No result  whatever Python answers with an exception: bad syntax, another character, division by zero, wrong types
// Limits     CALCULATOR_BYTES_MAX bytes after the commas are gone, 200 parentheses deep (CPython's number); beyond, no result.
//            No value has more digits than the text has bytes, so this bounds time and memory too (milliseconds, megabytes).
//            CPython also gives up on a chain of some thousand signs; it gives a result here
// Errors     memory only; out is then as it was
// Source     the calculator of nanochat, 2025-10-13
#ifndef CORE_INFER_CALCULATOR_H
#define CORE_INFER_CALCULATOR_H

#include "core/text/buffer.h"

#include <stdbool.h>

// Below 4,300, so that CPython's limit on the digits of an integer is never met.
enum { CALCULATOR_BYTES_MAX = 4096, CALCULATOR_DEPTH_MAX = 200 };

// Appends the result to out; where there is none, *has_result is false and out stays.
struct error *CHECKED calculator_evaluate(const char *text, size_t n, struct bytes *out, bool *has_result);

#endif
