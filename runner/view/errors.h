// errors.h - a report of errors as a person reads it: place, line with caret, what was being done, remedy.
//
//     recipes/d12.yaml:41:31: error: epochs of 'gsm8k' is -0.2
//        41 |       - {task: gsm8k, epochs: -0.2}
//           |                               ^^^^
//       while reading task 'gsm8k' of the mixture     recipes/d12.yaml:38
//       fix: set it above 0, or delete the task
#ifndef RUNNER_VIEW_ERRORS_H
#define RUNNER_VIEW_ERRORS_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdio.h>

// Prints all errors of the list; colours only where asked for. The lines are read from the files that the places name, 80 columns of them.
// Texts are wrapped at blanks where they would reach beyond `width` columns; 0: each is one line, as scripts read them.
void errors_print(FILE *to, const struct error *e, int width, bool colour);

#endif
