// world_parse.c - a template becomes a program: one pass over its text, slots resolved to numbers.
//
// The text is read with a table of the names in scope. In a part a name that it does not bind is a need of the part, to be
// filled by the callers. Every name knows its root, the draw (or need) that it goes back to, and the lookups in between: with
// {p:person} and {t:owns.of(p)}, t is owns of p. A lookup that holds pairs out puts a demand on its root: p must be a person
// whose pair is kept, or, for held-out text, held out.
//
// Invariant: programs run without checks but for overflow of sums: names are bound before use, and types fit.
#include "core/data/world_parse.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_OPS = 16, OP_WORK = 50 };

static struct error *slot_error(const struct world_parser *p, const char *fix, const char *what, const char *name, int n)
{
    return error_new(ERROR_RECIPE, p->template->at, fix, "%s '%.*s' in the slot {%.*s}", what, n < 80 ? n : 80, name,
                     p->n_slot < 120 ? p->n_slot : 120, p->slot);
}

static void skip_blanks(struct world_parser *p)
{
    while (p->s < p->end && *p->s == ' ')
        p->s++;
}

static bool take(struct world_parser *p, char c)
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
static int word(struct world_parser *p, const char **name)
{
    skip_blanks(p);
    *name = p->s;
    if (p->s < p->end && is_letter(*p->s))
        while (p->s < p->end && (is_letter(*p->s) || is_digit(*p->s)))
            p->s++;
    return (int)(p->s - *name);
}

// The number of a name to bind; -1 when there are too many, or memory is out.
static int name_number(struct world_parser *p, const char *name, int n)
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

static struct world_local *find_local(struct world_parser *p, int name)
{
    for (int i = 0; i < p->n_locals; i++)
        if (p->locals[i].name == name)
            return &p->locals[i];
    return NULL;
}

// The local of a name that is used as `type` (a set, WORLD_INTEGER or WORLD_ANY); in a part it may be one of the callers'.
static struct error *use(struct world_parser *p, const char *name, int n, int type, struct world_local **found)
{
    int number = name_number(p, name, n);
    if (number < 0)
        return slot_error(p, "use fewer names", "no room for the name", name, n);
    struct world_local *local = find_local(p, number);
    if (!local) {
        if (!p->is_part)
            return slot_error(p, "bind it before: {name:set}", "nothing is called", name, n);
        if (p->n_locals == WORLD_LOCALS)
            return slot_error(p, "cut the template in parts", "too many names:", name, n);
        local = &p->locals[p->n_locals];
        *local = (struct world_local){.name = number, .type = type, .draw = -1, .need = p->n_locals};
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

static struct error *add_local(struct world_parser *p, const char *name, int n, struct world_local local)
{
    if (world_find_set(p->c, name, n) >= 0 || world_find_fact(p->c, name, n) >= 0 || world_find_range(p->c, name, n) >= 0)
        return slot_error(p, "take another name", "this is a set, fact or range:", name, n);
    local.name = name_number(p, name, n);
    if (local.name < 0)
        return slot_error(p, "use fewer names", "no room for the name", name, n);
    if (find_local(p, local.name))
        return slot_error(p, "take another name; to say it again write {name}", "bound or used before:", name, n);
    if (p->n_locals == WORLD_LOCALS)
        return slot_error(p, "cut the template in parts", "too many names:", name, n);
    p->locals[p->n_locals++] = local;
    return NULL;
}

static struct error *add_demand(struct world_parser *p, const struct world_local *local, const int *facts, int n)
{
    struct world_parser_demand d = {.draw = local->draw, .need = local->need};
    if (local->n_chain + n > WORLD_CHAIN)
        return slot_error(p, NULL, "too many lookups in lookups", p->slot, p->n_slot);
    memcpy(d.facts, local->chain, (size_t)local->n_chain * sizeof *facts);
    memcpy(d.facts + local->n_chain, facts, (size_t)n * sizeof *facts);
    d.n = local->n_chain + n;
    if (p->c->facts[d.facts[d.n - 1]].hold_out == 0 || (d.draw < 0 && d.need < 0))
        return NULL;
    for (int i = 0; i < p->n_demands; i++) {
        const struct world_parser_demand *o = &p->demands[i];
        if (o->draw == d.draw && o->need == d.need && o->n == d.n && memcmp(o->facts, d.facts, (size_t)d.n * sizeof *facts) == 0)
            return NULL;
    }
    if (p->n_demands == WORLD_DEMANDS)
        return slot_error(p, "cut the template in parts", "too many lookups", p->slot, p->n_slot);
    p->demands[p->n_demands++] = d;
    return NULL;
}

static struct error *add_op(struct world_parser *p, struct world_op op)
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
    p->c->work -= OP_WORK;
    if (p->c->work < 0)
        return error_new(ERROR_RECIPE, p->template->at, "use fewer templates, or smaller sets", "this world is too large");
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
static struct error *parse_lookup(struct world_parser *p, int first, struct world_op *op, struct world_local *result)
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
    struct world_local *from;
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

static struct error *parse_factor(struct world_parser *p, char sign, struct world_factor *factor)
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
    struct world_local *local;
    struct error *e = use(p, name, n, WORLD_INTEGER, &local);
    if (!e)
        factor->name = local->name;
    return e;
}

static struct error *parse_sum(struct world_parser *p, struct world_op *op)
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

static struct error *parse_call(struct world_parser *p, struct world_op *op)
{
    const char *name;
    int n = word(p, &name), i = 1;
    while (i < p->c->n_lists && !(strncmp(p->c->lists[i].name, name, (size_t)n) == 0 && !p->c->lists[i].name[n]))
        i++;
    if (n == 0 || i == p->c->n_lists)
        return slot_error(p, "list it under parts:", "there is no part", name, n);
    const struct world_list *list = &p->c->lists[i];
    if (list->state == WORLD_COMPILING)
        return slot_error(p, "parts may not call each other in a circle", "this part is being written already:", name, n);
    op->kind = WORLD_CALL;
    op->index = i;
    for (int k = 0; k < list->n_needs; k++) {
        struct world_local *local;
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

static struct error *parse_filters(struct world_parser *p, struct world_op *op)
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
            struct world_local *local;
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
static struct error *parse_source(struct world_parser *p, bool named, struct world_op *op, struct world_local *result)
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
    *result = (struct world_local){.type = WORLD_INTEGER, .draw = -1, .need = -1};
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
    struct world_local *local;
    struct error *e = use(p, name, n, WORLD_ANY, &local);
    if (e)
        return e;
    op->kind = WORLD_SAY;
    op->name = local->name;
    return NULL;
}

static struct error *parse_slot(struct world_parser *p)
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
        struct world_local result;
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
struct error *world_parse(struct world_parser *p)
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

struct error *world_parse_end_text(struct world_parser *p)
{
    return add_op(p, (struct world_op){.kind = WORLD_TEXT, .name = -1, .count = -1, .text = "", .n = 1});
}
