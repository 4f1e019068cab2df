// world_lists.c - parts and documents: their templates parsed, callees before callers, and the candidates of every draw.
//
// What a part needs of its callers travels upwards once, as the lists are compiled depth first. Demands on needs go to the
// callers; demands on draws become lists of candidates, one for training and one for held-out text.
//
// Invariants
// 1. No list calls itself, by whatever way.
// 2. cost bounds the bytes and the time of a document, and c->work what compiling takes, whatever the file.
#include "core/data/world_parse.h"

#include <string.h>

enum { ERRORS = 50, WORK = 10000000 };

// Whether the lookups on an item are all held out (or all kept).
static bool allowed(const struct world_parser *p, int draw, int item, bool held_out)
{
    for (int i = 0; i < p->n_demands; i++) {
        const struct world_parser_demand *d = &p->demands[i];
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

static struct error *find_candidates(struct world_parser *p, int i_op)
{
    struct world_op *op = &p->ops[i_op];
    const struct world_parser_demand *demand = NULL;
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
static struct error *merge_needs(struct world_parser *p, struct world_list *list, struct world_need *needs,
                                 struct world_demand *demands)
{
    for (int i = 0; i < p->n_locals; i++) {
        const struct world_local *local = &p->locals[i];
        if (local->need != i || local->draw >= 0 || local->n_chain)
            continue;
        int k = 0;
        while (k < list->n_needs && needs[k].name != local->name)
            k++;
        if (k == WORLD_LOCALS)
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
        const struct world_parser_demand *d = &p->demands[i];
        if (d->draw >= 0)
            continue;
        struct world_demand demand = {.name = p->locals[d->need].name, .n = d->n};
        memcpy(demand.facts, d->facts, sizeof demand.facts);
        int k = 0;
        while (k < list->n_demands && memcmp(&demands[k], &demand, sizeof demand) != 0)
            k++;
        if (k == WORLD_DEMANDS)
            return error_new(ERROR_RECIPE, p->template->at, NULL, "part '%s' makes too many lookups", list->name);
        if (k == list->n_demands)
            demands[list->n_demands++] = demand;
    }
    return NULL;
}

struct error *world_program_finish(struct world_parser *p, struct world_list *list, struct world_program *program,
                                   struct world_need *needs, struct world_demand *demands)
{
    struct error *e = NULL;
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

static struct error *list_compile(struct world_compiled *c, const struct world *world, struct arena *arena, int i_list);

// The parts that a template calls, compiled before it. Finds them by their "{@" or "{^@".
static struct error *callees_compile(struct world_compiled *c, const struct world *world, struct arena *arena, const char *text)
{
    struct error *errors = NULL;
    for (const char *s = strchr(text, '{'); s; s = strchr(s + 1, '{')) {
        const char *name = s + 1 + strspn(s + 1, " ^");
        if (*name != '@')
            continue;
        name += 1 + strspn(name + 1, " ");
        size_t n = world_name_bytes(name);
        for (int i = 1; i < c->n_lists; i++)
            if (strncmp(name, c->lists[i].name, n) == 0 && !c->lists[i].name[n] && c->lists[i].state == WORLD_NOT_COMPILED)
                errors = error_append(errors, list_compile(c, world, arena, i));
    }
    return errors;
}

static struct error *list_compile(struct world_compiled *c, const struct world *world, struct arena *arena, int i_list)
{
    struct world_list *list = &c->lists[i_list];
    struct world_need *needs = arena_array(arena, WORLD_LOCALS, sizeof *needs);
    struct world_demand *demands = arena_array(arena, WORLD_DEMANDS, sizeof *demands);
    struct world_parser *p = arena_alloc(arena, sizeof *p);
    if (!needs || !demands || !p)
        return error_memory();
    list->state = WORLD_COMPILING;
    list->needs = needs;
    list->demands = demands;
    struct error *errors = NULL;
    for (int i = 0; i < list->n; i++) {
        const struct world_template *template = &world->templates[list->programs[i].template];
        errors = error_append(errors, callees_compile(c, world, arena, template->text));
        *p = (struct world_parser){.c = c, .arena = arena, .template = template, .is_part = i_list > 0};
        struct error *e = world_parse(p);
        errors = error_append(errors, e ? e : world_program_finish(p, list, &list->programs[i], needs, demands));
        int n_errors = 0;
        for (const struct error *each = errors; each; each = each->next)
            n_errors++;
        if (n_errors > ERRORS)
            break;
    }
    // A part with errors may still be called, so that its callers add no errors about it.
    list->state = WORLD_COMPILED;
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
    if (!world_is_name(t->name))
        return error_new(ERROR_RECIPE, t->at, "use letters, digits and _, less than 64", "'%s' cannot be the name of a part",
                         t->name);
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
    c->work = WORK;
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
        list->programs[list->n++] = (struct world_program){.template = i, .at = world->templates[i].at, .until = list->weight};
    }
    if (c->lists[0].n == 0)
        return error_new(ERROR_RECIPE, (struct place){.file = world->path},
                         "list templates under documents:", "this world has no documents");
    for (int i = c->n_lists - 1; i >= 0; i--)
        if (c->lists[i].state == WORLD_NOT_COMPILED)
            errors = error_append(errors, list_compile(c, world, arena, i));
    return errors;
}
