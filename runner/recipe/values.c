// values.c - ${x}, ${data} and ${env:NAME}: every scalar of the tree gets its final text before anything reads it.
//
// 1. A let may use others, above or below it, and ${data}; circles are errors. All of them are resolved before the rest of the tree.
// 2. What a text begins with decides what a relative file name in it is relative to: the environment and -s count from the working
//    directory, a let from the file in which it stands.
// 3. A text that still has "${" afterwards was reported; nobody reports it again.
// 4. A ${x} of the matrix is the value of the cell whose copy is being read; a let made of one is made anew for each cell.
// 5. Texts grow at most to 64 KiB each and 16 MiB in all, so that lets that double each other end in an error.
#include "runner/recipe/matrix.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TEXT = 64 << 10, MOST_TEXTS = 16 << 20, MOST_DEPTH = 32, PER_PART = 64 };

struct variable {
    const char *name;
    struct node *node; // NULL: wrong, which was told
    enum { NEW, BUSY, DONE } state;
    const struct node *raw;  // of a let that is made of the matrix: as it is written
    const struct cell *cell; // of such a let: for which it was made
};

struct values {
    struct reader *r;
    struct variable *variables; // data first
    struct variable **sorted;   // by name
    int n_variables;
    size_t expanded_bytes;
    bool no_data_told;
    const struct cell *cell; // of the copy that is being read, or NULL
    struct recipe_env *env;
    int n_env, env_capacity;
};

static struct error *expand(struct values *v, struct node *node, int depth);

static int by_name(const void *x, const void *y)
{
    return strcmp((*(const struct variable *const *)x)->name, (*(const struct variable *const *)y)->name);
}

static struct variable *find(struct values *v, const char *name)
{
    const struct variable key = {.name = name}, *pointer = &key;
    struct variable **found =
        v->n_variables ? bsearch(&pointer, v->sorted, (size_t)v->n_variables, sizeof *v->sorted, by_name) : NULL;
    return found ? *found : NULL;
}

static struct error *unknown(struct values *v, const char *name, struct place at)
{
    if (strcmp(name, "data") == 0) {
        if (v->no_data_told) // one hint is enough for all the files of a recipe
            return NULL;
        v->no_data_told = true;
        return error_new(ERROR_RECIPE, at, "say where the data lies: -s data=FOLDER", "nothing says what ${data} is");
    }
    const struct matrix *m = v->r->matrix;
    const char **names = arena_array(v->r->arena, (size_t)v->n_variables + MOST_AXES + 1, sizeof *names);
    int n = 0;
    if (!names)
        return error_memory();
    for (int i = 0; i < v->n_variables; i++)
        names[n++] = v->variables[i].name;
    for (int i = 0; m && i < m->n_axes; i++)
        names[n++] = m->axes[i].name;
    names[n++] = "data";
    const char *near = nearest_name(name, names, n);
    if (near)
        return error_new(ERROR_RECIPE, at, arena_printf(v->r->arena, "write ${%s}", near),
                         "unknown ${%.80s}; did you mean ${%s}?", name, near);
    return error_new(ERROR_RECIPE, at, "define it under `let:`, or write ${env:NAME} for the environment", "unknown ${%.80s}",
                     name);
}

static struct error *record_env(struct values *v, const char *name, const char *value)
{
    for (int i = 0; i < v->n_env; i++)
        if (strcmp(v->env[i].name, name) == 0)
            return NULL;
    if (v->n_env == v->env_capacity) {
        int capacity = v->env_capacity ? v->env_capacity * 2 : 8;
        v->env = arena_grow(v->r->arena, v->env, (size_t)v->n_env, (size_t)capacity, sizeof *v->env);
        if (!v->env)
            return error_memory();
        v->env_capacity = capacity;
    }
    v->env[v->n_env].name = name;
    return (v->env[v->n_env++].value = arena_strdup(v->r->arena, value)) ? NULL : error_memory();
}

// What a node's text counts from where it is put into another.
static struct error *folder_of(struct values *v, const struct node *node, const struct node *user, const char **folder)
{
    *folder = node->folder;
    if (*folder || node->at.file == user->at.file)
        return NULL;
    const char *slash = strrchr(node->at.file, '/');
    *folder = arena_strndup(v->r->arena, node->at.file, slash ? (size_t)(slash - node->at.file) + 1 : 0);
    return *folder ? NULL : error_memory();
}

