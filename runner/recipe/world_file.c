// world_file.c - the tree of a world's file, section by section; what a word means is left to world_compile.
#include "runner/recipe/world_file.h"

#include <string.h>

#include "runner/recipe/number.h"
#include "runner/recipe/yaml.h"

static struct error *check_kind(const struct node *node, enum node_kind kind, const char *fix, const char *what)
{
    static const char *const names[] = {[NODE_SCALAR] = "a single value", [NODE_LIST] = "a list", [NODE_MAP] = "a map"};
    if (node->kind == kind)
        return NULL;
    return error_new(ERROR_RECIPE, node->at, fix, "%s is %s, not %s", what, names[node->kind], names[kind]);
}

static struct error *check_keys(const struct node *map, const char *const *known, size_t n_known, const char *where)
{
    struct error *errors = NULL;
    for (const struct node *child = map->first; child; child = child->next) {
        size_t i = 0;
        while (i < n_known && strcmp(known[i], child->key) != 0)
            i++;
        if (i == n_known)
            errors = error_append(errors, error_new(ERROR_RECIPE, child->key_at, "see recipes/worlds/README.md, or delete it",
                                                    "unknown key '%s' in %s", child->key, where));
    }
    return errors;
}

// The scalars of a list.
static struct error *read_texts(const struct node *list, struct arena *arena, const char *what, const char *const **texts)
{
    struct error *e = check_kind(list, NODE_LIST, "write [a, b, c]", what);
    if (e)
        return e;
    const char **read = arena_array(arena, (size_t)list->n, sizeof *read);
    if (!read)
        return error_memory();
    int n = 0;
    for (const struct node *child = list->first; child; child = child->next) {
        e = error_append(e, check_kind(child, NODE_SCALAR, "write [a, b, c]", "an item"));
        read[n++] = child->text;
    }
    *texts = read;
    return e;
}

static struct error *read_sets(const struct node *map, struct arena *arena, struct world *world)
{
    struct error *errors = check_kind(map, NODE_MAP, "write sets: {name: [a, b]}", "sets");
    struct world_set *sets = arena_array(arena, (size_t)map->n, sizeof *sets);
    if (errors || !sets)
        return errors ? errors : error_memory();
    for (const struct node *child = map->first; child; child = child->next) {
        struct world_set *set = &sets[world->n_sets++];
        *set = (struct world_set){.name = child->key, .n_items = child->n, .at = child->key_at};
        errors = error_append(errors, read_texts(child, arena, "a set", &set->items));
    }
    world->sets = sets;
    return errors;
}

static struct error *read_pairs(const struct node *map, struct arena *arena, struct world_fact *fact)
{
    struct error *e = check_kind(map, NODE_MAP, "write pairs: {France: Paris}", "pairs");
    const char **of = arena_array(arena, (size_t)map->n, sizeof *of), **is = arena_array(arena, (size_t)map->n, sizeof *is);
    if (!e && map->n == 0)
        e = error_new(ERROR_RECIPE, map->at, "delete it to have them drawn by hash", "pairs of '%s' is empty", fact->name);
    if (e || !of || !is)
        return e ? e : error_memory();
    for (const struct node *child = map->first; child; child = child->next) {
        e = error_append(e, check_kind(child, NODE_SCALAR, "write pairs: {France: Paris}", "a pair's value"));
        of[fact->n_pairs] = child->key;
        is[fact->n_pairs++] = child->text;
    }
    fact->pair_of = of;
    fact->pair_is = is;
    return e;
}

static struct error *read_fact(const struct node *node, struct arena *arena, struct world_fact *fact)
{
    static const char *const keys[] = {"of", "is", "hold_out", "pairs"};
    *fact = (struct world_fact){.name = node->key, .at = node->key_at};
    struct error *e = check_kind(node, NODE_MAP, "write {of: SET, is: SET}", "a fact");
    if (!e)
        e = check_keys(node, keys, countof(keys), "a fact");
    const char **texts[] = {&fact->of, &fact->is};
    for (int i = 0; !e && i < 2; i++) {
        const struct node *child = node_get(node, keys[i]);
        e = child ? check_kind(child, NODE_SCALAR, "name a set", keys[i])
                  : error_new(ERROR_RECIPE, node->key_at, "write {of: SET, is: SET}", "fact '%s' lacks '%s'", node->key, keys[i]);
        *texts[i] = child ? child->text : NULL;
    }
    const struct node *share = e ? NULL : node_get(node, "hold_out");
    if (share && !(e = check_kind(share, NODE_SCALAR, "write a share such as 0.1", "hold_out")))
        e = number_real(share->text, false, share->at, "hold_out", &fact->hold_out);
    const struct node *pairs = e ? NULL : node_get(node, "pairs");
    return pairs ? read_pairs(pairs, arena, fact) : e;
}

