// world_parse.h - a template being read: between world_parse.c, world_lists.c and world_records.c. Not for others.
#ifndef CORE_DATA_WORLD_PARSE_H
#define CORE_DATA_WORLD_PARSE_H

#include "core/data/world_program.h"

enum { WORLD_LOCALS = 64, WORLD_DEMANDS = 128 };

enum { WORLD_NOT_COMPILED, WORLD_COMPILING, WORLD_COMPILED }; // states of a list

struct world_local {
    int name, type;
    int draw; // operation of its root, or -1: its root is a need, number `need` of the locals
    int need;
    int n_chain; // lookups between root and this
    int chain[WORLD_CHAIN];
};

struct world_parser_demand {
    int draw, need; // the root, as in struct world_local
    int n;
    int facts[WORLD_CHAIN];
};

struct world_parser {
    struct world_compiled *c;
    struct arena *arena;
    const struct world_template *template;
    bool is_part;

    const char *s, *end; // what is left of the slot
    const char *slot;    // the slot's text, for messages
    int n_slot;

    struct world_local locals[WORLD_LOCALS];
    int n_locals;
    struct world_parser_demand demands[WORLD_DEMANDS];
    int n_demands;
    struct world_op *ops;
    int n_ops, capacity;

    int64_t cost;
    int depth, n_bound_now, n_bound;
};

// Reads the template into p->ops. The parts that it calls are compiled, or being compiled. Called again with another
// p->template it goes on: the names stay, so that the texts of a record are one program.
struct error *CHECKED world_parse(struct world_parser *p);

// Ends one of several texts: the program writes a zero byte here.
struct error *CHECKED world_parse_end_text(struct world_parser *p);

// Makes a program of what was read, an alternative of the list; needs and demands are those of the list (world_lists.c).
struct error *CHECKED world_program_finish(struct world_parser *p, struct world_list *list, struct world_program *program,
                                           struct world_need *needs, struct world_demand *demands);

#endif