// ${name} of the matrix.
static struct error *look_up_axis(struct values *v, int axis, const char *name, const struct node *user, const char **text,
                                  const char **folder)
{
    const struct node *value = v->cell && axis >= 0 ? v->cell->values[axis] : NULL;
    if (v->r->matrix_wrong)
        return NULL;
    if (!value)
        return error_new(ERROR_RECIPE, user->at, "use it in stages, in sources of text, or in let",
                         "${%s} of the matrix cannot stand here", name);
    *text = value->text;
    return folder_of(v, value, user, folder);
}

// A let that is made of the matrix, made for the cell that is being read.
static struct error *renew(struct values *v, struct variable *x)
{
    struct node *fresh = x->node && x->state != BUSY && x->cell != v->cell ? arena_alloc(v->r->arena, sizeof *fresh) : NULL;
    if (!x->node || x->state == BUSY || x->cell == v->cell)
        return NULL;
    if (!fresh)
        return error_memory();
    *fresh = *x->raw;
    x->node = fresh;
    x->cell = v->cell;
    x->state = NEW;
    return NULL;
}

// What stands for ${name}; *folder as in struct node. *text NULL: reported before.
static struct error *look_up(struct values *v, const char *name, const struct node *user, int depth, const char **text,
                             const char **folder)
{
    *text = NULL;
    if (strncmp(name, "env:", 4) == 0) {
        const char *value = getenv(name + 4);
        *folder = "";
        *text = value;
        return value
                   ? record_env(v, name + 4, value)
                   : error_new(ERROR_RECIPE, user->at, "set it before the call", "${%.80s} is not set in the environment", name);
    }
    int axis = matrix_axis(v->r->matrix, name);
    if (axis >= 0 || (v->r->matrix_wrong && node_get(node_get(v->r->root, "matrix"), name)))
        return look_up_axis(v, axis, name, user, text, folder);
    struct variable *x = find(v, name);
    if (!x)
        return unknown(v, name, user->at);
    if (x->raw && !v->cell)
        return error_new(ERROR_RECIPE, user->at, "use it in stages, in sources of text, or in let",
                         "${%s}, which is made of the matrix, cannot stand here", name);
    struct error *e = x->raw ? renew(v, x) : NULL;
    if (e)
        return e;
    if (x->state == BUSY)
        return error_new(ERROR_RECIPE, user->at, "break the circle", "${%s} is made of itself", name);
    if (depth == MOST_DEPTH)
        return error_new(ERROR_RECIPE, user->at, "use fewer steps", "values use each other more than %d deep", MOST_DEPTH);
    if (x->state == NEW) {
        x->state = BUSY;
        e = expand(v, x->node, depth + 1);
        x->state = DONE;
        if (e) {
            reader_error(v->r, e);
            x->node = NULL;
        }
    }
    if (!x->node || x->node->kind != NODE_SCALAR)
        return NULL;
    *text = x->node->text;
    return folder_of(v, x->node, user, folder);
}

// Puts in place of a scalar's ${...} what they stand for.
static struct error *expand(struct values *v, struct node *node, int depth)
{
    if (node->kind != NODE_SCALAR || !strstr(node->text, "${"))
        return NULL;
    const char *text = "", *first_folder = node->folder;
    size_t n = 0;
    const char *alone = NULL; // the name of a ${name} that is all of the text
    for (const char *s = node->text; *s;) {
        const char *dollar = strstr(s, "${"), *part = s, *folder = node->folder;
        size_t n_part = dollar ? (size_t)(dollar - s) : strlen(s);
        if (dollar == s) {
            const char *close = strchr(s, '}');
            if (!close)
                return error_new(ERROR_RECIPE, node->at, "close it: ${x}", "'${' without '}'");
            const char *name = arena_strndup(v->r->arena, s + 2, (size_t)(close - s - 2));
            if (!name)
                return error_memory();
            struct error *e = look_up(v, name, node, depth, &part, &folder);
            if (e)
                return e;
            if (!part)
                return NULL;
            if (s == node->text) {
                first_folder = folder;
                alone = close[1] ? NULL : name;
            }
            n_part = strlen(part);
            s = close + 1;
        } else {
            s += n_part;
        }
        v->expanded_bytes += n + n_part + PER_PART;
        if (n + n_part > MOST_TEXT || v->expanded_bytes > MOST_TEXTS)
            return error_new(ERROR_RECIPE, node->at, "use ${x} for short texts", "${...} makes this too long");
        char *grown = arena_alloc(v->r->arena, n + n_part + 1);
        if (!grown)
            return error_memory();
        memcpy(grown, text, n);
        memcpy(grown + n, part, n_part);
        text = grown;
        n += n_part;
    }
    node->text = text;
    node->folder = first_folder;
    if (alone)
        node->variable = matrix_axis(v->r->matrix, alone) >= 0 ? BY_MATRIX : BY_LET;
    return NULL;
}