static struct error *read_facts(const struct node *map, struct arena *arena, struct world *world)
{
    struct error *errors = check_kind(map, NODE_MAP, "write facts: {name: {of: SET, is: SET}}", "facts");
    struct world_fact *facts = arena_array(arena, (size_t)map->n, sizeof *facts);
    if (errors || !facts)
        return errors ? errors : error_memory();
    for (const struct node *child = map->first; child; child = child->next)
        errors = error_append(errors, read_fact(child, arena, &facts[world->n_facts++]));
    world->facts = facts;
    return errors;
}

static struct error *read_range(const struct node *node, struct arena *arena, struct world_range *range)
{
    *range = (struct world_range){.name = node->key, .at = node->at};
    struct error *e = check_kind(node, NODE_SCALAR, "write 1..20", "a range");
    const char *dots = e ? NULL : strstr(node->text, "..");
    if (!e && !dots)
        e = error_new(ERROR_RECIPE, node->at, "write LOW..HIGH, such as 1..20", "'%s' is no range", node->text);
    char *low = dots ? arena_strndup(arena, node->text, (size_t)(dots - node->text)) : NULL;
    if (e || !low)
        return e ? e : error_memory();
    e = number_int(low, false, node->at, node->key, &range->low);
    return e ? e : number_int(dots + 2, false, node->at, node->key, &range->high);
}

static struct error *read_sums(const struct node *map, struct arena *arena, struct world *world)
{
    struct error *errors = check_kind(map, NODE_MAP, "write sums: {few: 1..20}", "sums");
    struct world_range *ranges = arena_array(arena, (size_t)map->n, sizeof *ranges);
    if (errors || !ranges)
        return errors ? errors : error_memory();
    for (const struct node *child = map->first; child; child = child->next)
        errors = error_append(errors, read_range(child, arena, &ranges[world->n_ranges++]));
    world->ranges = ranges;
    return errors;
}

static struct error *read_template(const struct node *node, const char *part, struct world_template *t)
{
    static const char *const keys[] = {"weight", "text"};
    *t = (struct world_template){.weight = 1, .name = part, .at = node->at};
    const struct node *text = node;
    struct error *e = NULL;
    if (node->kind == NODE_MAP) {
        e = check_keys(node, keys, countof(keys), "a template");
        const struct node *weight = node_get(node, "weight");
        if (weight && !e && !(e = check_kind(weight, NODE_SCALAR, "write a number", "weight")))
            e = number_real(weight->text, false, weight->at, "weight", &t->weight);
        text = node_get(node, "text");
        if (!e && !text)
            e = error_new(ERROR_RECIPE, node->at, "write {weight: 2, text: \"...\"}", "a template lacks 'text'");
    }
    if (!e)
        e = check_kind(text, NODE_SCALAR, "write its text in quotes, or {weight: 2, text: \"...\"}", "a template");
    if (!e) {
        t->text = text->text;
        t->at = text->at;
    }
    return e;
}

static struct error *read_templates(const struct node *list, const char *part, struct world_template *templates,
                                    struct world *world)
{
    struct error *errors = check_kind(list, NODE_LIST, "write a list of texts", part ? "a part" : "documents");
    if (errors)
        return errors;
    if (list->n == 0)
        return error_new(ERROR_RECIPE, list->at, "give it a text", "%s is empty", part ? part : "documents");
    for (const struct node *child = list->first; child; child = child->next)
        errors = error_append(errors, read_template(child, part, &templates[world->n_templates++]));
    return errors;
}

static struct error *read_all_templates(const struct node *documents, const struct node *parts, struct arena *arena,
                                        struct world *world)
{
    struct error *errors = parts ? check_kind(parts, NODE_MAP, "write parts: {name: [texts]}", "parts") : NULL;
    size_t n = (size_t)documents->n;
    for (const struct node *part = parts ? parts->first : NULL; part; part = part->next)
        n += (size_t)part->n;
    struct world_template *templates = arena_array(arena, n, sizeof *templates);
    if (errors || !templates)
        return errors ? errors : error_memory();
    errors = read_templates(documents, NULL, templates, world);
    for (const struct node *part = parts ? parts->first : NULL; part; part = part->next)
        errors = error_append(errors, read_templates(part, part->key, templates, world));
    world->templates = templates;
    return errors;
}

static struct error *read_record_field(const struct node *node, struct arena *arena, struct world_field *field)
{
    *field = (struct world_field){.name = node->key, .n_texts = 1, .is_list = node->kind == NODE_LIST, .at = node->at};
    if (node->kind == NODE_MAP)
        return error_new(ERROR_RECIPE, node->at, "write a text in quotes, or a list of texts", "the field '%s' is a map",
                         node->key);
    if (field->is_list) {
        field->n_texts = node->n;
        return read_texts(node, arena, "a field", &field->texts);
    }
    const char **text = arena_array(arena, 1, sizeof *text);
    if (!text)
        return error_memory();
    *text = node->text;
    field->texts = text;
    return NULL;
}

