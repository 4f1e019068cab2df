// schema_json.h - the JSON Schema of recipes (draft 2020-12), from the table of fields and the words of the language.
//
// It describes the language whole, words that are not built included, and is as strict as a schema can be: keys, required ones, kinds,
// types, ranges of plain numbers, names, what excludes each other in one map. What references mean, what files hold, how patterns count,
// and numbers written as text (2e9, 64k) against their ranges are beyond it: `retort check` knows those. A recipe that includes others may
// leave out of its stages and sources what stands in these.
#ifndef RUNNER_COMMANDS_SCHEMA_JSON_H
#define RUNNER_COMMANDS_SCHEMA_JSON_H

#include "core/base/json.h"
#include "runner/recipe/fields.h"

// Adds the schema's keywords to an open object: of a recipe, or, where kind is not KIND_COUNT, of a stage of that kind. j->failed where
// memory runs out.
void schema_to_json(struct json *j, enum stage_kind_id kind, struct arena *arena);

#endif
