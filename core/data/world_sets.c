// world_sets.c - sets, facts and ranges of a world: numbered, checked, facts worked out for every name once.
//
// Invariants: items of a set differ; a fact has a value for every item of its 'of'; value and held are fixed by the texts of
// the names alone (and by the order of the items of 'is'), so that seeds and file positions do not matter.
#include "core/data/world_program.h"

#include <stdlib.h>
#include <string.h>

static uint64_t fnv_add(uint64_t h, const char *text)
{
    do { // with the terminator, which parts the fields
        h = (h ^ (unsigned char)*text) * 0x100000001B3u;
    } while (*text++);
    return h;
}

static uint64_t fnv_finish(uint64_t x)
{
    // The last field's terminator is part of the hash. The finish spreads short texts over all bits.
    x ^= x >> 33;
    x *= 0xFF51AFD7ED558CCDu;
    x ^= x >> 33;
    x *= 0xC4CEB9FE1A85EC53u;
    return x ^ x >> 33;
}

uint64_t world_hash(const char *a, const char *b, const char *c, const char *d)
{
    uint64_t h = 0xCBF29CE484222325u;
    h = fnv_add(h, a);
    h = fnv_add(h, b);
    h = fnv_add(h, c);
    return fnv_finish(d ? fnv_add(h, d) : h);
}

static bool same(const char *text, const char *name, int n)
{
    return strncmp(text, name, (size_t)n) == 0 && !text[n];
}

int world_find_set(const struct world_compiled *c, const char *name, int n)
{
    for (int i = 0; i < c->n_sets; i++)
        if (same(c->sets[i].name, name, n))
            return i;
    return -1;
}

int world_find_fact(const struct world_compiled *c, const char *name, int n)
{
    for (int i = 0; i < c->n_facts; i++)
        if (same(c->facts[i].name, name, n))
            return i;
    return -1;
}

int world_find_range(const struct world_compiled *c, const char *name, int n)
{
    for (int i = 0; i < c->n_ranges; i++)
        if (same(c->ranges[i].name, name, n))
            return i;
    return -1;
}

size_t world_name_bytes(const char *s)
{
    if (*s >= '0' && *s <= '9')
        return 0;
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
}

bool world_is_name(const char *s)
{
    size_t n = s ? world_name_bytes(s) : 0;
    return n > 0 && n < 64 && !s[n];
}

// A name of a set, fact or range may be used once in the whole world, so that a slot means one thing.
static struct error *check_name(const struct world_compiled *c, const char *what, const char *name, struct place at)
{
    if (!world_is_name(name))
        return error_new(ERROR_RECIPE, at, "use letters, digits and _, beginning with a letter, less than 64",
                         "'%s' cannot be the name of a %s", name ? name : "", what);
    int n = (int)strlen(name);
    const char *other = world_find_set(c, name, n) >= 0     ? "set"
                        : world_find_fact(c, name, n) >= 0  ? "fact"
                        : world_find_range(c, name, n) >= 0 ? "range"
                                                            : NULL;
    if (other)
        return error_new(ERROR_RECIPE, at, "give one of them another name", "there is a %s '%s' already", other, name);
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct world_item *)a)->text, ((const struct world_item *)b)->text);
}

static const struct world_item *find_item(const struct program_set *set, const char *text)
{
    const struct world_item key = {.text = text};
    return bsearch(&key, set->sorted, (size_t)set->n, sizeof key, by_text);
}

