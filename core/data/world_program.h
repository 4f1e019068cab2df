// world_program.h - what a world is compiled to, by world_sets.c, world_parse.c, world_lists.c and world_records.c, for world.c.
// Not for others.
//
// Sets, facts, ranges, parts and bound names are numbers here. A template becomes a program: a list of operations, each of
// which says or binds one thing. A list is the alternatives of one part; list 0 is the documents. The lists of records stand
// apart; a program of theirs writes all texts of a row, each with its zero byte.
#ifndef CORE_DATA_WORLD_PROGRAM_H
#define CORE_DATA_WORLD_PROGRAM_H

#include "core/data/world.h"

enum {
    WORLD_NAMES = 256, // of each kind
    WORLD_ITEMS = 65536,
    WORLD_TEMPLATE_BYTES = 65536,
    WORLD_DOCUMENT_BYTES = 1 << 20,
    WORLD_DEPTH = 32,   // of parts in parts
    WORLD_BOUND = 1024, // values bound at the same time
    WORLD_CHAIN = 8,    // lookups in lookups
    WORLD_RANGE_LIMIT = 1000000,
    WORLD_RECORD_LISTS = 64,
    WORLD_RECORD_FIELDS = 16,
    WORLD_FIELD_TEXTS = 64,
    WORLD_RECORD_BYTES = 65536,
    WORLD_INTEGER = -1, // in place of a set: a number
    WORLD_ANY = -2,     // a name of a caller, of which nothing is known yet
};

struct world_item {
    const char *text;
    int n_bytes, index;
};

struct program_set {
    const char *name;
    struct place at;
    struct world_item *items;  // in order
    struct world_item *sorted; // by text, to look up
    int n;
};

struct program_fact {
    const char *name;
    struct place at;
    int of, is;
    const int *value; // [n of 'of'] item of 'is'
    const bool *held; // [n of 'of']
    double hold_out;
};

enum world_op_kind { WORLD_TEXT, WORLD_SAY, WORLD_DRAW, WORLD_RANGE, WORLD_FACT, WORLD_SUM, WORLD_CALL };

struct world_factor { // of a sum: operator, then a number or a name
    char sign;        // '+' and '-' begin a new product, '*' goes on with one
    int name;         // -1: constant
    int64_t constant;
};

struct world_op {
    enum world_op_kind kind;
    bool silent, capital, article, plural;
    int name;  // SAY: what to say; else what to bind, or -1
    int index; // DRAW: set; RANGE: range; CALL: list; FACT: the name looked up
    int count; // plural: by the value of this name, or -1
    int n;     // of text, facts or factors

    const char *text;
    const int *facts; // innermost first
    const struct world_factor *factors;
    const int *candidates[2]; // DRAW: [held_out] items to draw from, or NULL for all
    int n_candidates[2];
};

struct world_program {
    const struct world_op *ops;
    int n_ops, template; // index into world->templates or, in a list of records, into world->records
    struct place at;
    double until; // weights of this and all before it
};

// What a list needs from its callers: names, their types, and the facts looked up on them that hold pairs out.
struct world_need {
    int name, type;
};

struct world_demand {
    int name; // the needed name
    int n;
    int facts[WORLD_CHAIN];
};

struct world_list {
    const char *name; // NULL: the documents
    struct world_program *programs;
    int n;
    double weight;

    int state;    // world_parse.h's
    int depth;    // of calls below
    int n_bound;  // most values bound at a time
    int64_t cost; // most bytes written and operations done
    const struct world_need *needs;
    const struct world_demand *demands;
    int n_needs, n_demands;
};

struct world_records { // one list of records
    struct world_list list;
    int first;     // its first template in world->records
    uint64_t hash; // of its name
};

struct world_compiled {
    struct program_set *sets;
    struct program_fact *facts;
    const struct world_range *ranges;
    struct world_list *lists;
    int n_sets, n_facts, n_ranges, n_lists;
    struct world_records *records;
    int n_records;
    const char *names[WORLD_NAMES]; // bound ones
    int n_names;
    int longest_item;
    int64_t work; // left for operations and candidates, against files made to be slow
};

// Sets, facts and ranges: checked and looked up.
struct error *CHECKED world_sets_compile(struct world_compiled *c, const struct world *world, struct arena *arena);
// The hash of world.h over three texts, or four.
uint64_t world_hash(const char *a, const char *b, const char *c, const char *d);
// The length of the name at s, 0 if there is none; whether s is one name.
size_t world_name_bytes(const char *s);
bool world_is_name(const char *s);

int world_find_set(const struct world_compiled *c, const char *name, int n);
int world_find_fact(const struct world_compiled *c, const char *name, int n);
int world_find_range(const struct world_compiled *c, const char *name, int n);

// Templates: lists and programs.
struct error *CHECKED world_lists_compile(struct world_compiled *c, const struct world *world, struct arena *arena);

// Records, after everything else.
struct error *CHECKED world_records_compile(struct world_compiled *c, const struct world *world, struct arena *arena);
// NULL if there is no such list.
const struct world_records *world_find_records(const struct world_compiled *c, const char *name);

#endif
