// matrix.c - the copies are made in the tree, before any value is read: all that comes after sees plain stages.
//
// 1. Masks of axes flow along references until nothing changes: those of a stage are its own and those of all that it names.
// 2. A copy of a stage with some cell names, of an entry that multiplies by fewer axes, the copy with the same values of these.
#include "runner/recipe/matrix.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ALONE = 32, MOST_VALUE = 60 };

struct entry {
    struct node *node;
    bool is_source;
    enum stage_kind_id kind; // of a stage
    uint32_t own, all;       // axes: of its own text; with those of what it names
};

struct edge {
    int user, used; // entries
};

struct multiplier {
    struct reader *r;
    struct matrix *m;
    const struct node *at; // the matrix
    struct entry *entries; // sources, then stages
    int n_sources, n_entries;
    int *by_name; // entries sorted by name: sources, then stages
    struct edge *edges;
    int n_edges, edges_capacity, n_copied;
    bool full;
};

int matrix_axis(const struct matrix *m, const char *name)
{
    for (int i = 0; m && i < m->n_axes; i++)
        if (strcmp(m->axes[i].name, name) == 0)
            return i;
    return -1;
}

static int by_key(const void *x, const void *y)
{
    return strcmp((*(const struct node *const *)x)->key, (*(const struct node *const *)y)->key);
}

static int let_index(const struct matrix *m, const char *name)
{
    const struct node key = {.key = name}, *pointer = &key;
    const struct node **found = m->n_lets ? bsearch(&pointer, m->lets, (size_t)m->n_lets, sizeof *m->lets, by_key) : NULL;
    return found ? (int)(found - m->lets) : -1;
}

bool next_variable(const char **text, char name[VARIABLE_TEXT])
{
    const char *open = strstr(*text, "${"), *close = open ? strchr(open, '}') : NULL;
    if (!close)
        return false;
    size_t n = (size_t)(close - open - 2);
    *text = close + 1;
    n = n < VARIABLE_TEXT ? n : 0;
    memcpy(name, open + 2, n);
    name[n] = 0;
    return true;
}

uint32_t matrix_uses(const struct matrix *m, const char *text)
{
    uint32_t uses = 0;
    char name[VARIABLE_TEXT];
    while (next_variable(&text, name)) {
        int axis = matrix_axis(m, name), let = axis < 0 ? let_index(m, name) : -1;
        uses |= axis >= 0 ? 1u << axis : let >= 0 ? m->let_uses[let] : 0;
    }
    return uses;
}

static void read_axis(struct reader *r, struct matrix *m, struct node *node)
{
    struct axis *axis = &m->axes[m->n_axes++];
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";
    axis->name = node->key;
    axis->values = reader_have(r, arena_array(r->arena, (size_t)node->n + 1, sizeof *axis->values));
    if (!name_is_good(node->key) || is_top_word(node->key))
        reader_error(r, error_new(ERROR_RECIPE, node->key_at, "names are lower case letters, digits and _, and no top-level word",
                                  "'%.80s' cannot be a name in matrix", node->key));
    const struct node *let = node_get(node_get(r->root, "let"), node->key);
    if (let)
        reader_error(r, error_while(error_new(ERROR_RECIPE, node->key_at, "rename one of them",
                                              "'%s' is a name of let and of matrix", node->key),
                                    let->key_at, "comparing with let"));
    if (node->kind == NODE_MAP || (node->kind == NODE_LIST && !node->n)) {
        reader_error(
            r, error_new(ERROR_RECIPE, node->at, "write a list of values: [4, 6]", "'%.80s' of matrix has no values", node->key));
        return;
    }
    for (struct node *c = node->kind == NODE_LIST ? node->first : node; c && axis->values && !reader_full(r);
         c = node->kind == NODE_LIST ? c->next : NULL) {
        const char *text = scalar_text(r, c, node->key);
        struct error *e = NULL;
        if (is_unresolved(c))
            e = error_new(ERROR_RECIPE, c->at, "write the value itself", "a value of the matrix takes no ${...}");
        else if (text && (strlen(text) > MOST_VALUE || text[strspn(text, letters)]))
            e = error_new(ERROR_RECIPE, c->at, "take letters, digits and _ . + -, at most 60: the value becomes part of names",
                          "'%.80s' cannot be a value of the matrix", text);
        for (int i = 0; i < axis->n && text && !e; i++)
            if (strcmp(axis->values[i]->text, text) == 0)
                e = error_new(ERROR_RECIPE, c->at, "name it once", "'%s' of matrix names '%s' twice", node->key, text);
        reader_error(r, e);
        if (text && !e)
            axis->values[axis->n++] = c;
    }
}