// Makes a set of n texts; with merge equal ones are one, else an error.
static struct error *add_set(struct world_compiled *c, struct arena *arena, const char *name, const char *const *items, int n,
                             bool merge, struct place at)
{
    if (c->n_sets == WORLD_NAMES)
        return error_new(ERROR_RECIPE, at, NULL, "more than %d sets", WORLD_NAMES);
    if (n <= 0 || n > WORLD_ITEMS)
        return error_new(ERROR_RECIPE, at, "list some", "set '%s' has %d items; 1 to %d are allowed", name, n, WORLD_ITEMS);
    struct program_set set = {.name = name, .at = at, .n = n};
    set.items = arena_array(arena, (size_t)n, sizeof *set.items);
    set.sorted = arena_array(arena, (size_t)n, sizeof *set.sorted);
    if (!set.items || !set.sorted)
        return error_memory();
    for (int i = 0; i < n; i++) {
        size_t n_bytes = items[i] ? strlen(items[i]) : 0;
        if (n_bytes == 0 || n_bytes > 200)
            return error_new(ERROR_RECIPE, at, NULL, "item %d of '%s' has %zu bytes; 1 to 200 are allowed", i + 1, name, n_bytes);
        set.sorted[i] = (struct world_item){items[i], (int)n_bytes, i};
        if ((int)n_bytes > c->longest_item)
            c->longest_item = (int)n_bytes;
    }
    qsort(set.sorted, (size_t)n, sizeof *set.sorted, by_text);
    for (int i = 1; i < n; i++) {
        if (strcmp(set.sorted[i].text, set.sorted[i - 1].text) != 0)
            continue;
        if (!merge)
            return error_new(ERROR_RECIPE, at, "delete one of them", "'%s' stands twice in '%s'", set.sorted[i].text, name);
        // qsort leaves the order of equal texts open: the first of them takes the smaller position.
        if (set.sorted[i - 1].index < set.sorted[i].index) {
            int smaller = set.sorted[i - 1].index;
            set.sorted[i - 1].index = set.sorted[i].index;
            set.sorted[i].index = smaller;
        }
        set.sorted[i - 1].text = NULL;
    }
    // Back to the order of the file without the doubles, then numbered and sorted again.
    for (int i = 0; i < n; i++)
        set.items[set.sorted[i].index] = set.sorted[i];
    set.n = 0;
    for (int i = 0; i < n; i++)
        if (set.items[i].text) {
            set.items[set.n] = set.items[i];
            set.items[set.n].index = set.n;
            set.n++;
        }
    memcpy(set.sorted, set.items, (size_t)set.n * sizeof *set.sorted);
    qsort(set.sorted, (size_t)set.n, sizeof *set.sorted, by_text);
    c->sets[c->n_sets++] = set;
    return NULL;
}

// The sets that only the pairs of a fact list.
static struct error *add_pair_sets(struct world_compiled *c, struct arena *arena, const struct world_fact *fact)
{
    if (!world_is_name(fact->of) || !world_is_name(fact->is))
        return error_new(ERROR_RECIPE, fact->at, "write of: SET, is: SET", "fact '%s' does not say of and is what it is",
                         fact->name);
    const char *const names[2] = {fact->of, fact->is};
    const char *const *texts[2] = {fact->pair_of, fact->pair_is};
    for (int i = 0; i < 2; i++) {
        if (world_find_set(c, names[i], (int)strlen(names[i])) >= 0)
            continue;
        if (fact->n_pairs == 0)
            return error_new(ERROR_RECIPE, fact->at, "list it under sets:, or give pairs:", "fact '%s' uses an unknown set '%s'",
                             fact->name, names[i]);
        struct error *e = check_name(c, "set", names[i], fact->at);
        if (!e)
            e = add_set(c, arena, names[i], texts[i], fact->n_pairs, true, fact->at);
        if (e)
            return e;
    }
    return NULL;
}

static struct error *take_pairs(const struct world_fact *fact, const struct program_set *of, const struct program_set *is,
                                int *value)
{
    for (int i = 0; i < of->n; i++)
        value[i] = -1;
    for (int i = 0; i < fact->n_pairs; i++) {
        const struct world_item *name = find_item(of, fact->pair_of[i]), *item = find_item(is, fact->pair_is[i]);
        if (!name || !item)
            return error_new(ERROR_RECIPE, fact->at, "add it to the set", "'%s' in fact '%s' is not in the set '%s'",
                             name ? fact->pair_is[i] : fact->pair_of[i], fact->name, name ? is->name : of->name);
        if (value[name->index] >= 0)
            return error_new(ERROR_RECIPE, fact->at, "delete one of the pairs", "fact '%s' has two values for '%s'", fact->name,
                             name->text);
        value[name->index] = item->index;
    }
    for (int i = 0; i < of->n; i++)
        if (value[i] < 0)
            return error_new(ERROR_RECIPE, fact->at, "add the pair", "fact '%s' has no value for '%s'", fact->name,
                             of->items[i].text);
    return NULL;
}

