// world_parse.c - templates to programs: one pass over the text, slots resolved to numbers, then the candidates of every draw.
//
// A template is read with a table of the names in scope. In a part a name that it does not bind is a need of the part, to be
// filled by the caller; parts are compiled before their callers (depth first), so needs travel upwards once.
//
// Every name knows its root, the draw (or need) that it goes back to, and the lookups in between: with {p:person} and
// {t:owns.of(p)}, t is owns of p. A lookup that holds pairs out puts a demand on its root: p must be a person whose pair is kept, or,
// for held-out text, held out. Demands on needs go to the callers; demands on draws become lists of candidates.
//
// Invariants
// 1. After this every program runs without checks but for overflow of sums: names are bound before use, types fit, no cycles.
// 2. cost bounds the bytes and the time of a document.
#include "core/data/world_program.h"

#include <stdlib.h>
#include <string.h>

enum { LOCALS = 64, DEMANDS = 128, PIECE_OPS = 16, ERRORS = 50, CANDIDATE_WORK = 50000000 };

enum { NOT_COMPILED, COMPILING, COMPILED }; // states of a list

struct local {
    int name, type;
    int draw; // operation of its root, or -1: its root is a need, number `need` of the locals
    int need;
    int n_chain; // lookups between root and this
    int chain[WORLD_CHAIN];
};

struct demand {
    int draw, need; // the root, as in struct local
    int n;
    int facts[WORLD_CHAIN];
};

struct parser {
    struct world_compiled *c;
    struct arena *arena;
    const struct world_template *template;
    bool is_part;

    const char *s, *end; // what is left of the slot
    const char *slot;    // the slot's text, for messages
    int n_slot;

    struct local locals[LOCALS];
    int n_locals;
    struct demand demands[DEMANDS];
    int n_demands;
    struct world_op *ops;
    int n_ops, capacity;

    int64_t cost;
    int depth, n_bound_now, n_bound;
};

static struct error *slot_error(const struct parser *p, const char *fix, const char *what, const char *name, int n)
{
    return error_new(ERROR_RECIPE, p->template->at, fix, "%s '%.*s' in the slot {%.*s}", what, n < 80 ? n : 80, name,
                     p->n_slot < 120 ? p->n_slot : 120, p->slot);
}

static void skip_blanks(struct parser *p)
{
    while (p->s < p->end && *p->s == ' ')
        p->s++;
}