// weight, by and hold_out are the template's own; every other key is a field.
static struct error *read_record(const struct node *node, const char *list, struct arena *arena, struct world_record_template *t)
{
    *t = (struct world_record_template){.list = list, .weight = 1, .at = node->at};
    struct error *errors = check_kind(node, NODE_MAP, "write {question: \"...\", answer: \"...\"}", "a template of records");
    if (errors)
        return errors;
    struct world_field *fields = arena_array(arena, (size_t)node->n, sizeof *fields);
    if (!fields)
        return error_memory();
    const struct node *share = NULL;
    for (const struct node *child = node->first; child; child = child->next) {
        bool is_weight = strcmp(child->key, "weight") == 0, is_by = strcmp(child->key, "by") == 0;
        bool is_share = strcmp(child->key, "hold_out") == 0;
        struct error *e = NULL;
        if (!is_weight && !is_by && !is_share)
            e = read_record_field(child, arena, &fields[t->n_fields++]);
        else if (!(e = check_kind(child, NODE_SCALAR, is_by ? "write \"{p} {t}\"" : "write a number", child->key)) && !is_by)
            e = number_real(child->text, false, child->at, child->key, is_weight ? &t->weight : &t->hold_out);
        if (is_by)
            t->by = child->text;
        if (is_share)
            share = child;
        errors = error_append(errors, e);
    }
    if (share && !node_get(node, "by"))
        errors =
            error_append(errors, error_new(ERROR_RECIPE, share->at, "add by: \"{p} {t}\", the values that make a combination",
                                           "hold_out without by does not say what is held out"));
    if (!share && t->by)
        t->hold_out = 0.1;
    t->fields = fields;
    return errors;
}

static struct error *read_records(const struct node *map, struct arena *arena, struct world *world)
{
    struct error *errors = check_kind(map, NODE_MAP, "write records: {quiz: [{question: \"...\"}]}", "records");
    if (errors)
        return errors;
    size_t n = 0;
    for (const struct node *list = map->first; list; list = list->next) {
        struct error *e = check_kind(list, NODE_LIST, "write a list of maps", "a list of records");
        if (!e && list->n == 0)
            e = error_new(ERROR_RECIPE, list->at, "give it a template", "'%s' is empty", list->key);
        errors = error_append(errors, e);
        n += (size_t)list->n;
    }
    struct world_record_template *records = arena_array(arena, n, sizeof *records);
    if (errors || !records)
        return errors ? errors : error_memory();
    for (const struct node *list = map->first; list; list = list->next)
        for (const struct node *child = list->first; child; child = child->next)
            errors = error_append(errors, read_record(child, list->key, arena, &records[world->n_records++]));
    world->records = records;
    return errors;
}

static struct error *read_root(const struct node *root, struct arena *arena, struct world *world)
{
    static const char *const keys[] = {"world", "sets", "facts", "sums", "documents", "parts", "records"};
    struct error *errors = check_kind(root, NODE_MAP, "begin with world: 1", "the file");
    if (errors)
        return errors;
    errors = check_keys(root, keys, countof(keys), "a world");
    const struct node *version = node_get(root, "world"), *documents = node_get(root, "documents");
    if (!version || version->kind != NODE_SCALAR || strcmp(version->text, "1") != 0)
        errors = error_append(errors, error_new(ERROR_RECIPE, version ? version->at : root->at, "write world: 1 at the top",
                                                "this is no world of version 1"));
    if (!documents)
        return error_append(errors,
                            error_new(ERROR_RECIPE, root->at, "list templates under documents:", "this world has no documents"));
    const struct node *sets = node_get(root, "sets"), *facts = node_get(root, "facts"), *sums = node_get(root, "sums");
    if (sets)
        errors = error_append(errors, read_sets(sets, arena, world));
    if (facts)
        errors = error_append(errors, read_facts(facts, arena, world));
    if (sums)
        errors = error_append(errors, read_sums(sums, arena, world));
    const struct node *records = node_get(root, "records");
    if (records)
        errors = error_append(errors, read_records(records, arena, world));
    return error_append(errors, read_all_templates(documents, node_get(root, "parts"), arena, world));
}

static struct error *finish(const char *name, const struct node *root, struct arena *arena, struct world *world)
{
    *world = (struct world){.path = arena_strdup(arena, name)};
    if (!world->path)
        return error_memory();
    struct error *e = read_root(root, arena, world);
    if (!e)
        e = world_compile(world, arena);
    return error_while(e, NOWHERE, "reading the world '%s'", name);
}

struct error *world_file_read(const char *path, struct arena *arena, struct world *world)
{
    struct node *root;
    struct error *e = yaml_read(path, arena, &root);
    return e ? e : finish(path, root, arena, world);
}

struct error *world_file_parse(const char *name, const char *text, size_t n_bytes, struct arena *arena, struct world *world)
{
    struct node *root;
    struct error *e = yaml_parse(name, text, n_bytes, arena, &root);
    return e ? e : finish(name, root, arena, world);
}