// The axes, or false where they are wrong, which is reported. Cells are counted before anything is made of them.
static bool read_axes(struct reader *r, struct matrix *m, const struct node *node)
{
    int before = r->n_errors;
    double cells = 1;
    if (node->kind != NODE_MAP || !node->n) {
        reader_error(r, error_new(ERROR_RECIPE, node->at, "write matrix: {depth: [4, 6]}", "matrix takes a map of lists"));
        return false;
    }
    for (const struct node *c = node->first; c; c = c->next)
        cells *= c->kind == NODE_LIST && c->n ? c->n : 1;
    if (cells > MOST_CELLS) {
        static const char fix[] = "take fewer values: 1,000 cells at most";
        reader_error(r, cells < 1e15 ? error_new(ERROR_RECIPE, node->key_at, fix, "the matrix has %.0f cells", cells)
                                     : error_new(ERROR_RECIPE, node->key_at, fix, "the matrix has more than 10^15 cells"));
        return false;
    }
    if (node->n > MOST_AXES) {
        reader_error(r, error_new(ERROR_RECIPE, node->key_at, "define single values in `let:`",
                                  "the matrix has more than %d names", MOST_AXES));
        return false;
    }
    for (struct node *c = node->first; c && !reader_full(r); c = c->next)
        read_axis(r, m, c);
    return r->n_errors == before && !r->no_memory;
}

// Which axes lets are made of: as far as values.c follows lets into each other.
static void read_lets(struct reader *r, struct matrix *m)
{
    const struct node *let = node_get(r->root, "let");
    int n = let && let->kind == NODE_MAP && let->n <= MOST_LETS ? let->n : 0;
    m->lets = reader_have(r, arena_array(r->arena, (size_t)n + 1, sizeof *m->lets));
    m->let_uses = reader_have(r, arena_array(r->arena, (size_t)n + 1, sizeof *m->let_uses));
    if (r->no_memory)
        return;
    for (const struct node *c = n ? let->first : NULL; c; c = c->next)
        m->lets[m->n_lets++] = c;
    if (n)
        qsort(m->lets, (size_t)n, sizeof *m->lets, by_key);
    bool changed = true;
    for (int pass = 0; pass <= MOST_ALONE && changed; pass++) {
        changed = false;
        for (int i = 0; i < n; i++) {
            uint32_t uses = m->lets[i]->kind == NODE_SCALAR ? matrix_uses(m, m->lets[i]->text) : 0;
            changed |= uses != m->let_uses[i];
            m->let_uses[i] |= uses;
        }
    }
}

// What a name of an entry is when it is a ${let} alone.
static const char *plain_name(const struct matrix *m, const struct node *node)
{
    const char *text = node && node->kind == NODE_SCALAR ? node->text : NULL;
    for (int i = 0; i < MOST_ALONE && text && !strncmp(text, "${", 2) && text[strlen(text) - 1] == '}'; i++) {
        char name[VARIABLE_TEXT];
        const char *s = text;
        int let = next_variable(&s, name) && !*s ? let_index(m, name) : -1;
        if (let < 0 || m->lets[let]->kind != NODE_SCALAR)
            break;
        text = m->lets[let]->text;
    }
    return text;
}