static bool take(struct parser *p, char c)
{
    skip_blanks(p);
    if (p->s == p->end || *p->s != c)
        return false;
    p->s++;
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The length of the name at s, 0 if there is none.
static int word(struct parser *p, const char **name)
{
    skip_blanks(p);
    *name = p->s;
    if (p->s < p->end && is_letter(*p->s))
        while (p->s < p->end && (is_letter(*p->s) || is_digit(*p->s)))
            p->s++;
    return (int)(p->s - *name);
}

// The number of a name to bind; -1 when there are too many, or memory is out.
static int name_number(struct parser *p, const char *name, int n)
{
    struct world_compiled *c = p->c;
    for (int i = 0; i < c->n_names; i++)
        if (strncmp(c->names[i], name, (size_t)n) == 0 && !c->names[i][n])
            return i;
    if (c->n_names == WORLD_NAMES)
        return -1;
    char *copy = arena_strndup(p->arena, name, (size_t)n);
    if (!copy)
        return -1;
    c->names[c->n_names] = copy;
    return c->n_names++;
}

static struct local *find_local(struct parser *p, int name)
{
    for (int i = 0; i < p->n_locals; i++)
        if (p->locals[i].name == name)
            return &p->locals[i];
    return NULL;
}

// The local of a name that is used as `type` (a set, WORLD_INTEGER or WORLD_ANY); in a part it may be one of the callers'.
static struct error *use(struct parser *p, const char *name, int n, int type, struct local **found)
{
    int number = name_number(p, name, n);
    if (number < 0)
        return slot_error(p, "use fewer names", "no room for the name", name, n);
    struct local *local = find_local(p, number);
    if (!local) {
        if (!p->is_part)
            return slot_error(p, "bind it before: {name:set}", "nothing is called", name, n);
        if (p->n_locals == LOCALS)
            return slot_error(p, "cut the template in parts", "too many names:", name, n);
        local = &p->locals[p->n_locals];
        *local = (struct local){.name = number, .type = type, .draw = -1, .need = p->n_locals};
        p->n_locals++;
    }
    if (local->type == WORLD_ANY)
        local->type = type;
    if (type != WORLD_ANY && local->type != type) {
        const char *wanted = type == WORLD_INTEGER ? "a number" : p->c->sets[type].name;
        const char *is = local->type == WORLD_INTEGER ? "a number" : p->c->sets[local->type].name;
        return error_new(ERROR_RECIPE, p->template->at, NULL, "'%.*s' is of '%s', not of '%s', in the slot {%.*s}", n, name, is,
                         wanted, p->n_slot < 120 ? p->n_slot : 120, p->slot);
    }
    *found = local;
    return NULL;
}

static struct error *add_local(struct parser *p, const char *name, int n, struct local local)
{
    if (world_find_set(p->c, name, n) >= 0 || world_find_fact(p->c, name, n) >= 0 || world_find_range(p->c, name, n) >= 0)
        return slot_error(p, "take another name", "this is a set, fact or range:", name, n);
    local.name = name_number(p, name, n);
    if (local.name < 0)
        return slot_error(p, "use fewer names", "no room for the name", name, n);
    if (find_local(p, local.name))
        return slot_error(p, "take another name; to say it again write {name}", "bound or used before:", name, n);
    if (p->n_locals == LOCALS)
        return slot_error(p, "cut the template in parts", "too many names:", name, n);
    p->locals[p->n_locals++] = local;
    return NULL;
}

static struct error *add_demand(struct parser *p, const struct local *local, const int *facts, int n)
{
    struct demand d = {.draw = local->draw, .need = local->need};
    if (local->n_chain + n > WORLD_CHAIN)
        return slot_error(p, NULL, "too many lookups in lookups", p->slot, p->n_slot);
    memcpy(d.facts, local->chain, (size_t)local->n_chain * sizeof *facts);
    memcpy(d.facts + local->n_chain, facts, (size_t)n * sizeof *facts);
    d.n = local->n_chain + n;
    if (p->c->facts[d.facts[d.n - 1]].hold_out == 0 || (d.draw < 0 && d.need < 0))
        return NULL;
    for (int i = 0; i < p->n_demands; i++) {
        const struct demand *o = &p->demands[i];
        if (o->draw == d.draw && o->need == d.need && o->n == d.n && memcmp(o->facts, d.facts, (size_t)d.n * sizeof *facts) == 0)
            return NULL;
    }
    if (p->n_demands == DEMANDS)
        return slot_error(p, "cut the template in parts", "too many lookups", p->slot, p->n_slot);
    p->demands[p->n_demands++] = d;
    return NULL;
}

static struct error *add_op(struct parser *p, struct world_op op)
{
    if (p->n_ops == p->capacity) {
        int capacity = p->capacity ? p->capacity * 2 : PIECE_OPS;
        struct world_op *ops = arena_grow(p->arena, p->ops, (size_t)p->n_ops, (size_t)capacity, sizeof *ops);
        if (!ops)
            return error_memory();
        p->ops = ops;
        p->capacity = capacity;
    }
    p->ops[p->n_ops++] = op;
    p->cost += 1 + (op.kind == WORLD_TEXT ? op.n : op.kind == WORLD_CALL ? 0 : p->c->longest_item + 24);
    // A draw is in scope even without a name, so that the next one differs.
    if (op.name >= 0 || op.kind == WORLD_DRAW)
        if (op.kind != WORLD_SAY && op.kind != WORLD_TEXT && op.kind != WORLD_CALL) {
            p->n_bound_now++;
            if (p->n_bound_now > p->n_bound)
                p->n_bound = p->n_bound_now;
        }
    return NULL;
}

// fact.of(arg): arg is a name or another lookup. The facts are read outermost first and kept innermost first.
static struct error *parse_lookup(struct parser *p, int first, struct world_op *op, struct local *result)
{
    int facts[WORLD_CHAIN], n_facts = 0;
    const char *name;
    int n;
    facts[n_facts++] = first;
    for (;;) {
        n = word(p, &name);
        int fact = world_find_fact(p->c, name, n);
        if (n == 0)
            return slot_error(p, "write fact.of(name)", "a name is missing after", p->slot, (int)(p->s - p->slot));
        if (fact < 0)
            break;
        if (n_facts == WORLD_CHAIN)
            return slot_error(p, NULL, "too many lookups in lookups", name, n);
        facts[n_facts++] = fact;
        const char *of;
        if (!take(p, '.') || word(p, &of) != 2 || strncmp(of, "of", 2) != 0 || !take(p, '('))
            return slot_error(p, "write fact.of(name)", "no .of( after", name, n);
    }
    for (int i = 0; i < n_facts; i++)
        if (!take(p, ')'))
            return slot_error(p, "close every bracket", "a ) is missing after", name, n);

    int *chain = arena_array(p->arena, (size_t)n_facts, sizeof *chain);
    if (!chain)
        return error_memory();
    for (int i = 0; i < n_facts; i++)
        chain[i] = facts[n_facts - 1 - i];
    const struct program_fact *table = p->c->facts;
    for (int i = 1; i < n_facts; i++)
        if (table[chain[i]].of != table[chain[i - 1]].is)
            return slot_error(p, NULL, "this does not give what the next lookup wants:", table[chain[i - 1]].name,
                              (int)strlen(table[chain[i - 1]].name));
    struct local *from;
    struct error *e = use(p, name, n, table[chain[0]].of, &from);
    for (int i = 0; !e && i < n_facts; i++)
        e = add_demand(p, from, chain, i + 1);
    if (e)
        return e;
    if (from->n_chain + n_facts > WORLD_CHAIN)
        return slot_error(p, NULL, "too many lookups in lookups", name, n);
    *result = *from;
    memcpy(result->chain + from->n_chain, chain, (size_t)n_facts * sizeof *chain);
    result->n_chain = from->n_chain + n_facts;
    result->type = table[chain[n_facts - 1]].is;
    op->kind = WORLD_FACT;
    op->index = from->name;
    op->facts = chain;
    op->n = n_facts;
    return NULL;
}

static struct error *parse_factor(struct parser *p, char sign, struct world_factor *factor)
{
    factor->sign = sign;
    skip_blanks(p);
    if (p->s < p->end && is_digit(*p->s)) {
        factor->name = -1;
        while (p->s < p->end && is_digit(*p->s)) {
            factor->constant = factor->constant * 10 + (*p->s++ - '0');
            if (factor->constant > WORLD_RANGE_LIMIT)
                return slot_error(p, "stay within a million", "a number too large:", p->slot, p->n_slot);
        }
        return NULL;
    }
    const char *name;
    int n = word(p, &name);
    if (n == 0)
        return slot_error(p, "write names and whole numbers with + - *", "a number or a name is missing in", p->slot, p->n_slot);
    struct local *local;
    struct error *e = use(p, name, n, WORLD_INTEGER, &local);
    if (!e)
        factor->name = local->name;
    return e;
}

static struct error *parse_sum(struct parser *p, struct world_op *op)
{
    struct world_factor factors[32] = {0};
    int n = 0;
    char sign = '+';
    do {
        if (n == (int)countof(factors))
            return slot_error(p, "cut it in two", "too long a sum:", p->slot, p->n_slot);
        struct error *e = parse_factor(p, sign, &factors[n++]);
        if (e)
            return e;
        skip_blanks(p);
        sign = p->s < p->end && strchr("+-*", *p->s) ? *p->s++ : '\0';
    } while (sign);
    struct world_factor *kept = arena_array(p->arena, (size_t)n, sizeof *kept);
    if (!kept)
        return error_memory();
    memcpy(kept, factors, (size_t)n * sizeof *kept);
    op->kind = WORLD_SUM;
    op->factors = kept;
    op->n = n;
    return NULL;
}

static struct error *list_compile(struct world_compiled *c, const struct world *world, struct arena *arena, int i_list);

static struct error *parse_call(struct parser *p, struct world_op *op)
{
    const char *name;
    int n = word(p, &name), i = 1;
    while (i < p->c->n_lists && !(strncmp(p->c->lists[i].name, name, (size_t)n) == 0 && !p->c->lists[i].name[n]))
        i++;
    if (n == 0 || i == p->c->n_lists)
        return slot_error(p, "list it under parts:", "there is no part", name, n);
    const struct world_list *list = &p->c->lists[i];
    if (list->state == COMPILING)
        return slot_error(p, "parts may not call each other in a circle", "this part is being written already:", name, n);
    op->kind = WORLD_CALL;
    op->index = i;
    for (int k = 0; k < list->n_needs; k++) {
        struct local *local;
        const char *needed = p->c->names[list->needs[k].name];
        struct error *e = use(p, needed, (int)strlen(needed), list->needs[k].type, &local);
        for (int j = 0; !e && j < list->n_demands; j++)
            if (list->demands[j].name == local->name)
                e = add_demand(p, local, list->demands[j].facts, list->demands[j].n);
        if (e)
            return e;
    }
    p->cost += list->cost;
    if (list->depth + 1 > p->depth)
        p->depth = list->depth + 1;
    if (p->n_bound_now + list->n_bound > p->n_bound)
        p->n_bound = p->n_bound_now + list->n_bound;
    return NULL;
}

static struct error *parse_filters(struct parser *p, struct world_op *op)
{
    while (take(p, '|')) {
        const char *name;
        int n = word(p, &name);
        bool article = n == 1 && *name == 'a', plural = n == 1 && *name == 's';
        if (!article && !plural)
            return slot_error(p, "there are |a, |s and |s(n)", "there is no filter", name, n);
        if (op->kind == WORLD_CALL || op->silent)
            return slot_error(p, "filters work on single values that are said", "no place for the filter", name, n);
        op->article |= article;
        if (plural && take(p, '(')) {
            struct local *local;
            int n_count = word(p, &name);
            if (n_count == 0 || !take(p, ')'))
                return slot_error(p, "write |s(n)", "not a number's name:", p->slot, p->n_slot);
            struct error *e = use(p, name, n_count, WORLD_INTEGER, &local);
            if (e)
                return e;
            op->count = local->name;
        }
        op->plural |= plural;
    }
    return NULL;
}

// What stands behind "name:", or alone.
static struct error *parse_source(struct parser *p, bool named, struct world_op *op, struct local *result)
{
    const char *start = p->s, *name;
    int n = word(p, &name);
    skip_blanks(p);
    char next = p->s < p->end ? *p->s : '\0';
    if (n > 0 && next == '.') {
        int fact = world_find_fact(p->c, name, n);
        const char *of;
        p->s++;
        if (fact < 0)
            return slot_error(p, "list it under facts:", "there is no fact", name, n);
        if (word(p, &of) != 2 || strncmp(of, "of", 2) != 0 || !take(p, '('))
            return slot_error(p, "write fact.of(name)", "no .of( after", name, n);
        return parse_lookup(p, fact, op, result);
    }
    *result = (struct local){.type = WORLD_INTEGER, .draw = -1, .need = -1};
    if (n == 0 || (next && strchr("+-*", next))) {
        p->s = start;
        return parse_sum(p, op);
    }
    int set = world_find_set(p->c, name, n), range = world_find_range(p->c, name, n);
    if (set >= 0) {
        op->kind = WORLD_DRAW;
        op->index = set;
        result->type = set;
        result->draw = p->n_ops;
        return NULL;
    }
    if (range >= 0) {
        op->kind = WORLD_RANGE;
        op->index = range;
        return NULL;
    }
    if (world_find_fact(p->c, name, n) >= 0)
        return slot_error(p, "write fact.of(name)", "a fact of what?", name, n);
    if (named)
        return slot_error(p, "list it under sets: or sums:", "there is no set or range", name, n);
    struct local *local;
    struct error *e = use(p, name, n, WORLD_ANY, &local);
    if (e)
        return e;
    op->kind = WORLD_SAY;
    op->name = local->name;
    return NULL;
}

static struct error *parse_slot(struct parser *p)
{
    struct world_op op = {.name = -1, .count = -1};
    op.capital = take(p, '^');
    op.silent = take(p, '=');
    struct error *e = NULL;
    if (take(p, '@')) {
        e = op.silent ? slot_error(p, "delete the =", "a part cannot be silent", p->slot, p->n_slot) : parse_call(p, &op);
    } else {
        const char *start = p->s, *name;
        int n = word(p, &name);
        bool named = n > 0 && take(p, ':');
        if (!named)
            p->s = start;
        struct local result;
        e = parse_source(p, named, &op, &result);
        if (!e && op.silent && !named)
            e = slot_error(p, "write {=name:what}", "nothing is bound", p->slot, p->n_slot);
        if (!e && named && !(e = add_local(p, name, n, result)))
            op.name = p->locals[p->n_locals - 1].name;
    }
    if (!e)
        e = parse_filters(p, &op);
    skip_blanks(p);
    if (!e && p->s < p->end)
        e = slot_error(p, NULL, "cannot read", p->s, (int)(p->end - p->s));
    return e ? e : add_op(p, op);
}

// Cuts the text into pieces and slots. A doubled brace stands for one: the piece before it ends with the first of the two.
static struct error *parse_template(struct parser *p)
{
    const char *s = p->template->text, *piece = s;
    for (;;) {
        bool doubled = (*s == '{' || *s == '}') && s[1] == *s;
        if (*s && *s != '{' && *s != '}') {
            s++;
            continue;
        }
        struct world_op op = {.kind = WORLD_TEXT, .name = -1, .count = -1, .text = piece, .n = (int)(s - piece) + doubled};
        struct error *e = op.n ? add_op(p, op) : NULL;
        if (e || !*s)
            return e;
        if (doubled) {
            piece = s += 2;
            continue;
        }
        const char *close = *s == '{' ? strpbrk(s + 1, "{}") : NULL;
        if (!close || *close == '{')
            return error_new(ERROR_RECIPE, p->template->at, "close the slot; write {{ and }} for braces themselves",
                             "a brace without its partner at '%.20s'", s);
        p->slot = p->s = s + 1;
        p->end = close;
        p->n_slot = (int)(close - p->slot);
        if ((e = parse_slot(p)))
            return e;
        piece = s = close + 1;
    }
}

// Whether the lookups on an item are all held out (or all kept).
static bool allowed(const struct parser *p, int draw, int item, bool held_out)
{
    for (int i = 0; i < p->n_demands; i++) {
        const struct demand *d = &p->demands[i];
        if (d->draw != draw)
            continue;
        int value = item;
        for (int k = 0; k < d->n; k++) {
            const struct program_fact *fact = &p->c->facts[d->facts[k]];
            if (k == d->n - 1 && fact->held[value] != held_out)
                return false;
            value = fact->value[value];
        }
    }
    return true;
}

static struct error *find_candidates(struct parser *p, int i_op)
{
    struct world_op *op = &p->ops[i_op];
    const struct demand *demand = NULL;
    for (int i = 0; i < p->n_demands; i++)
        if (p->demands[i].draw == i_op)
            demand = &p->demands[i];
    if (!demand)
        return NULL;
    const struct program_set *set = &p->c->sets[op->index];
    p->c->work -= (int64_t)set->n * (p->n_demands + 1) * 2;
    if (p->c->work < 0)
        return error_new(ERROR_RECIPE, p->template->at, "use smaller sets, or fewer templates", "this world is too large");
    for (int held = 0; held < 2; held++) {
        int *items = arena_array(p->arena, (size_t)set->n, sizeof *items), n = 0;
        if (!items)
            return error_memory();
        for (int i = 0; i < set->n; i++)
            if (allowed(p, i_op, i, held))
                items[n++] = i;
        if (n == 0) {
            const char *fact = p->c->facts[demand->facts[demand->n - 1]].name;
            return error_new(ERROR_RECIPE, p->template->at,
                             held ? "raise hold_out, enlarge the set, or use one such fact a document" : "lower hold_out",
                             "no item of '%s' has all its facts here %s ('%s' is one of them)", set->name,
                             held ? "held out" : "kept", fact);
        }
        op->candidates[held] = items;
        op->n_candidates[held] = n;
    }
    return NULL;
}

// Adds the needs and demands of one alternative to those of its list.
static struct error *merge_needs(struct parser *p, struct world_list *list, struct world_need *needs, struct world_demand *demands)
{
    for (int i = 0; i < p->n_locals; i++) {
        const struct local *local = &p->locals[i];
        if (local->need != i || local->draw >= 0 || local->n_chain)
            continue;
        int k = 0;
        while (k < list->n_needs && needs[k].name != local->name)
            k++;
        if (k == LOCALS)
            return error_new(ERROR_RECIPE, p->template->at, NULL, "part '%s' uses too many names of its callers", list->name);
        if (k == list->n_needs)
            needs[list->n_needs++] = (struct world_need){local->name, local->type};
        if (needs[k].type == WORLD_ANY)
            needs[k].type = local->type;
        if (local->type != WORLD_ANY && needs[k].type != local->type)
            return error_new(ERROR_RECIPE, p->template->at, "use another name in one of them",
                             "templates of the part '%s' use '%s' for different kinds", list->name, p->c->names[local->name]);
    }
    for (int i = 0; i < p->n_demands; i++) {
        const struct demand *d = &p->demands[i];
        if (d->draw >= 0)
            continue;
        struct world_demand demand = {.name = p->locals[d->need].name, .n = d->n};
        memcpy(demand.facts, d->facts, sizeof demand.facts);
        int k = 0;
        while (k < list->n_demands && memcmp(&demands[k], &demand, sizeof demand) != 0)
            k++;
        if (k == DEMANDS)
            return error_new(ERROR_RECIPE, p->template->at, NULL, "part '%s' makes too many lookups", list->name);
        if (k == list->n_demands)
            demands[list->n_demands++] = demand;
    }
    return NULL;
}

static struct error *program_compile(struct parser *p, struct world_list *list, struct world_program *program,
                                     struct world_need *needs, struct world_demand *demands)
{
    struct error *e = parse_template(p);
    for (int i = 0; !e && i < p->n_ops; i++)
        if (p->ops[i].kind == WORLD_DRAW)
            e = find_candidates(p, i);
    if (!e)
        e = merge_needs(p, list, needs, demands);
    if (!e && p->cost > WORLD_DOCUMENT_BYTES)
        e = error_new(ERROR_RECIPE, p->template->at, "write shorter parts", "this can make a document of more than %d bytes",
                      WORLD_DOCUMENT_BYTES);
    if (!e && (p->depth >= WORLD_DEPTH || p->n_bound > WORLD_BOUND))
        e = error_new(ERROR_RECIPE, p->template->at, "nest fewer parts", "parts in parts, too deep or with too many names");
    if (e)
        return e;
    program->ops = p->ops;
    program->n_ops = p->n_ops;
    if (p->cost > list->cost)
        list->cost = p->cost;
    if (p->depth > list->depth)
        list->depth = p->depth;
    if (p->n_bound > list->n_bound)
        list->n_bound = p->n_bound;
    return NULL;
}

// The parts that a template calls, compiled before it. Finds them by their "{@" or "{^@".
static struct error *callees_compile(struct world_compiled *c, const struct world *world, struct arena *arena, const char *text)
{
    struct error *errors = NULL;
    for (const char *s = strchr(text, '{'); s; s = strchr(s + 1, '{')) {
        const char *name = s + 1 + strspn(s + 1, " ^");
        if (*name != '@')
            continue;
        name++;
        name += strspn(name, " ");
        for (int i = 1; i < c->n_lists; i++) {
            size_t n = strlen(c->lists[i].name);
            if (strncmp(name, c->lists[i].name, n) == 0 && !is_letter(name[n]) && !is_digit(name[n]) && c->lists[i].state == NOT_COMPILED)
                errors = error_append(errors, list_compile(c, world, arena, i));
        }
    }
    return errors;
}

static struct error *list_compile(struct world_compiled *c, const struct world *world, struct arena *arena, int i_list)
{
    struct world_list *list = &c->lists[i_list];
    struct world_need *needs = arena_array(arena, LOCALS, sizeof *needs);
    struct world_demand *demands = arena_array(arena, DEMANDS, sizeof *demands);
    struct parser *p = arena_alloc(arena, sizeof *p);
    if (!needs || !demands || !p)
        return error_memory();
    list->state = COMPILING;
    list->needs = needs;
    list->demands = demands;
    struct error *errors = NULL;
    for (int i = 0; i < list->n; i++) {
        const struct world_template *template = &world->templates[list->programs[i].template];
        errors = error_append(errors, callees_compile(c, world, arena, template->text));
        *p = (struct parser){.c = c, .arena = arena, .template = template, .is_part = i_list > 0};
        errors = error_append(errors, program_compile(p, list, &list->programs[i], needs, demands));
        int n_errors = 0;
        for (const struct error *e = errors; e; e = e->next)
            n_errors++;
        if (n_errors > ERRORS)
            break;
    }
    // A part with errors may still be called, so that its callers add no errors about it.
    list->state = COMPILED;
    return errors;
}

static struct world_list *find_list(struct world_compiled *c, const char *name)
{
    for (int i = 0; i < c->n_lists; i++)
        if (name ? c->lists[i].name && strcmp(c->lists[i].name, name) == 0 : !c->lists[i].name)
            return &c->lists[i];
    return NULL;
}

static struct error *check_template(struct world_compiled *c, const struct world_template *t)
{
    if (!(t->weight > 0 && t->weight <= 1e9))
        return error_new(ERROR_RECIPE, t->at, "set it above 0", "the weight of a template is %g", t->weight);
    if (!t->text || !*t->text || strlen(t->text) > WORLD_TEMPLATE_BYTES)
        return error_new(ERROR_RECIPE, t->at, NULL, "a template is empty or longer than %d bytes", WORLD_TEMPLATE_BYTES);
    if (find_list(c, t->name))
        return NULL;
    size_t n = strspn(t->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    if (n == 0 || t->name[n] || is_digit(t->name[0]))
        return error_new(ERROR_RECIPE, t->at, "use letters, digits and _", "'%s' cannot be the name of a part", t->name);
    if (c->n_lists == WORLD_NAMES)
        return error_new(ERROR_RECIPE, t->at, NULL, "more than %d parts", WORLD_NAMES - 1);
    c->lists[c->n_lists++] = (struct world_list){.name = t->name};
    return NULL;
}

struct error *world_lists_compile(struct world_compiled *c, const struct world *world, struct arena *arena)
{
    c->lists = arena_array(arena, WORLD_NAMES, sizeof *c->lists);
    if (!c->lists)
        return error_memory();
    c->n_lists = 1; // the documents
    c->work = CANDIDATE_WORK;
    struct error *errors = NULL;
    for (int i = 0; i < world->n_templates; i++) {
        errors = error_append(errors, check_template(c, &world->templates[i]));
        if (!errors)
            find_list(c, world->templates[i].name)->n++;
    }
    if (errors)
        return errors;
    for (int i = 0; i < c->n_lists; i++) {
        struct world_list *list = &c->lists[i];
        list->programs = arena_array(arena, (size_t)list->n, sizeof *list->programs);
        if (!list->programs)
            return error_memory();
        list->n = 0;
    }
    for (int i = 0; i < world->n_templates; i++) {
        struct world_list *list = find_list(c, world->templates[i].name);
        list->weight += world->templates[i].weight;
        list->programs[list->n++] = (struct world_program){.template = i, .until = list->weight};
    }
    if (c->lists[0].n == 0)
        return error_new(ERROR_RECIPE, (struct place){.file = world->path}, "list templates under documents:",
                         "this world has no documents");
    for (int i = c->n_lists - 1; i >= 0; i--)
        if (c->lists[i].state == NOT_COMPILED)
            errors = error_append(errors, list_compile(c, world, arena, i));
    return errors;
}
