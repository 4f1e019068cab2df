// number.h - numbers as people write them in recipes, read exactly or refused with the remedy.
//
//     int64_t n;
//     e = number_int("2e9", true, at, "chars", &n);      // 2000000000; also 1_000, 40M, 1.5k
//
// Suffixes   k M B T = 10^3, 10^6, 10^9, 10^12, case as written; only where `suffixes`
// Refused    hexadecimal, octal, leading zeros, 1:30, yes and no, .nan, .inf, null, thousands commas, leftovers of any kind
// Errors     ERROR_RECIPE at `at`, naming `name`
#ifndef RUNNER_RECIPE_NUMBER_H
#define RUNNER_RECIPE_NUMBER_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct error *CHECKED number_int(const char *text, bool suffixes, struct place at, const char *name, int64_t *value);
struct error *CHECKED number_real(const char *text, bool suffixes, struct place at, const char *name, double *value);
struct error *CHECKED number_bool(const char *text, struct place at, const char *name, bool *value);

// "90m", "2h", "45s", "1.5d": seconds.
struct error *CHECKED number_duration(const char *text, struct place at, const char *name, double *seconds);

// The shortest decimal text that reads back as the same number, in the arena.
const char *number_text(double value, struct arena *arena);

#endif
