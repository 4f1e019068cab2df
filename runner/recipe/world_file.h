// world_file.h - a world's YAML file to the plain structs of core/data/world, compiled.
//
//     world: 1
//     sets:      {person: [Ada, Ben], thing: [kite, drum]}
//     facts:     {owns: {of: person, is: thing, hold_out: 0.1}, capital: {of: country, is: city, pairs: {France: Paris}}}
//     sums:      {few: 2..9}
//     documents: [{weight: 3, text: "{p:person} has {t:owns.of(p)|a}. {@aside}"}, "Hello, {person}."]
//     parts:     {aside: ["It is new.", "It is old."]}
//     records:
//       quiz:    [{weight: 2, by: "{p} {t}", hold_out: 0.2, question: "{p:person} has {t:thing|a}. Who?", wrong: ["{q:person}"]}]
//
//     struct world world;
//     e = world_file_read("recipes/worlds/town.yaml", arena, &world);
//
// The language of texts stands in core/data/world.h. A template is its text, or a map of weight (a real above 0, else 1) and
// text. A template of records is a map of weight, by (hold_out is 0.1 where it is given) and fields, texts or lists of texts, in
// the order of the file.
// Limits     those of yaml.h, and those of world.h
// Ownership  everything lives in the arena
// Errors     ERROR_RECIPE with the place; all of them at once, first those of the file's layout, then those of the world
#ifndef RUNNER_RECIPE_WORLD_FILE_H
#define RUNNER_RECIPE_WORLD_FILE_H

#include "core/data/world.h"

struct error *CHECKED world_file_read(const char *path, struct arena *arena, struct world *world);

// The same from memory; name stands for the file in places.
struct error *CHECKED world_file_parse(const char *name, const char *text, size_t n_bytes, struct arena *arena,
                                       struct world *world);

#endif