static int find_entry(const struct multiplier *x, const char *name, bool is_source)
{
    int low = is_source ? 0 : x->n_sources, high = is_source ? x->n_sources : x->n_entries;
    size_t length = 0;
    if (name && reference_step(name, &length) >= 0 && !is_source)
        name = reader_have(x->r, arena_strndup(x->r->arena, name, length));
    while (name && low < high) {
        int middle = low + (high - low) / 2, order = strcmp(name, x->entries[x->by_name[middle]].node->key);
        if (order == 0)
            return x->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

typedef void each_name(struct multiplier *x, int user, struct node *name, bool is_source, void *self);

// Calls f with every scalar of an entry that names another, but for those of field `but` (NULL: none).
static void each_reference(struct multiplier *x, int i, struct node *node, const char *but, each_name *f, void *self)
{
    const struct entry *entry = &x->entries[i];
    if (entry->is_source) {
        struct node *mix = node_get(node, "mix");
        for (struct node *c = mix && mix->kind == NODE_LIST ? mix->first : NULL; c; c = c->next)
            if (node_get(c, "source"))
                f(x, i, node_get(c, "source"), true, self);
        return;
    }
    for (int k = 0; k < n_fields; k++) {
        const struct field *field = &fields[k];
        bool stage = field->type == FIELD_STAGE || field->type == FIELD_STAGES;
        bool wanted = entry->kind != KIND_COUNT && field->kinds >> entry->kind & 1 && (stage || field->type == FIELD_SOURCE) &&
                      !(but && !strcmp(but, field->name));
        struct node *named = wanted ? node_get(node, field->name) : NULL;
        if (named && named->kind == NODE_LIST)
            for (struct node *c = named->first; c; c = c->next)
                f(x, i, c, !stage, self);
        else if (named)
            f(x, i, named, !stage, self);
    }
}

static void add_edge(struct multiplier *x, int user, struct node *name, bool is_source, void *self)
{
    (void)self;
    int used = find_entry(x, plain_name(x->m, name), is_source);
    if (used < 0)
        return;
    if (x->n_edges == x->edges_capacity) {
        int more = x->edges_capacity ? 2 * x->edges_capacity : 256;
        x->edges = reader_have(x->r, arena_grow(x->r->arena, x->edges, (size_t)x->n_edges, (size_t)more, sizeof *x->edges));
        x->edges_capacity = x->edges ? more : 0;
        if (!x->edges)
            x->n_edges = 0;
    }
    if (x->edges)
        x->edges[x->n_edges++] = (struct edge){user, used};
}

static uint32_t uses_of_tree(const struct matrix *m, const struct node *node)
{
    uint32_t uses = node->kind == NODE_SCALAR ? matrix_uses(m, node->text) : 0;
    for (const struct node *c = node->first; c; c = c->next)
        uses |= uses_of_tree(m, c);
    return uses;
}

// A source of tasks is read by its name alone, which stays.
static bool is_of_tasks(const struct node *source)
{
    const struct node *parquet = node_get(source, "parquet"), *jsonl = node_get(source, "jsonl");
    return (parquet && files_have_split(parquet)) || (jsonl && files_have_split(jsonl));
}

static void add_entries(struct multiplier *x, struct node *map, bool is_source)
{
    for (struct node *c = map && map->kind == NODE_MAP ? map->first : NULL; c; c = c->next) {
        const struct node *kind = is_source ? NULL : node_get(c, "kind");
        const char *name = plain_name(x->m, kind);
        uint32_t own = is_source && is_of_tasks(c) ? 0 : uses_of_tree(x->m, c);
        x->by_name[x->n_entries] = x->n_entries;
        x->entries[x->n_entries++] = (struct entry){
            .node = c, .is_source = is_source, .kind = name ? kind_find(name) : KIND_COUNT, .own = own, .all = own};
        x->n_sources += is_source;
    }
}

struct by_entry {
    const struct node *node;
    int index;
};

static int by_entry_key(const void *x, const void *y)
{
    return strcmp(((const struct by_entry *)x)->node->key, ((const struct by_entry *)y)->node->key);
}

// Puts by_name[from] ... by_name[to-1] in the order of names.
static void sort_names(struct multiplier *x, int from, int to)
{
    struct by_entry *sorted = reader_have(x->r, arena_array(x->r->arena, (size_t)(to - from) + 1, sizeof *sorted));
    for (int i = from; i < to && sorted; i++)
        sorted[i - from] = (struct by_entry){x->entries[i].node, i};
    if (sorted && to > from)
        qsort(sorted, (size_t)(to - from), sizeof *sorted, by_entry_key);
    for (int i = from; i < to && sorted; i++)
        x->by_name[i] = sorted[i - from].index;
}

static int child_count(const struct node *map)
{
    return map && map->kind == NODE_MAP ? map->n : 0;
}

static void find_masks(struct multiplier *x, struct node *sources, struct node *stages)
{
    size_t n = (size_t)child_count(sources) + (size_t)child_count(stages) + 1;
    x->entries = reader_have(x->r, arena_array(x->r->arena, n, sizeof *x->entries));
    x->by_name = reader_have(x->r, arena_array(x->r->arena, n, sizeof *x->by_name));
    if (x->r->no_memory)
        return;
    add_entries(x, sources, true);
    add_entries(x, stages, false);
    sort_names(x, 0, x->n_sources);
    sort_names(x, x->n_sources, x->n_entries);
    for (int i = 0; i < x->n_entries && !x->r->no_memory; i++)
        each_reference(x, i, x->entries[i].node, NULL, add_edge, NULL);
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < x->n_edges; i++) {
            struct entry *user = &x->entries[x->edges[i].user];
            uint32_t all = user->all | x->entries[x->edges[i].used].all;
            changed |= all != user->all;
            user->all = all;
        }
    }
}

