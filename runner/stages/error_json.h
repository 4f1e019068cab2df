// error_json.h - errors as JSON and back: from a stage process to its runner through the live file, and in every --json answer.
//
//   {"kind":"recipe","file":"tiny.yaml","line":41,"column":31,"what":"…","fix":"…","chain":["while reading …"]}
#ifndef RUNNER_STAGES_ERROR_JSON_H
#define RUNNER_STAGES_ERROR_JSON_H

#include "core/base/error.h"
#include "core/base/json.h"

// A list of all errors.
void errors_to_json(struct json *j, const struct error *e);

// The errors of such a list, NULL for a text that is none.
struct error *errors_from_json(const char *text);

#endif
