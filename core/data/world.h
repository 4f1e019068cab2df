// world.h - a small invented world that writes documents: a declarative grammar of sets, facts, sums and weighted templates.
//
// The runner parses recipes/worlds/*.yaml into these plain structs (runner/recipe/world_file.h has the file's layout); this
// module checks references, compiles the templates and generates.
//
//     e = world_compile(&world, arena);                               // once; errors carry the places given in the structs
//     e = world_write(&world, seed, i, held_out, &text, &n_bytes);    // document i: a pure function of its arguments
//
// The language of templates: text stands for itself, "{{" and "}}" for braces, and slots in braces say or bind values.
//
//     {p:person}          draws an item of the set person, calls it p and says it; it differs from all items of that set that
//                         are in scope (unless all of them are)
//     {x:few}             draws a whole number of the range few (a name under sums:), calls it x and says it
//     {person} {few}      the same without a name
//     {p} {x}             says again what is bound
//     {a:owns.of(p)}      looks up a fact, calls it a and says it; a is optional; lookups nest: {next.of(next.of(d))}
//     {s:a*x+3}           sums of products (+ - *, whole numbers, bound numbers), with or without a name
//     {=x:few}            '=' binds and says nothing
//     {@aside}            writes one of the templates of the part aside, drawn by weight. A part sees the names of its
//                         callers; what it binds is gone when it ends, and hides a name of the same spelling. No cycles.
//                         Called again in one template, a part writes another of its templates until all have been
//     {^p} {^@aside}      '^' makes the first letter a capital (a to z)
//     {t|a} {t|s} {t|s(n)}   filters: with "a" or "an" before it; in the plural (s, es, ies); in the plural unless n is 1
//
// Facts      a fact such as owns maps each name of one set to one of another: by given pairs, or by a hash of fact and name,
//            never of the seed; a fact from a set into itself maps nothing to itself. A share hold_out of its pairs is held
//            out by a hash of their names. Training documents draw kept pairs only, held-out documents only held-out pairs
//            wherever they use a fact that holds pairs out: a slot {p:person} draws among the people for whom this is true of
//            all lookups on p in the document and the parts that it calls
// Hash       fnv(text) = FNV-1a, 64 bit, then x ^= x>>33, x *= FF51AFD7ED558CCD, x ^= x>>33, x *= C4CEB9FE1A85EC53, x ^= x>>33.
//            Item number ((fnv("value\0" fact "\0" name) >> 32) * n) >> 32 of the set is the fact's value (of a set into
//            itself: with n-1 for n, and one further from the name's own number on); a pair is held out when
//            (fnv("hold\0" fact "\0" name "\0" value) >> 11) / 2^53 is below hold_out
// Records    records: {quiz: [...]} are lists of templates like documents, each of several fields that share their names; they are
//            written one after the other in the order of the file, and each is read from then on as a field of a row (record.h).
//            All templates of a list have the same fields. `by` is one more text, written last and kept to itself: a combination
//            is held out when (fnv("record\0" by "\0") >> 11) / 2^53 is below hold_out, so the same `by` is held out wherever it is
//            written, in any list, if hold_out is the same. Row i draws from Philox(seed, list, i): first a template, then its values,
//            again and again until the combination is of the kind that was asked for. A template without `by` holds nothing out,
//            but held-out rows of it, too, draw only held-out pairs of facts
// Sets       of and is of a fact with pairs may name sets that are not listed: they are made of its pairs, in their order
// Randomness document i draws from Philox(seed, i) in the order in which its template needs values
// Limits     256 sets, facts, ranges, parts and bound names each; 65,536 items; templates of 64 KiB; parts nest 32 deep; a
//            document takes at most 1 MiB; a million for the bounds of ranges. 64 lists of records, 16 fields, 64 texts a field; a
//            record takes at most 64 KiB
// Errors     ERROR_RECIPE at the place of the set, fact or template; a sum beyond 64 bits when it is written
// Threads    a compiled world is immutable
// Version    WORLD_VERSION is raised when the same file would give other documents; part of the key of what is made from it
#ifndef CORE_DATA_WORLD_H
#define CORE_DATA_WORLD_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORLD_VERSION = 2 };

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

struct world_range { // sums: {few: 1..20}
    const char *name;
    int64_t low, high;
    struct place at;
};

struct world_template { // documents: [{weight: 3, text: "{p:person} has {a:owns.of(p)}."}], parts: {aside: [...]}
    double weight;
    const char *text;
    const char *name; // of the part that it belongs to; NULL for a document
    struct place at;
};

struct world_field { // question: "Who has the {t}?", wrong: ["{q}", "{s}"]
    const char *name;
    const char *const *texts; // one, or those of a list
    int n_texts;
    bool is_list;
    struct place at;
};

struct world_record_template { // records: {quiz: [{weight: 2, by: "{p} {t}", hold_out: 0.2, question: "...", right: "...", ...}]}
    const char *list;
    double weight;
    const struct world_field *fields;
    int n_fields;
    const char *by; // NULL: nothing is held out
    double hold_out;
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
    const struct world_record_template *records; // of a list one after the other
    int n_records;
    const struct world_compiled *compiled; // by world_compile, in its arena
};

// Checks everything and reports all errors at once: those of sets, facts and ranges, or, where these are right, those of
// templates.
struct error *CHECKED world_compile(struct world *world, struct arena *arena);

// Writes document i; *text is owned by the caller (block_free), *n_bytes without a terminator (there is one).
struct error *CHECKED world_write(const struct world *world, uint64_t seed, int64_t i, bool held_out, char **text,
                                  size_t *n_bytes);

struct world_record { // of one template
    const struct world_record_template *template;
    char *text; // owned (block_free): all texts of all fields, in order, each zero-terminated; `by` is not among them
    size_t n_bytes;
};

bool world_has_records(const struct world *world, const char *list);

// Row i of a list. ERROR_RECIPE at a template of which no draw is of the kind asked for, after many.
struct error *CHECKED world_record(const struct world *world, const char *list, uint64_t seed, int64_t i, bool held_out,
                                   struct world_record *record);

// Which template document i is made from, as an index into world->templates.
int world_template_of(const struct world *world, uint64_t seed, int64_t i, bool held_out);

#endif