// "depth=4,seed=1", of the axes of the mask.
static const char *cell_text(struct multiplier *x, const struct cell *cell, uint32_t mask)
{
    const char *text = NULL;
    for (int i = 0; i < x->m->n_axes; i++)
        if (mask >> i & 1 && cell->values[i])
            text = reader_have(x->r, arena_printf(x->r->arena, "%s%s%s=%s", text ? text : "", text ? "," : "", x->m->axes[i].name,
                                                  cell->values[i]->text));
    return text;
}

static void rename_one(struct multiplier *x, int user, struct node *name, bool is_source, void *self)
{
    (void)user;
    const char *plain = plain_name(x->m, name);
    int used = find_entry(x, plain, is_source);
    if (used < 0 || !x->entries[used].all)
        return;
    size_t length;
    bool has_step = !is_source && reference_step(plain, &length) >= 0;
    const char *text = cell_text(x, self, x->entries[used].all);
    if (text)
        name->text = reader_have(
            x->r, arena_printf(x->r->arena, "%s@%s%s", x->entries[used].node->key, text, has_step ? plain + length : ""));
    if (!name->text)
        name->text = "";
}

static struct node *copy_tree(struct multiplier *x, const struct node *node)
{
    struct node *copy = x->r->no_memory ? NULL : reader_have(x->r, arena_alloc(x->r->arena, sizeof *copy));
    if (!copy)
        return NULL;
    *copy = *node;
    copy->next = copy->first = NULL;
    x->n_copied++;
    struct node **end = &copy->first;
    for (const struct node *c = node->first; c; c = c->next) {
        if (!(*end = copy_tree(x, c)))
            return NULL;
        end = &(*end)->next;
    }
    return copy;
}

static int tree_size(const struct node *node)
{
    int n = 1;
    for (const struct node *c = node->first; c; c = c->next)
        n += tree_size(c);
    return n;
}

// Puts `only` in place of the list of a copy that it is an item of.
static void keep_item(struct node *stage, const char *key, const struct node *only)
{
    struct node *list = node_get(stage, key);
    list->kind = NODE_SCALAR;
    list->text = only->text;
    list->quoted = only->quoted;
    list->at = only->at;
    list->first = NULL;
    list->n = 0;
}