static struct error *add_fact(struct world_compiled *c, struct arena *arena, const struct world_fact *fact)
{
    if (c->n_facts == WORLD_NAMES)
        return error_new(ERROR_RECIPE, fact->at, NULL, "more than %d facts", WORLD_NAMES);
    struct error *e = check_name(c, "fact", fact->name, fact->at);
    if (!e && !(fact->hold_out >= 0 && fact->hold_out < 1))
        e = error_new(ERROR_RECIPE, fact->at, "give a share of 0 or more and less than 1", "hold_out of '%s' is %g", fact->name,
                      fact->hold_out);
    if (!e)
        e = add_pair_sets(c, arena, fact);
    if (e)
        return e;
    struct program_fact f = {.name = fact->name, .at = fact->at, .hold_out = fact->hold_out};
    f.of = world_find_set(c, fact->of, (int)strlen(fact->of));
    f.is = world_find_set(c, fact->is, (int)strlen(fact->is));
    const struct program_set *of = &c->sets[f.of], *is = &c->sets[f.is];
    int *value = arena_array(arena, (size_t)of->n, sizeof *value);
    bool *held = arena_array(arena, (size_t)of->n, sizeof *held);
    if (!value || !held)
        return error_memory();
    if (fact->n_pairs) {
        if ((e = take_pairs(fact, of, is, value)))
            return e;
    } else if (f.of == f.is && of->n < 2) {
        return error_new(ERROR_RECIPE, fact->at, "add items to the set", "fact '%s' needs another item of '%s'", fact->name,
                         of->name);
    }
    for (int i = 0; i < of->n; i++) {
        if (!fact->n_pairs) {
            uint64_t n = (uint64_t)is->n - (f.of == f.is);
            value[i] = (int)((world_hash("value", fact->name, of->items[i].text, NULL) >> 32) * n >> 32);
            if (f.of == f.is && value[i] >= i)
                value[i]++;
        }
        uint64_t h = world_hash("hold", fact->name, of->items[i].text, is->items[value[i]].text);
        held[i] = (double)(h >> 11) * 0x1p-53 < fact->hold_out;
    }
    f.value = value;
    f.held = held;
    c->facts[c->n_facts++] = f;
    return NULL;
}

static struct error *check_range(struct world_compiled *c, const struct world_range *range)
{
    if (c->n_ranges == WORLD_NAMES)
        return error_new(ERROR_RECIPE, range->at, NULL, "more than %d ranges", WORLD_NAMES);
    struct error *e = check_name(c, "range", range->name, range->at);
    if (!e && (range->low > range->high || range->low < -WORLD_RANGE_LIMIT || range->high > WORLD_RANGE_LIMIT))
        e = error_new(ERROR_RECIPE, range->at, "write LOW..HIGH, each within a million", "the range '%s' is %lld..%lld",
                      range->name, (long long)range->low, (long long)range->high);
    return e;
}

struct error *world_sets_compile(struct world_compiled *c, const struct world *world, struct arena *arena)
{
    c->sets = arena_array(arena, WORLD_NAMES, sizeof *c->sets);
    c->facts = arena_array(arena, WORLD_NAMES, sizeof *c->facts);
    struct world_range *ranges = arena_array(arena, WORLD_NAMES, sizeof *ranges);
    if (!c->sets || !c->facts || !ranges)
        return error_memory();
    c->ranges = ranges;
    struct error *errors = NULL;
    for (int i = 0; i < world->n_sets; i++) {
        const struct world_set *set = &world->sets[i];
        struct error *e = check_name(c, "set", set->name, set->at);
        if (!e)
            e = add_set(c, arena, set->name, set->items, set->n_items, false, set->at);
        errors = error_append(errors, e);
    }
    for (int i = 0; i < world->n_ranges; i++) {
        struct error *e = check_range(c, &world->ranges[i]);
        if (!e)
            ranges[c->n_ranges++] = world->ranges[i];
        errors = error_append(errors, e);
    }
    // Sets made of pairs first: facts without pairs may use them, wherever they stand. What fails here fails again below.
    for (int i = 0; i < world->n_facts; i++)
        if (world->facts[i].n_pairs)
            error_free(add_pair_sets(c, arena, &world->facts[i]));
    for (int i = 0; i < world->n_facts; i++)
        errors = error_append(errors, add_fact(c, arena, &world->facts[i]));
    return errors;
}
