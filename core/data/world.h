// world.h - a small invented world that writes documents: a declarative grammar of sets, facts, sums and weighted templates.
//
// The runner parses recipes/worlds/*.yaml into these plain structs (runner/recipe/world_file.h has the language); this module
// checks references, compiles the templates and generates.
//
//     e = world_compile(&world, arena);                               // once; errors carry the places given in the structs
//     e = world_write(&world, seed, i, held_out, &bytes);             // document i: a pure function of (world, seed, i, held_out)
//
// Facts      a fact such as owns maps each name of one set to one of another, by a hash of world, fact and name, not of the seed; a
//            share hold_out of the pairs is held out by a hash of their names. Training documents draw kept pairs only, held-out
//            ones only held-out pairs wherever a document uses a fact that holds pairs out
// Randomness document i draws from Philox(seed, i) in the order in which its template needs values
// Threads    a compiled world is immutable
// Version    WORLD_VERSION is raised when the same file would give other documents; it is part of the key of what is made from it
#ifndef CORE_DATA_WORLD_H
#define CORE_DATA_WORLD_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORLD_VERSION = 1 };

struct world_set { // sets: {person: [Ada, ...]}
    const char *name;
    const char *const *items;
    int n_items;
    struct place at;
};

struct world_fact { // facts: {owns: {of: person, is: thing, hold_out: 0.1}}, or with the pairs given: {pairs: {France: Paris}}
    const char *name, *of, *is;
    const char *const *pair_of, *const *pair_is; // given pairs, or NULL
    int n_pairs;
    double hold_out;
    struct place at;
};

struct world_range { // sums: {x: 1..20}
    const char *name;
    int64_t low, high;
    struct place at;
};

struct world_template { // documents: [{weight: 3, text: "{p:person} has {a:owns.of(p)}."}]
    double weight;
    const char *text;
    const char *name; // documents: the list it belongs to; parts that other templates call by {@name}; NULL for a document
    struct place at;
};

struct world_compiled;

struct world {
    const char *path;
    const struct world_set *sets;
    const struct world_fact *facts;
    const struct world_range *ranges;
    const struct world_template *templates;
    int n_sets, n_facts, n_ranges, n_templates;
    struct world_compiled *compiled; // by world_compile, in its arena
};

// Checks everything, reports all errors at once.
struct error *CHECKED world_compile(struct world *world, struct arena *arena);

// Writes document i; *text is owned by the caller (block_free), *n_bytes without a terminator (there is one).
struct error *CHECKED world_write(const struct world *world, uint64_t seed, int64_t i, bool held_out, char **text,
                                  size_t *n_bytes);

#endif