static void expand_tree(struct values *v, struct node *node)
{
    reader_error(v->r, expand(v, node, 0));
    for (struct node *c = node->first; c && !v->r->no_memory; c = c->next)
        expand_tree(v, c);
}

static void add_lets(struct values *v, const struct node *let)
{
    struct reader *r = v->r;
    if (let->kind != NODE_MAP) {
        reader_error(r, error_new(ERROR_RECIPE, let->at, "write let: {x: 4}", "let takes a map"));
        return;
    }
    if (let->n > MOST_LETS) {
        reader_error(r, error_new(ERROR_RECIPE, let->at, "use fewer", "more than %d values in let", MOST_LETS));
        return;
    }
    for (struct node *c = let->first; c; c = c->next) {
        if (!name_is_good(c->key) || is_top_word(c->key))
            reader_error(r,
                         error_new(ERROR_RECIPE, c->key_at, "names are lower case letters, digits and _, and no top-level word",
                                   "'%.80s' cannot be a name in let", c->key));
        else if (c->kind != NODE_SCALAR)
            reader_error(r, error_new(ERROR_RECIPE, c->at, "write one value", "let takes single values, not a %s",
                                      c->kind == NODE_LIST ? "list" : "map"));
        struct variable *x = &v->variables[v->n_variables++];
        *x = (struct variable){.name = c->key, .node = c};
        if (r->matrix && c->kind == NODE_SCALAR && matrix_uses(r->matrix, c->text)) {
            struct node *raw = reader_have(r, arena_alloc(r->arena, sizeof *raw));
            if (raw)
                *raw = *c;
            x->raw = raw;
        }
    }
}

// Stages and sources one by one, each with the values of its cell.
static void expand_entries(struct values *v, struct node *map)
{
    for (struct node *c = map->first; c && !v->r->no_memory; c = c->next) {
        v->cell = c->cell;
        expand_tree(v, c);
    }
    v->cell = NULL;
}

void values_resolve(struct reader *r)
{
    struct values v = {.r = r};
    struct node *data = node_get(r->root, "data"), *let = node_get(r->root, "let");
    int most = 1 + (let && let->kind == NODE_MAP && let->n <= MOST_LETS ? let->n : 0);
    v.variables = reader_have(r, arena_array(r->arena, (size_t)most, sizeof *v.variables));
    if (!v.variables)
        return;
    if (data && (is_unresolved(data) || scalar_text(r, data, "data")))
        v.variables[v.n_variables++] = (struct variable){.name = "data", .node = data};
    v.no_data_told = data && !v.n_variables; // data is there, but no text: told above
    if (let)
        add_lets(&v, let);
    v.sorted = reader_have(r, arena_array(r->arena, (size_t)v.n_variables + 1, sizeof *v.sorted));
    for (int i = 0; i < v.n_variables && v.sorted; i++)
        v.sorted[i] = &v.variables[i];
    if (v.sorted && v.n_variables)
        qsort(v.sorted, (size_t)v.n_variables, sizeof *v.sorted, by_name);
    if (r->no_memory)
        return;
    for (int i = 0; i < v.n_variables; i++) {
        const char *text, *folder;
        if (v.variables[i].state == NEW && !v.variables[i].raw)
            reader_error(r, look_up(&v, v.variables[i].name, v.variables[i].node, 0, &text, &folder));
    }
    for (struct node *c = r->root->first; c && !r->no_memory; c = c->next)
        if (c->kind == NODE_MAP && (!strcmp(c->key, "stages") || !strcmp(c->key, "sources")))
            expand_entries(&v, c);
        else if (c != data && c != let && strcmp(c->key, "matrix"))
            expand_tree(&v, c);
    r->recipe->env = v.env;
    r->recipe->n_env = v.n_env;
}