// One copy of an entry for each cell of its axes, put at *end; item: of a list of models the one that the copies are of.
static struct node **add_copies(struct multiplier *x, int i, uint32_t mask, const char *key, const struct node *item,
                                struct node **end)
{
    struct reader *r = x->r;
    const struct matrix *m = x->m;
    const struct entry *entry = &x->entries[i];
    int digits[MOST_AXES] = {0}, size = tree_size(entry->node);
    for (bool more = true; more && !r->no_memory && !x->full;) {
        if (x->n_copied + size > MOST_READ_NODES) {
            x->full = true;
            reader_error(r, error_new(ERROR_RECIPE, x->at->key_at, "take fewer values, or smaller stages",
                                      "the matrix makes a recipe of more than %d values", MOST_READ_NODES));
            break;
        }
        struct cell *cell = reader_have(r, arena_alloc(r->arena, sizeof *cell));
        struct node **values = reader_have(r, arena_array(r->arena, (size_t)m->n_axes, sizeof *values));
        struct node *copy = copy_tree(x, entry->node);
        if (!cell || !values || !copy)
            break;
        for (int k = 0; k < m->n_axes; k++)
            values[k] = mask >> k & 1 ? m->axes[k].values[digits[k]] : NULL;
        *cell = (struct cell){.base = entry->node->key, .values = values};
        copy->cell = cell;
        if (item)
            keep_item(copy, key, item);
        each_reference(x, i, copy, NULL, rename_one, cell);
        const char *text = cell_text(x, cell, mask), *of = item ? plain_name(m, item) : NULL;
        copy->key = reader_have(
            r, arena_printf(r->arena, "%s%s%s%s%s", cell->base, of ? "@" : "", of ? of : "", text ? "@" : "", text ? text : ""));
        *end = copy;
        end = &copy->next;
        more = false;
        for (int k = m->n_axes - 1; k >= 0 && !more; k--) { // counts up, the last axis fastest
            if (!(mask >> k & 1))
                continue;
            more = ++digits[k] < m->axes[k].n;
            digits[k] = more ? digits[k] : 0;
        }
    }
    return end;
}

// The list of several models that an evaluation that multiplies is split by, or NULL.
static const struct node *models_of(const struct entry *entry, const char **key, bool *twice)
{
    for (int k = 0; k < n_fields && entry->kind != KIND_COUNT; k++) {
        const struct node *list =
            fields[k].each && fields[k].kinds >> entry->kind & 1 ? node_get(entry->node, fields[k].name) : NULL;
        if (!list || list->kind != NODE_LIST || list->n < 2)
            continue;
        *key = fields[k].name;
        *twice = false;
        int n = 0;
        for (const struct node *c = list->first; c; c = c->next, n++)
            for (const struct node *b = list->first; b != c && n < 1000; b = b->next)
                *twice |= c->kind == NODE_SCALAR && b->kind == NODE_SCALAR && !strcmp(b->text, c->text);
        return list;
    }
    return NULL;
}

static void add_mask(struct multiplier *x, int user, struct node *name, bool is_source, void *self)
{
    (void)user;
    int used = find_entry(x, plain_name(x->m, name), is_source);
    *(uint32_t *)self |= used >= 0 ? x->entries[used].all : 0;
}

static void multiply(struct multiplier *x, struct node *map, int from, int to)
{
    struct node *first = NULL, **end = &first;
    for (int i = from; i < to && !x->r->no_memory; i++) {
        const struct entry *entry = &x->entries[i];
        const char *key = NULL;
        bool twice = false;
        const struct node *models = entry->all && !entry->is_source ? models_of(entry, &key, &twice) : NULL;
        if (!entry->all) {
            *end = entry->node;
            end = &entry->node->next;
        } else if (models && !twice) {
            uint32_t rest = entry->own; // of all that is not the list
            each_reference(x, i, entry->node, key, add_mask, &rest);
            for (struct node *c = models->first; c; c = c->next) {
                uint32_t mask = rest;
                add_mask(x, i, c, false, &mask);
                end = add_copies(x, i, mask, key, c, end);
            }
        } else {
            end = add_copies(x, i, entry->all, NULL, NULL, end);
        }
    }
    *end = NULL;
    map->first = first;
    map->n = 0;
    for (const struct node *c = first; c; c = c->next)
        map->n++;
}

void matrix_apply(struct reader *r)
{
    struct node *node = node_get(r->root, "matrix"), *sources = node_get(r->root, "sources"),
                *stages = node_get(r->root, "stages");
    struct matrix *m = node ? reader_have(r, arena_alloc(r->arena, sizeof *m)) : NULL;
    if (!m)
        return;
    bool good = read_axes(r, m, node);
    r->matrix = m;
    r->matrix_wrong = !good;
    if (!good)
        return;
    struct multiplier x = {.r = r, .m = m, .at = node};
    read_lets(r, m);
    if (!r->no_memory)
        find_masks(&x, sources, stages);
    if (r->no_memory)
        return;
    int n_sources = x.n_sources;
    if (child_count(sources))
        multiply(&x, sources, 0, n_sources);
    if (child_count(stages))
        multiply(&x, stages, n_sources, x.n_entries);
}
